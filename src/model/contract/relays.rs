//! Relays in use and served.

use serde::Serialize;

use super::told::{Told, all};
use crate::model::{Failover, ReservationRow, ServedRow, Snapshot};

/// Relays in use and served.
#[derive(Debug, Clone, Serialize)]
pub struct Relays<'a> {
    /// Ours, the active one first.
    pub reservations: Vec<Told<'a, ReservationRow>>,
    /// What we relay for others.
    pub serving: Serving<'a>,
    /// The last change of the active relay.
    pub last_failover: Option<Told<'a, Failover>>,
}

/// What we relay for others.
#[derive(Debug, Clone, Serialize)]
pub struct Serving<'a> {
    /// Reservations that peers hold on us.
    pub sessions: usize,
    /// Bytes relayed since the start, both ways.
    pub bytes: u64,
    /// Who holds them.
    pub clients: Vec<Told<'a, ServedRow>>,
}

impl<'a> Relays<'a> {
    /// Of a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let (view, now) = (&snapshot.relays, snapshot.at);
        Self {
            reservations: all(&view.reservations, now),
            serving: Serving {
                sessions: view.served.len(),
                bytes: view.served_bytes,
                clients: all(&view.served, now),
            },
            last_failover: view.last_failover.as_ref().map(|over| Told::new(over, now)),
        }
    }
}
