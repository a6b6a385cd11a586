//! What building a network and changing it have in common.

use super::{NetworkError, Place, RouterPart};
use crate::lab::rules::rules;
use crate::lab::topology::Topology;
use crate::lab::userns::Tools;

pub(super) fn batch(tools: &Tools, place: &Place, lines: &[String]) -> Result<(), NetworkError> {
    place.feed(&tools.ip, &["-batch", "-"], lines.join("\n") + "\n")
}

/// Connection tracking forgets when the rules do.
pub(super) fn keep_mappings(place: &Place, seconds: u32) -> Result<(), NetworkError> {
    place.run(move || {
        for name in ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"] {
            std::fs::write(format!("/proc/sys/net/netfilter/{name}"), seconds.to_string())?;
        }
        Ok(())
    })
}

pub(super) fn apply(tools: &Tools, part: &RouterPart) -> Result<(), NetworkError> {
    let (interface, address) = part.outside;
    part.place.feed(&tools.nft, &["-f", "-"], rules(part.behaves, interface, address))
}

pub(super) fn pairs(topology: &Topology) -> impl Iterator<Item = [&str; 2]> {
    let names = topology.region.iter().map(|r| r.name.as_str());
    names.clone().enumerate().flat_map(move |(n, a)| names.clone().skip(n + 1).map(move |b| [a, b]))
}

/// Where the self-test's servers are: in the first region with IPv6, if there is
/// one.
pub(in crate::lab) fn tested_from(topology: &Topology) -> Option<&str> {
    let sixth = topology.region.iter().find(|r| r.ipv6);
    sixth.or(topology.region.first()).map(|r| r.name.as_str())
}

pub(super) fn part_missing(name: &str) -> NetworkError {
    NetworkError::Place { place: name.to_owned(), detail: "it was made, but is not there".to_owned() }
}
