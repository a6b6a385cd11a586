//! `/metrics`: counters since the start and a few gauges, in Prometheus' text
//! format, named and typed by its conventions: base units, `_total` for what
//! only grows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::answers::Overview;
use super::store::Stored;

/// Upper bounds of the histogram's buckets, in seconds.
const BOUNDS: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0];

#[derive(Debug, Default)]
struct Counts {
    /// By kind, whether new or not.
    reports: BTreeMap<&'static str, u64>,
    accepted: u64,
    duplicates: u64,
    expired: u64,
    refused: BTreeMap<&'static str, u64>,
    buckets: [u64; BOUNDS.len()],
    seconds: f64,
    batches: u64,
}

/// What is counted while the registry runs.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<Counts>);

impl Metrics {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stored(&self, kinds: &[&'static str], stored: Stored, took: Duration) {
        let mut counts = self.counts();
        for kind in kinds {
            *counts.reports.entry(kind).or_default() += 1;
        }
        counts.accepted += stored.accepted;
        counts.duplicates += stored.duplicates;
        counts.expired += stored.expired;
        counts.batches += 1;
        let took = took.as_secs_f64();
        counts.seconds += took;
        for (bucket, _) in counts.buckets.iter_mut().zip(BOUNDS).filter(|(_, bound)| took <= *bound) {
            *bucket += 1;
        }
    }

    pub(super) fn refused(&self, code: &'static str) {
        *self.counts().refused.entry(code).or_default() += 1;
    }

    /// Everything as text.
    pub(super) fn text(&self, overview: &Overview, streams: usize) -> String {
        let counts = self.counts();
        let mut out = Text(String::new());
        out.family("punchdeck_registry_reports_received_total", "counter", "Reports received, by kind.");
        for (kind, count) in &counts.reports {
            out.sample("punchdeck_registry_reports_received_total", &format!("{{kind=\"{kind}\"}}"), *count);
        }
        for (name, help, value) in [
            (
                "punchdeck_registry_reports_accepted_total",
                "Reports that were new and stored.",
                counts.accepted,
            ),
            (
                "punchdeck_registry_reports_duplicate_total",
                "Reports that were stored before.",
                counts.duplicates,
            ),
            ("punchdeck_registry_reports_expired_total", "Reports older than is kept.", counts.expired),
        ] {
            out.family(name, "counter", help);
            out.sample(name, "", value);
        }
        out.family("punchdeck_registry_requests_refused_total", "counter", "Requests refused, by reason.");
        for (code, count) in &counts.refused {
            out.sample(
                "punchdeck_registry_requests_refused_total",
                &format!("{{reason=\"{code}\"}}"),
                *count,
            );
        }
        let name = "punchdeck_registry_batch_duration_seconds";
        out.family(name, "histogram", "Time from a batch's head to its answer.");
        for (bound, count) in BOUNDS.iter().zip(counts.buckets) {
            out.sample(&format!("{name}_bucket"), &format!("{{le=\"{bound}\"}}"), count);
        }
        out.sample(&format!("{name}_bucket"), "{le=\"+Inf\"}", counts.batches);
        out.sample(&format!("{name}_sum"), "", counts.seconds);
        out.sample(&format!("{name}_count"), "", counts.batches);
        out.family("punchdeck_registry_streams", "gauge", "Event streams open now.");
        out.sample("punchdeck_registry_streams", "", streams);
        fleet(&mut out, overview);
        out.0
    }
}

/// The last hour, as gauges: it can shrink.
fn fleet(out: &mut Text, overview: &Overview) {
    let kpi = &overview.kpi;
    out.family("punchdeck_fleet_nodes", "gauge", "Nodes that reported within the last hour, by NAT type.");
    for (nat, count) in &kpi.population.nat {
        out.sample("punchdeck_fleet_nodes", &format!("{{nat=\"{nat}\"}}"), *count);
    }
    out.family("punchdeck_fleet_attempts", "gauge", "Attempts that ended within the last hour, by outcome.");
    for (outcome, count) in [
        ("direct", kpi.kpi.figures.direct),
        ("punched", kpi.kpi.figures.punched),
        ("relayed", kpi.kpi.figures.relayed),
        ("unreachable", kpi.kpi.figures.unreachable),
    ] {
        out.sample("punchdeck_fleet_attempts", &format!("{{outcome=\"{outcome}\"}}"), count);
    }
    // What is not known is left out: a gauge has no other way to say so.
    if let Some(mean) = kpi.kpi.figures.mean_connect_ms {
        out.family("punchdeck_fleet_connect_seconds", "gauge", "Mean time to connect within the last hour.");
        out.sample("punchdeck_fleet_connect_seconds", "", mean / 1_000.0);
    }
    if let Some(age) = kpi.last_report_s {
        out.family(
            "punchdeck_registry_last_report_age_seconds",
            "gauge",
            "Time since anybody last reported.",
        );
        out.sample("punchdeck_registry_last_report_age_seconds", "", age);
    }
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}
