//! What a node tells a registry: facts of the past, and nothing that helps to
//! reach anybody. There is no address in any of it, and no answer but "taken".

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AttemptId, AttemptOutcome, Cause, NatType, Path, PeerId, Propagation, Stamp};

/// Reporting as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportingView {
    /// What it is doing.
    pub state: ReportingState,
    /// Reports that are not taken yet.
    pub queued: u64,
    /// Reports that the registry has taken.
    pub taken: u64,
    /// Reports that it will not take.
    pub refused: u64,
    /// Reports dropped because there was no room.
    pub dropped: u64,
    /// When it last took one.
    pub last_taken: Option<Stamp>,
    /// What went wrong last; `None` since it went right.
    pub trouble: Option<String>,
}

/// What reporting is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReportingState {
    /// Nobody configured a registry.
    #[default]
    Off,
    /// A batch leaves when it is due.
    Waiting,
    /// One is on its way.
    Sending,
    /// The registry did not take the last one.
    Away {
        /// When it is tried again.
        retry: Stamp,
    },
}

/// The only form of reports there is so far.
pub const REPORT_SCHEMA: u32 = 1;

/// Names a report for ever: the run of a node that made it, and its number in
/// that run. Who gets a report twice knows it by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportId {
    /// Drawn by the node when it starts.
    pub run: u64,
    /// Counts from 1 in that run.
    pub seq: u64,
}

/// Reports on their way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// [`REPORT_SCHEMA`].
    pub schema: u32,
    /// Who reports.
    pub reporter: Reporter,
    /// What.
    pub reports: Vec<Report>,
}

/// Who reports; all of it is claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reporter {
    /// Its id.
    pub peer_id: PeerId,
    /// The name it gives itself.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// Its network.
    pub network: String,
}

/// One report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub id: ReportId,
    /// How long ago it happened when it was sent, in milliseconds: two clocks
    /// never agree on when.
    pub age_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// An attempt of ours ended.
    Attempt(AttemptFact),
    /// A link moved to another path.
    Moved(MovedFact),
    /// Another relay of ours is active.
    Failover(FailoverFact),
    /// How the node is, on change and every minute.
    Node(NodeFact),
}

/// An attempt that ended connected or unreachable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptFact {
    /// Its name within the run that the report's id names.
    pub attempt: AttemptId,
    /// Towards whom; a bootstrap address has no identity until it answers.
    pub peer: Option<PeerId>,
    /// What made us try.
    pub cause: Cause,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The path of the first usable link.
    pub path: Option<Path>,
    /// How long that took.
    pub elapsed_ms: u64,
    /// Our NAT type, as we tell it to others.
    pub own_nat: NatType,
    /// The peer's, as it tells it to others.
    pub peer_nat: NatType,
    /// The reason that tells most of why it failed, by its code.
    pub reason: Option<String>,
    /// Whether it only tried again, in vain, whom the one before had not reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// A link moved to another path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MovedFact {
    /// Whose link.
    pub peer: PeerId,
    /// The attempt of ours that made the link relayed, where this move takes it
    /// off the relay. Of the same run.
    pub attempt: Option<AttemptId>,
    /// From which path.
    pub from: Path,
    /// To which.
    pub to: Path,
    /// How long nothing came, in milliseconds.
    pub gap_ms: u64,
}

/// Another relay of ours is active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailoverFact {
    /// The relay before.
    pub from: PeerId,
    /// The relay after, if there is one.
    pub to: Option<PeerId>,
    /// The longest time that a link had no path; `None` where no link ran over
    /// the relay.
    pub gap_ms: Option<u64>,
    /// Messages lost with it.
    pub lost: Option<u64>,
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFact {
    /// Its NAT type, as it tells it to others.
    pub nat: NatType,
    /// Peers in its cache.
    pub known: u32,
    /// Peers in it that it ever shook hands with.
    pub tried: u32,
    /// Its links.
    pub links: LinkCounts,
    /// How far its records have spread; `None` before it compared.
    pub propagation: Option<Propagation>,
    /// What it relays for others; `None` of a node that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayLoad>,
}

/// What a node relays for others: how much, never for whom or where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayLoad {
    /// Reservations that it serves.
    pub sessions: u32,
    /// Bytes that it relayed since its start, both ways.
    pub bytes: u64,
}

/// Links by path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounts {
    /// Direct ones.
    pub direct: u32,
    /// Punched ones.
    pub punched: u32,
    /// Relayed ones.
    pub relayed: u32,
}

impl NodeFact {
    /// Whether a reader would see another node: bytes that are relayed go on all
    /// the time.
    pub fn differs(&self, other: &Self) -> bool {
        let still =
            |of: &Self| Self { relay: of.relay.map(|load| RelayLoad { bytes: 0, ..load }), ..of.clone() };
        still(self) != still(other)
    }
}

impl Fact {
    /// The name as it stands in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Attempt(_) => "attempt",
            Self::Moved(_) => "moved",
            Self::Failover(_) => "failover",
            Self::Node(_) => "node",
        }
    }
}

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.run, self.seq)
    }
}

/// Why a text is no report id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a report id is 32 hex digits")]
pub struct ParseReportIdError;

impl FromStr for ReportId {
    type Err = ParseReportIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0u8; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseReportIdError)?;
        let both = u128::from_be_bytes(bytes);
        Ok(Self { run: (both >> 64) as u64, seq: both as u64 })
    }
}

impl Serialize for ReportId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReportId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_json() {
        let id = ReportId { run: 0xfedc_ba98_7654_3210, seq: 7 };
        for fact in [
            Fact::Attempt(AttemptFact {
                attempt: AttemptId(9),
                peer: Some(PeerId([1; 32])),
                cause: Cause::Gossip,
                again: false,
                outcome: AttemptOutcome::Connected,
                path: Some(Path::Punched),
                elapsed_ms: 34,
                own_nat: NatType::PortRestricted,
                peer_nat: NatType::FullCone,
                reason: None,
            }),
            Fact::Moved(MovedFact {
                peer: PeerId([1; 32]),
                attempt: Some(AttemptId(9)),
                from: Path::Relayed,
                to: Path::Direct,
                gap_ms: 3,
            }),
            Fact::Failover(FailoverFact { from: PeerId([2; 32]), to: None, gap_ms: None, lost: Some(0) }),
            Fact::Node(NodeFact {
                nat: NatType::None,
                known: 8,
                tried: 7,
                links: LinkCounts { direct: 5, punched: 1, relayed: 1 },
                propagation: Some(Propagation { known: 58, expected: 60 }),
                relay: Some(RelayLoad { sessions: 2, bytes: 4_096 }),
            }),
        ] {
            let report = Report { id, age_ms: 12, fact };
            let json = serde_json::to_string(&report).unwrap();
            assert!(json.contains("\"fedcba98765432100000000000000007\""), "{json}");
            assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        }
    }

    #[test]
    fn what_is_no_report_id_is_refused() {
        for text in ["", "7", "fedcba987654321000000000000000070", "gggggggggggggggggggggggggggggggg"] {
            assert_eq!(text.parse::<ReportId>(), Err(ParseReportIdError));
        }
    }
}
