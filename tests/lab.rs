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
fn q_before_the_nodes_know_each_other_leaves_no_directory() -> Result<()> {
    let (lab, left) = start(80, 24)?;
    lab.wait_for("Peers")?;
    quit(lab, &left)
}

/// The lab in a terminal, and where its temporary directories go.
fn start(cols: u16, rows: u16) -> Result<(Console, TempDir)> {
    let home = tempfile::tempdir()?;
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_punchdeck"));
    command.args(["lab", "--loopback", "--nodes", "8"]);
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

fn quit(mut lab: Console, left: &TempDir) -> Result<()> {
    ensure!(lab.modes()? != lab.before, "the console runs in raw mode");
    lab.press("q")?;
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
