//! The links to all peers: who gets one and who makes way for it, what is sent over
//! them, and what is kept of those whose peers are gone. What their ups and downs mean
//! for the rest of the node, others decide.

mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::io::Action;
use super::limits::STRANGER_FOR;
use super::link::{ConnId, ConnInfo, Greeting, Link, LinkConfig, LinkOut, LinkStatus};
use super::outbox::{Outbox, Wanted};
use super::room::{Footing, Full, Origin, Room, Seat};
use super::wire::{Frame, Hello, Message};
use super::{Mono, Now};
use crate::model::{CloseCode, DropReason, EventKind, Path, PeerId, Reason};

/// Why a connection was refused is remembered for the dial that made it.
const REFUSAL_KEPT: Duration = Duration::from_secs(5);

/// How often it is looked at who stayed: more often nothing changes by it.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// All of them.
#[derive(Debug)]
pub(super) struct Links {
    all: BTreeMap<PeerId, Link>,
    config: Arc<LinkConfig>,
    /// We listen on loopback: there all peers share one host.
    loopback: bool,
    room: Room,
    /// Peers whose handshake was done when there was no room, until they are gone.
    turned_away: BTreeSet<PeerId>,
    /// Why connections were lately refused that never became links.
    refusals: BTreeMap<PeerId, (Mono, Reason)>,
    /// When it is looked at again who stayed.
    next_look: Mono,
}

/// Something that happened to a connection of a peer.
#[derive(Debug)]
pub(super) enum Input {
    /// It is gone.
    Closed(Reason),
    /// Its control stream stands.
    Control,
    /// That stream ended; whether a frame could not be read.
    ControlLost {
        /// Whether a frame could not be read.
        malformed: bool,
    },
    /// A frame came over it.
    Frame {
        /// What.
        frame: Box<Frame>,
        /// Its length on the wire, in bytes.
        len: usize,
    },
}

// ---- what others may see ----------------------------------------------------

impl Links {
    /// None yet.
    pub(super) fn new(config: LinkConfig, loopback: bool) -> Self {
        Self {
            all: BTreeMap::new(),
            config: Arc::new(config),
            loopback,
            room: Room::default(),
            turned_away: BTreeSet::new(),
            refusals: BTreeMap::new(),
            next_look: Mono::default(),
        }
    }

    pub(super) fn get(&self, peer: &PeerId) -> Option<&Link> {
        self.all.get(peer)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Link)> {
        self.all.iter()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Link> {
        self.all.values()
    }

    /// Everybody to whom there is a link, or was one lately.
    pub(super) fn peers(&self) -> Vec<PeerId> {
        self.all.keys().copied().collect()
    }

    /// Everybody whose link stands.
    pub(super) fn up(&self) -> Vec<PeerId> {
        self.all.iter().filter(|(_, link)| link.is_up()).map(|(peer, _)| *peer).collect()
    }

    /// How many stand.
    pub(super) fn count_up(&self) -> usize {
        self.all.values().filter(|link| link.is_up()).count()
    }

    pub(super) fn is_up(&self, peer: &PeerId) -> bool {
        self.get(peer).is_some_and(Link::is_up)
    }

    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.get(peer).is_some_and(Link::is_connected)
    }

    /// The connection that a link runs over.
    pub(super) fn in_use(&self, peer: &PeerId) -> Option<&ConnInfo> {
        self.get(peer)?.in_use()
    }

    /// The same, where it is a lane.
    pub(super) fn lane(&self, peer: &PeerId) -> Option<&ConnInfo> {
        self.in_use(peer).filter(|info| info.path == Path::Relayed)
    }

    /// The lane that stands by for a link.
    pub(super) fn standby(&self, peer: &PeerId) -> Option<&ConnInfo> {
        self.get(peer)?.standby()
    }

    /// Whether a link can go on over the lane that stands by over this relay.
    pub(super) fn can_carry_over(&self, peer: &PeerId, via: PeerId) -> bool {
        self.get(peer).is_some_and(|link| link.can_carry_over(via))
    }

    pub(super) fn status(&self, peer: &PeerId) -> Option<LinkStatus> {
        self.get(peer)?.status()
    }

    /// The path of a link that stands.
    pub(super) fn path(&self, peer: &PeerId) -> Option<Path> {
        self.status(peer).map(|status| status.info.path)
    }

    pub(super) fn greeting(&self, peer: &PeerId) -> Option<&Greeting> {
        self.get(peer)?.greeting()
    }

    pub(super) fn rtt(&self, peer: &PeerId) -> Option<(f64, Mono)> {
        self.get(peer)?.rtt()
    }

    /// Why a connection to a peer was lately refused.
    pub(super) fn refusal(&self, peer: &PeerId, now: Mono) -> Option<&Reason> {
        let (_, reason) = self.refusals.get(peer).filter(|(at, _)| now.since(*at) < REFUSAL_KEPT)?;
        Some(reason)
    }

    /// Whether there was no room for a peer: nothing that it says is heard.
    pub(super) fn is_turned_away(&self, peer: &PeerId) -> bool {
        self.turned_away.contains(peer)
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.all.values().filter_map(Link::next_timeout).min()
    }
}

// ---- what happens to them ---------------------------------------------------

impl Links {
    /// Whether one more connection is let in; it is closed if not. `footing`: or the code
    /// of who wants no link with that peer. `relay`: who is a relay of ours.
    pub(super) fn admit(
        &mut self,
        peer: PeerId,
        info: &ConnInfo,
        footing: Result<Footing, CloseCode>,
        relay: impl Fn(&PeerId) -> bool,
        now: Now,
        out: &mut Outbox,
    ) -> bool {
        let origin = self.origin(info);
        let entered = footing.and_then(|footing| {
            let entered = self.room.enter(peer, footing, origin, relay, now.mono);
            entered.map_err(|full| refuse_full(peer, full, now, out))
        });
        match entered {
            Ok(old) => {
                if let Some(old) = old {
                    self.give_up(old, DropReason::MuteLinksMadeWay, now, out);
                }
                true
            }
            Err(code) => {
                out.push(Action::Close { conn: info.id, code });
                self.refusals.insert(peer, (now.mono, Reason::Closed { close: Some(code) }));
                false
            }
        }
    }

    /// A connection that was let in.
    pub(super) fn on_conn(&mut self, peer: PeerId, info: ConnInfo, now: Now, out: &mut Outbox) {
        let config = Arc::clone(&self.config);
        let link = self.all.entry(peer).or_insert_with(|| Link::new(peer, config, now.mono));
        let mut told = Vec::new();
        link.on_conn(info, now, &mut told);
        self.carry(peer, told, now, out);
    }

    /// Something happened to one. `hello`: what we say of ourselves; the link adds what
    /// belongs to it.
    pub(super) fn handle(
        &mut self,
        peer: PeerId,
        conn: ConnId,
        input: Input,
        hello: &dyn Fn() -> Hello,
        now: Now,
        out: &mut Outbox,
    ) {
        let Some(link) = self.all.get_mut(&peer) else { return };
        let mut told = Vec::new();
        match input {
            Input::Closed(reason) => link.on_conn_closed(conn, reason, now, &mut told),
            Input::Control => link.on_control(conn, now, hello, &mut told),
            Input::ControlLost { malformed } => link.on_control_lost(conn, malformed, &mut told),
            Input::Frame { frame, len } => link.on_frame(conn, *frame, len, now, hello, &mut told),
        }
        self.carry(peer, told, now, out);
    }

    /// The other end of a connection is seen elsewhere. Whether a link runs over it.
    pub(super) fn on_remote(&mut self, peer: &PeerId, conn: ConnId, remote: SocketAddr) -> bool {
        self.all.get_mut(peer).is_some_and(|link| link.on_remote(conn, remote))
    }

    /// A peer sees us elsewhere. The connection over which it does, if that shows us.
    pub(super) fn on_observed(&mut self, peer: &PeerId, addr: SocketAddr) -> Option<ConnInfo> {
        let link = self.all.get_mut(peer)?;
        link.on_observed(addr);
        link.in_use().filter(|info| info.path.is_straight()).cloned()
    }

    /// What is due by now.
    pub(super) fn timeout(&mut self, now: Now, out: &mut Outbox) {
        let due = |link: &Link| link.next_timeout().is_some_and(|at| at <= now.mono);
        let peers: Vec<PeerId> = self.all.iter().filter(|(_, l)| due(l)).map(|(p, _)| *p).collect();
        for peer in peers {
            let Some(link) = self.all.get_mut(&peer) else { continue };
            let mut told = Vec::new();
            link.on_timeout(now, &mut told);
            self.carry(peer, told, now, out);
        }
        self.refusals.retain(|_, (at, _)| now.mono.since(*at) < REFUSAL_KEPT);
    }

    /// Whether to look now who stayed; the next look is due later then.
    pub(super) fn take_look(&mut self, now: Mono) -> bool {
        let due = self.next_look <= now;
        if due {
            self.next_look = now + LOOK_EVERY;
        }
        due
    }

    /// Forgets those whose peers are gone for good.
    pub(super) fn forget(&mut self, now: Mono) {
        self.all.retain(|_, link| !link.is_forgotten(now));
    }

    /// Sends a message over a link; what does not go is counted.
    pub(super) fn send(&mut self, peer: &PeerId, message: &Message, now: Now, out: &mut Outbox) -> bool {
        let Some(link) = self.all.get_mut(peer) else { return false };
        let mut told = Vec::new();
        let sent = link.send(message, now.mono, &mut told).is_ok();
        if !sent {
            out.stopped(DropReason::NoRoomForMessage);
        }
        self.carry(*peer, told, now, out);
        sent
    }

    /// Closes a link. `why`: what the end of it is told to be.
    pub(super) fn close(&mut self, peer: PeerId, code: CloseCode, why: Reason, now: Now, out: &mut Outbox) {
        let Some(link) = self.all.get_mut(&peer) else { return };
        let mut told = Vec::new();
        link.close(code, why, &mut told);
        self.carry(peer, told, now, out);
    }

    /// Hands a link over to the lane that stands by over this relay, if one does.
    pub(super) fn carry_over(&mut self, peer: PeerId, via: PeerId, now: Now, out: &mut Outbox) {
        let Some(link) = self.all.get_mut(&peer) else { return };
        let mut told = Vec::new();
        link.carry_over(via, now.mono, &mut told);
        self.carry(peer, told, now, out);
    }

    /// How often links may be pinged depends on how many there are, and which are
    /// relays of ours.
    pub(super) fn pace(&mut self, relay: impl Fn(&PeerId) -> bool, now: Mono) {
        let count = self.count_up();
        for (peer, link) in &mut self.all {
            link.set_pace(relay(peer), count, now);
        }
    }

    /// A peer speaks another protocol: it keeps its place without a handshake.
    pub(super) fn mute(&mut self, peer: &PeerId) {
        self.room.mute(peer);
    }

    /// Does what links want of their connections; the rest is for others to hear.
    fn carry(&mut self, peer: PeerId, told: Vec<LinkOut>, now: Now, out: &mut Outbox) {
        if told.iter().any(|o| !matches!(o, LinkOut::Write(..))) {
            out.touch_row(peer);
        }
        for wanted in told {
            match wanted {
                LinkOut::OpenControl(conn) => out.push(Action::OpenControl { peer, conn }),
                LinkOut::Write(conn, bytes) => out.push(Action::Write { conn, bytes }),
                LinkOut::Close(conn, code) => out.push(Action::Close { conn, code }),
                LinkOut::Widen(conn) => out.push(Action::Widen { conn }),
                LinkOut::Stopped(what) => out.stopped(what),
                LinkOut::Up { .. } if !self.take_seat(peer, now, out) => {}
                LinkOut::Down(reason) if self.turned_away.remove(&peer) => {
                    self.refused(peer, reason, now, out);
                }
                LinkOut::Refused(reason) => self.refused(peer, reason, now, out),
                other => out.want(Wanted::Link(peer, other)),
            }
        }
    }

    /// A connection did not become a link.
    fn refused(&mut self, peer: PeerId, reason: Reason, now: Now, out: &mut Outbox) {
        let told = self.refusals.insert(peer, (now.mono, reason.clone()));
        let anew = told.is_none_or(|(_, before)| before != reason);
        if anew && matches!(reason, Reason::OtherVersion { .. }) {
            out.event(Some(peer), EventKind::PeerOtherVersion { reason: reason.clone() }, now);
        }
        out.want(Wanted::Link(peer, LinkOut::Refused(reason)));
    }

    /// A peer's handshake is done: whether it may stay.
    fn take_seat(&mut self, peer: PeerId, now: Now, out: &mut Outbox) -> bool {
        match self.room.link(peer, self.config.secret.is_some(), now.mono) {
            Ok(old) => {
                if let Some(old) = old {
                    self.give_up(old, DropReason::LinksMadeWay, now, out);
                }
                true
            }
            Err(full) => {
                let code = refuse_full(peer, full, now, out);
                self.turned_away.insert(peer);
                self.close(peer, code, Reason::Closed { close: Some(code) }, now, out);
                false
            }
        }
    }

    /// Closes the link of a peer whose place somebody else has now.
    fn give_up(&mut self, peer: PeerId, counter: DropReason, now: Now, out: &mut Outbox) {
        out.stopped(counter);
        let code = CloseCode::Limit;
        self.close(peer, code, Reason::Closed { close: Some(code) }, now, out);
    }

    /// A connection of a peer ended: without another one it gives up its place.
    pub(super) fn leave_room(&mut self, peer: PeerId, now: Mono, out: &mut Outbox) {
        if self.is_connected(&peer) {
            return;
        }
        self.turned_away.remove(&peer);
        let seat = self.room.leave(&peer);
        if seat.is_some_and(|seat| is_strange(&seat, now)) {
            self.forget_session(peer, DropReason::StrangersSessions, out);
        } else if self.get(&peer).is_some_and(Link::is_blank) {
            self.all.remove(&peer);
        }
        self.bound_sessions(out);
    }

    /// As much is kept for peers without a connection as there is room for.
    fn bound_sessions(&mut self, out: &mut Outbox) {
        let gone = self.all.iter().filter(|(_, l)| !l.is_connected());
        let sessions = gone.map(|(peer, l)| (l.last_heard(), *peer, l.kept_bytes())).collect();
        for peer in kept::make_way(sessions) {
            self.forget_session(peer, DropReason::SessionsMadeWay, out);
        }
    }

    fn forget_session(&mut self, peer: PeerId, counter: DropReason, out: &mut Outbox) {
        if self.all.remove(&peer).is_some_and(|link| link.kept_bytes() > 0) {
            out.stopped(counter);
        }
    }

    fn origin(&self, info: &ConnInfo) -> Origin {
        let ip = info.remote.ip();
        match info.path {
            Path::Relayed => Origin::Relay(info.via),
            _ if self.loopback && ip.is_loopback() => Origin::Shared,
            _ => Origin::Host(ip),
        }
    }
}

fn refuse_full(peer: PeerId, Full(limit): Full, now: Now, out: &mut Outbox) -> CloseCode {
    out.stopped(limit);
    out.event(Some(peer), EventKind::LimitHit { limit }, now);
    CloseCode::Limit
}

/// Whether somebody was a stranger to us to the end.
fn is_strange(seat: &Seat, now: Mono) -> bool {
    let linked_for = seat.linked.then(|| now.since(seat.since));
    seat.footing == Footing::Stranger && linked_for.is_none_or(|d| d < STRANGER_FOR)
}

#[cfg(test)]
mod tests {
    use super::*;

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
