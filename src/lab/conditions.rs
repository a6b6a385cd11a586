//! What a wire does, as data.

use std::fmt;
use std::time::Duration;

/// What a wire does to each direction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conditions {
    /// One way; a round trip takes twice as long.
    pub delay: Duration,
    /// Each frame takes up to this much longer, evenly spread.
    pub jitter: Duration,
    /// The share of frames that get lost, 0 to 1.
    pub loss: f64,
    /// Bits a second; `None` is as fast as the machine.
    pub rate: Option<u64>,
    /// Nothing passes, and what is under way is lost.
    pub cut: bool,
}

impl Conditions {
    /// Half of a round trip each way, nothing else.
    pub fn round_trip(rtt: Duration) -> Self {
        Self { delay: rtt / 2, ..Self::default() }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cut {
            return f.write_str("cut");
        }
        write!(f, "{:.1} ms", 2000.0 * self.delay.as_secs_f64())?;
        if !self.jitter.is_zero() {
            write!(f, ", up to {:.1} ms more each way", 1000.0 * self.jitter.as_secs_f64())?;
        }
        if self.loss > 0.0 {
            write!(f, ", {:.1} % lost each way", 100.0 * self.loss)?;
        }
        self.rate.map_or(Ok(()), |rate| write!(f, ", {:.0} kbit/s", rate as f64 / 1000.0))
    }
}
