//! Why, wired: our half, and the question for the other one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Engine, Link};
use crate::core::bucket::Bucket;
use crate::core::limits::WHY_PER_MINUTE;
use crate::core::why::{Facts, Theirs, explain, notes};
use crate::core::wire::{Message, WhyAsk, WhyHalf, WhyNote};
use crate::core::{Mono, Now};
use crate::model::{Attempt, CommandId, Done, Failure, PeerId, Reason, Stamp, clean};

/// How long the peer has to tell its half.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// What the engine holds of it.
#[derive(Debug, Default)]
pub(super) struct Whys {
    waiting: BTreeMap<u32, (CommandId, PeerId, Mono)>,
    next: u32,
    meters: BTreeMap<PeerId, Bucket>,
}

impl Whys {
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.waiting.values().map(|(.., until)| *until).min()
    }
}

impl Engine {
    /// Somebody asks why; the peer's half is asked for first.
    pub(super) fn on_why(&mut self, id: CommandId, peer: PeerId, now: Now) -> Result<Option<Done>, Failure> {
        if self.book.get(peer).is_none() && !self.links.contains_key(&peer) {
            return Err(Reason::UnknownPeer.into());
        }
        self.whys.next = self.whys.next.wrapping_add(1);
        let query = self.whys.next;
        let up = self.links.get(&peer).is_some_and(Link::is_up);
        if up && self.send(&peer, &Message::WhyAsk(WhyAsk { query }), now) {
            self.whys.waiting.insert(query, (id, peer, now.mono + ANSWER_WITHIN));
            return Ok(None);
        }
        Ok(Some(self.explained(peer, Theirs::NotAsked, now)))
    }

    fn explained(&self, peer: PeerId, theirs: Theirs, now: Now) -> Done {
        let info = self.links.get(&peer).and_then(Link::status).map(|s| s.info);
        let addresses = self.addresses_of(&peer).unwrap_or_default();
        let mut terrain = self.target_at(peer, addresses, now).terrain;
        // What a linked peer says of itself is as fresh as its link.
        if info.is_some() {
            terrain.theirs = self.claimed_nat(&peer);
        }
        let attempt = self.attempts.latest_report(&peer);
        Done::Explained(Box::new(explain(&Facts {
            me: self.config.me,
            peer,
            now: now.stamp,
            link: info.map(|i| (i.path, i.via)),
            nat: &self.nat,
            terrain,
            first_hand: self.book.get(peer).is_some_and(|e| e.known.is_first_hand()),
            attempt: attempt.as_deref(),
            theirs,
        })))
    }

    /// A peer asks for our half.
    pub(super) fn on_why_ask(&mut self, from: PeerId, ask: WhyAsk, now: Now) {
        let meter = self.whys.meters.entry(from);
        let meter = meter.or_insert_with(|| Bucket::new(WHY_PER_MINUTE, WHY_PER_MINUTE / 60.0, now.mono));
        if !meter.take(now.mono) {
            return self.stopped("why rate");
        }
        let ms = |at: Stamp| u32::try_from(at.age_at(now.stamp).as_millis()).unwrap_or(u32::MAX);
        let mut told: Vec<(Stamp, String)> = self
            .attempts
            .latest_report(&from)
            .map(|a: std::sync::Arc<Attempt>| notes(&a))
            .unwrap_or_default();
        if let Some(coming) = self.punches_coming.get(&from) {
            told.push((now.stamp_of(coming.since), "agreed to a punch, and made it".to_owned()));
        }
        if let Some(status) = self.links.get(&from).and_then(Link::status) {
            let how = if status.info.outbound { "our dial" } else { "their dial" };
            told.push((now.stamp_of(status.since), format!("link up by {how}")));
        }
        told.sort_by_key(|(at, _)| *at);
        let skip = told.len().saturating_sub(WhyHalf::NOTES_MAX);
        let notes = told.into_iter().skip(skip);
        let half = WhyHalf {
            query: ask.query,
            nat: self.nat.claim(),
            measured_s: self.nat.measured.map(|at| ms(at) / 1_000),
            evidence: self.nat.evidence.iter().take(WhyHalf::EVIDENCE_MAX).map(|e| clean(e)).collect(),
            notes: notes.map(|(at, what)| WhyNote { age_ms: ms(at), what: clean(&what) }).collect(),
        };
        self.send(&from, &Message::WhyHalf(half), now);
    }

    /// The peer told its half.
    pub(super) fn on_why_half(&mut self, from: PeerId, half: WhyHalf, now: Now) {
        let asked = self.whys.waiting.get(&half.query).is_some_and(|(_, peer, _)| *peer == from);
        if !asked {
            return self.stopped("answer to no question");
        }
        let Some((id, ..)) = self.whys.waiting.remove(&half.query) else { return };
        let ago = |age: Duration| now.stamp.before(age);
        let notes = half.notes.into_iter().take(WhyHalf::NOTES_MAX);
        let theirs = Theirs::Told {
            measured: half.measured_s.map(|s| ago(Duration::from_secs(s.into()))),
            evidence: half.evidence.iter().take(WhyHalf::EVIDENCE_MAX).map(|e| clean(e)).collect(),
            notes: notes.map(|n| (ago(Duration::from_millis(n.age_ms.into())), clean(&n.what))).collect(),
        };
        let done = self.explained(from, theirs, now);
        self.answer(id, Ok(done));
    }

    pub(super) fn whys_timeout(&mut self, now: Now) {
        let late = |(_, (.., until)): &(&u32, &(CommandId, PeerId, Mono))| *until <= now.mono;
        let late: Vec<u32> = self.whys.waiting.iter().filter(late).map(|(query, _)| *query).collect();
        for query in late {
            if let Some((id, peer, _)) = self.whys.waiting.remove(&query) {
                let done = self.explained(peer, Theirs::Silent, now);
                self.answer(id, Ok(done));
            }
        }
        self.whys.meters.retain(|_, bucket| !bucket.is_full(now.mono));
    }
}
