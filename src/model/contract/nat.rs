//! Our NAT.

use serde::Serialize;

use super::told::{Told, all};
use crate::model::{NatView, NoProbePorts, Snapshot, Vantage};

/// What our NAT does, with who saw what.
#[derive(Debug, Clone, Serialize)]
pub struct NatWithVantages<'a> {
    /// What it does.
    #[serde(flatten)]
    pub nat: Told<'a, NatView>,
    /// For IPv6, measured apart.
    pub nat6: Option<Told<'a, NatView>>,
    /// At which ports we answer the probes of others.
    pub probe_ports: &'a [u16],
    /// Why at none.
    pub no_probe_ports: Option<String>,
    /// Who saw what.
    pub vantage_points: Vec<Told<'a, Vantage>>,
}

impl<'a> NatWithVantages<'a> {
    /// Of a view, and the node's snapshot of the moment.
    pub fn new(view: &'a NatView, snapshot: &'a Snapshot) -> Self {
        let (node, now) = (&snapshot.node, snapshot.at);
        let nat6 = view.nat6.as_deref();
        let vantages = view.vantage_points.iter().chain(nat6.into_iter().flat_map(|v| &v.vantage_points));
        Self {
            nat: Told::new(view, now),
            nat6: nat6.map(|view| Told::new(view, now)),
            probe_ports: &node.probe_ports,
            no_probe_ports: node.no_probe_ports.as_ref().map(NoProbePorts::to_string),
            vantage_points: all(vantages, now),
        }
    }
}
