//! A test of the paths between two nodes, beside what their wires were asked to do.

use std::time::Duration;

use serde::Deserialize;

use crate::core::limits::{TEST_FOR_MAX, TEST_FOR_MIN};
use crate::lab::drill::arena::Arena;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, named};
use crate::model::{self, Command, Done, EventKind, TestedPath, millis};

/// What it measures, after the step's name.
const MEASURED: [&str; 7] =
    ["_paths", "_rtt_ms", "_rtt_beyond_ms", "_loss_outside", "_rate_off", "_mtu", "_missed"];

/// What the wires of a path were asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedOfPath {
    /// There and back, in milliseconds.
    pub rtt_ms: f64,
    /// Packets lost each way, in percent.
    #[serde(default)]
    pub loss: f64,
    /// Kilobits a second each way, where the narrowest wire says so.
    pub rate_kbit: Option<u64>,
}

/// Tests the paths between two nodes. Of the path in use, beside what was asked of
/// its wires: `NAME_rtt_ms`, `NAME_rtt_beyond_ms`, by how much it is off beyond a
/// tenth and 2 ms; `NAME_loss_outside`, how far the loss that was asked for lies
/// outside of the measured interval; `NAME_rate_off`, by which share the worse
/// direction is off; `NAME_mtu`. And `NAME_paths` that were measured, and
/// `NAME_missed`, times that a heartbeat was late meanwhile.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathTest {
    /// From which.
    pub from: String,
    /// To which.
    pub to: String,
    /// How long each path is tested.
    #[serde(rename = "for", with = "humantime_serde")]
    pub time: Duration,
    /// What its wires were asked to do.
    pub asked: AskedOfPath,
    /// What is measured.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for PathTest {
    fn words(&self) -> String {
        format!("test the paths from {} to {}", self.from, self.to)
    }

    fn flaw(&self) -> Option<String> {
        let possible = (TEST_FOR_MIN..=TEST_FOR_MAX).contains(&self.time);
        (!possible).then(|| "a path is tested for 1 s to 60 s".to_owned())
    }

    fn measures(&self) -> Vec<String> {
        named(&self.name, &MEASURED)
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let Self { from, to, time, asked, name } = self;
        let peer = run.member(to)?.peer_id;
        let mut events = run.feed(from)?.events.resubscribe();
        let for_ms = u32::try_from(millis(*time)).unwrap_or(u32::MAX);
        let outcome = run.command(from, Command::Test { peer, for_ms }).await?;
        let test = match outcome.result {
            Ok(Done::Tested(test)) => *test,
            Ok(_) => return Ok(()),
            Err(failure) => {
                run.told.push(format!("{from} to {to}: {}", failure.reason));
                return Ok(());
            }
        };
        let mut missed = 0;
        while let Ok(event) = events.try_recv() {
            missed +=
                u32::from(event.peer_id == Some(peer) && matches!(event.kind, EventKind::LinkSuspect { .. }));
        }
        for path in &test.paths {
            run.told.push(format!("{from} to {to}, asked {}; got {}", asked.words(), path.summary()));
        }
        for (what, value) in figures(&test, asked) {
            run.measure(format!("{name}{what}"), value);
        }
        run.measure(format!("{name}_missed"), f64::from(missed));
        Ok(())
    }
}

impl AskedOfPath {
    fn words(&self) -> String {
        let rate =
            self.rate_kbit.map(|kbit| format!(", {:.1} Mbit/s", kbit as f64 / 1e3)).unwrap_or_default();
        format!("{:.1} ms, {:.1} % lost each way{rate}", self.rtt_ms, self.loss)
    }
}

/// What is measured of a test; what was not measured is missing.
fn figures(test: &model::PathTest, asked: &AskedOfPath) -> Vec<(&'static str, f64)> {
    let measured = test.paths.iter().filter(|path| path.rtt.is_some()).count();
    let mut figures = vec![("_paths", measured as f64)];
    let Some(path) = test.in_use() else { return figures };
    if let Some(rtt) = path.rtt {
        let allowed = asked.rtt_ms * 0.1 + 2.0;
        figures.push(("_rtt_ms", rtt.p50));
        figures.push(("_rtt_beyond_ms", ((rtt.p50 - asked.rtt_ms).abs() - allowed).max(0.0)));
    }
    if let Some(interval) = path.loss_interval {
        let loss = asked.loss / 100.0;
        figures.push(("_loss_outside", (interval.lo - loss).max(loss - interval.hi).max(0.0)));
    }
    figures.extend(
        asked.rate_kbit.and_then(|kbit| rate_off(path, kbit as f64 / 1e3)).map(|off| ("_rate_off", off)),
    );
    figures.extend(path.mtu.map(|mtu| ("_mtu", f64::from(mtu))));
    figures
}

/// How far the worse direction's rate is off, as a share of what was asked for.
fn rate_off(path: &TestedPath, asked: f64) -> Option<f64> {
    let off = |mbit: f64| (mbit - asked).abs() / asked;
    Some(off(path.rate_up?.mbit).max(off(path.rate_down?.mbit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Interval, Path, PeerId, Stamp, TestRate, TestRtt};

    fn test(p50: f64, (lo, hi): (f64, f64), up: f64, down: f64) -> model::PathTest {
        let rate = |mbit| Some(TestRate { mbit, at_least: false });
        let path = TestedPath {
            rtt: Some(TestRtt { min: p50, p50, p95: p50 }),
            loss_interval: Some(Interval { lo, hi }),
            rate_up: rate(up),
            rate_down: rate(down),
            ..TestedPath::waiting(Path::Punched, None, true)
        };
        let (peer_id, started) = (PeerId([1; 32]), Stamp(0));
        model::PathTest { peer_id, started, for_ms: 1_000, ended: Some(started), paths: vec![path] }
    }

    fn of(test: &model::PathTest, what: &str) -> f64 {
        let asked = AskedOfPath { rtt_ms: 40.0, loss: 5.0, rate_kbit: Some(10_000) };
        figures(test, &asked).into_iter().find(|(name, _)| *name == what).unwrap().1
    }

    #[test]
    fn what_was_got_is_held_against_what_was_asked_in_both_directions() {
        let good = test(45.0, (0.03, 0.07), 9.0, 9.5);
        assert_eq!((of(&good, "_rtt_beyond_ms"), of(&good, "_loss_outside")), (0.0, 0.0));
        assert!((of(&good, "_rate_off") - 0.1).abs() < 1e-9, "the worse direction");
        let bad = test(30.0, (0.06, 0.07), 10.0, 15.0);
        assert!((of(&bad, "_rtt_beyond_ms") - 4.0).abs() < 1e-9, "too fast is as wrong");
        assert!((of(&bad, "_loss_outside") - 0.01).abs() < 1e-9);
        assert!((of(&bad, "_rate_off") - 0.5).abs() < 1e-9);
    }
}
