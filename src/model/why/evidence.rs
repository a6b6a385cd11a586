//! What speaks for a verdict.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Knock;
use crate::model::{NatEvidence, NatType, PeerId, Reason, Stamp};

/// One thing that was measured, said or not said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// It answered, and ended the connection.
    Answered {
        /// Where.
        at: Option<SocketAddr>,
        /// When the attempt began.
        when: Stamp,
        /// How it ended.
        reason: Reason,
    },
    /// Somebody else answered.
    OtherAnswered {
        /// Who.
        who: PeerId,
        /// Where.
        at: SocketAddr,
    },
    /// Nothing came back.
    NothingBack {
        /// From where.
        from: Vec<SocketAddr>,
        /// When the attempt began.
        dialled: Stamp,
    },
    /// Its record names addresses since that the attempt did not dial.
    NewAddresses(Vec<SocketAddr>),
    /// Who is connected to it was asked, and denied by some.
    AskedWhoHas {
        /// Who is.
        yes: Vec<PeerId>,
        /// Who is not.
        no: Vec<PeerId>,
    },
    /// Somebody did not answer our question.
    NoAccount(PeerId),
    /// There is no link over which the peer could be asked.
    NoLinkToAsk,
    /// What somebody tells of the peer.
    Account {
        /// Who.
        who: PeerId,
        /// How it stands with the peer.
        status: PeerLinkStatus,
        /// Where it sees the peer.
        at: Option<SocketAddr>,
        /// Since when.
        since: Option<Stamp>,
    },
    /// A host was knocked at.
    Knocked(Knock),
    /// We have no link to anybody.
    NoLinks {
        /// How many fell silent.
        silent: usize,
        /// When the last of them did.
        last: Option<Stamp>,
    },
    /// Our last link to it ended.
    LinkEnded {
        /// When.
        at: Stamp,
        /// Why.
        reason: Reason,
    },
    /// When it was last heard, by whomever.
    LastHeard(Stamp),
    /// What our NAT is.
    OurNat {
        /// Its type.
        nat: NatType,
        /// Whether it is none, behind a firewall.
        firewalled: bool,
        /// Why the type is unknown, if it is.
        reason: Option<Reason>,
        /// When it was measured.
        measured: Option<Stamp>,
    },
    /// What was seen of our NAT.
    Ours(NatEvidence),
    /// What its NAT is.
    TheirNat {
        /// Its type.
        nat: NatType,
        /// Whether the peer says so itself.
        first_hand: bool,
    },
    /// When it measured its NAT, as it says.
    TheirsMeasured(Stamp),
    /// What it saw of its NAT, as it says.
    Theirs(NatEvidence),
    /// The same in its own words: it speaks an older version.
    TheirWords(String),
}

/// How somebody stands with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerLinkStatus {
    /// No link to it is remembered.
    Never,
    /// A link stands, straight.
    Linked,
    /// A link stands, over a relay.
    Relayed,
    /// It said goodbye.
    Left,
    /// The link fell silent.
    Silent,
    /// The link ended otherwise.
    Ended,
}
