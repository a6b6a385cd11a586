//! The node's state as it is shown. Sections that did not change keep their
//! `Arc`, and of ten thousand peers only the changed rows are made anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::Now;
use crate::core::attempts::Attempts;
use crate::core::book::PeerBook;
use crate::core::config::EngineConfig;
use crate::core::dialer::Dialer;
use crate::core::gossip::Gossiper;
use crate::core::guessing::Guesses;
use crate::core::link::Link;
use crate::core::links::Links;
use crate::core::nat::Nat;
use crate::core::outbox::Outbox;
use crate::core::pathtest::Tests;
use crate::core::peers::Peers;
use crate::core::relaying::RelayState;
use crate::model::{
    AlsoCalled, AttemptsView, Counters, GossipView, KpiView, LinkRow, NodeInfo, PathTest, PeerId, PeerRow,
    PeerState, RelaysView, ReportingView, Snapshot, Stamp, Totals, clean,
};

/// All that is shown.
pub(in crate::core) struct View<'a> {
    pub(in crate::core) config: &'a EngineConfig,
    pub(in crate::core) book: &'a PeerBook,
    pub(in crate::core) links: &'a Links,
    pub(in crate::core) attempts: &'a Attempts,
    pub(in crate::core) gossip: &'a Gossiper,
    pub(in crate::core) dialer: &'a Dialer,
    pub(in crate::core) guesses: &'a Guesses,
    pub(in crate::core) relaying: &'a RelayState,
    pub(in crate::core) nat: &'a Nat,
    pub(in crate::core) tests: &'a Tests,
    pub(in crate::core) now: Now,
}

/// The sections of the snapshot before.
#[derive(Debug)]
pub(super) struct Sections {
    /// When the node began.
    started: Stamp,
    seq: u64,
    rows: BTreeMap<PeerId, Arc<PeerRow>>,
    peers: Arc<Vec<Arc<PeerRow>>>,
    node: Option<Arc<NodeInfo>>,
    links: Arc<Vec<LinkRow>>,
    attempts: Arc<AttemptsView>,
    relays: Arc<RelaysView>,
    gossip: Arc<GossipView>,
    kpi: Arc<KpiView>,
    counters: Arc<Counters>,
    totals: Arc<Totals>,
    reporting: Arc<ReportingView>,
    tests: Arc<Vec<Arc<PathTest>>>,
}

impl Sections {
    pub(super) fn new(started: Stamp) -> Self {
        Self {
            started,
            seq: 0,
            rows: BTreeMap::new(),
            peers: Arc::default(),
            node: None,
            links: Arc::default(),
            attempts: Arc::default(),
            relays: Arc::default(),
            gossip: Arc::default(),
            kpi: Arc::default(),
            counters: Arc::default(),
            totals: Arc::default(),
            reporting: Arc::default(),
            tests: Arc::default(),
        }
    }
}

/// Replaces a section if it changed.
fn renew<T: PartialEq>(section: &mut Arc<T>, new: T) -> Arc<T> {
    if **section != new {
        *section = Arc::new(new);
    }
    Arc::clone(section)
}

impl Sections {
    /// Everything that is shown.
    pub(super) fn snapshot(&mut self, kpi: KpiView, view: &View<'_>, out: &mut Outbox) -> Snapshot {
        let peers = view.peers();
        self.seq += 1;
        let node = view.node_info(self.started);
        let node = match self.node.take() {
            Some(old) if *old == node => old,
            _ => Arc::new(node),
        };
        self.node = Some(Arc::clone(&node));
        let mut attempts = view.attempts.view();
        attempts.live.extend(view.guesses.attempt());
        Snapshot {
            seq: self.seq,
            at: view.now.stamp,
            node,
            links: renew(&mut self.links, view.link_rows()),
            peers: self.peer_rows(view, out),
            attempts: renew(&mut self.attempts, attempts),
            relays: renew(&mut self.relays, view.relaying.view(&peers)),
            gossip: renew(&mut self.gossip, view.gossip.view()),
            nat: Arc::clone(view.nat.view()),
            kpi: renew(&mut self.kpi, kpi),
            // Not the engine's: who reports puts its own in.
            reporting: Arc::clone(&self.reporting),
            counters: renew(&mut self.counters, view.counters(out)),
            totals: renew(&mut self.totals, out.totals().clone()),
            tests: renew(&mut self.tests, view.tests.view(&peers)),
        }
    }

    fn peer_rows(&mut self, view: &View<'_>, out: &mut Outbox) -> Arc<Vec<Arc<PeerRow>>> {
        // A linked peer is seen again with every heartbeat.
        let mut due = out.take_changed();
        due.extend(view.links.iter().filter(|(_, l)| l.is_connected()).map(|(p, _)| *p));
        let mut changed = false;
        for peer in due {
            match view.peer_row(peer) {
                Some(row) if self.rows.get(&peer).is_some_and(|old| **old == row) => {}
                Some(row) => {
                    self.rows.insert(peer, Arc::new(row));
                    changed = true;
                }
                None => changed |= self.rows.remove(&peer).is_some(),
            }
        }
        if changed {
            self.peers = Arc::new(self.rows.values().cloned().collect());
        }
        Arc::clone(&self.peers)
    }
}

impl View<'_> {
    fn peers(&self) -> Peers<'_> {
        Peers { me: self.config.me, book: self.book.read(), links: self.links, now: self.now }
    }

    fn node_info(&self, started: Stamp) -> NodeInfo {
        NodeInfo {
            peer_id: self.config.me,
            name: self.config.name.clone(),
            version: self.config.agent.clone(),
            network: self.config.network.clone(),
            local_addr: self.config.local_addr,
            no_ipv6: self.config.no_ipv6,
            observed_addrs: self.nat.seen_at(),
            started,
            phase: self.dialer.phase(self.now),
            cache: self.book.view(),
            probe_ports: self.config.probe_ports.clone(),
            no_probe_ports: self.config.no_probe_ports.clone(),
            used_twice: self.links.twice().view(self.now),
        }
    }

    fn link_rows(&self) -> Vec<LinkRow> {
        let row = |(peer, link): (&PeerId, &Link)| {
            let status = link.status()?;
            Some(LinkRow {
                peer_id: *peer,
                path: status.info.path,
                remote_addr: status.info.remote,
                via: status.info.via,
                standby: link.standby().and_then(|lane| lane.via),
                rtt_ms: status.rtt_ms,
                since: self.now.stamp_of(status.since),
                outbound: status.info.outbound,
                bytes_tx: status.bytes_tx,
                bytes_rx: status.bytes_rx,
                missed: status.missed,
                observed: link.greeting().map(|g| g.observed),
                clock_skew_ms: link.greeting().map(|g| g.clock_skew_ms),
                foreign: status.foreign,
            })
        };
        self.links.iter().filter_map(row).collect()
    }

    fn peer_row(&self, peer: PeerId) -> Option<PeerRow> {
        let (book, now) = (self.book.read(), self.now);
        let entry = book.get(peer)?;
        let link = self.links.get(&peer);
        let status = link.and_then(Link::status);
        let record = entry.record();
        let greeting = link.and_then(Link::greeting).filter(|_| status.is_some());
        let claimed = record.map(|r| clean(&r.name)).filter(|n| !n.is_empty());
        let latest = self.attempts.latest(&peer);
        let due = self.dialer.due(&peer).filter(|_| status.is_none());
        let name = greeting.and_then(|g| g.name.clone()).or(claimed);
        let users = || name.iter().flat_map(|name| book.users_of(name, now.stamp));
        let linked_as = users().any(|used| used.peer == peer);
        let also = users().filter(|used| used.peer != peer).max_by_key(|used| used.until);
        let also = also.map(|used| Box::new(AlsoCalled { peer_id: used.peer, until: used.until }));
        Some(PeerRow {
            peer_id: peer,
            linked_as,
            also,
            name,
            first_hand: greeting.is_some() || entry.known.is_first_hand(),
            addresses: entry.addresses(),
            nat_type: self.peers().claimed_nat(&peer),
            state: self.peer_state(peer),
            path: status.as_ref().map(|s| s.info.path),
            // What was measured of an earlier link says nothing of this one.
            rtt_ms: status.as_ref().map_or(entry.measured.rtt_ms, |s| s.rtt_ms),
            attempts: entry.measured.attempts,
            successes: entry.measured.successes,
            last_seen: match status {
                Some(_) => entry.measured.last_contact,
                None => entry.last_seen(),
            },
            tried: entry.measured.tried,
            source: entry.source,
            version: record.map_or(0, |r| r.version),
            last_failure: entry.measured.last_failure.clone(),
            next_attempt: due.map(|at| now.stamp_of(at)),
            attempt: latest,
            tested: self.tests.tested(&peer, self.links).map(Box::new),
        })
    }

    fn peer_state(&self, peer: PeerId) -> PeerState {
        match self.links.get(&peer) {
            Some(link) if link.is_up() && link.status().is_some_and(|s| s.missed > 0) => PeerState::Suspect,
            Some(link) if link.is_up() => PeerState::Linked,
            Some(link) if link.is_foreign() => PeerState::Foreign,
            _ if self.attempts.towards(&peer).is_some() => PeerState::Connecting,
            _ if self.dialer.is_held_off(&peer, self.now.mono) => PeerState::HeldOff,
            _ => {
                let failed = self.book.read().get(peer).is_some_and(|e| e.measured.last_failure.is_some());
                if failed { PeerState::Unreachable } else { PeerState::Known }
            }
        }
    }

    fn counters(&self, out: &Outbox) -> Counters {
        let mut all = BTreeMap::<String, u64>::new();
        let served = self.relaying.service().counters();
        for (name, count) in out.counters().chain(self.gossip.counters()).chain(served) {
            *all.entry(name.to_owned()).or_default() += count;
        }
        Counters(all)
    }
}
