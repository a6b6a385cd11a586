//! Why a link is what it is: the story of all who took part, a verdict from what
//! was measured and said, and how sure that is.
//!
//! The outcome of an attempt alone never makes a verdict: where two causes fit
//! what is known, both are said, and what would tell them apart.

mod evidence;
mod part;
mod provenance;
mod punch;
#[cfg(test)]
mod tests;
mod trace;
mod unreached;
mod verdict;
mod view;

use std::net::SocketAddr;
use std::time::Duration;

pub(in crate::core) use part::WhyQueries;
pub use trace::{Dial, Trace};
pub(in crate::core) use view::View;

use super::ladder::NatPair;
use crate::model::{
    Attempt, Because, Confidence, Evidence, Help, Knock, NatView, NextAction, Path, PeerId, PeerLinkStatus,
    Reason, SendTrouble, StageKind, StageOutcome, Stamp, Sureness, TraceEvent, Verdict, Why, WhyFact,
    WhyLine, WhyNats,
};

/// What one end knows of it.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Who asks.
    pub me: PeerId,
    /// About whom.
    pub peer: PeerId,
    /// Now.
    pub now: Stamp,
    /// The name of our network.
    pub network: &'a str,
    /// The link, if it stands.
    pub link: Option<LinkFact>,
    /// The attempt of ours to which the link is owed, and what that did; none made a
    /// link that came in.
    pub made: Option<(&'a Attempt, &'a Trace)>,
    /// When and why our last link to it ended, if one did.
    pub gone: Option<(Stamp, Reason)>,
    /// Until when an operator, ours or its own, holds automatic dials off.
    pub held_off: Option<Stamp>,
    /// What this host does not let us do towards it, if that is so.
    pub no_way: Option<SendTrouble>,
    /// Where its identity is used twice, if it is.
    pub twice: Option<&'a [SocketAddr]>,
    /// The same of our own.
    pub we_twice: Option<&'a [SocketAddr]>,
    /// Our own NAT.
    pub nat: &'a NatView,
    /// What is measured of both ends.
    pub nat_pair: NatPair,
    /// Whether a port can be guessed where no punch gets through.
    pub guessable: bool,
    /// Whether the peer's NAT type is its own word.
    pub first_hand: bool,
    /// Where its record says that it is now.
    pub addresses: Vec<SocketAddr>,
    /// Whom its record names as linked to it, and we are not linked to.
    pub homes: Vec<PeerId>,
    /// When it was last seen, by anybody's word.
    pub seen: Option<Stamp>,
    /// The latest attempt of ours; of a link that stands, the latest since it does.
    pub attempt: Option<&'a Attempt>,
    /// What that did, step by step.
    pub trace: &'a Trace,
    /// The peer's half.
    pub theirs: Theirs,
    /// What others told who may have stood between.
    pub accounts: Vec<Told>,
    /// Hosts that were knocked at.
    pub knocks: Vec<Knock>,
    /// Links of ours that are up.
    pub links: usize,
    /// When links of ours fell silent that are not back.
    pub fell_silent: Vec<Stamp>,
    /// What is known of the peer, and where it is from.
    pub known: Vec<WhyFact>,
}

/// A link that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkFact {
    /// Its path.
    pub path: Path,
    /// Its relay.
    pub via: Option<PeerId>,
    /// Since when the connection in use carries it.
    pub since: Stamp,
    /// Whether we dialled that.
    pub ours: bool,
}

/// The other half.
#[derive(Debug, Clone, PartialEq)]
pub enum Theirs {
    /// There is no link to ask over.
    NotRequested,
    /// It did not answer.
    Silent,
    /// As it told it: when it measured its NAT, what it saw of it, and what it
    /// did.
    Told {
        /// When it measured its NAT.
        measured: Option<Stamp>,
        /// What it saw of it.
        evidence: Vec<Evidence>,
        /// What it did about us, and when.
        notes: Vec<(Stamp, TraceEvent)>,
    },
}

/// Somebody who was asked what it saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Who.
    pub who: PeerId,
    /// What it told; `None`: nothing.
    pub account: Option<Seen>,
}

/// What somebody else saw of the peer.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// How it stands with the peer.
    pub standing: PeerLinkStatus,
    /// Since when.
    pub since: Option<Stamp>,
    /// Where it sees it.
    pub at: Option<SocketAddr>,
    /// What became of our requests, and when.
    pub notes: Vec<(Stamp, TraceEvent)>,
}

/// What is concluded.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    verdict: Verdict,
    level: Sureness,
    because: Because,
    would_help: Vec<Help>,
    next: Vec<NextAction>,
}

impl Finding {
    /// Where nothing would help, and nothing can be done.
    fn new(verdict: Verdict, level: Sureness, because: Because) -> Self {
        Self { verdict, level, because, would_help: Vec::new(), next: Vec::new() }
    }

    fn helped_by(self, would_help: impl Into<Vec<Help>>) -> Self {
        Self { would_help: would_help.into(), ..self }
    }

    fn then(self, next: impl Into<Vec<NextAction>>) -> Self {
        Self { next: next.into(), ..self }
    }
}

/// What happened before the attempt by less than this belongs to it: the clocks
/// of others are known to a round trip.
const BEFORE: Duration = Duration::from_millis(500);

/// An attempt as notes: when, and what.
pub fn notes(attempt: &Attempt) -> Vec<(Stamp, TraceEvent)> {
    let mut notes = Vec::new();
    for report in &attempt.stages {
        let (stage, outcome, via, reason) = (report.stage, report.outcome, report.via, report.reason.clone());
        if outcome == StageOutcome::Skipped && report.elapsed_ms == Some(0) {
            notes.push((report.started, TraceEvent::StageSkipped { stage, reason }));
            continue;
        }
        notes.push((report.started, TraceEvent::StageBegan { stage, via }));
        if outcome != StageOutcome::Running {
            let took = Duration::from_millis(report.elapsed_ms.unwrap_or(0));
            let ended = TraceEvent::StageEnded { stage, outcome, reason, via };
            notes.push((report.started.after(took), ended));
        }
    }
    notes
}

/// Tells it.
pub fn explain(facts: &Facts<'_>) -> Why {
    let Finding { verdict, level, because, would_help, next } = verdict::find(facts);
    Why {
        peer_id: facts.peer,
        at: facts.now,
        path: facts.link.map(|link| link.path),
        verdict,
        nats: WhyNats { ours: facts.nat.nat_type, theirs: facts.nat_pair.theirs },
        confidence: Confidence { level, because },
        timeline: timeline(facts),
        evidence: evidence::all(facts),
        would_help,
        next,
        facts: facts.known.clone(),
    }
}

/// What all who took part did and saw, in the order in which it happened.
fn timeline(facts: &Facts<'_>) -> Vec<WhyLine> {
    let mut lines: Vec<(Stamp, u8, PeerId, TraceEvent)> = Vec::new();
    let latest = facts.attempt.map(|attempt| (attempt, facts.trace));
    // What made the link, and what was tried since.
    let made = facts.made.filter(|(made, _)| facts.attempt.is_none_or(|latest| latest.id != made.id));
    for (attempt, trace) in made.into_iter().chain(latest) {
        // A stage begins before what it does, and ends behind it.
        let rank = |what: &TraceEvent| if what.is_beginning() { 0 } else { 3 };
        lines.extend(notes(attempt).into_iter().map(|(at, what)| (at, rank(&what), facts.me, what)));
        lines.extend(trace.steps().iter().map(|step| (step.at, 1, facts.me, step.what.clone())));
    }
    if let Some(link) = facts.link {
        let up = TraceEvent::LinkUp { path: Some(link.path), ours: link.ours };
        lines.push((link.since, 4, facts.me, up));
    }
    let begun = made.map(|(a, _)| a.started).or(facts.attempt.map(|a| a.started));
    let begun = begun.into_iter().chain(facts.link.map(|link| link.since)).min();
    let belongs = |at: Stamp| begun.is_none_or(|begun| at.after(BEFORE) >= begun);
    let told = match &facts.theirs {
        Theirs::Told { notes, .. } => Some((facts.peer, notes)),
        _ => None,
    };
    let told = told.into_iter().chain(facts.told().map(|(who, seen)| (who, &seen.notes)));
    for (who, notes) in told {
        let notes = notes.iter().filter(|(at, _)| belongs(*at));
        lines.extend(notes.map(|(at, what)| (*at, 2, who, what.clone())));
    }
    lines.sort_by_key(|(at, rank, ..)| (*at, *rank));
    let begun = begun.or(lines.first().map(|(at, ..)| *at));
    let line = |(at, _, who, what): (Stamp, u8, PeerId, TraceEvent)| {
        let at_ms = begun.map_or(0, |begun| begun.age_at(at).as_millis());
        WhyLine { at_ms: u64::try_from(at_ms).unwrap_or(u64::MAX), who, what }
    };
    lines.into_iter().map(line).collect()
}

impl Facts<'_> {
    /// Why a stage did not bring the link.
    fn failed(&self, stage: StageKind) -> Option<&Reason> {
        let stages = &self.attempt?.stages;
        stages.iter().rev().find(|s| s.stage == stage).and_then(|s| s.reason.as_ref())
    }

    /// Who was asked what it saw, and told it.
    fn told(&self) -> impl Iterator<Item = (PeerId, &Seen)> {
        self.accounts.iter().filter_map(|told| Some((told.who, told.account.as_ref()?)))
    }
}
