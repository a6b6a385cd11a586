//! Who failed most in a span of time, and why: of the attempts that the node remembers and
//! of the events that the console has.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Go, Grade, Item};
use crate::core::ladder::decisive_reason;
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, EventKind, PeerId, Snapshot, StageOutcome, Stamp, printable,
};
use crate::tui::draw;
use crate::tui::entry::{Entry, Timeline};
use crate::tui::fmt;

/// The spans of time, shortest first.
pub(crate) const SPANS: [(&str, Duration); 3] = [
    ("10 min", Duration::from_secs(600)),
    ("1 h", Duration::from_secs(3_600)),
    ("24 h", Duration::from_secs(24 * 3_600)),
];

/// What it is made of.
pub(crate) struct Failed<'a> {
    pub(crate) shown: &'a Snapshot,
    pub(crate) events: &'a Timeline,
    pub(crate) now: Stamp,
    /// The number of the span.
    pub(crate) span: usize,
}

/// An attempt that reached nobody.
struct Failure {
    /// Towards whom, as far as that is known.
    whom: Whom,
    at: Stamp,
    why: String,
}

/// A peer; or an address that nobody answered at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Peer(PeerId),
    Addr(std::net::SocketAddr),
}

/// A row for each peer, who failed most first; and since when that is known.
pub(super) fn items(of: &Failed<'_>) -> (Vec<Item>, String) {
    let (name, length) = SPANS[of.span % SPANS.len()];
    let begin = of.now.before(length);
    let (failures, known_since) = failures(of);
    let mut by_peer: BTreeMap<Whom, Vec<Failure>> = BTreeMap::new();
    for failure in failures.into_iter().filter(|failure| failure.at >= begin) {
        by_peer.entry(failure.whom).or_default().push(failure);
    }
    let mut rows: Vec<(Whom, Vec<Failure>)> = by_peer.into_iter().collect();
    rows.sort_by_key(|(_, failures)| std::cmp::Reverse(failures.len()));
    let note = match known_since {
        Some(since) if since > begin => {
            format!("The console knows of {} back, not of {name}.", fmt::exactly(since.age_at(of.now)))
        }
        _ => String::new(),
    };
    (rows.iter().map(|(whom, failures)| item(of, *whom, failures)).collect(), note)
}

fn item(of: &Failed<'_>, whom: Whom, failures: &[Failure]) -> Item {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for failure in failures {
        *reasons.entry(&failure.why).or_default() += 1;
    }
    let mut reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let reasons: Vec<String> = reasons.iter().map(|(why, count)| format!("{count} × {why}")).collect();
    let last = failures.iter().map(|failure| failure.at).max().unwrap_or(of.now);
    let (key, called, go) = match whom {
        Whom::Peer(peer) => (peer.to_string(), draw::call(of.shown, peer), Go::Why(peer)),
        Whom::Addr(addr) => (addr.to_string(), addr.to_string(), Go::Nowhere),
    };
    let ago = fmt::age(last, of.now).text;
    let stands = match whom {
        Whom::Peer(peer) => of.shown.peer(&peer).map_or("not in the cache any more", |row| row.state.name()),
        Whom::Addr(_) => "nobody answered there",
    };
    Item {
        key,
        grade: Grade::Bad,
        text: format!("{called}: failed {}, the last time {ago} ago; now {stands}", times(failures.len())),
        next: reasons.join("; "),
        go,
    }
}

fn times(count: usize) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// Each failed attempt once, and since when they are known.
fn failures(of: &Failed<'_>) -> (Vec<Failure>, Option<Stamp>) {
    let mut found: BTreeMap<AttemptId, Failure> = BTreeMap::new();
    let mut reasons: BTreeMap<AttemptId, String> = BTreeMap::new();
    let mut since: Option<Stamp> = None;
    let mut note = |at: Stamp| since = Some(since.map_or(at, |known| known.min(at)));
    for entry in of.events.all() {
        let Entry::Event(event) = entry else { continue };
        note(event.at);
        match &event.kind {
            EventKind::StageEnded {
                attempt, outcome: StageOutcome::Failed, reason: Some(reason), ..
            } => {
                reasons.insert(*attempt, printable(&reason.to_string()));
            }
            EventKind::AttemptEnded { attempt, outcome: AttemptOutcome::Unreachable, .. } => {
                let Some(peer) = event.peer_id else { continue };
                let why = reasons.remove(attempt).unwrap_or_else(|| "no stage could be tried".to_owned());
                found.insert(*attempt, Failure { whom: Whom::Peer(peer), at: event.at, why });
            }
            _ => {}
        }
    }
    for attempt in &of.shown.attempts.recent {
        note(attempt.started);
        if let Some(failure) = of_attempt(attempt) {
            found.insert(attempt.id, failure);
        }
    }
    (found.into_values().filter(|failure| failure.at <= of.now).collect(), since)
}

fn of_attempt(attempt: &Attempt) -> Option<Failure> {
    if attempt.outcome != Some(AttemptOutcome::Unreachable) {
        return None;
    }
    let whom = attempt.peer_id.map(Whom::Peer).or(attempt.target.map(Whom::Addr))?;
    let at = attempt.started.after(Duration::from_millis(attempt.elapsed_ms.unwrap_or(0)));
    let why = decisive_reason(&attempt.stages)
        .map_or_else(|| "no stage could be tried".to_owned(), |reason| printable(&reason.to_string()));
    Some(Failure { whom, at, why })
}
