//! The command line as a person meets it: the real binary, its output, its
//! exit codes.

#![allow(clippy::unwrap_used)] // clippy exempts test functions, not their helpers

#[path = "cli/incident.rs"]
mod incident;
#[path = "cli/mistakes.rs"]
mod mistakes;
#[path = "cli/places.rs"]
mod places;
#[path = "cli/sockets.rs"]
mod sockets;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A home directory of its own, so that nothing of this machine is read.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_punchdeck"))
            .args(args)
            .env_clear()
            .env("HOME", self.0.path())
            .envs(env.iter().copied())
            .current_dir(self.0.path())
            .output()
            .unwrap();
        Run(output)
    }
}

struct Run(Output);

impl Run {
    fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// The one line that says what is wrong.
    #[track_caller]
    fn fails(&self, code: i32) -> String {
        assert_eq!(self.code(), code, "{} {}", self.out(), self.err());
        assert_eq!(self.out(), "");
        let err = self.err();
        assert!(err.starts_with("punchdeck: ") && err.lines().count() == 1, "{err}");
        err
    }

    #[track_caller]
    fn succeeds(&self) -> String {
        assert_eq!((self.code(), self.err().as_str()), (0, ""));
        self.out()
    }
}

#[test]
fn an_unknown_key_names_the_nearest_one_and_exits_2() {
    let home = Home::new();
    let file = home.file("c.toml", "\nbootsrap = []\n");
    let err = home.run(&["config", "check", "--config", &file], &[]).fails(2);
    assert!(
        err.contains(&format!("{file}:2: unknown key \"bootsrap\", the nearest is \"bootstrap\"")),
        "{err}"
    );
}

#[test]
fn a_value_out_of_range_names_the_bounds_and_exits_2() {
    let home = Home::new();
    let file = home.file("c.toml", "direct_window = \"1s\"\n");
    for command in ["check", "show"] {
        let err = home.run(&["config", command, "--config", &file], &[]).fails(2);
        assert!(
            err.contains(&format!("direct_window = \"1s\" ({file}:1): must be a time from 2s to 5s")),
            "{err}"
        );
    }
    let err = home.run(&["config", "check", "--bind", "nowhere"], &[]).fails(2);
    assert!(err.contains("bind = \"nowhere\" (flag --bind): must be an IP address and a port"), "{err}");
}

#[test]
fn check_lists_every_mistake_with_one_line_for_each() {
    let home = Home::new();
    let file = home.file("c.toml", "punch = \"maybe\"\nascii = true\nnmae = \"x\"\n");
    let check = home.run(&["config", "check", "--config", &file], &[("PUNCHDECK_NETWORK", "A B")]);
    assert_eq!(check.code(), 2);
    let err = check.err();
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 4, "{err}");
    for (line, about) in lines.iter().zip(["punch = ", "ascii = true", "unknown key \"nmae\"", "network = "])
    {
        assert!(line.starts_with("punchdeck: ") && line.contains(about), "{about} in {line}");
    }
}

#[test]
fn an_unreadable_file_is_named_and_exits_2() {
    let home = Home::new();
    let dir = home.path("dir");
    fs::create_dir(&dir).unwrap();
    for path in [dir.to_str().unwrap(), home.path("missing.toml").to_str().unwrap()] {
        let err = home.run(&["config", "check", "--config", path], &[]).fails(2);
        assert!(err.contains(&format!("the configuration {path} cannot be read")), "{err}");
        assert!(err.matches("os error").count() <= 1, "said once: {err}");
        let err = home.run(&["config", "show"], &[("PUNCHDECK_CONFIG", path)]).fails(2);
        assert!(err.contains(path), "{err}");
    }
}

#[test]
fn show_says_whether_a_value_comes_from_a_flag_a_variable_the_file_or_nowhere() {
    let home = Home::new();
    let file = home.file("c.toml", "# comment\nrelay_after = \"3s\"\nname = \"from-file\"\n");
    let shown = home
        .run(
            &["config", "show", "--config", &file, "--name", "from-flag"],
            &[("PUNCHDECK_BIND", "127.0.0.1:0")],
        )
        .succeeds();
    for (value, origin) in [
        ("name = \"from-flag\"", "# flag --name"),
        ("bind = \"127.0.0.1:0\"", "# environment PUNCHDECK_BIND"),
        ("relay_after = \"3s\"", &format!("# {file}:2")),
        ("punch = \"any\"", "# default"),
    ] {
        let line =
            shown.lines().find(|l| l.starts_with(value)).unwrap_or_else(|| panic!("{value} in {shown}"));
        assert!(line.ends_with(origin), "{line}");
    }
}

#[test]
fn init_writes_the_example_where_the_next_start_reads_it_and_never_overwrites() {
    let home = Home::new();
    let path = home.run(&["config", "path"], &[]).succeeds();
    let path = Path::new(path.trim_end());
    assert!(path.starts_with(home.0.path()), "{}", path.display());
    assert!(home.run(&["config", "check"], &[]).succeeds().ends_with("not there, the defaults hold\n"));

    home.run(&["config", "init"], &[]).succeeds();
    assert_eq!(fs::read_to_string(path).unwrap(), include_str!("../config.example.toml"));
    assert!(home.run(&["config", "check"], &[]).succeeds().ends_with("no mistakes\n"));

    fs::write(path, "name = \"mine\"\n").unwrap();
    let err = home.run(&["config", "init"], &[]).fails(1);
    assert!(err.contains(path.to_str().unwrap()) && err.contains("it is there already"), "{err}");
    assert_eq!(fs::read_to_string(path).unwrap(), "name = \"mine\"\n");
}

#[test]
fn a_secret_that_others_may_read_is_refused_and_a_good_one_is_never_shown() {
    let home = Home::new();
    let digits = "0123456789abcdef".repeat(4);
    home.file("secret", &digits);
    let file = home.file("c.toml", "network_secret_file = \"secret\"\n");
    fs::set_permissions(home.path("secret"), fs::Permissions::from_mode(0o644)).unwrap();
    let err = home.run(&["config", "check", "--config", &file], &[]).fails(2);
    assert!(err.contains("chmod 600") && !err.contains(&digits), "{err}");
    fs::set_permissions(home.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let shown = home.run(&["config", "show", "--config", &file], &[]).succeeds();
    assert!(shown.contains("the network secret is set") && !shown.contains(&digits), "{shown}");
}

#[test]
fn a_misspelt_variable_is_an_error_and_not_ignored() {
    let err = Home::new().run(&["config", "show"], &[("PUNCHDECK_BOOTSTRAPS", "")]).fails(2);
    assert!(err.contains("the nearest is \"PUNCHDECK_BOOTSTRAP\""), "{err}");
}

#[test]
fn a_variable_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let home = Home::new();
    let output = Command::new(env!("CARGO_BIN_EXE_punchdeck"))
        .args(["config", "check"])
        .env_clear()
        .env("HOME", home.0.path())
        .env("PUNCHDECK_NAME", std::ffi::OsStr::from_bytes(b"\xff\x1b[2J"))
        .output()
        .unwrap();
    let err = Run(output).fails(2);
    assert!(err.contains("(environment PUNCHDECK_NAME): must be UTF-8") && !err.contains('\x1b'), "{err}");
}

#[test]
fn wrong_usage_exits_2() {
    let home = Home::new();
    for args in
        [&["no-such-command"][..], &["--no-such-flag"], &["lab", "--nodes", "1"], &["completions", "tcl"]]
    {
        assert_eq!(home.run(args, &[]).code(), 2, "{args:?}");
    }
}

#[test]
fn an_old_configuration_is_told_what_became_of_its_keys() {
    let home = Home::new();
    let file = home.file("old.toml", "relay_egress = \"require-closed\"\n");
    let run = ["run", "--headless", "--bind", "127.0.0.1:0", "--data-dir", "data"];
    for args in [&[&run[..], &["--config", &file]].concat()[..], &["config", "check", "--config", &file]] {
        let err = home.run(args, &[]).fails(2);
        assert!(err.contains(&format!("{file}:1: relay_egress is gone since 0.2: ")), "{err}");
        assert!(err.contains("linked peers of its own network only"), "{err}");
    }
    let err = home.run(&run, &[("PUNCHDECK_RELAY_EGRESS", "warn")]).fails(2);
    assert!(err.contains("environment PUNCHDECK_RELAY_EGRESS: relay_egress is gone since 0.2: "), "{err}");
    assert!(!home.path("data").exists(), "nothing was begun");
}

#[test]
fn completions_and_the_manual_page_name_every_command() {
    let home = Home::new();
    for args in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]] {
        let out = home.run(args, &[]).succeeds();
        for command in ["run", "lab", "config", "completions"] {
            assert!(out.contains(command), "{command} in {args:?}");
        }
    }
}

/// Runs a shell on a script; nothing where there is no such shell.
fn shell(name: &str, args: &[&str]) -> Option<Run> {
    match Command::new(name).args(args).output() {
        Ok(output) => Some(Run(output)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => panic!("{name}: {e}"),
    }
}

#[test]
fn every_shell_reads_its_completions() {
    let home = Home::new();
    for name in ["bash", "zsh", "fish"] {
        let script = home.run(&["completions", name], &[]).succeeds();
        let file = home.file(&format!("completions.{name}"), &script);
        let Some(read) = shell(name, &["-n", &file]) else { continue };
        assert_eq!((read.code(), read.err().as_str()), (0, ""), "{name}");
    }
}

#[test]
fn completions_offer_verbs_flags_and_the_peers_of_the_running_node() {
    let home = Home::new();
    let script = home.file("completions", &home.run(&["completions", "bash"], &[]).succeeds());
    let id = "0123456789abcdef".repeat(4);
    // Stands for the node; the name is one that a shell had better not expand.
    let answer = format!(r#"{{"peers":[{{"peer_id":"{id}","name":"$(touch pwned)"}}]}}"#);
    let fake = home.file("fake", &format!("#!/bin/sh\ncat <<'EOF'\n{answer}\nEOF\n"));
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let complete = |line: &str| {
        let cursor = line.split(' ').count() - 1;
        let words = line.replacen("punchdeck", &fake, 1).replace(' ', "' '");
        let dir = home.0.path().display();
        let ask = format!(
            "cd {dir}; . {script}; COMP_WORDS=('{words}'); COMP_CWORD={cursor}; \
             _punchdeck_or_peers {fake} \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             echo \"${{COMPREPLY[@]}}\""
        );
        shell("bash", &["-c", &ask]).map(|run| run.succeeds().trim_end().to_owned())
    };
    if complete("punchdeck ").is_none() {
        return;
    }
    assert_eq!(complete("punchdeck ctl conn").unwrap(), "connect");
    assert_eq!(complete("punchdeck ctl --so").unwrap(), "--socket");
    assert_eq!(complete("punchdeck ctl connect --js").unwrap(), "--json");
    for verb in ["connect", "why", "attempts", "sync", "disconnect", "punch", "relay", "failover"] {
        assert_eq!(complete(&format!("punchdeck ctl {verb} ")).unwrap(), "0123456789ab", "{verb}");
    }
    assert_eq!(complete("punchdeck ctl connect 9").unwrap(), "");
    assert!(!home.path("pwned").exists());
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let home = Home::new();
    assert_eq!(home.run(&["man", "--dir", "pages/man1"], &[]).succeeds(), "");
    for page in
        ["punchdeck", "punchdeck-run", "punchdeck-ctl", "punchdeck-ctl-connect", "punchdeck-config-init"]
    {
        let text = fs::read_to_string(home.path(&format!("pages/man1/{page}.1"))).unwrap();
        assert!(text.contains(".TH ") && text.contains(page), "{page}: {text}");
    }
    let main = fs::read_to_string(home.path("pages/man1/punchdeck.1")).unwrap();
    assert!(main.contains("punchdeck\\-ctl(1)"), "the first one names the others: {main}");
    home.file("file", "");
    let err = home.run(&["man", "--dir", "file"], &[]).fails(1);
    assert!(err.contains("the manual pages were not written to file"), "{err}");
}

#[test]
fn the_unit_is_one_that_systemd_accepts() {
    let home = Home::new();
    let unit = include_str!("../assets/punchdeck.service");
    for line in ["Type=notify-reload", "RuntimeDirectory=punchdeck", "Restart=on-failure"] {
        assert!(unit.lines().any(|l| l == line), "{line}");
    }
    // Every variable of it is one that the program knows.
    let set = unit.lines().filter_map(|l| l.strip_prefix("Environment=")?.split_once('='));
    let set: Vec<_> = set.filter(|(name, _)| *name != "PUNCHDECK_CONFIG").collect();
    assert!(home.run(&["config", "show"], &set).succeeds().contains("environment PUNCHDECK_SOCKET"));
    let Some(version) = shell("systemd-analyze", &["--version"]) else { return };
    let version: u32 = version.out().split_whitespace().nth(1).unwrap().parse().unwrap();
    let unit = unit.replace("/usr/local/bin/punchdeck", env!("CARGO_BIN_EXE_punchdeck"));
    // Older ones know the rest of it.
    let unit = if version < 253 { unit.replace("Type=notify-reload", "Type=notify") } else { unit };
    let file = home.file("punchdeck.service", &unit);
    let verified = shell("systemd-analyze", &["verify", "--man=no", &file]).unwrap();
    assert_eq!((verified.code(), verified.err().as_str()), (0, ""));
}

#[cfg(target_os = "linux")]
#[test]
fn output_into_a_full_disk_is_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let home = Home::new();
    let output = Command::new(env!("CARGO_BIN_EXE_punchdeck"))
        .args(["config", "show"])
        .env_clear()
        .env("HOME", home.0.path())
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("punchdeck: standard output: "));
}

#[test]
fn the_docs_carry_the_table_of_settings_as_the_program_knows_it() {
    let table = punchdeck::config::reference_table();
    let docs = include_str!("../docs/configuration.md");
    assert!(docs.contains(&table), "put this into docs/configuration.md:\n\n{table}");
}

#[test]
fn the_docs_carry_the_keys_of_the_panes_as_the_program_prints_them() {
    let all = Home::new().run(&["keys"], &[]).succeeds();
    let panes = all.split("\n\n").next().unwrap();
    let docs = include_str!("../docs/console.md");
    assert!(
        panes.contains("q ") && docs.contains(&format!("```\n{panes}\n```")),
        "put this into docs/console.md, \"Keys\":\n\n{panes}"
    );
}

#[test]
fn keys_of_the_configuration_are_in_force_and_clashes_are_named_before_anything_starts() {
    let home = Home::new();
    let file = home.file("c.toml", "[keys]\nsync = \"ctrl-y\"\n");
    let keys = home.run(&["keys", "--config", &file], &[]).succeeds();
    let line = keys.lines().find(|l| l.contains("  sync  ")).unwrap();
    assert!(line.starts_with("  ctrl-y "), "{line}");
    assert!(
        home.run(&["config", "show", "--config", &file], &[]).succeeds().contains("keys.sync = \"ctrl-y\"")
    );

    let clash = home.file("clash.toml", "[keys]\nfreeze = \"s\"\n");
    for args in [&["config", "check"][..], &["keys"], &["run", "--headless"]] {
        let err = home.run(&[args, &["--config", &clash]].concat(), &[]).fails(2);
        assert!(
            err.contains(&format!("{clash}:2: [keys]: s would be both sync and freeze, in the panes")),
            "{err}"
        );
    }
    for (text, said) in [
        ("snyc = \"y\"", "there is no action \"snyc\", the nearest is \"sync\""),
        ("sync = \"strg-y\"", "sync = \"strg-y\" is no key: a key is a character (f, F, ?), space"),
        ("help = []", "help needs a key: it can be moved, but not taken away"),
        ("quit-anywhere = \"Q\"", "Q cannot be quit-anywhere: in the palette it is typed"),
    ] {
        let file = home.file("wrong.toml", &format!("[keys]\n{text}\n"));
        let err = home.run(&["config", "check", "--config", &file], &[]).fails(2);
        assert!(err.contains(&format!("{file}:2: [keys]: {said}")), "{err}");
    }
}

#[test]
fn the_unit_and_the_rules_that_the_readme_names_are_shipped_and_set_nothing_that_is_gone() {
    let readme = include_str!("../README.md");
    for shipped in ["assets/punchdeck.nft", "assets/punchdeck.service"] {
        assert!(readme.contains(&format!("]({shipped})")), "{shipped}");
    }
    let unit = include_str!("../assets/punchdeck.service");
    assert!(!unit.contains("PUNCHDECK_RELAY_EGRESS"), "a node would refuse to start");
    assert!(unit.contains("\nIPAddressDeny=localhost "), "belt");
    assert!(include_str!("../assets/punchdeck.nft").contains("goto confined"), "and braces");
}

#[test]
fn a_bad_topology_is_refused_with_its_place_before_anything_is_built() {
    let home = Home::new();
    let lab = |topology: &str| home.run(&["lab", "--topology", topology], &[]);
    assert!(lab("nowhere.toml").fails(2).contains("nowhere.toml cannot be read"));
    let text = "[[region]]\nname = \"r\"\n[[host]]\nname = \"a\"\nupstream = \"q\"\n\
                [[host]]\nname = \"b\"\nupstream = \"r\"\n";
    let error = lab(&home.file("bad.toml", text)).fails(2);
    assert!(error.contains("host \"a\": upstream \"q\" is nowhere; a region (r)"), "{error}");
    assert_eq!(home.run(&["lab", "--loopback", "--self-test"], &[]).code(), 2);
}

#[test]
fn what_a_drill_cannot_use_is_refused_before_anything_is_built() {
    let home = Home::new();
    let error = home.run(&["lab", "run", "same_nat", "--baseline"], &[]).fails(2);
    assert!(error.contains("--baseline compares pairs of NAT types; same_nat has none"), "{error}");
    let error = home.run(&["lab", "run", "soak", "no-such-drill"], &[]).fails(2);
    assert!(error.contains("no-such-drill") && error.contains("the built-in drills are"), "{error}");
    let error = home.run(&["lab", "run", "same_nat", "--for", "10s"], &[]).fails(2);
    assert!(error.contains("no step of it runs for a while"), "{error}");
    assert_eq!(home.run(&["lab", "run", "soak", "--for", "soon"], &[]).code(), 2);
    let error = home.run(&["lab", "run", "soak", "--topology", "nowhere.toml"], &[]).fails(2);
    assert!(error.contains("nowhere.toml cannot be read"), "{error}");
}

#[test]
fn the_lab_draws_as_the_settings_say_and_names_a_bad_one() {
    let home = Home::new();
    let file = home.file("c.toml", "[keys]\nsync = \"c\"\n");
    let error = home.run(&["lab", "--loopback", "--config", &file], &[]).fails(2);
    assert!(error.contains("c would be both sync and connect, in the panes and in the why view"), "{error}");
    let error = home.run(&["lab", "--loopback"], &[("PUNCHDECK_ASCII", "perhaps")]).fails(2);
    assert!(error.contains("PUNCHDECK_ASCII") && error.contains("auto, always or never"), "{error}");
}

#[test]
fn a_lab_measures_itself_or_says_why_it_cannot() {
    let home = Home::new();
    // No PATH: system programs are found where they are.
    let run = home.run(&["lab", "--self-test", "--no-latency", "--nodes", "5"], &[]);
    if run.code() == 0 {
        let table = run.succeeds();
        assert!(table.contains("ok   nat full-cone of full-1"), "{table}");
        assert!(table.contains("pass: 5 checks"), "{table}");
    } else {
        assert!(run.fails(1).contains("try"), "{}", run.err());
    }
}
