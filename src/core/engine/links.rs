//! Links: limits at the door, what they carry, and what their ups and downs
//! mean for the rest.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::attempts::REFUSAL_KEPT;
use super::{Action, Engine, Link};
use crate::core::Now;
use crate::core::bucket::Bucket;
use crate::core::ladder::PUNCH_WINDOW;
use crate::core::limits::{FOREIGN_LINKS_PERCENT, LINKS_MAX, LINKS_PER_IP_MAX, WHO_HAS_PER_MINUTE};
use crate::core::link::{ConnId, ConnInfo, LinkOut};
use crate::core::wire::{Frame, Hello, IHave, Message, PROTOCOL_HIGH, PROTOCOL_LOW, WhoHas};
use crate::model::{Cause, CloseCode, EventKind, Path, PeerId, Reason};

impl Engine {
    pub(super) fn on_conn_up(&mut self, peer: PeerId, mut info: ConnInfo, now: Now) {
        let id = info.id;
        if let Err((code, limit)) = self.admit(&peer, info.remote.ip(), now) {
            if let Some(limit) = limit {
                self.stopped(limit);
                self.event(Some(peer), EventKind::LimitHit { limit: limit.into() }, now);
            }
            self.out.push_back(Action::Close { conn: id, code });
            self.refusals.insert(peer, (now.mono, Reason::Closed { close: Some(code) }));
            return;
        }
        if info.path == Path::Direct && self.is_punching(&peer, now) {
            info.path = Path::Punched;
        }
        let config = Arc::clone(&self.link_config);
        let link = self.links.entry(peer).or_insert_with(|| Link::new(peer, config, now.mono));
        let mut out = Vec::new();
        link.on_conn(info, now, &mut out);
        self.carry_link(peer, out, now);
    }

    /// Whether a connection that comes up now owes it to a punch: ours, or one
    /// that we agreed to.
    fn is_punching(&self, peer: &PeerId, now: Now) -> bool {
        let ours = self.attempts.towards(peer).is_some_and(|l| l.path_now() == Path::Punched);
        let theirs = self.punches_coming.get(peer).is_some_and(|p| now.mono.since(p.since) < PUNCH_WINDOW);
        ours || theirs
    }

    /// Whether one more connection is let in.
    fn admit(&self, peer: &PeerId, ip: IpAddr, now: Now) -> Result<(), (CloseCode, Option<&'static str>)> {
        if *peer == self.config.me {
            return Err((CloseCode::Replaced, None));
        }
        if self.dialer.is_refused(peer, now.mono) {
            return Err((CloseCode::HoldOff, None));
        }
        let standing = || self.links.iter().filter(|(p, l)| *p != peer && l.is_connected());
        if standing().count() >= LINKS_MAX {
            return Err((CloseCode::Limit, Some("links")));
        }
        let foreign = standing().filter(|(_, l)| l.is_foreign()).count();
        if foreign * 100 >= LINKS_MAX * FOREIGN_LINKS_PERCENT {
            return Err((CloseCode::Limit, Some("foreign links")));
        }
        let same_ip = standing().filter(|(_, l)| l.is_from(ip)).count();
        if same_ip >= LINKS_PER_IP_MAX && !(self.config.loopback() && ip.is_loopback()) {
            return Err((CloseCode::Limit, Some("links per address")));
        }
        Ok(())
    }

    pub(super) fn on_conn_closed(&mut self, peer: PeerId, conn: ConnId, reason: Reason, now: Now) {
        self.with_link(peer, now, |link, _, out| link.on_conn_closed(conn, reason, now, out));
    }

    pub(super) fn on_control_up(&mut self, peer: PeerId, conn: ConnId, now: Now) {
        self.with_link(peer, now, |link, hello, out| link.on_control(conn, now, hello, out));
    }

    pub(super) fn on_control_lost(&mut self, peer: PeerId, conn: ConnId, malformed: bool, now: Now) {
        self.with_link(peer, now, |link, _, out| link.on_control_lost(conn, malformed, out));
    }

    pub(super) fn on_frame(&mut self, peer: PeerId, conn: ConnId, frame: Frame, len: usize, now: Now) {
        self.with_link(peer, now, |link, hello, out| link.on_frame(conn, frame, len, now, hello, out));
    }

    pub(super) fn links_timeout(&mut self, now: Now) {
        let due = |l: &Link| l.next_timeout().is_some_and(|at| at <= now.mono);
        let peers: Vec<PeerId> = self.links.iter().filter(|(_, l)| due(l)).map(|(p, _)| *p).collect();
        for peer in peers {
            self.with_link(peer, now, |link, _, out| link.on_timeout(now, out));
        }
        let forgotten: Vec<PeerId> =
            self.links.iter().filter(|(_, l)| l.is_forgotten(now.mono)).map(|(p, _)| *p).collect();
        self.refusals.retain(|_, (at, _)| now.mono.since(*at) < REFUSAL_KEPT);
        self.punches_coming.retain(|_, p| now.mono.since(p.since) < PUNCH_WINDOW);
        for peer in forgotten {
            self.links.remove(&peer);
            self.who_has.remove(&peer);
        }
    }

    /// Sends a message over a link; what does not go is counted.
    pub(super) fn send(&mut self, peer: &PeerId, message: &Message, now: Now) -> bool {
        let Some(link) = self.links.get_mut(peer) else { return false };
        let mut out = Vec::new();
        let sent = link.send(message, &mut out).is_ok();
        if !sent {
            self.stopped("message without room");
        }
        self.carry_link(*peer, out, now);
        sent
    }

    fn with_link(&mut self, peer: PeerId, now: Now, f: impl FnOnce(&mut Link, Hello, &mut Vec<LinkOut>)) {
        let hello = self.hello(now);
        let Some(link) = self.links.get_mut(&peer) else { return };
        let mut out = Vec::new();
        f(link, hello, &mut out);
        self.carry_link(peer, out, now);
    }

    /// What we say of ourselves; the link adds what belongs to it.
    fn hello(&self, now: Now) -> Hello {
        Hello {
            low: PROTOCOL_LOW,
            high: PROTOCOL_HIGH,
            network: self.config.network.clone(),
            name: self.config.name.clone(),
            agent: self.config.agent.clone(),
            nat: self.nat.claim(),
            observed: self.config.local_addr,
            probe_ports: self.config.probe_ports.clone(),
            wall_ms: now.wall.0,
            channel: [0; 16],
            path: None,
            outbound: false,
            proof: None,
        }
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
                LinkOut::Up { .. } => self.on_link_up(peer, now),
                LinkOut::Moved { from, to, gap } => {
                    let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
                    self.event(Some(peer), EventKind::LinkMoved { from, to, gap_ms }, now);
                    self.nat_link(peer, false, now);
                }
                LinkOut::Suspect(missed) => self.event(Some(peer), EventKind::LinkSuspect { missed }, now),
                LinkOut::Restored { gap } => {
                    let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
                    if let Some(status) = self.links.get(&peer).and_then(Link::status) {
                        let path = status.info.path;
                        self.event(Some(peer), EventKind::LinkRestored { path, gap_ms }, now);
                    }
                }
                LinkOut::Down(reason) => self.on_link_down(peer, reason, now),
                LinkOut::Foreign => self.on_foreign(peer, now),
                LinkOut::Refused(reason) => {
                    self.refusals.insert(peer, (now.mono, reason.clone()));
                    self.attempts_refused(&peer, &reason, now);
                }
                LinkOut::Message(message) => self.on_message(peer, *message, now),
                LinkOut::Stopped(what) => self.stopped(what),
            }
        }
    }

    fn on_link_up(&mut self, peer: PeerId, now: Now) {
        let Some(link) = self.links.get(&peer) else { return };
        let Some(status) = link.status() else { return };
        let observed = link.greeting().map(|g| g.observed);
        let info = status.info.clone();
        if let Some(alone) = self.dialer.on_link_up(&peer, now.mono) {
            let alone_ms = u64::try_from(alone.as_millis()).unwrap_or(u64::MAX);
            self.event(None, EventKind::NodeRejoined { alone_ms }, now);
        }
        let kind = EventKind::LinkUp { path: info.path, remote_addr: info.remote, outbound: info.outbound };
        self.event(Some(peer), kind, now);
        self.met(peer, &info, now);
        let feeler = self.attempts.towards(&peer).is_some_and(|l| l.cause() == Cause::Feeler);
        self.attempts_reached(&peer, now);
        // What a relay shows of us is the relay's.
        if let Some(observed) = observed.filter(|_| info.path != Path::Relayed) {
            self.on_observed(peer, observed, now);
        }
        self.gossip_link_up(peer, &info, now);
        self.nat_link(peer, true, now);
        self.end_feeler(peer, feeler, now);
    }

    fn on_foreign(&mut self, peer: PeerId, now: Now) {
        let Some(status) = self.links.get(&peer).and_then(Link::status) else { return };
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
        self.event(Some(peer), EventKind::LinkDown { reason }, now);
        self.observed.remove(&peer);
        self.keep_rtt(peer, now);
        self.gossip_link_down(peer, now);
        self.nat_link_down(peer, now);
        let links = self.links.values().filter(|l| l.is_up()).count();
        self.dialer.on_link_down(peer, links, left, now.mono);
        if held && !self.dialer.is_held_off(&peer, now.mono) {
            self.dialer.hold_off(peer, false, now.mono);
        }
        self.republish(now);
    }

    /// Writes a link's round trip down for the time without it.
    pub(super) fn keep_rtt(&mut self, peer: PeerId, now: Now) {
        if let Some(ms) = self.links.get(&peer).and_then(Link::rtt_ms) {
            let change = self.book.rtt(peer, Duration::from_secs_f64(ms / 1e3), now);
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
            Message::Echo(echo) => {
                self.send(&peer, &Message::EchoReply(echo), now);
            }
            Message::EchoReply(_) => {}
            gossip => self.gossip_message(peer, gossip, now),
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
        let link = self.links.get(&question.peer).filter(|l| l.is_connected());
        let observed = link.and_then(Link::status).map(|s| s.info.remote);
        let answer = IHave { query: question.query, peer: question.peer, observed };
        self.send(&from, &Message::IHave(answer), now);
    }

    /// The peer says goodbye: gossip forgets it, and so do we.
    fn on_leave(&mut self, peer: PeerId, now: Now) {
        self.gossip_message(peer, Message::Leave, now);
        if let Some(link) = self.links.get_mut(&peer) {
            let mut out = Vec::new();
            link.close(CloseCode::Leave, &mut out);
            self.carry_link(peer, out, now);
        }
    }
}
