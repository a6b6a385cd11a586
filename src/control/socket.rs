//! The socket as a file: made so that only its owner reaches it, taken over from
//! the dead, never from the living, and removed at the end.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;

use super::lines;
use super::protocol::Tell;
use crate::files::{Unfit, ours};

/// For whom the socket is.
const OWNER_ONLY: u32 = 0o600;
/// The same with a group.
const OWNER_AND_GROUP: u32 = 0o660;
/// How long a living node may take to say its process id.
const GREETING_TIME: Duration = Duration::from_secs(1);
/// What stands behind the path while a socket is made.
const NEW: &str = ".new";
/// Longest path of a Unix socket, in bytes.
const PATH_MAX: usize = 107;

/// A path that a socket can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPath(PathBuf);

impl SocketPath {
    /// Checks the length.
    ///
    /// # Errors
    /// [`SocketError::PathTooLong`].
    pub fn new(path: PathBuf) -> Result<Self, SocketError> {
        let max = PATH_MAX - NEW.len();
        if path.as_os_str().len() > max {
            Err(SocketError::PathTooLong { path, max })
        } else {
            Ok(Self(path))
        }
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether its directory, if it is there, is one where nobody else can put a socket.
    ///
    /// # Errors
    /// [`SocketError::Place`].
    pub fn check_place(&self) -> Result<(), SocketError> {
        let dir = self.0.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match ours::check_dir(dir).map_err(|error| Unfit::of(&error)) {
            Err(Some(why)) => Err(SocketError::Place { path: self.0.clone(), why }),
            // Whatever else is the matter, the making of it will tell.
            _ => Ok(()),
        }
    }
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system takes no such path.
    #[error(
        "the control socket {} has a path of {} bytes, at most {max} are possible; --socket names another",
        path.display(),
        path.as_os_str().len()
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// How long it may be.
        max: usize,
    },
    /// A living node answers there.
    #[error("the control socket {} belongs to a running node{}", path.display(), process(*pid))]
    InUse {
        /// The path.
        path: PathBuf,
        /// Its process, if it said.
        pid: Option<u32>,
    },
    /// Something that is no socket is there.
    #[error("{} is there already and is no socket; --socket names another path", path.display())]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// There is no such group.
    #[error("control_group {group:?}: no such group on this host")]
    NoGroup {
        /// Its name.
        group: String,
    },
    /// Others could put a socket of theirs in its place.
    #[error(
        "the control socket {} would be in a directory where others can put one of theirs ({why}); --socket names another path",
        path.display()
    )]
    Place {
        /// The path.
        path: PathBuf,
        /// What is wrong with the directory.
        why: Unfit,
    },
    /// The system said no.
    #[error("the control socket {} cannot be made: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(", process {pid}"))
}

/// A socket that clients can connect to. Dropping it removes the file.
#[derive(Debug)]
pub struct ControlSocket {
    pub(super) listener: UnixListener,
    /// Whether the file's mode lets others than its owner in.
    pub(super) has_group: bool,
    file: SocketFile,
}

/// The file, removed with this unless it has become another one's.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl ControlSocket {
    /// Makes it, with a mode that lets in its owner, and a group if one is named.
    /// What a dead node left there is replaced.
    ///
    /// # Errors
    /// See [`SocketError`]; whatever is there then stays as it is.
    pub fn bind(path: &SocketPath, group: Option<&str>) -> Result<Self, SocketError> {
        path.check_place()?;
        let path = path.as_path();
        let io = |source| SocketError::Io { path: path.to_owned(), source };
        let gid = group.map(group_id).transpose()?;
        refuse_the_living(path)?;
        // Renamed over the old one when it is complete: no client ever finds it
        // half made, or nothing.
        let mut new = path.as_os_str().to_owned();
        new.push(NEW);
        let new = PathBuf::from(new);
        match fs::remove_file(&new) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(io(e)),
            _ => {}
        }
        // No moment in which the mode is wider than it will be. Files that other
        // threads make meanwhile get a narrower one, at worst.
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(&new);
        rustix::process::umask(before);
        let listener = bound.map_err(io)?;
        let made = finish(&new, path, gid);
        if made.is_err() {
            let _ = fs::remove_file(&new);
        }
        let inode = made.map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let file = SocketFile { path: path.to_owned(), inode };
        Ok(Self { listener, has_group: gid.is_some(), file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn finish(new: &Path, path: &Path, gid: Option<u32>) -> io::Result<(u64, u64)> {
    if gid.is_some() {
        std::os::unix::fs::chown(new, None, gid)?;
    }
    let mode = if gid.is_some() { OWNER_AND_GROUP } else { OWNER_ONLY };
    fs::set_permissions(new, fs::Permissions::from_mode(mode))?;
    let inode = inode(new)?;
    fs::rename(new, path)?;
    Ok(inode)
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|m| (m.dev(), m.ino()))
}

/// A path is free if nothing is there, or a socket that nobody listens on.
fn refuse_the_living(path: &Path) -> Result<(), SocketError> {
    let io = |source| SocketError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io(e)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NoSocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(e) if matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        Err(e) => Err(io(e)),
        Ok(stream) => Err(SocketError::InUse { path: path.to_owned(), pid: pid_of(stream) }),
    }
}

/// What the node on the other end says of itself, if it says anything.
fn pid_of(stream: UnixStream) -> Option<u32> {
    use std::io::BufRead as _;
    stream.set_read_timeout(Some(GREETING_TIME)).ok()?;
    let mut line = String::new();
    let limited = std::io::Read::take(stream, super::protocol::CLIENT_LINE_MAX as u64);
    std::io::BufReader::new(limited).read_line(&mut line).ok()?;
    match serde_json::from_str(&line).ok()? {
        Tell::Hello(greeting) => Some(greeting.pid),
        _ => None,
    }
}

/// The group's number: as a number, or by its name in the host's table.
///
/// # Errors
/// [`SocketError::NoGroup`].
pub fn group_id(group: &str) -> Result<u32, SocketError> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let table = fs::read_to_string("/etc/group").unwrap_or_default();
    table
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok()).flatten()
        })
        .ok_or_else(|| SocketError::NoGroup { group: group.to_owned() })
}

/// Tells whoever is connected why not, and hangs up. It is a line in a fresh
/// socket's buffer: it never blocks.
pub(super) fn turn_away(stream: tokio::net::UnixStream, refusal: super::Refusal) {
    if let Ok(line) = lines::line(&Tell::Refused(refusal)) {
        let _ = stream.try_write(&line);
    }
}
