//! A log file of bounded size: at most twice [`FILE_BYTES_MAX`] with the one
//! before it. Somebody else may move, remove or empty it while it is written: each
//! line goes into the file that has the name then.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::files::ours::{self, For};

/// Size at which a log file becomes `<name>.1`: weeks of a quiet node, and
/// small enough to be mailed.
pub const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// Appends; begins a new file when the old one is full.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    inode: (u64, u64),
    written: u64,
    max: u64,
}

impl LogFile {
    /// Opens or creates the file, for its owner alone; one that is over its
    /// size is put aside first.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path, max: u64) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|m| m.len() >= max) {
            put_aside(path)?;
        }
        let file = ours::open(path, For::Appending)?;
        let meta = file.metadata()?;
        Ok(Self { path: path.to_owned(), file, inode: inode(&meta), written: meta.len(), max })
    }

    /// Goes by what is there: a look costs less than the line does.
    fn follow_the_name(&mut self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            Ok(meta) if inode(&meta) == self.inode => self.written = meta.len(),
            _ => *self = Self::open(&self.path, self.max)?,
        }
        Ok(())
    }
}

impl Write for LogFile {
    /// Takes a whole line or fails; a line is never split over two files.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.follow_the_name()?;
        if self.written > 0 && self.written.saturating_add(line.len() as u64) > self.max {
            // If this fails the line is lost and the next one tries again: the
            // bound holds.
            put_aside(&self.path)?;
            *self = Self::open(&self.path, self.max)?;
        }
        self.file.write_all(line)?;
        self.written += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn inode(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// A file that is gone already (somebody tidied up, or the opening after the
/// last rename failed) is no obstacle.
fn put_aside(path: &Path) -> io::Result<()> {
    match fs::rename(path, previous(path)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn previous(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_makes_room_and_the_one_before_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(&path, 10).unwrap();
        for line in ["first\n", "second\n", "third\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "third\n");
        assert_eq!(fs::read_to_string(previous(&path)).unwrap(), "second\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_somebody_removed_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(&path, 100).unwrap();
        log.write_all(b"first\n").unwrap();
        fs::remove_file(&path).unwrap();
        log.write_all(b"second\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
    }

    #[test]
    fn a_file_that_somebody_moved_is_left_alone_and_one_that_was_emptied_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("log"), dir.path().join("moved"));
        let mut log = LogFile::open(&path, 100).unwrap();
        log.write_all(b"first\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        log.write_all(b"second\n").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "first\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        log.write_all(&[b'x'; 98]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 98, "there was room again");
        assert!(!previous(&path).exists());
    }

    #[test]
    fn a_link_in_its_place_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (path, victim) = (dir.path().join("log"), dir.path().join("victim"));
        let mut log = LogFile::open(&path, 100).unwrap();
        fs::write(&victim, "precious").unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(log.write_all(b"line\n").is_err(), "it is dropped, and counted");
        fs::remove_file(&path).unwrap();
        log.write_all(b"line\n").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn a_restart_appends_until_the_file_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for run in ["one\n", "two\n", "three\n"] {
            LogFile::open(&path, 8).unwrap().write_all(run.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(previous(&path)).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }
}
