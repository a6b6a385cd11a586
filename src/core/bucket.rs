//! A token bucket on monotonic time.

use super::Mono;

/// So many per second, and so many at once.
#[derive(Debug, Clone)]
pub struct Bucket {
    per_second: f64,
    burst: f64,
    level: f64,
    filled: Mono,
}

impl Bucket {
    /// A full bucket.
    pub fn new(per_second: f64, burst: f64, now: Mono) -> Self {
        Self { per_second, burst, level: burst, filled: now }
    }

    /// Takes `n` tokens if they are there.
    pub fn take(&mut self, n: f64, now: Mono) -> bool {
        self.level = (self.level + self.per_second * now.since(self.filled).as_secs_f64()).min(self.burst);
        self.filled = now;
        let there = self.level >= n;
        if there {
            self.level -= n;
        }
        there
    }
}
