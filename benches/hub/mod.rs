//! A headless node as a process, for benchmarks; killed at the end.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// The node: the one that was built with the benchmark, or what this variable names.
fn binary() -> OsString {
    std::env::var_os("PUNCHDECK_BENCH_NODE").unwrap_or_else(|| env!("CARGO_BIN_EXE_punchdeck").into())
}

/// The node.
pub struct Hub {
    process: Child,
    home: TempDir,
}

impl Hub {
    /// Starts one that listens there and dials that address, if one is given.
    pub fn start(bind: &str, bootstrap: Option<&str>) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, bind, bootstrap)
    }

    /// One of a closed fleet, whose secret is so in hex digits.
    #[allow(dead_code)] // not every benchmark has one
    pub fn start_closed(bind: &str, secret: &str, network: &str) -> Result<Self> {
        let more = |command: &mut Command| {
            command.env("PUNCHDECK_NETWORK_SECRET", secret).args(["--network", network]);
        };
        Self::launch(tempfile::tempdir()?, bind, None, more)
    }

    /// The same on a home that may hold something already.
    pub fn start_in(home: TempDir, bind: &str, bootstrap: Option<&str>) -> Result<Self> {
        Self::launch(home, bind, bootstrap, |_| {})
    }

    fn launch(
        home: TempDir,
        bind: &str,
        bootstrap: Option<&str>,
        more: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let mut command = Command::new(binary());
        command.env_clear().env("HOME", home.path());
        command.args(["run", "--headless", "--bind", bind, "--data-dir"]).arg(data(home.path()));
        if let Some(addr) = bootstrap {
            command.args(["--bootstrap", addr]);
        }
        more(&mut command);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { process, home })
    }

    /// What `ctl --json` says, once it says something.
    pub fn ctl(&self, verb: &str) -> Result<serde_json::Value> {
        let text = self.ask(verb)?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The same where it is an object a line.
    #[allow(dead_code)] // not every benchmark asks for that
    pub fn ctl_lines(&self, verb: &str) -> Result<Vec<serde_json::Value>> {
        let text = self.ask(verb)?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn ask(&self, verb: &str) -> Result<String> {
        for _ in 0..400 {
            let output = Command::new(binary())
                .env_clear()
                .env("HOME", self.home.path())
                .args(["ctl", "--json", verb, "--data-dir"])
                .arg(data(self.home.path()))
                .output()?;
            if output.status.success() {
                return Ok(String::from_utf8(output.stdout)?);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("the node does not answer")
    }

    /// Where it listens.
    pub fn addr(&self) -> Result<String> {
        Ok(self.ctl("status")?["local_addr"].as_str().context("no address")?.to_owned())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Tells it to end, as a service manager does.
    #[allow(dead_code)] // not every benchmark ends one in this way
    pub fn terminate_soon(&mut self) -> Result<()> {
        let pid = i32::try_from(self.process.id())?;
        let pid = rustix::process::Pid::from_raw(pid).context("no process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        Ok(())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn data(home: &Path) -> std::path::PathBuf {
    home.join("data")
}

/// What a process holds of memory, its program text included, in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    memory_mib(pid, "VmRSS:")
}

/// What it made itself, without what is mapped from files, in MiB.
#[allow(dead_code)] // not every benchmark tells them apart
pub fn own_mib(pid: u32) -> Result<f64> {
    memory_mib(pid, "RssAnon:")
}

fn memory_mib(pid: u32, what: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|l| l.starts_with(what)).context("no such line")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib / 1024.0)
}
