//! Steps over and over, and what the process has grown by.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::arena::Arena;
use super::runner::{Runner, Stop};
use super::step::Step;

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
        for step in steps {
            Box::pin(runner.step(step)).await?;
        }
        for (name, value) in std::mem::take(&mut runner.measured) {
            keep_worst(&mut worst, name, value);
        }
        runner.tried.collect(&runner.arena.members());
        if rounds == 1 {
            warm = Usage::now();
        }
    }
    runner.measured = before;
    runner.measured.append(&mut worst);
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

/// The longest of times, the least of shares.
fn keep_worst(worst: &mut BTreeMap<String, f64>, name: String, value: f64) {
    let time = name.ends_with("_ms");
    let kept = worst.entry(name).or_insert(value);
    *kept = if time { kept.max(value) } else { kept.min(value) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_rounds_the_worst_counts() {
        let mut worst = BTreeMap::new();
        for (ms, share) in [(5.0, 1.0), (9.0, 0.5), (7.0, 1.0)] {
            keep_worst(&mut worst, "sync_ms".into(), ms);
            keep_worst(&mut worst, "sync".into(), share);
        }
        assert_eq!(worst, BTreeMap::from([("sync".into(), 0.5), ("sync_ms".into(), 9.0)]));
    }
}
