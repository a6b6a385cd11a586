//! Coordination, wired: our part as intermediary and as target.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Action, Engine};
use crate::core::book::Book;
use crate::core::coordination::{CoordinationOut, Links as LinksView};
use crate::core::dialer::Dialer;
use crate::core::gossip::LinkContext;
use crate::core::ladder::DialId;
use crate::core::links::Links;
use crate::core::wire::Message;
use crate::core::{Mono, Now};
use crate::model::PeerId;

/// How long a target dials for a punch: QUIC sends its first packet four times
/// in it.
const PUNCH_DIAL: Duration = Duration::from_secs(10);

/// A punch that we agreed to.
#[derive(Debug)]
pub(super) struct PunchComing {
    pub(super) since: Mono,
    dials: Vec<(DialId, SocketAddr)>,
}

/// Our links, as coordination sees them.
struct View<'a> {
    me: PeerId,
    /// Our own addresses, by most peers' word.
    own: Vec<SocketAddr>,
    links: &'a Links,
    book: &'a Book,
    bind: IpAddr,
    /// Our addresses outside.
    ours: Vec<IpAddr>,
    dialer: &'a Dialer,
    now: Mono,
}

impl LinksView for View<'_> {
    fn observed(&self, peer: &PeerId) -> Option<SocketAddr> {
        // What is seen of a relayed peer is its relay's.
        let info = self.links.in_use(peer)?;
        (info.path.is_straight()).then_some(info.remote)
    }

    fn is_linked_relay(&self, relay: &PeerId, addr: &SocketAddr) -> bool {
        let ours = || self.own.iter().any(|own| own.ip() == addr.ip());
        self.observed(relay).is_some_and(|at| at.ip() == addr.ip()) || *relay == self.me && ours()
    }

    fn is_known(&self, peer: &PeerId) -> bool {
        self.book.get(*peer).is_some()
    }

    fn is_refused(&self, peer: &PeerId) -> bool {
        self.dialer.is_refused(peer, self.now)
    }

    fn may_dial(&self, on_word_of: &PeerId, addr: SocketAddr) -> bool {
        self.observed(on_word_of).is_some_and(|at| {
            LinkContext::new(self.bind, at.ip(), &self.ours, &[at.ip()], false).allows(addr)
        })
    }
}

impl Engine {
    pub(super) fn coordinate(&mut self, from: PeerId, message: Message, now: Now) {
        let own = self.nat.own_addresses();
        let Self { coordination, links, book, config, nat, dialer, .. } = self;
        let ours = nat.seen_at().iter().map(SocketAddr::ip).collect();
        let bind = config.local_addr.ip();
        let view = View { me: config.me, own, links, book, bind, ours, dialer, now: now.mono };
        let mut out = Vec::new();
        match message {
            Message::PunchRequest(ask) => coordination.on_request(from, &ask, &view, now.mono, &mut out),
            Message::Invite(ask) => coordination.on_invite(from, &ask, &view, now.mono, &mut out),
            Message::PunchNotice(notice) => {
                coordination.on_punch_notice(from, &notice, &view, now.mono, &mut out);
            }
            Message::InviteNotice(notice) => {
                coordination.on_invite_notice(from, &notice, &view, now.mono, &mut out);
            }
            Message::NoticeAnswer(said) => {
                coordination.on_notice_answer(from, said, &view, now.mono, &mut out);
            }
            _ => {}
        }
        self.carry_coordination(out, now);
    }

    pub(super) fn coordination_timeout(&mut self, now: Now) {
        let mut out = Vec::new();
        self.coordination.on_timeout(now.mono, &mut out);
        self.carry_coordination(out, now);
    }

    fn carry_coordination(&mut self, out: Vec<CoordinationOut>, now: Now) {
        for wanted in out {
            match wanted {
                CoordinationOut::Send { peer, message } => {
                    self.links.send(&peer, &message, now, &mut self.outbox);
                }
                CoordinationOut::PunchComing { requester, addresses } => {
                    self.meet_punch(requester, addresses, now);
                }
                CoordinationOut::Invited { requester, relay } => self.on_invited(requester, relay, now),
                CoordinationOut::Stopped(what) => self.outbox.stopped(what),
            }
        }
    }

    /// Dials somebody who punches towards us.
    fn meet_punch(&mut self, requester: PeerId, addresses: Vec<SocketAddr>, now: Now) {
        self.end_punch_dials(&requester);
        let standing = self.links.status(&requester).filter(|_| self.links.is_up(&requester));
        // Whose operator disconnected us wants us again.
        self.dialer.asked_by(&requester);
        if standing.is_some_and(|s| s.info.path.is_straight()) {
            return;
        }
        let mut dials = Vec::new();
        for addr in addresses {
            let dial = self.outbox.free_dial();
            self.outbox.push(Action::Dial { dial, addr, within: PUNCH_DIAL });
            dials.push((dial, addr));
        }
        self.punches_coming.insert(requester, PunchComing { since: now.mono, dials });
    }

    /// Calls off what we dialled for a punch: it succeeded, or begins anew.
    pub(super) fn end_punch_dials(&mut self, requester: &PeerId) {
        let Some(coming) = self.punches_coming.get_mut(requester) else { return };
        let dials = std::mem::take(&mut coming.dials);
        for (dial, _) in dials {
            self.outbox.push(Action::Cancel { dial });
        }
    }

    /// What we dial for a punch was handed to the socket.
    pub(super) fn on_punch_dial_sent(&mut self, dial: DialId, now: Now) {
        let mut all = self.punches_coming.iter();
        let found = all.find_map(|(peer, coming)| {
            coming.dials.iter().find(|(d, _)| *d == dial).map(|(_, addr)| (*peer, *addr))
        });
        if let Some((requester, addr)) = found {
            self.coordination.on_dialled(requester, false, addr, now.mono);
        }
    }

    /// What we dialled for a punch came to nothing.
    pub(super) fn on_punch_dial_failed(&mut self, dial: DialId, now: Now) {
        let found = self.punches_coming.iter_mut().find_map(|(peer, coming)| {
            let at = coming.dials.iter().position(|(d, _)| *d == dial)?;
            Some((*peer, coming.dials.remove(at).1))
        });
        if let Some((requester, addr)) = found {
            self.coordination.on_heard_nothing(requester, addr, now.mono);
        }
    }
}
