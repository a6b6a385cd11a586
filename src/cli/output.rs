//! Standard output.

use std::io::{self, ErrorKind, Write as _};

use super::Failure;

/// Prints text as it is. A reader that went away (as `head` does) has what it
/// wanted; a full disk is a failure.
///
/// # Errors
/// If the text did not get out.
pub fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).or_else(unprinted)
}

/// What it means that something did not get out.
pub(super) fn unprinted(why: io::Error) -> Result<(), Failure> {
    if why.kind() == ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(Failure::failed(anyhow::Error::new(why).context("standard output")))
}
