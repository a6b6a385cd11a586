//! Our reservations: how many, on whom, which carries and which stands by.
//!
//! Who cannot be reached otherwise holds two always; who invited somebody holds
//! one for as long as it carries anything. The first is the active one: its
//! address stands first in our record. When it is lost the next takes over and
//! another is reserved.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::limits::RESERVATIONS_MAX;
use super::wire::RelayAddr;
use super::{Mono, Now};
use crate::model::{PeerId, Reason, RelayRole, Stamp};

/// How long a reservation that carries nothing is kept: a peer that was invited
/// once is often wanted again.
pub const LINGER: Duration = Duration::from_secs(60);
/// How long a relay that gave nothing is not asked again.
const REFUSED_FOR: Duration = Duration::from_secs(20);
/// The same for one that was lost: perhaps only its connection was.
const LOST_FOR: Duration = Duration::from_secs(5);

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum RelaysOut {
    /// Reserve on that relay.
    Reserve(PeerId),
    /// Give that reservation back.
    Release(PeerId),
    /// What our record says of relays has changed.
    Changed,
    /// A relay gave us an address.
    Reserved {
        /// The relay.
        relay: PeerId,
        /// The address.
        addr: SocketAddr,
        /// What for.
        role: RelayRole,
    },
    /// A relay gives us none.
    Refused {
        /// The relay.
        relay: PeerId,
        /// The reason.
        reason: Reason,
    },
    /// A reservation is lost.
    Lost {
        /// The relay that gave it.
        relay: PeerId,
        /// The reason.
        reason: Reason,
        /// Who takes over, if it was the active one and there is somebody.
        successor: Option<PeerId>,
        /// Whether it was the active one.
        active: bool,
    },
}

/// A reservation that stands.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// The relay, and the address that it gave us.
    pub at: RelayAddr,
    /// Since when.
    pub since: Stamp,
}

/// The reservations of one node.
#[derive(Debug, Default)]
pub struct Relays {
    /// The active one first.
    held: Vec<Held>,
    asking: Option<PeerId>,
    /// Who gave us none lately, and until when it is not asked.
    refused: BTreeMap<PeerId, Mono>,
    always: bool,
    wanted_until: Option<Mono>,
}

impl Relays {
    /// Whether we cannot be reached without relays.
    pub fn set_always(&mut self, always: bool, now: Mono) {
        if self.always && !always {
            self.want(now);
        }
        self.always = always;
    }

    /// Somebody is to be invited.
    pub fn want(&mut self, now: Mono) {
        self.wanted_until = Some(now + LINGER);
    }

    /// Our reservations, the active one first.
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// As our record has them.
    pub fn addresses(&self) -> Vec<RelayAddr> {
        self.held.iter().map(|h| h.at).collect()
    }

    /// The active one.
    pub fn active(&self) -> Option<RelayAddr> {
        self.held.first().map(|h| h.at)
    }

    /// Whether there is nothing to settle.
    pub fn is_idle(&self) -> bool {
        !self.always && self.wanted_until.is_none() && self.held.is_empty()
    }

    /// Whom we are asking.
    pub fn asking(&self) -> Option<PeerId> {
        self.asking
    }

    /// Whether a reservation of ours is on that peer.
    pub fn is_relay(&self, peer: &PeerId) -> bool {
        self.held.iter().any(|h| h.at.relay == *peer)
    }

    /// How many are wanted. `in_use`: a link runs over one of them, so it needs
    /// a standby too.
    fn wanted(&self, in_use: bool, now: Mono) -> usize {
        if self.always || in_use {
            RESERVATIONS_MAX
        } else {
            usize::from(self.wanted_until.is_some_and(|until| until > now))
        }
    }

    /// Brings their number to what is wanted. `candidates`: who could be a relay
    /// for us, the best first. `in_use`: whether a link runs over a reservation.
    pub fn advance(
        &mut self,
        candidates: impl FnOnce() -> Vec<PeerId>,
        in_use: impl Fn(&PeerId) -> bool,
        now: Mono,
        out: &mut Vec<RelaysOut>,
    ) {
        self.refused.retain(|_, until| *until > now);
        let used = self.held.iter().any(|h| in_use(&h.at.relay));
        let wanted = self.wanted(used, now);
        if self.held.len() < wanted && self.asking.is_none() {
            let free = |peer: &PeerId| !self.is_relay(peer) && !self.refused.contains_key(peer);
            if let Some(relay) = candidates().into_iter().find(free) {
                self.asking = Some(relay);
                out.push(RelaysOut::Reserve(relay));
            }
        }
        // The last ones go first, and none that carries something.
        while self.held.len() > wanted {
            let Some(at) = self.held.iter().rposition(|h| !in_use(&h.at.relay)) else { return };
            let relay = self.held.remove(at).at.relay;
            out.extend([RelaysOut::Release(relay), RelaysOut::Changed]);
        }
    }

    /// Whether there are fewer than wanted, and nobody to ask.
    pub fn lacks(&self, in_use: impl Fn(&PeerId) -> bool, now: Mono) -> bool {
        let used = self.held.iter().any(|h| in_use(&h.at.relay));
        self.asking.is_none() && self.held.len() < self.wanted(used, now)
    }

    /// Whether a peer gave us nothing lately, or was lost.
    pub fn is_refused(&self, peer: &PeerId) -> bool {
        self.refused.contains_key(peer)
    }

    /// When [`Self::advance`] has something to do by the clock alone.
    pub fn next_timeout(&self, now: Mono) -> Option<Mono> {
        let refused = self.refused.values().copied().min().filter(|_| self.held.len() < RESERVATIONS_MAX);
        let lingers = self.wanted_until.filter(|_| !self.always && !self.held.is_empty());
        refused.into_iter().chain(lingers).filter(|at| *at > now).min()
    }

    /// A relay gave us an address.
    pub fn on_reserved(&mut self, relay: PeerId, addr: SocketAddr, now: Now, out: &mut Vec<RelaysOut>) {
        if self.asking.take_if(|asked| *asked == relay).is_none() {
            // Somebody else asked for it; it stays as long as one that we did.
            self.want(now.mono);
        }
        if self.is_relay(&relay) {
            return;
        }
        let role = if self.held.is_empty() { RelayRole::Active } else { RelayRole::Standby };
        self.held.push(Held { at: RelayAddr { relay, addr }, since: now.stamp });
        out.extend([RelaysOut::Reserved { relay, addr, role }, RelaysOut::Changed]);
    }

    /// A relay gave us none.
    pub fn on_refused(&mut self, relay: PeerId, reason: Reason, now: Mono, out: &mut Vec<RelaysOut>) {
        self.asking.take_if(|asked| *asked == relay);
        self.refused.insert(relay, now + REFUSED_FOR);
        out.push(RelaysOut::Refused { relay, reason });
    }

    /// A reservation is gone, or its relay is.
    pub fn on_lost(&mut self, relay: PeerId, reason: Reason, now: Mono, out: &mut Vec<RelaysOut>) {
        let Some(at) = self.held.iter().position(|h| h.at.relay == relay) else { return };
        self.held.remove(at);
        // Somebody else first: what was lost a moment ago is soon lost again.
        self.refused.insert(relay, now + LOST_FOR);
        let active = at == 0;
        let successor = self.active().map(|a| a.relay).filter(|_| active);
        out.extend([RelaysOut::Lost { relay, reason, successor, active }, RelaysOut::Changed]);
    }

    /// Makes the standby the active one; who was it before, and who is now.
    ///
    /// # Errors
    /// [`Reason::NoRelayInUse`] without a reservation, [`Reason::NoStandby`]
    /// without a second one.
    pub fn fail_over(&mut self, out: &mut Vec<RelaysOut>) -> Result<(PeerId, PeerId), Reason> {
        let from = self.active().ok_or(Reason::NoRelayInUse)?.relay;
        let to = self.held.get(1).ok_or(Reason::NoStandby)?.at.relay;
        self.held.swap(0, 1);
        out.push(RelaysOut::Changed);
        Ok((from, to))
    }

    /// Gives a reservation back that was handed over, if somebody else could
    /// take its place; else it stays as the standby.
    pub fn let_go(&mut self, relay: PeerId, others: bool, now: Mono, out: &mut Vec<RelaysOut>) {
        let Some(at) = self.held.iter().position(|h| h.at.relay == relay).filter(|at| *at > 0) else {
            return;
        };
        if others {
            self.held.remove(at);
            self.refused.insert(relay, now + LOST_FOR);
            out.extend([RelaysOut::Release(relay), RelaysOut::Changed]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);
    const C: PeerId = PeerId([3; 32]);

    fn addr(n: u8) -> SocketAddr {
        ([198, 18, 0, n], 30_000).into()
    }

    fn at(s: u64) -> Mono {
        Mono::from_millis(s * 1_000)
    }

    /// Settles, grants everything, and settles again until nothing is asked.
    fn grant(relays: &mut Relays, in_use: bool, now: Mono) {
        loop {
            let mut out = Vec::new();
            relays.advance(|| vec![A, B, C], |_| in_use, now, &mut out);
            let Some(RelaysOut::Reserve(relay)) = out.pop() else { return };
            relays.on_reserved(relay, addr(relay.0[0]), Now::START, &mut out);
        }
    }

    fn held(relays: &Relays) -> Vec<PeerId> {
        relays.held().iter().map(|h| h.at.relay).collect()
    }

    #[test]
    fn who_cannot_be_reached_holds_an_active_and_a_standby_always() {
        let mut relays = Relays::default();
        grant(&mut relays, false, at(0));
        assert!(held(&relays).is_empty(), "nobody wants one");
        relays.set_always(true, at(0));
        grant(&mut relays, false, at(0));
        assert_eq!(held(&relays), [A, B], "two, and no third");
        grant(&mut relays, false, at(10_000));
        assert_eq!(held(&relays), [A, B]);
    }

    #[test]
    fn who_invites_holds_one_and_gives_it_back_when_it_carries_nothing() {
        let mut relays = Relays::default();
        relays.want(at(0));
        grant(&mut relays, false, at(0));
        assert_eq!(held(&relays), [A]);
        grant(&mut relays, true, at(1));
        assert_eq!(held(&relays), [A, B], "what carries a link has a standby");
        assert_eq!(relays.next_timeout(at(1)), Some(at(0) + LINGER));
        let mut out = Vec::new();
        relays.advance(|| vec![A, B, C], |relay| *relay == A, at(61), &mut out);
        assert_eq!(held(&relays), [A, B]);
        relays.advance(|| vec![A, B, C], |_| false, at(61), &mut out);
        assert!(held(&relays).is_empty());
        assert_eq!(out.iter().filter(|o| matches!(o, RelaysOut::Release(_))).count(), 2);
    }

    #[test]
    fn the_standby_takes_over_and_a_new_one_is_reserved_elsewhere() {
        let mut relays = Relays::default();
        relays.set_always(true, at(0));
        grant(&mut relays, false, at(0));
        let mut out = Vec::new();
        relays.on_lost(A, Reason::RelayLost, at(1), &mut out);
        let lost = RelaysOut::Lost { relay: A, reason: Reason::RelayLost, successor: Some(B), active: true };
        assert_eq!(out, [lost, RelaysOut::Changed]);
        grant(&mut relays, false, at(1));
        assert_eq!(held(&relays), [B, C]);
        assert_eq!(relays.active(), Some(RelayAddr { relay: B, addr: addr(2) }));
    }

    #[test]
    fn a_relay_that_gives_nothing_is_left_alone_for_a_while() {
        let mut relays = Relays::default();
        relays.want(at(0));
        let mut out = Vec::new();
        relays.advance(|| vec![A], |_| false, at(0), &mut out);
        assert_eq!(out, [RelaysOut::Reserve(A)]);
        relays.on_refused(A, Reason::RelayRefused { status: 503 }, at(0), &mut out);
        out.clear();
        relays.advance(|| vec![A], |_| false, at(1), &mut out);
        assert!(out.is_empty());
        let again = relays.next_timeout(at(1)).unwrap();
        relays.advance(|| vec![A], |_| false, again, &mut out);
        assert_eq!(out, [RelaysOut::Reserve(A)]);
    }

    #[test]
    fn a_forced_failover_swaps_both_and_lets_go_only_where_there_is_a_third() {
        let mut relays = Relays::default();
        relays.set_always(true, at(0));
        let mut out = Vec::new();
        assert_eq!(relays.fail_over(&mut out), Err(Reason::NoRelayInUse));
        relays.on_reserved(A, addr(1), Now::START, &mut out);
        assert_eq!(relays.fail_over(&mut out), Err(Reason::NoStandby));
        relays.on_reserved(B, addr(2), Now::START, &mut out);
        assert_eq!(relays.fail_over(&mut out), Ok((A, B)));
        assert_eq!(held(&relays), [B, A]);
        relays.let_go(A, false, at(0), &mut out);
        assert_eq!(held(&relays), [B, A], "better an old standby than none");
        relays.let_go(A, true, at(0), &mut out);
        grant(&mut relays, false, at(0));
        assert_eq!(held(&relays), [B, C]);
    }
}
