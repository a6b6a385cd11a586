//! The real binary as a child process: what it says, and how it ends.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use super::support::PATIENCE;

/// The binary with nothing of this machine's settings, and what it makes goes
/// under `home`.
pub fn punchdeck(home: &Path) -> Command {
    settled(Command::new(env!("CARGO_BIN_EXE_punchdeck")), home)
}

/// Gives a command that ends up as the binary its surroundings.
pub fn settled(mut command: Command, home: &Path) -> Command {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("TMPDIR", home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Turns the command into a headless node on loopback, of the tests' network.
pub fn as_node(command: Command, data: &Path) -> Command {
    as_node_named("node", command, data)
}

/// The same with a name of its own.
pub fn as_node_named(name: &str, mut command: Command, data: &Path) -> Command {
    command.args(["run", "--headless", "--name", name, "--network", "test", "--bind", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(data);
    command
}

/// A running one.
pub struct Process {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, out, err, said: Vec::new() }
    }

    /// A headless node on loopback with that data directory.
    pub fn node(data: &Path) -> Self {
        Self::start(as_node(punchdeck(data.parent().unwrap()), data))
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it has ended")
    }

    /// The next line on standard error that contains `what`.
    pub async fn line(&mut self, what: &str) -> String {
        loop {
            match timeout(PATIENCE, self.err.next_line()).await {
                Ok(Ok(Some(line))) => {
                    self.said.push(line.clone());
                    if line.contains(what) {
                        return line;
                    }
                }
                end => panic!("{end:?} before {what:?}; it said {:#?}", self.said),
            }
        }
    }

    /// The next line on standard output.
    pub async fn printed(&mut self) -> String {
        timeout(PATIENCE, self.out.next_line()).await.expect("nothing printed").unwrap().expect("it ended")
    }

    /// Where it listens and how many peers its cache held, as it says itself.
    pub async fn started(&mut self) -> (SocketAddr, usize) {
        let line = self.line("node.started: listens on ").await;
        let words = line.split_once("listens on ").and_then(|(_, rest)| rest.split_once(" peers")).unwrap().0;
        let (addr, cached) = words.split_once(", ").unwrap();
        (addr.parse().unwrap(), cached.parse().unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills it, waits, and gives all that it said.
    pub async fn kill(mut self) -> Vec<String> {
        self.child.kill().await.unwrap();
        self.rest().await
    }

    /// Waits for its end and gives it with all that it said.
    pub async fn ended(mut self, within: Duration) -> (ExitStatus, Vec<String>) {
        let Ok(status) = timeout(within, self.child.wait()).await else {
            panic!("it did not end within {within:?}; it said {:#?}", self.said)
        };
        (status.unwrap(), self.rest().await)
    }

    async fn rest(mut self) -> Vec<String> {
        while let Ok(Some(line)) = self.err.next_line().await {
            self.said.push(line);
        }
        self.said
    }
}

/// Runs a command that is to be refused: exit code 2 and one line that says
/// why, which it gives.
pub async fn refused(mut command: Command) -> String {
    let Output { status, stdout, stderr } =
        timeout(PATIENCE, command.output()).await.expect("it was not refused").unwrap();
    let err = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stdout.as_slice()), (Some(2), &b""[..]), "{err}");
    assert!(err.starts_with("punchdeck: ") && err.lines().count() == 1, "{err}");
    err
}
