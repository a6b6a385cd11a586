//! Coordination, wired: our part as intermediary and as target.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::RngExt;

use super::{Engine, Link};
use crate::core::Now;
use crate::core::book::Book;
use crate::core::coordination::{CoordinationOut, Links};
use crate::core::wire::Message;
use crate::model::PeerId;

/// Our links, as coordination sees them.
struct View<'a> {
    links: &'a BTreeMap<PeerId, Link>,
    book: &'a Book,
}

impl Links for View<'_> {
    fn observed(&self, peer: &PeerId) -> Option<SocketAddr> {
        self.links.get(peer).filter(|l| l.is_up()).and_then(Link::status).map(|s| s.info.remote)
    }

    fn is_linked_relay(&self, relay: &PeerId, addr: &SocketAddr) -> bool {
        self.observed(relay).is_some_and(|at| at.ip() == addr.ip())
    }

    fn is_known(&self, peer: &PeerId) -> bool {
        self.book.get(*peer).is_some()
    }
}

impl Engine {
    pub(super) fn coordinate(&mut self, from: PeerId, message: Message, now: Now) {
        let Self { coordination, links, book, .. } = self;
        let view = View { links, book };
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
                // There are no lanes to dial yet.
                CoordinationOut::Invited { .. } => self.stopped("invitation without lanes"),
                CoordinationOut::Stopped(what) => self.stopped(what),
            }
        }
    }

    pub(super) fn nonce(&mut self) -> [u8; 16] {
        self.rng.random()
    }
}
