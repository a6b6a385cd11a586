//! A test of the paths to a peer.

use serde::Serialize;

use super::age_s;
use crate::model::{Interval, Path, PathTest, PeerId, Stamp, TestPhase, TestRtt, TestedPath};

/// What a test came to.
#[derive(Debug, Clone, Serialize)]
pub struct TestReport {
    /// To whom.
    pub peer_id: PeerId,
    /// How long each path was tested.
    pub for_ms: u32,
    /// How long it took in all.
    pub elapsed_ms: u64,
    /// Path by path, the one in use first.
    pub paths: Vec<TestItem>,
}

/// What was measured of a path. What was not is null.
#[derive(Debug, Clone, Serialize)]
pub struct TestItem {
    /// Which.
    pub path: Path,
    /// The relay, for one that runs over a relay.
    pub via: Option<PeerId>,
    /// Whether it carried the link when the test began.
    pub in_use: bool,
    /// Whether it was tested to its end.
    pub complete: bool,
    /// Round trips of small datagrams.
    pub rtt_ms: Option<TestRtt>,
    /// How much one round trip differs from the one before, on average.
    pub jitter_ms: Option<f64>,
    /// Share of the datagrams of both directions that were lost, from 0 to 1.
    pub loss: Option<f64>,
    /// Its 95 % interval.
    pub loss_interval: Option<Interval>,
    /// Datagrams that the loss was counted of.
    pub datagrams: u32,
    /// Datagrams that were overtaken by a later one.
    pub reordered: u32,
    /// Millions of bits per second towards the peer.
    pub mbit_up: Option<f64>,
    /// Whether that is as much as a test may send over this path.
    pub mbit_up_is_least: Option<bool>,
    /// The same from the peer.
    pub mbit_down: Option<f64>,
    /// The same.
    pub mbit_down_is_least: Option<bool>,
    /// The largest datagram that is known to pass both ways, in bytes of UDP payload.
    pub mtu: Option<u16>,
    /// Why it was not measured, or not to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl TestReport {
    /// Of a test that has ended, or runs.
    pub fn new(test: &PathTest, now: Stamp) -> Self {
        let took = age_s(test.started, test.ended.unwrap_or(now)) * 1e3;
        Self {
            peer_id: test.peer_id,
            for_ms: test.for_ms,
            elapsed_ms: took as u64,
            paths: test.paths.iter().map(TestItem::new).collect(),
        }
    }
}

impl TestItem {
    fn new(path: &TestedPath) -> Self {
        Self {
            path: path.path,
            via: path.via,
            in_use: path.in_use,
            complete: path.phase == TestPhase::Over && path.reason.is_none(),
            rtt_ms: path.rtt,
            jitter_ms: path.jitter_ms,
            loss: path.loss(),
            loss_interval: path.loss_interval,
            datagrams: path.lost_of().1,
            reordered: path.reordered(),
            mbit_up: path.rate_up.map(|rate| rate.mbit),
            mbit_up_is_least: path.rate_up.map(|rate| rate.at_least),
            mbit_down: path.rate_down.map(|rate| rate.mbit),
            mbit_down_is_least: path.rate_down.map(|rate| rate.at_least),
            mtu: path.mtu,
            note: path.reason.as_ref().map(ToString::to_string),
        }
    }
}
