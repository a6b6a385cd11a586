//! Questions that a snapshot answers.

use std::path::Path;

use super::error::CtlError;
use super::{Out, peer, text};
use crate::cli::{Verb, print};
use crate::control::Client;
use crate::core;
use crate::metrics;
use crate::model::Snapshot;
use crate::model::contract::{Attempts, Gossip, Kpi, Links, NatWithVantages, Peers, Relays, Status};

async fn snapshot(socket: &Path) -> Result<Snapshot, CtlError> {
    Ok(Client::connect(socket, true).await?.snapshot().await?)
}

pub(super) async fn execute(verb: &Verb, socket: &Path, out: Out<'_>) -> Result<(), CtlError> {
    let now = snapshot(socket).await?;
    match verb {
        Verb::Peers => out.say(Peers::new(&now), text::peers),
        Verb::Links => out.say(Links::new(&now), |links| text::links(links, &now)),
        Verb::Relays { .. } => out.say(Relays::new(&now), |relays| text::relays(relays, &now)),
        Verb::Gossip => out.say(Gossip::new(&now), text::gossip),
        Verb::Nat => out.say(NatWithVantages::new(&now.nat, &now), |nat| text::nat(nat, &now)),
        Verb::Kpi => {
            let figures = core::kpi::answer(now.kpi.figures.clone(), Some(now.gossip.propagation()));
            out.say(Kpi::new(figures, &now), text::kpi)
        }
        _ => out.say(Status::new(&now), text::status),
    }
}

pub(super) async fn attempts(wanted: Option<&str>, socket: &Path, out: Out<'_>) -> Result<(), CtlError> {
    let now = snapshot(socket).await?;
    let peer = wanted.map(|wanted| peer::find(wanted, &now)).transpose()?;
    out.say(Attempts::new(&now, peer), |attempts| text::attempts(attempts, &now))
}

/// As it is for whoever scrapes, whatever else is asked as JSON.
pub(super) async fn metrics(peers: bool, socket: &Path) -> Result<(), CtlError> {
    let now = snapshot(socket).await?;
    print(metrics::of(&now, peers, metrics::Format::Text).as_bytes()).map_err(CtlError::from)
}
