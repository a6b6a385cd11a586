//! What differs between two states, section by section: how a state is sent, and
//! how it is kept in a file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    AttemptsView, Counters, GossipView, KpiView, LinkRow, LogView, NatView, NodeInfo, PathTest, PeerRow,
    RelaysView, ReportingView, Snapshot, Stamp, Totals,
};

/// A state without its peers: the sections that changed since the last one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sections {
    /// Counts up with each state.
    pub seq: u64,
    /// When it was taken.
    pub at: Option<Stamp>,
    /// The node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<NodeInfo>>,
    /// The links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Arc<Vec<LinkRow>>>,
    /// Live and recent attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Arc<AttemptsView>>,
    /// Relays in use and served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relays: Option<Arc<RelaysView>>,
    /// Gossip counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gossip: Option<Arc<GossipView>>,
    /// The NAT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<Arc<NatView>>,
    /// Rates and times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kpi: Option<Arc<KpiView>>,
    /// What is told to the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting: Option<Arc<ReportingView>>,
    /// What limits stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Arc<Counters>>,
    /// How often what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Arc<Totals>>,
    /// What the log keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Arc<LogView>>,
    /// Tests of paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Arc<Vec<Arc<PathTest>>>>,
}

impl Sections {
    /// What of a state is another section than in the one before. Sections that
    /// share their `Arc` are the same; `or_equal`: so are those that say the same.
    pub fn between(before: Option<&Snapshot>, now: &Snapshot, or_equal: bool) -> Self {
        // A closure has one type; the sections have many.
        struct Differ<'a> {
            before: Option<&'a Snapshot>,
            now: &'a Snapshot,
            or_equal: bool,
        }
        impl Differ<'_> {
            fn section<T: PartialEq>(&self, of: impl Fn(&Snapshot) -> &Arc<T>) -> Option<Arc<T>> {
                let new = of(self.now);
                let same = |old: &Snapshot| Arc::ptr_eq(of(old), new) || (self.or_equal && of(old) == new);
                (!self.before.is_some_and(same)).then(|| Arc::clone(new))
            }
        }
        let differ = Differ { before, now, or_equal };
        Self {
            seq: now.seq,
            at: Some(now.at),
            node: differ.section(|s| &s.node),
            links: differ.section(|s| &s.links),
            attempts: differ.section(|s| &s.attempts),
            relays: differ.section(|s| &s.relays),
            gossip: differ.section(|s| &s.gossip),
            nat: differ.section(|s| &s.nat),
            kpi: differ.section(|s| &s.kpi),
            reporting: differ.section(|s| &s.reporting),
            counters: differ.section(|s| &s.counters),
            totals: differ.section(|s| &s.totals),
            log: differ.section(|s| &s.log),
            tests: differ.section(|s| &s.tests),
        }
    }

    /// The whole state, with these peers, upon the one before; `None` if a section
    /// never came.
    pub fn upon(self, before: Option<&Snapshot>, peers: Arc<Vec<Arc<PeerRow>>>) -> Option<Snapshot> {
        Some(Snapshot {
            seq: self.seq,
            at: self.at?,
            peers,
            node: self.node.or_else(|| before.map(|b| Arc::clone(&b.node)))?,
            links: self.links.or_else(|| before.map(|b| Arc::clone(&b.links)))?,
            attempts: self.attempts.or_else(|| before.map(|b| Arc::clone(&b.attempts)))?,
            relays: self.relays.or_else(|| before.map(|b| Arc::clone(&b.relays)))?,
            gossip: self.gossip.or_else(|| before.map(|b| Arc::clone(&b.gossip)))?,
            nat: self.nat.or_else(|| before.map(|b| Arc::clone(&b.nat)))?,
            kpi: self.kpi.or_else(|| before.map(|b| Arc::clone(&b.kpi)))?,
            reporting: self.reporting.or_else(|| before.map(|b| Arc::clone(&b.reporting)))?,
            counters: self.counters.or_else(|| before.map(|b| Arc::clone(&b.counters)))?,
            // An older node has none of these.
            totals: self.totals.or_else(|| before.map(|b| Arc::clone(&b.totals))).unwrap_or_default(),
            log: self.log.or_else(|| before.map(|b| Arc::clone(&b.log))).unwrap_or_default(),
            tests: self.tests.or_else(|| before.map(|b| Arc::clone(&b.tests))).unwrap_or_default(),
        })
    }
}
