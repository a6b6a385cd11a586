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
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(anyhow::Error::new(e).context("standard output")))
        }
        _ => Ok(()),
    }
}
