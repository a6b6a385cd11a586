//! Every kind of value, part by part. Whatever gets a new part does not compile
//! until somebody says here what becomes of it.

use std::sync::Arc;

use super::Mask;
use crate::model::{
    AlsoCalled, Attempt, AttemptsView, CacheView, Command, Confidence, Done, Event, EventKind, Failover,
    Failure, HostStatus, LinkReport, LinkRow, LogLine, MappingLifetime, NatSpell, NatView, NoProbePorts,
    NodeInfo, Outcome, PathTest, PeerId, PeerRow, PortOrder, Reason, RelaysView, ReportingView,
    ReservationRow, RouterStatus, SaveState, ServedRow, Snapshot, StageReport, TestedPath, UsedTwice,
    Vantage, Why, WhyFact, WhyLine, WireStatus,
};
use crate::tui::entry::Entry;
use crate::tui::lab::{DrillStage, DrillView, LabSaid, LabView};

impl Mask {
    pub(super) fn ids(&mut self, id: Option<PeerId>) -> Option<PeerId> {
        id.map(|id| self.id(id))
    }

    pub(super) fn row(&mut self, row: &PeerRow) -> PeerRow {
        PeerRow {
            peer_id: self.id(row.peer_id),
            name: row.name.as_ref().map(|name| self.name(row.peer_id, name)),
            linked_as: row.linked_as,
            also: row
                .also
                .as_deref()
                .map(|also| Box::new(AlsoCalled { peer_id: self.id(also.peer_id), until: also.until })),
            first_hand: row.first_hand,
            addresses: row.addresses.iter().map(|addr| self.addr(*addr)).collect(),
            nat_type: row.nat_type,
            state: row.state,
            path: row.path,
            rtt_ms: row.rtt_ms,
            attempts: row.attempts,
            successes: row.successes,
            last_seen: row.last_seen,
            tried: row.tried,
            source: row.source,
            version: row.version,
            last_failure: row.last_failure.as_ref().map(|reason| self.reason(reason)),
            next_attempt: row.next_attempt,
            attempt: row.attempt,
            tested: row.tested.clone(),
        }
    }

    /// Rows that changed, for a file.
    pub(in crate::tui::history) fn change(
        &mut self,
        (id, row): &(PeerId, Option<Arc<PeerRow>>),
    ) -> (PeerId, Option<Arc<PeerRow>>) {
        (self.id(*id), row.as_ref().map(|row| Arc::new(self.row(row))))
    }

    /// A state without its peers.
    pub(in crate::tui::history) fn rest(&mut self, snapshot: &Snapshot) -> Snapshot {
        // First who is who: texts elsewhere may name them.
        let node = Arc::new(self.node(&snapshot.node));
        Snapshot {
            seq: snapshot.seq,
            at: snapshot.at,
            node,
            peers: Arc::default(),
            links: Arc::new(snapshot.links.iter().map(|link| self.link(link)).collect()),
            attempts: Arc::new(self.attempts(&snapshot.attempts)),
            relays: Arc::new(self.relays(&snapshot.relays)),
            // Only numbers.
            gossip: Arc::clone(&snapshot.gossip),
            nat: Arc::new(self.nat(&snapshot.nat)),
            kpi: Arc::clone(&snapshot.kpi),
            reporting: Arc::new(self.reporting(&snapshot.reporting)),
            counters: Arc::clone(&snapshot.counters),
            totals: Arc::clone(&snapshot.totals),
            tests: Arc::new(snapshot.tests.iter().map(|test| Arc::new(self.test(test))).collect()),
        }
        .in_order()
    }

    fn node(&mut self, node: &NodeInfo) -> NodeInfo {
        let CacheView { known, tried, save, set_aside } = &node.cache;
        let save = match save {
            SaveState::Failed { detail, since } => {
                SaveState::Failed { detail: self.text(detail), since: *since }
            }
            SaveState::Empty | SaveState::Saved { .. } | SaveState::Due => save.clone(),
        };
        NodeInfo {
            peer_id: self.id(node.peer_id),
            name: self.name(node.peer_id, &node.name),
            version: node.version.clone(),
            network: self.network(&node.network),
            local_addr: self.addr(node.local_addr),
            no_ipv6: node.no_ipv6,
            observed_addrs: node.observed_addrs.iter().map(|addr| self.addr(*addr)).collect(),
            started: node.started,
            phase: node.phase.clone(),
            cache: CacheView {
                known: *known,
                tried: *tried,
                save,
                set_aside: set_aside.as_ref().map(|text| self.text(text)),
            },
            probe_ports: node.probe_ports.iter().map(|port| self.port(*port)).collect(),
            no_probe_ports: node.no_probe_ports.as_ref().map(|why| self.no_probe_ports(why)),
            used_twice: node.used_twice.iter().map(|twice| self.used_twice(twice)).collect(),
        }
    }

    fn used_twice(&mut self, twice: &UsedTwice) -> UsedTwice {
        UsedTwice {
            peer_id: self.id(twice.peer_id),
            addresses: twice.addresses.iter().map(|addr| self.addr(*addr)).collect(),
            since: twice.since,
        }
    }

    fn no_probe_ports(&self, why: &NoProbePorts) -> NoProbePorts {
        match why {
            NoProbePorts::Off => NoProbePorts::Off,
            NoProbePorts::Unbound { detail } => NoProbePorts::Unbound { detail: self.text(detail) },
        }
    }

    fn link(&mut self, link: &LinkRow) -> LinkRow {
        LinkRow {
            peer_id: self.id(link.peer_id),
            path: link.path,
            remote_addr: self.addr(link.remote_addr),
            via: self.ids(link.via),
            standby: self.ids(link.standby),
            rtt_ms: link.rtt_ms,
            since: link.since,
            outbound: link.outbound,
            bytes_tx: link.bytes_tx,
            bytes_rx: link.bytes_rx,
            missed: link.missed,
            observed: link.observed.map(|addr| self.addr(addr)),
            clock_skew_ms: link.clock_skew_ms,
            foreign: link.foreign,
        }
    }

    fn attempts(&mut self, view: &AttemptsView) -> AttemptsView {
        let mut all = |list: &[Arc<Attempt>]| list.iter().map(|a| Arc::new(self.attempt(a))).collect();
        AttemptsView { live: all(&view.live), recent: all(&view.recent), ended: view.ended }
    }

    fn attempt(&mut self, attempt: &Attempt) -> Attempt {
        Attempt {
            id: attempt.id,
            peer_id: self.ids(attempt.peer_id),
            target: attempt.target.map(|addr| self.addr(addr)),
            cause: attempt.cause,
            started: attempt.started,
            outcome: attempt.outcome,
            path: attempt.path,
            elapsed_ms: attempt.elapsed_ms,
            stages: self.stages(&attempt.stages),
            next: attempt.next.clone(),
        }
    }

    fn stages(&mut self, stages: &[StageReport]) -> Vec<StageReport> {
        let masked = |stage: &StageReport| StageReport {
            stage: stage.stage,
            outcome: stage.outcome,
            reason: stage.reason.as_ref().map(|reason| self.reason(reason)),
            started: stage.started,
            elapsed_ms: stage.elapsed_ms,
            via: self.ids(stage.via),
            guess: stage.guess,
        };
        stages.iter().map(masked).collect()
    }

    fn relays(&mut self, view: &RelaysView) -> RelaysView {
        let mut row = |row: &ReservationRow| ReservationRow {
            relay: self.id(row.relay),
            public_addr: row.public_addr.map(|addr| self.addr(addr)),
            role: row.role,
            state: row.state,
            rtt_ms: row.rtt_ms,
            expires: row.expires,
            bytes_tx: row.bytes_tx,
            bytes_rx: row.bytes_rx,
        };
        RelaysView {
            reservations: view.reservations.iter().map(&mut row).collect(),
            mode: view.mode,
            served: view.served.iter().map(|row| self.served(row)).collect(),
            served_bytes: view.served_bytes,
            last_failover: view.last_failover.as_ref().map(|over| self.failover(over)),
        }
    }

    fn served(&mut self, row: &ServedRow) -> ServedRow {
        ServedRow {
            peer_id: self.id(row.peer_id),
            public_addr: self.addr(row.public_addr),
            since: row.since,
            bytes_tx: row.bytes_tx,
            bytes_rx: row.bytes_rx,
            tx_per_s: row.tx_per_s,
            rx_per_s: row.rx_per_s,
            dropped: row.dropped,
        }
    }

    fn failover(&mut self, over: &Failover) -> Failover {
        Failover {
            at: over.at,
            from: self.id(over.from),
            to: self.ids(over.to),
            gap_ms: over.gap_ms,
            lost: over.lost,
        }
    }

    fn nat(&mut self, nat: &NatView) -> NatView {
        let ports = nat.ports.map(|ports| match ports {
            PortOrder::Steps { step, last } => PortOrder::Steps { step, last: self.port(last) },
            PortOrder::Random => PortOrder::Random,
        });
        let mut vantage =
            |v: &Vantage| Vantage { peer_id: self.id(v.peer_id), seen: self.addr(v.seen), agrees: v.agrees };
        NatView {
            nat_type: nat.nat_type,
            mapping: nat.mapping,
            filtering: nat.filtering,
            port_preservation: nat.port_preservation,
            ports,
            hairpinning: nat.hairpinning,
            confidence: nat.confidence,
            vantage_points: nat.vantage_points.iter().map(&mut vantage).collect(),
            evidence: nat.evidence.iter().map(|seen| self.seen(seen)).collect(),
            measured: nat.measured,
            lifetime: nat.lifetime.map(|l| MappingLifetime {
                at_least_s: l.at_least_s,
                less_than_s: l.less_than_s,
                by: self.id(l.by),
                measured: l.measured,
                under_way: l.under_way,
            }),
            again_since: nat.again_since,
            history: nat.history.iter().map(|s| NatSpell { at: s.at.map(|ip| self.ip(ip)), ..*s }).collect(),
            reason: nat.reason.as_ref().map(|reason| self.reason(reason)),
            nat6: nat.nat6.as_ref().map(|nat6| Box::new(self.nat(nat6))),
        }
    }

    fn reporting(&self, view: &ReportingView) -> ReportingView {
        ReportingView { trouble: view.trouble.as_ref().map(|text| self.text(text)), ..view.clone() }
    }

    pub(super) fn reason(&mut self, reason: &Reason) -> Reason {
        match reason {
            Reason::WrongIdentity { got } => Reason::WrongIdentity { got: self.id(*got) },
            Reason::Handshake { detail } => Reason::Handshake { detail: self.text(detail) },
            Reason::OtherVersion { theirs, ours, theirs_is_older } => {
                let (theirs, ours) = (self.text(theirs), ours.clone());
                Reason::OtherVersion { theirs, ours, theirs_is_older: *theirs_is_older }
            }
            Reason::NoProbeSocket { detail } => Reason::NoProbeSocket { detail: self.text(detail) },
            Reason::Other { detail } => Reason::Other { detail: self.text(detail) },
            Reason::Limit { .. }
            | Reason::NoWay { .. }
            | Reason::NoAnswer { .. }
            | Reason::Refused { .. }
            | Reason::NoAddress
            | Reason::OwnAddress
            | Reason::Closed { .. }
            | Reason::ConnectionTimedOut
            | Reason::Foreign
            | Reason::HeartbeatsMissed { .. }
            | Reason::HeldOff { .. }
            | Reason::HeldOffThere
            | Reason::NatChanging
            | Reason::AskedAnew
            | Reason::ShuttingDown
            | Reason::LoopbackCannotBePunched
            | Reason::NoCommonFamily
            | Reason::NoIntermediary
            | Reason::TargetFilters { .. }
            | Reason::Unpunchable { .. }
            | Reason::NoConsent
            | Reason::NobodyToInvite
            | Reason::RateLimited
            | Reason::UnknownTarget
            | Reason::TimedOut { .. }
            | Reason::NotNeeded
            | Reason::InboundWon
            | Reason::NatChanged
            | Reason::NotRequested
            | Reason::NoRelay
            | Reason::NoRelayInUse
            | Reason::NoStandby
            | Reason::ChosenByPeer
            | Reason::LeftRelay { .. }
            | Reason::TooSoon { .. }
            | Reason::UnknownRelay
            | Reason::ReservationTaken
            | Reason::RelayRefused { .. }
            | Reason::NothingCameBack
            | Reason::RelayLost
            | Reason::NotServed
            | Reason::UnknownPeer
            | Reason::NotLinked
            | Reason::NoLinks
            | Reason::Busy
            | Reason::ReadOnly
            | Reason::OnlyInDrills
            | Reason::NodeLost
            | Reason::NoVantagePoints
            | Reason::LoopbackHasNoNat
            | Reason::VantagePointsDisagree
            | Reason::TooFewDialBacks
            | Reason::Unmet { .. }
            | Reason::Unwitnessed
            | Reason::NoGuessing
            | Reason::GuessBusy
            | Reason::OfferUnanswered
            | Reason::Unguessable
            | Reason::NoTesting
            | Reason::TestBusy
            | Reason::TestedTooOften
            | Reason::PathGone
            | Reason::CannotBeTested
            | Reason::CalledOff
            | Reason::EndedThere
            | Reason::TestRuns
            | Reason::NoTestRuns
            | Reason::NothingEchoed => reason.clone(),
        }
    }

    pub(in crate::tui::history) fn event(&mut self, event: &Event) -> Event {
        Event { seq: event.seq, at: event.at, peer_id: self.ids(event.peer_id), kind: self.kind(&event.kind) }
    }

    fn kind(&mut self, kind: &EventKind) -> EventKind {
        let mut kind = kind.clone();
        match &mut kind {
            EventKind::NodeStarted { local_addr, no_ipv6: _, probe_ports, cached: _ } => {
                *local_addr = self.addr(*local_addr);
                for port in probe_ports {
                    *port = self.port(*port);
                }
            }
            EventKind::NatNoResponder { reason } => *reason = self.no_probe_ports(reason),
            EventKind::LinkUp { remote_addr: addr, .. }
            | EventKind::RelayReserved { public_addr: addr, .. }
            | EventKind::RelayServing { public_addr: addr }
            | EventKind::PeerVerifiedPublic { addr } => *addr = self.addr(*addr),
            EventKind::IdentityUsedTwice { addresses } => {
                for addr in addresses {
                    *addr = self.addr(*addr);
                }
            }
            EventKind::AddressesChanged { addresses } => {
                for ip in addresses {
                    *ip = self.ip(*ip);
                }
            }
            EventKind::StageStarted { via: id, .. }
            | EventKind::TestStage { via: id, .. }
            | EventKind::LinkMoved { via: id, .. }
            | EventKind::PeerAdded { from: id } => {
                *id = self.ids(*id);
            }
            EventKind::StageEnded { reason, .. } => *reason = reason.as_ref().map(|r| self.reason(r)),
            EventKind::PeerOtherVersion { reason }
            | EventKind::LinkDown { reason }
            | EventKind::RelayRefused { reason }
            | EventKind::RelayFailed { reason }
            | EventKind::PeerRemoved { reason } => *reason = self.reason(reason),
            EventKind::RelayDead { reason, successor } => {
                (*reason, *successor) = (self.reason(reason), self.ids(*successor));
            }
            EventKind::NatChanged { reason, .. } => {
                *reason = reason.as_ref().map(|reason| self.reason(reason));
            }
            EventKind::CacheSaveFailed { detail: text, .. }
            | EventKind::CacheSetAside { detail: text, .. } => *text = self.text(text),
            EventKind::TaskFaulted { task, detail } => {
                (*task, *detail) = (self.text(task), self.text(detail));
            }
            EventKind::NodeIsolated { .. }
            | EventKind::NodeJoined { .. }
            | EventKind::NodeRejoined { .. }
            | EventKind::LimitHit { .. }
            | EventKind::SendsRefused { .. }
            | EventKind::AttemptStarted { .. }
            | EventKind::AttemptEnded { .. }
            | EventKind::LinkSuspect { .. }
            | EventKind::LinkRestored { .. }
            | EventKind::PeerForeign
            | EventKind::RelaySuspect { .. }
            | EventKind::RelayReleased
            | EventKind::RelayServedEnded { .. }
            | EventKind::TestStarted { .. }
            | EventKind::TestEnded { .. }
            | EventKind::TestServed { .. }
            | EventKind::PeersAdded { .. }
            | EventKind::PeerLeft
            | EventKind::GossipSync { .. }
            | EventKind::GossipRepair { .. }
            | EventKind::RecordPublished { .. }
            | EventKind::CacheSavedAgain => {}
        }
        kind
    }

    pub(in crate::tui::history) fn outcome(&mut self, outcome: &Outcome) -> Outcome {
        let result = match &outcome.result {
            Ok(done) => Ok(self.done(done)),
            Err(Failure { reason, report }) => Err(Failure {
                reason: self.reason(reason),
                report: report.as_ref().map(|report| Box::new(self.report(report))),
            }),
        };
        Outcome { id: outcome.id, command: self.command(&outcome.command), result }
    }

    fn done(&mut self, done: &Done) -> Done {
        match done {
            Done::Connected(report) => Done::Connected(self.report(report)),
            Done::Staged(report) => Done::Staged(self.report(report)),
            Done::NothingToDo(report) => Done::NothingToDo(self.report(report)),
            Done::EndedServed { peer_id, kept_off_ms } => {
                Done::EndedServed { peer_id: self.id(*peer_id), kept_off_ms: *kept_off_ms }
            }
            Done::Disconnected { peer_id } => Done::Disconnected { peer_id: self.id(*peer_id) },
            Done::Probed(nat) => Done::Probed(Box::new(self.nat(nat))),
            Done::FailedOver(over) => Done::FailedOver(self.failover(over)),
            Done::Tested(test) => Done::Tested(Box::new(self.test(test))),
            Done::EndedTest { peer_id } => Done::EndedTest { peer_id: self.id(*peer_id) },
            Done::Explained(why) => Done::Explained(Box::new(self.why(why))),
            Done::Synced(_) | Done::Left | Done::Echoed(_) | Done::WillLose => done.clone(),
        }
    }

    fn test(&mut self, test: &PathTest) -> PathTest {
        let paths = test.paths.iter().map(|path| self.tested(path)).collect();
        PathTest { peer_id: self.id(test.peer_id), paths, ..*test }
    }

    pub(super) fn tested(&mut self, path: &TestedPath) -> TestedPath {
        TestedPath {
            via: self.ids(path.via),
            reason: path.reason.as_ref().map(|reason| self.reason(reason)),
            ..path.clone()
        }
    }

    fn report(&mut self, report: &LinkReport) -> LinkReport {
        LinkReport {
            peer_id: self.id(report.peer_id),
            before: report.before,
            path: report.path,
            elapsed_ms: report.elapsed_ms,
            stages: self.stages(&report.stages),
            note: report.note.as_ref().map(|reason| self.reason(reason)),
        }
    }

    fn why(&mut self, why: &Why) -> Why {
        let mut line =
            |l: &WhyLine| WhyLine { at_ms: l.at_ms, who: self.id(l.who), what: self.trace(&l.what) };
        let timeline = why.timeline.iter().map(&mut line).collect();
        let mut fact = |f: &WhyFact| WhyFact {
            known: self.known(&f.known),
            provenance: f.provenance,
            by: self.ids(f.by),
            at: f.at,
        };
        let facts = why.facts.iter().map(&mut fact).collect();
        Why {
            peer_id: self.id(why.peer_id),
            at: why.at,
            path: why.path,
            verdict: self.verdict(&why.verdict),
            nats: why.nats,
            confidence: Confidence {
                level: why.confidence.level,
                because: self.because(&why.confidence.because),
            },
            timeline,
            evidence: why.evidence.iter().map(|evidence| self.evidence(evidence)).collect(),
            would_help: why.would_help.iter().map(|help| self.help(help)).collect(),
            next: why.next.clone(),
            facts,
        }
    }

    /// A command about a pseudonym.
    pub(crate) fn command(&mut self, command: &Command) -> Command {
        let mut command = command.clone();
        if let Some(peer) = command.peer() {
            let masked = self.id(peer);
            command.rename(|_| masked);
        }
        command
    }

    /// And about whom it really is.
    pub(crate) fn real_command(&self, mut command: Command) -> Command {
        command.rename(|peer| self.real_id(peer));
        command
    }

    pub(in crate::tui::history) fn entry(&mut self, entry: &Entry) -> Entry {
        match entry {
            Entry::Event(event) => Entry::Event(Arc::new(self.event(event))),
            Entry::Outcome { at, outcome } => {
                Entry::Outcome { at: *at, outcome: Arc::new(self.outcome(outcome)) }
            }
            Entry::Fault { at, text } => Entry::Fault { at: *at, text: self.text(text) },
            Entry::Lost { at, events } => Entry::Lost { at: *at, events: *events },
        }
    }

    pub(in crate::tui::history) fn line(&self, line: &LogLine) -> LogLine {
        LogLine {
            at: line.at,
            level: line.level,
            target: self.text(&line.target),
            text: self.text(&line.text),
        }
    }

    pub(super) fn lab_view(&mut self, view: &LabView) -> LabView {
        let router = |mask: &Self, r: &RouterStatus| RouterStatus {
            name: mask.text(&r.name),
            nat: r.nat,
            built: r.built,
        };
        let mut node = |n: &HostStatus| HostStatus {
            name: self.name(n.peer_id, &n.name),
            peer_id: self.id(n.peer_id),
            region: n.region.clone(),
            router: n.router.as_ref().map(|r| router(self, r)),
            up: n.up,
            cut: n.cut,
            wrong: n.wrong.clone(),
        };
        let nodes = view.nodes.iter().map(&mut node).collect();
        let link = |l: &WireStatus| WireStatus {
            between: l.between.clone(),
            rtt_ms: l.rtt_ms,
            cut: l.cut,
            wrong: l.wrong.clone(),
            spoilt: l.spoilt,
        };
        let said = |s: &LabSaid| LabSaid { n: s.n, done: s.done, text: self.text(&s.text) };
        LabView {
            kind: view.kind.clone(),
            no_network: view.no_network.clone(),
            shown: self.text(&view.shown),
            nodes,
            links: view.links.iter().map(link).collect(),
            doing: view.doing.as_ref().map(|text| self.text(text)),
            said: view.said.as_ref().map(said),
            // Built-in ones, or files of the operator's own.
            drills: view.drills.clone(),
            drill: view.drill.as_ref().map(|drill| self.drill(drill)),
        }
    }

    fn drill(&self, drill: &DrillView) -> DrillView {
        let mut drill = drill.clone();
        match &mut drill.stage {
            DrillStage::Running { what: text, .. } | DrillStage::Ended { reason: Some(text), .. } => {
                *text = self.text(text);
            }
            DrillStage::Building | DrillStage::Ending | DrillStage::Ended { reason: None, .. } => {}
        }
        for check in &mut drill.checks {
            check.name = self.text(&check.name);
        }
        drill
    }
}

impl Snapshot {
    /// With its links in the order of their ids, where those have become others.
    fn in_order(mut self) -> Self {
        Arc::make_mut(&mut self.links).sort_by_key(|link| link.peer_id);
        self
    }
}
