//! What is counted of attempts, and how it is judged. The one place where it is
//! defined: the node's own figures, the control socket's and the registry's all
//! come from here.
//!
//! - An attempt counts once, for its dialler, when it ended connected or
//!   unreachable; one that was called off counts nowhere, nor does one that only
//!   tried to better a link that stands, nor one that asked and dialled nobody
//!   because every stage was skipped.
//! - Connectivity counts a peer that is not reached once, however often that is tried
//!   again: retries until a link stands are one span. What the specification's rates
//!   are per attempt stands beside it.
//! - Its path is that of its first usable link, its time the time until then. A
//!   link that leaves its relay later is counted as relayed and as moved.
//! - Rates of paths are out of what connected, so they add up to one.
//! - Propagation counts, over all links, how many of our records older than 10 s
//!   stood in the peer's last digest.

mod history;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

pub use history::{EndedAttempt, HISTORY_MAX, History};
pub use series::Series;

use crate::core::Now;
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Criterion, CriterionView, Interval, KpiAnswer, KpiSeries, KpiView,
    Moved, Path, PeerId, Propagation, Unit,
};

/// Below that many observations a rate says little: with 29 of 29 the interval
/// still reaches down to 88 %.
pub const FEW: u64 = 30;
/// Peers and addresses of which it is remembered that they were not reached: as many
/// as there are in the cache.
const UNREACHED_MAX: usize = 16_384;
/// The normal quantile of a 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// The Wilson score interval of a rate at 95 %; `None` without observations.
pub fn wilson(successes: u64, n: u64) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let (n, p) = (n as f64, successes as f64 / n as f64);
    let z2 = Z * Z;
    let centre = p + z2 / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let norm = 1.0 + z2 / n;
    Some(Interval {
        lo: ((centre - spread) / norm).clamp(0.0, 1.0),
        hi: ((centre + spread) / norm).clamp(0.0, 1.0),
    })
}

/// Counts how attempts ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    direct: u64,
    punched: u64,
    relayed: u64,
    unreachable: u64,
    /// How many of those only tried again what had just failed.
    again: u64,
    moved: Moved,
    total_ms: u64,
    /// How many took so many milliseconds. A ladder ends within a minute, so
    /// this stays small however many there are.
    times: BTreeMap<u64, u64>,
}

impl Tally {
    /// So many attempts connected over that path, each after that time.
    pub fn connected(&mut self, path: Path, ms: u64, count: u64) {
        match path {
            Path::Direct => self.direct += count,
            Path::Punched => self.punched += count,
            Path::Relayed => self.relayed += count,
        }
        self.total_ms = self.total_ms.saturating_add(ms.saturating_mul(count));
        *self.times.entry(ms).or_default() += count;
    }

    /// So many attempts found no way. `again`: they tried a peer again that had not been
    /// reached just before.
    pub fn unreachable(&mut self, count: u64, again: bool) {
        self.unreachable += count;
        self.again += if again { count } else { 0 };
    }

    /// So many links that attempts made relayed have moved to that path.
    pub fn moved(&mut self, to: Path, count: u64) {
        match to {
            Path::Direct => self.moved.direct += count,
            Path::Punched => self.moved.punched += count,
            Path::Relayed => {}
        }
    }

    /// Everything that another one counted, too.
    pub fn add(&mut self, other: &Tally) {
        self.direct += other.direct;
        self.punched += other.punched;
        self.relayed += other.relayed;
        self.unreachable += other.unreachable;
        self.again += other.again;
        self.moved.direct += other.moved.direct;
        self.moved.punched += other.moved.punched;
        self.total_ms = self.total_ms.saturating_add(other.total_ms);
        for (ms, count) in &other.times {
            *self.times.entry(*ms).or_default() += count;
        }
    }

    /// As it is shown; who counted since when, the tally does not know.
    pub fn view(&self) -> KpiView {
        let connected = self.direct + self.punched + self.relayed;
        let attempts = connected + self.unreachable;
        let unreached = self.unreachable - self.again;
        KpiView {
            attempts,
            connected,
            rate: quotient(connected, attempts),
            interval: wilson(connected, attempts),
            direct: self.direct,
            punched: self.punched,
            relayed: self.relayed,
            unreachable: self.unreachable,
            unreached,
            moved: self.moved,
            mean_connect_ms: quotient(self.total_ms, connected),
            p50_ms: self.percentile(0.50),
            p95_ms: self.percentile(0.95),
            since: None,
            series: Arc::default(),
        }
    }

    /// The nearest-rank percentile of the times.
    fn percentile(&self, p: f64) -> Option<f64> {
        let n: u64 = self.times.values().sum();
        let rank = ((p * n as f64).ceil() as u64).max(1);
        let mut below = 0;
        self.times.iter().find_map(|(ms, count)| {
            below += count;
            (below >= rank).then_some(*ms as f64)
        })
    }
}

/// `None` where nothing is divided by.
fn quotient(a: u64, b: u64) -> Option<f64> {
    (b > 0).then(|| a as f64 / b as f64)
}

/// Counts a node's own attempts as they end: the last [`HISTORY_MAX`].
#[derive(Debug)]
pub struct Kpi {
    tally: Tally,
    history: History,
    /// The history over time, as of its last change.
    series: Arc<Vec<KpiSeries>>,
    /// The number of the oldest attempt in the history.
    first: u64,
    /// Whether the history is another one than on disk.
    unsaved: bool,
    /// Whose link an attempt of ours made relayed, and it has not moved yet; with
    /// the attempt's number.
    relayed: BTreeMap<PeerId, (AttemptId, u64)>,
    /// Whom the last attempt did not reach, and nobody since.
    unreached: BTreeSet<Whom>,
}

/// Whom an attempt is about; a bootstrap address has no identity until it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Peer(PeerId),
    At(SocketAddr),
}

impl Kpi {
    /// Goes on with what was counted before.
    pub fn new(history: History) -> Self {
        let history = history.bounded();
        let mut tally = Tally::default();
        history.attempts.iter().for_each(|ended| tally.count(ended));
        let newest = history.attempts.back().map_or(history.since, |ended| ended.at);
        let series = Arc::new(series::of_history(&history.attempts, newest));
        let (relayed, unreached) = (BTreeMap::new(), BTreeSet::new());
        Self { tally, history, series, first: 0, unsaved: false, relayed, unreached }
    }

    /// Takes an ended attempt. Gives what counts of it, if it does.
    pub fn record(&mut self, attempt: &Attempt, now: Now) -> Option<EndedAttempt> {
        let path = match (attempt.outcome, attempt.path) {
            (Some(AttemptOutcome::Connected), Some(path)) => Some(path),
            (Some(AttemptOutcome::Unreachable), _) => None,
            _ => return None,
        };
        let outcome = if path.is_some() { AttemptOutcome::Connected } else { AttemptOutcome::Unreachable };
        let elapsed_ms = attempt.elapsed_ms.unwrap_or(0);
        let whom = attempt.peer_id.map(Whom::Peer).or(attempt.target.map(Whom::At));
        let again = whom.is_some_and(|whom| self.tries_again(whom, path.is_some()));
        let ended = EndedAttempt { at: now.stamp, outcome, path, elapsed_ms, moved: None, again };
        let number = self.first + self.history.attempts.len() as u64;
        self.tally.count(&ended);
        if let Some(displaced) = self.history.push(ended) {
            self.tally.discount(&displaced);
            self.first += 1;
        }
        self.unsaved = true;
        self.series = Arc::new(series::of_history(&self.history.attempts, now.stamp));
        if let (Some(path), Some(peer)) = (path, attempt.peer_id) {
            self.relayed.remove(&peer);
            if path == Path::Relayed {
                self.relayed.insert(peer, (attempt.id, number));
            }
        }
        Some(ended)
    }

    /// Whether an attempt that reached nobody goes on with a span in which nobody was
    /// reached. One that did ends it.
    fn tries_again(&mut self, whom: Whom, reached: bool) -> bool {
        if reached {
            self.unreached.remove(&whom);
            return false;
        }
        if self.unreached.len() >= UNREACHED_MAX {
            self.unreached.pop_first();
        }
        !self.unreached.insert(whom)
    }

    /// A link to a peer stands, whoever made it: if it is lost, that is another span.
    pub fn reached(&mut self, peer: &PeerId) {
        self.unreached.remove(&Whom::Peer(*peer));
    }

    /// A link moved to another path. Gives the attempt of ours that it takes off
    /// the relay, if it does.
    pub fn moved(&mut self, peer: &PeerId, to: Path) -> Option<AttemptId> {
        if to == Path::Relayed {
            return None;
        }
        let (attempt, number) = self.relayed.remove(peer)?;
        // It may be so long ago that it counts no more.
        let place = number.checked_sub(self.first).and_then(|n| usize::try_from(n).ok());
        if let Some(ended) = place.and_then(|n| self.history.attempts.get_mut(n)) {
            ended.moved = Some(to);
            self.tally.moved(to, 1);
            self.unsaved = true;
        }
        Some(attempt)
    }

    /// What is to be written, if it is another one than was taken last.
    pub fn take_unsaved(&mut self) -> Option<History> {
        std::mem::take(&mut self.unsaved).then(|| self.history.clone())
    }

    /// What was taken last did not get to the disk.
    pub fn not_saved(&mut self) {
        self.unsaved = true;
    }

    /// A link is gone: what comes next is another one.
    pub fn gone(&mut self, peer: &PeerId) {
        self.relayed.remove(peer);
    }

    /// As it is shown.
    pub fn view(&self) -> KpiView {
        KpiView { since: Some(self.history.since), series: Arc::clone(&self.series), ..self.tally.view() }
    }
}

/// On which side of a number a value should be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    AtLeast(f64),
    Below(f64),
}

impl Criterion {
    /// Every criterion.
    pub const ALL: [Self; 6] = [
        Self::Connectivity,
        Self::Direct,
        Self::Punched,
        Self::Relayed,
        Self::ConnectTime,
        Self::Propagation,
    ];

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Connectivity => "Connectivity",
            Self::Direct => "Direct",
            Self::Punched => "Hole-punched",
            Self::Relayed => "Relayed",
            Self::ConnectTime => "Mean time to connect",
            Self::Propagation => "Cache propagation",
        }
    }

    /// What is divided by what.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Connectivity => {
                "attempts that connected, out of those and the spans in which a peer was not reached, \
                 however often it was tried in one"
            }
            Self::Direct => "attempts whose first usable link was direct, out of those that connected",
            Self::Punched => "attempts whose first usable link was punched, out of those that connected",
            Self::Relayed => "attempts whose first usable link was relayed, out of those that connected",
            Self::ConnectTime => "time until the first usable link, summed over attempts that connected",
            Self::Propagation => {
                "records older than 10 s in the last digests of linked peers, out of those that could be"
            }
        }
    }

    /// The target in words.
    pub fn target(self) -> &'static str {
        match self {
            Self::Connectivity => "99 % or more",
            Self::Direct => "60 % or more",
            Self::Punched => "35 % or more",
            Self::Relayed => "under 5 %",
            Self::ConnectTime => "under 5 s",
            Self::Propagation => "100 %",
        }
    }

    fn bound(self) -> Target {
        match self {
            Self::Connectivity => Target::AtLeast(0.99),
            Self::Direct => Target::AtLeast(0.60),
            Self::Punched => Target::AtLeast(0.35),
            Self::Relayed => Target::Below(0.05),
            Self::ConnectTime => Target::Below(5_000.0),
            Self::Propagation => Target::AtLeast(1.0),
        }
    }

    /// Numerator and denominator.
    fn parts(self, kpi: &KpiView, spread: Option<Propagation>) -> (u64, u64) {
        let spread = spread.unwrap_or_default();
        match self {
            Self::Connectivity => (kpi.connected, kpi.connected + kpi.unreached),
            Self::Direct => (kpi.direct, kpi.connected),
            Self::Punched => (kpi.punched, kpi.connected),
            Self::Relayed => (kpi.relayed, kpi.connected),
            Self::ConnectTime => {
                let total = kpi.mean_connect_ms.unwrap_or(0.0) * kpi.connected as f64;
                (total.round() as u64, kpi.connected)
            }
            Self::Propagation => (spread.known, spread.expected),
        }
    }

    /// What was measured of it, against its target.
    pub fn judge(self, kpi: &KpiView, spread: Option<Propagation>) -> CriterionView {
        let (numerator, denominator) = self.parts(kpi, spread);
        let value = quotient(numerator, denominator);
        let is_time = self == Self::ConnectTime;
        let (target_value, met) = match self.bound() {
            Target::AtLeast(bound) => (bound, value.map(|v| v >= bound)),
            Target::Below(bound) => (bound, value.map(|v| v < bound)),
        };
        CriterionView {
            name: self,
            title: self.title(),
            definition: self.definition(),
            numerator,
            denominator,
            value,
            unit: if is_time { Unit::Ms } else { Unit::Ratio },
            interval: wilson(numerator.min(denominator), denominator)
                .filter(|_| !is_time)
                .map(|i| [i.lo, i.hi]),
            target: self.target(),
            target_value,
            met,
            n_too_small: denominator < FEW,
        }
    }
}

/// The fields of `ctl kpi` and of `/api/v1/kpi`.
pub fn answer(kpi: &KpiView, propagation: Option<Propagation>) -> KpiAnswer {
    let propagation = propagation.filter(|p| p.expected > 0);
    KpiAnswer {
        attempts: kpi.attempts,
        connected: kpi.connected,
        rate: kpi.rate,
        interval: kpi.interval.map(|i| [i.lo, i.hi]),
        direct: kpi.direct,
        punched: kpi.punched,
        relayed: kpi.relayed,
        unreachable: kpi.unreachable,
        unreached: kpi.unreached,
        moved: kpi.moved,
        mean_connect_ms: kpi.mean_connect_ms,
        p50_ms: kpi.p50_ms,
        p95_ms: kpi.p95_ms,
        propagation,
        criteria: Criterion::ALL.map(|c| c.judge(kpi, propagation)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, Stamp};

    fn attempt(outcome: AttemptOutcome, path: Option<Path>, ms: u64) -> Attempt {
        Attempt {
            id: AttemptId(1),
            peer_id: None,
            target: None,
            cause: Cause::Operator,
            started: Stamp(0),
            outcome: Some(outcome),
            path,
            elapsed_ms: Some(ms),
            stages: Vec::new(),
            next: None,
        }
    }

    fn at(ms: u64) -> Now {
        Now::START.plus(std::time::Duration::from_millis(ms))
    }

    fn new() -> Kpi {
        Kpi::new(History::new(Now::START.stamp))
    }

    #[test]
    fn before_the_first_attempt_nothing_is_known() {
        let view = new().view();
        assert_eq!((view.attempts, view.rate, view.interval, view.p50_ms), (0, None, None, None));
    }

    #[test]
    fn attempts_that_were_called_off_count_nowhere() {
        let mut kpi = new();
        kpi.record(&attempt(AttemptOutcome::Abandoned, Some(Path::Direct), 5), at(0));
        assert_eq!(kpi.view().attempts, 0);
    }

    #[test]
    fn rates_paths_and_times_add_up() {
        let mut kpi = new();
        for ms in 1..=40 {
            kpi.record(&attempt(AttemptOutcome::Connected, Some(Path::Direct), ms), at(0));
        }
        kpi.record(&attempt(AttemptOutcome::Connected, Some(Path::Punched), 1000), at(0));
        kpi.record(&attempt(AttemptOutcome::Unreachable, None, 30_000), at(0));
        let view = kpi.view();
        assert_eq!((view.attempts, view.connected, view.direct, view.punched), (42, 41, 40, 1));
        assert_eq!((view.p50_ms, view.p95_ms), (Some(21.0), Some(39.0)));
        assert_eq!(view.mean_connect_ms, Some((820.0 + 1000.0) / 41.0));
        // The figures of the screen sketch.
        let interval = view.interval.unwrap();
        assert!((interval.lo - 0.877).abs() < 5e-4 && (interval.hi - 0.996).abs() < 5e-4, "{interval:?}");
    }

    #[test]
    fn a_peer_that_is_down_is_one_span_however_often_it_is_tried() {
        let of =
            |n: u8, outcome, path| Attempt { peer_id: Some(PeerId([n; 32])), ..attempt(outcome, path, 9) };
        let mut kpi = new();
        for _ in 0..23 {
            kpi.record(&of(1, AttemptOutcome::Unreachable, None), at(0));
        }
        kpi.record(&of(2, AttemptOutcome::Unreachable, None), at(0));
        kpi.record(&of(1, AttemptOutcome::Connected, Some(Path::Direct)), at(1));
        let view = kpi.view();
        assert_eq!((view.attempts, view.connected, view.unreachable, view.unreached), (25, 1, 24, 2));
        let judged = Criterion::Connectivity.judge(&view, None);
        assert_eq!((judged.numerator, judged.denominator), (1, 3), "two spans and a link");
        // What comes after a link is another span, whoever made the link.
        kpi.record(&of(1, AttemptOutcome::Unreachable, None), at(2));
        kpi.reached(&PeerId([1; 32]));
        kpi.record(&of(1, AttemptOutcome::Unreachable, None), at(3));
        kpi.record(&of(1, AttemptOutcome::Unreachable, None), at(4));
        assert_eq!(kpi.view().unreached, 4);
        assert_eq!(Kpi::new(kpi.take_unsaved().unwrap()).view().unreached, 4, "over a restart");
    }

    #[test]
    fn a_link_that_leaves_its_relay_counts_as_relayed_and_as_moved_once() {
        let peer = PeerId([7; 32]);
        let mut kpi = new();
        kpi.moved(&peer, Path::Direct);
        assert_eq!(kpi.view().moved, Moved::default(), "not by an attempt of ours");
        let relayed =
            Attempt { peer_id: Some(peer), ..attempt(AttemptOutcome::Connected, Some(Path::Relayed), 900) };
        kpi.record(&relayed, at(0));
        kpi.moved(&peer, Path::Relayed);
        kpi.moved(&peer, Path::Punched);
        kpi.moved(&peer, Path::Direct);
        let view = kpi.view();
        assert_eq!((view.relayed, view.punched), (1, 0));
        assert_eq!(view.moved, Moved { direct: 0, punched: 1 });
        kpi.record(&relayed, at(0));
        kpi.gone(&peer);
        kpi.moved(&peer, Path::Direct);
        assert_eq!(kpi.view().moved, Moved { direct: 0, punched: 1 }, "another link than that one");
    }

    #[test]
    fn tallies_add_up_to_what_one_would_have_counted() {
        let (mut a, mut b, mut both) = (Tally::default(), Tally::default(), Tally::default());
        for (tally, path, ms) in [(&mut a, Path::Direct, 3), (&mut b, Path::Relayed, 1000)] {
            tally.connected(path, ms, 2);
            tally.unreachable(1, false);
            tally.moved(Path::Punched, 1);
            both.connected(path, ms, 2);
            both.unreachable(1, false);
            both.moved(Path::Punched, 1);
        }
        a.add(&b);
        assert_eq!(a, both);
        assert_eq!((a.view().p50_ms, a.view().p95_ms), (Some(3.0), Some(1000.0)));
    }

    #[test]
    fn the_six_criteria_are_those_of_the_specification() {
        let mut tally = Tally::default();
        tally.connected(Path::Direct, 10, 60);
        tally.connected(Path::Punched, 100, 35);
        tally.connected(Path::Relayed, 1000, 4);
        tally.unreachable(1, false);
        let answer = answer(&tally.view(), Some(Propagation { known: 56, expected: 56 }));
        let parts: Vec<_> = answer.criteria.iter().map(|c| (c.name, c.numerator, c.denominator)).collect();
        assert_eq!(
            parts,
            [
                (Criterion::Connectivity, 99, 100),
                (Criterion::Direct, 60, 99),
                (Criterion::Punched, 35, 99),
                (Criterion::Relayed, 4, 99),
                (Criterion::ConnectTime, 8100, 99),
                (Criterion::Propagation, 56, 56),
            ]
        );
        assert!(answer.criteria.iter().all(|c| c.met == Some(true) && !c.n_too_small), "{answer:?}");
        assert_eq!(answer.criteria[4].interval, None, "a mean has no Wilson interval");
        assert_eq!(answer.criteria[0].interval, answer.interval);

        tally.unreachable(1, false);
        tally.connected(Path::Relayed, 1_000_000, 2);
        let answer = super::answer(&tally.view(), Some(Propagation { known: 55, expected: 56 }));
        let met: Vec<_> = answer.criteria.iter().map(|c| c.met).collect();
        assert_eq!(met, [false, false, false, false, false, false].map(Some));
    }

    #[test]
    fn without_attempts_no_criterion_is_met_or_missed() {
        let answer = answer(&KpiView::default(), Some(Propagation::default()));
        assert_eq!((answer.rate, answer.propagation), (None, None));
        assert!(answer.criteria.iter().all(|c| c.value.is_none() && c.met.is_none() && c.n_too_small));
    }

    #[test]
    fn under_thirty_observations_the_value_stands_and_is_called_too_few() {
        let mut tally = Tally::default();
        tally.connected(Path::Direct, 10, FEW - 1);
        let few = Criterion::Connectivity.judge(&tally.view(), None);
        assert!(few.n_too_small && few.met == Some(true) && few.value == Some(1.0));
        tally.connected(Path::Direct, 10, 1);
        assert!(!Criterion::Connectivity.judge(&tally.view(), None).n_too_small);
    }

    #[test]
    fn an_interval_stays_between_nothing_and_everything() {
        let all = wilson(5, 5).unwrap();
        assert!(all.lo > 0.5 && all.lo < 0.6 && all.hi <= 1.0);
        let none = wilson(0, 5).unwrap();
        assert!(none.lo >= 0.0 && none.hi < 0.5);
    }

    #[test]
    fn the_figures_are_the_same_after_a_restart() {
        let mut kpi = new();
        let peer = PeerId([7; 32]);
        for (n, path) in [(1, Path::Direct), (2, Path::Punched), (3, Path::Relayed)] {
            let attempt = attempt(AttemptOutcome::Connected, Some(path), n * 100);
            kpi.record(&Attempt { peer_id: Some(peer), ..attempt }, at(n));
        }
        kpi.moved(&peer, Path::Punched);
        kpi.record(&attempt(AttemptOutcome::Unreachable, None, 30_000), at(9));
        let saved = kpi.take_unsaved().unwrap();
        assert!(kpi.take_unsaved().is_none(), "nothing is new");
        let json = serde_json::to_string(&saved).unwrap();
        let again = Kpi::new(serde_json::from_str(&json).unwrap());
        assert_eq!(again.view(), kpi.view());
        assert_eq!((again.view().attempts, again.view().moved.punched), (4, 1));
        assert_eq!(again.view().since, Some(Now::START.stamp));
    }

    #[test]
    fn the_figures_count_the_last_4096_attempts_and_say_since_when() {
        let mut kpi = new();
        let peer = PeerId([7; 32]);
        let relayed = attempt(AttemptOutcome::Connected, Some(Path::Relayed), 9_000);
        kpi.record(&Attempt { peer_id: Some(peer), ..relayed }, at(1));
        kpi.record(&attempt(AttemptOutcome::Unreachable, None, 30_000), at(2));
        for n in 0..HISTORY_MAX as u64 {
            kpi.record(&attempt(AttemptOutcome::Connected, Some(Path::Direct), 5), at(10 + n));
        }
        let view = kpi.view();
        assert_eq!((view.attempts, view.direct, view.relayed, view.unreachable), (4096, 4096, 0, 0));
        assert_eq!((view.mean_connect_ms, view.p95_ms), (Some(5.0), Some(5.0)));
        assert_eq!(view.since, Some(at(10).stamp));
        assert!(kpi.moved(&peer, Path::Direct).is_some(), "the registry may still count it");
        assert_eq!(kpi.view().moved, Moved::default(), "we do not any more");
    }

    #[test]
    fn a_history_with_more_than_there_can_be_is_cut_and_what_counts_nowhere_left_out() {
        let direct = |ms| EndedAttempt {
            at: at(ms).stamp,
            outcome: AttemptOutcome::Connected,
            path: Some(Path::Direct),
            elapsed_ms: 5,
            moved: None,
            again: false,
        };
        let mut history = History::new(Now::START.stamp);
        history.attempts.extend((0..5000).map(direct));
        history.attempts.push_back(EndedAttempt { path: None, ..direct(5000) });
        history.attempts.push_back(EndedAttempt { outcome: AttemptOutcome::Abandoned, ..direct(5001) });
        let view = Kpi::new(history).view();
        assert_eq!((view.attempts, view.direct), (4096, 4096));
        assert_eq!(view.since, Some(at(5000 - 4096).stamp));
    }
}
