//! Where others see us, and what of that we believe.
//!
//! What a peer says it sees goes into our record, and whoever hears of that dials
//! there, most of all when we are gone. So an address is ours only when peers that
//! have nothing in common see us there. That a peer dialled us there is its word
//! too: nobody can check through which address somebody came in from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::core::book::Quarter;
use crate::core::limits::SIGHT_QUARTERS;
use crate::core::nat::Family;
use crate::model::{PeerId, plain_addr};

#[derive(Debug, Clone, Copy)]
struct Sight {
    /// Where it sees us.
    addr: SocketAddr,
    /// Where it is itself.
    by: IpAddr,
    /// We dialled it.
    chosen: bool,
}

impl Sight {
    /// The host that speaks; of an IPv6 one its subnet, which has more addresses
    /// than anybody can count.
    fn host(&self) -> IpAddr {
        match self.by.to_canonical() {
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            ip @ IpAddr::V4(_) => ip,
        }
    }
}

/// What linked peers see of us; those over relays see the relay.
#[derive(Debug, Default)]
pub(super) struct Sights {
    of: BTreeMap<PeerId, Sight>,
    /// We listen on loopback: then only this host sees us, and may say anything.
    loopback: bool,
}

impl Sights {
    pub(super) fn new(loopback: bool) -> Self {
        Self { of: BTreeMap::new(), loopback }
    }

    /// A peer that is at `by` sees us at `addr`. In another family than that of
    /// its link it sees nothing. Returns where it saw us before.
    pub(super) fn note(
        &mut self,
        peer: PeerId,
        addr: SocketAddr,
        by: IpAddr,
        chosen: bool,
    ) -> Option<SocketAddr> {
        let addr = plain_addr(addr);
        if Family::of(addr.ip()) != Family::of(by.to_canonical()) {
            return self.of(&peer);
        }
        self.of.insert(peer, Sight { addr, by, chosen }).map(|before| before.addr)
    }

    /// Where each peer sees us.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PeerId, SocketAddr)> {
        self.of.iter().map(|(peer, sight)| (peer, sight.addr))
    }

    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.of.remove(peer);
    }

    /// Where one peer sees us.
    pub(super) fn of(&self, peer: &PeerId) -> Option<SocketAddr> {
        self.of.get(peer).map(|sight| sight.addr)
    }

    /// The addresses at which we are, as far as others see us there and we believe
    /// it; the most agreed-on first.
    pub(super) fn believed(&self) -> Vec<SocketAddr> {
        let ours = self.own_hosts();
        let mut counted: Vec<(usize, SocketAddr)> = Vec::new();
        for sight in self.of.values().filter(|sight| self.loopback || ours.contains(&sight.addr.ip())) {
            match counted.iter_mut().find(|(_, addr)| *addr == sight.addr) {
                Some((count, _)) => *count += 1,
                None => counted.push((1, sight.addr)),
            }
        }
        counted.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        counted.into_iter().map(|(_, addr)| addr).collect()
    }

    /// The IPs that we believe to be ours.
    fn own_hosts(&self) -> BTreeSet<IpAddr> {
        let hosts: BTreeSet<IpAddr> = self.of.values().map(Sight::host).collect();
        // With one alone nobody else hears what it made us say.
        let alone = hosts.len() == 1;
        let mut ours = BTreeSet::new();
        for family in [Family::V4, Family::V6] {
            let all: Vec<&Sight> = self.of.values().filter(|s| Family::of(s.addr.ip()) == family).collect();
            let chosen: Vec<&Sight> = all.iter().copied().filter(|sight| sight.chosen).collect();
            // Who dialled us chose us: where those that we chose are enough, only
            // they count.
            let heard = if quarters(&chosen).len() >= SIGHT_QUARTERS { chosen } else { all };
            // A fleet within one network has no second one to ask: there hosts
            // count, and who owns two of its hosts is believed.
            let spread = quarters(&heard).len() >= SIGHT_QUARTERS;
            let voices = |seen: &[&Sight]| {
                if spread {
                    quarters(seen).len()
                } else {
                    seen.iter().map(|sight| sight.host()).collect::<BTreeSet<_>>().len()
                }
            };
            let mut by_ip: BTreeMap<IpAddr, Vec<&Sight>> = BTreeMap::new();
            for sight in heard {
                by_ip.entry(sight.addr.ip()).or_default().push(sight);
            }
            let most = by_ip.values().map(|seen| voices(seen)).max().unwrap_or(0);
            // A few that agree against many are liars, from wherever they speak;
            // two ways out of one house share their witnesses more evenly.
            let enough = |count: usize| alone || (count >= SIGHT_QUARTERS && count * 2 >= most);
            ours.extend(by_ip.iter().filter(|(_, seen)| enough(voices(seen))).map(|(ip, _)| *ip));
        }
        ours
    }
}

fn quarters(seen: &[&Sight]) -> BTreeSet<Quarter> {
    seen.iter().map(|sight| Quarter::of(sight.by)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "8.8.8.8:9000";
    const BYSTANDER: &str = "9.9.9.9:9000";

    /// Where each peer sees us: its IP, the address it sees, whether we dialled it.
    fn seen(sights: &[(&str, &str, bool)]) -> Vec<String> {
        let mut all = Sights::new(false);
        for (n, (by, addr, chosen)) in (1..).zip(sights) {
            all.note(PeerId([n; 32]), addr.parse().unwrap(), by.parse().unwrap(), *chosen);
        }
        all.believed().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_that_is_alone_is_believed_and_one_among_others_is_not() {
        assert_eq!(seen(&[("20.1.0.1", OURS, true)]), [OURS]);
        assert_eq!(seen(&[("20.1.0.1", OURS, true), ("20.2.0.1", OURS, true)]), [OURS]);
        let one_lies = [("20.1.0.1", OURS, true), ("20.2.0.1", OURS, true), ("20.3.0.1", BYSTANDER, true)];
        assert_eq!(seen(&one_lies), [OURS]);
        assert!(seen(&[("20.1.0.1", OURS, true), ("20.3.0.1", BYSTANDER, true)]).is_empty(), "who lies?");
    }

    #[test]
    fn a_crowd_in_one_network_is_one_voice() {
        let crowd = [
            ("20.1.0.1", OURS, true),
            ("20.2.0.1", OURS, true),
            ("20.3.0.1", BYSTANDER, true),
            ("20.3.0.2", BYSTANDER, true),
            ("20.3.7.3", BYSTANDER, true),
        ];
        assert_eq!(seen(&crowd), [OURS]);
    }

    #[test]
    fn liars_in_many_networks_who_dialled_us_are_not_heard() {
        let mut all = vec![("20.1.0.1", OURS, true), ("20.2.0.1", OURS, true)];
        let liars = ["30.1.0.1", "30.2.0.1", "30.3.0.1", "30.4.0.1", "30.5.0.1"];
        all.extend(liars.iter().map(|by| (*by, BYSTANDER, false)));
        assert_eq!(seen(&all), [OURS]);
    }

    #[test]
    fn a_few_that_agree_against_many_are_not_believed() {
        let honest: Vec<String> = (1..8).map(|n| format!("20.{n}.0.1")).collect();
        let mut all: Vec<_> = honest.iter().map(|by| (by.as_str(), OURS, true)).collect();
        all.extend(["30.1.0.1", "30.2.0.1", "30.3.0.1"].map(|by| (by, BYSTANDER, true)));
        assert_eq!(seen(&all), [OURS]);
    }

    #[test]
    fn two_ways_out_are_both_ours() {
        let other = "8.8.4.4:9000";
        let all = [
            ("20.1.0.1", OURS, true),
            ("20.2.0.1", OURS, true),
            ("20.3.0.1", other, true),
            ("20.4.0.1", other, true),
        ];
        assert_eq!(seen(&all), [other, OURS]);
    }

    #[test]
    fn a_fleet_of_three_in_one_network_sees_itself() {
        let lan = [("192.168.1.2", "192.168.1.4:9000", true), ("192.168.1.3", "192.168.1.4:9000", false)];
        assert_eq!(seen(&lan), ["192.168.1.4:9000"]);
        let cloud = [("20.1.0.2", OURS, false), ("20.1.9.3", OURS, false)];
        assert_eq!(seen(&cloud), [OURS]);
        let one_lies = [("20.1.0.2", OURS, true), ("20.1.0.3", OURS, true), ("20.1.0.4", BYSTANDER, true)];
        assert_eq!(seen(&one_lies), [OURS]);
        let one_host = [("192.168.1.4", OURS, true), ("192.168.1.4", OURS, false)];
        assert_eq!(seen(&one_host), [OURS], "many on one host are one");
    }

    #[test]
    fn ports_may_differ_where_the_host_is_agreed_on() {
        let symmetric = [("20.1.0.1", "8.8.8.8:4001", true), ("20.2.0.1", "8.8.8.8:4002", true)];
        assert_eq!(seen(&symmetric), ["8.8.8.8:4001", "8.8.8.8:4002"]);
    }

    #[test]
    fn nobody_sees_us_in_a_family_that_his_link_does_not_have() {
        assert!(seen(&[("20.1.0.1", "[2001:4860::1]:9000", true)]).is_empty());
    }

    #[test]
    fn on_loopback_this_host_may_say_anything() {
        let mut all = Sights::new(true);
        let by = "127.0.0.1".parse().unwrap();
        all.note(PeerId([1; 32]), OURS.parse().unwrap(), by, true);
        all.note(PeerId([2; 32]), BYSTANDER.parse().unwrap(), by, true);
        assert_eq!(all.believed().len(), 2);
    }
}
