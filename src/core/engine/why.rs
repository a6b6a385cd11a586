//! Why, wired: our part of the story, and the questions for the others' parts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Action, Engine, Link};
use crate::core::bucket::Bucket;
use crate::core::limits::{ACCOUNTS_ASKED_MAX, GONE_LINKS_MAX, KNOCK_EVERY, KNOCKS_MAX, WHY_PER_MINUTE};
use crate::core::why::{Facts, Knock, Knocked, LinkFact, Seen, Theirs, Told, Trace, explain, notes};
use crate::core::wire::{Account, AccountAsk, Message, Standing, WhyAsk, WhyHalf, WhyNote};
use crate::core::{Mono, Now};
use crate::model::{
    Attempt, AttemptOutcome, CloseCode, CommandId, Done, Failure, NatType, Path, PeerId, Reason, Stamp,
    clean_sentence, plain_addr,
};

/// How long the others have to tell their parts.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A link that fell silent says something of us for this long.
const SILENCE_COUNTS: Duration = Duration::from_secs(300);

/// A question that waits for answers.
#[derive(Debug)]
struct Open {
    id: CommandId,
    peer: PeerId,
    until: Mono,
    /// Whether the peer itself is still to answer.
    half_awaited: bool,
    theirs: Theirs,
    accounts: Vec<Told>,
    /// Where was knocked, and whose addresses those are.
    knocked: Vec<(SocketAddr, PeerId)>,
    knocks: Vec<Knock>,
}

impl Open {
    fn is_complete(&self) -> bool {
        !self.half_awaited
            && self.accounts.iter().all(|told| told.account.is_some())
            && self.knocks.len() >= self.knocked.len()
    }
}

/// What the engine holds of it.
#[derive(Debug, Default)]
pub(super) struct Whys {
    open: BTreeMap<u32, Open>,
    next: u32,
    meters: BTreeMap<PeerId, Bucket>,
    /// When was knocked last because of whom, and what came of it.
    knocked: Option<(Mono, PeerId, Vec<Knock>)>,
    /// When and why links ended.
    gone: BTreeMap<PeerId, (Mono, Reason)>,
}

impl Whys {
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.open.values().map(|open| open.until).min()
    }

    /// A link ended.
    pub(super) fn link_ended(&mut self, peer: PeerId, reason: Reason, now: Mono) {
        if self.gone.len() >= GONE_LINKS_MAX && !self.gone.contains_key(&peer) {
            let oldest = self.gone.iter().min_by_key(|(_, (at, _))| *at).map(|(peer, _)| *peer);
            oldest.map(|peer| self.gone.remove(&peer));
        }
        self.gone.insert(peer, (now, reason));
    }
}

/// Whether a link ended because nothing came any more.
fn is_silence(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::HeartbeatsMissed { .. }
            | Reason::ConnectionTimedOut
            | Reason::Closed { close: Some(CloseCode::Silent) }
    )
}

impl Engine {
    /// Somebody asks why; the others are asked for their parts first.
    pub(super) fn on_why(&mut self, id: CommandId, peer: PeerId, now: Now) -> Result<Option<Done>, Failure> {
        let known = self.book.get(peer).is_some()
            || self.links.get(&peer).is_some()
            || self.attempts.latest(&peer).is_some()
            || self.whys.gone.contains_key(&peer);
        if !known {
            return Err(Reason::UnknownPeer.into());
        }
        self.whys.next = self.whys.next.wrapping_add(1);
        let query = self.whys.next;
        let up = self.links.is_up(&peer);
        let half_awaited =
            up && self.links.send(&peer, &Message::WhyAsk(WhyAsk { query }), now, &mut self.outbox);
        let mut accounts = Vec::new();
        for who in self.witnesses(&peer, now) {
            if self.links.send(
                &who,
                &Message::AccountAsk(AccountAsk { query, about: peer }),
                now,
                &mut self.outbox,
            ) {
                accounts.push(Told { who, account: None });
            }
        }
        let lately = self.whys.knocked.as_ref().filter(|(at, ..)| now.mono.since(*at) < KNOCK_EVERY);
        let knocks = lately.filter(|(_, of, _)| *of == peer).map(|(.., all)| all.clone()).unwrap_or_default();
        let knocked = if up || lately.is_some() { Vec::new() } else { self.to_knock_at(&peer, now) };
        if !knocked.is_empty() {
            self.whys.knocked = Some((now.mono, peer, Vec::new()));
            let addrs = knocked.iter().map(|(addr, _)| *addr).collect();
            self.outbox.push(Action::Knock { query, addrs });
        }
        let theirs = if half_awaited { Theirs::Silent } else { Theirs::NotAsked };
        let until = now.mono + ANSWER_WITHIN;
        let open = Open { id, peer, until, half_awaited, theirs, accounts, knocked, knocks };
        if open.is_complete() {
            return Ok(Some(self.explained(&open, now)));
        }
        self.whys.open.insert(query, open);
        Ok(None)
    }

    /// Who may have seen something of a peer: who helped in our last attempt, and
    /// where it is not reached whoever is public.
    fn witnesses(&self, peer: &PeerId, now: Now) -> Vec<PeerId> {
        let mut all = self.attempts.trace(peer).map(Trace::helpers).unwrap_or_default();
        let attempt = self.attempts.telling(peer).map(|(attempt, _)| attempt);
        all.extend(attempt.iter().flat_map(|a| a.stages.iter().filter_map(|s| s.via)));
        if !self.links.is_up(peer) {
            let mut others: Vec<_> =
                self.links.iter().map(|(who, _)| (!self.peers(now).is_public(who), *who)).collect();
            others.sort_unstable();
            all.extend(others.into_iter().map(|(_, who)| who));
        }
        let mut asked: Vec<PeerId> = Vec::new();
        for who in all {
            let up = self.links.is_up(&who);
            if up && who != *peer && !asked.contains(&who) && asked.len() < ACCOUNTS_ASKED_MAX {
                asked.push(who);
            }
        }
        asked
    }

    /// Where our last attempt heard nothing; and where nobody at all is linked,
    /// where others were reached before: one address of each host.
    fn to_knock_at(&self, peer: &PeerId, now: Now) -> Vec<(SocketAddr, PeerId)> {
        let Some((attempt, Some(trace))) = self.attempts.telling(peer) else { return Vec::new() };
        if attempt.outcome != Some(AttemptOutcome::Unreachable) || !trace.is_silent() {
            return Vec::new();
        }
        let mut all: Vec<(SocketAddr, PeerId)> =
            trace.addresses().into_iter().take(2).map(|addr| (addr, *peer)).collect();
        if self.links.count_up() == 0 {
            // A host without a NAT answers for itself.
            let public = |who: &PeerId| self.peers(now).claimed_nat(who) == NatType::None;
            for who in self.book.best_first(now.stamp).into_iter().filter(|who| who != peer && public(who)) {
                let reached = self.book.get(who).and_then(|e| e.measured.reached_at);
                all.extend(
                    reached.filter(|at| all.iter().all(|(a, _)| a.ip() != at.ip())).map(|at| (at, who)),
                );
                if all.len() >= KNOCKS_MAX {
                    break;
                }
            }
        }
        all.truncate(KNOCKS_MAX);
        all
    }

    fn explained(&self, open: &Open, now: Now) -> Done {
        let peer = open.peer;
        let status = self.links.status(&peer);
        let link = status.map(|s| LinkFact {
            path: s.info.path,
            via: s.info.via,
            since: now.stamp_of(s.since),
            ours: s.info.outbound,
        });
        let addresses = self.peers(now).addresses_of(&peer).unwrap_or_default();
        let mut terrain = self.targets(now).at(peer, addresses.clone()).terrain;
        // What a linked peer says of itself is as fresh as its link.
        if link.is_some() {
            terrain.theirs = self.peers(now).claimed_nat(&peer);
        }
        let none = Trace::default();
        let made = self.attempts.made_by(&peer).filter(|_| link.is_some());
        let telling = self.attempts.telling(&peer);
        // What failed before the link stood is not how it came up.
        let since = |attempt: &Attempt| {
            link.is_none_or(|link| attempt.started >= link.since)
                || made.as_ref().is_some_and(|(made, _)| attempt.id >= made.id)
        };
        let (attempt, trace) = telling.filter(|(attempt, _)| since(attempt)).unzip();
        let trace = trace.flatten().unwrap_or(&none);
        let entry = self.book.get(peer);
        let up = |who: &PeerId| self.links.is_up(who);
        let homes = entry.and_then(|e| e.record()).map(|r| r.homes.clone()).unwrap_or_default();
        let silent = |(who, (at, reason)): &(&PeerId, &(Mono, Reason))| {
            is_silence(reason) && now.mono.since(*at) < SILENCE_COUNTS && !up(who)
        };
        let gone = self.whys.gone.get(&peer).map(|(at, reason)| (now.stamp_of(*at), reason.clone()));
        Done::Explained(Box::new(explain(&Facts {
            me: self.config.me,
            peer,
            now: now.stamp,
            network: &self.config.network,
            link,
            made: made.as_ref().map(|(made, trace)| (&**made, trace.unwrap_or(&none))),
            gone,
            held_off: self.dialer.held_off_until(&peer, now.mono).map(|until| now.stamp_of(until)),
            no_way: self.ways.to(&addresses).err(),
            twice: self.twice.of(&peer, now.mono),
            we_twice: self.twice.of(&self.config.me, now.mono),
            nat: self.nat.view(),
            terrain,
            guessable: self.is_guessable(&peer, now),
            first_hand: entry.is_some_and(|e| e.known.is_first_hand()),
            addresses,
            homes: homes.into_iter().filter(|home| *home != self.config.me && !up(home)).collect(),
            seen: entry.and_then(crate::core::book::Entry::last_seen),
            attempt: attempt.as_deref(),
            trace,
            theirs: open.theirs.clone(),
            accounts: open.accounts.clone(),
            knocks: open.knocks.clone(),
            links: self.links.count_up(),
            fell_silent: self.whys.gone.iter().filter(silent).map(|(_, (at, _))| now.stamp_of(*at)).collect(),
            known: self.provenance(peer, &open.accounts, now),
        })))
    }

    /// Whether a peer may ask for one more part of ours.
    fn may_ask(&mut self, from: PeerId, now: Now) -> bool {
        let meter = self.whys.meters.entry(from);
        let meter = meter.or_insert_with(|| Bucket::new(WHY_PER_MINUTE, WHY_PER_MINUTE / 60.0, now.mono));
        let may = meter.take(now.mono);
        if !may {
            self.outbox.stopped("why rate");
        }
        may
    }

    /// A peer asks for our half.
    pub(super) fn on_why_ask(&mut self, from: PeerId, ask: WhyAsk, now: Now) {
        if !self.may_ask(from, now) {
            return;
        }
        let mut told: Vec<(Stamp, String)> = self
            .attempts
            .latest_report(&from)
            .map(|a: std::sync::Arc<Attempt>| notes(&a))
            .unwrap_or_default();
        let followed = self.coordination.told(from, None);
        told.extend(followed.map(|noted| (now.stamp_of(noted.at), noted.text())));
        if let Some(status) = self.links.status(&from) {
            // In the words of who asked.
            let how = if status.info.outbound { "it dialled" } else { "we dialled" };
            told.push((now.stamp_of(status.since), format!("link up: {how}")));
        }
        let half = WhyHalf {
            query: ask.query,
            nat: self.nat.claim(),
            measured_s: self.nat.view().measured.map(|at| age_ms(at, now) / 1_000),
            evidence: self
                .nat
                .view()
                .evidence
                .iter()
                .take(WhyHalf::EVIDENCE_MAX)
                .map(|e| clean_sentence(e))
                .collect(),
            notes: newest(told, now),
        };
        self.links.send(&from, &Message::WhyHalf(half), now, &mut self.outbox);
    }

    /// A peer asks what we saw of another, and what became of its requests.
    pub(super) fn on_account_ask(&mut self, from: PeerId, ask: AccountAsk, now: Now) {
        if !self.may_ask(from, now) {
            return;
        }
        let status = self.links.get(&ask.about).filter(|l| l.is_up()).and_then(Link::status);
        let (standing, since) = match (&status, self.whys.gone.get(&ask.about)) {
            (Some(s), _) if s.info.path == Path::Relayed => (Standing::Relayed, Some(s.since)),
            (Some(s), _) => (Standing::Linked, Some(s.since)),
            (None, Some((at, Reason::Closed { close: Some(CloseCode::Leave) }))) => {
                (Standing::Left, Some(*at))
            }
            (None, Some((at, reason))) if is_silence(reason) => (Standing::Silent, Some(*at)),
            (None, Some((at, _))) => (Standing::Ended, Some(*at)),
            (None, None) => (Standing::Never, None),
        };
        let told = self.coordination.told(from, Some(ask.about));
        let told = told.map(|noted| (now.stamp_of(noted.at), noted.text())).collect();
        let account = Account {
            query: ask.query,
            standing,
            since_s: since.map(|at| age_ms(now.stamp_of(at), now) / 1_000),
            // What is seen of a relayed peer is its relay's.
            seen_at: status.filter(|s| s.info.path.is_straight()).map(|s| s.info.remote),
            notes: newest(told, now),
        };
        self.links.send(&from, &Message::Account(account), now, &mut self.outbox);
    }

    /// The peer told its half.
    pub(super) fn on_why_half(&mut self, from: PeerId, half: WhyHalf, now: Now) {
        let open = self.whys.open.get_mut(&half.query).filter(|o| o.peer == from && o.half_awaited);
        let Some(open) = open else { return self.outbox.stopped("answer to no question") };
        open.half_awaited = false;
        open.theirs = Theirs::Told {
            measured: half.measured_s.map(|s| now.stamp.before(Duration::from_secs(s.into()))),
            evidence: half.evidence.iter().take(WhyHalf::EVIDENCE_MAX).map(|e| clean_sentence(e)).collect(),
            notes: heard(half.notes, now),
        };
        self.answer_why(half.query, now);
    }

    /// Somebody told what it saw.
    pub(super) fn on_account(&mut self, from: PeerId, account: Account, now: Now) {
        let open = self.whys.open.get_mut(&account.query);
        let told = open.and_then(|o| o.accounts.iter_mut().find(|t| t.who == from && t.account.is_none()));
        let Some(told) = told else { return self.outbox.stopped("answer to no question") };
        told.account = Some(Seen {
            standing: account.standing,
            since: account.since_s.map(|s| now.stamp.before(Duration::from_secs(s.into()))),
            at: account.seen_at.map(plain_addr),
            notes: heard(account.notes, now),
        });
        self.answer_why(account.query, now);
    }

    /// What came of knocking.
    pub(super) fn on_knocked(&mut self, query: u32, results: &[(SocketAddr, Knocked, Knocked)], now: Now) {
        let knocked = self.whys.open.get(&query).map(|open| open.knocked.clone()).unwrap_or_default();
        let mut natless: Vec<PeerId> = knocked.into_iter().map(|(_, of)| of).collect();
        natless.retain(|of| self.peers(now).claimed_nat(of) == NatType::None);
        let Some(open) = self.whys.open.get_mut(&query) else { return };
        for (addr, udp, tcp) in results {
            let of = open.knocked.iter().find(|(at, _)| at == addr).map(|(_, of)| *of);
            open.knocks.extend(of.map(|of| {
                let own = natless.contains(&of);
                Knock { addr: *addr, of, own, udp: *udp, tcp: *tcp }
            }));
        }
        if let Some((.., last)) = self.whys.knocked.as_mut().filter(|(_, of, _)| *of == open.peer) {
            last.clone_from(&open.knocks);
        }
        self.answer_why(query, now);
    }

    /// Answers a question to which everybody has answered.
    fn answer_why(&mut self, query: u32, now: Now) {
        if self.whys.open.get(&query).is_some_and(Open::is_complete) {
            self.close_why(query, now);
        }
    }

    fn close_why(&mut self, query: u32, now: Now) {
        let Some(open) = self.whys.open.remove(&query) else { return };
        let done = self.explained(&open, now);
        self.outbox.answer(open.id, Ok(done));
    }

    pub(super) fn whys_timeout(&mut self, now: Now) {
        let late: Vec<u32> =
            self.whys.open.iter().filter(|(_, open)| open.until <= now.mono).map(|(q, _)| *q).collect();
        for query in late {
            self.close_why(query, now);
        }
        self.whys.meters.retain(|_, bucket| !bucket.is_full(now.mono));
    }
}

fn age_ms(at: Stamp, now: Now) -> u32 {
    u32::try_from(at.age_at(now.stamp).as_millis()).unwrap_or(u32::MAX)
}

/// The newest of what is to be told, the oldest first.
fn newest(mut told: Vec<(Stamp, String)>, now: Now) -> Vec<WhyNote> {
    told.sort_by_key(|(at, _)| *at);
    let skip = told.len().saturating_sub(WhyHalf::NOTES_MAX);
    let note = |(at, what): (Stamp, String)| WhyNote { age_ms: age_ms(at, now), what: clean_sentence(&what) };
    told.into_iter().skip(skip).map(note).collect()
}

/// What was told, by our clock.
fn heard(notes: Vec<WhyNote>, now: Now) -> Vec<(Stamp, String)> {
    let at = |note: &WhyNote| now.stamp.before(Duration::from_millis(note.age_ms.into()));
    notes.into_iter().take(WhyHalf::NOTES_MAX).map(|note| (at(&note), clean_sentence(&note.what))).collect()
}
