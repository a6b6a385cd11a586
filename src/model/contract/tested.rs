//! A test of the paths to a peer.

use serde::Serialize;

use super::age_s;
use super::told::{Told, all};
use crate::model::{PathTest, PeerId, Stamp, TestedPath};

/// What a test came to.
#[derive(Debug, Clone, Serialize)]
pub struct TestReport<'a> {
    /// To whom.
    pub peer_id: PeerId,
    /// How long each path was tested.
    pub for_ms: u32,
    /// How long it took in all.
    pub elapsed_ms: u64,
    /// Path by path, the one in use first. What was not measured is null.
    pub paths: Vec<Told<'a, TestedPath>>,
}

impl<'a> TestReport<'a> {
    /// Of a test that has ended, or runs.
    pub fn new(test: &'a PathTest, now: Stamp) -> Self {
        let took = age_s(test.started, test.ended.unwrap_or(now)) * 1e3;
        Self {
            peer_id: test.peer_id,
            for_ms: test.for_ms,
            elapsed_ms: took as u64,
            paths: all(&test.paths, now),
        }
    }
}
