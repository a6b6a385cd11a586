//! A state file that says whether it is as it was written: its content, and before it
//! the SHA-256 of it, in JSON that anybody can read.
//!
//! It finds damage, not forgery: who can write the file can seal it, too.

use aws_lc_rs::digest;

const BEFORE: &[u8] = b"{\"sha256\":\"";
const BETWEEN: &[u8] = b"\",\"content\":";
const AFTER: &[u8] = b"}";

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// The content, as it was written.
    Whole(&'a [u8]),
    /// No seal: it was written by a version that had none, or is something else.
    Bare(&'a [u8]),
    /// A seal that does not fit.
    Damaged,
}

/// The SHA-256, as it is written.
pub fn sum(content: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, content))
}

/// The file with that content, which is JSON.
pub fn seal(content: &[u8]) -> Vec<u8> {
    [BEFORE, sum(content).as_bytes(), BETWEEN, content, AFTER].concat()
}

/// What is in a file. Every byte of it counts: that of a seal that is not quite as we
/// write it is `Bare`, and no content of ours looks like that.
pub fn open(file: &[u8]) -> Found<'_> {
    let parts = file.strip_prefix(BEFORE).and_then(|rest| rest.split_at_checked(64));
    let content = parts.and_then(|(sum, rest)| Some((sum, rest.strip_prefix(BETWEEN)?.strip_suffix(AFTER)?)));
    match content {
        None => Found::Bare(file),
        Some((said, content)) if said == sum(content).as_bytes() => Found::Whole(content),
        Some(_) => Found::Damaged,
    }
}
