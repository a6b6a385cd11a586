//! How fast two counters run just now: what they gained over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::Mono;

/// What is called now.
const OVER: Duration = Duration::from_secs(4);
/// Between two counts that are kept, so that they are few.
const STEP: Duration = Duration::from_millis(500);
/// Less than this says nothing.
const LEAST: Duration = Duration::from_secs(1);

/// Both counters, and what they were lately.
#[derive(Debug, Default)]
pub(super) struct Speed {
    past: VecDeque<(Mono, [u64; 2])>,
    latest: Option<(Mono, [u64; 2])>,
}

impl Speed {
    /// What both show now.
    pub(super) fn count(&mut self, both: [u64; 2], now: Mono) {
        if self.past.back().is_none_or(|(at, _)| now.since(*at) >= STEP) {
            self.past.push_back((now, both));
        }
        self.latest = Some((now, both));
        while self.past.get(1).is_some_and(|(at, _)| now.since(*at) >= OVER) {
            self.past.pop_front();
        }
    }

    /// What each gains a second; `None` as long as nobody can say.
    pub(super) fn per_second(&self) -> Option<[u64; 2]> {
        let ((from, before), (to, now)) = (*self.past.front()?, self.latest?);
        let span = to.since(from);
        let rate = |i: usize| (now[i].saturating_sub(before[i]) as f64 / span.as_secs_f64()).round() as u64;
        (span >= LEAST).then(|| [rate(0), rate(1)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_the_last_seconds_and_not_of_all_time() {
        let mut speed = Speed::default();
        let at = |ms: u64| Mono::from_millis(ms);
        speed.count([0, 0], at(0));
        speed.count([900, 0], at(900));
        assert_eq!(speed.per_second(), None, "a moment says nothing");
        for tenths in 10..100 {
            speed.count([tenths * 100, 7], at(tenths * 100));
        }
        assert_eq!(speed.per_second().map(|s| s[0]), Some(1_000));
        for tenths in 100..200 {
            speed.count([10_000, 7], at(tenths * 100));
        }
        assert_eq!(speed.per_second(), Some([0, 0]));
        assert!(speed.past.len() <= 10, "{}", speed.past.len());
    }
}
