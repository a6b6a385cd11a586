//! What is known of a peer.

use crate::model::{AddressOrigin, Known, Stamp, clean};

use super::ago;

impl Known {
    /// What it is.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::SameName(_) => "name",
            Self::Nat(_) => "NAT type",
            Self::Public => "public",
            Self::Guess { .. } => "guessed punch",
            Self::Test(_) => "path test",
            Self::Address { .. } => "address",
            Self::RelayAddress(_) => "relay address",
            Self::Standby(_) => "standby lane",
            Self::RoundTrip(_) => "round trip",
            Self::Attempts(_) => "attempts",
            Self::SuccessRate(_) => "success rate",
            Self::LastSeen(_) => "last seen",
        }
    }

    /// Its value, as of that moment; `None` is not known.
    pub fn value(&self, now: Stamp) -> Option<String> {
        Some(match self {
            Self::Name(name) => clean(name.as_deref()?),
            Self::SameName(who) => format!("{} was linked under it too", who.short()),
            Self::Nat(nat) => (*nat)?.name().to_owned(),
            Self::Public => "a dial from a fresh socket came in".to_owned(),
            Self::Guess { cost, reason } => {
                let cost = cost.map(|cost| cost.to_string()).unwrap_or_default();
                match reason {
                    Some(reason) => format!("{cost}; {reason}"),
                    None => cost,
                }
            }
            Self::Test(path) => path.summary(),
            Self::Address { addr, origin } => format!("{}, {}", (*addr)?, found(*origin)),
            Self::RelayAddress(at) => {
                let (addr, relay) = (*at)?;
                format!("{addr} on {}", relay.short())
            }
            Self::Standby(over) => format!("over {}, warm at both ends", (*over)?.short()),
            Self::RoundTrip(ms) => format!("{:.1} ms", (*ms)?),
            Self::Attempts(tries) => {
                let (attempts, connected) = (*tries)?;
                format!("{connected} of {attempts} connected")
            }
            Self::SuccessRate(tries) => {
                let (attempts, connected) = (*tries)?;
                format!("{:.0} %", f64::from(connected) / f64::from(attempts) * 100.0)
            }
            Self::LastSeen(at) => ago((*at)?, now),
        })
    }
}

fn found(origin: AddressOrigin) -> &'static str {
    match origin {
        AddressOrigin::Link => "of its link",
        AddressOrigin::Reached => "where we reached it",
        AddressOrigin::Seen => "where it is seen",
        AddressOrigin::WasSeen => "where it was seen",
        AddressOrigin::Record => "of its record",
    }
}
