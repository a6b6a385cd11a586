//! What the machine keeps for each link.

use std::collections::{BTreeSet, VecDeque};

use super::LinkContext;
use super::digest::Incoming;
use super::sync::Exchange;
use super::{ROOM_AT_START, SYNC_WITHIN};
use crate::core::Mono;
use crate::core::bucket::Bucket;
use crate::core::limits::{
    DIGEST_BURST, DIGEST_EVERY_MIN, INTAKE_BURST, INTAKE_PER_SECOND, RECORDS_SERVE_BURST,
    RECORDS_SERVE_PER_SECOND, SYNC_SERVE_BURST, SYNC_SERVE_EVERY, SYNC_STALL,
};
use crate::core::wire::{DigestEntry, PeerPrefix};
use crate::model::PeerId;

/// What a peer may cost us. Outlives its link, so that linking again brings no
/// new burst.
#[derive(Debug)]
pub(super) struct Meters {
    /// Records taken.
    pub(super) intake: Bucket,
    /// Full syncs served.
    pub(super) syncs: Bucket,
    /// Single records served.
    pub(super) records: Bucket,
    /// Digests looked at.
    pub(super) digests: Bucket,
    /// When the end of the intake was last told, so that a flood is one line.
    pub(super) told: Option<Mono>,
}

impl Meters {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            intake: Bucket::new(INTAKE_BURST, INTAKE_PER_SECOND, now),
            syncs: Bucket::every(SYNC_SERVE_BURST, SYNC_SERVE_EVERY, now),
            records: Bucket::new(RECORDS_SERVE_BURST, RECORDS_SERVE_PER_SECOND, now),
            digests: Bucket::every(DIGEST_BURST, DIGEST_EVERY_MIN, now),
            told: None,
        }
    }
}

/// Whose records a train of pages carries.
#[derive(Debug)]
pub(super) enum Whose {
    /// All that we share.
    All,
    /// Those of these peers, each prefix once.
    Prefixes(Vec<PeerPrefix>),
}

/// How far a train is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Of all: our own record is sent, ...
    pub(super) begun: bool,
    /// ... and those up to this one: first whom we had to do with, then whom we only
    /// heard of.
    pub(super) after: Option<PeerId>,
    pub(super) hearsay: bool,
    /// Of prefixes: so many are through, ...
    pub(super) done: usize,
    /// ... and so many records of the next.
    pub(super) within: usize,
}

/// Pages on their way to a link: whose records, and how far it is. The records
/// are made when there is room for them.
#[derive(Debug)]
pub(super) struct Serving {
    /// The number in the pages.
    pub(super) sync: u32,
    pub(super) whose: Whose,
    pub(super) place: Place,
    /// The next page's number.
    pub(super) page: u32,
    /// Whether it is our own half of an exchange, rather than an answer.
    pub(super) push: bool,
    /// Since when there has been no room, if there is none.
    pub(super) stalled: Option<Mono>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) context: LinkContext,
    /// Bytes that may be queued now.
    pub(super) room: usize,
    pub(super) meters: Meters,
    /// The peer said goodbye: nothing it says counts any more.
    pub(super) left: bool,
    pub(super) exchange: Option<Exchange>,
    /// Pages to send, one train after the other.
    pub(super) queue: VecDeque<Serving>,
    /// The unasked full sync was cut by the intake limit ...
    pub(super) cut: bool,
    /// ... and was asked for again. Once per link.
    pub(super) asked_again: bool,
    pub(super) next_digest: Mono,
    /// Our digest's pages as they come in.
    pub(super) incoming: Option<Incoming>,
    /// What repair tried already: where it does not stick (the other end has
    /// no place for it) it is not tried again every minute.
    pub(super) pulled: BTreeSet<DigestEntry>,
    pub(super) pushed: BTreeSet<DigestEntry>,
    pub(super) rounds: u32,
    /// (known, expected) at its last digest.
    pub(super) standing: Option<(u64, u64)>,
}

impl Link {
    pub(super) fn new(context: LinkContext, meters: Meters, next_digest: Mono) -> Self {
        Self {
            context,
            room: ROOM_AT_START,
            meters,
            left: false,
            exchange: None,
            queue: VecDeque::new(),
            cut: false,
            asked_again: false,
            next_digest,
            incoming: None,
            pulled: BTreeSet::new(),
            pushed: BTreeSet::new(),
            rounds: 0,
            standing: None,
        }
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Mono> {
        let exchange = self.exchange.as_ref().map(|exchange| exchange.since + SYNC_WITHIN);
        let stall = self.queue.front().and_then(|serving| serving.stalled).map(|since| since + SYNC_STALL);
        [Some(self.next_digest), exchange, stall].into_iter().flatten()
    }
}
