//! `punchdeck attach` as an operator uses it: the real binary in a real terminal,
//! on real nodes of other processes.

mod pty;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use portable_pty::CommandBuilder;
use pty::{Console, END};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_punchdeck");
/// How long a quiet fleet is watched.
const WATCHED: Duration = Duration::from_secs(8);
/// What a slow line carries for a console with nothing to say.
const BYTES_A_SECOND: u64 = 2_000;

/// A headless node of its own, killed at the end.
struct Node {
    process: Child,
    home: TempDir,
    bootstrap: Option<String>,
}

impl Node {
    fn start(bootstrap: Option<&Self>) -> Result<Self> {
        let bootstrap = bootstrap.map(Self::addr).transpose()?;
        let home = tempfile::tempdir()?;
        let process = spawn(&home, bootstrap.as_deref())?;
        Ok(Self { process, home, bootstrap })
    }

    fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Has it read its configuration again.
    fn hang_up(&self) -> Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).context("no process")?;
        Ok(kill_process(pid, Signal::HUP)?)
    }

    fn again(&mut self) -> Result<()> {
        self.process = spawn(&self.home, self.bootstrap.as_deref())?;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Waits until it answers, and gives where it listens.
    fn addr(&self) -> Result<String> {
        for _ in 0..400 {
            let output = command(&self.home)
                .args(["ctl", "--json", "status", "--data-dir"])
                .arg(self.data())
                .output()?;
            if output.status.success() {
                let status: serde_json::Value = serde_json::from_slice(&output.stdout)?;
                return Ok(status["local_addr"].as_str().context("no address")?.to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("the node does not answer")
    }

    fn attach(&self, args: &[&str], cols: u16, rows: u16) -> Result<Console> {
        let mut command = CommandBuilder::new(BINARY);
        command.env_clear();
        command.env("HOME", self.home.path());
        command.args(["attach", "--data-dir"]);
        command.arg(self.data());
        command.args(args);
        Console::start(command, cols, rows, true)
    }
}

fn command(home: &TempDir) -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().env("HOME", home.path());
    command
}

fn spawn(home: &TempDir, bootstrap: Option<&str>) -> Result<Child> {
    let mut command = command(home);
    command.args(["run", "--headless", "--name", "vps", "--bind", "127.0.0.1:0", "--data-dir"]);
    command.arg(home.path().join("data")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(addr) = bootstrap {
        command.args(["--bootstrap", addr]);
    }
    Ok(command.spawn()?)
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

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
fn a_fleet_is_seen_at_once_and_each_of_its_consoles_is_gone_to_and_found_as_it_was_left() -> Result<()> {
    let hub = Node::start(None)?;
    let beta = Node::start(Some(&hub))?;
    let mut gamma = Node::start(Some(&hub))?;
    let mut file = String::new();
    for (name, node) in [("alpha", &hub), ("beta", &beta), ("gamma", &gamma)] {
        node.addr()?;
        let socket = node.data().join("control.sock");
        file += &format!("[[node]]\nname = {name:?}\nsocket = {:?}\n", socket.display().to_string());
    }
    let path = hub.home.path().join("fleet.toml");
    std::fs::write(&path, file)?;
    let mut command = CommandBuilder::new(BINARY);
    command.env_clear();
    command.env("HOME", hub.home.path());
    command.args(["attach", "--fleet"]);
    command.arg(&path);
    let mut console = Console::start(command, 120, 36, true)?;
    console.wait_for("Fleet ─ 3 nodes, 3 answer, console on alpha")?;
    console.wait_until("two direct links at each", |screen| {
        let text = screen.contents();
        let rows =
            text.lines().filter(|l| ["alpha  ", "beta  ", "gamma  "].iter().any(|name| l.contains(name)));
        rows.filter(|row| row.contains(" 2d ")).count() == 3
    })?;
    console.press("\t")?;
    console.wait_until("each link twice", |screen| screen.contents().matches(" d ").count() >= 7)?;
    console.wait_for("FROM, TO")?;
    // Something that only this console knows of alpha.
    console.press("\x1b")?;
    console.wait_until("the panes", |screen| !screen.contents().contains("Fleet ─"))?;
    console.press("S")?;
    console.wait_for("sync: 2 of 2 peers")?;
    console.press("Fogj\r")?;
    console.wait_for("the console is on beta")?;
    console.wait_until("the events of beta alone", |screen| !screen.contents().contains("command.ended"))?;
    console.press("\x7f")?;
    console.wait_for("the console is on alpha")?;
    console.wait_for("command.ended")?;
    console.press("FgDjD")?;
    console.wait_for("alpha and beta ─ esc closes")?;
    console.wait_for("alpha knows nobody whom the other does not.")?;
    console.press("\x1b")?;
    gamma.kill()?;
    console.press("\t")?;
    console.wait_for("no answer for ")?;
    gamma.again()?;
    console.wait_for("Fleet ─ 3 nodes, 3 answer")?;
    console.press("\x1b")?;
    console.wait_until("the panes", |screen| !screen.contents().contains("Fleet ─"))?;
    std::thread::sleep(Duration::from_millis(800));
    console.press("q")?;
    console.wait_for_end(END)?;
    console.is_given_back()
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
