//! One peer in the book, and what a mutation changed of it.

use std::net::SocketAddr;

use super::{Known, Measured, NetPrefix};
use crate::core::wire::Record;
use crate::core::{Mono, Now};
use crate::model::{PeerId, Source, Stamp};

/// What the book holds of one peer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is said of it.
    pub known: Known,
    /// What we measured.
    pub measured: Measured,
    /// How we first learned of it.
    pub source: Source,
    /// The peer that told us, if it was gossip.
    pub told_by: Option<PeerId>,
    /// When we first learned of it.
    pub first_seen: Stamp,
    /// The peer whose word the hearsay is, since the start.
    pub heard_from: Option<PeerId>,
    /// When hearsay of one source alone last moved it by a step.
    pub stepped: Option<Mono>,
    /// When we were told that it is gone. That is hearsay: it is tried last then,
    /// until it is seen again, and nothing else follows.
    pub demoted: Option<Stamp>,
    /// When the effective record last changed.
    pub learned: Mono,
    /// Whether an authenticated connection to it stands.
    pub linked: bool,
}

impl Entry {
    pub(super) fn new(source: Source, now: Now) -> Self {
        Self {
            known: Known::default(),
            measured: Measured::default(),
            source,
            told_by: None,
            heard_from: None,
            stepped: None,
            first_seen: now.stamp,
            demoted: None,
            learned: now.mono,
            linked: false,
        }
    }

    /// The record to go by.
    pub fn record(&self) -> Option<&Record> {
        self.known.effective().map(|held| &held.record)
    }

    /// The last contact by us or by anybody's word.
    pub fn last_seen(&self) -> Option<Stamp> {
        self.known.seen().max(self.measured.last_contact)
    }

    /// How good it would be to dial this peer, from 0 to 1.
    pub fn quality(&self, now: Stamp) -> f64 {
        self.measured.quality(self.known.seen(), self.demoted.is_some(), now)
    }

    /// Where to dial it: where it answered last, then where its record says.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut out: Vec<SocketAddr> = self.measured.reached_at.into_iter().collect();
        for addr in self.record().into_iter().flat_map(|r| &r.addresses) {
            if !out.contains(addr) {
                out.push(*addr);
            }
        }
        out
    }

    pub(super) fn prefix(&self) -> Option<NetPrefix> {
        self.record().and_then(|r| r.addresses.first()).and_then(|addr| NetPrefix::of(*addr))
    }
}

/// What a mutation changed of one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The peer is new to the book.
    pub added: bool,
    /// Its effective record is another one now.
    pub updated: bool,
    /// Its reachability, NAT type, relay addresses or demotion changed.
    pub status: bool,
    /// It was deleted.
    pub removed: bool,
    /// Something that is shown changed, if only a time.
    pub touched: bool,
    /// The peers that had to make room.
    pub evicted: Vec<PeerId>,
}

impl Change {
    /// Whether it has to be on disk within a second.
    pub fn significant(&self) -> bool {
        self.added || self.removed || self.status || !self.evicted.is_empty()
    }

    /// Whether others should hear of it.
    pub fn spreads(&self) -> bool {
        self.updated
    }

    pub(super) fn touched() -> Self {
        Self { touched: true, ..Self::default() }
    }
}

/// What became of an entry.
pub(super) fn compare(old: &Entry, new: &Entry) -> Change {
    let (before, after) = (old.record(), new.record());
    let reach =
        |r: Option<&Record>| r.map(|r| (r.nat, r.relays.clone(), r.addresses.is_empty(), r.capabilities));
    Change {
        updated: before != after,
        status: reach(before) != reach(after)
            || old.demoted.is_some() != new.demoted.is_some()
            || old.measured.tried != new.measured.tried,
        touched: before != after
            || old.last_seen() != new.last_seen()
            || old.demoted != new.demoted
            || old.measured != new.measured
            || old.known.is_first_hand() != new.known.is_first_hand(),
        ..Change::default()
    }
}
