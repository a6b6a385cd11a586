//! The control protocol over standard input and output.

use std::path::Path;

use super::error::CtlError;
use crate::control;

/// Carries bytes until either end has had enough. What they say to each other is
/// theirs.
pub(super) async fn execute(socket: &Path) -> Result<(), CtlError> {
    Ok(control::bridge(socket, tokio::io::stdin(), tokio::io::stdout()).await?)
}
