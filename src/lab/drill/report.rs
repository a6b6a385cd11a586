//! What a drill found: each check with its measured value, and a verdict.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::arena::Baseline;
use super::check::{Check, Unit};
use crate::model::{Done, Outcome, Path, StageOutcome};

/// The end of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every check holds.
    Pass,
    /// One does not, or was not measured.
    Fail,
    /// This host or fleet cannot take a step.
    Unsupported,
    /// Somebody called it off: nothing is judged.
    CalledOff,
}

impl Verdict {
    /// As it stands in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unsupported => "unsupported",
            Self::CalledOff => "called-off",
        }
    }
}

/// A check and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// In words.
    pub name: String,
    /// Whether it holds; a value that was not measured does not.
    pub ok: bool,
    /// What was measured; null if nothing was.
    pub value: Option<f64>,
    /// The limit; the upper one where there are two.
    pub limit: f64,
    /// On which side of it the value has to be.
    pub bound: Bound,
    /// Of what.
    pub unit: &'static str,
}

impl Checked {
    /// What was measured, with its unit.
    pub fn value_text(&self) -> Option<String> {
        self.value.map(|value| figure(value, self.unit))
    }

    /// The limit in words, with its unit.
    pub fn limit_text(&self) -> String {
        let limit = figure(self.limit, self.unit);
        match self.bound {
            Bound::AtLeast => format!("at least {limit}"),
            Bound::AtMost if self.limit == 0.0 => format!("allowed {limit}"),
            Bound::AtMost => format!("at most {limit}"),
        }
    }
}

/// On which side of a limit a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// On it or below.
    AtMost,
    /// On it or above.
    AtLeast,
}

/// What the nodes that ran at the end had counted, all together since each
/// was started; nothing is judged by it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// In words.
    pub name: &'static str,
    /// The number; null if there is none.
    pub value: Option<f64>,
    /// Of what.
    pub unit: &'static str,
}

impl Figure {
    /// A number and what it counts.
    pub(super) fn new(name: &'static str, value: Option<f64>, unit: Unit) -> Self {
        Self { name, value, unit: unit.name() }
    }
}

/// A pair of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The dialler's NAT.
    pub from: String,
    /// The target's.
    pub to: String,
    /// The path, or null.
    pub path: Option<String>,
    /// Time to a usable link.
    pub elapsed_ms: u64,
    /// The same in round trips, where the hosts are apart.
    pub round_trips: Option<f64>,
    /// Why not, or why not directly.
    pub reason: Option<String>,
    /// When the link had left its relay, from the start of the attempt, if it ran
    /// over one and was watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off_relay_ms: Option<u64>,
    /// Echoes lost, repeated or out of order meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echoes_harmed: Option<u64>,
    /// What the library's own ladder took for the same pair, if it was run.
    pub baseline_ms: Option<u64>,
    /// Whether that connected.
    pub baseline_ok: Option<bool>,
    /// Our time over the library's, where both connected.
    pub ratio: Option<f64>,
}

impl Pair {
    /// Puts the library's result beside ours.
    pub(super) fn compare(&mut self, theirs: Baseline) {
        self.baseline_ms = Some(crate::model::millis(theirs.elapsed));
        self.baseline_ok = Some(theirs.connected);
        self.ratio = self.both().filter(|(_, theirs)| *theirs > 0).map(|(ours, theirs)| over(ours, theirs));
    }

    /// Our time and the library's, where both connected.
    fn both(&self) -> Option<(u64, u64)> {
        let theirs = self.baseline_ms.filter(|_| self.baseline_ok == Some(true))?;
        self.path.as_ref().map(|_| (self.elapsed_ms, theirs))
    }
}

/// Our ladder beside the library's own, over all pairs of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Pairs that both tried.
    pub pairs: usize,
    /// Pairs that ours connected.
    pub ours_connected: usize,
    /// Pairs that the library connected.
    pub library_connected: usize,
    /// Pairs that both connected; the times are about these.
    pub both_connected: usize,
    /// Our mean time to a link.
    pub ours_mean_ms: Option<f64>,
    /// The library's.
    pub library_mean_ms: Option<f64>,
    /// The one over the other.
    pub ratio: Option<f64>,
}

impl Comparison {
    fn of(pairs: &[Pair]) -> Option<Self> {
        let tried = || pairs.iter().filter(|p| p.baseline_ok.is_some());
        let both: Vec<(u64, u64)> = tried().filter_map(Pair::both).collect();
        let (ours, theirs) = both.iter().fold((0, 0), |(a, b), (ours, theirs)| (a + ours, b + theirs));
        let mean = |sum: u64| (!both.is_empty()).then(|| sum as f64 / both.len() as f64);
        (tried().count() > 0).then(|| Self {
            pairs: tried().count(),
            ours_connected: tried().filter(|p| p.path.is_some()).count(),
            library_connected: tried().filter(|p| p.baseline_ok == Some(true)).count(),
            both_connected: both.len(),
            ours_mean_ms: mean(ours),
            library_mean_ms: mean(theirs),
            ratio: (theirs > 0).then(|| over(ours, theirs)),
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pairs, ours_connected, library_connected, both_connected, .. } = self;
        write!(f, "connected: ours {ours_connected} of {pairs}, library {library_connected} of {pairs}")?;
        let (Some(ours), Some(theirs)) = (self.ours_mean_ms, self.library_mean_ms) else { return Ok(()) };
        write!(f, "; mean over the {both_connected} of both: ours {ours:.0} ms, library {theirs:.0} ms")?;
        self.ratio.map_or(Ok(()), |ratio| write!(f, ", ratio {ratio}"))
    }
}

/// A ratio to four digits after the point: more would only be noise.
fn over(ours: u64, theirs: u64) -> f64 {
    (ours as f64 / theirs as f64 * 1e4).round() / 1e4
}

/// A drill's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The format.
    pub schema: u32,
    /// Which drill.
    pub scenario: String,
    /// The end.
    pub verdict: Verdict,
    /// Each check.
    pub checks: Vec<Checked>,
    /// How long it took.
    pub elapsed_s: f64,
    /// Why it is unsupported, or stopped early.
    pub reason: Option<String>,
    /// On which kind of fleet.
    pub fleet: String,
    /// The pairs, for a matrix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<Pair>,
    /// What came of each connect, rung by rung.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connects: Vec<String>,
    /// What the nodes counted, for a soak.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
    /// Ours beside the library's own ladder, if that was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<Comparison>,
}

/// Judges measurements.
pub fn judge(checks: &[Check], measured: &BTreeMap<String, f64>) -> Vec<Checked> {
    let one = |check: &Check| {
        let value = measured.get(&check.value).copied();
        let holds = |v: f64| check.max.is_none_or(|max| v <= max) && check.min.is_none_or(|min| v >= min);
        Checked {
            name: check.name.clone(),
            ok: value.is_some_and(holds),
            value,
            limit: check.max.or(check.min).unwrap_or(f64::NAN),
            bound: if check.max.is_some() { Bound::AtMost } else { Bound::AtLeast },
            unit: check.unit.name(),
        }
    };
    checks.iter().map(one).collect()
}

impl Report {
    /// The report of a drill that was run to its end, or as far as it came.
    pub fn new(
        scenario: &str,
        fleet: &str,
        checks: Vec<Checked>,
        stopped: Option<String>,
        elapsed: Duration,
    ) -> Self {
        let pass = stopped.is_none() && checks.iter().all(|c| c.ok);
        Self {
            schema: 1,
            scenario: scenario.to_owned(),
            verdict: if pass { Verdict::Pass } else { Verdict::Fail },
            checks,
            elapsed_s: (elapsed.as_secs_f64() * 100.0).round() / 100.0,
            reason: stopped,
            fleet: fleet.to_owned(),
            pairs: Vec::new(),
            connects: Vec::new(),
            figures: Vec::new(),
            compared: None,
        }
    }

    /// The report of a drill that this host cannot run.
    pub fn unsupported(scenario: &str, fleet: &str, why: String) -> Self {
        let verdict = Verdict::Unsupported;
        Self { verdict, ..Self::new(scenario, fleet, Vec::new(), Some(why), Duration::ZERO) }
    }

    /// The report of a drill that somebody called off: what it had measured until then
    /// is not what it was to measure.
    pub fn called_off(scenario: &str, fleet: &str, when: String, elapsed: Duration) -> Self {
        let verdict = Verdict::CalledOff;
        Self { verdict, ..Self::new(scenario, fleet, Vec::new(), Some(when), elapsed) }
    }

    /// With what came of each connect.
    #[must_use]
    pub(super) fn told(self, connects: Vec<String>) -> Self {
        Self { connects, ..self }
    }

    /// With what the nodes counted.
    #[must_use]
    pub(super) fn with_figures(self, figures: Vec<Figure>) -> Self {
        Self { figures, ..self }
    }

    /// With the pairs of a matrix, and what they come to.
    #[must_use]
    pub(super) fn with_pairs(self, pairs: Vec<Pair>) -> Self {
        Self { compared: Comparison::of(&pairs), pairs, ..self }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if !self.pairs.is_empty() {
            out.push_str(&pair_table(&self.pairs));
        }
        if let Some(compared) = &self.compared {
            let _ = writeln!(out, "  {compared}");
        }
        for connect in &self.connects {
            let _ = writeln!(out, "  {connect}");
        }
        let width = self.checks.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
        for check in &self.checks {
            let mark = if check.ok { "ok  " } else { "FAIL" };
            let value = check.value_text().unwrap_or("not measured".to_owned());
            let limit = check.limit_text();
            let _ = writeln!(out, "  {mark}  {:width$}  {value}  ({limit})", check.name);
        }
        for Figure { name, value, unit } in &self.figures {
            let value = value.map_or("-".to_owned(), |v| figure(v, unit));
            let _ = writeln!(out, "        {name:width$}  {value}");
        }
        if let Some(reason) = &self.reason {
            let _ = writeln!(out, "  {reason}");
        }
        let _ = writeln!(
            out,
            "{}: {} on {} after {:.2} s",
            self.scenario,
            self.verdict.name(),
            self.fleet,
            self.elapsed_s
        );
        out
    }
}

fn figure(value: f64, unit: &str) -> String {
    // What is counted stands in the name.
    let unit = if unit == Unit::Count.name() { String::new() } else { format!(" {unit}") };
    if value.fract().abs() < 1e-9 || value.abs() >= 1000.0 {
        format!("{value:.0}{unit}")
    } else {
        format!("{value:.2}{unit}")
    }
}

fn pair_table(pairs: &[Pair]) -> String {
    let mut out = String::new();
    let baseline = pairs.iter().any(|p| p.baseline_ms.is_some());
    let apart = pairs.iter().any(|p| p.round_trips.is_some());
    let _ = writeln!(
        out,
        "  {:<18} {:<18} {:<11} {:>9}{}{}  why",
        "from",
        "to",
        "path",
        "ms",
        if apart { format!(" {:>11}", "round trips") } else { String::new() },
        if baseline { format!(" {:>12} {:>12}", "library ms", "ours/library") } else { String::new() }
    );
    for p in pairs {
        let library = match (p.baseline_ms, p.baseline_ok) {
            _ if !baseline => String::new(),
            (Some(ms), Some(true)) => format!(" {ms:>12}"),
            (Some(ms), _) => format!(" {:>12}", format!("failed {ms}")),
            _ => format!(" {:>12}", "-"),
        };
        let trips = match p.round_trips {
            _ if !apart => String::new(),
            Some(trips) => format!(" {trips:>11.2}"),
            None => format!(" {:>11}", "-"),
        };
        let ratio = p.ratio.map_or("-".to_owned(), |r| r.to_string());
        let library = if baseline { format!("{library} {ratio:>12}") } else { library };
        let _ = writeln!(
            out,
            "  {:<18} {:<18} {:<11} {:>9}{trips}{library}  {}",
            p.from,
            p.to,
            p.path.as_deref().unwrap_or("unreachable"),
            p.elapsed_ms,
            p.reason.as_deref().unwrap_or("")
        );
    }
    out
}

/// A unit that is a ratio of two counts needs none of its own.
impl From<Unit> for &'static str {
    fn from(unit: Unit) -> Self {
        unit.name()
    }
}

/// What came of connecting, rung by rung.
pub(super) fn ladder(outcome: &Outcome) -> String {
    let (report, failed) = match &outcome.result {
        Ok(Done::Connected(report)) => (Some(report), None),
        Ok(_) => (None, None),
        Err(failure) => (failure.report.as_deref(), Some(&failure.reason)),
    };
    let path = report.and_then(|r| r.path).map_or("unreachable", Path::name);
    let mut said = format!("{path} after {} ms", report.map_or(0, |r| r.elapsed_ms));
    for stage in report.map(|r| r.stages.as_slice()).unwrap_or_default() {
        let outcome = match stage.outcome {
            StageOutcome::Ok => "ok",
            StageOutcome::Failed => "failed",
            StageOutcome::Skipped => "skipped",
            StageOutcome::Running => "not over",
        };
        let _ = write!(said, "; {} {outcome}", stage.stage);
        if let Some(reason) = &stage.reason {
            let _ = write!(said, ": {reason}");
        }
    }
    match failed {
        Some(reason) if report.is_none() => format!("{said}; {reason}"),
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(max: Option<f64>, min: Option<f64>) -> Check {
        Check { name: "n".into(), value: "v".into(), max, min, unit: Unit::Ms }
    }

    fn with(value: f64) -> BTreeMap<String, f64> {
        BTreeMap::from([("v".to_owned(), value)])
    }

    #[test]
    fn a_check_holds_within_its_limits_and_never_unmeasured() {
        assert!(judge(&[check(Some(5.0), None)], &with(5.0))[0].ok);
        assert!(!judge(&[check(Some(5.0), None)], &with(5.1))[0].ok);
        assert!(!judge(&[check(None, Some(5.0))], &with(4.9))[0].ok);
        let unmeasured = &judge(&[check(Some(5.0), None)], &BTreeMap::new())[0];
        assert_eq!((unmeasured.ok, unmeasured.value), (false, None));
    }

    #[test]
    fn a_drill_passes_only_if_every_check_holds_and_it_ran_to_its_end() {
        let ok = judge(&[check(Some(5.0), None)], &with(1.0));
        let report = |checks, stopped| Report::new("x", "lab", checks, stopped, Duration::ZERO).verdict;
        assert_eq!(report(ok.clone(), None), Verdict::Pass);
        assert_eq!(report(ok, Some("a step failed".into())), Verdict::Fail);
        assert_eq!(report(judge(&[check(Some(0.5), None)], &with(1.0)), None), Verdict::Fail);
    }

    #[test]
    fn a_drill_that_was_called_off_has_neither_passed_nor_failed() {
        let report = Report::called_off("x", "lab", "called off in step 2".into(), Duration::from_secs(3));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["verdict"], &json["checks"]), (&"called-off".into(), &serde_json::json!([])));
        assert_eq!(report.text(), "  called off in step 2\nx: called-off on lab after 3.00 s\n");
    }

    #[test]
    fn the_json_has_the_contracts_fields() {
        let checks = judge(&[check(Some(5.0), None)], &with(1.5));
        let json =
            serde_json::to_value(Report::new("x", "lab", checks, None, Duration::from_millis(1234))).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["scenario"], "x");
        assert_eq!(json["verdict"], "pass");
        assert_eq!(json["elapsed_s"], 1.23);
        assert_eq!(
            json["checks"][0],
            serde_json::json!({"name": "n", "ok": true, "value": 1.5, "limit": 5.0, "bound": "at-most", "unit": "ms"})
        );
    }

    fn pair(path: Option<&str>, elapsed_ms: u64, theirs: Option<(bool, u64)>) -> Pair {
        let mut pair = Pair {
            from: "none".into(),
            to: "symmetric".into(),
            path: path.map(str::to_owned),
            elapsed_ms,
            round_trips: None,
            reason: None,
            off_relay_ms: None,
            echoes_harmed: None,
            baseline_ms: None,
            baseline_ok: None,
            ratio: None,
        };
        if let Some((connected, ms)) = theirs {
            pair.compare(Baseline { connected, elapsed: Duration::from_millis(ms) });
        }
        pair
    }

    #[test]
    fn ours_and_the_librarys_are_compared_over_the_pairs_that_both_connected() {
        let pairs = vec![
            pair(Some("direct"), 5, Some((true, 5))),
            pair(Some("punched"), 11, Some((true, 32_000))),
            pair(Some("relayed"), 900, Some((false, 50_000))),
            pair(None, 0, Some((true, 32_000))),
        ];
        let ratios: Vec<_> = pairs.iter().map(|p| p.ratio).collect();
        assert_eq!(ratios, [Some(1.0), Some(0.0003), None, None]);
        let report = Report::new("x", "lab", Vec::new(), None, Duration::ZERO).with_pairs(pairs);
        let text = report.text();
        assert!(text.contains("failed 50000            -"), "{text}");
        assert!(text.contains(
            "connected: ours 3 of 4, library 3 of 4; mean over the 2 of both: ours 8 ms, library 16002 ms, ratio 0.0005"
        ), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (&json["pairs"][1]["ratio"], &json["compared"]["both_connected"]),
            (&0.0003.into(), &2.into())
        );
    }

    #[test]
    fn without_a_baseline_nothing_is_compared() {
        let report = Report::new("x", "lab", Vec::new(), None, Duration::ZERO).with_pairs(vec![pair(
            Some("direct"),
            5,
            None,
        )]);
        assert!(report.compared.is_none() && !report.text().contains("library"), "{}", report.text());
    }

    #[test]
    fn the_text_puts_value_and_limit_beside_each_other() {
        let checks = judge(&[check(Some(5.0), None)], &with(7.0));
        let text = Report::new("x", "lab", checks, None, Duration::ZERO).text();
        assert!(text.contains("FAIL  n  7 ms  (at most 5 ms)"), "{text}");
    }
}
