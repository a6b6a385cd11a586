//! Lines that were lost are told of, in a line.

use std::time::{Duration, Instant};

/// A sink that is slow for long must not fill the others with complaints.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// When to say how many lines were dropped.
#[derive(Debug, Default)]
pub struct DropWatch {
    said: u64,
    at: Option<Instant>,
}

impl DropWatch {
    /// Takes how many were dropped since the start; gives how many of them are
    /// to be told of now.
    pub fn look(&mut self, dropped: u64, now: Instant) -> Option<u64> {
        let quiet = self.at.is_some_and(|at| now.duration_since(at) < SAY_EVERY);
        if quiet || dropped == self.said {
            return None;
        }
        let new = dropped - self.said;
        (self.said, self.at) = (dropped, Some(now));
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_are_told_of_at_once_and_then_at_most_once_a_minute() {
        let (mut watch, begun) = (DropWatch::default(), Instant::now());
        let after = |s| begun + Duration::from_secs(s);
        assert_eq!(watch.look(0, begun), None);
        assert_eq!(watch.look(3, after(1)), Some(3));
        assert_eq!(watch.look(7, after(2)), None);
        assert_eq!(watch.look(9, after(61)), Some(6));
        assert_eq!(watch.look(9, after(200)), None, "none since");
    }
}
