//! Relay lanes: QUIC connections that travel through a peer's MASQUE relay.
//!
//! A [`Reservation`] is an address of ours on a relay, with an endpoint of its
//! own behind it; a [`LaneDialer`] dials such addresses of others. What both
//! yield is a [`Lane`]: a connection end to end, whose identity was compared
//! and on which a nonce came back. The relay sees sealed packets only.
//!
//! None of it ever lives in the library's own endpoint: that takes a
//! connection to a relay's address for a direct one, and calls the next punch
//! a success because it stands.

mod dialer;
mod error;
pub(super) mod framing;
pub(super) mod queue;
mod reservation;
mod socket;
mod sources;
mod tags;
mod tls;

use std::fmt;
use std::time::Duration;

use ant_quic::HighLevelConnection;
use tokio::sync::watch;

pub(super) use self::dialer::SERVER_NAME;
pub use self::dialer::{LaneDialer, WarmLane};
pub use self::error::{LaneError, ReserveError};
pub use self::reservation::Reservation;
pub use self::socket::{LaneCounts, LaneEnd};
pub(super) use self::tags::{is_control, open_control};
pub use self::tls::LaneTls;
pub(super) use self::tls::identity;
use crate::model::PeerId;

/// The handshake of a connection that came in takes at most this long: the
/// slowest path that carries a usable link is faster.
const ACCEPT_WITHIN: Duration = Duration::from_secs(5);

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
