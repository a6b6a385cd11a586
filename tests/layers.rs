//! Keeps the arrows between the layers one-way: reads the sources as text and
//! says which layer names what it must not know.
//!
//! It reads code only: comments, texts and the unit tests at the end of a file
//! do not count. It cannot see through macros or `build.rs`; we have neither
//! that names modules.

#![allow(clippy::unwrap_used)] // clippy exempts test functions, not their helpers

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a layer may name.
struct Layer {
    name: &'static str,
    /// Modules of the crate, its own aside. `a::b` allows that one of `a` only.
    modules: &'static [&'static str],
    /// Of the guarded crates, those it may use.
    crates: &'static [&'static str],
    /// Names that must not stand in a path: clocks, disks, sockets, chance.
    banned: &'static [&'static str],
}

/// Crates that belong to certain layers; all others are free.
const GUARDED: [&str; 8] =
    ["ant_quic", "axum", "crossterm", "patchbay", "ratatui", "reqwest", "rusqlite", "tokio"];

const LAYERS: [Layer; 13] = [
    Layer { name: "model", modules: &[], crates: &[], banned: PURE },
    Layer { name: "core", modules: &["model"], crates: &[], banned: PURE },
    Layer { name: "files", modules: &[], crates: &[], banned: SOCKETS },
    Layer {
        name: "node",
        modules: &["core", "files", "model"],
        crates: &["ant_quic", "reqwest", "tokio"],
        banned: &[],
    },
    Layer {
        name: "registry",
        modules: &["core", "files", "model"],
        crates: &["axum", "rusqlite", "tokio"],
        banned: &[],
    },
    Layer {
        name: "tui",
        modules: &["core", "files", "model", "node::feed", "telemetry"],
        crates: &["crossterm", "ratatui", "tokio"],
        banned: SOCKETS,
    },
    Layer {
        name: "lab",
        modules: &["config", "control", "core", "files", "identity", "model", "node", "registry"],
        crates: &["ant_quic", "patchbay", "tokio"],
        banned: &[],
    },
    Layer { name: "metrics", modules: &["core", "model"], crates: &["axum", "tokio"], banned: &[] },
    Layer { name: "control", modules: &["files", "model", "node::feed"], crates: &["tokio"], banned: &[] },
    Layer { name: "identity", modules: &["core", "files", "model", "node"], crates: &[], banned: SOCKETS },
    Layer {
        name: "config",
        modules: &["core", "files", "model", "node", "tui::Keymap"],
        crates: &[],
        banned: SOCKETS,
    },
    Layer { name: "telemetry", modules: &["files", "model"], crates: &[], banned: SOCKETS },
    Layer {
        name: "cli",
        modules: &[
            "config",
            "control",
            "core",
            "files",
            "identity",
            "lab",
            "metrics",
            "model",
            "node",
            "registry",
            "telemetry",
            "tui",
        ],
        crates: &["crossterm", "ratatui", "tokio"],
        banned: SOCKETS,
    },
];

const SOCKETS: &[&str] = &["UdpSocket", "TcpStream", "TcpListener", "UnixStream", "UnixListener"];
const PURE: &[&str] = &[
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixListener",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "rand::rng",
    "rand::random",
    "rand::random_range",
    "rand::random_iter",
    "rand::fill",
    "thread_rng",
    "OsRng",
    "SysRng",
    "ThreadRng",
];

/// The library's upper layers, which serve strangers whatever they ask.
const UPPER: [&str; 8] = [
    "ant_quic::Node",
    "ant_quic::NodeConfig",
    "ant_quic::P2pEndpoint",
    "ant_quic::NatTraversalEndpoint",
    "ant_quic::nat_traversal_api",
    "ant_quic::node",
    "ant_quic::p2p_endpoint",
    "ant_quic::StrategyConfig",
];
/// Where they are measured, as the yardstick for ours.
const YARDSTICK: &str = "lab/fleet/stock.rs";

/// What opens a file without a look at what it is and whose.
const OPENS: [&str; 6] =
    ["fs::read", "fs::read_to_string", "File::open", "File::options", "File::create", "OpenOptions"];
/// Where that may stand: the one place that looks, what the system itself says in files
/// (/proc, /etc/group), syncs of what was just written, and files that must be new.
const OPENERS: [&str; 12] = [
    "files/",
    "node/disk.rs",
    "node/cache.rs",
    "tui/history/bundle/write.rs",
    "node/holder.rs",
    "control/client.rs",
    "control/socket.rs",
    "lab/userns.rs",
    "lab/drill/soak.rs",
    "lab/dir.rs",
    "lab/network/",
    "cli/config.rs",
];

/// The parts of a layer, the lowest first: each names only those before it, so that no two
/// of them, however many lie between, name each other.
const FLOORS: [(&str, &[&str]); 1] = [(
    "tui",
    &[
        "theme", "fmt", "filter", "logs", "lab", "fleet", "fuzzy", "line", "input", "bindings", "pane",
        "lists", "message", "entry", "commands", "history", "draw", "panes", "overlays", "app", "view",
        "terminal", "faults", "run",
    ],
)];

/// Parts that lie beside each other and do not name each other, but for what all of them
/// are made by.
const BESIDE: [(&[&str], &str); 2] =
    [(&["crate", "tui", "panes"], "component"), (&["crate", "tui", "overlays"], "")];

/// The structs that only hold parts, and how many those may be.
const SWITCHBOARDS: [(&str, &str, usize); 1] = [("tui/app/mod.rs", "pub(crate) struct App {", 14)];

/// Files that belong to no layer: they only tie them together.
const TIES: [&str; 2] = ["lib", "main"];

/// Everything that a source file does wrong. `path` is relative to `src/`.
fn violations(path: &Path, source: &str) -> BTreeSet<String> {
    let module = module_path(path);
    let top = module.first().map_or("", String::as_str);
    if TIES.contains(&top) {
        return BTreeSet::new();
    }
    let Some(layer) = LAYERS.iter().find(|l| l.name == top) else {
        return BTreeSet::from([format!(
            "{}: the layer {top} has no rule in tests/layers.rs",
            path.display()
        )]);
    };
    let mut found = BTreeSet::new();
    for written in paths(&code_of(source)) {
        let full = absolute(&module, &written);
        let text = full.join("::");
        let wrong = if full[0] == "crate" {
            let inside = full.get(1).is_none_or(|m| m == top);
            let rest = full[1..].join("::");
            !inside && !layer.modules.iter().any(|m| is_under(&rest, m))
        } else {
            GUARDED.contains(&full[0].as_str()) && !layer.crates.contains(&full[0].as_str())
        };
        let banned = layer
            .banned
            .iter()
            .any(|b| if b.contains("::") { is_under(&text, b) } else { full.iter().any(|s| s == b) });
        let upper = UPPER.iter().any(|u| is_under(&text, u)) && path != Path::new(YARDSTICK);
        let opens = OPENS.iter().any(|o| format!("::{text}::").contains(&format!("::{o}::")))
            && !OPENERS.iter().any(|o| path.to_string_lossy().starts_with(o));
        if wrong || banned || upper || opens {
            found.insert(format!("{}: {top} must not name {text}", path.display()));
        }
    }
    found
}

/// What a part of a layer names that lies above it or beside it.
fn crossings(path: &Path, source: &str) -> BTreeSet<String> {
    let module = module_path(path);
    let mut found = BTreeSet::new();
    for written in paths(&code_of(source)) {
        let full = absolute(&module, &written);
        if full[0] != "crate" || module.len() < 2 {
            continue;
        }
        let floor = FLOORS.iter().find(|(layer, _)| *layer == module[0] && full.get(1) == Some(&module[0]));
        let place = |part: Option<&String>| {
            floor.and_then(|(_, parts)| parts.iter().position(|p| part.is_some_and(|part| part == p)))
        };
        let above = matches!((place(module.get(1)), place(full.get(2))), (Some(own), Some(it)) if it > own);
        let beside = BESIDE.iter().any(|(parts, common)| {
            let depth = parts.len();
            let is_in = module.len() >= depth && module[..depth - 1].iter().eq(parts[1..].iter());
            let own = module.get(depth - 1);
            let it = full.get(depth).filter(|_| full[..depth].iter().eq(parts.iter()));
            let is_part = |name: &String| name.chars().next().is_some_and(char::is_lowercase);
            is_in && own.is_some() && it.is_some_and(|it| Some(it) != own && it != common && is_part(it))
        });
        if above || beside {
            found.insert(format!("{}: {} must not name {}", path.display(), module[1], full.join("::")));
        }
    }
    found
}

/// Whether a path is the one given or lies below it.
fn is_under(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `node/wire/frame.rs` is `node::wire::frame`, `node/mod.rs` is `node`.
fn module_path(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        path.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
    parts.pop_if(|last| last == "mod");
    parts
}

/// `super` and `self` resolved, and our own crate under one name.
fn absolute(module: &[String], written: &[String]) -> Vec<String> {
    let ups = written.iter().take_while(|s| *s == "super" || *s == "self").count();
    let supers = written[..ups].iter().filter(|s| *s == "super").count();
    match written[0].as_str() {
        "super" | "self" => {
            let kept = module.len().saturating_sub(supers);
            let start = std::iter::once("crate".to_owned()).chain(module[..kept].iter().cloned());
            start.chain(written[ups..].iter().cloned()).collect()
        }
        "punchdeck" => std::iter::once("crate".to_owned()).chain(written[1..].iter().cloned()).collect(),
        _ => written.to_vec(),
    }
}

/// The source without comments, texts, and the unit tests at its end.
fn code_of(source: &str) -> String {
    let source = &source[..unit_tests_at(source)];
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == '"' {
            text_len(rest)
        } else if let Some(hashes) = raw_text(rest).filter(|_| !out.ends_with(is_word)) {
            let end = format!("\"{hashes}");
            let start = 2 + hashes.len();
            rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
        } else if c == '\'' {
            char_len(rest)
        } else {
            0
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skip..];
        }
    }
    out
}

/// Where the unit tests begin; clippy sees to it that nothing follows them. A
/// `mod tests;` is a file of its own, and not read.
fn unit_tests_at(source: &str) -> usize {
    const MARK: &str = "\n#[cfg(test)]\nmod ";
    source
        .match_indices(MARK)
        .find(|(at, _)| source[at + MARK.len()..].lines().next().is_some_and(|l| l.contains('{')))
        .map_or(source.len(), |(at, _)| at)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a text in quotes, with its escapes.
fn text_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The hashes of a raw text that begins here.
fn raw_text(rest: &str) -> Option<String> {
    let after = rest.strip_prefix('r')?;
    let hashes: String = after.chars().take_while(|c| *c == '#').collect();
    after[hashes.len()..].starts_with('"').then_some(hashes)
}

/// The length of a character literal; 0 for a lifetime.
fn char_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, c))) => {
            rest[at + c.len_utf8()..].find('\'').map_or(0, |end| at + c.len_utf8() + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

const KEYWORDS: [&str; 10] = ["as", "dyn", "extern", "for", "impl", "in", "mut", "pub", "return", "use"];

/// Every path in the code, `a::{b, c::d}` taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        // What may stand before a path is no part of it, also before `::a`.
        let word = tokens[at].starts_with(is_word) && !KEYWORDS.contains(&tokens[at].as_str());
        at = if word { tree(&tokens, at, &[], &mut out) } else { at + 1 };
    }
    out
}

/// Reads one path from `at` on; gives the place after it.
fn tree(tokens: &[String], mut at: usize, above: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let mut path = above.to_vec();
    while let Some(token) = tokens.get(at).filter(|t| t.starts_with(is_word)) {
        path.push(token.clone());
        at += 1;
        if tokens.get(at).is_none_or(|t| t != "::") {
            break;
        }
        at += 1;
        if tokens.get(at).is_some_and(|t| t == "{") {
            at += 1;
            while tokens.get(at).is_some_and(|t| t != "}") {
                let next = tree(tokens, at, &path, out);
                // Commas, stars and renames lie between.
                at = if next == at { at + 1 } else { skip_rename(tokens, next) };
            }
            return at + 1;
        }
    }
    if path.len() > above.len() {
        out.push(path);
    }
    at
}

fn skip_rename(tokens: &[String], at: usize) -> usize {
    if tokens.get(at).is_some_and(|t| t == "as") { at + 2 } else { at }
}

fn tokens(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = code.trim_start();
    while let Some(c) = rest.chars().next() {
        let len = if is_word(c) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            c.len_utf8()
        };
        out.push(rest[..len].to_owned());
        rest = rest[len..].trim_start();
    }
    out
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            out.push(path);
        }
    }
}

#[test]
fn every_layer_names_only_what_lies_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 20, "the sources were found");
    let found: Vec<String> = files
        .iter()
        .flat_map(|f| violations(f.strip_prefix(&src).unwrap(), &fs::read_to_string(f).unwrap()))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn parts_of_a_layer_name_only_what_lies_below_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for (layer, parts) in FLOORS {
        let mut files = Vec::new();
        sources(&src.join(layer), &mut files);
        for file in files {
            let path = file.strip_prefix(&src).unwrap();
            if path.components().any(|part| part.as_os_str() == "tests") {
                continue;
            }
            let part = module_path(path).get(1).cloned();
            // What only tests see may see all.
            let known = part.is_none_or(|part| {
                parts.contains(&part.as_str()) || ["demo", "property"].contains(&part.as_str())
            });
            assert!(known, "{}: its part has no place in FLOORS", path.display());
            found.extend(crossings(path, &fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_part_that_names_one_above_or_beside_it_is_caught() {
    let caught = |path: &str, source: &str| !crossings(Path::new(path), source).is_empty();
    assert!(caught("tui/panes/nat.rs", "use crate::tui::app::App;"));
    assert!(caught("tui/lists/rows.rs", "use super::super::draw::Pen;"));
    assert!(caught("tui/panes/nat.rs", "use super::gossip::Gossip;"));
    assert!(caught("tui/overlays/help.rs", "use crate::tui::overlays::palette::Hit;"));
    assert!(!caught("tui/panes/nat.rs", "use super::component::Component;\nuse crate::tui::draw::Pen;"));
    assert!(!caught("tui/panes/relays/held.rs", "use super::table::Cells;"));
    assert!(!caught("tui/overlays/why/draw.rs", "use crate::tui::panes::ladder;"));
}

#[test]
fn a_switchboard_holds_few_parts() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (file, start, most) in SWITCHBOARDS {
        let code = code_of(&fs::read_to_string(src.join(file)).unwrap());
        let (_, after) = code.split_once(start).expect("the struct is there");
        let (fields, _) = after.split_once('}').unwrap();
        let fields = fields.lines().filter(|line| line.contains(':')).count();
        assert!((1..=most).contains(&fields), "{file}: {fields} fields, at most {most} are wanted");
    }
}

#[track_caller]
fn caught(path: &str, source: &str, expected: &str) {
    let found = violations(Path::new(path), source);
    assert!(found.iter().any(|v| v.ends_with(expected)), "{expected:?} in {found:?}");
}

#[track_caller]
fn allowed(path: &str, source: &str) {
    assert_eq!(violations(Path::new(path), source), BTreeSet::new());
}

#[test]
fn an_arrow_that_points_up_is_caught_however_it_is_written() {
    caught("model/peer.rs", "use crate::core::limits;", "model must not name crate::core::limits");
    caught(
        "core/ladder.rs",
        "use crate::{model::PeerId, node::feed};",
        "core must not name crate::node::feed",
    );
    caught("core/gossip/merge.rs", "use super::super::super::node::feed;", "crate::node::feed");
    caught("core/ladder.rs", "fn f() { crate::tui::draw() }", "crate::tui::draw");
    caught("core/ladder.rs", "fn f() { punchdeck::node::feed::x() }", "crate::node::feed::x");
    caught("node/runtime.rs", "pub(crate) use crate::tui as screen;", "crate::tui");
    caught("tui/app.rs", "use crate::node::{feed::Feed, runtime::Node};", "crate::node::runtime::Node");
    caught("tui/app.rs", "use crate::node::*;", "tui must not name crate::node");
    caught("identity.rs", "use crate::cli::Failure;", "crate::cli::Failure");
    caught("identity.rs", "\n#[cfg(test)]\nmod tests;\nuse crate::cli::Failure;", "crate::cli::Failure");
}

#[test]
fn a_crate_outside_its_layer_is_caught() {
    caught("core/ladder.rs", "use ant_quic::PeerId;", "ant_quic::PeerId");
    caught("identity.rs", "use ::ant_quic::{Node, PeerId as P};", "ant_quic::PeerId");
    caught("node/runtime.rs", "fn f(a: ratatui::Frame) {}", "ratatui::Frame");
    caught("core/ladder.rs", "#[tokio::test]\nasync fn f() {}", "tokio::test");
    caught("lab/fleet.rs", "use crossterm::event;", "crossterm::event");
    caught("cli/lab.rs", "use patchbay::Lab;", "patchbay::Lab");
    caught("node/mod.rs", "fn f() { patchbay::init_userns() }", "patchbay::init_userns");
}

#[test]
fn the_librarys_upper_layers_are_caught_but_for_the_yardstick() {
    caught("node/x.rs", "use ant_quic::{Endpoint, Node};", "node must not name ant_quic::Node");
    caught(
        "node/x.rs",
        "fn f(id: ant_quic::nat_traversal_api::PeerId) {}",
        "node must not name ant_quic::nat_traversal_api::PeerId",
    );
    allowed("node/x.rs", "use ant_quic::{Endpoint, high_level::Incoming};");
    allowed(YARDSTICK, "use ant_quic::{Node, NodeConfig};");
}

#[test]
fn a_file_that_is_opened_without_a_look_at_it_is_caught() {
    caught("node/x.rs", "fn f() { std::fs::read(p) }", "node must not name std::fs::read");
    caught("cli/x.rs", "use std::fs::{self, OpenOptions};", "cli must not name std::fs::OpenOptions");
    caught("lab/x.rs", "fn f() { fs::File::open(p) }", "lab must not name fs::File::open");
    allowed("node/x.rs", "fn f() { LogFile::open(p); read::bytes(p, 1); fs::read_dir(p); fs::read_link(p) }");
    allowed("files/read.rs", "use std::fs::OpenOptions;");
}

#[test]
fn clocks_disks_sockets_and_chance_are_caught_in_the_core() {
    for source in [
        "use std::time::{Duration, Instant};",
        "fn f() { std::time::SystemTime::now(); }",
        "use std::{env, fmt};",
        "use std::fs;",
        "use std::net::{SocketAddr, UdpSocket};",
        "fn f() { rand::rng(); }",
        "use rand::rngs::OsRng;",
    ] {
        assert_eq!(violations(Path::new("core/x.rs"), source).len(), 1, "{source}");
    }
}

#[test]
fn a_new_layer_needs_a_rule() {
    caught("other/mod.rs", "", "the layer other has no rule in tests/layers.rs");
}

#[test]
fn what_is_below_or_no_code_is_left_alone() {
    allowed(
        "core/ladder.rs",
        "use crate::model::{PeerId, Stamp};\nuse super::limits;\nuse std::net::SocketAddr;",
    );
    allowed("core/ladder.rs", "use rand::rngs::StdRng;\nuse std::time::Duration;");
    allowed(
        "core/ladder.rs",
        "// crate::node\n/* ant_quic::x */ const A: &str = \"tokio::x \\\" crate::tui\";",
    );
    allowed(
        "core/ladder.rs",
        "const A: &str = r#\"std::fs \" crate::tui\"#; const B: char = '\"'; fn f<'a>() {}",
    );
    allowed("core/ladder.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use tokio::time; }");
    allowed("tui/app.rs", "use crate::node::feed::Feed;\nuse ratatui::Frame;\nuse super::theme::Theme;");
    allowed("node/disk.rs", "use std::fs;\nuse ant_quic::Endpoint;\nuse super::lock::DataDirLock;");
    allowed("main.rs", "fn main() { punchdeck::cli::main() }");
}
