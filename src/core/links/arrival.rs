//! A connection that comes up: on which footing its peer comes, and what it owes itself
//! to.

use crate::core::Now;
use crate::core::attempts::Attempts;
use crate::core::book::Book;
use crate::core::config::EngineConfig;
use crate::core::coordination::Coordinator;
use crate::core::dialer::Dialer;
use crate::core::gossip::rules::is_public;
use crate::core::guessing::Guesses;
use crate::core::ladder::{Ladder, NatPair};
use crate::core::link::ConnInfo;
use crate::core::nat::Nat;
use crate::core::relaying::RelayState;
use crate::core::room::Footing;
use crate::core::wire::Hello;
use crate::model::{CloseCode, Path, PeerId};

/// What the links have to know of the rest of the node.
#[derive(Clone, Copy)]
pub(in crate::core) struct View<'a> {
    pub(in crate::core) config: &'a EngineConfig,
    pub(in crate::core) book: &'a Book,
    pub(in crate::core) nat: &'a Nat,
    pub(in crate::core) attempts: &'a Attempts,
    pub(in crate::core) dialer: &'a Dialer,
    pub(in crate::core) coordination: &'a Coordinator,
    pub(in crate::core) guesses: &'a Guesses,
    pub(in crate::core) relaying: &'a RelayState,
    pub(in crate::core) now: Now,
}

impl View<'_> {
    /// What we say of ourselves to whoever connects.
    pub(super) fn hello(&self) -> Hello {
        self.config.hello(self.nat.claim(), self.now)
    }

    /// On which footing a peer comes, or the code for one with whom we want no link.
    pub(super) fn footing(&self, peer: &PeerId, info: &ConnInfo) -> Result<Footing, CloseCode> {
        if *peer == self.config.me {
            return Err(CloseCode::Replaced);
        }
        if self.dialer.is_refused(peer, self.now.mono) {
            return Err(CloseCode::HoldOff);
        }
        // A dial that the peer asked us for is no wish of ours.
        Ok(if info.outbound && !self.coordination.expects(peer) {
            Footing::Ours
        } else if self.book.get(*peer).is_some_and(|entry| entry.measured.tried) {
            Footing::Known
        } else {
            Footing::Stranger
        })
    }

    /// Whether a connection without a relay owes itself to a punch: ours, or one that we
    /// agreed to.
    pub(super) fn is_punched(&self, peer: &PeerId, info: &ConnInfo) -> bool {
        // Between two private addresses there is no NAT.
        if info.path != Path::Direct || !is_public(info.remote.ip()) {
            return false;
        }
        let ladder = self.attempts.towards(peer);
        let ours = ladder.is_some_and(|l| l.path_now() == Path::Punched);
        let theirs = self.coordination.is_punching(peer, self.now.mono);
        // A peer comes in through a NAT of ours that keeps strangers out because we
        // dialled it too.
        let filters = NatPair { theirs: self.nat.claim(), ..NatPair::default() }.can_dial() == Some(false);
        let crossed = filters && !info.outbound && ladder.is_some_and(Ladder::is_dialling);
        ours || theirs || crossed || self.guesses.is_meeting(peer)
    }
}
