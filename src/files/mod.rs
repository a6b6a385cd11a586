//! Files of this host, opened so that nobody else decides what becomes of it.
//!
//! [`read`] is the one way to read a file that a person or another program may have
//! put there: a regular file of bounded size, or a refusal at once. [`ours`] is the one
//! way to write one that stays open under its name: never through a link, and only
//! where nobody else can write. [`sealed`] is how a state file says that it is as it
//! was written. Nothing here knows what the files hold.

pub mod ours;
pub mod read;
pub mod sealed;

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

use rustix::fs::OFlags;

/// The largest text that somebody writes by hand: settings, topologies, drills, fleets.
/// The longest that we ship has a hundredth of that.
pub const TEXT_MAX: u64 = 1024 * 1024;

/// Why a file is not opened, though the system would open it. It travels inside of an
/// [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is something else.
    #[error("it is {0}, not a file")]
    NoFile(&'static str),
    /// It is longer than anything that can stand there.
    #[error("it has {bytes} bytes, and at most {max} are read")]
    TooLarge {
        /// How long it is, at least.
        bytes: u64,
        /// How long it may be.
        max: u64,
    },
    /// It leads elsewhere, and we would write there.
    #[error("it is a symbolic link, and nothing is written through one")]
    Link,
    /// It is a file of several names, and we would write into the other one, too.
    #[error("it has {names} names (hard links); take away all but one")]
    Names {
        /// How many.
        names: u64,
    },
    /// It belongs to somebody else, who decides what becomes of it.
    #[error("it belongs to user {owner}, and this is user {us}")]
    Foreign {
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// Others may read what is for its owner alone.
    #[error("others may read it (mode {mode:04o})")]
    ReadableByOthers {
        /// Its mode.
        mode: u32,
    },
    /// Others may write it.
    #[error("others may write it (mode {mode:04o}): chmod go-w it")]
    WritableByOthers {
        /// Its mode.
        mode: u32,
    },
}

impl Unfit {
    /// The reason inside of an error, if there is one of ours in it.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<Unfit> for io::Error {
    fn from(why: Unfit) -> Self {
        Self::new(ErrorKind::InvalidData, why)
    }
}

/// The permission bits.
pub fn mode(meta: &Metadata) -> u32 {
    meta.permissions().mode() & 0o7777
}

/// Nothing else than a regular file.
fn regular(meta: &Metadata) -> Result<(), Unfit> {
    let kind = meta.file_type();
    if kind.is_file() {
        return Ok(());
    }
    Err(Unfit::NoFile(if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }))
}

/// It belongs to us or to root, who decides anyway, and nobody else may write it.
fn nobody_elses(meta: &Metadata) -> Result<(), Unfit> {
    let (owner, us) = (meta.uid(), rustix::process::geteuid().as_raw());
    if owner != us && owner != 0 {
        return Err(Unfit::Foreign { owner, us });
    }
    let mode = mode(meta);
    if mode & 0o022 == 0 { Ok(()) } else { Err(Unfit::WritableByOthers { mode }) }
}

/// For [`std::os::unix::fs::OpenOptionsExt::custom_flags`]: neither waits for the other
/// end of a pipe nor becomes anybody's terminal.
fn flags(more: OFlags) -> i32 {
    (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more).bits().cast_signed()
}

#[cfg(test)]
mod tests;
