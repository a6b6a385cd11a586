//! `punchdeck lab` as a newcomer meets it: the real binary in a real terminal,
//! with eight living nodes behind it.
//!
//! That a panic of a node's task leaves the screen whole is shown by
//! tests/console.rs: nothing from outside makes one of these nodes panic.

mod pty;

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use portable_pty::CommandBuilder;
use pty::{Console, END};
use rustix::process::Signal;
use tempfile::TempDir;

/// What `q` has to keep: the console's end and that of eight nodes.
const QUIT: Duration = Duration::from_secs(3);

#[test]
fn a_newcomer_sees_seven_peers_linked_syncs_disconnects_and_quits() -> Result<()> {
    let (mut lab, left) = start(140, 40)?;
    tour(&mut lab)?;
    quit(lab, &left)
}

#[test]
fn the_same_on_a_terminal_of_80_by_24() -> Result<()> {
    let (mut lab, left) = start(80, 24)?;
    tour(&mut lab)?;
    quit(lab, &left)
}

#[test]
fn sigterm_gives_the_terminal_back_and_leaves_no_directory() -> Result<()> {
    ended_by(Signal::TERM)
}

#[test]
fn sighup_gives_the_terminal_back_and_leaves_no_directory() -> Result<()> {
    ended_by(Signal::HUP)
}

#[test]
fn sighup_with_a_console_is_the_end_and_no_reload() -> Result<()> {
    let args = ["run", "--bind", "127.0.0.1:0", "--data-dir", "data", "--name", "node"];
    let home = tempfile::tempdir()?;
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_punchdeck"));
    command.args(args);
    command.env_clear();
    command.env("HOME", home.path());
    command.cwd(home.path());
    let mut console = Console::start(command, 80, 24, true)?;
    console.wait_for("NOTHING TO DIAL")?;
    console.signal(Signal::HUP)?;
    console.wait_for_end(END)?;
    console.is_given_back()
}

#[test]
fn a_dumb_terminal_and_one_without_colours_get_lines_and_no_escape_sequence() -> Result<()> {
    for (set, escapes) in [(("TERM", "dumb"), false), (("NO_COLOR", "1"), false), (("COLORTERM", ""), true)] {
        let home = tempfile::tempdir()?;
        let start = |args: &[&str]| {
            let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_punchdeck"));
            command.args(args);
            command.env_clear();
            command.env("HOME", home.path());
            command.env(set.0, set.1);
            command.cwd(home.path());
            Console::start(command, 120, 40, true)
        };
        let log = ["run", "--headless", "--bind", "127.0.0.1:0", "--data-dir", "data", "--name", "node"];
        let mut node = start(&log)?;
        node.wait_for("node.started")?;
        let mut status = start(&["ctl", "--data-dir", "data", "status"])?;
        status.wait_for("network")?;
        status.wait_for_end(END)?;
        let mut help = start(&["--help"])?;
        help.wait_for("Exit codes")?;
        help.wait_for_end(END)?;
        node.signal(Signal::TERM)?;
        node.wait_for_end(END)?;
        for (what, output) in [("the log", node), ("an answer", status), ("the help", help)] {
            let got = output.wrote("\x1b") > 0;
            ensure!(got == escapes, "{what} with {set:?}: {}", output.screen());
        }
    }
    Ok(())
}

#[test]
fn q_before_the_nodes_know_each_other_leaves_no_directory() -> Result<()> {
    let (lab, left) = start(80, 24)?;
    lab.wait_for("Peers")?;
    quit(lab, &left)
}

#[test]
fn a_wire_and_an_uplink_are_cut_seen_and_healed_from_the_console() -> Result<()> {
    let (mut lab, left) = start_as(&["lab", "--no-latency"], 120, 36)?;
    lab.wait_for("punchdeck  sym-1").or_else(|_| lab.wait_for("punchdeck  lab-8"))?;
    if !lab.screen().contains("punchdeck  sym-1") {
        eprintln!("not tested: this host makes no NAT lab");
        return quit(lab, &left);
    }
    lab.wait_until("peers in every region", |screen| {
        let text = screen.contents();
        ["pub-1", "pub-2", "pub-3"].iter().all(|name| text.contains(&format!("{name}         linked")))
    })?;
    lab.press("l")?;
    lab.wait_for("Lab ─ nat lab, 8 nodes, console on sym-1")?;
    lab.press("Gx")?;
    lab.wait_for("lab: the wire west-south is cut")?;
    lab.wait_for("1 change from the lab as it was built")?;
    lab.press("x")?;
    lab.wait_for("lab: the wire west-south is healed")?;
    lab.wait_for("as it was built; whatever is changed goes")?;
    // What a cut does shows at an uplink: past a wire there may be another way.
    lab.press("kkkx")?;
    lab.wait_for("lab: sym-1 is cut off")?;
    lab.press("\x1b")?;
    lab.wait_for("LAB CHANGED: 1 change")?;
    lab.wait_until("pub-3 to be suspect", |screen| screen.contents().contains("pub-3         suspect"))?;
    lab.press("lx")?;
    lab.wait_for("lab: sym-1 is healed")?;
    lab.press("\x1b")?;
    lab.wait_until("pub-3 to answer again", |screen| {
        let text = screen.contents();
        text.contains("pub-3         linked") && !text.contains("LAB CHANGED")
    })?;
    quit(lab, &left)
}

#[test]
fn the_labs_nodes_are_a_fleet_and_each_is_found_as_it_was_left() -> Result<()> {
    let (mut lab, left) = start_as(&["lab", "--loopback", "--nodes", "3"], 120, 36)?;
    lab.wait_for("links 2: 2d")?;
    // Something that only this console knows of its node.
    lab.press("S")?;
    lab.wait_for("sync: 2 of 2 peers")?;
    lab.press("F")?;
    lab.wait_for("Fleet ─ 3 nodes, 3 answer, console on lab-3")?;
    lab.press("og\r")?;
    lab.wait_for("the console is on lab-1")?;
    lab.wait_until("the events of lab-1 alone", |screen| !screen.contents().contains("command.ended"))?;
    lab.press("\x7f")?;
    lab.wait_for("the console is on lab-3")?;
    lab.wait_for("command.ended")?;
    quit(lab, &left)
}

#[test]
fn a_node_is_stopped_and_started_and_the_console_goes_to_another_one() -> Result<()> {
    let (mut lab, left) = start_as(&["lab", "--loopback", "--nodes", "3"], 120, 36)?;
    lab.wait_for("links 2: 2d")?;
    lab.press("l")?;
    lab.wait_for("Lab ─ loopback, 3 nodes, console on lab-3")?;
    lab.press("jK")?;
    lab.wait_for("type lab-2 to do it")?;
    lab.press("lab-2\r")?;
    lab.wait_for("lab: lab-2 is stopped, with a goodbye")?;
    lab.wait_for("1 change from the lab as it was built")?;
    lab.press("u")?;
    lab.wait_for("lab: everything is as it was built")?;
    lab.press("\r")?;
    lab.wait_for("lab: the console is on lab-2")?;
    lab.wait_for("punchdeck  lab-2")?;
    lab.wait_for("links 2: 2d")?;
    quit(lab, &left)
}

#[test]
fn a_drill_runs_from_the_console_and_is_called_off_with_its_verdict() -> Result<()> {
    let (mut lab, left) = start_as(&["lab", "--loopback", "--nodes", "2"], 120, 36)?;
    lab.wait_for("links 1: 1d")?;
    lab.press("d")?;
    lab.wait_for("A drill runs on a fleet of its own")?;
    lab.press("\r")?;
    lab.wait_for("gossip_discovery on its own loopback fleet: step")?;
    // The second value comes a minute later.
    lab.wait_until("the first value", |screen| {
        let text = screen.contents();
        text.lines().any(|line| line.contains("✓ ok ") && line.contains("at most 15000 ms"))
    })?;
    lab.press("a")?;
    lab.wait_for("called off after ")?;
    lab.wait_for("called off in step ")?;
    ensure!(!lab.screen().contains("the cache was not saved"), "{}", lab.screen());
    quit_by("\x03", lab, &left)
}

/// The lab in a terminal, and where its temporary directories go.
fn start(cols: u16, rows: u16) -> Result<(Console, TempDir)> {
    start_as(&["lab", "--loopback", "--nodes", "8"], cols, rows)
}

fn start_as(args: &[&str], cols: u16, rows: u16) -> Result<(Console, TempDir)> {
    let home = tempfile::tempdir()?;
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_punchdeck"));
    command.args(args);
    command.env_clear();
    command.env("HOME", home.path());
    command.env("TMPDIR", home.path());
    Ok((Console::start(command, cols, rows, true)?, home))
}

/// Every other node is linked; a look at the help; a sync; a disconnect.
fn tour(lab: &mut Console) -> Result<()> {
    lab.wait_until("seven linked peers", |screen| {
        let text = screen.contents();
        let linked = |line: &str| line.contains("lab-") && line.contains(" linked ");
        text.lines().filter(|line| linked(line)).count() == 7 && text.contains("links 7: 7")
    })?;
    lab.press("?")?;
    lab.wait_for("Help")?;
    lab.wait_for("exchange records with the selected peer")?;
    lab.press("\x1b")?;
    lab.wait_until("the panes again", |screen| !screen.contents().contains("Help"))?;
    lab.press("s")?;
    lab.wait_until("what came of the sync", |screen| {
        let lines = screen.contents();
        lines.lines().any(|line| line.contains("sync ") && line.contains(": 1 of 1 peers, "))
    })?;
    lab.press("x")?;
    lab.wait_for("Sure?")?;
    lab.press("y")?;
    lab.wait_until("the peer held off", |screen| {
        let text = screen.contents();
        text.contains(" held off ") && text.contains("links 6: 6") && !text.contains("Sure?")
    })
}

fn quit(lab: Console, left: &TempDir) -> Result<()> {
    quit_by("q", lab, left)
}

fn quit_by(key: &str, mut lab: Console, left: &TempDir) -> Result<()> {
    ensure!(lab.modes()? != lab.before, "the console runs in raw mode");
    lab.press(key)?;
    lab.wait_for_end(QUIT)?;
    nothing_left(&lab, left)
}

fn ended_by(signal: Signal) -> Result<()> {
    let (mut lab, left) = start(140, 40)?;
    lab.wait_for("links 7: 7 direct")?;
    lab.signal(signal)?;
    lab.wait_for_end(END)?;
    nothing_left(&lab, &left)
}

fn nothing_left(lab: &Console, left: &TempDir) -> Result<()> {
    lab.is_given_back()?;
    let names: Vec<_> = fs::read_dir(left.path())?.flatten().map(|entry| entry.file_name()).collect();
    ensure!(names.is_empty(), "it leaves {names:?}");
    Ok(())
}
