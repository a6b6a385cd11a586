//! Where the other end is, by what others see: nobody's word alone aims us.

use std::net::{IpAddr, SocketAddr};

use crate::core::gossip::rules::is_public;
use crate::core::limits::GUESS_WITNESSES_MAX;
use crate::model::PeerId;

/// Somebody linked to both ends, and what it sees. Only such are handed in whose own
/// link runs over no relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The peer that sees the other end.
    pub peer: PeerId,
    /// Where it is itself.
    pub ip: IpAddr,
    /// Whether a dial of ours from a fresh socket reached it: it is where it is, and
    /// no identity made up for this.
    pub proven: bool,
    /// Where it sees the other end, plain.
    pub sees: SocketAddr,
}

/// What witnesses said.
#[derive(Debug, Default)]
pub struct Evidence(Vec<Witness>);

impl Evidence {
    /// Keeps what one says; each is heard once.
    pub fn add(&mut self, witness: Witness) {
        let known = self.0.iter().any(|w| w.peer == witness.peer);
        // A peer at the address in question is no stranger to it.
        if !known && self.0.len() < GUESS_WITNESSES_MAX && witness.ip != witness.sees.ip() {
            self.0.push(witness);
        }
    }

    /// Whether the other end is at that host.
    pub fn bears_out_host(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() && is_public(ip) && self.enough(|w| w.sees.ip() == ip)
    }

    /// Whether it is at that very address, port and all.
    pub fn bears_out(&self, at: SocketAddr) -> bool {
        at.ip().is_ipv4() && is_public(at.ip()) && self.enough(|w| w.sees == at)
    }

    /// One that we found to be public ourselves, or two at different hosts.
    fn enough(&self, agrees: impl Fn(&Witness) -> bool) -> bool {
        let agreeing = || self.0.iter().filter(|w| agrees(w));
        let first = agreeing().next().map(|w| w.ip);
        agreeing().any(|w| w.proven) || agreeing().any(|w| Some(w.ip) != first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(n: u8, host: u8, proven: bool, sees: &str) -> Witness {
        Witness { peer: PeerId([n; 32]), ip: [198, 18, 0, host].into(), proven, sees: sees.parse().unwrap() }
    }

    fn evidence(witnesses: &[Witness]) -> Evidence {
        let mut evidence = Evidence::default();
        for witness in witnesses {
            evidence.add(*witness);
        }
        evidence
    }

    const AT: &str = "198.19.0.7:9000";

    fn borne_out(witnesses: &[Witness]) -> bool {
        let at: SocketAddr = AT.parse().unwrap();
        let found = evidence(witnesses);
        assert_eq!(found.bears_out(at), found.bears_out_host(at.ip()));
        found.bears_out(at)
    }

    #[test]
    fn one_that_we_proved_to_be_public_is_enough_and_one_that_we_did_not_is_not() {
        assert!(!borne_out(&[]), "nobody but the end itself");
        assert!(borne_out(&[witness(1, 1, true, AT)]));
        assert!(!borne_out(&[witness(1, 1, false, AT)]));
    }

    #[test]
    fn two_at_different_hosts_are_enough_and_two_identities_at_one_are_not() {
        assert!(borne_out(&[witness(1, 1, false, AT), witness(2, 2, false, AT)]));
        assert!(!borne_out(&[witness(1, 1, false, AT), witness(2, 1, false, AT)]));
        assert!(!borne_out(&[witness(1, 1, false, AT), witness(1, 2, false, AT)]), "the same one twice");
    }

    #[test]
    fn who_is_where_it_says_that_the_other_end_is_bears_nothing_out() {
        let at_home = Witness { ip: "198.19.0.7".parse().unwrap(), ..witness(1, 1, true, AT) };
        assert!(!borne_out(&[at_home]));
    }

    #[test]
    fn a_private_address_is_never_borne_out() {
        let at = "192.168.1.7:9000";
        let found = evidence(&[witness(1, 1, true, at), witness(2, 2, true, at)]);
        assert!(!found.bears_out(at.parse().unwrap()));
    }

    #[test]
    fn of_a_mapping_that_is_one_for_all_the_port_is_witnessed_too() {
        let found = evidence(&[witness(1, 1, true, AT)]);
        let other: SocketAddr = "198.19.0.7:9001".parse().unwrap();
        assert!(found.bears_out_host(other.ip()) && !found.bears_out(other));
    }

    #[test]
    fn a_crowd_of_witnesses_costs_no_more_memory_than_a_few() {
        let many: Vec<Witness> = (0..=255).map(|n| witness(n, 1, false, AT)).collect();
        assert_eq!(evidence(&many).0.len(), GUESS_WITNESSES_MAX);
    }
}
