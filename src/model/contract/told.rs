//! Rows as programs are told them: the model's own, with the names and ages of the
//! contract, and nothing beside it. Whoever makes texts of them reads the row itself.

use std::ops::Deref;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{age_s, left_s, rfc3339};
use crate::model::{
    AlsoCalled, Failover, LinkRow, MappingLifetime, NatSpell, NatView, PeerRow, Reason, ReservationRow,
    ServedRow, Stamp, TestPhase, TestedPath, UsedTwice, Vantage,
};

/// A row, at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a, T> {
    row: &'a T,
    /// Ages are told as of then.
    now: Stamp,
}

impl<'a, T> Told<'a, T> {
    /// Of a row, as of that moment.
    pub fn new(row: &'a T, now: Stamp) -> Self {
        Self { row, now }
    }

    /// Since something of it, in seconds.
    pub fn since_s(&self, at: Stamp) -> f64 {
        age_s(at, self.now)
    }

    /// Until something of it, in seconds.
    pub fn until_s(&self, at: Stamp) -> f64 {
        left_s(at, self.now)
    }
}

impl<T> Deref for Told<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.row
    }
}

/// What of a row is told: fields as they are called there, or a value under a name.
macro_rules! told {
    ($(
        $row:ty: $($field:ident),* $(,)?;
        $($name:literal: |$of:ident| $value:expr,)*
        $(if any $may:literal: |$from:ident| $maybe:expr,)*;
    )*) => {
        $(impl Serialize for Told<'_, $row> {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                let mut map = s.serialize_map(None)?;
                $(map.serialize_entry(stringify!($field), &self.row.$field)?;)*
                $({
                    let $of = self;
                    map.serialize_entry($name, &$value)?;
                })*
                $({
                    let $from = self;
                    if let Some(value) = $maybe {
                        map.serialize_entry($may, &value)?;
                    }
                })*
                map.end()
            }
        })*
    };
}

told! {
    PeerRow: peer_id, name, addresses, nat_type, state, path, rtt_ms, attempts, source;
        "also": |row| row.also.as_deref().map(|also| Told::new(also, row.now)),
        "success_rate": |row| row.success_rate(),
        "last_seen_s": |row| row.last_seen.map(|at| row.since_s(at)),
    ;
    AlsoCalled: peer_id;
        "last_used_s": |row| row.since_s(row.until),
    ;
    LinkRow: peer_id, path, remote_addr, via, standby, rtt_ms, bytes_tx, bytes_rx, foreign;
        "age_s": |row| row.since_s(row.since),
    ;
    ReservationRow: relay, public_addr, role, state, rtt_ms, bytes_tx, bytes_rx;
        "expires_s": |row| row.expires.map(|at| row.until_s(at)),
    ;
    // Sent and received are so from the peer's side.
    ServedRow: peer_id, public_addr, bytes_tx, bytes_rx, dropped;
        "since_s": |row| row.since_s(row.since),
    ;
    Failover: from, to, gap_ms, lost;
        "at": |row| rfc3339(row.at),
    ;
    UsedTwice: peer_id, addresses;
        "since_s": |row| row.since_s(row.since),
    ;
    NatView: mapping, filtering, port_preservation, ports, hairpinning, confidence;
        "type": |row| row.nat_type,
        "guessing": |row| row.guessing(),
        "mapping_lifetime": |row| row.lifetime.as_ref().map(|of| Told::new(of, row.now)),
        "evidence": |row| row.evidence.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "measured_s": |row| row.measured.map(|at| row.since_s(at)),
        "reason": |row| row.reason.as_ref().map(Reason::to_string),
        "again_since_s": |row| row.again_since.map(|at| row.since_s(at)),
        "history": |row| all(&row.history, row.now),
    ;
    NatSpell: firewalled, at;
        "type": |row| row.nat_type,
        "from_s": |row| row.since_s(row.from),
        "until_s": |row| row.until.map(|at| row.since_s(at)),
    ;
    MappingLifetime: at_least_s, less_than_s, by, under_way;
        "measured_s": |row| row.since_s(row.measured),
    ;
    Vantage: peer_id, seen, agrees;
    ;
    TestedPath: path, via, in_use, jitter_ms, mtu;
        "complete": |row| row.phase == TestPhase::Over && row.reason.is_none(),
        "rtt_ms": |row| row.rtt,
        "loss": |row| row.loss(),
        "loss_interval": |row| row.loss_interval.map(|i| [i.lo, i.hi]),
        "datagrams": |row| row.lost_of().1,
        "reordered": |row| row.reordered(),
        "mbit_up": |row| row.rate_up.map(|rate| rate.mbit),
        "mbit_up_is_least": |row| row.rate_up.map(|rate| rate.at_least),
        "mbit_down": |row| row.rate_down.map(|rate| rate.mbit),
        "mbit_down_is_least": |row| row.rate_down.map(|rate| rate.at_least),
        // Why it was not measured, or not to its end.
        if any "note": |row| row.reason.as_ref().map(ToString::to_string),
    ;
}

/// Several rows of a moment.
pub(super) fn all<'a, T>(rows: impl IntoIterator<Item = &'a T>, now: Stamp) -> Vec<Told<'a, T>> {
    rows.into_iter().map(|row| Told::new(row, now)).collect()
}
