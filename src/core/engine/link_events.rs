//! Links: limits at the door, what they carry, and what their ups and downs
//! mean for the rest.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Engine, EngineConfig};
use crate::core::Now;
use crate::core::gossip::rules::is_public;
use crate::core::ladder::{Ladder, NatPair};
use crate::core::link::{ConnId, ConnInfo, LinkOut};
use crate::core::room::Footing;
use crate::core::wire::{Hello, Message, Observed, PROTOCOL_HIGH, PROTOCOL_LOW};
use crate::core::{attempts, guessing, links, nat, pathtest, relaying};
use crate::model::{Cause, CloseCode, EventKind, Fact, MovedFact, NatType, Path, PeerId, Reason, millis};

impl Engine {
    pub(super) fn on_conn_up(&mut self, peer: PeerId, mut info: ConnInfo, now: Now) {
        let footing = self.footing(&peer, &info, now);
        let Self { links, relaying, outbox, .. } = self;
        let is_relay = |peer: &PeerId| relaying.is_relay(peer);
        let admitted = links.admit(peer, &info, footing, is_relay, now, outbox);
        self.route(now);
        if !admitted {
            return;
        }
        if info.path == Path::Direct && self.is_punching(&peer, &info, now) {
            info.path = Path::Punched;
        }
        let lane = info.path == Path::Relayed && info.outbound;
        self.tell_relaying(relaying::Input::Connected(peer, lane), now);
        self.links.on_conn(peer, info, now, &mut self.outbox);
        self.route(now);
    }

    /// On which footing a peer comes, or the code for one with whom we want no link.
    fn footing(&self, peer: &PeerId, info: &ConnInfo, now: Now) -> Result<Footing, CloseCode> {
        if *peer == self.config.me {
            return Err(CloseCode::Replaced);
        }
        if self.dialer.is_refused(peer, now.mono) {
            return Err(CloseCode::HoldOff);
        }
        // A dial that it asked us for is no wish of ours.
        Ok(if info.outbound && !self.coordination.expects(peer) {
            Footing::Ours
        } else if self.book.get(*peer).is_some_and(|entry| entry.measured.tried) {
            Footing::Known
        } else {
            Footing::Stranger
        })
    }

    /// Whether a connection that comes up now owes it to a punch: ours, or one
    /// that we agreed to.
    fn is_punching(&self, peer: &PeerId, info: &ConnInfo, now: Now) -> bool {
        let ours = self.attempts.towards(peer).is_some_and(|l| l.path_now() == Path::Punched);
        let theirs = self.coordination.is_punching(peer, now.mono);
        // Between two private addresses there is no NAT.
        if !is_public(info.remote.ip()) {
            return false;
        }
        // Who comes in through a NAT of ours that keeps strangers out does so
        // because we dialled it too.
        let filters = NatPair { theirs: self.nat.claim(), ..NatPair::default() }.can_dial() == Some(false);
        let crossed =
            filters && !info.outbound && self.attempts.towards(peer).is_some_and(Ladder::is_dialling);
        ours || theirs || crossed || self.guesses.is_meeting(peer)
    }

    /// Something happened to a connection of a peer.
    pub(super) fn on_conn(&mut self, peer: PeerId, conn: ConnId, input: links::Input, now: Now) {
        let closed = matches!(input, links::Input::Closed(_));
        if matches!(input, links::Input::Frame { .. }) {
            if self.links.is_turned_away(&peer) {
                return;
            }
            self.book.heard(&peer, now);
        }
        let Self { links, config, nat, outbox, .. } = self;
        links.handle(peer, conn, input, &|| hello(config, nat.claim(), now), now, outbox);
        self.route(now);
        if closed {
            self.test_conn_closed(conn, now);
            self.links.leave_room(peer, now.mono, &mut self.outbox);
        }
    }

    /// A peer's NAT maps it anew: it should know, for nobody else tells it.
    pub(super) fn on_conn_remote(&mut self, peer: PeerId, conn: ConnId, remote: SocketAddr, now: Now) {
        if self.links.on_remote(&peer, conn, remote) {
            self.outbox.touch_row(peer);
            self.links.send(&peer, &Message::Observed(Observed { addr: remote }), now, &mut self.outbox);
            self.tell_nat(nat::Input::LinkMoved(peer), now);
        }
    }

    /// A peer sees us elsewhere.
    fn on_observed_anew(&mut self, peer: PeerId, addr: SocketAddr, now: Now) {
        if !self.nat.may_see_anew(peer, now.mono, &mut self.outbox) {
            return;
        }
        let addr = crate::model::plain_addr(addr);
        if let Some(info) = self.links.on_observed(&peer, addr) {
            self.seen_at(peer, addr, &info, now);
            self.upgrades_sooner(now);
        }
    }

    /// A peer told us our address as it sees it, over this connection.
    fn seen_at(&mut self, peer: PeerId, addr: SocketAddr, info: &ConnInfo, now: Now) {
        let (by, chosen) = (info.remote.ip(), info.outbound);
        self.tell_nat(nat::Input::Seen { peer, addr, by, chosen }, now);
    }

    pub(super) fn links_timeout(&mut self, now: Now) {
        self.links.timeout(now, &mut self.outbox);
        self.route(now);
        self.keep_linked(now);
        self.links.forget(now.mono);
    }

    /// What a link tells the rest.
    pub(super) fn on_link(&mut self, peer: PeerId, told: LinkOut, now: Now) {
        match told {
            LinkOut::Up { gap, lost, .. } => {
                self.on_link_up(peer, now);
                self.path_changed(peer, None, gap, lost, now);
            }
            LinkOut::Moved { from, to, via, gap } => {
                let gap_ms = millis(gap);
                let over = self.links.in_use(&peer).and_then(|info| info.via);
                self.outbox.event(Some(peer), EventKind::LinkMoved { from, to, via: over, gap_ms }, now);
                let attempt = self.kpi.moved(&peer, to);
                if attempt.is_some() {
                    self.saving.touch(now.mono);
                }
                self.outbox.report(Fact::Moved(MovedFact { peer, attempt, from, to, gap_ms }));
                self.on_link_moved(peer, now);
                self.path_changed(peer, via, Some(gap), 0, now);
            }
            LinkOut::Suspect(missed) => {
                self.outbox.event(Some(peer), EventKind::LinkSuspect { missed }, now);
                if self.relaying.is_relay(&peer) {
                    self.outbox.event(Some(peer), EventKind::RelaySuspect { missed }, now);
                }
                self.tell_relaying(relaying::Input::Suspect(peer), now);
            }
            LinkOut::StandsBy => self.tell_relaying(relaying::Input::StandsBy(peer), now),
            LinkOut::StandbyLost => self.tell_relaying(relaying::Input::StandbyLost(peer), now),
            LinkOut::Usurped(old) => {
                let Self { twice, links, outbox, .. } = self;
                twice.on_usurped(peer, &old, links, now, outbox);
            }
            LinkOut::Restored { gap } => {
                self.tell_relaying(relaying::Input::Restored(peer), now);
                let gap_ms = millis(gap);
                if let Some(status) = self.links.status(&peer) {
                    let path = status.info.path;
                    self.outbox.event(Some(peer), EventKind::LinkRestored { path, gap_ms }, now);
                }
            }
            LinkOut::Down(reason) => self.on_link_down(peer, reason, now),
            LinkOut::Foreign => self.on_foreign(peer, now),
            LinkOut::Refused(reason) => self.tell_attempts(attempts::Input::Refused(peer, reason), now),
            LinkOut::Message(message) => self.on_message(peer, *message, now),
            // What is wanted of connections, the links have done.
            _ => {}
        }
    }

    /// A link runs again, over whatever. `via`: the relay that it left.
    fn path_changed(
        &mut self,
        peer: PeerId,
        via: Option<PeerId>,
        gap: Option<Duration>,
        lost: u64,
        now: Now,
    ) {
        self.with_upgrades(now, |upgrades, peers, out| upgrades.on_path(peer, peers, out));
        self.tell_relaying(relaying::Input::Path { peer, via, gap, lost }, now);
    }

    /// Links may be pinged as often as their number and our relays have it now.
    pub(super) fn pace_links(&mut self, now: Now) {
        let Self { links, relaying, .. } = self;
        links.pace(|peer| relaying.is_relay(peer), now.mono);
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
            self.outbox.event(None, kind, now);
        }
        let kind = EventKind::LinkUp { path: info.path, remote_addr: info.remote, outbound: info.outbound };
        self.outbox.event(Some(peer), kind, now);
        self.met(peer, &info, now);
        self.kpi.reached(&peer);
        self.note_name(peer, now);
        let feeler = self.attempts.towards(&peer).is_some_and(|l| l.cause() == Cause::Feeler);
        self.tell_attempts(attempts::Input::Linked(peer), now);
        // What a relay shows of us is the relay's.
        if let Some(observed) = observed.filter(|_| info.path.is_straight()) {
            self.seen_at(peer, observed, &info, now);
        }
        self.gossip_link_up(peer, now);
        self.tell_nat(nat::Input::LinkUp(peer), now);
        self.end_feeler(peer, feeler, now);
    }

    /// A link runs over another connection now.
    fn on_link_moved(&mut self, peer: PeerId, now: Now) {
        let Some(link) = self.links.get(&peer) else { return };
        let (Some(info), observed) = (link.in_use().cloned(), link.greeting().map(|g| g.observed)) else {
            return;
        };
        self.tell_nat(nat::Input::LinkMoved(peer), now);
        match observed.filter(|_| info.path.is_straight()) {
            Some(observed) => self.seen_at(peer, observed, &info, now),
            None => self.tell_nat(nat::Input::Unseen(peer), now),
        }
        self.gossip_link_moved(peer, now);
        self.tell_attempts(attempts::Input::Linked(peer), now);
    }

    fn on_foreign(&mut self, peer: PeerId, now: Now) {
        let Some(status) = self.links.status(&peer) else { return };
        self.links.mute(&peer);
        self.outbox.event(Some(peer), EventKind::PeerForeign, now);
        self.met(peer, &status.info, now);
        self.tell_attempts(attempts::Input::Linked(peer), now);
        // It carries nothing of ours, but it is somebody to coordinate a punch
        // and no reason to dial on.
        self.dialer.on_link_up(&peer, now.mono);
    }

    fn on_link_down(&mut self, peer: PeerId, reason: Reason, now: Now) {
        // Who leaves, or has links enough, is not to be dialled at once.
        let left = matches!(reason, Reason::Closed { close: Some(CloseCode::Leave | CloseCode::Limit) });
        let held = reason == Reason::Closed { close: Some(CloseCode::HoldOff) };
        let replaced = reason == Reason::Closed { close: Some(CloseCode::Replaced) };
        if self.relaying.is_relay(&peer) {
            self.tell_relaying(relaying::Input::Lost(peer, reason.clone()), now);
        }
        self.why.link_ended(peer, reason.clone(), now.mono);
        self.outbox.event(Some(peer), EventKind::LinkDown { reason }, now);
        self.on_test_input(pathtest::Input::Unlinked { peer }, now);
        self.kpi.gone(&peer);
        self.tell_attempts(attempts::Input::LinkGone(peer), now);
        self.with_upgrades(now, |upgrades, peers, out| upgrades.on_path(peer, peers, out));
        self.keep_rtt(peer, now);
        self.gossip_link_down(peer, now);
        self.tell_nat(nat::Input::LinkDown(peer), now);
        self.pace_links(now);
        let links = self.links.count_up();
        self.dialer.on_link_down(peer, links, left, now.mono);
        if held {
            self.dialer.hold_off(peer, false, now.mono);
        }
        if replaced {
            self.dialer.yield_to(peer, now.mono);
            self.twice.on_replaced(peer, now, &mut self.outbox);
        }
        self.republish(now);
        self.outbox.answer_disconnected(peer);
    }

    /// Writes a link's round trip down for the time without it.
    pub(super) fn keep_rtt(&mut self, peer: PeerId, now: Now) {
        if let Some((ms, at)) = self.links.rtt(&peer) {
            let change = self.book.rtt(peer, ms, now.stamp_of(at), now);
            self.on_change(peer, &change, now);
        }
    }

    fn on_message(&mut self, peer: PeerId, message: Message, now: Now) {
        match message {
            Message::Leave => self.on_leave(peer, now),
            Message::IHave(answer) if self.guesses.awaits(answer.query) => {
                self.tell_guesses(guessing::Input::Witness(peer, answer), now);
            }
            Message::IHave(answer) => self.tell_attempts(attempts::Input::IHave(peer, answer), now),
            Message::CoordinationAnswer(said) => {
                self.tell_attempts(attempts::Input::Answer(peer, said), now);
            }
            Message::WhoHas(_)
            | Message::PunchRequest(_)
            | Message::PunchNotice(_)
            | Message::NoticeAnswer(_)
            | Message::Invite(_)
            | Message::InviteNotice(_) => {
                self.with_coordination(now, |part, view, out| part.handle(peer, message, view, out));
            }
            Message::ProbeToken(_) | Message::DialBack(_) | Message::DialBackAnswer(_) => {
                self.tell_nat(nat::Input::Message(peer, message), now);
            }
            Message::Observed(seen) => self.on_observed_anew(peer, seen.addr, now),
            Message::UsedTwice(told) => {
                let Self { twice, links, outbox, .. } = self;
                twice.on_told(peer, told, links, now, outbox);
            }
            Message::WhyAsk(_)
            | Message::PeerReply(_)
            | Message::WitnessAsk(_)
            | Message::WitnessReply(_) => {
                self.with_why(now, |why, view, out| why.handle(peer, message, view, out));
            }
            Message::Echo(_) | Message::EchoReply(_) => {
                self.echoes.handle(peer, message, now.mono, &mut self.outbox);
            }
            Message::GuessOffer(_)
            | Message::GuessAnswer(_)
            | Message::GuessOpened(_)
            | Message::GuessOver(_) => self.tell_guesses(guessing::Input::Message(peer, message), now),
            Message::TestOffer(_) | Message::TestAnswer(_) | Message::TestOver(_) => {
                self.on_test_message(peer, &message, now);
            }
            mut gossip => {
                // Ages travel, and one that was kept on the way has grown.
                let late = self.links.get(&peer).map_or(std::time::Duration::ZERO, |l| l.late(now.mono));
                gossip.grow_older(late);
                self.gossip_message(peer, gossip, now);
            }
        }
    }

    /// The peer says goodbye: gossip forgets it, and so do we.
    fn on_leave(&mut self, peer: PeerId, now: Now) {
        self.gossip_message(peer, Message::Leave, now);
        let code = CloseCode::Leave;
        self.links.close(peer, code, Reason::Closed { close: Some(code) }, now, &mut self.outbox);
        self.route(now);
    }
}

/// What we say of ourselves to whoever connects.
fn hello(config: &EngineConfig, nat: NatType, now: Now) -> Hello {
    Hello {
        low: PROTOCOL_LOW,
        high: PROTOCOL_HIGH,
        network: config.network.clone(),
        name: config.name.clone(),
        agent: config.agent.clone(),
        nat,
        observed: config.local_addr,
        probe_ports: config.probe_ports.clone(),
        wall_ms: now.wall.0,
        channel: [0; 16],
        path: None,
        outbound: false,
        proof: None,
    }
}
