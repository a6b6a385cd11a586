//! The engine's state as it is shown. Sections that did not change keep their
//! `Arc`, and of ten thousand peers only the changed rows are made anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Engine, Link};
use crate::core::Now;
use crate::model::{
    AlsoCalled, AttemptsView, CacheView, Counters, DropReason, GossipView, KpiView, LinkRow, NodeInfo,
    PathTest, PeerId, PeerRow, PeerState, Phase, RelaysView, ReportingView, Snapshot, Stamp, Totals, clean,
};

/// The sections of the snapshot before.
#[derive(Debug)]
pub(super) struct ViewCache {
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

impl ViewCache {
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

impl Engine {
    /// Everything that is shown.
    pub fn snapshot(&mut self, now: Now) -> Snapshot {
        self.view.seq += 1;
        let links = self.link_rows(now);
        let links = renew(&mut self.view.links, links);
        let peers = self.peer_rows(now);
        let node = self.node_info(now);
        let node = match &self.view.node {
            Some(old) if **old == node => Arc::clone(old),
            _ => Arc::new(node),
        };
        self.view.node = Some(Arc::clone(&node));
        self.with_attempts(now, |attempts, view, _| attempts.refresh_next_steps(view));
        let mut attempts = self.attempts.view();
        attempts.live.extend(self.guesses.attempt());
        let gossip = self.gossip_view();
        let counters = self.counters();
        let relays = {
            let (mode, served) = (self.serving.mode(), self.serving.served());
            self.relaying.view(mode, served, &self.peers(now))
        };
        let tests = self.tests_view(now);
        Snapshot {
            seq: self.view.seq,
            at: now.stamp,
            node,
            peers,
            links,
            attempts: renew(&mut self.view.attempts, attempts),
            relays: renew(&mut self.view.relays, relays),
            gossip: renew(&mut self.view.gossip, gossip),
            nat: Arc::clone(self.nat.view()),
            kpi: renew(&mut self.view.kpi, self.kpi.view()),
            // Not the engine's: who reports puts its own in.
            reporting: Arc::clone(&self.view.reporting),
            counters: renew(&mut self.view.counters, counters),
            totals: renew(&mut self.view.totals, self.outbox.totals().clone()),
            tests: renew(&mut self.view.tests, tests),
        }
    }

    fn node_info(&self, now: Now) -> NodeInfo {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let set_aside = self.saving.set_aside().iter().map(|(file, detail)| format!("{file}: {detail}"));
        NodeInfo {
            peer_id: self.config.me,
            name: self.config.name.clone(),
            version: self.config.agent.clone(),
            network: self.config.network.clone(),
            local_addr: self.config.local_addr,
            no_ipv6: self.config.no_ipv6,
            observed_addrs: self.nat.seen_at(),
            started: self.view.started,
            phase: if self.leaving { Phase::Leaving } else { self.dialer.phase(now) },
            cache: CacheView {
                known: count(self.book.len()),
                tried: count(self.book.tried()),
                save: self.saving.view(),
                set_aside: Some(set_aside.collect::<Vec<_>>().join("; ")).filter(|s| !s.is_empty()),
            },
            probe_ports: self.config.probe_ports.clone(),
            no_probe_ports: self.config.no_probe_ports.clone(),
            used_twice: self.twice.view(now),
        }
    }

    fn link_rows(&self, now: Now) -> Vec<LinkRow> {
        let row = |(peer, link): (&PeerId, &Link)| {
            let status = link.status()?;
            Some(LinkRow {
                peer_id: *peer,
                path: status.info.path,
                remote_addr: status.info.remote,
                via: status.info.via,
                standby: link.standby().and_then(|lane| lane.via),
                rtt_ms: status.rtt_ms,
                since: now.stamp_of(status.since),
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

    fn peer_rows(&mut self, now: Now) -> Arc<Vec<Arc<PeerRow>>> {
        // Who is linked is seen again with every heartbeat.
        let mut due = self.outbox.take_changed();
        due.extend(self.links.iter().filter(|(_, l)| l.is_connected()).map(|(p, _)| *p));
        let mut changed = false;
        for peer in due {
            match self.peer_row(peer, now) {
                Some(row) if self.view.rows.get(&peer).is_some_and(|old| **old == row) => {}
                Some(row) => {
                    self.view.rows.insert(peer, Arc::new(row));
                    changed = true;
                }
                None => changed |= self.view.rows.remove(&peer).is_some(),
            }
        }
        if changed {
            self.view.peers = Arc::new(self.view.rows.values().cloned().collect());
        }
        Arc::clone(&self.view.peers)
    }

    fn peer_row(&self, peer: PeerId, now: Now) -> Option<PeerRow> {
        let entry = self.book.get(peer)?;
        let link = self.links.get(&peer);
        let status = link.and_then(Link::status);
        let record = entry.record();
        let greeting = link.and_then(Link::greeting).filter(|_| status.is_some());
        let claimed = record.map(|r| clean(&r.name)).filter(|n| !n.is_empty());
        let latest = self.attempts.latest(&peer);
        let due = self.dialer.due(&peer).filter(|_| status.is_none());
        let name = greeting.and_then(|g| g.name.clone()).or(claimed);
        let users = || name.iter().flat_map(|name| self.book.users_of(name, now.stamp));
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
            nat_type: self.peers(now).claimed_nat(&peer),
            state: self.peer_state(peer, now),
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
            tested: self.tested(&peer).map(Box::new),
        })
    }

    fn peer_state(&self, peer: PeerId, now: Now) -> PeerState {
        match self.links.get(&peer) {
            Some(link) if link.is_up() && link.status().is_some_and(|s| s.missed > 0) => PeerState::Suspect,
            Some(link) if link.is_up() => PeerState::Linked,
            Some(link) if link.is_foreign() => PeerState::Foreign,
            _ if self.attempts.towards(&peer).is_some() => PeerState::Connecting,
            _ if self.dialer.is_held_off(&peer, now.mono) => PeerState::HeldOff,
            _ => {
                let failed = self.book.get(peer).is_some_and(|e| e.measured.last_failure.is_some());
                if failed { PeerState::Unreachable } else { PeerState::Known }
            }
        }
    }

    fn counters(&self) -> Counters {
        let mut all: BTreeMap<DropReason, u64> = self.outbox.counters().collect();
        for (why, count) in self.gossip_counters().chain(self.serving.counters()) {
            *all.entry(why).or_default() += count;
        }
        Counters(all)
    }
}
