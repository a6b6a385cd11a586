//! Steps over and over, and what the process has grown by.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::arena::Arena;
use super::runner::{Runner, Stop};
use super::step::{Step, describe};
use super::tried::moment;

/// What a soak measures besides its steps.
pub(super) const MEASURED: [&str; 5] = ["rounds", "rss_mib", "rss_growth_mib", "fds", "fds_growth"];

/// What this process, with all nodes that are not processes of their own, has.
#[derive(Debug, Clone, Copy)]
struct Usage {
    rss_mib: f64,
    fds: f64,
}

impl Usage {
    /// `None` where the system does not tell.
    fn now() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
        let kib: f64 = rss.split_whitespace().next()?.parse().ok()?;
        let fds = std::fs::read_dir("/proc/self/fd").ok()?.count();
        Some(Self { rss_mib: kib / 1024.0, fds: fds as f64 })
    }
}

pub(super) async fn run<A: Arena>(
    runner: &mut Runner<'_, A>,
    time: Duration,
    steps: &[Step],
) -> Result<(), Stop> {
    let begun = Instant::now();
    let before = std::mem::take(&mut runner.measured);
    let mut worst = BTreeMap::new();
    let mut warm = None;
    let mut rounds = 0_u32;
    // One round to warm up, and one to compare it with at least.
    while rounds < 2 || begun.elapsed() < time {
        rounds += 1;
        let (gone, of) = (begun.elapsed().as_secs(), time.as_secs());
        runner.tell(format!("round {rounds}, {gone} of {of} s"), None);
        let mut by = BTreeMap::new();
        for step in steps {
            Box::pin(runner.step(step)).await?;
            for name in runner.measured.keys() {
                by.entry(name.clone()).or_insert_with(|| describe(step));
            }
        }
        if let Some(journal) = &runner.journal {
            journal.round(moment(), rounds, &runner.measured, Usage::now().map(|u| u.rss_mib));
        }
        for (name, value) in std::mem::take(&mut runner.measured) {
            let by = by.remove(&name).unwrap_or_default();
            keep_worst(&mut worst, name, Worst { value, round: rounds, by });
        }
        runner.tried.collect(&runner.arena.members());
        if rounds == 1 {
            warm = Usage::now();
        }
    }
    runner.measured = before;
    for (name, Worst { value, round, by }) in worst {
        runner.told.push(format!("worst {name}: {value:.1}, in round {round} of {rounds}, {by}"));
        runner.measured.insert(name, value);
    }
    runner.measured.insert("rounds".into(), rounds.into());
    if let Some((warm, end)) = warm.zip(Usage::now()) {
        let figures = [
            ("rss_mib", end.rss_mib),
            ("rss_growth_mib", end.rss_mib - warm.rss_mib),
            ("fds", end.fds),
            ("fds_growth", end.fds - warm.fds),
        ];
        runner.measured.extend(figures.map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(())
}

/// The worst value of all rounds.
#[derive(Debug, Clone, PartialEq)]
struct Worst {
    value: f64,
    /// In which round it was measured, from 1.
    round: u32,
    /// By which step, with its nodes.
    by: String,
}

/// The longest of times, the least of shares.
fn keep_worst(worst: &mut BTreeMap<String, Worst>, name: String, new: Worst) {
    let time = name.ends_with("_ms");
    let is_worse = |kept: &Worst| if time { new.value > kept.value } else { new.value < kept.value };
    if worst.get(&name).is_none_or(is_worse) {
        worst.insert(name, new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_rounds_the_worst_counts() {
        let mut worst = BTreeMap::new();
        for (round, ms, share) in [(1, 5.0, 1.0), (2, 9.0, 0.5), (3, 7.0, 1.0)] {
            let new = |value| Worst { value, round, by: "a step".into() };
            keep_worst(&mut worst, "sync_ms".into(), new(ms));
            keep_worst(&mut worst, "sync".into(), new(share));
        }
        let kept = |name: &str| (worst[name].value, worst[name].round);
        assert_eq!((kept("sync_ms"), kept("sync")), ((9.0, 2), (0.5, 2)));
    }
}
