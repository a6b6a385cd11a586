//! A node as a process of its own in its host's network, so that SIGKILL is what
//! it says and no close frame leaves.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use patchbay::Device;
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::process::{Child as Process, Command};

use super::NETWORK;
use crate::files::ours::{self, For};
use crate::identity::{self, IdentityError};
use crate::node::keys::{self, KeyBytes};
use crate::node::lock::{DataDirLock, LockError};

/// How long a node may take for its goodbye.
const GOODBYE: Duration = Duration::from_secs(4);
/// What our own variables begin with: those of whoever runs the lab are not
/// the node's.
const VARIABLES: &str = "PUNCHDECK_";

/// Why there is no process, or no end of it.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// Its identity could not be put in place.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its directory is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The program or its log.
    #[error("node {name}: no process of {}: {detail}", program.display())]
    Start {
        /// Whose.
        name: String,
        /// What was to run.
        program: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// It could not be ended, stopped or woken.
    #[error("process {pid} does not take a signal: {detail}")]
    End {
        /// Which.
        pid: u32,
        /// What the system said.
        detail: String,
    },
}

/// Called by the child: when the lab's process is killed, so is this one.
///
/// # Errors
/// If the kernel refuses, or the parent is gone already.
pub fn die_with_parent() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Whoever lost its parent before that belongs to init.
    match getppid() {
        Some(parent) if !parent.is_init() => Ok(()),
        _ => Err(io::Error::other("the lab that started this node has ended")),
    }
}

/// A running node. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Child {
    process: Process,
    pid: u32,
}

impl Child {
    pub(super) fn start(
        device: &Device,
        program: &Path,
        dir: &Path,
        keys: &KeyBytes,
        bind: SocketAddr,
        bootstrap: Option<SocketAddr>,
        log: &Path,
    ) -> Result<Self, ChildError> {
        let name = device.name();
        let failed =
            |detail: String| ChildError::Start { name: name.to_owned(), program: program.to_owned(), detail };
        {
            // The node comes with the identity that the lab gave it.
            let _lock = DataDirLock::acquire(dir)?;
            identity::load_or_create(dir, || Ok(keys.clone()), keys::check)?;
        }
        // Nor is the file of whoever runs the lab.
        let config = dir.join("config.toml");
        // What is killed is a relay, or was linked over one that is watched.
        std::fs::write(&config, "hard_nat = \"off\"\n").map_err(|e| failed(e.to_string()))?;
        let log = ours::open(log, For::Appending).map_err(|e| failed(e.to_string()))?;
        let errors = log.try_clone().map_err(|e| failed(e.to_string()))?;
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            // Nor does whoever started the lab want to hear of it.
            if variable.to_string_lossy().starts_with(VARIABLES) || variable == "NOTIFY_SOCKET" {
                command.env_remove(variable);
            }
        }
        command
            .args(["run", "--headless", "--die-with-parent", "--network", NETWORK, "--name", name])
            .arg("--config")
            .arg(&config)
            .arg("--data-dir")
            .arg(dir)
            .args(["--bind", &bind.to_string()])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true);
        if let Some(addr) = bootstrap {
            command.args(["--bootstrap", &addr.to_string()]);
        }
        let process = device.spawn_command(command).map_err(|e| failed(format!("{e:#}")))?;
        let pid = process.id().ok_or_else(|| failed("it ended at once".to_owned()))?;
        Ok(Self { process, pid })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// SIGSTOP, as a machine that sleeps; or SIGCONT.
    pub(super) fn suspend(&self, asleep: bool) -> Result<(), ChildError> {
        let pid = self.pid;
        let failed = |detail: String| ChildError::End { pid, detail };
        let raw = self.process.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let raw = raw.ok_or_else(|| failed("it has ended".to_owned()))?;
        let signal = if asleep { Signal::STOP } else { Signal::CONT };
        kill_process(raw, signal).map_err(|e| failed(e.to_string()))
    }

    /// SIGKILL.
    pub(super) async fn kill(mut self) -> Result<(), ChildError> {
        let pid = self.pid;
        self.process.kill().await.map_err(|e| ChildError::End { pid, detail: e.to_string() })
    }

    /// SIGTERM, and SIGKILL for one that does not listen.
    pub(super) async fn terminate(mut self) -> Result<(), ChildError> {
        if let Some(pid) = self.process.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            // One that stands still hears nothing.
            let _ = kill_process(pid, Signal::CONT);
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(GOODBYE, self.process.wait()).await.is_ok() {
            return Ok(());
        }
        self.kill().await
    }
}
