//! What the host does not give: an address that somebody has, and open files.

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Home, Run};

/// The binary in a shell that sets limits first.
fn limited(home: &Home, limits: &str, args: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{limits} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_punchdeck")])
        .args(args)
        .env_clear()
        .env("HOME", home.0.path())
        .current_dir(home.0.path());
    command
}

const NODE: [&str; 4] = ["run", "--headless", "--data-dir", "data"];
/// Of the log nothing but what is wrong, so that one line says why it ended.
const QUIET: [(&str, &str); 1] = [("PUNCHDECK_LOG_FILTER", "error")];

#[test]
fn an_address_that_is_taken_is_told_with_its_port_and_the_process_that_has_it() {
    let home = Home::new();
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = held.local_addr().unwrap().to_string();
    let by = format!(", pid {})", std::process::id());

    let err = home.run(&[&NODE[..], &["--bind", &addr]].concat(), &QUIET).fails(2);
    assert!(err.contains(&format!("cannot listen on {addr}: address already in use (by ")), "{err}");
    assert!(err.trim_end().ends_with(&by), "{err}");

    // The same of a probe port that was named.
    let ports = format!("{},1024", held.local_addr().unwrap().port());
    let err =
        home.run(&[&NODE[..], &["--bind", "127.0.0.1:0", "--probe-ports", &ports]].concat(), &QUIET).fails(2);
    let said =
        format!("cannot listen on {addr} for the NAT probes of others (probe_ports): address already in use");
    assert!(err.contains(&said) && err.trim_end().ends_with(&by), "{err}");

    let err = home.run(&[&NODE[..], &["--bind", "198.18.255.254:0"]].concat(), &QUIET).fails(2);
    assert!(err.contains("cannot listen on 198.18.255.254:0: this host has no such address"), "{err}");
}

#[test]
fn a_lab_that_may_open_too_few_files_is_refused_before_it_is_built() {
    let home = Home::new();
    for args in
        [&["lab", "--loopback", "--nodes", "2"][..], &["lab", "run", "gossip_discovery", "--loopback"]]
    {
        let run = Run(limited(&home, "ulimit -n 100", args).output().unwrap());
        let err = run.err();
        assert_eq!((run.code(), run.out().as_str()), (1, ""), "{err}");
        let (_, needs) = err.split_once("this lab needs up to ").unwrap_or_else(|| panic!("{err}"));
        assert!(needs.split(' ').next().unwrap().parse::<u64>().unwrap() > 100, "{err}");
        assert!(err.contains("may have 100 (ulimit -Hn)"), "{err}");
    }
    // Where this host has no such labs it says that first.
    for args in [&["lab", "--self-test"][..], &["lab", "run", "nat_matrix"]] {
        let run = Run(limited(&home, "ulimit -n 100", args).output().unwrap());
        let (out, err) = (run.out(), run.err());
        let unsupported = err.contains("try") || out.contains("unsupported");
        assert_eq!(run.code(), 1, "{err}{out}");
        assert!(unsupported || err.contains("may have 100 (ulimit -Hn)"), "{err}{out}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_may_open_as_many_files_as_the_host_lets_it() {
    let home = Home::new();
    let node = [&NODE[..], &["--bind", "127.0.0.1:0"]].concat();
    let mut command = limited(&home, "ulimit -n 300 && ulimit -Sn 100", &node);
    let mut child = command.stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let raised = loop {
        let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
        let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
        if numbers == ["300", "300"] || begun.elapsed() > Duration::from_secs(20) {
            break numbers == ["300", "300"];
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(raised, "the soft limit is not the hard one");
}
