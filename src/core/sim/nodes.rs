//! The nodes of the simulated network: what they are told, and what is noted of
//! them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;

use super::{Net, Router, nat, probes};
use crate::core::Mono;
use crate::core::engine::{Engine, EngineConfig, Settings};
use crate::core::nat::SocketId;
use crate::core::proof::RecordSeed;
use crate::model::{
    Event, EventKind, Fact, NatType, Outcome, PeerId, PunchConsent, RelayMode, Stamp, TestConsent,
};

pub(in crate::core) struct Node {
    pub(in crate::core) engine: Engine,
    pub(in crate::core) id: PeerId,
    pub(in crate::core) addr: SocketAddr,
    pub(in crate::core) events: Vec<Event>,
    pub(in crate::core) outcomes: Vec<Outcome>,
    /// Where it knocked, question by question.
    pub(in crate::core) knocked: Vec<Vec<SocketAddr>>,
    pub(in crate::core) reports: Vec<Fact>,
    /// Whether its packets leave and arrive.
    pub(in crate::core) up: bool,
    /// What its router really does.
    pub(in crate::core) nat: NatType,
    pub(super) router: Router,
    /// The sockets of its NAT probe, by their ports inside.
    pub(super) sockets: BTreeMap<SocketId, u16>,
    /// Where datagrams of its probe and of its answers went.
    pub(in crate::core) probed: Vec<SocketAddr>,
    /// The peers whose claims it tested with a dial from a fresh socket, and when.
    pub(in crate::core) reached: Vec<(Mono, PeerId)>,
    /// What is sent over its links takes so much longer, each way.
    pub(in crate::core) away: Duration,
    pub(super) timer: Option<Mono>,
    /// When it was last seen to run.
    pub(super) alive_at: Stamp,
}

impl Node {
    /// How many attempts it began towards a peer.
    pub(in crate::core) fn attempts_towards(&self, peer: PeerId) -> usize {
        let began =
            |e: &&Event| matches!(e.kind, EventKind::AttemptStarted { .. }) && e.peer_id == Some(peer);
        self.events.iter().filter(began).count()
    }
}

pub(in crate::core) fn id(n: usize) -> PeerId {
    // Spread over the id space, and not in the order of their start.
    let mut bytes = [u8::try_from(n % 251).unwrap(); 32];
    bytes[0] = u8::try_from((n * 97 + 13) % 256).unwrap();
    PeerId(bytes)
}

/// Each in a /16 of its own: of many in one a book keeps few.
pub(in crate::core) fn addr(n: usize) -> SocketAddr {
    let octet = |n: usize| u8::try_from(n + 1).unwrap();
    ([198, octet(n % 200), octet(n / 200), 1], 9000).into()
}

impl Net {
    /// Adds and starts a node that knows the given addresses.
    pub(in crate::core) fn add(&mut self, bootstrap: &[SocketAddr]) -> usize {
        self.add_behind(NatType::None, false, bootstrap)
    }

    /// The same behind a router.
    pub(in crate::core) fn add_behind(
        &mut self,
        nat: NatType,
        passive: bool,
        bootstrap: &[SocketAddr],
    ) -> usize {
        let config = self.config(bootstrap);
        self.start(EngineConfig { passive, ..config }, nat)
    }

    /// One of an earlier version, which signs nothing.
    pub(in crate::core) fn add_older(&mut self, bootstrap: &[SocketAddr]) -> usize {
        let config = self.config(bootstrap);
        self.start(EngineConfig { record_seed: None, ..config }, NatType::None)
    }

    /// One that gives itself that name.
    pub(in crate::core) fn add_called(&mut self, name: &str, bootstrap: &[SocketAddr]) -> usize {
        let config = self.config(bootstrap);
        self.start(EngineConfig { name: name.to_owned(), ..config }, NatType::None)
    }

    /// What the next node is told.
    pub(in crate::core) fn config(&mut self, bootstrap: &[SocketAddr]) -> EngineConfig {
        let n = self.nodes.len();
        EngineConfig {
            me: id(n),
            name: format!("sim-{n}"),
            network: "sim".into(),
            agent: "sim".into(),
            secret: None,
            local_addr: addr(n),
            own: Vec::new(),
            passive: false,
            settings: Settings {
                bootstrap: bootstrap.to_vec(),
                direct_window: Duration::from_secs(2),
                relay_after: Duration::from_secs(1),
                punch: PunchConsent::Any,
                relay: RelayMode::Network,
                hard_nat: self.hard_nat,
                path_test: TestConsent::Network,
            },
            probe_ports: if self.probing { probes::PORTS.to_vec() } else { Vec::new() },
            ways: crate::core::host::Ways::open(),
            no_ipv6: false,
            no_probe_ports: None,
            own_version: 0,
            record_seed: Some(RecordSeed::derive(&id(n).0, "sim")),
            anchors: Vec::new(),
            names: Vec::new(),
            history: None,
            seed: self.rng.random(),
        }
    }

    /// Starts a node that is told this.
    pub(in crate::core) fn start(&mut self, config: EngineConfig, nat: NatType) -> usize {
        let n = self.nodes.len();
        let mut engine = Engine::new(config, Vec::new(), Vec::new(), self.now);
        engine.begin(self.now);
        let node = Node {
            engine,
            id: id(n),
            addr: addr(n),
            events: Vec::new(),
            outcomes: Vec::new(),
            knocked: Vec::new(),
            reports: Vec::new(),
            up: true,
            nat,
            router: nat::router(nat, addr(n).port()),
            sockets: BTreeMap::new(),
            probed: Vec::new(),
            reached: Vec::new(),
            away: Duration::ZERO,
            timer: None,
            alive_at: self.now.stamp,
        };
        self.nodes.push(node);
        self.carry_out(n);
        n
    }
}
