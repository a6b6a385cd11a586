//! A router's NAT as nftables rules, per mapping as RFC 4787 says.
//!
//! The rules are our own throughout: one table, replaced in one transaction, so
//! that a change of type is whole or not at all. What a mapping is, is kept in
//! sets of the table and refreshed by every packet that goes out, not by a
//! flow's first one alone.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::model::NatType;

/// How long a mapping lives without a packet going out, if nothing else is said
/// (RFC 4787, 4.3: five minutes, at least two).
pub(super) const MAPPING_SECONDS: u32 = 300;
/// Mappings of a router.
const MAPPINGS_MAX: u32 = 65_536;
/// Where a NAT begins that hands out its ports one after the other.
const FIRST_IN_ORDER: u16 = 20_000;
/// After so many it begins anew.
const IN_ORDER: u16 = 4096;

/// What a router does to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaves {
    /// The NAT.
    pub nat: NatType,
    /// With a symmetric NAT: whether its ports come one after the other, and not
    /// at random (symmetric-sequential).
    pub sequential: bool,
    /// Whether hosts behind it reach each other by its public address.
    pub hairpin: bool,
    /// Without a NAT: whether only answers come in.
    pub firewall: bool,
    /// How many seconds a mapping lives without a packet going out.
    pub remembers_s: u32,
}

/// The rules for a router with this interface and address to the outside.
pub(super) fn rules(behaves: Behaves, outside: &str, address: Ipv4Addr) -> String {
    let body = match behaves.nat {
        NatType::None | NatType::Unknown if behaves.firewall => answers_only(outside),
        NatType::None | NatType::Unknown => String::new(),
        NatType::Symmetric => symmetric(outside, address, behaves.sequential),
        NatType::FullCone => cone(behaves, outside, address, ""),
        NatType::AddressRestricted => cone(behaves, outside, address, &contacted_only(outside)),
        NatType::PortRestricted => cone(behaves, outside, address, &answers_only(outside)),
    };
    // Adding first makes deleting possible where there was none.
    format!("add table ip nat_lab\ndelete table ip nat_lab\ntable ip nat_lab {{\n{body}}}\n")
}

/// The rules for IPv6, which is never translated.
pub(super) fn rules6(firewall: bool, outside: &str) -> String {
    let body = if firewall { answers_only(outside) } else { String::new() };
    format!("add table ip6 nat_lab\ndelete table ip6 nat_lab\ntable ip6 nat_lab {{\n{body}}}\n")
}

/// Closes the router and forgets every mapping, but not which ports were taken:
/// as after a reboot, when others got them, no host gets its old one back. What
/// passed meanwhile would bring the old mappings with it.
pub(super) fn closed_and_forgotten(behaves: Behaves) -> String {
    let cone =
        matches!(behaves.nat, NatType::FullCone | NatType::AddressRestricted | NatType::PortRestricted);
    let closed = "add chain ip nat_lab closed { type filter hook forward priority -300; policy drop; }\n";
    let forget =
        ["flush map ip nat_lab inner", "flush map ip nat_lab outer", "flush set ip nat_lab contacted"];
    format!("{closed}{}\n", if cone { forget.join("\n") } else { String::new() })
}

/// Lets packets pass again.
pub(super) const OPENED: &str = "delete chain ip nat_lab closed\n";

/// Address- and port-dependent filtering: that is what connection tracking is.
fn answers_only(outside: &str) -> String {
    format!(
        "chain filter_in {{
    type filter hook forward priority filter; policy accept;
    iifname \"{outside}\" ct state established,related accept
    iifname \"{outside}\" drop
}}
"
    )
}

/// Address-dependent filtering, of each mapping by itself: the external port is
/// the mapping's name, and stands in the packet until it is translated. So what
/// comes from a contacted address is marked before.
fn contacted_only(outside: &str) -> String {
    format!(
        "chain contacts {{
    type filter hook prerouting priority mangle; policy accept;
    iifname \"{outside}\" meta l4proto udp udp dport . ip saddr @contacted meta mark set 1
}}
chain filter_in {{
    type filter hook forward priority filter; policy accept;
    meta mark 1 accept
    iifname \"{outside}\" ct state established,related accept
    iifname \"{outside}\" drop
}}
"
    )
}

/// A mapping for each destination, each with a port of its own: any, or the next.
fn symmetric(outside: &str, address: Ipv4Addr, sequential: bool) -> String {
    let ports = if sequential {
        // Only the first packet of a flow comes by here, so each counts once.
        let next = |n: u16| format!("{n} : {}", FIRST_IN_ORDER + n);
        let map: Vec<String> = (0..IN_ORDER).map(next).collect();
        format!("numgen inc mod {IN_ORDER} map {{ {} }}", map.join(", "))
    } else {
        "1024-65535 fully-random".to_owned()
    };
    format!(
        "chain translate_out {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname \"{outside}\" meta l4proto udp snat to {address}:{ports}
    oifname \"{outside}\" snat to {address}
}}
{}{}",
        answers_only(outside),
        refuse_strays(address),
    )
}

/// What is for the router's own address and for no mapping ends here, before
/// connection tracking takes it for a flow: such a flow would hold the port, and
/// the host's next mapping would get another one.
fn refuse_strays(address: Ipv4Addr) -> String {
    format!(
        "chain strays {{
    type filter hook input priority filter; policy accept;
    ip daddr {address} meta l4proto udp ct state new drop
}}
"
    )
}

/// One mapping for each inner endpoint, whatever the destination. The port is
/// kept where it is free.
fn cone(behaves: Behaves, outside: &str, address: Ipv4Addr, filter: &str) -> String {
    let remembers_s = behaves.remembers_s;
    let mut out = format!(
        "map inner {{
    type inet_service : ipv4_addr . inet_service; flags dynamic,timeout
    timeout {remembers_s}s; size {MAPPINGS_MAX}
}}
map outer {{
    type ipv4_addr . inet_service : inet_service; flags dynamic,timeout
    timeout {remembers_s}s; size {MAPPINGS_MAX}
}}
set taken {{
    type inet_service; flags dynamic,timeout
    timeout {remembers_s}s; size {MAPPINGS_MAX}
}}
set contacted {{
    type inet_service . ipv4_addr; flags dynamic,timeout
    timeout {remembers_s}s; size {MAPPINGS_MAX}
}}
"
    );
    let mut ways_out = vec![format!("oifname \"{outside}\"")];
    let comes = if behaves.hairpin {
        // Also what comes from inside for the address outside, and then the
        // source is the mapping as well (RFC 4787, REQ-9). What comes from
        // outside keeps its own source.
        ways_out.push(format!("iifname != \"{outside}\" oifname != \"{outside}\" ct status dnat"));
        format!("ip daddr {address}")
    } else {
        format!("iifname \"{outside}\"")
    };
    let _ = write!(
        out,
        "chain translate_in {{
    type nat hook prerouting priority dstnat; policy accept;
    {comes} meta l4proto udp dnat to udp dport map @inner
}}
chain translate_out {{
    type nat hook postrouting priority srcnat; policy accept;
"
    );
    for way in &ways_out {
        let _ = write!(
            out,
            "    {way} meta l4proto udp snat to {address}:ip saddr . udp sport map @outer
    {way} udp sport @taken snat to {address}:1024-65535 fully-random
    {way} snat to {address}
"
        );
    }
    // After translation: the source port is the mapping's, and connection
    // tracking knows the inner endpoint, wherever the flow began.
    out.push_str(
        "}\nchain remember {\n    type filter hook postrouting priority srcnat + 1; policy accept;\n",
    );
    for way in &ways_out {
        for direction in ["original", "reply"] {
            // Of what came in from outside, the inner endpoint answers.
            let here = format!("{way} meta l4proto udp ct direction {direction}");
            let inner = format!("ct {direction} ip saddr . ct {direction} proto-src");
            let _ = write!(
                out,
                "    {here} update @inner {{ udp sport : {inner} }}
    {here} update @outer {{ {inner} : udp sport }}
    {here} update @taken {{ udp sport }}
    {here} update @contacted {{ udp sport . ip daddr }}
"
            );
        }
    }
    out.push_str("}\n");
    out.push_str(filter);
    out.push_str(&refuse_strays(address));
    out
}
