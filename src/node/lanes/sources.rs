//! Where datagrams came from: nowhere else do we send any.
//!
//! The library takes it from any peer to send packets to addresses which that
//! peer names. Through a reservation they would leave from the relay, in our
//! name, to whomever.

use std::collections::HashSet;
use std::net::SocketAddr;

/// Sources of one generation. Two are remembered, which is at least so many of
/// the most recent ones, however many are made up meanwhile.
const GENERATION: usize = 512;

/// The most recent sources.
#[derive(Debug, Default)]
pub(super) struct Sources {
    young: HashSet<SocketAddr>,
    old: HashSet<SocketAddr>,
}

impl Sources {
    /// Something came from there.
    pub(super) fn heard(&mut self, from: SocketAddr) {
        if self.young.len() >= GENERATION && !self.young.contains(&from) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(from);
    }

    /// Whether something came from there lately.
    pub(super) fn knows(&self, to: &SocketAddr) -> bool {
        self.young.contains(to) || self.old.contains(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn the_most_recent_sources_are_known_and_no_more_are_kept_than_two_generations() {
        let mut sources = Sources::default();
        for port in 0..5_000 {
            sources.heard(at(port));
            // One that keeps talking is never forgotten.
            sources.heard(at(9_999));
        }
        assert!(sources.knows(&at(9_999)) && sources.knows(&at(4_999)) && sources.knows(&at(4_600)));
        assert!(!sources.knows(&at(0)) && !sources.knows(&at(6_000)));
        assert!(sources.young.len() + sources.old.len() <= 2 * GENERATION);
    }
}
