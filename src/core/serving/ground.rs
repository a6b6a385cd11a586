//! Where nothing may be sent for others, whoever sent what from there: this host,
//! and what is no host.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// What is known of this host.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    own: BTreeSet<IpAddr>,
    /// Whether we listen on loopback: then all that we serve is on this host.
    loopback: bool,
}

impl Ground {
    /// A host with these addresses that listens on `bind`.
    pub fn new(own: impl IntoIterator<Item = IpAddr>, bind: IpAddr) -> Self {
        let mut ground = Self { own: BTreeSet::new(), loopback: bind.to_canonical().is_loopback() };
        ground.set_own(own);
        ground
    }

    /// Its addresses are these now.
    pub(super) fn set_own(&mut self, own: impl IntoIterator<Item = IpAddr>) {
        self.own = own.into_iter().map(|ip| ip.to_canonical()).collect();
    }

    /// Whether nothing may be sent to an address, which is plain.
    pub(super) fn forbids(&self, ip: IpAddr) -> bool {
        let nobody = match ip {
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
        };
        let here = ip.is_loopback() || self.own.contains(&ip);
        nobody || (here && !self.loopback)
    }
}
