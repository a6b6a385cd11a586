//! Why there is no reservation, or no lane.

use std::time::Duration;

use crate::model::{PeerId, Reason, clean};

/// Why a relay gave no reservation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// It holds one for the address we come from already.
    #[error("the relay holds a reservation for our address already")]
    Taken,
    /// It does not want to.
    #[error("the relay refused with status {status}")]
    Refused {
        /// Its status, as in HTTP.
        status: u16,
    },
    /// It did not answer in time.
    #[error("the relay did not answer within {0:?}")]
    Stalled(Duration),
    /// Its answer cannot be read, or names no address.
    #[error("the relay's answer cannot be read")]
    Garbled,
    /// The stream or the connection to it ended.
    #[error("the connection to the relay was lost")]
    Lost,
    /// The endpoint over the lane could not be made.
    #[error("no endpoint over the lane: {0}")]
    Local(String),
}

impl From<ReserveError> for Reason {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::Taken => Self::ReservationTaken,
            ReserveError::Refused { status } => Self::RelayRefused { status },
            ReserveError::Stalled(after) => Self::timed_out(after),
            ReserveError::Garbled => Self::Handshake { detail: "the relay's answer cannot be read".into() },
            ReserveError::Lost => Self::RelayLost,
            ReserveError::Local(detail) => Self::Other { detail: clean(&detail) },
        }
    }
}

/// Why a dial through a relay, or a connection that came through one, gave no
/// lane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// Nobody answered in time.
    #[error("nobody answered")]
    NoAnswer,
    /// Somebody else answered; the connection was closed.
    #[error("{got} answered")]
    WrongIdentity {
        /// Who.
        got: PeerId,
    },
    /// The handshake failed, or the connection was closed before it was a
    /// lane.
    #[error("the handshake failed: {0}")]
    Handshake(Reason),
    /// The connection stood, and our nonce did not come back.
    #[error("nothing came back")]
    NoEcho,
    /// No socket to dial from.
    #[error("no socket to dial from: {0}")]
    Local(String),
}

impl From<LaneError> for Reason {
    fn from(error: LaneError) -> Self {
        match error {
            LaneError::NoAnswer => Self::NoAnswer { addresses: 1 },
            LaneError::WrongIdentity { got } => Self::WrongIdentity { got },
            LaneError::Handshake(reason) => reason,
            LaneError::NoEcho => Self::NothingCameBack,
            LaneError::Local(detail) => Self::Other { detail: clean(&detail) },
        }
    }
}
