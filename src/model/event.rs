//! Events: what happened, when, to whom.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    AttemptId, AttemptOutcome, Cause, CloseCode, DropReason, NatType, NoProbePorts, Path, PeerId, Reason,
    RelayRole, ServedEnd, StageKind, StageOutcome, Stamp, TestPhase, nat_summary, took,
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 1 in each run of a node; a gap means dropped events.
    pub seq: u64,
    /// When.
    pub at: Stamp,
    /// To whom, if to anybody.
    pub peer_id: Option<PeerId>,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. The serialised name is `area.what`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum EventKind {
    /// The node listens.
    #[serde(rename = "node.started")]
    NodeStarted {
        /// Where.
        local_addr: SocketAddr,
        /// Whether by IPv4 alone because this host has no IPv6.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_ipv6: bool,
        /// At which ports it answers the NAT probes of others.
        #[serde(default)]
        probe_ports: Vec<u16>,
        /// Peers the cache held.
        cached: u32,
    },
    /// No links, and nothing left to dial until the backoff is over.
    #[serde(rename = "node.isolated")]
    NodeIsolated {
        /// How long until the next try, in milliseconds.
        retry_ms: u64,
    },
    /// The first link of all.
    #[serde(rename = "node.joined")]
    NodeJoined {
        /// How long it took, in milliseconds.
        after_ms: u64,
    },
    /// The first link after isolation.
    #[serde(rename = "node.rejoined")]
    NodeRejoined {
        /// How long we were alone, in milliseconds.
        alone_ms: u64,
    },
    /// The host sends from other addresses than before.
    #[serde(rename = "node.addresses_changed")]
    AddressesChanged {
        /// One per family that leads somewhere.
        addresses: Vec<IpAddr>,
    },
    /// The system does not let us send. Told once a minute.
    #[serde(rename = "node.sends_refused")]
    SendsRefused {
        /// Why.
        why: SendTrouble,
        /// Datagrams that are lost because of it, since this was last told.
        count: u64,
    },
    /// An attempt began.
    #[serde(rename = "attempt.started")]
    AttemptStarted {
        /// Which.
        attempt: AttemptId,
        /// Why.
        cause: Cause,
    },
    /// A stage began.
    #[serde(rename = "stage.started")]
    StageStarted {
        /// Of which attempt.
        attempt: AttemptId,
        /// Which rung.
        stage: StageKind,
        /// Through whom.
        via: Option<PeerId>,
    },
    /// A stage ended.
    #[serde(rename = "stage.ended")]
    StageEnded {
        /// Of which attempt.
        attempt: AttemptId,
        /// Which rung.
        stage: StageKind,
        /// How.
        outcome: StageOutcome,
        /// Why.
        reason: Option<Reason>,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// An attempt ended.
    #[serde(rename = "attempt.ended")]
    AttemptEnded {
        /// Which.
        attempt: AttemptId,
        /// How.
        outcome: AttemptOutcome,
        /// The path that came of it.
        path: Option<Path>,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// A link is usable.
    #[serde(rename = "link.up")]
    LinkUp {
        /// Its path.
        path: Path,
        /// The address in use.
        remote_addr: SocketAddr,
        /// Whether we dialled.
        outbound: bool,
    },
    /// A link moved to another connection.
    #[serde(rename = "link.moved")]
    LinkMoved {
        /// From.
        from: Path,
        /// To.
        to: Path,
        /// The relay that it runs over now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<PeerId>,
        /// Between the last frame on the old and the first on the new path, in
        /// milliseconds.
        gap_ms: u64,
    },
    /// A heartbeat is overdue.
    #[serde(rename = "link.suspect")]
    LinkSuspect {
        /// How many in a row.
        missed: u32,
    },
    /// A link came back within its session.
    #[serde(rename = "link.restored")]
    LinkRestored {
        /// Its path.
        path: Path,
        /// How long nothing came, in milliseconds.
        gap_ms: u64,
    },
    /// A link is gone.
    #[serde(rename = "link.down")]
    LinkDown {
        /// Why.
        reason: Reason,
    },
    /// A peer of another version: there is no protocol that both speak.
    #[serde(rename = "peer.other_version")]
    PeerOtherVersion {
        /// Which versions, and which end is to be upgraded.
        reason: Reason,
    },
    /// A connected peer does not speak our protocol.
    #[serde(rename = "peer.foreign")]
    PeerForeign,
    /// An identity is used in two places; ours, where the peer is this node.
    #[serde(rename = "identity.used_twice")]
    IdentityUsedTwice {
        /// Where, as far as that is known.
        addresses: Vec<SocketAddr>,
    },
    /// A relay gave us an address.
    #[serde(rename = "relay.reserved")]
    RelayReserved {
        /// The address.
        public_addr: SocketAddr,
        /// What it is for.
        role: RelayRole,
    },
    /// A relay gives us no address.
    #[serde(rename = "relay.refused")]
    RelayRefused {
        /// Why.
        reason: Reason,
    },
    /// Asking a relay for an address came to nothing, and not by its word.
    #[serde(rename = "relay.failed")]
    RelayFailed {
        /// Why.
        reason: Reason,
    },
    /// An answer of a relay we use is overdue.
    #[serde(rename = "relay.suspect")]
    RelaySuspect {
        /// How many in a row.
        missed: u32,
    },
    /// A relay we used is lost.
    #[serde(rename = "relay.dead")]
    RelayDead {
        /// Why.
        reason: Reason,
        /// The one that takes over, if there is one.
        successor: Option<PeerId>,
    },
    /// A reservation was given up; nothing ran over it any more.
    #[serde(rename = "relay.released")]
    RelayReleased,
    /// We began to relay for a peer.
    #[serde(rename = "relay.serving")]
    RelayServing {
        /// Where others reach it through us.
        public_addr: SocketAddr,
    },
    /// We relay for a peer no more.
    #[serde(rename = "relay.served_ended")]
    RelayServedEnded {
        /// Why.
        reason: ServedEnd,
        /// Bytes of datagrams sent for it.
        bytes_tx: u64,
        /// Bytes of datagrams that came for it.
        bytes_rx: u64,
    },
    /// A test of the paths to a peer began.
    #[serde(rename = "test.started")]
    TestStarted {
        /// How many paths.
        paths: u32,
        /// How long each is tested, in milliseconds.
        for_ms: u32,
    },
    /// It came to another stage, or to another path.
    #[serde(rename = "test.stage")]
    TestStage {
        /// Which path.
        path: Path,
        /// The relay that carries it.
        via: Option<PeerId>,
        /// Which stage.
        phase: TestPhase,
    },
    /// It is over.
    #[serde(rename = "test.ended")]
    TestEnded {
        /// Whether anything was measured.
        measured: bool,
    },
    /// A peer tests a path to us, with our consent.
    #[serde(rename = "test.served")]
    TestServed {
        /// For how long, in milliseconds.
        for_ms: u32,
    },
    /// A peer entered the cache.
    #[serde(rename = "peer.added")]
    PeerAdded {
        /// Who told us, if somebody did.
        from: Option<PeerId>,
    },
    /// Many peers entered the cache at once.
    #[serde(rename = "peers.added")]
    PeersAdded {
        /// How many.
        count: u64,
    },
    /// A peer left the cache.
    #[serde(rename = "peer.removed")]
    PeerRemoved {
        /// Why.
        reason: Reason,
    },
    /// A peer said goodbye.
    #[serde(rename = "peer.left")]
    PeerLeft,
    /// Records were exchanged in full.
    #[serde(rename = "gossip.sync")]
    GossipSync {
        /// Records sent.
        sent: u64,
        /// Records received.
        received: u64,
        /// Records that were new to us.
        new: u64,
    },
    /// The digest found and repaired differences.
    #[serde(rename = "gossip.repair")]
    GossipRepair {
        /// Records we sent to repair the other end.
        sent: u64,
        /// Records we asked for.
        asked: u64,
    },
    /// Our own record changed.
    #[serde(rename = "record.published")]
    RecordPublished {
        /// Its version.
        version: u64,
    },
    /// Our own NAT was measured to be of another type.
    #[serde(rename = "nat.changed")]
    NatChanged {
        /// The type before.
        from: NatType,
        /// The type now.
        to: NatType,
        /// Whether that is none, behind a firewall.
        firewalled: bool,
        /// Why the type is unknown, if it is.
        reason: Option<Reason>,
        /// Whether it is about IPv6.
        ipv6: bool,
    },
    /// There are no ports for other nodes' NAT probes: we measure, but nobody
    /// can measure with us.
    #[serde(rename = "nat.no_responder")]
    NatNoResponder {
        /// Why.
        reason: NoProbePorts,
    },
    /// A dial of ours from a fresh socket reached a peer that claims to be
    /// public.
    #[serde(rename = "peer.public")]
    PeerVerifiedPublic {
        /// Where.
        addr: SocketAddr,
    },
    /// A limit stopped something.
    #[serde(rename = "limit.hit")]
    LimitHit {
        /// Which.
        limit: DropReason,
    },
    /// The cache could not be saved.
    #[serde(rename = "cache.save_failed")]
    CacheSaveFailed {
        /// What the system said.
        detail: String,
        /// When the next try is due, in milliseconds.
        retry_ms: u64,
    },
    /// The cache was saved again after a failure.
    #[serde(rename = "cache.saved_again")]
    CacheSavedAgain,
    /// A damaged file was set aside.
    #[serde(rename = "cache.set_aside")]
    CacheSetAside {
        /// The file.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A background task died; what it did is not done any more.
    #[serde(rename = "task.faulted")]
    TaskFaulted {
        /// Which task.
        task: String,
        /// What it said.
        detail: String,
    },
}

impl EventKind {
    /// The machine-readable name, `area.what`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NodeStarted { .. } => "node.started",
            Self::NodeIsolated { .. } => "node.isolated",
            Self::NodeJoined { .. } => "node.joined",
            Self::NodeRejoined { .. } => "node.rejoined",
            Self::AddressesChanged { .. } => "node.addresses_changed",
            Self::SendsRefused { .. } => "node.sends_refused",
            Self::AttemptStarted { .. } => "attempt.started",
            Self::StageStarted { .. } => "stage.started",
            Self::StageEnded { .. } => "stage.ended",
            Self::AttemptEnded { .. } => "attempt.ended",
            Self::LinkUp { .. } => "link.up",
            Self::LinkMoved { .. } => "link.moved",
            Self::LinkSuspect { .. } => "link.suspect",
            Self::LinkRestored { .. } => "link.restored",
            Self::LinkDown { .. } => "link.down",
            Self::PeerForeign => "peer.foreign",
            Self::PeerOtherVersion { .. } => "peer.other_version",
            Self::IdentityUsedTwice { .. } => "identity.used_twice",
            Self::RelayReserved { .. } => "relay.reserved",
            Self::RelayRefused { .. } => "relay.refused",
            Self::RelayFailed { .. } => "relay.failed",
            Self::RelaySuspect { .. } => "relay.suspect",
            Self::RelayDead { .. } => "relay.dead",
            Self::RelayReleased => "relay.released",
            Self::RelayServing { .. } => "relay.serving",
            Self::RelayServedEnded { .. } => "relay.served_ended",
            Self::TestStarted { .. } => "test.started",
            Self::TestStage { .. } => "test.stage",
            Self::TestEnded { .. } => "test.ended",
            Self::TestServed { .. } => "test.served",
            Self::PeerAdded { .. } => "peer.added",
            Self::PeersAdded { .. } => "peers.added",
            Self::PeerRemoved { .. } => "peer.removed",
            Self::PeerLeft => "peer.left",
            Self::GossipSync { .. } => "gossip.sync",
            Self::GossipRepair { .. } => "gossip.repair",
            Self::RecordPublished { .. } => "record.published",
            Self::NatChanged { .. } => "nat.changed",
            Self::NatNoResponder { .. } => "nat.no_responder",
            Self::PeerVerifiedPublic { .. } => "peer.public",
            Self::LimitHit { .. } => "limit.hit",
            Self::CacheSaveFailed { .. } => "cache.save_failed",
            Self::CacheSavedAgain => "cache.saved_again",
            Self::CacheSetAside { .. } => "cache.set_aside",
            Self::TaskFaulted { .. } => "task.faulted",
        }
    }

    /// Whether a person should look at it.
    pub fn is_trouble(&self) -> bool {
        match self {
            // The link goes on over another connection.
            Self::LinkDown { reason: Reason::Closed { close: Some(CloseCode::Replaced) } } => false,
            Self::NodeIsolated { .. }
            | Self::SendsRefused { .. }
            | Self::IdentityUsedTwice { .. }
            | Self::PeerOtherVersion { .. }
            | Self::LinkSuspect { .. }
            | Self::LinkDown { .. }
            | Self::RelayRefused { .. }
            | Self::RelayFailed { .. }
            | Self::RelaySuspect { .. }
            | Self::RelayDead { .. }
            | Self::NatNoResponder { reason: NoProbePorts::Unbound { .. } }
            | Self::LimitHit { .. }
            | Self::CacheSaveFailed { .. }
            | Self::CacheSetAside { .. }
            | Self::TaskFaulted { .. } => true,
            Self::AttemptEnded { outcome, .. } => *outcome == AttemptOutcome::Unreachable,
            Self::StageEnded { outcome, .. } => *outcome == StageOutcome::Failed,
            _ => false,
        }
    }
}

/// Why the system does not send what we hand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendTrouble {
    /// A rule of this host forbids it: a firewall, or the unit of its service.
    Forbidden,
    /// There is no way to that network.
    NoRoute,
    /// Its queues are full, or something else is wrong.
    Other,
}

impl SendTrouble {
    /// What it means for somebody whom we would send to.
    pub fn there(self) -> &'static str {
        match self {
            Self::Forbidden => {
                "this host forbids sending there: a firewall of its own, or its service's unit"
            }
            Self::NoRoute => "this host has no route there",
            Self::Other => "this host's system refuses to send there",
        }
    }

    /// What it means where it holds for everybody, as a word.
    pub fn state(self) -> &'static str {
        match self {
            Self::NoRoute => "no network",
            Self::Forbidden | Self::Other => "sending forbidden",
        }
    }
}

impl fmt::Display for SendTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forbidden => "this host's own rules forbid sending them",
            Self::NoRoute => "this host has no route there",
            Self::Other => "this host's system refused to send them",
        })
    }
}

/// The details in words, without time, name and peer.
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeStarted { local_addr, no_ipv6, probe_ports, cached } => {
                let alone = if *no_ipv6 { " alone, for this host has no IPv6" } else { "" };
                write!(f, "listens on {local_addr}{alone}, {cached} peers in the cache")?;
                match probe_ports[..] {
                    [one, other] => write!(f, ", answers NAT probes at ports {one} and {other}"),
                    _ => Ok(()),
                }
            }
            Self::NodeIsolated { retry_ms } => {
                write!(f, "no links, next try in {:.1} s", *retry_ms as f64 / 1e3)
            }
            Self::NodeJoined { after_ms } => write!(f, "first link after {:.1} s", *after_ms as f64 / 1e3),
            Self::NodeRejoined { alone_ms } => {
                write!(f, "a link again after {:.1} s without any", *alone_ms as f64 / 1e3)
            }
            Self::AddressesChanged { addresses } if addresses.is_empty() => {
                f.write_str("this host has no address that leads anywhere now")
            }
            Self::IdentityUsedTwice { addresses } => {
                let at = super::snapshot::twice_at(addresses);
                write!(f, "one identity, used {at}: one of the two needs a key of its own")
            }
            Self::AddressesChanged { addresses } => {
                let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "this host sends from {} now", list.join(" and "))
            }
            Self::SendsRefused { why, count } => write!(f, "{count} datagrams lost: {why}"),
            Self::AttemptStarted { cause, .. } => write!(f, "{}", cause.name()),
            Self::StageStarted { stage, via, .. } => match via {
                Some(via) => write!(f, "{stage} via {}", via.short()),
                None => write!(f, "{stage}"),
            },
            Self::StageEnded { stage, outcome, reason, elapsed_ms, .. } => {
                let word = match outcome {
                    StageOutcome::Running => "runs",
                    StageOutcome::Ok => "ok",
                    StageOutcome::Failed => "failed",
                    StageOutcome::Skipped => "skipped",
                };
                write!(f, "{stage} {word} after {elapsed_ms} ms")?;
                reason.as_ref().map_or(Ok(()), |r| write!(f, ": {r}"))
            }
            Self::AttemptEnded { outcome, path, elapsed_ms, .. } => match (outcome, path) {
                (AttemptOutcome::Connected, Some(path)) => write!(f, "{path} after {elapsed_ms} ms"),
                (AttemptOutcome::Abandoned, _) => f.write_str(outcome.word()),
                (other, _) => write!(f, "{} after {elapsed_ms} ms", other.word()),
            },
            Self::LinkUp { path, remote_addr, outbound } => {
                write!(f, "{path} {} {remote_addr}", if *outbound { "to" } else { "from" })
            }
            Self::LinkMoved { from, to, via: Some(via), gap_ms } => {
                write!(f, "{from} → {to} via {}, gap {gap_ms} ms", via.short())
            }
            Self::LinkMoved { from, to, via: None, gap_ms } => write!(f, "{from} → {to}, gap {gap_ms} ms"),
            Self::LinkSuspect { missed } | Self::RelaySuspect { missed } => {
                write!(f, "{missed} heartbeat{} missed", if *missed == 1 { "" } else { "s" })
            }
            Self::LinkRestored { path, gap_ms } => write!(f, "{path}, gap {gap_ms} ms"),
            Self::LinkDown { reason } | Self::PeerRemoved { reason } | Self::RelayRefused { reason } => {
                write!(f, "{reason}")
            }
            Self::RelayFailed { reason } => write!(f, "no reservation: {reason}"),
            Self::RelayReserved { public_addr, role } => write!(f, "{role} at {public_addr}"),
            Self::RelayDead { reason, successor: Some(next) } => {
                write!(f, "{reason}, {} takes over", next.short())
            }
            Self::RelayDead { reason, successor: None } => write!(f, "{reason}, no other relay is ready"),
            Self::RelayReleased => f.write_str("nothing runs over it any more"),
            Self::RelayServing { public_addr } => write!(f, "we relay for it at {public_addr}"),
            Self::RelayServedEnded { reason, bytes_tx, bytes_rx } => {
                write!(f, "{reason}; {bytes_tx} bytes sent, {bytes_rx} received")
            }
            Self::PeerOtherVersion { reason } => write!(f, "{reason}"),
            Self::PeerForeign => f.write_str("connected, but speaks no punchdeck"),
            Self::TestStarted { paths, for_ms } => {
                let paths = if *paths == 1 { "one path".to_owned() } else { format!("{paths} paths") };
                write!(f, "testing {paths}, {} each", took((*for_ms).into()))
            }
            Self::TestStage { path, via, phase } => {
                write!(f, "{path}")?;
                via.map_or(Ok(()), |via| write!(f, " via {}", via.short()))?;
                write!(f, ": {}", phase.name())
            }
            Self::TestEnded { measured: true } => f.write_str("tested"),
            Self::TestEnded { measured: false } => f.write_str("nothing was measured"),
            Self::TestServed { for_ms } => write!(f, "it tests a path to us for {}", took((*for_ms).into())),
            Self::PeerAdded { from: Some(from) } => write!(f, "told by {}", from.short()),
            Self::PeerAdded { from: None } => f.write_str("met"),
            Self::PeersAdded { count } => write!(f, "{count} peers at once"),
            Self::PeerLeft => f.write_str("said goodbye"),
            Self::GossipSync { sent, received, new } => {
                write!(f, "{sent} sent, {received} received, {new} new")
            }
            Self::GossipRepair { sent, asked } => write!(f, "{sent} sent, {asked} asked for"),
            Self::RecordPublished { version } => write!(f, "version {version}"),
            Self::NatChanged { from, to, firewalled, reason, ipv6 } => {
                let family = if *ipv6 { "IPv6: " } else { "" };
                let summary = nat_summary(*to, *firewalled, reason.as_ref());
                match to {
                    NatType::Unknown => write!(f, "{family}{from} → {summary}"),
                    to if *firewalled => write!(f, "{family}{from} → {to} ({summary})"),
                    to => write!(f, "{family}{from} → {to}"),
                }
            }
            Self::NatNoResponder { reason } => write!(f, "others cannot measure with us: {reason}"),
            Self::PeerVerifiedPublic { addr } => write!(f, "reached at {addr} from a fresh socket"),
            Self::LimitHit { limit } => f.write_str(limit.words()),
            Self::CacheSaveFailed { detail, retry_ms } => {
                write!(f, "{detail}; next try in {:.0} s", *retry_ms as f64 / 1e3)
            }
            Self::CacheSavedAgain => f.write_str("the cache is on disk again"),
            Self::CacheSetAside { file, detail } => write!(f, "{file}: {detail}"),
            Self::TaskFaulted { task, detail } => write!(f, "{task}: {detail}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_connection_is_no_trouble_and_every_other_end_of_a_link_is() {
        let down = |close| EventKind::LinkDown { reason: Reason::Closed { close } }.is_trouble();
        assert!(!down(Some(CloseCode::Replaced)));
        assert!(down(Some(CloseCode::Leave)) && down(None));
        assert!(EventKind::LinkDown { reason: Reason::HeartbeatsMissed { missed: 3 } }.is_trouble());
    }

    #[test]
    fn the_serialised_kind_is_the_name_and_round_trips() {
        let event = Event {
            seq: 7,
            at: Stamp(1),
            peer_id: Some(PeerId([1; 32])),
            kind: EventKind::LinkDown { reason: Reason::HeartbeatsMissed { missed: 3 } },
        };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["kind"], event.kind.name());
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
