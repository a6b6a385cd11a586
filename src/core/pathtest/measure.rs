//! What comes in, made into figures.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::Mono;
use crate::core::kpi::wilson;
use crate::model::{TestCount, TestRate, TestRtt, TestedPath};

/// Round trips that are kept: as many as the longest test has.
const TRIPS_MAX: usize = 4_096;
/// Datagrams of which the answer is waited for; whatever is older counts as lost.
const WAITING_MAX: usize = 1_024;
/// Of the time in which load arrived so much is left out at its beginning.
const WARMING: f64 = 0.5;
/// A rate over less time than this says nothing.
const RATE_OVER: Duration = Duration::from_millis(100);
/// Points of what arrived when.
const POINTS_MAX: usize = 4_096;
/// As much of the allowed rate means that the path may carry more.
const AT_LEAST: f64 = 0.9;

/// The quiet part: datagrams and their echoes, as the asker sees them.
#[derive(Debug, Default)]
pub(super) struct Trips {
    /// Datagrams that wait for their echo, and whether they count.
    waiting: VecDeque<(u32, Mono, bool)>,
    /// Numbers are given to all; those that count are the first ones.
    counted: u32,
    next: u32,
    /// What counted ones took, by number.
    samples: Vec<(u32, Duration)>,
    fastest: Option<Duration>,
    echoed: u32,
    /// The highest number of an echo, and echoes below it.
    highest: Option<u32>,
    overtaken: u32,
    /// The highest number of an echo, whether it counts or not.
    newest: Option<u32>,
}

impl Trips {
    /// One is sent; its number. `counts`: whether it belongs to the quiet part.
    pub(super) fn sent(&mut self, counts: bool, now: Mono) -> u32 {
        let number = self.next;
        self.next += 1;
        self.counted += u32::from(counts);
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((number, now, counts));
        number
    }

    /// Its echo came: how long that took. An echo that was not waited for is none.
    pub(super) fn echoed(&mut self, number: u32, now: Mono) -> Option<Duration> {
        let at = self.waiting.iter().position(|(waiting, ..)| *waiting == number)?;
        let (_, sent, counts) = self.waiting.remove(at)?;
        let took = now.since(sent);
        self.fastest = Some(self.fastest.map_or(took, |fastest| fastest.min(took)));
        self.newest = self.newest.max(Some(number));
        if !counts {
            return Some(took);
        }
        self.echoed += 1;
        if self.samples.len() < TRIPS_MAX {
            self.samples.push((number, took));
        }
        self.overtaken += u32::from(self.highest.is_some_and(|highest| number < highest));
        self.highest = self.highest.max(Some(number));
        Some(took)
    }

    /// The fastest round trip.
    pub(super) fn fastest(&self) -> Option<Duration> {
        self.fastest
    }

    fn rtt(&self) -> Option<TestRtt> {
        let mut sorted: Vec<Duration> = self.samples.iter().map(|(_, took)| *took).collect();
        sorted.sort_unstable();
        let of = |share: f64| {
            let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
            sorted.get(at).map(|took| took.as_secs_f64() * 1e3)
        };
        Some(TestRtt { min: of(0.0)?, p50: of(0.5)?, p95: of(0.95)? })
    }

    /// How much a round trip differs from that of the datagram before it.
    fn jitter(&self) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let next = sorted.windows(2).filter(|pair| pair[0].0 + 1 == pair[1].0);
        let (count, sum) = next.fold((0_u32, Duration::ZERO), |(count, sum), pair| {
            (count + 1, sum + pair[1].1.abs_diff(pair[0].1))
        });
        (count > 0).then(|| sum.as_secs_f64() * 1e3 / f64::from(count))
    }

    /// Puts its figures in. `came`: of the counted ones so many reached the other end,
    /// and so many after a later one, as it says.
    pub(super) fn show(&self, came: u32, reordered: u32, shown: &mut TestedPath) {
        shown.rtt = self.rtt();
        shown.jitter_ms = self.jitter();
        let Some(newest) = self.newest else { return };
        // What was sent after the newest that came back is under way, and nobody's loss.
        let sent = (newest + 1).min(self.counted);
        let came = came.min(sent).max(self.echoed);
        shown.up = TestCount { sent, lost: sent - came, reordered };
        shown.down = TestCount { sent: came, lost: came - self.echoed, reordered: self.overtaken };
        let (lost, sent) = shown.lost_of();
        shown.loss_interval = wilson(lost.min(sent).into(), sent.into());
    }
}

/// Load of one direction, as it arrives.
#[derive(Debug, Default)]
pub(super) struct Meter {
    points: Vec<(Mono, u64)>,
}

impl Meter {
    /// So much has arrived, by the clock of the end where it did.
    pub(super) fn at(&mut self, when: Mono, total: u64) {
        let (last, before) = self.points.last().copied().unwrap_or_default();
        if total > before && when >= last && self.points.len() < POINTS_MAX {
            self.points.push((when, total));
        }
    }

    /// The rate once it was under way. `allowed`: bytes per second that were.
    pub(super) fn rate(&self, allowed: u32) -> Option<TestRate> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        let warm = first.0 + last.0.since(first.0).mul_f64(WARMING);
        let since = self.points.iter().find(|(at, _)| *at >= warm)?;
        let over = last.0.since(since.0);
        let rate = (last.1 - since.1) as f64 / over.as_secs_f64();
        (over >= RATE_OVER)
            .then(|| TestRate { mbit: rate * 8.0 / 1e6, at_least: rate >= f64::from(allowed) * AT_LEAST })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Path;

    fn at(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }

    fn shown(trips: &Trips, came: u32, reordered: u32) -> TestedPath {
        let mut shown = TestedPath::waiting(Path::Direct, None, true);
        trips.show(came, reordered, &mut shown);
        shown
    }

    #[test]
    fn of_round_trips_the_fastest_half_and_nineteen_of_twenty_are_told_and_how_they_differ() {
        let mut trips = Trips::default();
        for n in 0..20 {
            let number = trips.sent(true, at(n * 10));
            // 20 ms, every second one 24 ms.
            assert!(trips.echoed(number, at(n * 10 + 20 + 4 * (n % 2))).is_some());
        }
        let test = shown(&trips, 20, 0);
        assert_eq!(test.rtt, Some(TestRtt { min: 20.0, p50: 20.0, p95: 24.0 }));
        assert_eq!(test.jitter_ms, Some(4.0));
        assert_eq!((test.loss(), trips.fastest()), (Some(0.0), Some(Duration::from_millis(20))));
    }

    #[test]
    fn losses_of_both_directions_are_told_apart() {
        let mut trips = Trips::default();
        let numbers: Vec<u32> = (0..100).map(|n| trips.sent(true, at(n * 10))).collect();
        // Ten never reach the other end; of its 90 echoes five get lost.
        for number in numbers.iter().skip(10).take(85) {
            trips.echoed(*number, at(2_000));
        }
        let later = trips.sent(false, at(2_000));
        trips.echoed(later, at(2_010));
        let test = shown(&trips, 90, 0);
        assert_eq!((test.up.sent, test.up.lost), (100, 10));
        assert_eq!((test.down.sent, test.down.lost), (90, 5));
        assert_eq!(test.loss(), Some(15.0 / 190.0));
        let interval = test.loss_interval.unwrap();
        assert!(interval.lo < 0.079 && interval.hi > 0.079, "{interval:?}");
    }

    #[test]
    fn what_came_after_a_later_one_is_counted_in_both_directions() {
        let mut trips = Trips::default();
        let numbers: Vec<u32> = (0..4).map(|n| trips.sent(true, at(n * 10))).collect();
        for at_place in [1, 0, 3, 2] {
            trips.echoed(numbers[at_place], at(100));
        }
        let test = shown(&trips, 4, 1);
        assert_eq!((test.up.reordered, test.down.reordered, test.reordered()), (1, 2, 3));
        assert_eq!(test.loss(), Some(0.0), "late is not lost");
    }

    #[test]
    fn an_echo_counts_once_and_one_that_nobody_asked_for_not_at_all() {
        let mut trips = Trips::default();
        let number = trips.sent(true, at(0));
        assert!(trips.echoed(number, at(5)).is_some());
        assert!(trips.echoed(number, at(6)).is_none());
        assert!(trips.echoed(77, at(6)).is_none());
        assert_eq!(shown(&trips, 900, 0).up, TestCount { sent: 1, lost: 0, reordered: 0 });
    }

    #[test]
    fn while_datagrams_are_under_way_they_are_not_lost() {
        let mut trips = Trips::default();
        let numbers: Vec<u32> = (0..10).map(|n| trips.sent(true, at(n * 10))).collect();
        for number in &numbers[..5] {
            trips.echoed(*number, at(50));
        }
        assert_eq!(shown(&trips, 5, 0).loss(), Some(0.0));
    }

    #[test]
    fn a_rate_leaves_its_beginning_out_and_ends_with_the_last_byte() {
        let mut meter = Meter::default();
        for n in 1..=300_u64 {
            // The first third at a tenth of what comes then.
            let total = if n <= 100 { n * 1_000 } else { 100_000 + (n - 100) * 10_000 };
            meter.at(at(n * 10), total);
        }
        meter.at(at(9_000), 2_100_000);
        let rate = meter.rate(10_000_000).unwrap();
        assert!((rate.mbit - 8.0).abs() < 0.1 && !rate.at_least, "{rate:?}");
        assert!(meter.rate(1_050_000).unwrap().at_least);
        assert_eq!(Meter::default().rate(1), None, "nothing came");
    }
}
