//! The one way to read a file: regular, of bounded size, or refused at once.
//!
//! A link is followed, as people link their configuration. What it leads to is looked
//! at before it is opened, since opening some devices does something, and again after,
//! since it may have changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{Unfit, flags, mode, regular};

/// A file that has been found fit, to be read from its beginning.
///
/// # Errors
/// What the system says, or [`Unfit`].
pub fn open(path: &Path, max: u64) -> io::Result<File> {
    regular(&fs::metadata(path)?)?;
    let file = OpenOptions::new().read(true).custom_flags(flags(OFlags::empty())).open(path)?;
    let meta = file.metadata()?;
    regular(&meta)?;
    if meta.len() > max {
        return Err(Unfit::TooLarge { bytes: meta.len(), max }.into());
    }
    Ok(file)
}

/// All of it.
///
/// # Errors
/// What the system says, or [`Unfit`].
pub fn bytes(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    whole(open(path, max)?, max, &mut bytes)?;
    Ok(bytes)
}

/// All of it, as text.
///
/// # Errors
/// What the system says, [`Unfit`], or that it is no UTF-8.
pub fn text(path: &Path, max: u64) -> io::Result<String> {
    String::from_utf8(bytes(path, max)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no text (UTF-8)"))
}

/// All of a secret: its owner alone may read it, and no copy of it stays behind.
///
/// # Errors
/// What the system says, or [`Unfit`].
pub fn private(path: &Path, max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = open(path, max)?;
    let mode = mode(&file.metadata()?);
    if mode & 0o077 != 0 {
        return Err(Unfit::ReadableByOthers { mode }.into());
    }
    // Reserved whole: growing would leave a part of it behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(max).unwrap_or(0).saturating_add(1)));
    whole(file, max, &mut bytes)?;
    Ok(bytes)
}

/// It may grow while it is read.
fn whole(file: File, max: u64, into: &mut Vec<u8>) -> io::Result<()> {
    file.take(max.saturating_add(1)).read_to_end(into)?;
    let bytes = into.len() as u64;
    if bytes > max { Err(Unfit::TooLarge { bytes, max }.into()) } else { Ok(()) }
}
