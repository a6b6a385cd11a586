//! Who gets a link, who makes way for it, and what is kept for those who are gone.

use super::{Engine, Link};
use crate::core::limits::{KEPT_SESSION_EACH, KEPT_SESSIONS_MAX, STRANGER_FOR};
use crate::core::link::ConnInfo;
use crate::core::room::{Footing, Full, Origin, Seat};
use crate::core::{Mono, Now};
use crate::model::{CloseCode, EventKind, Path, PeerId, Reason};

impl Engine {
    /// Whether one more connection is let in; the code with which it is closed if not.
    pub(super) fn admit(&mut self, peer: PeerId, info: &ConnInfo, now: Now) -> Result<(), CloseCode> {
        if peer == self.config.me {
            return Err(CloseCode::Replaced);
        }
        if self.dialer.is_refused(&peer, now.mono) {
            return Err(CloseCode::HoldOff);
        }
        let (footing, origin) = (self.footing(&peer, info), self.origin(info));
        let relays = &self.relaying.relays;
        let entered = self.room.enter(peer, footing, origin, |peer| relays.is_relay(peer), now.mono);
        match entered {
            Ok(None) => Ok(()),
            Ok(Some(old)) => {
                self.give_up(old, "mute links that made way", now);
                Ok(())
            }
            Err(full) => Err(self.refuse_full(peer, full, now)),
        }
    }

    /// A peer's handshake is done: whether it may stay.
    pub(super) fn take_seat(&mut self, peer: PeerId, now: Now) -> bool {
        match self.room.link(peer, self.config.secret.is_some(), now.mono) {
            Ok(None) => true,
            Ok(Some(old)) => {
                self.give_up(old, "links that made way", now);
                true
            }
            Err(full) => {
                let code = self.refuse_full(peer, full, now);
                self.turned_away.insert(peer);
                self.close_link(peer, code, now);
                false
            }
        }
    }

    /// A connection of a peer ended.
    pub(super) fn leave_room(&mut self, peer: PeerId, now: Now) {
        if self.links.get(&peer).is_some_and(Link::is_connected) {
            return;
        }
        self.turned_away.remove(&peer);
        let seat = self.room.leave(&peer);
        if seat.is_some_and(|seat| is_strange(&seat, now.mono)) {
            self.forget_session(peer, "sessions of strangers not kept");
        } else if self.links.get(&peer).is_some_and(Link::is_blank) {
            self.links.remove(&peer);
        }
        self.bound_sessions();
    }

    /// As much is kept for peers without a connection as there is room for.
    fn bound_sessions(&mut self) {
        let gone = self.links.iter().filter(|(_, l)| !l.is_connected());
        let kept = gone.map(|(peer, l)| (l.last_heard(), *peer, l.kept_bytes())).collect();
        for peer in make_way(kept) {
            self.forget_session(peer, "sessions that made way");
        }
    }

    fn forget_session(&mut self, peer: PeerId, counter: &'static str) {
        if self.links.get(&peer).is_some_and(|l| l.kept_bytes() > 0) {
            self.stopped(counter);
        }
        self.links.remove(&peer);
        self.who_has.remove(&peer);
    }

    /// Closes the link of a peer whose place somebody else has now.
    fn give_up(&mut self, peer: PeerId, counter: &'static str, now: Now) {
        self.stopped(counter);
        self.close_link(peer, CloseCode::Limit, now);
    }

    fn close_link(&mut self, peer: PeerId, code: CloseCode, now: Now) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let mut out = Vec::new();
        link.close(code, Reason::Closed { close: Some(code) }, &mut out);
        self.carry_link(peer, out, now);
    }

    fn refuse_full(&mut self, peer: PeerId, Full(limit): Full, now: Now) -> CloseCode {
        self.stopped(limit);
        self.event(Some(peer), EventKind::LimitHit { limit: limit.into() }, now);
        CloseCode::Limit
    }

    fn footing(&self, peer: &PeerId, info: &ConnInfo) -> Footing {
        // A dial that it asked us for is no wish of ours.
        if info.outbound && !self.punches_coming.contains_key(peer) {
            Footing::Ours
        } else if self.book.get(*peer).is_some_and(|entry| entry.measured.tried) {
            Footing::Known
        } else {
            Footing::Stranger
        }
    }

    fn origin(&self, info: &ConnInfo) -> Origin {
        let ip = info.remote.ip();
        match info.path {
            Path::Relayed => Origin::Relay(info.via),
            _ if self.config.loopback() && ip.is_loopback() => Origin::Shared,
            _ => Origin::Host(ip),
        }
    }
}

/// Whether somebody was a stranger to us to the end.
fn is_strange(seat: &Seat, now: Mono) -> bool {
    let linked_for = seat.linked.then(|| now.since(seat.since));
    seat.footing == Footing::Stranger && linked_for.is_none_or(|d| d < STRANGER_FOR)
}

/// Whose sessions make way, of those that are kept: since when, whose, and how much.
fn make_way(mut kept: Vec<(Mono, PeerId, usize)>) -> Vec<PeerId> {
    let bytes = |(_, _, bytes): &(Mono, PeerId, usize)| bytes + KEPT_SESSION_EACH;
    let mut total: usize = kept.iter().map(bytes).sum();
    if total <= KEPT_SESSIONS_MAX {
        return Vec::new();
    }
    kept.sort_unstable();
    let over = kept.iter().take_while(|each| {
        let over = total > KEPT_SESSIONS_MAX;
        total = total.saturating_sub(bytes(each));
        over
    });
    over.map(|(_, peer, _)| *peer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limits::UNACKED_MAX;

    #[test]
    fn of_too_many_kept_sessions_those_go_whose_peers_went_first() {
        let kept = |count: usize, bytes: usize| -> Vec<(Mono, PeerId, usize)> {
            let at = |n: usize| Mono::from_millis((7_919 * n as u64) % 10_007);
            (0..count).map(|n| (at(n), PeerId([n as u8; 32]), bytes)).collect()
        };
        assert!(make_way(kept(63, UNACKED_MAX)).is_empty());
        let all = kept(200, UNACKED_MAX);
        let gone = make_way(all.clone());
        let left = all.iter().filter(|(_, peer, _)| !gone.contains(peer));
        let total: usize = left.clone().map(|(_, _, bytes)| bytes + KEPT_SESSION_EACH).sum();
        assert!(total <= KEPT_SESSIONS_MAX && total + UNACKED_MAX > KEPT_SESSIONS_MAX - UNACKED_MAX);
        let last_gone = all.iter().filter(|(_, p, _)| gone.contains(p)).map(|(at, ..)| *at).max();
        assert!(last_gone < left.map(|(at, ..)| *at).min());
        // Empty ones count too.
        assert_eq!(
            make_way((0..20_000).map(|n| (Mono::from_millis(n), PeerId([0; 32]), 0)).collect()).len(),
            3_616
        );
    }

    #[test]
    fn a_stranger_is_one_until_it_was_linked_for_a_minute() {
        let at = |s: u64| Mono::from_millis(s * 1_000);
        let seat = |footing, linked| Seat { footing, origin: Origin::Shared, since: at(0), linked };
        assert!(is_strange(&seat(Footing::Stranger, true), at(59)));
        assert!(!is_strange(&seat(Footing::Stranger, true), at(60)));
        assert!(is_strange(&seat(Footing::Stranger, false), at(600)), "it was never linked");
        assert!(!is_strange(&seat(Footing::Known, true), at(0)));
        assert!(!is_strange(&seat(Footing::Ours, true), at(0)));
    }
}
