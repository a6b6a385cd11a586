//! Why, asked and answered: our part of the story, and the questions for the others'
//! parts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::provenance::provenance;
use super::view::View;
use super::{Facts, LinkFact, Seen, Theirs, Told, Trace, explain, notes};
use crate::core::book::Entry;
use crate::core::bucket::Bucket;
use crate::core::io::Action;
use crate::core::limits::{ACCOUNTS_ASKED_MAX, GONE_LINKS_MAX, KNOCK_EVERY, KNOCKS_MAX, WHY_PER_MINUTE};
use crate::core::link::Link;
use crate::core::outbox::Outbox;
use crate::core::peers::Peers;
use crate::core::wire::{
    Message, PeerReply, PeerWords, TYPED_WHY_SINCE, WhyAsk, WhyNote, WitnessAsk, WitnessReply, WitnessWords,
};
use crate::core::{Mono, Now};
use crate::model::{
    Attempt, AttemptOutcome, CloseCode, CommandId, Done, DropReason, Evidence, Failure, Heard, Knock,
    NatType, Path, PeerId, PeerLinkStatus, Reason, Stamp, TraceEvent, plain_addr,
};

/// How long the others have to tell their parts.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Bytes that a question takes at most.
const QUESTION: usize = 64;
/// A link that fell silent says something of us for this long.
const SILENCE_COUNTS: Duration = Duration::from_secs(300);

/// A question that waits for answers.
#[derive(Debug)]
struct Open {
    id: CommandId,
    peer: PeerId,
    until: Mono,
    /// Whether the peer itself is still to answer.
    reply_awaited: bool,
    theirs: Theirs,
    accounts: Vec<Told>,
    /// Where was knocked, and whose addresses those are.
    knocked: Vec<(SocketAddr, PeerId)>,
    knocks: Vec<Knock>,
}

impl Open {
    fn is_complete(&self) -> bool {
        !self.reply_awaited
            && self.accounts.iter().all(|told| told.account.is_some())
            && self.knocks.len() >= self.knocked.len()
    }
}

/// Questions that are open, and what answers them besides.
#[derive(Debug, Default)]
pub(in crate::core) struct WhyQueries {
    open: BTreeMap<u32, Open>,
    next: u32,
    meters: BTreeMap<PeerId, Bucket>,
    /// When was knocked last because of whom, and what came of it.
    knocked: Option<(Mono, PeerId, Vec<Knock>)>,
    /// When and why links ended.
    gone: BTreeMap<PeerId, (Mono, Reason)>,
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

impl WhyQueries {
    pub(in crate::core) fn next_timeout(&self) -> Option<Mono> {
        self.open.values().map(|open| open.until).min()
    }

    /// A link ended.
    pub(in crate::core) fn link_ended(&mut self, peer: PeerId, reason: Reason, now: Mono) {
        if self.gone.len() >= GONE_LINKS_MAX && !self.gone.contains_key(&peer) {
            let oldest = self.gone.iter().min_by_key(|(_, (at, _))| *at).map(|(peer, _)| *peer);
            oldest.map(|peer| self.gone.remove(&peer));
        }
        self.gone.insert(peer, (now, reason));
    }

    /// A peer asks for our part, or tells its own.
    pub(in crate::core) fn handle(
        &mut self,
        from: PeerId,
        message: Message,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        match message {
            Message::WhyAsk(ask) => self.on_why_ask(from, ask, view, out),
            Message::PeerReply(reply) => self.on_peer_reply(from, reply, view, out),
            Message::PeerWords(words) => self.on_peer_reply(from, words.into(), view, out),
            Message::WitnessAsk(ask) => self.on_witness_ask(from, ask, view, out),
            Message::WitnessReply(reply) => self.on_witness_reply(from, reply, view, out),
            Message::WitnessWords(words) => self.on_witness_reply(from, words.into(), view, out),
            _ => {}
        }
    }

    /// Somebody asks why; the others are asked for their parts first.
    pub(in crate::core) fn ask(
        &mut self,
        id: CommandId,
        peer: PeerId,
        view: View<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Done>, Failure> {
        let (peers, now) = (view.peers(), view.now());
        let known = peers.book.get(peer).is_some()
            || peers.links.get(&peer).is_some()
            || view.attempts.latest(&peer).is_some()
            || self.gone.contains_key(&peer);
        if !known {
            return Err(Reason::UnknownPeer.into());
        }
        self.next = self.next.wrapping_add(1);
        let query = self.next;
        let up = peers.links.is_up(&peer);
        let reply_awaited = up && can_ask(&peer, peers);
        if reply_awaited {
            out.send(peer, Message::WhyAsk(WhyAsk { query }));
        }
        let mut accounts = Vec::new();
        for who in Self::witnesses(&peer, view) {
            out.send(who, Message::WitnessAsk(WitnessAsk { query, about: peer }));
            accounts.push(Told { who, account: None });
        }
        let lately = self.knocked.as_ref().filter(|(at, ..)| now.mono.since(*at) < KNOCK_EVERY);
        let knocks = lately.filter(|(_, of, _)| *of == peer).map(|(.., all)| all.clone()).unwrap_or_default();
        let knocked = if up || lately.is_some() { Vec::new() } else { Self::to_knock_at(&peer, view) };
        if !knocked.is_empty() {
            self.knocked = Some((now.mono, peer, Vec::new()));
            let addrs = knocked.iter().map(|(addr, _)| *addr).collect();
            out.push(Action::Knock { query, addrs });
        }
        let theirs = if reply_awaited { Theirs::Silent } else { Theirs::NotRequested };
        let until = now.mono + ANSWER_WITHIN;
        let open = Open { id, peer, until, reply_awaited, theirs, accounts, knocked, knocks };
        if open.is_complete() {
            return Ok(Some(self.explained(&open, view)));
        }
        self.open.insert(query, open);
        Ok(None)
    }

    /// Who may have seen something of a peer: who helped in our last attempt, and
    /// where it is not reached whoever is public.
    fn witnesses(peer: &PeerId, view: View<'_>) -> Vec<PeerId> {
        let peers = view.peers();
        let mut all = view.attempts.trace(peer).map(Trace::helpers).unwrap_or_default();
        let attempt = view.attempts.telling(peer).map(|(attempt, _)| attempt);
        all.extend(attempt.iter().flat_map(|a| a.stages.iter().filter_map(|s| s.via)));
        if !peers.links.is_up(peer) {
            let mut others: Vec<_> =
                peers.links.iter().map(|(who, _)| (!peers.is_public(who), *who)).collect();
            others.sort_unstable();
            all.extend(others.into_iter().map(|(_, who)| who));
        }
        let mut asked: Vec<PeerId> = Vec::new();
        for who in all {
            let up = can_ask(&who, peers);
            if up && who != *peer && !asked.contains(&who) && asked.len() < ACCOUNTS_ASKED_MAX {
                asked.push(who);
            }
        }
        asked
    }

    /// Where our last attempt heard nothing; and where nobody at all is linked,
    /// where others were reached before: one address of each host.
    fn to_knock_at(peer: &PeerId, view: View<'_>) -> Vec<(SocketAddr, PeerId)> {
        let (peers, now) = (view.peers(), view.now());
        let Some((attempt, Some(trace))) = view.attempts.telling(peer) else { return Vec::new() };
        if attempt.outcome != Some(AttemptOutcome::Unreachable) || !trace.is_silent() {
            return Vec::new();
        }
        let mut all: Vec<(SocketAddr, PeerId)> =
            trace.addresses().into_iter().take(2).map(|addr| (addr, *peer)).collect();
        if peers.links.count_up() == 0 {
            // A host without a NAT answers for itself.
            let public = |who: &PeerId| peers.claimed_nat(who) == NatType::None;
            for who in peers.book.best_first(now.stamp).into_iter().filter(|who| who != peer && public(who)) {
                let reached = peers.book.get(who).and_then(|e| e.measured.reached_at);
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

    fn explained(&self, open: &Open, view: View<'_>) -> Done {
        let (peers, now) = (view.peers(), view.now());
        let peer = open.peer;
        let status = peers.links.status(&peer);
        let link = status.map(|s| LinkFact {
            path: s.info.path,
            via: s.info.via,
            since: now.stamp_of(s.since),
            ours: s.info.outbound,
        });
        let addresses = peers.addresses_of(&peer).unwrap_or_default();
        let mut nat_pair = view.targets.at(peer, addresses.clone()).nat_pair;
        // What a linked peer says of itself is as fresh as its link.
        if link.is_some() {
            nat_pair.theirs = peers.claimed_nat(&peer);
        }
        let none = Trace::default();
        let made = view.attempts.made_by(&peer).filter(|_| link.is_some());
        let telling = view.attempts.telling(&peer);
        // What failed before the link stood is not how it came up.
        let since = |attempt: &Attempt| {
            link.is_none_or(|link| attempt.started >= link.since)
                || made.as_ref().is_some_and(|(made, _)| attempt.id >= made.id)
        };
        let (attempt, trace) = telling.filter(|(attempt, _)| since(attempt)).unzip();
        let trace = trace.flatten().unwrap_or(&none);
        let entry = peers.book.get(peer);
        let up = |who: &PeerId| peers.links.is_up(who);
        let homes = entry.and_then(|e| e.record()).map(|r| r.homes.clone()).unwrap_or_default();
        let silent = |(who, (at, reason)): &(&PeerId, &(Mono, Reason))| {
            is_silence(reason) && now.mono.since(*at) < SILENCE_COUNTS && !up(who)
        };
        let gone = self.gone.get(&peer).map(|(at, reason)| (now.stamp_of(*at), reason.clone()));
        Done::Explained(Box::new(explain(&Facts {
            me: peers.me,
            peer,
            now: now.stamp,
            network: view.network,
            link,
            made: made.as_ref().map(|(made, trace)| (&**made, trace.unwrap_or(&none))),
            gone,
            held_off: view.dialer.held_off_until(&peer, now.mono).map(|until| now.stamp_of(until)),
            no_way: view.ways.to(&addresses).err(),
            twice: view.twice.of(&peer, now.mono),
            we_twice: view.twice.of(&peers.me, now.mono),
            nat: view.targets.nat.view(),
            nat_pair,
            guessable: (view.guessable)(&peer),
            first_hand: entry.is_some_and(|e| e.known.is_first_hand()),
            addresses,
            homes: homes.into_iter().filter(|home| *home != peers.me && !up(home)).collect(),
            seen: entry.and_then(Entry::last_seen),
            attempt: attempt.as_deref(),
            trace,
            theirs: open.theirs.clone(),
            accounts: open.accounts.clone(),
            knocks: open.knocks.clone(),
            links: peers.links.count_up(),
            fell_silent: self.gone.iter().filter(silent).map(|(_, (at, _))| now.stamp_of(*at)).collect(),
            known: provenance(peer, &open.accounts, view),
        })))
    }

    /// Whether a peer may ask for one more part of ours.
    fn may_ask(&mut self, from: PeerId, now: Now, out: &mut Outbox) -> bool {
        let meter = self.meters.entry(from);
        let meter = meter.or_insert_with(|| Bucket::new(WHY_PER_MINUTE, WHY_PER_MINUTE / 60.0, now.mono));
        let may = meter.take(now.mono);
        if !may {
            out.stopped(DropReason::WhyRate);
        }
        may
    }

    /// A peer asks for our reply.
    fn on_why_ask(&mut self, from: PeerId, ask: WhyAsk, view: View<'_>, out: &mut Outbox) {
        let (peers, now) = (view.peers(), view.now());
        if !self.may_ask(from, now, out) {
            return;
        }
        let ours = view.attempts.latest_report(&from);
        let mut told = ours.map(|attempt| notes(&attempt)).unwrap_or_default();
        let followed = view.coordination.told(from, None);
        told.extend(followed.map(|noted| (now.stamp_of(noted.at), noted.event())));
        if let Some(status) = peers.links.status(&from) {
            // As seen by who asked.
            let up = TraceEvent::LinkUp { path: None, ours: !status.info.outbound };
            told.push((now.stamp_of(status.since), up));
        }
        let nat = view.targets.nat.view();
        let reply = PeerReply {
            query: ask.query,
            nat: nat.claim(),
            measured_s: nat.measured.map(|at| age_ms(at, now) / 1_000),
            evidence: nat
                .evidence
                .iter()
                .take(PeerReply::EVIDENCE_MAX)
                .cloned()
                .map(Evidence::Theirs)
                .collect(),
            notes: newest(told, now),
        };
        let message = if reads_types(&from, peers) {
            Message::PeerReply(reply)
        } else {
            Message::PeerWords(PeerWords::from(reply))
        };
        out.send(from, message);
    }

    /// A peer asks what we saw of another, and what became of its requests.
    fn on_witness_ask(&mut self, from: PeerId, ask: WitnessAsk, view: View<'_>, out: &mut Outbox) {
        let (peers, now) = (view.peers(), view.now());
        if !self.may_ask(from, now, out) {
            return;
        }
        let status = peers.links.status(&ask.about).filter(|_| peers.links.is_up(&ask.about));
        let (standing, since) = match (&status, self.gone.get(&ask.about)) {
            (Some(s), _) if s.info.path == Path::Relayed => (PeerLinkStatus::Relayed, Some(s.since)),
            (Some(s), _) => (PeerLinkStatus::Linked, Some(s.since)),
            (None, Some((at, Reason::Closed { close: Some(CloseCode::Leave) }))) => {
                (PeerLinkStatus::Left, Some(*at))
            }
            (None, Some((at, reason))) if is_silence(reason) => (PeerLinkStatus::Silent, Some(*at)),
            (None, Some((at, _))) => (PeerLinkStatus::Ended, Some(*at)),
            (None, None) => (PeerLinkStatus::Never, None),
        };
        let told = view.coordination.told(from, Some(ask.about));
        let told = told.map(|noted| (now.stamp_of(noted.at), noted.event())).collect();
        let reply = WitnessReply {
            query: ask.query,
            standing,
            since_s: since.map(|at| age_ms(now.stamp_of(at), now) / 1_000),
            // What is seen of a relayed peer is its relay's.
            seen_at: status.filter(|s| s.info.path.is_straight()).map(|s| s.info.remote),
            notes: newest(told, now),
        };
        let message = if reads_types(&from, peers) {
            Message::WitnessReply(reply)
        } else {
            Message::WitnessWords(WitnessWords::from(reply))
        };
        out.send(from, message);
    }

    /// The peer told its part.
    fn on_peer_reply(&mut self, from: PeerId, reply: PeerReply, view: View<'_>, out: &mut Outbox) {
        let now = view.now();
        let open = self.open.get_mut(&reply.query).filter(|o| o.peer == from && o.reply_awaited);
        let Some(open) = open else { return out.stopped(DropReason::AnswerToNoQuestion) };
        open.reply_awaited = false;
        open.theirs = Theirs::Told {
            measured: reply.measured_s.map(|s| now.stamp.before(Duration::from_secs(s.into()))),
            evidence: reply.evidence.into_iter().take(PeerReply::EVIDENCE_MAX).collect(),
            notes: heard(reply.notes, now),
        };
        self.answer_why(reply.query, view, out);
    }

    /// Somebody told what it saw.
    fn on_witness_reply(&mut self, from: PeerId, reply: WitnessReply, view: View<'_>, out: &mut Outbox) {
        let now = view.now();
        let open = self.open.get_mut(&reply.query);
        let told = open.and_then(|o| o.accounts.iter_mut().find(|t| t.who == from && t.account.is_none()));
        let Some(told) = told else { return out.stopped(DropReason::AnswerToNoQuestion) };
        told.account = Some(Seen {
            standing: reply.standing,
            since: reply.since_s.map(|s| now.stamp.before(Duration::from_secs(s.into()))),
            at: reply.seen_at.map(plain_addr),
            notes: heard(reply.notes, now),
        });
        self.answer_why(reply.query, view, out);
    }

    /// What came of knocking.
    pub(in crate::core) fn on_knocked(
        &mut self,
        query: u32,
        results: &[(SocketAddr, Heard)],
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let peers = view.peers();
        let knocked = self.open.get(&query).map(|open| open.knocked.clone()).unwrap_or_default();
        let mut natless: Vec<PeerId> = knocked.into_iter().map(|(_, of)| of).collect();
        natless.retain(|of| peers.claimed_nat(of) == NatType::None);
        let Some(open) = self.open.get_mut(&query) else { return };
        for (addr, heard) in results {
            let of = open.knocked.iter().find(|(at, _)| at == addr).map(|(_, of)| *of);
            open.knocks.extend(of.map(|of| {
                let own = natless.contains(&of);
                Knock { addr: *addr, of, own, heard: *heard }
            }));
        }
        if let Some((.., last)) = self.knocked.as_mut().filter(|(_, of, _)| *of == open.peer) {
            last.clone_from(&open.knocks);
        }
        self.answer_why(query, view, out);
    }

    /// Answers a question to which everybody has answered.
    fn answer_why(&mut self, query: u32, view: View<'_>, out: &mut Outbox) {
        if self.open.get(&query).is_some_and(Open::is_complete) {
            self.close_why(query, view, out);
        }
    }

    fn close_why(&mut self, query: u32, view: View<'_>, out: &mut Outbox) {
        let Some(open) = self.open.remove(&query) else { return };
        let done = self.explained(&open, view);
        out.answer(open.id, Ok(done));
    }

    /// What is due by now.
    pub(in crate::core) fn timeout(&mut self, view: View<'_>, out: &mut Outbox) {
        let now = view.now();
        let late: Vec<u32> =
            self.open.iter().filter(|(_, open)| open.until <= now.mono).map(|(q, _)| *q).collect();
        for query in late {
            self.close_why(query, view, out);
        }
        self.meters.retain(|_, bucket| !bucket.is_full(now.mono));
    }
}

/// Whether a peer can be asked something now.
fn can_ask(peer: &PeerId, peers: Peers<'_>) -> bool {
    peers.links.get(peer).is_some_and(|link| link.room() >= QUESTION)
}

fn age_ms(at: Stamp, now: Now) -> u32 {
    u32::try_from(at.age_at(now.stamp).as_millis()).unwrap_or(u32::MAX)
}

/// Whether a peer reads what happened as types; else it is told in sentences.
fn reads_types(peer: &PeerId, peers: Peers<'_>) -> bool {
    let version = peers.links.get(peer).and_then(Link::greeting).map(|greeting| greeting.version);
    version.is_some_and(|version| version >= TYPED_WHY_SINCE)
}

/// The newest of what is to be told, the oldest first.
fn newest(mut told: Vec<(Stamp, TraceEvent)>, now: Now) -> Vec<WhyNote> {
    told.sort_by_key(|(at, _)| *at);
    let skip = told.len().saturating_sub(PeerReply::NOTES_MAX);
    let note = |(at, what): (Stamp, TraceEvent)| WhyNote { age_ms: age_ms(at, now), what };
    told.into_iter().skip(skip).map(note).collect()
}

/// What was told, by our clock.
fn heard(notes: Vec<WhyNote>, now: Now) -> Vec<(Stamp, TraceEvent)> {
    let at = |note: &WhyNote| now.stamp.before(Duration::from_millis(note.age_ms.into()));
    notes.into_iter().take(PeerReply::NOTES_MAX).map(|note| (at(&note), note.what)).collect()
}
