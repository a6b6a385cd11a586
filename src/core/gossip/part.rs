//! Gossip as a part of a node: which links it runs over, what our own record says, and
//! what becomes of its decisions.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Gossip, LinkContext, Output};
use crate::core::book::PeerBook;
use crate::core::config::EngineConfig;
use crate::core::limits::{RECORD_ADDRESSES_MAX, RECORD_HOMES_MAX};
use crate::core::link::Link;
use crate::core::links::Links;
use crate::core::outbox::{Outbox, Wanted};
use crate::core::proof::RecordSeed;
use crate::core::relaying::RelayState;
use crate::core::targets::Targets;
use crate::core::wire::{Message, Record};
use crate::core::{Mono, Now};
use crate::model::{Cause, CommandId, Done, EventKind, Failure, GossipView, PeerId, Reason, SyncReport};

/// More new peers than this at once are told of in one event: a reader of
/// events must not lose the others for them.
const ADDED_ONE_BY_ONE: usize = 16;

/// What happened.
#[derive(Debug)]
pub(in crate::core) enum Input {
    /// A link to this peer stands; what addresses mean over it.
    LinkUp(PeerId, LinkContext),
    /// It runs over another connection.
    LinkMoved(PeerId, LinkContext),
    /// It is gone.
    LinkDown(PeerId),
    /// A message came over it, or a goodbye.
    Message(PeerId, Message),
}

/// The gossip of a node.
#[derive(Debug)]
pub(in crate::core) struct Gossiper {
    machine: Gossip,
    /// What it decided since [`Self::advance`] was last called.
    wants: Vec<Output>,
}

fn is_added(output: &Output) -> bool {
    matches!(output, Output::Event { kind: EventKind::PeerAdded { .. }, .. })
}

impl Gossiper {
    pub(in crate::core) fn new(config: &EngineConfig, seed: u64, now: Now) -> Self {
        let own = Record { name: config.name.clone(), ..Record::new(config.me, config.own_version + 1) };
        let machine = Gossip::new(own, StdRng::seed_from_u64(seed), now);
        Self {
            machine: match config.record_seed.as_ref().and_then(RecordSeed::signer) {
                Some(signer) => machine.signed_by(signer),
                None => machine,
            },
            wants: Vec::new(),
        }
    }

    /// Our own record as we publish it.
    pub(in crate::core) fn own(&self) -> &Record {
        self.machine.own()
    }

    /// Takes what happened.
    pub(in crate::core) fn handle(&mut self, input: Input, book: &mut PeerBook, now: Now) {
        let book = book.write();
        match input {
            Input::LinkUp(peer, context) => self.machine.link_up(peer, context, book, now, &mut self.wants),
            Input::LinkMoved(peer, context) => {
                self.machine.set_context(peer, context, book, now, &mut self.wants);
            }
            Input::LinkDown(peer) => self.machine.link_down(peer, book, now, &mut self.wants),
            Input::Message(peer, message) => {
                self.machine.on_message(peer, message, book, now, &mut self.wants);
            }
        }
    }

    /// A command to exchange everything with a peer, or with all.
    pub(in crate::core) fn sync(
        &mut self,
        id: CommandId,
        peer: Option<PeerId>,
        book: &PeerBook,
        now: Now,
    ) -> Result<Option<Done>, Failure> {
        self.machine.sync(peer, id, book.read(), now, &mut self.wants)?;
        Ok(None)
    }

    /// A command to lose the next news, so that a drill sees it repaired.
    pub(in crate::core) fn lose_next_delta(&mut self) -> Done {
        self.machine.drop_next_delta();
        Done::WillLose
    }

    /// What we measured of a peer changed: others should hear of it.
    pub(in crate::core) fn spread(&mut self, peer: PeerId, change: &super::Change, now: Now) {
        self.machine.spread(peer, change, now);
    }

    /// Says of ourselves what is true now; others hear of it if it changed.
    pub(in crate::core) fn publish(&mut self, targets: &Targets<'_>, relaying: &RelayState) {
        let (nat, capabilities) = (targets.nat.claim(), relaying.service().capabilities());
        let (relays, homes) = (relaying.addresses(), self.homes(targets));
        let mut addresses = targets.nat.own_addresses();
        addresses.truncate(RECORD_ADDRESSES_MAX);
        let own = self.machine.own().clone();
        let says = Record { nat, capabilities, addresses, relays, homes, ..own };
        self.machine.set_own(says, targets.peers.now, &mut self.wants);
    }

    /// Verified public peers that we keep links to: who wants a punch with us
    /// asks one of them at once. Those named before stay, so that records do
    /// not change with every round trip.
    fn homes(&self, targets: &Targets<'_>) -> Vec<PeerId> {
        let (named, peers) = (&self.machine.own().homes, targets.peers);
        let public = peers.links.iter().filter(|(peer, link)| link.is_up() && peers.is_public(peer));
        let mut homes: Vec<_> = public
            .filter_map(|(peer, link)| link.status().map(|status| (peer, status)))
            .filter(|(_, status)| status.info.path.is_straight())
            .map(|(peer, status)| (!named.contains(peer), status.since, *peer))
            .collect();
        homes.sort_unstable();
        homes.into_iter().take(RECORD_HOMES_MAX).map(|(.., peer)| peer).collect()
    }

    /// Does what is due.
    pub(in crate::core) fn timeout(&mut self, book: &PeerBook, now: Now) {
        if self.machine.next_timeout().is_some_and(|at| at <= now.mono) {
            self.machine.handle_timeout(book.read(), now, &mut self.wants);
        }
    }

    /// When [`Self::timeout`] wants to be called.
    pub(in crate::core) fn next_timeout(&self) -> Option<Mono> {
        self.machine.next_timeout()
    }

    /// Carries out what was decided, as far as the links have room.
    pub(in crate::core) fn advance(
        &mut self,
        book: &mut PeerBook,
        links: &Links,
        now: Now,
        out: &mut Outbox,
    ) {
        for (peer, link) in links.iter().filter(|(_, link)| link.is_up()) {
            self.machine.room(*peer, Link::room(link), book.read(), now, &mut self.wants);
        }
        let outputs = std::mem::take(&mut self.wants);
        let added = outputs.iter().filter(|o| is_added(o)).count();
        if added > ADDED_ONE_BY_ONE {
            out.event(None, EventKind::PeersAdded { count: added as u64 }, now);
        }
        for output in outputs {
            match output {
                one if added > ADDED_ONE_BY_ONE && is_added(&one) => {}
                Output::Send { peer, message } => out.send(peer, message),
                Output::Ask { peer } => out.want(Wanted::Learned(peer, Cause::Gossip)),
                Output::Changed { peer, change } => book.changed(peer, change, false, now, out),
                Output::Published { .. } => book.touch(now.mono),
                Output::Synced { command, report } if report.peers_synced > 0 => {
                    out.answer(command, Ok(Done::Synced(report)));
                }
                // Nobody answered: the thing asked for did not happen.
                Output::Synced { command, report } => {
                    let reason = sync_failure(command, &report, links, out);
                    out.answer(command, Err(reason.into()));
                }
                Output::Event { peer, kind } => out.event(peer, kind, now),
            }
        }
    }

    /// As it is shown.
    pub(in crate::core) fn view(&self) -> GossipView {
        self.machine.view()
    }

    /// What limits and rules stopped, by name.
    pub(in crate::core) fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.machine.counters().iter().map(|(name, count)| (*name, *count))
    }

    /// Has our record say something that is not so.
    #[cfg(test)]
    pub(in crate::core) fn lie(&mut self, says: Record, now: Now) {
        self.machine.set_own(says, now, &mut self.wants);
    }
}

/// Why a sync came to nothing: who was asked is silent, or gone meanwhile.
fn sync_failure(command: CommandId, report: &SyncReport, links: &Links, out: &Outbox) -> Reason {
    match out.asked_about(command) {
        Some(peer) if !links.is_up(&peer) => Reason::NotLinked,
        None if links.count_up() == 0 => Reason::NoLinks,
        _ => match report.retry_ms {
            Some(retry_ms) => Reason::TooSoon { retry_ms },
            None => Reason::TimedOut { after_ms: report.elapsed_ms },
        },
    }
}
