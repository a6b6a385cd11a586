//! What the host lets a node do: where its routes lead, and whom its system keeps it
//! from. Nothing is attempted towards whom there is no way to: that would say
//! something of the host and nothing of the peer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::SendTrouble;

/// What the host lets us do, as its system says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    /// Whether a route leads to the world.
    pub out: bool,
    /// Where none does: those whom a route leads to all the same, of the addresses that
    /// the node asked about.
    pub near: BTreeSet<IpAddr>,
    /// Whom the system would not send to, when last tried.
    pub barred: BTreeMap<IpAddr, SendTrouble>,
}

impl Ways {
    /// Everywhere.
    pub fn open() -> Self {
        Self { out: true, near: BTreeSet::new(), barred: BTreeMap::new() }
    }

    /// Whether they lead everywhere.
    pub fn is_open(&self) -> bool {
        self.out && self.barred.is_empty()
    }

    /// Whether one of these addresses can be sent to; else what keeps us from it.
    ///
    /// # Errors
    /// What keeps us from all of them. Whoever has no address is in nobody's way.
    pub fn to(&self, addrs: &[SocketAddr]) -> Result<(), SendTrouble> {
        let mut trouble = None;
        for addr in addrs {
            let ip = addr.ip();
            let found = match self.barred.get(&ip) {
                Some(why) => *why,
                None if self.out || ip.is_loopback() || self.near.contains(&ip) => return Ok(()),
                None => SendTrouble::NoRoute,
            };
            // What is forbidden was decided by somebody, who should hear of it.
            trouble = trouble.min(Some(found)).or(Some(found));
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Whether something can be reached that could not be before these.
    pub fn opens(&self, before: &Self) -> bool {
        let anew = |ip: &IpAddr| !before.near.contains(ip);
        (self.out && !before.out)
            || (!self.out && self.near.iter().any(anew))
            || before.barred.keys().any(|ip| !self.barred.contains_key(ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(host: u8) -> SocketAddr {
        ([198, 18, 0, host], 9000).into()
    }

    #[test]
    fn where_a_route_leads_to_the_world_everybody_can_be_reached() {
        assert_eq!(Ways::open().to(&[addr(1)]), Ok(()));
        assert_eq!(Ways::open().to(&[]), Ok(()), "nobody's address is in nobody's way");
    }

    #[test]
    fn without_one_only_the_near_and_this_host_can() {
        let ways = Ways { out: false, near: [addr(2).ip()].into(), ..Ways::open() };
        assert_eq!(ways.to(&[addr(1)]), Err(SendTrouble::NoRoute));
        assert_eq!(ways.to(&[addr(1), addr(2)]), Ok(()));
        assert_eq!(ways.to(&["127.0.0.1:9".parse().unwrap()]), Ok(()));
    }

    #[test]
    fn whom_the_system_bars_is_out_of_reach_by_that_address_alone() {
        let barred = [(addr(1).ip(), SendTrouble::Forbidden)].into();
        let ways = Ways { barred, ..Ways::open() };
        assert_eq!(ways.to(&[addr(1)]), Err(SendTrouble::Forbidden));
        assert_eq!(ways.to(&[addr(1), addr(2)]), Ok(()));
        let gone = Ways { out: false, ..ways };
        assert_eq!(gone.to(&[addr(2), addr(1)]), Err(SendTrouble::Forbidden), "the plainer word");
    }

    #[test]
    fn a_way_that_comes_is_told_from_one_that_goes() {
        let shut = Ways { out: false, ..Ways::open() };
        assert!(Ways::open().opens(&shut) && !shut.opens(&Ways::open()));
        let near = Ways { near: [addr(1).ip()].into(), ..shut.clone() };
        assert!(near.opens(&shut) && !shut.opens(&near));
        let barred = Ways { barred: [(addr(1).ip(), SendTrouble::Forbidden)].into(), ..Ways::open() };
        assert!(Ways::open().opens(&barred) && !barred.opens(&Ways::open()));
    }
}
