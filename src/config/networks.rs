//! Named networks and the nodes that let strangers in.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Deserialize;

const NETWORKS: &str = include_str!("../../assets/networks.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    bootstrap: Vec<SocketAddr>,
}

/// The bootstrap list that comes with a network's name. Most names have none:
/// they only separate, and nothing is dialled that nobody configured.
pub fn bootstrap_of(network: &str) -> Vec<SocketAddr> {
    networks().ok().and_then(|mut all| all.remove(network)).map(|n| n.bootstrap).unwrap_or_default()
}

fn networks() -> Result<BTreeMap<String, Network>, toml::de::Error> {
    toml::from_str(NETWORKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_network_is_valid_and_has_somebody_to_dial() {
        for (name, network) in networks().unwrap() {
            super::super::validate_network(&name).unwrap();
            assert!(!network.bootstrap.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_default_network_dials_nobody() {
        assert!(bootstrap_of("punchdeck").is_empty());
        assert!(bootstrap_of("no-such-network").is_empty());
    }
}
