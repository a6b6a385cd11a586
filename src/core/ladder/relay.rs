//! The relay stage: a lane to the target's reservation, or an invitation to
//! ours.

use std::time::Duration;

use super::DialId;
use crate::core::Mono;
use crate::core::wire::RelayAddr;
use crate::model::PeerId;

/// How long a lane has to come up.
pub(super) const LANE_WAIT: Duration = Duration::from_secs(5);
/// A second relay is dialled this long after the first.
const SECOND_AFTER: Duration = Duration::from_millis(300);
/// How long an intermediary has to answer our invitation.
pub(super) const INVITE_WAIT: Duration = Duration::from_secs(5);
/// How long a target that agreed has to come: its dial alone may take
/// [`LANE_WAIT`], and the link is up some round trips after that.
pub(super) const COME_WAIT: Duration = Duration::from_secs(8);
/// How long an invitation is held back that every intermediary refused by rate:
/// what stands in flight there makes room within two seconds.
pub(super) const INVITE_AGAIN: Duration = Duration::from_secs(1);

/// Where the stage stands.
#[derive(Debug)]
pub(super) enum Relay {
    /// Lanes to the target's reservations are being dialled.
    Dialling { until: Mono, second: Option<(Mono, RelayAddr)>, dials: Vec<(DialId, RelayAddr)> },
    /// A lane stands and waits until it is wanted.
    Warm { dial: DialId },
    /// A lane is in use: the link is about to come up over it.
    Using { dial: DialId, until: Mono },
    /// A reservation of ours is being made.
    Reserving { until: Mono },
    /// We know nobody yet who could pass our invitation on.
    Uninvited { relay: RelayAddr },
    /// Nobody passes our invitation on just now: it is tried again then.
    Postponed { until: Mono, relay: RelayAddr },
    /// The target was invited to our reservation, and is to come by then, so
    /// long after what was heard of it last.
    Invited { until: Mono, wait: Duration, via: PeerId, relay: RelayAddr },
}

impl Relay {
    /// Dials the first reservation, and the second a little later.
    pub(super) fn dialling(first: (DialId, RelayAddr), second: Option<RelayAddr>, now: Mono) -> Self {
        let second = second.map(|relay| (now + SECOND_AFTER, relay));
        Self::Dialling { until: now + LANE_WAIT, second, dials: vec![first] }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        match self {
            Self::Dialling { until, second, .. } => {
                second.map(|(at, _)| at).into_iter().chain([*until]).min()
            }
            Self::Using { until, .. }
            | Self::Reserving { until }
            | Self::Postponed { until, .. }
            | Self::Invited { until, .. } => Some(*until),
            Self::Warm { .. } | Self::Uninvited { .. } => None,
        }
    }

    /// The dials that run or stand.
    pub(super) fn dials(&self) -> Vec<DialId> {
        match self {
            Self::Dialling { dials, .. } => dials.iter().map(|(dial, _)| *dial).collect(),
            Self::Warm { dial } | Self::Using { dial, .. } => vec![*dial],
            _ => Vec::new(),
        }
    }
}
