//! What of a node wants to be called when: one table, so that it can be said what
//! fires next and why.

use super::Mono;

/// What fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A heartbeat or a handshake of a link.
    Links,
    /// A dial that is due by itself.
    Dialer,
    /// A stage of an attempt.
    Attempts,
    /// A digest, or an answer that does not come.
    Gossip,
    /// A target of a punch that does not answer.
    Coordination,
    /// A reservation, or a lane that is to stand by.
    Relaying,
    /// A reservation that we serve.
    Serving,
    /// A measurement of our NAT, or of somebody's claim.
    Nat,
    /// A punch behind a relayed link.
    Upgrades,
    /// A guessed punch.
    Guesses,
    /// A test of the paths to a peer.
    PathTests,
    /// Those who were asked why.
    Why,
    /// A run of echoes.
    Echoes,
    /// The cache.
    Saving,
}

/// When each is due, if it is.
#[derive(Debug, Clone)]
pub struct Timers(pub(super) [(Timer, Option<Mono>); 14]);

impl Timers {
    /// What fires next.
    pub fn next(&self) -> Option<(Mono, Timer)> {
        self.0.iter().filter_map(|(timer, at)| Some(((*at)?, *timer))).min()
    }

    /// When one is due.
    pub fn due(&self, timer: Timer) -> Option<Mono> {
        self.0.iter().find(|(of, _)| *of == timer).and_then(|(_, at)| *at)
    }
}
