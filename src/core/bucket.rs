//! A token bucket on the monotonic clock.

use std::time::Duration;

use super::Mono;

/// Lets a burst through, then a sustained rate.
#[derive(Debug, Clone)]
pub struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    filled: Mono,
}

impl Bucket {
    /// A full bucket.
    pub fn new(burst: f64, per_second: f64, now: Mono) -> Self {
        Self { tokens: burst, burst, per_second, filled: now }
    }

    /// A full bucket that gains one token every so often.
    pub fn every(burst: f64, period: Duration, now: Mono) -> Self {
        Self::new(burst, 1.0 / period.as_secs_f64(), now)
    }

    /// Takes one token, if there is one.
    pub fn take(&mut self, now: Mono) -> bool {
        self.take_many(1.0, now)
    }

    /// Takes `count` tokens, if there are as many; else none.
    pub fn take_many(&mut self, count: f64, now: Mono) -> bool {
        self.refill(now);
        let enough = self.tokens >= count;
        if enough {
            self.tokens -= count;
        }
        enough
    }

    /// Whether there is a token, without taking it.
    pub fn has(&mut self, now: Mono) -> bool {
        self.refill(now);
        self.tokens >= 1.0
    }

    /// How long until there is a token.
    pub fn wait(&mut self, now: Mono) -> Duration {
        self.refill(now);
        let missing = (1.0 - self.tokens).max(0.0);
        // Rounding must not leave it a hair too early.
        let wait = Duration::from_secs_f64(missing / self.per_second);
        if wait.is_zero() { wait } else { wait + Duration::from_millis(1) }
    }

    /// Adds tokens, above the burst if need be but never above `ceiling`:
    /// for what we asked for ourselves.
    pub fn grant(&mut self, count: f64, ceiling: f64, now: Mono) {
        self.refill(now);
        self.tokens = (self.tokens + count).min(ceiling).max(self.tokens);
    }

    /// Whether nothing of it is used up: then it says nothing of anybody.
    pub fn is_full(&mut self, now: Mono) -> bool {
        self.refill(now);
        self.tokens >= self.burst
    }

    fn refill(&mut self, now: Mono) {
        let gained = now.since(self.filled).as_secs_f64() * self.per_second;
        self.filled = self.filled.max(now);
        // What was granted above the burst stays; it only does not grow.
        self.tokens = (self.tokens + gained).min(self.burst.max(self.tokens));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(bucket: &mut Bucket, now: Mono) -> usize {
        (0..100_000).take_while(|_| bucket.take(now)).count()
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(5.0, 2.0, Mono::default());
        assert_eq!(drain(&mut bucket, Mono::default()), 5);
        assert_eq!(drain(&mut bucket, Mono::from_millis(1_000)), 2);
        assert_eq!(drain(&mut bucket, Mono::from_millis(3_600_000)), 5, "never above the burst");
    }

    #[test]
    fn what_was_granted_is_kept_but_does_not_grow() {
        let mut bucket = Bucket::every(5.0, Duration::from_secs(1), Mono::default());
        bucket.grant(8.0, 10.0, Mono::default());
        assert_eq!(drain(&mut bucket.clone(), Mono::from_millis(60_000)), 10);
        assert_eq!(drain(&mut bucket, Mono::default()), 10);
        assert_eq!(drain(&mut bucket, Mono::from_millis(60_000)), 5);
    }

    #[test]
    fn a_clock_that_stands_still_or_runs_back_gives_nothing() {
        let mut bucket = Bucket::new(1.0, 1.0, Mono::from_millis(5_000));
        assert!(bucket.take(Mono::from_millis(5_000)));
        assert!(!bucket.take(Mono::from_millis(1_000)));
        assert!(!bucket.take(Mono::from_millis(5_500)));
    }
}
