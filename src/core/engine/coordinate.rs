//! Coordination, wired: our part as intermediary and as target.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::RngExt;

use super::{Engine, Link};
use crate::core::Now;
use crate::core::book::Book;
use crate::core::coordination::{CoordinationOut, Links};
use crate::core::wire::Message;
use crate::model::{Path, PeerId};

/// Our links, as coordination sees them.
struct View<'a> {
    me: PeerId,
    /// Our own addresses, by most peers' word.
    own: Vec<SocketAddr>,
    links: &'a BTreeMap<PeerId, Link>,
    book: &'a Book,
}

impl Links for View<'_> {
    fn observed(&self, peer: &PeerId) -> Option<SocketAddr> {
        // What is seen of a relayed peer is its relay's.
        let info = self.links.get(peer).and_then(Link::in_use)?;
        (info.path != Path::Relayed).then_some(info.remote)
    }

    fn is_linked_relay(&self, relay: &PeerId, addr: &SocketAddr) -> bool {
        let ours = || self.own.iter().any(|own| own.ip() == addr.ip());
        self.observed(relay).is_some_and(|at| at.ip() == addr.ip()) || *relay == self.me && ours()
    }

    fn is_known(&self, peer: &PeerId) -> bool {
        self.book.get(*peer).is_some()
    }
}

impl Engine {
    pub(super) fn coordinate(&mut self, from: PeerId, message: Message, now: Now) {
        let own = self.own_addresses();
        let Self { coordination, links, book, config, .. } = self;
        let view = View { me: config.me, own, links, book };
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
            Message::NoticeAnswer(said) => coordination.on_notice_answer(from, said, &view, &mut out),
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
                    self.send(&peer, &message, now);
                }
                // ant-quic makes the punch itself when its coordinator says so.
                CoordinationOut::PunchComing { requester } => {
                    self.punches_coming.insert(requester, now.mono);
                }
                CoordinationOut::Invited { requester, relay } => self.on_invited(requester, relay, now),
                CoordinationOut::Stopped(what) => self.stopped(what),
            }
        }
    }

    pub(super) fn nonce(&mut self) -> [u8; 16] {
        self.rng.random()
    }
}
