//! A node in brief: what a fleet is looked at by. It is asked for often and of many nodes
//! over slow lines, so it is short; and it has ages and no times, as the clocks of two
//! hosts have nothing in common.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    NatType, NoProbePorts, Path, PeerId, PeerState, Phase, RelayRole, ReservationState, SaveState,
    SendTrouble, Snapshot, Stamp, clean,
};

/// The beginning of a peer's id: enough to tell any two apart, and to find nobody's by
/// trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerPrefix(pub [u8; 6]);

impl From<PeerId> for PeerPrefix {
    fn from(id: PeerId) -> Self {
        let mut head = [0; 6];
        head.copy_from_slice(&id.0[..6]);
        Self(head)
    }
}

impl PeerPrefix {
    /// As short as ids stand on a screen.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..3])
    }
}

impl FromStr for PeerPrefix {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut head = [0; 6];
        hex::decode_to_slice(text, &mut head)?;
        Ok(Self(head))
    }
}

impl Serialize for PeerPrefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for PeerPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a node is doing about being connected at all, without its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseKind {
    /// Binding, loading the cache.
    Starting,
    /// There is nobody to dial.
    Alone,
    /// Dialling for the first link.
    Joining,
    /// At least one link is up.
    Joined,
    /// No links; waiting for the next try.
    Isolated,
    /// Its host lets it send to nobody.
    NoWay,
    /// Saying goodbye.
    Leaving,
    /// A phase that only newer programs know.
    #[serde(other)]
    Other,
}

impl PhaseKind {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Alone => "alone",
            Self::Joining => "joining",
            Self::Joined => "joined",
            Self::Isolated => "isolated",
            Self::NoWay => "no way out",
            Self::Leaving => "leaving",
            Self::Other => "?",
        }
    }
}

impl From<&Phase> for PhaseKind {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Starting => Self::Starting,
            Phase::NothingToDial => Self::Alone,
            Phase::Joining => Self::Joining,
            Phase::Joined => Self::Joined,
            Phase::Isolated { .. } => Self::Isolated,
            Phase::NoWay { .. } => Self::NoWay,
            Phase::Leaving => Self::Leaving,
        }
    }
}

/// A link, in as few bytes as JSON has for it: three values in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "LinkTriple", into = "LinkTriple")]
pub struct BriefLink {
    /// To whom.
    pub peer: PeerPrefix,
    /// How its bytes travel.
    pub path: Path,
    /// Round trip in milliseconds, to a tenth.
    pub rtt_ms: Option<f64>,
}

type LinkTriple = (PeerPrefix, Path, Option<f64>);

impl From<LinkTriple> for BriefLink {
    fn from((peer, path, rtt_ms): LinkTriple) -> Self {
        Self { peer, path, rtt_ms }
    }
}

impl From<BriefLink> for LinkTriple {
    fn from(link: BriefLink) -> Self {
        (link.peer, link.path, link.rtt_ms)
    }
}

/// A reservation that a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefReservation {
    /// On whom.
    pub relay: PeerPrefix,
    /// What it is for.
    pub role: RelayRole,
    /// Where it stands.
    pub state: ReservationState,
}

/// Something that is wrong with a node, the gravest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Trouble {
    /// Its host lets it send to nobody.
    NoWay {
        /// What keeps it.
        why: SendTrouble,
        /// For how long.
        for_s: u64,
    },
    /// No links.
    Isolated {
        /// Rounds of dials that failed.
        rounds: u32,
    },
    /// Its cache is empty and it has no bootstrap address.
    NothingToDial,
    /// An identity is used in two places.
    UsedTwice {
        /// Whose.
        peer: PeerPrefix,
        /// Whether it is the node's own.
        own: bool,
    },
    /// What it knows is not on disk.
    NotSaved {
        /// For how long.
        for_s: u64,
    },
    /// A relay on which it holds a reservation does not answer.
    RelaySilent {
        /// Which.
        relay: PeerPrefix,
    },
    /// Linked peers do not answer heartbeats.
    PeersSilent {
        /// How many.
        peers: u32,
    },
    /// Peers could not be reached on any stage.
    Unreachable {
        /// How many.
        peers: u32,
    },
    /// It had no ports to answer the NAT probes of others.
    NoProbePorts,
    /// A damaged cache was set aside at its start.
    CacheSetAside,
    /// Something that only newer programs know.
    #[serde(other)]
    Other,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = |n: u32| if n == 1 { "1 peer".to_owned() } else { format!("{n} peers") };
        match self {
            Self::NoWay { why, for_s } => write!(f, "{} for {for_s} s", why.state()),
            Self::Isolated { rounds: 1 } => f.write_str("isolated: 1 round of dials failed"),
            Self::Isolated { rounds } => write!(f, "isolated: {rounds} rounds of dials failed"),
            Self::NothingToDial => f.write_str("alone: it knows nobody whom it could dial"),
            Self::UsedTwice { own: true, .. } => f.write_str("its identity is used in two places"),
            Self::UsedTwice { peer, .. } => write!(f, "the identity {} is used in two places", peer.short()),
            Self::NotSaved { for_s } => write!(f, "its cache cannot be saved, for {for_s} s"),
            Self::RelaySilent { relay } => write!(f, "its relay {} does not answer", relay.short()),
            Self::PeersSilent { peers: n } => write!(f, "heartbeats of {} are overdue", peers(*n)),
            Self::Unreachable { peers: n } => write!(f, "{} cannot be reached", peers(*n)),
            Self::NoProbePorts => f.write_str("it answers no NAT probes: there were no ports"),
            Self::CacheSetAside => f.write_str("a damaged cache was set aside at its start"),
            Self::Other => f.write_str("something that this program has no words for"),
        }
    }
}

/// A node in brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// Who.
    pub peer_id: PeerId,
    /// The name it gives itself.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// Its network.
    pub network: String,
    /// For how long it runs.
    pub up_s: u64,
    /// What it is doing about being connected.
    pub phase: PhaseKind,
    /// Its NAT.
    pub nat: NatType,
    /// Its links to peers that speak our protocol.
    pub links: Vec<BriefLink>,
    /// Connections to those that do not.
    pub foreign: u32,
    /// The reservations that it holds.
    pub holds: Vec<BriefReservation>,
    /// How many it serves.
    pub serves: u32,
    /// What is wrong, the gravest first.
    pub wrong: Vec<Trouble>,
}

impl Brief {
    /// Of a state.
    pub fn new(snapshot: &Snapshot) -> Self {
        let node = &snapshot.node;
        let ours = snapshot.links.iter().filter(|link| !link.foreign);
        let link = |link: &super::LinkRow| BriefLink {
            peer: link.peer_id.into(),
            path: link.path,
            rtt_ms: link.rtt_ms.map(|ms| (ms * 10.0).round() / 10.0),
        };
        let held = |row: &super::ReservationRow| BriefReservation {
            relay: row.relay.into(),
            role: row.role,
            state: row.state,
        };
        Self {
            peer_id: node.peer_id,
            name: clean(&node.name),
            version: node.version.clone(),
            network: clean(&node.network),
            up_s: node.started.age_at(snapshot.at).as_secs(),
            phase: PhaseKind::from(&node.phase),
            nat: snapshot.nat.nat_type,
            links: ours.map(link).collect(),
            foreign: count(snapshot.links.iter().filter(|link| link.foreign)),
            holds: snapshot.relays.reservations.iter().map(held).collect(),
            serves: count(snapshot.relays.served.iter()),
            wrong: wrong(snapshot),
        }
    }

    /// The link to a peer.
    pub fn link(&self, peer: PeerId) -> Option<&BriefLink> {
        let prefix = PeerPrefix::from(peer);
        self.links.iter().find(|link| link.peer == prefix)
    }

    /// How many links go a path.
    pub fn links_by(&self, path: Path) -> usize {
        self.links.iter().filter(|link| link.path == path).count()
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}

/// What is wrong with a node, by its own state.
fn wrong(snapshot: &Snapshot) -> Vec<Trouble> {
    let (node, now) = (&snapshot.node, snapshot.at);
    let for_s = |since: Stamp| since.age_at(now).as_secs();
    let phase = match &node.phase {
        Phase::NoWay { why, since } => Some(Trouble::NoWay { why: *why, for_s: for_s(*since) }),
        Phase::Isolated { rounds, .. } => Some(Trouble::Isolated { rounds: *rounds }),
        Phase::NothingToDial => Some(Trouble::NothingToDial),
        Phase::Starting | Phase::Joining | Phase::Joined | Phase::Leaving => None,
    };
    let save = match &node.cache.save {
        SaveState::Failed { since, .. } => Some(Trouble::NotSaved { for_s: for_s(*since) }),
        _ => None,
    };
    let twice = node
        .used_twice
        .iter()
        .map(|twice| Trouble::UsedTwice { peer: twice.peer_id.into(), own: twice.peer_id == node.peer_id });
    let silent = snapshot.relays.reservations.iter().filter(|row| row.state == ReservationState::Suspect);
    let in_state = |state: PeerState| count(snapshot.peers.iter().filter(|row| row.state == state));
    let peers = |peers: u32, trouble: fn(u32) -> Trouble| (peers > 0).then(|| trouble(peers));
    let mut all: Vec<Trouble> = phase
        .into_iter()
        .chain(save)
        .chain(twice)
        .chain(silent.map(|row| Trouble::RelaySilent { relay: row.relay.into() }))
        .chain(peers(in_state(PeerState::Suspect), |peers| Trouble::PeersSilent { peers }))
        .chain(peers(in_state(PeerState::Unreachable), |peers| Trouble::Unreachable { peers }))
        .chain(
            matches!(node.no_probe_ports, Some(NoProbePorts::Unbound { .. }))
                .then_some(Trouble::NoProbePorts),
        )
        .chain(node.cache.set_aside.is_some().then_some(Trouble::CacheSetAside))
        .collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::demo;

    #[test]
    fn a_brief_of_a_busy_node_says_who_how_and_what_is_wrong_and_comes_back_whole() {
        let busy = demo::busy();
        let brief = Brief::new(&busy);
        assert_eq!(
            (brief.name.as_str(), brief.phase, brief.nat),
            ("vps-fra-1", PhaseKind::Joined, NatType::None)
        );
        let linked = busy.links.iter().filter(|link| !link.foreign).count();
        assert_eq!(brief.links.len(), linked);
        let to = busy.links.iter().find(|link| !link.foreign).unwrap().peer_id;
        assert_eq!(brief.link(to).map(|link| link.path), busy.link(&to).map(|link| link.path));
        assert!(brief.wrong.iter().any(|t| matches!(t, Trouble::Unreachable { .. })), "{:?}", brief.wrong);
        assert!(brief.wrong.is_sorted(), "the gravest first");
        let json = serde_json::to_string(&brief).unwrap();
        assert_eq!(serde_json::from_str::<Brief>(&json).unwrap(), brief);
    }

    #[test]
    fn a_node_without_anybody_to_dial_says_so() {
        assert_eq!(Brief::new(&demo::empty()).wrong, [Trouble::NothingToDial]);
    }

    #[test]
    fn what_a_newer_program_calls_wrong_or_its_phase_is_not_lost_with_the_rest() {
        let mut json = serde_json::to_value(Brief::new(&demo::busy())).unwrap();
        json["wrong"] = serde_json::json!([{ "kind": "moon-phase", "angle": 7 }]);
        json["phase"] = "dreaming".into();
        let brief: Brief = serde_json::from_value(json).unwrap();
        assert_eq!((brief.wrong, brief.phase), (vec![Trouble::Other], PhaseKind::Other));
    }

    #[test]
    fn a_link_costs_less_than_fifty_bytes() {
        let link = BriefLink { peer: PeerPrefix([0xab; 6]), path: Path::Punched, rtt_ms: Some(1_234.5) };
        let json = serde_json::to_string(&link).unwrap();
        assert_eq!(json, r#"["abababababab","punched",1234.5]"#);
    }
}
