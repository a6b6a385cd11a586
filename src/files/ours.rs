//! The one way to open a file of ours for writing: nothing is written before it is
//! known that it is a file, ours, and written by nobody else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{Unfit, flags, nobody_elses, regular};

/// What it is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// To be locked, or handed to a library; what is in it stays. It has this one name.
    Holding,
    /// To be written on at its end.
    Appending,
}

/// Opens a file, or makes it for its owner alone. Where it is refused it is as it was.
///
/// # Errors
/// What the system says, or [`Unfit`].
pub fn open(path: &Path, how: For) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600).custom_flags(flags(OFlags::NOFOLLOW));
    match how {
        For::Holding => options.read(true).write(true).truncate(false),
        For::Appending => options.append(true),
    };
    // A pipe without a reader, a socket or a directory is told by name.
    let file = options.open(path).map_err(|error| refined(path, error))?;
    let meta = file.metadata()?;
    regular(&meta)?;
    nobody_elses(&meta)?;
    if how == For::Holding && meta.nlink() > 1 {
        return Err(Unfit::Names { names: meta.nlink() }.into());
    }
    Ok(file)
}

/// Makes a file that was not there, for a moment and under a name that is ours. What a
/// kill left under that name is removed first, and never followed.
///
/// # Errors
/// What the system says.
pub fn fresh(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)
}

/// That a directory is ours and nobody else may write into it. A link to one is as good.
///
/// # Errors
/// What the system says, or [`Unfit`].
pub fn check_dir(dir: &Path) -> io::Result<()> {
    let meta = fs::metadata(dir)?;
    if !meta.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    Ok(nobody_elses(&meta)?)
}

fn refined(path: &Path, error: io::Error) -> io::Error {
    if Errno::from_io_error(&error) == Some(Errno::LOOP) {
        return Unfit::Link.into();
    }
    match fs::symlink_metadata(path).map(|meta| regular(&meta)) {
        Ok(Err(why)) => why.into(),
        _ => error,
    }
}
