//! `punchdeck attach` as an operator uses it: the real binary in a real terminal,
//! on real nodes of other processes.

#[path = "pty/node.rs"]
mod node;
mod pty;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use node::{BINARY, Node, command};
use portable_pty::CommandBuilder;
use pty::{Console, END};

/// How long a quiet fleet is watched.
const WATCHED: Duration = Duration::from_secs(8);
/// What a slow line carries for a console with nothing to say.
const BYTES_A_SECOND: u64 = 2_000;

#[test]
fn an_operator_attaches_looks_acts_and_detaches_and_the_node_goes_on() -> Result<()> {
    let hub = Node::start(None)?;
    let node = Node::start(Some(&hub))?;
    node.addr()?;
    let mut console = node.attach(&[], 120, 36)?;
    console.wait_for("linked      direct")?;
    console.wait_for("attempt.ended")?;
    console.press("S")?;
    console.wait_for("sync: 1 of 1 peers")?;
    let mut second = node.attach(&["--read-only"], 80, 24)?;
    second.wait_for("read-only")?;
    second.wait_for("linked")?;
    second.press("S")?;
    second.wait_for("S: this console may only look")?;
    for console in [&mut console, &mut second] {
        console.press("q")?;
        console.wait_for_end(END)?;
        console.is_given_back()?;
    }
    node.addr().context("the node has not noticed")?;
    Ok(())
}

#[test]
fn a_node_that_goes_away_is_said_to_be_and_followed_again_when_it_returns() -> Result<()> {
    let mut node = Node::start(None)?;
    node.addr()?;
    let mut console = node.attach(&[], 100, 30)?;
    console.wait_for("alone")?;
    node.kill()?;
    console.wait_for("THE NODE DOES NOT ANSWER, trying again")?;
    node.again()?;
    node.addr()?;
    console.wait_until("the node to be back", |screen| {
        let text = screen.contents();
        !text.contains("DOES NOT ANSWER") && text.contains("alone")
    })?;
    console.press("q")?;
    console.wait_for_end(END)
}

#[test]
fn the_log_of_the_node_is_shown_what_was_before_and_what_comes() -> Result<()> {
    let node = Node::start(None)?;
    node.addr()?;
    node.hang_up()?;
    let reloaded = |n: usize| {
        move |screen: &vt100::Screen| screen.contents().matches("reloaded: nothing has changed").count() == n
    };
    let mut console = node.attach(&[], 100, 30)?;
    console.wait_for("alone")?;
    console.press("8")?;
    console.wait_for("[8 Logs]")?;
    console.press("z")?;
    console.wait_until("the line of before", reloaded(1))?;
    node.hang_up()?;
    console.wait_until("the line of now", reloaded(2))?;
    console.press("q")?;
    console.wait_for_end(END)
}

#[test]
fn the_levels_of_a_running_nodes_log_are_changed_for_a_while_by_who_may_command_it() -> Result<()> {
    let node = Node::start(None)?;
    node.addr()?;
    node.hang_up()?;
    let mut console = node.attach(&[], 140, 30)?;
    console.wait_for("alone")?;
    console.press("8z")?;
    console.wait_for("reloaded: nothing has changed")?;
    console.press("t")?;
    console.wait_for("Log targets")?;
    console.press("+")?;
    console.wait_for(" at debug for 10 min")?;
    console.wait_for("debug, ends in 9m")?;
    let told = command(&node.home).args(["ctl", "log", "--data-dir"]).arg(node.data()).output()?;
    let told = String::from_utf8(told.stdout)?;
    ensure!(told.contains("filter") && told.contains("at debug, 9m left"), "{told}");

    let mut second = node.attach(&["--read-only"], 100, 24)?;
    second.wait_for("log ends in 9m")?;
    second.press("8t+")?;
    second.wait_for("+: this console may only look")?;

    console.press("0")?;
    console.wait_for("log reset: it keeps what its configuration says")?;
    second.wait_until("the countdown to go", |screen| !screen.contents().contains("log ends"))?;
    for console in [&mut console, &mut second] {
        console.press("\x03")?;
        console.wait_for_end(END)?;
    }
    Ok(())
}

#[test]
fn without_a_node_or_a_terminal_it_says_so() -> Result<()> {
    let home = tempfile::tempdir()?;
    let piped = command(&home).args(["attach"]).output()?;
    ensure!(piped.status.code() == Some(2), "{piped:?}");
    let mut nobody = CommandBuilder::new(BINARY);
    nobody.env_clear();
    nobody.env("HOME", home.path());
    nobody.args(["attach", "--socket", "/none"]);
    let mut console = Console::start(nobody, 100, 30, true)?;
    console.wait_for("no node answers at /none: there is no such socket")?;
    let ended = console.child.wait()?;
    ensure!(ended.exit_code() == 1, "{ended:?}");
    Ok(())
}

#[test]
fn on_a_terminal_that_only_prints_lines_a_node_runs_without_a_console() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut command = CommandBuilder::new(BINARY);
    command.env_clear();
    command.env("HOME", home.path());
    command.env("TERM", "dumb");
    command.args(["--bind", "127.0.0.1:0", "--data-dir", "data"]);
    command.cwd(home.path());
    let mut console = Console::start(command, 120, 36, true)?;
    console.wait_for("this terminal is a dumb one (TERM), running headless; SIGTERM or ctrl-c stops it")?;
    console.wait_for("node.started")?;
    ensure!(console.wrote("\x1b[?1049h") == 0, "no screen was taken:\n{}", console.screen());
    console.press("\x03")?;
    console.wait_for_end(END)
}

#[test]
fn a_quiet_fleet_costs_a_slow_line_less_than_two_kilobytes_a_second() -> Result<()> {
    let hub = Node::start(None)?;
    let nodes = (0..3).map(|_| Node::start(Some(&hub))).collect::<Result<Vec<_>>>()?;
    for node in &nodes {
        node.addr()?;
    }
    let mut console = hub.attach(&[], 120, 36)?;
    console.wait_for("links 3: 3d")?;
    // Until the news of the start are told.
    std::thread::sleep(Duration::from_secs(4));
    let before = console.written();
    std::thread::sleep(WATCHED);
    let rate = (console.written() - before) / WATCHED.as_secs();
    eprintln!("{rate} bytes a second");
    ensure!(rate < BYTES_A_SECOND, "{rate} bytes a second");
    console.press("q")?;
    console.wait_for_end(END)
}
