//! Peers gone bad, from the real wire. [`Bad`] builds one: who it claims to be,
//! where it dials from, what it knows. What comes out of it can
//!
//! * **flood**: [`Flood`] (datagrams), [`Scripted::floods`] (messages),
//!   [`Stranger::crowds`] (connections);
//! * **lie**: [`Scripted::hello`] and [`Scripted::record`] to change before they are
//!   said, [`Scripted::say`] and [`Scripted::raw`] for whatever else, [`Forger`] for
//!   frames of QUIC itself;
//! * **stall**: [`Scripted::stalls`] takes what comes and never answers,
//!   [`Scripted::unread`] does not even take it;
//! * **replay**: [`Scripted::again`], [`record_initials`];
//! * **over-send**: [`oversend`], as much as flow control lets it;
//! * **half-open**: [`Stranger::mute`], [`Stranger::control`],
//!   [`half_open_streams`].
//!
//! Nothing here knows what is attacked but for where it listens ([`Target`]), so the
//! tests on nodes in this process and the benchmark on nodes as processes share it.

// Each of the two uses a part of it.
#![allow(dead_code, unused_imports)]

mod bystander;
mod flood;
mod raw;
mod relayed;
mod scripted;
mod stock;
mod stranger;
mod streams;

use std::net::{Ipv4Addr, SocketAddr};

use punchdeck::core::link::NetworkSecret;
use punchdeck::model::PeerId;
use punchdeck::node::keys::{self, KeyBytes};

pub use self::bystander::{A_WHILE, bystander, got, is_hit};
pub use self::flood::{Flood, Volley, garbage, record_flights, record_initials, unknown_versions, volley};
pub use self::raw::{Forger, frames};
pub use self::relayed::Asked;
pub use self::scripted::{Saying, Scripted};
pub use self::stock::Stock;
pub use self::stranger::Stranger;
pub use self::streams::{Sent, half_open_streams, oversend};

/// Nothing here takes this long unless it is broken.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Whom a peer gone bad turns to.
pub trait Target {
    fn addr(&self) -> SocketAddr;
    fn id(&self) -> PeerId;
    /// Waits until it has a link to that peer.
    fn until_linked(&self, peer: PeerId) -> impl Future<Output = ()>;
}

/// A peer gone bad, before it begins.
#[derive(Clone)]
pub struct Bad {
    bind: SocketAddr,
    network: String,
    name: String,
    secret: Option<NetworkSecret>,
    keys: Option<KeyBytes>,
    forger: Option<Forger>,
}

impl Bad {
    /// On loopback, in the network of the tests, with a key of its own.
    pub fn peer() -> Self {
        let bind = (Ipv4Addr::LOCALHOST, 0).into();
        Self { bind, network: "test".into(), name: "scripted".into(), secret: None, keys: None, forger: None }
    }

    /// Dials from there.
    pub fn on(self, bind: SocketAddr) -> Self {
        Self { bind, ..self }
    }

    /// Says that it is of that network.
    pub fn of(self, network: &str) -> Self {
        Self { network: network.into(), ..self }
    }

    /// Calls itself so.
    pub fn called(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Knows a closed fleet's secret.
    pub fn with_secret(self, secret: Option<NetworkSecret>) -> Self {
        Self { secret, ..self }
    }

    /// Is that identity, every time.
    pub fn with_keys(self, keys: KeyBytes) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// Sends QUIC frames that the library would not.
    pub fn forging(self, forger: &Forger) -> Self {
        Self { forger: Some(forger.clone()), ..self }
    }

    /// Somebody with a key and an endpoint, connected to nobody.
    pub fn stranger(self) -> Stranger {
        let keys = self.keys.clone().unwrap_or_else(|| keys::generate().unwrap());
        Stranger::new(self, &keys)
    }

    /// Who has shaken hands with whoever listens there as it should.
    pub async fn linked_at(self, addr: SocketAddr) -> Scripted {
        let mut peer = self.stranger().control_at(addr).await;
        peer.shake().await;
        peer
    }

    /// The same, and the other end knows it.
    pub async fn linked(self, target: &impl Target) -> Scripted {
        let peer = self.linked_at(target.addr()).await;
        target.until_linked(peer.id).await;
        peer
    }
}
