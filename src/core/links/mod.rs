//! The links to all peers: who gets one and who makes way for it, what is sent over
//! them, and what is kept of those whose peers are gone. What their ups and downs mean
//! for the rest of the node, others decide.

mod arrival;
mod echo;
mod kept;
mod twice;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::arrival::View;
use self::echo::Echoes;
use self::twice::Twice;
use super::dialer::HOLD_OFF;
use super::io::Action;
use super::limits::{ANCHORS, OUTBOUND_WANTED, STRANGER_FOR};
use super::link::{ConnId, ConnInfo, Greeting, Link, LinkConfig, LinkOut, LinkStatus};
use super::outbox::{Outbox, Wanted};
use super::room::{Footing, Full, Origin, Room, Seat};
use super::wire::{Frame, Message, Observed, UsedTwice};
use super::{Mono, Now, attempts, nat, relaying};
use crate::model::{CloseCode, CommandId, Done, EventKind, Failure, Path, PeerId, Reason, millis};

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
    twice: Twice,
    echoes: Echoes,
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
        /// The frame.
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
            twice: Twice::new(config.me),
            echoes: Echoes::default(),
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

    /// How long ago what comes over a link now was sent at least: it was kept on the way.
    pub(super) fn late(&self, peer: &PeerId, now: Mono) -> Duration {
        self.get(peer).map_or(Duration::ZERO, |link| link.late(now))
    }

    /// Whether there was no room for a peer: nothing that it says is heard.
    pub(super) fn is_turned_away(&self, peer: &PeerId) -> bool {
        self.turned_away.contains(peer)
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.all.values().filter_map(Link::next_timeout).min()
    }

    /// When the next echo of a run is due.
    pub(super) fn echo_due(&self) -> Option<Mono> {
        self.echoes.next_timeout()
    }

    /// The identities that were seen to be used twice.
    pub(super) fn twice(&self) -> &Twice {
        &self.twice
    }

    /// The peers that we have dialled and been linked to longest.
    pub(super) fn anchors(&self) -> Vec<PeerId> {
        let up = self.all.iter().filter(|(_, link)| link.is_up());
        let statuses = up.filter_map(|(peer, link)| link.status().map(|status| (status, *peer)));
        let mut outbound: Vec<_> = statuses
            .filter(|(status, _)| status.info.outbound)
            .map(|(status, peer)| (status.since, peer))
            .collect();
        outbound.sort_unstable();
        outbound.into_iter().take(ANCHORS).map(|(_, peer)| peer).collect()
    }

    /// How many stand that we dialled.
    pub(super) fn count_outbound(&self) -> usize {
        self.all.values().filter(|l| l.status().is_some_and(|s| s.info.outbound)).count()
    }

    /// Numbers of the echoes that came, in their order.
    #[cfg(test)]
    pub(super) fn echoes_that_came(&self) -> &[u64] {
        &self.echoes.came
    }
}

// ---- what happens to them ---------------------------------------------------

impl Links {
    /// A connection to a peer stands: it is let in, or closed.
    pub(super) fn on_conn_up(&mut self, peer: PeerId, mut info: ConnInfo, view: View<'_>, out: &mut Outbox) {
        if !self.admit(peer, &info, view, out) {
            return;
        }
        if view.is_punched(&peer, &info) {
            info.path = Path::Punched;
        }
        let lane = info.path == Path::Relayed && info.outbound;
        out.want(Wanted::Relaying(relaying::Input::Connected(peer, lane)));
        let (config, now) = (Arc::clone(&self.config), view.now);
        let link = self.all.entry(peer).or_insert_with(|| Link::new(peer, config, now.mono));
        let mut told = Vec::new();
        link.on_conn(info, now, &mut told);
        self.carry(peer, told, now, out);
    }

    fn admit(&mut self, peer: PeerId, info: &ConnInfo, view: View<'_>, out: &mut Outbox) -> bool {
        let (origin, now) = (self.origin(info), view.now);
        let relay = |peer: &PeerId| view.relaying.is_relay(peer);
        let entered = view.footing(&peer, info).and_then(|footing| {
            let entered = self.room.enter(peer, footing, origin, relay, now.mono);
            entered.map_err(|full| refuse_full(peer, full, now, out))
        });
        match entered {
            Ok(old) => {
                if let Some(old) = old {
                    self.give_up(old, "mute links that made way", now, out);
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

    /// Something happened to a connection of a peer.
    pub(super) fn handle(
        &mut self,
        peer: PeerId,
        conn: ConnId,
        input: Input,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let Some(link) = self.all.get_mut(&peer) else { return };
        let (now, hello, mut told) = (view.now, &|| view.hello(), Vec::new());
        match input {
            Input::Closed(reason) => link.on_conn_closed(conn, reason, now, &mut told),
            Input::Control => link.on_control(conn, now, hello, &mut told),
            Input::ControlLost { malformed } => link.on_control_lost(conn, malformed, &mut told),
            Input::Frame { frame, len } => link.on_frame(conn, *frame, len, now, hello, &mut told),
        }
        self.carry(peer, told, now, out);
    }

    /// A peer's NAT maps a connection of it anew: it should know, for nobody else tells it.
    pub(super) fn on_remote(
        &mut self,
        peer: PeerId,
        conn: ConnId,
        remote: SocketAddr,
        now: Now,
        out: &mut Outbox,
    ) {
        if self.all.get_mut(&peer).is_some_and(|link| link.on_remote(conn, remote)) {
            out.touch_row(peer);
            self.send(&peer, &Message::Observed(Observed { addr: remote }), now, out);
            out.want(Wanted::Nat(nat::Input::LinkMoved(peer)));
        }
    }

    /// A peer sees us elsewhere: ways may lead to us that did not.
    pub(super) fn on_observed(&mut self, peer: PeerId, addr: SocketAddr, out: &mut Outbox) {
        let Some(link) = self.all.get_mut(&peer) else { return };
        link.on_observed(addr);
        if let Some(info) = link.in_use().filter(|info| info.path.is_straight()) {
            out.want(Wanted::Nat(seen(peer, addr, info, true)));
            out.want(Wanted::Attempts(attempts::Input::Sooner));
        }
    }

    /// What the link to a peer shows of us now, if it shows us: over a relay the peer sees
    /// the relay.
    pub(super) fn seen_by(&self, peer: &PeerId) -> Option<nat::Input> {
        let link = self.get(peer)?;
        let info = link.in_use().filter(|info| info.path.is_straight())?;
        Some(seen(*peer, link.greeting()?.observed, info, false))
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
        self.all.retain(|_, link| !link.is_forgotten(now.mono));
        if self.next_look <= now.mono {
            self.next_look = now.mono + LOOK_EVERY;
            out.want(Wanted::LookWhoStayed);
        }
    }

    /// Sends the echoes that are due.
    pub(super) fn echo_timeout(&mut self, now: Mono, out: &mut Outbox) {
        self.echoes.timeout(now, out);
    }

    /// A command to send echoes to a peer.
    pub(super) fn echo(
        &mut self,
        id: CommandId,
        peer: PeerId,
        (count, every_ms): (u32, u32),
        now: Mono,
        out: &mut Outbox,
    ) -> Result<Option<Done>, Failure> {
        if !self.is_up(&peer) {
            return Err(Reason::NotLinked.into());
        }
        self.echoes.run(id, peer, (count, every_ms), now, out);
        Ok(None)
    }

    /// A command to end the link to a peer. It is done when the link is down; one that
    /// never stood does not go down.
    pub(super) fn disconnect(
        &mut self,
        peer: PeerId,
        now: Now,
        out: &mut Outbox,
    ) -> Result<Option<Done>, Failure> {
        let link = self.get(&peer).filter(|l| l.is_connected()).ok_or(Reason::NotLinked)?;
        let stood = link.is_up() || link.is_foreign();
        let why = Reason::HeldOff { hold_ms: millis(HOLD_OFF) };
        out.want(Wanted::HoldOff(peer));
        self.close(peer, CloseCode::HoldOff, why, now, out);
        Ok((!stood).then_some(Done::Disconnected { peer_id: peer }))
    }

    /// The link that a feeler made: with enough others it has done its work.
    pub(super) fn end_feeler(&mut self, peer: PeerId, now: Now, out: &mut Outbox) {
        if self.count_outbound() > OUTBOUND_WANTED {
            let enough = Reason::Limit { limit: "outbound links".into() };
            self.close(peer, CloseCode::Limit, enough, now, out);
        }
    }

    /// A peer says that it leaves.
    pub(super) fn on_leave(&mut self, peer: PeerId, now: Now, out: &mut Outbox) {
        let code = CloseCode::Leave;
        self.close(peer, code, Reason::Closed { close: Some(code) }, now, out);
    }

    /// Tells everybody that we leave.
    pub(super) fn say_goodbye(&mut self, now: Now, out: &mut Outbox) {
        for peer in self.up() {
            self.send(&peer, &Message::Leave, now, out);
        }
    }

    /// Another session of the same identity took the link of a peer over.
    pub(super) fn on_usurped(&mut self, peer: PeerId, old: &ConnInfo, now: Now, out: &mut Outbox) {
        if let Some(new) = self.in_use(&peer).cloned() {
            self.twice.on_usurped(peer, old, &new, now, out);
        }
    }

    /// A peer says where else our identity is used.
    pub(super) fn on_used_twice(&mut self, peer: PeerId, told: UsedTwice, now: Now, out: &mut Outbox) {
        let ours = self.greeting(&peer).map(|g| g.observed);
        self.twice.on_told(peer, told, ours, now, out);
    }

    /// A peer closed our link for another connection of our own identity.
    pub(super) fn on_replaced(&mut self, peer: PeerId, now: Now, out: &mut Outbox) {
        self.twice.on_replaced(peer, now, out);
    }

    /// Sends a message over a link; what does not go is counted.
    pub(super) fn send(&mut self, peer: &PeerId, message: &Message, now: Now, out: &mut Outbox) -> bool {
        let Some(link) = self.all.get_mut(peer) else { return false };
        let mut told = Vec::new();
        let sent = link.send(message, now.mono, &mut told).is_ok();
        if !sent {
            out.stopped("message without room");
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
    pub(super) fn pace(&mut self, view: View<'_>) {
        let count = self.count_up();
        for (peer, link) in &mut self.all {
            link.set_pace(view.relaying.is_relay(peer), count, view.now.mono);
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
                LinkOut::Message(message) if message.is_echo() => {
                    self.echoes.handle(peer, *message, now.mono, out);
                }
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
                    self.give_up(old, "links that made way", now, out);
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
    fn give_up(&mut self, peer: PeerId, counter: &'static str, now: Now, out: &mut Outbox) {
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
            self.forget_session(peer, "sessions of strangers not kept", out);
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
            self.forget_session(peer, "sessions that made way", out);
        }
    }

    fn forget_session(&mut self, peer: PeerId, counter: &'static str, out: &mut Outbox) {
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

/// A peer sees us at an address, over this connection; `moved`: not for the first time.
fn seen(peer: PeerId, addr: SocketAddr, info: &ConnInfo, moved: bool) -> nat::Input {
    nat::Input::Seen { peer, addr, by: info.remote.ip(), chosen: info.outbound, moved }
}

fn refuse_full(peer: PeerId, Full(limit): Full, now: Now, out: &mut Outbox) -> CloseCode {
    out.stopped(limit);
    out.event(Some(peer), EventKind::LimitHit { limit: limit.into() }, now);
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
