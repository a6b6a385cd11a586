//! Files that survive a kill -9 and a full disk: written beside the old one,
//! synced, renamed, and the directory synced.
//!
//! It never leaves a half-written file under the name that is read, and never
//! overwrites what it sets aside. It knows nothing of what the files hold. One
//! path has one writer at a time: the data directory's lock sees to that.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::files::ours;

/// Mode of the data directory when we create it: its owner's alone.
pub const DIR_MODE: u32 = 0o700;
/// Mode of every file in it.
pub const FILE_MODE: u32 = 0o600;

/// Creates a directory, and those above it, for its owner alone. One that
/// exists is left as it is.
///
/// # Errors
/// What the system says; also if the path is no directory.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)
}

/// Replaces `path` by `bytes`, wholly or not at all.
///
/// The temporary file stands in the same directory under one fixed name, so a
/// kill in the middle leaves at most one behind, and the next write replaces it.
///
/// # Errors
/// What the system says. The old file then still stands, and the temporary one
/// is gone. The one exception is a failing sync of the directory: the new file
/// stands then, but may not survive a power cut.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temp = sibling(path, "tmp")?;
    write_synced(&temp, bytes, mode)
        .and_then(|()| fs::rename(&temp, path))
        .inspect_err(|_| drop(fs::remove_file(&temp)))?;
    sync_dir_of(path)
}

/// Creates `path` with `bytes`, wholly or not at all, and never replaces a file
/// that is there.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if there is one; else what the system says.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // Two processes may get here at once (each must find out who was first),
    // so each has a temporary file of its own.
    let temp = sibling(path, &format!("tmp-{}", std::process::id()))?;
    write_synced(&temp, bytes, mode)
        .and_then(|()| rename_new(&temp, path))
        .inspect_err(|_| drop(fs::remove_file(&temp)))?;
    sync_dir_of(path)
}

/// Renames a damaged file to `<name>.damaged-<n>`, with the first free `n` from
/// 1 on, and returns the new path. What was set aside before stays.
///
/// # Errors
/// What the system says; the file then stands where it stood.
pub fn set_aside(path: &Path, why: &str) -> io::Result<PathBuf> {
    for n in 1u32.. {
        let mut name = file_name(path)?;
        name.push(format!(".damaged-{n}"));
        let aside = path.with_file_name(name);
        match rename_new(path, &aside) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
            Ok(()) => {
                sync_dir_of(path)?;
                tracing::warn!(file = %path.display(), aside = %aside.display(), why, "set aside a damaged file");
                return Ok(aside);
            }
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Renames without ever replacing a file. A hard link is the one portable call
/// that creates a name only if it is free; where the file system has none, a
/// look before the rename must do.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(e) if matches!(e.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => Err(e),
        Err(_) if fs::symlink_metadata(to).is_ok() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = ours::fresh(path, mode)?;
    // The umask may have taken bits away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a rename to `path` outlive a power cut.
///
/// # Errors
/// What the system says.
pub fn sync_dir_of(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

/// `.<name>.<suffix>` in the same directory: a rename must not cross file
/// systems.
fn sibling(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let mut name = OsString::from(".");
    name.push(file_name(path)?);
    name.push(".");
    name.push(suffix);
    Ok(path.with_file_name(name))
}

fn file_name(path: &Path) -> io::Result<OsString> {
    path.file_name()
        .map(ToOwned::to_owned)
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "the path names no file"))
}

#[cfg(test)]
mod tests;
