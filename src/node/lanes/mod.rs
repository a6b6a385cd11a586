//! Relay lanes: QUIC connections that travel through a peer's MASQUE relay.
//!
//! A [`Reservation`] is an address of ours on a relay, with an endpoint of its
//! own behind it; a [`LaneDialer`] dials such addresses of others. What both
//! yield is a [`Lane`]: a connection end to end, whose identity was compared
//! and on which a nonce came back. The relay sees sealed packets only.
//!
//! A reservation's endpoint stands on a socket that is a stream to the relay. The
//! dialler has sockets of its own, so that the relay's host never hears from the
//! mapping by which others reach us.

mod dialer;
mod error;
pub(super) mod framing;
pub(super) mod queue;
mod reservation;
mod socket;
mod sources;
mod tags;

use std::fmt;

use ant_quic::HighLevelConnection;
use tokio::sync::watch;

pub use self::dialer::{LaneDialer, WarmLane};
pub use self::error::{LaneError, ReserveError};
pub use self::reservation::Reservation;
pub use self::socket::{LaneCounts, LaneEnd};
pub(super) use self::tags::{CONTROL, Stream, open_control, read_tag};
use crate::model::PeerId;

/// Tells of the end of a reservation.
pub(super) type RelayEnd = watch::Receiver<Option<LaneEnd>>;

/// A connection through a relay, good to be used.
pub struct Lane {
    /// Who is at the other end, by the key of its TLS session.
    pub peer: PeerId,
    /// The relay in between, if we know which peer that is.
    pub via: Option<PeerId>,
    /// The connection.
    pub connection: HighLevelConnection,
    /// The end of the reservation through which it came, if it is ours.
    pub(super) relay_end: Option<RelayEnd>,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("peer", &self.peer).field("via", &self.via).finish_non_exhaustive()
    }
}
