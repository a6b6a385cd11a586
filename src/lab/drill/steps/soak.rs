//! Steps over and over, and what the process has grown by.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::lab::drill::arena::{Arena, Need};
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, no_time};
use crate::lab::drill::tried::moment;

/// What a soak measures besides its steps.
const MEASURED: [&str; 5] = ["rounds", "rss_mib", "rss_growth_mib", "fds", "fds_growth"];

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

/// Runs steps over and over. The first round is the warm-up; what grew from
/// its end to the last round's is measured. Of what each round measures, the
/// worst counts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soak<S> {
    /// How long; the round under way is ended.
    #[serde(rename = "for", with = "humantime_serde")]
    pub time: Duration,
    /// What a round is.
    pub steps: Vec<S>,
}

impl<S: DrillStep> DrillStep for Soak<S> {
    fn words(&self) -> String {
        format!("soak for {} s", self.time.as_secs())
    }

    fn flaw(&self) -> Option<String> {
        if self.steps.is_empty() {
            return Some("it has no steps".to_owned());
        }
        if !self.steps.iter().all(S::can_be_soaked) {
            return Some("neither a soak nor a matrix can be soaked".to_owned());
        }
        no_time(self.time)
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::ProcessFigures)
    }

    fn measures(&self) -> Vec<String> {
        MEASURED.map(str::to_owned).to_vec()
    }

    fn can_be_soaked(&self) -> bool {
        false
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let Self { time, steps } = self;
        let time = *time;
        let begun = Instant::now();
        let before = std::mem::take(&mut run.measured);
        let mut worst = BTreeMap::new();
        let mut warm = None;
        let mut rounds = 0_u32;
        // One round to warm up, and one to compare it with at least.
        while rounds < 2 || begun.elapsed() < time {
            rounds += 1;
            let (gone, of) = (begun.elapsed().as_secs(), time.as_secs());
            run.tell(format!("round {rounds}, {gone} of {of} s"), None);
            let mut by = BTreeMap::new();
            for step in steps {
                run.begin(step.words());
                step.run(run).await?;
                for name in run.measured.keys() {
                    by.entry(name.clone()).or_insert_with(|| step.words());
                }
            }
            if let Some(journal) = &run.journal {
                journal.round(moment(), rounds, &run.measured, Usage::now().map(|u| u.rss_mib));
            }
            for (name, value) in std::mem::take(&mut run.measured) {
                let by = by.remove(&name).unwrap_or_default();
                keep_worst(&mut worst, name, Worst { value, round: rounds, by });
            }
            run.tried.collect(&run.arena.members());
            if rounds == 1 {
                warm = Usage::now();
            }
        }
        run.measured = before;
        for (name, Worst { value, round, by }) in worst {
            run.told.push(format!("worst {name}: {value:.1}, in round {round} of {rounds}, {by}"));
            run.measured.insert(name, value);
        }
        run.measured.insert("rounds".into(), rounds.into());
        if let Some((warm, end)) = warm.zip(Usage::now()) {
            let figures = [
                ("rss_mib", end.rss_mib),
                ("rss_growth_mib", end.rss_mib - warm.rss_mib),
                ("fds", end.fds),
                ("fds_growth", end.fds - warm.fds),
            ];
            run.measured.extend(figures.map(|(name, value)| (name.to_owned(), value)));
        }
        Ok(())
    }
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
