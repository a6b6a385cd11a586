//! Our NAT.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::age_s;
use crate::model::{
    Behaviour, MappingLifetime, NatSpell, NatType, NatView, NoProbePorts, PeerId, PortOrder, Reason,
    Snapshot, Stamp,
};

/// What our NAT does.
#[derive(Debug, Clone, Serialize)]
pub struct Nat {
    /// The classic name.
    #[serde(rename = "type")]
    pub nat_type: NatType,
    /// Mapping behaviour (RFC 4787).
    pub mapping: Option<Behaviour>,
    /// Filtering behaviour (RFC 4787).
    pub filtering: Option<Behaviour>,
    /// Whether the port outside is the local one.
    pub port_preservation: Option<bool>,
    /// In which order new ports come, where each destination gets its own.
    pub ports: Option<PortOrder>,
    /// Whether they can be guessed, in a sentence.
    pub guessing: Option<String>,
    /// Whether hosts behind it reach each other by their outside addresses.
    pub hairpinning: Option<bool>,
    /// How long a mapping lives without traffic.
    pub mapping_lifetime: Option<Lifetime>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    /// What was seen, in sentences.
    pub evidence: Vec<String>,
    /// Since it was measured.
    pub measured_s: Option<f64>,
    /// Why the type is unknown, if it is.
    pub reason: Option<String>,
    /// Since it is measured again, because something contradicts what was known.
    pub again_since_s: Option<f64>,
    /// What it was, the oldest first; the last one holds where it has not ended.
    pub history: Vec<Spell>,
}

/// For how long our NAT was found to be of one type.
#[derive(Debug, Clone, Serialize)]
pub struct Spell {
    /// Which.
    #[serde(rename = "type")]
    pub nat_type: NatType,
    /// Whether nothing was translated, and a firewall kept strangers out.
    pub firewalled: bool,
    /// Our address outside.
    pub at: Option<IpAddr>,
    /// Since it was measured first.
    pub from_s: f64,
    /// Since something contradicted it; `null` while it holds.
    pub until_s: Option<f64>,
}

impl Spell {
    fn new(of: &NatSpell, now: Stamp) -> Self {
        let NatSpell { nat_type, firewalled, at, from, until } = *of;
        Self { nat_type, firewalled, at, from_s: age_s(from, now), until_s: until.map(|at| age_s(at, now)) }
    }
}

/// How long a mapping lives without traffic.
#[derive(Debug, Clone, Serialize)]
pub struct Lifetime {
    /// One lived that long.
    pub at_least_s: u32,
    /// One did not live that long; `null`: none died as long as it was looked at.
    pub less_than_s: Option<u32>,
    /// Who answered late.
    pub by: PeerId,
    /// Since it was seen.
    pub measured_s: f64,
    /// Whether the measurement goes on.
    pub under_way: bool,
}

impl Lifetime {
    fn new(of: &MappingLifetime, now: Stamp) -> Self {
        let MappingLifetime { at_least_s, less_than_s, by, measured, under_way } = *of;
        Self { at_least_s, less_than_s, by, measured_s: age_s(measured, now), under_way }
    }
}

impl Nat {
    /// Of a view.
    pub fn new(view: &NatView, now: Stamp) -> Self {
        Self {
            nat_type: view.nat_type,
            mapping: view.mapping,
            filtering: view.filtering,
            port_preservation: view.port_preservation,
            ports: view.ports,
            guessing: view.guessing(),
            hairpinning: view.hairpinning,
            mapping_lifetime: view.lifetime.as_ref().map(|of| Lifetime::new(of, now)),
            confidence: view.confidence,
            evidence: view.evidence.clone(),
            measured_s: view.measured.map(|at| age_s(at, now)),
            reason: view.reason.as_ref().map(Reason::to_string),
            again_since_s: view.again_since.map(|at| age_s(at, now)),
            history: view.history.iter().map(|spell| Spell::new(spell, now)).collect(),
        }
    }
}

/// The same, with who saw what.
#[derive(Debug, Clone, Serialize)]
pub struct NatWithVantages {
    /// What it does.
    #[serde(flatten)]
    pub nat: Nat,
    /// For IPv6, measured apart.
    pub nat6: Option<Nat>,
    /// At which ports we answer the probes of others.
    pub probe_ports: Vec<u16>,
    /// Why at none.
    pub no_probe_ports: Option<String>,
    /// Who saw what.
    pub vantage_points: Vec<VantageItem>,
}

/// What one peer saw.
#[derive(Debug, Clone, Serialize)]
pub struct VantageItem {
    /// Who.
    pub peer_id: PeerId,
    /// Our address as it saw it.
    pub seen: SocketAddr,
    /// Whether it bears the result out.
    pub agrees: bool,
}

impl NatWithVantages {
    /// Of a view, and the node's snapshot of the moment.
    pub fn new(view: &NatView, snapshot: &Snapshot) -> Self {
        let (node, now) = (&snapshot.node, snapshot.at);
        let nat6 = view.nat6.as_deref();
        let vantages = view.vantage_points.iter().chain(nat6.into_iter().flat_map(|v| &v.vantage_points));
        let item =
            |v: &crate::model::Vantage| VantageItem { peer_id: v.peer_id, seen: v.seen, agrees: v.agrees };
        Self {
            nat: Nat::new(view, now),
            nat6: nat6.map(|view| Nat::new(view, now)),
            probe_ports: node.probe_ports.clone(),
            no_probe_ports: node.no_probe_ports.as_ref().map(NoProbePorts::to_string),
            vantage_points: vantages.map(item).collect(),
        }
    }
}
