//! Links: limits at the door, what they carry, and what their ups and downs
//! mean for the rest.

use std::net::SocketAddr;
use std::sync::Arc;

use super::attempts::REFUSAL_KEPT;
use super::{Action, Engine, Link};
use crate::core::Now;
use crate::core::bucket::Bucket;
use crate::core::gossip::rules::is_public;
use crate::core::ladder::{Ladder, PUNCH_WINDOW, Terrain};
use crate::core::limits::{OBSERVED_PER_MINUTE, WHO_HAS_PER_MINUTE};
use crate::core::link::{ConnId, ConnInfo, LinkOut};
use crate::core::wire::{Frame, Hello, IHave, Message, Observed, PROTOCOL_HIGH, PROTOCOL_LOW, WhoHas};
use crate::model::{Cause, CloseCode, EventKind, Fact, MovedFact, Path, PeerId, Reason, millis};

impl Engine {
    pub(super) fn on_conn_up(&mut self, peer: PeerId, mut info: ConnInfo, now: Now) {
        let id = info.id;
        if let Err(code) = self.admit(peer, &info, now) {
            self.out.push_back(Action::Close { conn: id, code });
            self.refusals.insert(peer, (now.mono, Reason::Closed { close: Some(code) }));
            return;
        }
        if info.path == Path::Direct && self.is_punching(&peer, &info, now) {
            info.path = Path::Punched;
        }
        self.handover_arrived(&peer, &info);
        let config = Arc::clone(&self.link_config);
        let link = self.links.entry(peer).or_insert_with(|| Link::new(peer, config, now.mono));
        let mut out = Vec::new();
        link.on_conn(info, now, &mut out);
        self.carry_link(peer, out, now);
    }

    /// Whether a connection that comes up now owes it to a punch: ours, or one
    /// that we agreed to.
    fn is_punching(&self, peer: &PeerId, info: &ConnInfo, now: Now) -> bool {
        let ours = self.attempts.towards(peer).is_some_and(|l| l.path_now() == Path::Punched);
        let theirs = self.punches_coming.get(peer).is_some_and(|p| now.mono.since(p.since) < PUNCH_WINDOW);
        // Between two private addresses there is no NAT.
        if !is_public(info.remote.ip()) {
            return false;
        }
        // Who comes in through a NAT of ours that keeps strangers out does so
        // because we dialled it too.
        let filters = Terrain { theirs: self.nat.claim(), ..Terrain::default() }.can_dial() == Some(false);
        let crossed =
            filters && !info.outbound && self.attempts.towards(peer).is_some_and(Ladder::is_dialling);
        ours || theirs || crossed || self.guessing.is_meeting(peer)
    }

    pub(super) fn on_conn_closed(&mut self, peer: PeerId, conn: ConnId, reason: Reason, now: Now) {
        self.with_link(peer, now, |link, _, out| link.on_conn_closed(conn, reason, now, out));
        self.leave_room(peer, now);
    }

    /// A peer's NAT maps it anew: it should know, for nobody else tells it.
    pub(super) fn on_conn_remote(&mut self, peer: PeerId, conn: ConnId, remote: SocketAddr, now: Now) {
        let in_use = self.links.get_mut(&peer).is_some_and(|link| link.on_remote(conn, remote));
        if in_use {
            self.touch_row(peer);
            self.send(&peer, &Message::Observed(Observed { addr: remote }), now);
            self.nat_link(peer, false, now);
        }
    }

    /// A peer sees us elsewhere.
    fn on_observed_anew(&mut self, peer: PeerId, addr: SocketAddr, now: Now) {
        let meter = self.seen_anew.entry(peer);
        let full = || Bucket::new(OBSERVED_PER_MINUTE, OBSERVED_PER_MINUTE / 60.0, now.mono);
        if !meter.or_insert_with(full).take(now.mono) {
            return self.stopped("observed rate");
        }
        let addr = crate::model::plain_addr(addr);
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.on_observed(addr);
        if let Some(info) = link.in_use().filter(|info| info.path.is_straight()).cloned() {
            self.on_observed(peer, addr, &info, now);
            self.upgrade_all(now);
        }
    }

    pub(super) fn on_control_up(&mut self, peer: PeerId, conn: ConnId, now: Now) {
        self.with_link(peer, now, |link, hello, out| link.on_control(conn, now, hello, out));
    }

    pub(super) fn on_control_lost(&mut self, peer: PeerId, conn: ConnId, malformed: bool, now: Now) {
        self.with_link(peer, now, |link, _, out| link.on_control_lost(conn, malformed, out));
    }

    pub(super) fn on_frame(&mut self, peer: PeerId, conn: ConnId, frame: Frame, len: usize, now: Now) {
        if !self.turned_away.contains(&peer) {
            self.book.heard(&peer, now);
            self.with_link(peer, now, |link, hello, out| link.on_frame(conn, frame, len, now, hello, out));
        }
    }

    pub(super) fn links_timeout(&mut self, now: Now) {
        let due = |l: &Link| l.next_timeout().is_some_and(|at| at <= now.mono);
        let peers: Vec<PeerId> = self.links.iter().filter(|(_, l)| due(l)).map(|(p, _)| *p).collect();
        for peer in peers {
            self.with_link(peer, now, |link, _, out| link.on_timeout(now, out));
        }
        self.keep_linked(now);
        let forgotten: Vec<PeerId> =
            self.links.iter().filter(|(_, l)| l.is_forgotten(now.mono)).map(|(p, _)| *p).collect();
        self.refusals.retain(|_, (at, _)| now.mono.since(*at) < REFUSAL_KEPT);
        self.punches_coming.retain(|_, p| now.mono.since(p.since) < PUNCH_WINDOW);
        self.forget_handovers(now);
        self.seen_anew.retain(|_, meter| !meter.is_full(now.mono));
        for peer in forgotten {
            self.links.remove(&peer);
            self.who_has.remove(&peer);
        }
    }

    /// Sends a message over a link; what does not go is counted.
    pub(super) fn send(&mut self, peer: &PeerId, message: &Message, now: Now) -> bool {
        let Some(link) = self.links.get_mut(peer) else { return false };
        let mut out = Vec::new();
        let sent = link.send(message, now.mono, &mut out).is_ok();
        if !sent {
            self.stopped("message without room");
        }
        self.carry_link(*peer, out, now);
        sent
    }

    fn with_link(
        &mut self,
        peer: PeerId,
        now: Now,
        f: impl FnOnce(&mut Link, &dyn Fn() -> Hello, &mut Vec<LinkOut>),
    ) {
        let Self { links, config, nat, .. } = self;
        let Some(link) = links.get_mut(&peer) else { return };
        // What we say of ourselves; the link adds what belongs to it.
        let hello = || Hello {
            low: PROTOCOL_LOW,
            high: PROTOCOL_HIGH,
            network: config.network.clone(),
            name: config.name.clone(),
            agent: config.agent.clone(),
            nat: nat.claim(),
            observed: config.local_addr,
            probe_ports: config.probe_ports.clone(),
            wall_ms: now.wall.0,
            channel: [0; 16],
            path: None,
            outbound: false,
            proof: None,
        };
        let mut out = Vec::new();
        f(link, &hello, &mut out);
        self.carry_link(peer, out, now);
    }

    pub(super) fn carry_link(&mut self, peer: PeerId, out: Vec<LinkOut>, now: Now) {
        if out.iter().any(|o| !matches!(o, LinkOut::Write(..))) {
            self.touch_row(peer);
        }
        for wanted in out {
            match wanted {
                LinkOut::OpenControl(conn) => self.out.push_back(Action::OpenControl { peer, conn }),
                LinkOut::Write(conn, bytes) => self.out.push_back(Action::Write { conn, bytes }),
                LinkOut::Close(conn, code) => self.out.push_back(Action::Close { conn, code }),
                LinkOut::Widen(conn) => self.out.push_back(Action::Widen { conn }),
                LinkOut::Up { .. } if !self.take_seat(peer, now) => {}
                LinkOut::Down(reason) if self.turned_away.remove(&peer) => {
                    self.refusals.insert(peer, (now.mono, reason.clone()));
                    self.attempts_refused(&peer, &reason, now);
                }
                LinkOut::Up { gap, lost, .. } => {
                    self.on_link_up(peer, now);
                    self.path_changed(peer, None, gap, lost, now);
                    self.want_standby(peer, now);
                }
                LinkOut::Moved { from, to, via, gap } => {
                    let gap_ms = millis(gap);
                    let over = self.links.get(&peer).and_then(Link::in_use).and_then(|info| info.via);
                    self.event(Some(peer), EventKind::LinkMoved { from, to, via: over, gap_ms }, now);
                    let attempt = self.kpi.moved(&peer, to);
                    if attempt.is_some() {
                        self.saving.touch(now.mono);
                    }
                    self.report(Fact::Moved(MovedFact { peer, attempt, from, to, gap_ms }));
                    self.on_link_moved(peer, now);
                    self.path_changed(peer, via, Some(gap), 0, now);
                    self.want_standby(peer, now);
                }
                LinkOut::Suspect(missed) => {
                    self.event(Some(peer), EventKind::LinkSuspect { missed }, now);
                    if self.relaying.relays.is_relay(&peer) {
                        self.event(Some(peer), EventKind::RelaySuspect { missed }, now);
                    }
                    self.suspect_path(peer, now);
                }
                LinkOut::StandsBy => self.on_stands_by(peer, now),
                LinkOut::StandbyLost => self.want_standby(peer, now),
                LinkOut::Usurped(old) => self.on_usurped(peer, &old, now),
                LinkOut::Restored { gap } => {
                    self.restored_relay(&peer);
                    let gap_ms = millis(gap);
                    if let Some(status) = self.links.get(&peer).and_then(Link::status) {
                        let path = status.info.path;
                        self.event(Some(peer), EventKind::LinkRestored { path, gap_ms }, now);
                    }
                }
                LinkOut::Down(reason) => self.on_link_down(peer, reason, now),
                LinkOut::Foreign => self.on_foreign(peer, now),
                LinkOut::Refused(reason) => {
                    let told = self.refusals.insert(peer, (now.mono, reason.clone()));
                    let anew = told.is_none_or(|(_, before)| before != reason);
                    if anew && matches!(reason, Reason::OtherVersion { .. }) {
                        let kind = EventKind::PeerOtherVersion { reason: reason.clone() };
                        self.event(Some(peer), kind, now);
                    }
                    self.attempts_refused(&peer, &reason, now);
                }
                LinkOut::Message(message) => self.on_message(peer, *message, now),
                LinkOut::Stopped(what) => self.stopped(what),
            }
        }
    }

    /// How often links may be pinged depends on how many there are, and which are
    /// relays of ours.
    pub(super) fn pace_links(&mut self, now: Now) {
        let count = self.links.values().filter(|l| l.is_up()).count();
        for (peer, link) in &mut self.links {
            link.set_pace(self.relaying.relays.is_relay(peer), count, now.mono);
        }
    }

    fn on_link_up(&mut self, peer: PeerId, now: Now) {
        self.pace_links(now);
        let Some(link) = self.links.get(&peer) else { return };
        let Some(status) = link.status() else { return };
        let observed = link.greeting().map(|g| g.observed);
        let info = status.info.clone();
        if let Some((alone, first)) = self.dialer.on_link_up(&peer, now.mono) {
            let ms = millis(alone);
            let joined = EventKind::NodeJoined { after_ms: ms };
            let kind = if first { joined } else { EventKind::NodeRejoined { alone_ms: ms } };
            self.event(None, kind, now);
        }
        let kind = EventKind::LinkUp { path: info.path, remote_addr: info.remote, outbound: info.outbound };
        self.event(Some(peer), kind, now);
        self.met(peer, &info, now);
        self.kpi.reached(&peer);
        self.note_name(peer, now);
        let feeler = self.attempts.towards(&peer).is_some_and(|l| l.cause() == Cause::Feeler);
        self.attempts_reached(&peer, now);
        // What a relay shows of us is the relay's.
        if let Some(observed) = observed.filter(|_| info.path.is_straight()) {
            self.on_observed(peer, observed, &info, now);
        }
        self.gossip_link_up(peer, &info, now);
        self.nat_link(peer, true, now);
        self.end_feeler(peer, feeler, now);
    }

    /// A link runs over another connection now.
    fn on_link_moved(&mut self, peer: PeerId, now: Now) {
        let Some(link) = self.links.get(&peer) else { return };
        let (Some(info), observed) = (link.in_use().cloned(), link.greeting().map(|g| g.observed)) else {
            return;
        };
        self.nat_link(peer, false, now);
        match observed.filter(|_| info.path.is_straight()) {
            Some(observed) => self.on_observed(peer, observed, &info, now),
            None => self.observed.forget(&peer),
        }
        self.gossip_link_moved(peer, &info, now);
        self.attempts_reached(&peer, now);
    }

    fn on_foreign(&mut self, peer: PeerId, now: Now) {
        let Some(status) = self.links.get(&peer).and_then(Link::status) else { return };
        self.room.mute(&peer);
        self.event(Some(peer), EventKind::PeerForeign, now);
        self.met(peer, &status.info, now);
        self.attempts_reached(&peer, now);
        // It carries nothing of ours, but it is somebody to coordinate a punch
        // and no reason to dial on.
        self.dialer.on_link_up(&peer, now.mono);
    }

    fn on_link_down(&mut self, peer: PeerId, reason: Reason, now: Now) {
        // Who leaves, or has links enough, is not to be dialled at once.
        let left = matches!(reason, Reason::Closed { close: Some(CloseCode::Leave | CloseCode::Limit) });
        let held = reason == Reason::Closed { close: Some(CloseCode::HoldOff) };
        let replaced = reason == Reason::Closed { close: Some(CloseCode::Replaced) };
        if self.relaying.relays.is_relay(&peer) {
            self.on_relay_lost(peer, reason.clone(), now);
        }
        self.whys.link_ended(peer, reason.clone(), now.mono);
        self.event(Some(peer), EventKind::LinkDown { reason }, now);
        self.kpi.gone(&peer);
        self.attempts.link_ended(&peer);
        self.upgrade_path(peer, now);
        self.observed.forget(&peer);
        self.keep_rtt(peer, now);
        self.gossip_link_down(peer, now);
        self.nat_link_down(peer, now);
        self.pace_links(now);
        let links = self.links.values().filter(|l| l.is_up()).count();
        self.dialer.on_link_down(peer, links, left, now.mono);
        if held {
            self.dialer.hold_off(peer, false, now.mono);
        }
        if replaced {
            self.dialer.yield_to(peer, now.mono);
            self.on_replaced(peer, now);
        }
        self.republish(now);
        self.disconnected(peer);
    }

    /// Writes a link's round trip down for the time without it.
    pub(super) fn keep_rtt(&mut self, peer: PeerId, now: Now) {
        if let Some((ms, at)) = self.links.get(&peer).and_then(Link::rtt) {
            let change = self.book.rtt(peer, ms, now.stamp_of(at), now);
            self.on_change(peer, &change, now);
        }
    }

    fn on_message(&mut self, peer: PeerId, message: Message, now: Now) {
        match message {
            Message::Leave => self.on_leave(peer, now),
            Message::WhoHas(question) => self.on_who_has(peer, question, now),
            Message::IHave(answer) => self.on_i_have(peer, answer, now),
            Message::CoordinationAnswer(said) => self.on_coordination_answer(peer, said, now),
            Message::PunchRequest(_)
            | Message::PunchNotice(_)
            | Message::NoticeAnswer(_)
            | Message::Invite(_)
            | Message::InviteNotice(_) => self.coordinate(peer, message, now),
            Message::ProbeToken(token) => self.on_probe_token(peer, token, now),
            Message::DialBack(request) => self.on_dial_back(peer, request, now),
            Message::DialBackAnswer(answer) => self.on_dial_back_answer(peer, answer, now),
            Message::Observed(seen) => self.on_observed_anew(peer, seen.addr, now),
            Message::UsedTwice(told) => self.on_used_twice(peer, told, now),
            Message::WhyAsk(ask) => self.on_why_ask(peer, ask, now),
            Message::WhyHalf(half) => self.on_why_half(peer, half, now),
            Message::AccountAsk(ask) => self.on_account_ask(peer, ask, now),
            Message::Account(account) => self.on_account(peer, account, now),
            Message::Echo(echo) => {
                #[cfg(test)]
                self.echoed.push(echo.id);
                self.send(&peer, &Message::EchoReply(echo), now);
            }
            Message::GuessOffer(_)
            | Message::GuessAnswer(_)
            | Message::GuessOpened(_)
            | Message::GuessOver(_) => self.on_guess_message(peer, &message, now),
            Message::EchoReply(echo) => self.on_echo_reply(peer, &echo, now),
            mut gossip => {
                // Ages travel, and one that was kept on the way has grown.
                let late = self.links.get(&peer).map_or(std::time::Duration::ZERO, |l| l.late(now.mono));
                gossip.grow_older(late);
                self.gossip_message(peer, gossip, now);
            }
        }
    }

    fn on_who_has(&mut self, from: PeerId, question: WhoHas, now: Now) {
        let bucket = self
            .who_has
            .entry(from)
            .or_insert_with(|| Bucket::new(WHO_HAS_PER_MINUTE, WHO_HAS_PER_MINUTE / 60.0, now.mono));
        if !bucket.take(now.mono) {
            self.stopped("who-has rate");
            return;
        }
        // Nobody can aim at a peer that we see only through a relay.
        let status = self.links.get(&question.peer).and_then(Link::status);
        let observed = status.map(|s| s.info).filter(|i| i.path.is_straight()).map(|i| i.remote);
        let answer = IHave { query: question.query, peer: question.peer, observed };
        self.send(&from, &Message::IHave(answer), now);
    }

    /// The peer says goodbye: gossip forgets it, and so do we.
    fn on_leave(&mut self, peer: PeerId, now: Now) {
        self.gossip_message(peer, Message::Leave, now);
        if let Some(link) = self.links.get_mut(&peer) {
            let mut out = Vec::new();
            let code = CloseCode::Leave;
            link.close(code, Reason::Closed { close: Some(code) }, &mut out);
            self.carry_link(peer, out, now);
        }
    }
}
