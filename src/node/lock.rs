//! One node to a data directory, and one registry to a database: a lock that the kernel lets go when its
//! holder ends, however it ends.
//!
//! The file stays where it is; only the lock on it counts. Removing it would
//! let two nodes hold two files of the same name.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::disk;
use crate::files::ours::{self, For};

/// The lock's file name in the data directory.
pub const LOCK_FILE: &str = "lock";

/// Why a data directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works on it.
    #[error("the {what} {} is in use by {}", path.display(), holder(*pid))]
    Held {
        /// What it is.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// The other process, if it could be read.
        pid: Option<u32>,
    },
    /// The system said no.
    #[error("the {what} {} cannot be used: {source}", path.display())]
    Io {
        /// What it is.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// The right to work in a data directory, until dropped.
#[derive(Debug)]
pub struct DataDirLock {
    _lock: FileLock,
    dir: PathBuf,
}

impl DataDirLock {
    /// Creates the directory if need be and takes its lock, or says at once who
    /// holds it. Nothing is written into a directory that is not ours alone.
    ///
    /// # Errors
    /// [`LockError::Held`] if another node (in this process or another) works
    /// there, [`LockError::Io`] if the directory or the file cannot be made, or
    /// somebody else may write there.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        const WHAT: &str = "data directory";
        disk::create_private_dir(dir)
            .and_then(|()| ours::check_dir(dir))
            .map_err(|source| LockError::Io { what: WHAT, path: dir.to_owned(), source })?;
        Ok(Self { _lock: FileLock::acquire(WHAT, dir, &dir.join(LOCK_FILE))?, dir: dir.to_owned() })
    }

    /// The directory it is for.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// A lock on a file that stands for something else, until dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock on `file`, which is made if need be, for the `what` at
    /// `path`, or says at once who holds it.
    ///
    /// # Errors
    /// [`LockError::Held`] if somebody holds it, [`LockError::Io`] if the file
    /// cannot be made or locked, or is not ours alone: then it is as it was.
    pub fn acquire(what: &'static str, path: &Path, file: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io { what, path: path.to_owned(), source };
        let mut open =
            ours::open(file, For::Holding).map_err(|source| beside(path, file, source)).map_err(io)?;
        match open.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { what, path: path.to_owned(), pid: read_pid(&mut open) });
            }
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        // The pid is for people. A full disk does not keep the lock from
        // holding, so it does not keep its holder from starting either.
        if let Err(error) = write_pid(&mut open) {
            tracing::warn!(file = %file.display(), %error, "cannot write the process id into the lock file");
        }
        Ok(Self { file: open, path: file.to_owned() })
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing alone is not enough: a process that is just being spawned
        // holds a copy of the open file until it executes its program, and the
        // lock belongs to the open file.
        if let Err(error) = self.file.unlock() {
            tracing::debug!(file = %self.path.display(), %error, "cannot unlock");
        }
    }
}

/// What is wrong is told of the file, where it is not the whole that is named.
fn beside(path: &Path, file: &Path, error: io::Error) -> io::Error {
    if path == file { error } else { io::Error::new(error.kind(), format!("{}: {error}", file.display())) }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_node_on_a_data_directory_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = DataDirLock::acquire(&path).unwrap();
        let second = DataDirLock::acquire(&path).unwrap_err();
        assert!(matches!(second, LockError::Held { pid, .. } if pid == Some(std::process::id())));
        assert!(second.to_string().ends_with(&format!("is in use by process {}", std::process::id())));
        drop(first);
        DataDirLock::acquire(&path).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_the_lock_costs_what_it_leads_to_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (data, victim) = (dir.path().join("data"), dir.path().join("victim"));
        disk::create_private_dir(&data).unwrap();
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, data.join(LOCK_FILE)).unwrap();
        let error = DataDirLock::acquire(&data).unwrap_err().to_string();
        assert!(error.contains("/data/lock: it is a symbolic link"), "{error}");
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
    }

    #[test]
    fn nothing_is_written_into_a_directory_that_others_may_write() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        let error = DataDirLock::acquire(dir.path()).unwrap_err().to_string();
        assert!(error.contains("others may write it (mode 1777)"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn letting_go_counts_even_where_a_copy_of_the_open_file_lives_on() {
        let dir = tempfile::tempdir().unwrap();
        let lock = FileLock::acquire("x", dir.path(), &dir.path().join(LOCK_FILE)).unwrap();
        let _copy = lock.file.try_clone().unwrap();
        drop(lock);
        DataDirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn a_lock_file_left_by_a_dead_node_does_not_stop_the_next() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(LOCK_FILE), "4194304999999\n").unwrap();
        let lock = DataDirLock::acquire(dir.path()).unwrap();
        assert_eq!(
            std::fs::read_to_string(lock.dir().join(LOCK_FILE)).unwrap(),
            format!("{}\n", std::process::id())
        );
    }

    #[test]
    fn the_lock_of_another_process_counts_and_ends_with_it_even_by_kill() {
        const HOLD: &str = "PUNCHDECK_TEST_HOLD_LOCK";
        if let Some(dir) = std::env::var_os(HOLD) {
            let _lock = DataDirLock::acquire(Path::new(&dir)).unwrap();
            println!("held");
            loop {
                std::thread::park();
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "node::lock::tests::the_lock_of_another_process_counts_and_ends_with_it_even_by_kill",
            ])
            .env(HOLD, dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = io::BufRead::lines(io::BufReader::new(child.stdout.take().unwrap()));
        assert!(lines.map_while(Result::ok).any(|l| l.contains("held")), "the child never held the lock");

        let error = DataDirLock::acquire(dir.path()).unwrap_err();
        let (killed, waited) = (child.kill(), child.wait());
        assert!(matches!(error, LockError::Held { pid, .. } if pid == Some(child.id())), "{error}");
        killed.and(waited).unwrap();
        DataDirLock::acquire(dir.path()).unwrap();
    }
}
