//! A node of the real binary in a process of its own, and consoles on it.

#![allow(dead_code)] // not every test program uses all of it

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use portable_pty::CommandBuilder;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::pty::Console;

pub const BINARY: &str = env!("CARGO_BIN_EXE_punchdeck");

/// A headless node of its own, killed at the end.
pub struct Node {
    process: Child,
    pub home: TempDir,
    bootstrap: Option<String>,
}

impl Node {
    pub fn start(bootstrap: Option<&Self>) -> Result<Self> {
        let bootstrap = bootstrap.map(Self::addr).transpose()?;
        let home = tempfile::tempdir()?;
        let process = spawn(&home, bootstrap.as_deref())?;
        Ok(Self { process, home, bootstrap })
    }

    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Has it read its configuration again.
    pub fn hang_up(&self) -> Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).context("no process")?;
        Ok(kill_process(pid, Signal::HUP)?)
    }

    pub fn again(&mut self) -> Result<()> {
        self.process = spawn(&self.home, self.bootstrap.as_deref())?;
        Ok(())
    }

    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Waits until it answers, and gives where it listens.
    pub fn addr(&self) -> Result<String> {
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

    pub fn attach(&self, args: &[&str], cols: u16, rows: u16) -> Result<Console> {
        let mut command = CommandBuilder::new(BINARY);
        command.env_clear();
        command.env("HOME", self.home.path());
        command.args(["attach", "--data-dir"]);
        command.arg(self.data());
        command.args(args);
        Console::start(command, cols, rows, true)
    }
}

/// The binary with nothing of this machine's settings.
pub fn command(home: &TempDir) -> Command {
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
