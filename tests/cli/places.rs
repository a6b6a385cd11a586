//! Files and places: what is read is a file of that size, what is written is ours, and
//! what is printed has got out or is said not to have.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Home, Run};

/// Runs for a few seconds at most, however it is made to wait.
fn soon(command: &mut Command) -> Run {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(10) {
            child.kill().unwrap();
            panic!("{command:?} waits; {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Run(child.wait_with_output().unwrap())
}

fn command(home: &Home, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_punchdeck"));
    command.args(args).env_clear().env("HOME", home.0.path()).current_dir(home.0.path());
    command
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const NODE: [&str; 6] = ["run", "--headless", "--bind", "127.0.0.1:0", "--data-dir", "data"];

/// Makes what is no file of ours, and gives what is said of each.
#[cfg(target_os = "linux")]
fn no_files(home: &Home) -> Vec<(String, &'static str)> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let path = |name: &str| home.path(name).to_str().unwrap().to_owned();
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    fs::create_dir(path("dir")).unwrap();
    let large = fs::File::create(path("large")).unwrap();
    large.set_len(300 * 1024 * 1024).unwrap();
    chmod(&home.path("large"), 0o600);
    drop(std::os::unix::net::UnixListener::bind(path("socket")).unwrap());
    vec![
        (path("pipe"), "it is a pipe, not a file"),
        (path("dir"), "it is a directory, not a file"),
        (path("socket"), "it is a socket, not a file"),
        ("/dev/zero".to_owned(), "it is a device, not a file"),
        (path("large"), "314572800 bytes"),
    ]
}

/// The arguments of a command that reads this file.
type Reader<'a> = &'a dyn Fn(&str) -> Vec<String>;

#[test]
#[cfg(target_os = "linux")]
fn whatever_is_no_file_of_that_kind_is_refused_at_once_wherever_a_file_is_read() {
    let home = Home::new();
    let readers: [Reader<'_>; 8] = [
        &|path| vec!["config".into(), "check".into(), "--config".into(), path.into()],
        &|path| vec!["keys".into(), "--config".into(), path.into()],
        &|path| {
            let file = home.file("secret.toml", &format!("network_secret_file = \"{path}\"\n"));
            ["config", "check", "--config", &file].map(str::to_owned).into()
        },
        &|path| ["registry", "--listen", "127.0.0.1:0", "--token-file", path].map(str::to_owned).into(),
        &|path| ["lab", "--topology", path].map(str::to_owned).into(),
        &|path| ["lab", "run", path, "--loopback"].map(str::to_owned).into(),
        &|path| ["lab", "run", "same_nat", "--fleet", path].map(str::to_owned).into(),
        &|path| ["replay", path].map(str::to_owned).into(),
    ];
    for (path, why) in no_files(&home) {
        for args in readers {
            let args = args(&path);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let err = soon(&mut command(&home, &args)).fails(2);
            assert!(err.contains(why) && err.contains(&path), "{args:?}: {err}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn whatever_stands_in_the_place_of_the_key_is_no_key_and_stays() {
    for n in 0..5 {
        let home = Home::new();
        fs::create_dir(home.path("data")).unwrap();
        chmod(&home.path("data"), 0o700);
        let (path, why) = no_files(&home).swap_remove(n);
        let key = home.path("data/identity.key");
        if path.starts_with("/dev") {
            symlink(&path, &key).unwrap();
        } else {
            fs::rename(&path, &key).unwrap();
        }
        let err = soon(command(&home, &NODE).env("PUNCHDECK_LOG_FILTER", "error")).fails(2);
        assert!(err.contains("identity.key is damaged") && err.contains(why), "{err}");
        assert!(key.symlink_metadata().is_ok());
    }
}

#[test]
fn a_link_in_the_place_of_a_lock_or_a_log_costs_what_it_leads_to_nothing() {
    let home = Home::new();
    let victim = home.file("victim", "precious");
    for name in ["data/lock", "data/punchdeck.log", "r.db.lock", "dangling.db"] {
        let _ = fs::remove_dir_all(home.path("data"));
        fs::create_dir(home.path("data")).unwrap();
        chmod(&home.path("data"), 0o700);
        let to = if name == "dangling.db" { "nowhere" } else { &victim };
        symlink(to, home.path(name)).unwrap();
        let db = if name == "dangling.db" { name } else { "r.db" };
        let registry = ["registry", "--listen", "127.0.0.1:0", "--db", db];
        let args = if name.starts_with("data") { &NODE[..] } else { &registry };
        let err = soon(command(&home, args).env("PUNCHDECK_LOG_FILTER", "error")).fails(2);
        assert!(err.contains("it is a symbolic link"), "{name}: {err}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{name}");
        assert!(!home.path("nowhere").exists());
        fs::remove_file(home.path(name)).unwrap();
    }
}

#[test]
fn a_data_directory_that_others_may_write_is_refused_and_nothing_is_written_into_it() {
    let home = Home::new();
    fs::create_dir(home.path("data")).unwrap();
    chmod(&home.path("data"), 0o1777);
    let err = soon(command(&home, &NODE).env("PUNCHDECK_LOG_FILTER", "error")).fails(2);
    assert!(err.contains("others") && err.contains("1777"), "{err}");
    assert_eq!(fs::read_dir(home.path("data")).unwrap().count(), 0);
}

#[test]
fn a_socket_where_others_can_put_theirs_is_refused_by_the_node_and_by_check() {
    let home = Home::new();
    fs::create_dir(home.path("common")).unwrap();
    chmod(&home.path("common"), 0o1777);
    let socket = ["--socket", "common/s"];
    for args in [&[&NODE[..], &socket].concat()[..], &["config", "check", "--socket", "common/s"]] {
        let err = soon(command(&home, args).env("PUNCHDECK_LOG_FILTER", "error")).fails(2);
        assert!(err.contains("where others can put one of theirs"), "{err}");
        assert!(err.contains("mode 1777"), "{err}");
    }
    assert_eq!(fs::read_dir(home.path("common")).unwrap().count(), 0);
    assert!(!home.path("data").exists(), "nothing was begun");
}

#[test]
fn a_path_is_never_printed_so_that_a_terminal_obeys_it() {
    let home = Home::new();
    let file = home.file("c\u{1b}[2J\u{202e}.toml", "");
    let out = home.run(&["config", "check", "--config", &file], &[]).succeeds();
    assert!(out.contains(r"c\u{1b}[2J\u{202e}.toml: no mistakes"), "{out}");
    // A program that asks for the path gets it byte for byte.
    let path = std::ffi::OsStr::from_bytes(b"no\xfftext\x1b.toml");
    let out = command(&home, &["config", "path", "--config"]).arg(path).output().unwrap();
    assert_eq!(out.stdout, [path.as_bytes(), b"\n"].concat());
}

#[test]
fn a_name_in_which_something_cannot_be_seen_is_refused() {
    let home = Home::new();
    for unseen in
        ["pub\u{e0041}-1", "pub\u{200b}-1", "pub\u{a0}1", "\u{202e}1-bup", "pub\u{fe0f}", "\u{2800}"]
    {
        let err = home.run(&["config", "check", "--name", unseen], &[]).fails(2);
        assert!(err.contains("name = "), "{unseen:?}: {err}");
        let shown = unseen.chars().filter(|c| !c.is_ascii()).map(|c| c.escape_default().to_string());
        assert!(shown.into_iter().all(|escape| err.contains(&escape)), "shown as an escape: {err}");
    }
    home.run(&["config", "check", "--name", "köln 1"], &[]).succeeds();
}

#[test]
#[cfg(target_os = "linux")]
fn every_command_whose_output_is_lost_says_why_and_exits_1() {
    let home = Home::new();
    home.file("old.toml", "");
    for args in [
        &["--help"][..],
        &["--version"],
        &["help"],
        &["ctl", "--help"],
        &["lab", "run", "-h"],
        &["config", "init"],
        &["config", "check"],
        &["config", "show"],
        &["config", "path"],
        &["keys"],
        &["completions", "bash"],
        &["man"],
        &["lab", "list"],
        &["registry", "--listen", "127.0.0.1:0"],
        &["lab", "--loopback", "--nodes", "2"],
        &["lab", "run", "gossip_discovery", "--loopback"],
        &["lab", "run", "gossip_discovery", "--loopback", "--json"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut child = command(&home, args)
            .env("PUNCHDECK_LOG_FILTER", "off")
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(90) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        assert!(err.contains("punchdeck: standard output: "), "{args:?}: {err}");
    }
}

#[test]
fn a_topology_in_which_nothing_is_measured_does_not_pass() {
    let home = Home::new();
    let text = "[[region]]\nname = \"r\"\n[[host]]\nname = \"a\"\nupstream = \"r\"\n\
                [[host]]\nname = \"b\"\nupstream = \"r\"\n";
    let file = home.file("public.toml", text);
    let run = home.run(&["lab", "--self-test", "--topology", &file], &[]);
    assert_eq!(run.code(), 1, "{}{}", run.out(), run.err());
    // Where this host has no labs it says that.
    if !run.err().contains("try") {
        assert!(!run.out().contains("pass"), "{}", run.out());
        assert!(run.err().contains("there was nothing to measure"), "{}", run.err());
    }
}
