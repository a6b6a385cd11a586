//! Where a node's control socket is: on this host, or behind a command that
//! carries bytes to it, such as `ssh host punchdeck ctl bridge`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};

use super::client::ClientError;

/// What a bridge may say on standard error before we stop reading.
const COMPLAINT_MAX: u64 = 4_096;
/// How long it may take to say it, once it has hung up.
const COMPLAINT_TIME: Duration = Duration::from_secs(1);

/// A node's control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// On this host.
    Socket(PathBuf),
    /// Behind a command, word by word; its standard input and output are the
    /// socket.
    Bridge(Vec<String>),
}

/// What is read from.
pub(super) type Input = Box<dyn AsyncRead + Send + Unpin>;
/// What is written to.
pub(super) type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// What keeps a connection: a bridge ends with it.
#[derive(Debug)]
pub(super) struct Holder {
    _bridge: Option<Child>,
    complaints: Option<ChildStderr>,
    pid: Option<u32>,
}

impl Holder {
    /// The process that listens on the socket, where the system says.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// What the bridge said last, if it said anything. Waits for its end.
    pub(super) async fn complaint(&mut self) -> Option<String> {
        let mut text = Vec::new();
        let stderr = self.complaints.take()?;
        let mut stderr = stderr.take(COMPLAINT_MAX);
        let reading = stderr.read_to_end(&mut text);
        let _ = tokio::time::timeout(COMPLAINT_TIME, reading).await;
        let text = String::from_utf8_lossy(&text);
        text.lines().rev().find(|l| !l.trim().is_empty()).map(str::to_owned)
    }
}

impl Target {
    pub(super) async fn open(&self) -> io::Result<(Input, Output, Holder)> {
        match self {
            Self::Socket(path) => {
                let stream = UnixStream::connect(path).await?;
                let pid = stream.peer_cred().ok().and_then(|of| of.pid()).and_then(|pid| pid.try_into().ok());
                let (read, write) = stream.into_split();
                let holder = Holder { _bridge: None, complaints: None, pid };
                Ok((Box::new(read), Box::new(write), holder))
            }
            Self::Bridge(words) => {
                let (program, args) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
                let mut child = Command::new(program)
                    .args(args)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()?;
                let (Some(write), Some(read)) = (child.stdin.take(), child.stdout.take()) else {
                    return Err(io::ErrorKind::BrokenPipe.into());
                };
                let complaints = child.stderr.take();
                Ok((Box::new(read), Box::new(write), Holder { _bridge: Some(child), complaints, pid: None }))
            }
        }
    }
}

/// Carries bytes between a control socket and two streams, until the node hangs
/// up or there is nobody to hear it.
///
/// # Errors
/// If no node answers, or a stream fails.
pub async fn bridge(
    socket: &Path,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> Result<(), ClientError> {
    let no_node = |source| ClientError::NoNode { at: socket.into(), source };
    let (mut read, mut write) = UnixStream::connect(socket).await.map_err(no_node)?.into_split();
    let asks = async {
        let copied = tokio::io::copy(&mut from, &mut write).await;
        // Who asks no more has heard enough.
        drop(write);
        copied
    };
    tokio::select! {
        ended = tokio::io::copy(&mut read, &mut to) => ended.map_err(no_node)?,
        ended = asks => ended.map_err(no_node)?,
    };
    Ok(())
}

impl From<&Path> for Target {
    fn from(path: &Path) -> Self {
        Self::Socket(path.to_owned())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Bridge(words) => write!(f, "`{}`", words.join(" ")),
        }
    }
}
