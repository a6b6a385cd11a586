//! Gossip, wired: which links it runs over, and what becomes of its decisions.

use std::net::SocketAddr;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Engine, EngineConfig, Link};
use crate::core::Now;
use crate::core::gossip::{Gossip, Output};
use crate::core::proof::RecordSeed;
use crate::core::wire::{Capabilities, Message, Record};
use crate::model::{
    Cause, CommandId, Done, DropReason, EventKind, Failure, GossipView, PeerId, Reason, SyncReport,
};

/// More new peers than this at once are told of in one event: a reader of
/// events must not lose the others for them.
const ADDED_ONE_BY_ONE: usize = 16;

fn is_added(output: &Output) -> bool {
    matches!(output, Output::Event { kind: EventKind::PeerAdded { .. }, .. })
}

impl Engine {
    pub(super) fn new_gossip(config: &EngineConfig, seed: u64, now: Now) -> Gossip {
        let own = Record { name: config.name.clone(), ..Record::new(config.me, config.own_version + 1) };
        let gossip = Gossip::new(own, StdRng::seed_from_u64(seed), now);
        match config.record_seed.as_ref().and_then(RecordSeed::signer) {
            Some(signer) => gossip.signed_by(signer),
            None => gossip,
        }
    }

    pub(super) fn own_version(&self) -> u64 {
        self.gossip.own().version
    }

    /// Says of ourselves what is true now.
    pub(super) fn publish_own(&mut self, addresses: Vec<SocketAddr>, capabilities: Capabilities, now: Now) {
        let own = self.gossip.own().clone();
        let (nat, homes) = (self.nat.claim(), self.homes(now));
        let relays = self.relaying.addresses();
        self.gossip.set_own(Record { nat, capabilities, addresses, relays, homes, ..own }, now);
    }

    pub(super) fn gossip_link_up(&mut self, peer: PeerId, now: Now) {
        if let Some(context) = self.targets(now).link_context(&peer) {
            self.gossip.link_up(peer, context, &mut self.book, now);
        }
    }

    pub(super) fn gossip_link_moved(&mut self, peer: PeerId, now: Now) {
        if let Some(context) = self.targets(now).link_context(&peer) {
            self.gossip.set_context(peer, context, &self.book, now);
        }
    }

    pub(super) fn gossip_link_down(&mut self, peer: PeerId, now: Now) {
        self.gossip.link_down(peer, &mut self.book, now);
    }

    pub(super) fn gossip_message(&mut self, peer: PeerId, message: Message, now: Now) {
        self.gossip.on_message(peer, message, &mut self.book, now);
    }

    pub(super) fn gossip_timeout(&mut self, now: Now) {
        if self.gossip.next_timeout().is_some_and(|at| at <= now.mono) {
            self.gossip.handle_timeout(&self.book, now);
        }
    }

    pub(super) fn on_sync(&mut self, id: CommandId, peer: Option<PeerId>, now: Now) -> Result<(), Failure> {
        Ok(self.gossip.sync(peer, id, &self.book, now)?)
    }

    /// Why a sync came to nothing: who was asked is silent, or gone meanwhile.
    fn sync_failure(&self, command: CommandId, report: &SyncReport) -> Reason {
        match self.outbox.asked_about(command) {
            Some(peer) if !self.links.is_up(&peer) => Reason::NotLinked,
            None if self.links.count_up() == 0 => Reason::NoLinks,
            _ => match report.retry_ms {
                Some(retry_ms) => Reason::TooSoon { retry_ms },
                None => Reason::TimedOut { after_ms: report.elapsed_ms },
            },
        }
    }

    /// Carries out what gossip decided, as far as the links have room.
    pub(super) fn carry_gossip(&mut self, now: Now) {
        let rooms: Vec<(PeerId, usize)> =
            self.links.iter().filter(|(_, l)| l.is_up()).map(|(p, l)| (*p, Link::room(l))).collect();
        for (peer, room) in rooms {
            self.gossip.room(peer, room, &self.book, now);
        }
        let outputs: Vec<Output> = std::iter::from_fn(|| self.gossip.poll()).collect();
        let added = outputs.iter().filter(|o| is_added(o)).count();
        if added > ADDED_ONE_BY_ONE {
            self.outbox.event(None, EventKind::PeersAdded { count: added as u64 }, now);
        }
        for output in outputs {
            match output {
                added_one @ Output::Event { .. } if added > ADDED_ONE_BY_ONE && is_added(&added_one) => {}
                Output::Send { peer, message } => {
                    self.links.send(&peer, &message, now, &mut self.outbox);
                }
                Output::Ask { peer } => self.dialer.on_learned(peer, Cause::Gossip, now.mono),
                Output::Changed { peer, change } => self.on_change(peer, &change, now),
                Output::Published { .. } => self.saving.touch(now.mono),
                Output::Synced { command, report } if report.peers_synced > 0 => {
                    self.outbox.answer(command, Ok(Done::Synced(report)));
                }
                // Nobody answered: the thing asked for did not happen.
                Output::Synced { command, report } => {
                    let reason = self.sync_failure(command, &report);
                    self.outbox.answer(command, Err(reason.into()));
                }
                Output::Event { peer, kind } => self.outbox.event(peer, kind, now),
            }
        }
    }

    pub(super) fn gossip_view(&self) -> GossipView {
        self.gossip.view()
    }

    pub(super) fn gossip_counters(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        self.gossip.counters().iter().map(|(name, count)| (*name, *count))
    }
}
