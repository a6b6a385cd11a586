//! What a node shows to a Prometheus: a snapshot as text, in either of the two formats
//! that such programs read.
//!
//! Everything is read off the snapshot that the console shows, too. Names follow the
//! conventions of that field: base units, `_total` for what only grows, labels with
//! values of a known number. Peers are a label only where the operator asks for it.

mod page;
mod server;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::{Registry, Unit};

pub use self::server::{Metrics, MetricsError, Options};

use self::page::{Page, label, none, seconds};
use crate::model::{
    LinkRow, NatView, Path, PeerState, Phase, ReservationState, SaveState, Snapshot, TIME_BOUNDS_MS, Times,
};

/// Before every name.
const PREFIX: &str = "punchdeck";
/// Peers that get a label of their own, at most: more series than that are a burden to
/// whoever stores them.
pub const PEERS_MAX: usize = 256;

/// How the page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `OpenMetrics` 1.0, for whoever asks for it.
    OpenMetrics,
    /// The older text format 0.0.4, which everybody reads.
    Text,
}

impl Format {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// A snapshot as a page. `peers`: linked peers are a label, the first [`PEERS_MAX`] of
/// them.
pub fn of(snapshot: &Snapshot, peers: bool, format: Format) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Shown { snapshot: snapshot.clone(), peers }));
    let mut out = String::new();
    // Writing to a text does not fail.
    let _ = match format {
        Format::OpenMetrics => text::encode(&mut out, &registry),
        Format::Text => prometheus_text::encode(&mut out, &registry),
    };
    out
}

#[derive(Debug)]
struct Shown {
    snapshot: Snapshot,
    peers: bool,
}

impl Collector for Shown {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let (page, shown) = (&mut Page::new(encoder), &self.snapshot);
        node(page, shown)?;
        attempts(page, shown)?;
        links(page, shown)?;
        if self.peers {
            each_peer(page, shown)?;
        }
        relays(page, shown)?;
        gossip(page, shown)?;
        trouble(page, shown)
    }
}

fn node(page: &mut Page<'_>, shown: &Snapshot) -> std::fmt::Result {
    let node = &shown.node;
    let build = [label("version", node.version.as_str())];
    page.info("build", "The program that runs.", &build)?;
    let this = [
        label("peer_id", node.peer_id.to_string()),
        label("name", node.name.as_str()),
        label("network", node.network.as_str()),
    ];
    page.info("node", "Who this node is.", &this)?;
    page.gauge(
        "start_time",
        "When the node started, since the beginning of 1970.",
        Some(&Unit::Seconds),
        [(none(), seconds(node.started.0))],
    )?;
    let joined = matches!(node.phase, Phase::Joined);
    page.gauge("joined", "1 while at least one link is up.", None, [(none(), f64::from(u8::from(joined)))])?;
    let nats = [("ipv4", Some(&*shown.nat)), ("ipv6", shown.nat.nat6.as_deref())];
    let nats = nats.into_iter().filter_map(|(family, nat)| Some((family, nat?)));
    let kind = |(family, nat): (&'static str, &NatView)| {
        (vec![label("family", family), label("type", nat.nat_type.name())], 1.0)
    };
    page.gauge("nat_type", "1 for the measured type of our NAT.", None, nats.map(kind))?;
    let measured = shown.nat.measured.map(|at| (none(), seconds(at.0)));
    page.gauge(
        "nat_measured_time",
        "When the type was measured, since the beginning of 1970.",
        Some(&Unit::Seconds),
        measured,
    )?;
    let cached = [("all", node.cache.known), ("tried", node.cache.tried)];
    page.gauge(
        "cached_peers",
        "Peers in the cache: all, and those of them that we ever shook hands with.",
        None,
        cached.map(|(which, count)| (vec![label("which", which)], f64::from(count))),
    )
}

fn attempts(page: &mut Page<'_>, shown: &Snapshot) -> std::fmt::Result {
    let totals = &shown.totals;
    let connected = totals.connected.iter().map(|(path, count)| (path.name(), *count));
    let others = totals.not_connected.iter().map(|(outcome, count)| (outcome.name(), *count));
    page.counter(
        "attempts",
        "Attempts to reach a peer that ended, by the path of the first usable link, or how else they ended.",
        None,
        connected.chain(others).map(|(outcome, count)| (vec![label("outcome", outcome)], count)),
    )?;
    let of_stage = totals.stages.iter().flat_map(|(stage, ended)| {
        ended.iter().map(|(outcome, count)| {
            (vec![label("stage", stage.name()), label("outcome", outcome.name())], *count)
        })
    });
    page.counter("attempt_stages", "Stages of attempts that ended, by how.", None, of_stage)?;
    times(
        page,
        "attempt_connect_duration",
        "From the beginning of an attempt to a usable link.",
        &totals.connect,
    )?;
    page.gauge(
        "attempts_running",
        "Attempts that run now.",
        None,
        [(none(), shown.attempts.live.len() as f64)],
    )
}

fn links(page: &mut Page<'_>, shown: &Snapshot) -> std::fmt::Result {
    let up = |path: Path| shown.links.iter().filter(|l| !l.foreign && l.path == path).count();
    let paths = [Path::Direct, Path::Punched, Path::Relayed];
    page.gauge(
        "links",
        "Links that are up, by path.",
        None,
        paths.map(|path| (vec![label("path", path.name())], up(path) as f64)),
    )?;
    let suspect = shown.peers.iter().filter(|row| row.state == PeerState::Suspect).count();
    page.gauge("links_suspect", "Links with a heartbeat that is overdue.", None, [(none(), suspect as f64)])?;
    let totals = &shown.totals;
    let came = totals.links_up.iter().map(|(path, count)| (vec![label("path", path.name())], *count));
    page.counter("links_up", "Links that came up, by path.", None, came)?;
    let went = totals.links_down.iter().map(|(code, count)| (vec![label("reason", code.as_str())], *count));
    page.counter("links_down", "Links that went down, by reason.", None, went)?;
    page.counter(
        "links_off_relay",
        "Links that left their relay for a path of their own.",
        None,
        [(none(), totals.off_relay)],
    )
}

/// What is known of each linked peer.
fn each_peer(page: &mut Page<'_>, shown: &Snapshot) -> std::fmt::Result {
    let linked = || shown.links.iter().filter(|link| !link.foreign).take(PEERS_MAX);
    let labels =
        |link: &LinkRow| vec![label("peer", link.peer_id.to_string()), label("path", link.path.name())];
    page.gauge(
        "link_rtt",
        "Smoothed round trip of the heartbeats.",
        Some(&Unit::Seconds),
        linked().filter_map(|link| Some((labels(link), link.rtt_ms? / 1_000.0))),
    )?;
    let tested = |link: &LinkRow| shown.peer(&link.peer_id)?.tested.as_ref()?.loss;
    page.gauge(
        "link_tested_loss",
        "Share of datagrams lost in the latest test of the path that the link has now.",
        Some(&Unit::Ratios),
        linked().filter_map(|link| Some((labels(link), tested(link)?))),
    )
}

fn relays(page: &mut Page<'_>, shown: &Snapshot) -> std::fmt::Result {
    let relays = &shown.relays;
    let held = |state: ReservationState| relays.reservations.iter().filter(|r| r.state == state).count();
    let states = [ReservationState::Reserving, ReservationState::Ready, ReservationState::Suspect];
    page.gauge(
        "relay_reservations",
        "Reservations that this node holds on relays, by state.",
        None,
        states.map(|state| (vec![label("state", state.name())], held(state) as f64)),
    )?;
    page.gauge(
        "relay_served",
        "Peers that this node relays for now.",
        None,
        [(none(), relays.served.len() as f64)],
    )?;
    page.counter(
        "relay_served",
        "What this node relayed for others, both ways.",
        Some(&Unit::Bytes),
        [(none(), relays.served_bytes)],
    )?;
    page.counter("relays_dead", "Relays of ours that died.", None, [(none(), shown.totals.relays_dead)])?;
    times(
        page,
        "relay_failover_gap",
        "Time without a frame on a link that moved from one relay to another.",
        &shown.totals.relay_moves,
    )
}

fn gossip(page: &mut Page<'_>, shown: &Snapshot) -> std::fmt::Result {
    let gossip = &shown.gossip;
    let ways = |received, sent| {
        [(vec![label("direction", "in")], received), (vec![label("direction", "out")], sent)]
    };
    page.counter(
        "gossip_syncs",
        "Full exchanges of records.",
        None,
        ways(gossip.syncs_in, gossip.syncs_out),
    )?;
    page.counter(
        "gossip_deltas",
        "Messages with records that changed.",
        None,
        ways(gossip.deltas_in, gossip.deltas_out),
    )?;
    page.counter(
        "gossip_repairs",
        "Records sent or asked for because digests differed.",
        None,
        [(none(), gossip.repairs)],
    )?;
    let spread = gossip.propagation();
    let share = (spread.expected > 0).then(|| (none(), spread.known as f64 / spread.expected as f64));
    page.gauge(
        "gossip_known",
        "Of the records older than 10 s, the share that stood in the linked peers' last digests.",
        Some(&Unit::Ratios),
        share,
    )
}

fn trouble(page: &mut Page<'_>, shown: &Snapshot) -> std::fmt::Result {
    let totals = &shown.totals;
    for (name, help, count) in [
        ("isolations", "Times that no link was left.", totals.isolated),
        ("nat_changes", "Changes of our NAT's type.", totals.nat_changes),
        ("cache_saves_failed", "Saves of the cache that failed.", totals.saves_failed),
        ("datagrams_refused", "Datagrams that this host did not let us send.", totals.sends_refused),
        ("tasks_faulted", "Background tasks that died.", totals.tasks_faulted),
        ("reports_dropped", "Reports for the registry that were dropped.", shown.reporting.dropped),
    ] {
        page.counter(name, help, None, [(none(), count)])?;
    }
    let unsaved = matches!(shown.node.cache.save, SaveState::Failed { .. });
    page.gauge(
        "cache_unsaved",
        "1 while the last save of the cache failed.",
        None,
        [(none(), f64::from(u8::from(unsaved)))],
    )?;
    let stopped = shown.counters.0.iter();
    page.counter(
        "refused",
        "What a limit or a rule stopped, by its name.",
        None,
        stopped.map(|(limit, count)| (vec![label("limit", limit.code())], *count)),
    )
}

fn times(page: &mut Page<'_>, name: &str, help: &str, times: &Times) -> std::fmt::Result {
    let bounds = TIME_BOUNDS_MS.iter().map(|ms| *ms as f64 / 1_000.0).chain([f64::INFINITY]);
    let counts = times.counts.iter().copied().chain(std::iter::repeat(0));
    let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
    page.histogram(name, help, times.sum_ms as f64 / 1_000.0, &buckets)
}

#[cfg(test)]
mod tests;
