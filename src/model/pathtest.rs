//! What a test of the paths to a peer measures, while it runs and at its end.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Interval, Path, PeerId, Reason, Stamp};

/// The latest test of the paths to a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathTest {
    /// To whom.
    pub peer_id: PeerId,
    /// When it began.
    pub started: Stamp,
    /// How long each path is tested, in milliseconds.
    pub for_ms: u32,
    /// When it ended; `None` while it runs.
    pub ended: Option<Stamp>,
    /// Each path that stood when it began, the one in use first.
    pub paths: Vec<TestedPath>,
}

/// Where the test of a path stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestPhase {
    /// Another path is tested first.
    Waiting,
    /// The other end was asked.
    Asking,
    /// Small datagrams only: round trips, jitter, loss.
    Quiet,
    /// Load towards the peer.
    Up,
    /// Load from the peer.
    Down,
    /// It is over, and was measured as far as it says.
    Over,
}

impl TestPhase {
    /// The phase in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Asking => "asking",
            Self::Quiet => "round trips",
            Self::Up => "up",
            Self::Down => "down",
            Self::Over => "done",
        }
    }
}

/// Round trips of small datagrams on an otherwise idle connection, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestRtt {
    /// The fastest.
    pub min: f64,
    /// Half of them were no slower.
    pub p50: f64,
    /// Of twenty 19 were no slower.
    pub p95: f64,
}

/// Datagrams of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestCount {
    /// Sent.
    pub sent: u32,
    /// Of those never came.
    pub lost: u32,
    /// Came after one that was sent later.
    pub reordered: u32,
}

/// What a direction carried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestRate {
    /// In millions of bits per second.
    pub mbit: f64,
    /// Whether that is as much as may be asked of this path, so that it may carry more.
    pub at_least: bool,
}

impl fmt::Display for TestRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { "≥ " } else { "" };
        match self.mbit {
            mbit if mbit < 10.0 => write!(f, "{sign}{mbit:.2}"),
            mbit => write!(f, "{sign}{mbit:.1}"),
        }
    }
}

/// What is measured of a path, by the names that it has everywhere.
pub const MEASURES: [&str; 9] =
    ["rtt min", "p50", "p95", "jitter", "loss [95 %]", "reordered", "up", "down", "mtu"];

/// The test of one path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestedPath {
    /// Which.
    pub path: Path,
    /// The relay, for one that runs over a relay and where that is known.
    pub via: Option<PeerId>,
    /// Whether it carried the link when the test began.
    pub in_use: bool,
    /// Where its test stands.
    pub phase: TestPhase,
    /// How much of its time is over, from 0 to 1.
    pub progress: f32,
    /// Round trips; `None` while none came back.
    pub rtt: Option<TestRtt>,
    /// How much one round trip differs from the one before, on average, in
    /// milliseconds.
    pub jitter_ms: Option<f64>,
    /// Datagrams towards the peer, as far as it told what came.
    pub up: TestCount,
    /// Datagrams from the peer.
    pub down: TestCount,
    /// In which 95 % interval the loss of both directions lies.
    pub loss_interval: Option<Interval>,
    /// What it carried towards the peer.
    pub rate_up: Option<TestRate>,
    /// What it carried from the peer.
    pub rate_down: Option<TestRate>,
    /// The largest datagram that is known to pass both ways, in bytes of UDP payload.
    pub mtu: Option<u16>,
    /// Why it was not measured, or not to its end.
    pub reason: Option<Reason>,
}

impl TestedPath {
    /// A path whose test did not begin.
    pub fn waiting(path: Path, via: Option<PeerId>, in_use: bool) -> Self {
        Self {
            path,
            via,
            in_use,
            phase: TestPhase::Waiting,
            progress: 0.0,
            rtt: None,
            jitter_ms: None,
            up: TestCount::default(),
            down: TestCount::default(),
            loss_interval: None,
            rate_up: None,
            rate_down: None,
            mtu: None,
            reason: None,
        }
    }

    /// Datagrams sent and lost, both ways together.
    pub fn lost_of(&self) -> (u32, u32) {
        (self.up.lost + self.down.lost, self.up.sent + self.down.sent)
    }

    /// Of the datagrams of both directions so many were lost, from 0 to 1.
    pub fn loss(&self) -> Option<f64> {
        let (lost, sent) = self.lost_of();
        (sent > 0).then(|| f64::from(lost) / f64::from(sent))
    }

    /// Datagrams that were overtaken, both ways together.
    pub fn reordered(&self) -> u32 {
        self.up.reordered + self.down.reordered
    }

    /// Each of [`MEASURES`] as a text; `None` where it was not measured.
    pub fn measures(&self) -> [Option<String>; MEASURES.len()] {
        let ms = |ms: f64| if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") };
        let loss = self.loss().zip(self.loss_interval).map(|(loss, within)| {
            let [loss, lo, hi] = [loss, within.lo, within.hi].map(|share| share * 100.0);
            format!("{loss:.1} % [{lo:.1}, {hi:.1}]")
        });
        let rate = |rate: Option<TestRate>| rate.map(|rate| format!("{rate} Mbit/s"));
        [
            self.rtt.map(|rtt| ms(rtt.min)),
            self.rtt.map(|rtt| ms(rtt.p50)),
            self.rtt.map(|rtt| ms(rtt.p95)),
            self.jitter_ms.map(ms),
            loss,
            self.rtt.map(|_| self.reordered().to_string()),
            rate(self.rate_up),
            rate(self.rate_down),
            self.mtu.map(|bytes| bytes.to_string()),
        ]
    }

    /// In a line: what was measured of it, or why nothing was.
    pub fn summary(&self) -> String {
        let mut said = Vec::new();
        if let Some(rtt) = self.rtt {
            said.push(format!("round trip {:.1} ms (p95 {:.1})", rtt.p50, rtt.p95));
            said.extend(self.loss().map(|loss| format!("{:.1} % lost", loss * 100.0)));
            said.extend(self.rate_up.map(|rate| format!("up {rate} Mbit/s")));
            said.extend(self.rate_down.map(|rate| format!("down {rate} Mbit/s")));
            said.extend(self.mtu.map(|mtu| format!("datagrams up to {mtu} bytes")));
        }
        said.extend(self.reason.as_ref().map(ToString::to_string));
        format!("{}: {}", self.name(), said.join(", "))
    }

    /// How the path is called: "direct", or "relayed via 1b88f0".
    pub fn name(&self) -> String {
        match self.via {
            Some(via) => format!("{} via {}", self.path, via.short()),
            None => self.path.to_string(),
        }
    }
}

impl PathTest {
    /// The test of the path that carried the link, if anything came back.
    pub fn in_use(&self) -> Option<&TestedPath> {
        self.paths.iter().find(|path| path.in_use && path.rtt.is_some())
    }

    /// Which of its paths is tested just now, while it runs.
    pub fn under_way(&self) -> Option<(usize, &TestedPath)> {
        let mut paths = self.paths.iter().enumerate().filter(|_| self.ended.is_none());
        paths.find(|(_, path)| !matches!(path.phase, TestPhase::Waiting | TestPhase::Over))
    }

    /// Whether anything was measured.
    pub fn has_result(&self) -> bool {
        self.paths.iter().any(|path| path.rtt.is_some())
    }
}

/// What the latest test says of the path of a link: for a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// When it ended.
    pub at: Stamp,
    /// Of the path that the link has now.
    pub path: Path,
    /// Loss, from 0 to 1.
    pub loss: Option<f64>,
    /// Millions of bits per second towards the peer.
    pub up: Option<TestRate>,
    /// The same from it.
    pub down: Option<TestRate>,
}
