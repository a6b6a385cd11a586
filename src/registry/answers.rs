//! What the registry answers: counts of reports within a window that ends now.
//! What they mean is defined in [`crate::core::kpi`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

use super::store::{AttemptRow, Known, Store, StoreError};
use crate::core::kpi::{Series, Tally, answer};
use crate::model::{
    Cause, Interval, KpiAnswer, KpiPoint, LinkCounts, NatType, PeerId, Propagation, RelayLoad, Stamp,
};

/// The form of every answer.
pub(super) const SCHEMA: u32 = 1;
/// Windows that may be asked for.
pub const WINDOW: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(31 * 24 * 3600);
/// Where none is asked for.
pub const WINDOW_DEFAULT: Duration = Duration::from_secs(3600);
/// Parts of a window in the series over time.
const POINTS: u32 = 60;
/// A node tells of itself once a minute: who missed three times is silent.
pub const STALE_AFTER: Duration = Duration::from_secs(180);
/// Nodes listed; there is a count of all.
const NODES_MAX: usize = 1_000;

/// All answers about one window, of one moment.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// `/api/v1/kpi`
    pub kpi: KpiPage,
    /// `/api/v1/matrix`
    pub matrix: MatrixPage,
    /// `/api/v1/nodes`
    pub nodes: NodesPage,
}

/// `/api/v1/kpi`
#[derive(Debug, Serialize)]
pub struct KpiPage {
    /// The form of the answer.
    pub schema: u32,
    /// When it was counted, in milliseconds since 1970.
    pub at: Stamp,
    /// How far back it goes.
    pub window_s: u64,
    /// The fields of `ctl kpi`.
    #[serde(flatten)]
    pub kpi: KpiAnswer,
    /// Links that moved to another path.
    pub path_changes: u64,
    /// Changes of an active relay.
    pub failovers: u64,
    /// Whom it is about.
    pub population: Population,
    /// The window in equal parts, oldest first.
    pub series: Vec<KpiPoint>,
    /// How long ago anybody last reported; `None` if nobody ever did.
    pub last_report_s: Option<u64>,
    /// After which silence an answer is out of date.
    pub stale_after_s: u64,
}

/// Whom the figures are about.
#[derive(Debug, Serialize)]
pub struct Population {
    /// Nodes that reported within the window.
    pub nodes: u64,
    /// The same by the NAT type they told last.
    pub nat: BTreeMap<&'static str, u64>,
}

/// `/api/v1/matrix`
#[derive(Debug, Serialize)]
pub struct MatrixPage {
    /// The form of the answer.
    pub schema: u32,
    /// When it was counted.
    pub at: Stamp,
    /// How far back it goes.
    pub window_s: u64,
    /// NAT types that occur, in their order.
    pub types: Vec<NatType>,
    /// Pairs that were tried.
    pub cells: Vec<MatrixCell>,
}

/// Attempts from one NAT type towards another.
#[derive(Debug, Serialize)]
pub struct MatrixCell {
    /// The dialler's.
    pub from: NatType,
    /// The target's.
    pub to: NatType,
    /// How they fared.
    #[serde(flatten)]
    pub kpi: CellKpi,
}

/// The KPIs of a pair, without the criteria: those are about a fleet.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // as in `KpiAnswer`
pub struct CellKpi {
    pub attempts: u64,
    pub connected: u64,
    pub rate: Option<f64>,
    pub interval: Option<Interval>,
    pub direct: u64,
    pub punched: u64,
    pub relayed: u64,
    pub unreachable: u64,
    pub moved: u64,
    pub mean_connect_ms: Option<f64>,
    pub n_too_small: bool,
}

/// `/api/v1/nodes`: who reports. There is no address in it, for none is known.
#[derive(Debug, Serialize)]
pub struct NodesPage {
    /// The form of the answer.
    pub schema: u32,
    /// When it was counted.
    pub at: Stamp,
    /// How far back attempts are counted.
    pub window_s: u64,
    /// How many nodes ever reported, within what is kept.
    pub total: u64,
    /// Those that reported last, at most a thousand.
    pub nodes: Vec<NodeRow>,
}

/// A node that reports; what it says is claimed.
#[derive(Debug, Serialize)]
pub struct NodeRow {
    /// Its id.
    pub peer_id: PeerId,
    /// The name it gives itself.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// Its network.
    pub network: String,
    /// Its NAT type; `None` before it told.
    pub nat_type: Option<NatType>,
    /// Peers in its cache, and those it shook hands with.
    pub cache: Option<CacheCounts>,
    /// Its links by path.
    pub links: Option<LinkCounts>,
    /// How far its records have spread.
    pub propagation: Option<Propagation>,
    /// What it relays for others.
    pub relay: Option<RelayLoad>,
    /// How long ago it first reported; `None` where the clock was ahead then.
    pub first_seen_s: Option<u64>,
    /// How long ago it last reported; `None` where the clock was ahead then.
    pub last_seen_s: Option<u64>,
    /// Whether it is silent, as far as anybody knows.
    pub stale: bool,
    /// Its attempts within the window.
    pub attempts: u64,
    /// How many connected.
    pub connected: u64,
    /// Connected over attempts.
    pub rate: Option<f64>,
}

/// Peers in a cache.
#[derive(Debug, Serialize)]
pub struct CacheCounts {
    /// All of them.
    pub known: u32,
    /// Those it ever shook hands with.
    pub tried: u32,
}

/// Counts everything about a window that ends now; of attempts those of one
/// cause, if one is named.
pub(super) fn overview(
    store: &Store,
    window: Duration,
    cause: Option<Cause>,
    now: Stamp,
) -> Result<Overview, StoreError> {
    let since = now.before(window);
    let mut pairs: BTreeMap<(NatType, NatType), Tally> = BTreeMap::new();
    let mut series = Series::ending(now, window, POINTS);
    let mut by_node: HashMap<i64, Tally> = HashMap::new();
    store.attempts(since, now, cause, |row| {
        count(pairs.entry((row.own_nat, row.peer_nat)).or_default(), &row);
        count(by_node.entry(row.node).or_default(), &row);
        if let Some(part) = series.part_at(row.at) {
            count(part, &row);
        }
    })?;
    let nodes = store.nodes(now)?;
    let (path_changes, failovers) = store.changes(since, now)?;
    let mut all = Tally::default();
    for tally in pairs.values() {
        all.add(tally);
    }
    let window_s = window.as_secs();
    let last = nodes.iter().filter_map(|n| n.last_seen.age_if_past(now)).min();
    let kpi = KpiPage {
        schema: SCHEMA,
        at: now,
        window_s,
        kpi: answer(all.view(), spread(&nodes, since)),
        path_changes,
        failovers,
        population: population(&nodes, since, now),
        series: series.points().collect(),
        last_report_s: last.map(|age| age.as_secs()),
        stale_after_s: STALE_AFTER.as_secs(),
    };
    let types: BTreeSet<NatType> = pairs.keys().flat_map(|(a, b)| [*a, *b]).collect();
    let matrix = MatrixPage {
        schema: SCHEMA,
        at: now,
        window_s,
        types: types.into_iter().collect(),
        cells: pairs.iter().map(|((from, to), tally)| cell(*from, *to, tally)).collect(),
    };
    let total = nodes.len() as u64;
    let rows = nodes.into_iter().take(NODES_MAX);
    let nodes = NodesPage {
        schema: SCHEMA,
        at: now,
        window_s,
        total,
        nodes: rows.map(|known| row(&by_node, known, now)).collect(),
    };
    Ok(Overview { kpi, matrix, nodes })
}

fn count(tally: &mut Tally, row: &AttemptRow) {
    match row.path {
        Some(path) => tally.connected(path, row.ms, 1),
        None => tally.unreachable(1, row.again),
    }
    if let Some(to) = row.moved {
        tally.moved(to, 1);
    }
}

/// Over the nodes that reported within the window, as each told last.
fn spread(nodes: &[Known], since: Stamp) -> Option<Propagation> {
    let told = nodes.iter().filter_map(|n| n.status.as_ref());
    let told = told.filter(|(at, _)| *at >= since).filter_map(|(_, status)| status.propagation);
    told.reduce(|a, b| Propagation { known: a.known + b.known, expected: a.expected + b.expected })
}

fn population(nodes: &[Known], since: Stamp, now: Stamp) -> Population {
    let mut nat = BTreeMap::new();
    let mut count = 0;
    let heard = |n: &&Known| n.last_seen >= since && n.last_seen.age_if_past(now).is_some();
    for node in nodes.iter().filter(heard) {
        count += 1;
        let told = node.status.as_ref().map(|(_, s)| s.nat).unwrap_or_default();
        *nat.entry(told.name()).or_default() += 1;
    }
    Population { nodes: count, nat }
}

fn cell(from: NatType, to: NatType, tally: &Tally) -> MatrixCell {
    let v = tally.view();
    let kpi = CellKpi {
        attempts: v.attempts,
        connected: v.connected,
        rate: v.rate,
        interval: v.interval,
        direct: v.direct,
        punched: v.punched,
        relayed: v.relayed,
        unreachable: v.unreachable,
        moved: v.moved.direct + v.moved.punched,
        mean_connect_ms: v.mean_connect_ms,
        n_too_small: v.are_few(),
    };
    MatrixCell { from, to, kpi }
}

fn row(by_node: &HashMap<i64, Tally>, known: Known, now: Stamp) -> NodeRow {
    let Known { node, reporter, first_seen, last_seen, status } = known;
    let kpi = by_node.get(&node).map(Tally::view).unwrap_or_default();
    let status = status.map(|(_, status)| status);
    NodeRow {
        peer_id: reporter.peer_id,
        name: reporter.name,
        version: reporter.version,
        network: reporter.network,
        nat_type: status.as_ref().map(|s| s.nat),
        cache: status.as_ref().map(|s| CacheCounts { known: s.known, tried: s.tried }),
        links: status.as_ref().map(|s| s.links),
        propagation: status.as_ref().and_then(|s| s.propagation),
        relay: status.as_ref().and_then(|s| s.relay),
        first_seen_s: first_seen.age_if_past(now).map(|age| age.as_secs()),
        last_seen_s: last_seen.age_if_past(now).map(|age| age.as_secs()),
        stale: last_seen.age_if_past(now).is_none_or(|age| age >= STALE_AFTER),
        attempts: kpi.attempts,
        connected: kpi.connected,
        rate: kpi.rate,
    }
}
