use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"
[[region]]
name = "eu"
[[region]]
name = "us"
[[link]]
between = ["eu", "us"]
rtt_ms = 80
jitter_ms = 2.5
loss = 1
rate_kbit = 1000
[[router]]
name = "isp"
upstream = "us"
nat = "symmetric"
[[router]]
name = "home"
upstream = "isp"
nat = "full-cone"
hairpin = true
[[host]]
name = "pub-1"
upstream = "eu"
[[host]]
name = "in-1"
upstream = "home"
"#;

fn good() -> Topology {
    Topology::parse(GOOD, "good").unwrap()
}

#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let error = Topology::parse(text, "bad.toml").unwrap_err().to_string();
    assert!(error.starts_with("bad.toml: "), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} in {error}");
    }
}

#[test]
fn every_built_in_topology_can_be_built() {
    for name in Topology::built_in_names() {
        Topology::built_in(name).unwrap();
    }
    let error = Topology::built_in("moon").unwrap_err().to_string();
    assert!(error.contains("default, cgnat"), "{error}");
}

#[test]
fn the_default_has_three_public_nodes_and_one_behind_each_nat_type() {
    let topology = Topology::built_in("default").unwrap();
    assert_eq!(topology.host.len(), 8);
    assert_eq!(topology.host.iter().filter(|h| topology.is_public(h)).count(), 3);
    let mut types: Vec<NatType> = topology.router.iter().map(|r| r.nat).collect();
    types.sort();
    assert_eq!(
        types,
        [
            NatType::None,
            NatType::FullCone,
            NatType::AddressRestricted,
            NatType::PortRestricted,
            NatType::Symmetric
        ]
    );
    let mut trips: Vec<u128> = topology.link.iter().map(|l| l.conditions().delay.as_millis() * 2).collect();
    trips.sort_unstable();
    assert_eq!(trips, [20, 80, 200]);
}

#[test]
fn what_is_written_is_what_is_built() {
    let topology = good();
    let conditions = topology.link[0].conditions();
    assert_eq!(conditions.delay, Duration::from_millis(40));
    assert_eq!(conditions.jitter, Duration::from_micros(2500));
    assert_eq!((conditions.loss, conditions.rate), (0.01, Some(1_000_000)));
    let chain: Vec<&str> = topology.chain("home").iter().map(|r| r.name.as_str()).collect();
    assert_eq!(chain, ["home", "isp"]);
    assert_eq!((topology.region_of("home"), topology.region_of("eu")), ("us", "eu"));
    assert_eq!(topology.bootstrap().unwrap().name, "pub-1");
    let near = topology.without_latency().link[0].conditions();
    assert_eq!((near.delay, near.jitter, near.loss), (Duration::ZERO, Duration::ZERO, 0.01));
    let default = Topology::built_in("default").unwrap();
    assert!(default.without_latency().link.is_empty(), "next to each other, without a wire");
}

#[test]
fn what_is_wrong_with_a_wire_or_a_routers_uplink_is_built_as_it_is_written() {
    let text = GOOD.replace("loss = 1", "loss = 5\nreorder = 10\nmtu = 1280\nudp = \"blocked\"").replace(
        "hairpin = true",
        "loss = 20\nmtu = 1200\nreorder = 1\nudp = \"blocked\"\nudp_timeout = \"20s\"",
    );
    let topology = Topology::parse(&text, "faults").unwrap();
    let wire = topology.link[0].conditions();
    assert_eq!((wire.loss, wire.reorder, wire.mtu, wire.no_udp), (0.05, 0.1, Some(1280), true));
    let home = &topology.router[1];
    let uplink = home.uplink();
    assert_eq!((uplink.loss, uplink.reorder, uplink.mtu, uplink.no_udp), (0.2, 0.01, Some(1200), true));
    assert_eq!(home.behaves().remembers_s, 20);
    assert_eq!(topology.router[0].uplink(), Conditions::default());
}

#[test]
fn a_bad_file_is_refused_with_what_where_and_what_is_allowed() {
    let with = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        GOOD.replacen(from, to, 1)
    };
    refused("region = 3", &["region"]);
    refused(&with("rtt_ms = 80", "rtt = 80"), &["unknown field `rtt`", "rtt_ms", "line 8"]);
    refused(&with("\"symmetric\"", "\"cone\""), &["unknown variant `cone`", "full-cone", "line 15"]);
    refused(&with("\"symmetric\"", "\"unknown\""), &["router \"isp\"", "port-restricted"]);
    refused(
        &with("rtt_ms = 80", "rtt_ms = -1"),
        &["link between \"eu\" and \"us\"", "rtt_ms = -1", "0 to 10000"],
    );
    refused(&with("loss = 1", "loss = 101"), &["loss = 101", "0 to 100"]);
    refused(&with("loss = 1", "loss = nan"), &["loss = NaN"]);
    refused(&with("loss = 1", "mtu = 200"), &["mtu = 200", "576 to 1500"]);
    refused(&with("loss = 1", "udp = \"off\""), &["unknown variant `off`", "blocked"]);
    refused(
        &with("\"symmetric\"", "\"symmetric\"\nreorder = 60"),
        &["router \"isp\"", "reorder = 60", "0 to 50"],
    );
    refused(
        &with("\"symmetric\"", "\"symmetric\"\nudp_timeout = \"9s\""),
        &["router \"isp\"", "udp_timeout is 9s", "10 to 3600"],
    );
    refused(&with("rate_kbit = 1000", "rate_kbit = 1"), &["rate_kbit = 1", "8 to"]);
    refused(&with("\"eu\", \"us\"", "\"eu\", \"mars\""), &["\"mars\" is no region", "eu, us"]);
    refused(&with("\"eu\", \"us\"", "\"eu\", \"eu\""), &["leads nowhere"]);
    refused(&with("upstream = \"us\"", "upstream = \"home\""), &["behind itself"]);
    refused(
        &with("upstream = \"home\"", "upstream = \"hom\""),
        &["host \"in-1\"", "\"hom\" is nowhere", "isp, home"],
    );
    refused(&with("name = \"in-1\"", "name = \"pub-1\""), &["host \"pub-1\"", "twice"]);
    refused(&with("name = \"home\"", "name = \"eu\""), &["router \"eu\"", "twice"]);
    refused(&with("name = \"in-1\"", "name = \"In 1\""), &["host \"In 1\"", "a-z"]);
    refused(&with("upstream = \"eu\"", "upstream = \"home\""), &["none stands in a region"]);
    refused(
        &with("\"symmetric\"", "\"symmetric\"\nhairpin = true"),
        &["router \"isp\"", "symmetric has no hairpin"],
    );
    refused(&with("\"symmetric\"", "\"symmetric\"\nfirewall = true"), &["router \"isp\"", "nat \"none\""]);
    refused(
        &with("nat = \"full-cone\"\nhairpin = true", "nat = \"none\""),
        &["router \"home\"", "is a region"],
    );
}

#[test]
fn more_hosts_repeat_the_pattern_with_routers_of_their_own() {
    let topology = Topology::built_in("default").unwrap();
    let sixteen = topology.clone().with_hosts(16);
    sixteen.check().unwrap();
    assert_eq!((sixteen.host.len(), sixteen.router.len()), (16, 10));
    let five = topology.with_hosts(5);
    five.check().unwrap();
    assert_eq!((five.host.len(), five.router.len()), (5, 2), "routers without hosts are left out");
    let nested = good().with_hosts(6);
    nested.check().unwrap();
    assert_eq!(nested.chain("home-3").len(), 2);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = Topology::parse(&text, "any");
    }

    #[test]
    fn any_graph_of_routers_is_checked_without_hanging(upstreams in prop::collection::vec(0usize..9, 1..8)) {
        let mut topology = good();
        let name = |n: usize| if n == 0 { "eu".to_owned() } else { format!("r{n}") };
        topology.router = upstreams.iter().enumerate().map(|(n, up)| {
            Router::new(name(n + 1), name(*up), NatType::FullCone)
        }).collect();
        topology.host[1].upstream = name(1);
        if topology.check().is_ok() {
            for router in &topology.router {
                prop_assert_eq!(topology.region_of(&router.name), "eu");
            }
        }
    }

    #[test]
    fn every_size_of_every_built_in_topology_can_be_built(count in 2usize..=40, which in 0usize..BUILT_IN.len()) {
        let topology = Topology::built_in(BUILT_IN[which].0).unwrap();
        let sized = topology.with_hosts(count);
        prop_assert_eq!(sized.host.len(), count);
        prop_assert_eq!(sized.check(), Ok(()));
    }
}

#[test]
fn a_crowd_is_hosts_that_are_all_alike() {
    let crowd = "\n[[crowd]]\nname = \"many\"\nupstream = \"isp\"\ncount = 3\n";
    let topology = Topology::parse(&format!("{GOOD}{crowd}"), "good").unwrap();
    let many: Vec<_> = topology.host.iter().filter(|h| h.upstream == "isp").map(|h| &h.name).collect();
    assert_eq!(many, ["many-1", "many-2", "many-3"]);
    refused(&format!("{GOOD}{}", crowd.replace('3', "200")), &["host", "202", "2 to 128"]);
}

#[test]
fn the_round_trip_of_two_hosts_is_that_of_the_wire_between_their_regions() {
    let topology = good();
    assert_eq!(topology.round_trip("in-1", "pub-1"), Some(Duration::from_millis(80)));
    assert_eq!(topology.round_trip("pub-1", "in-1"), Some(Duration::from_millis(80)));
    assert_eq!(topology.round_trip("pub-1", "pub-1"), None);
    assert_eq!(topology.without_latency().round_trip("in-1", "pub-1"), None);
}

#[test]
fn ipv6_is_a_regions_and_everybodys_in_it_who_does_not_refuse() {
    let text = GOOD.replace("name = \"us\"", "name = \"us\"\nipv6 = true");
    let topology = Topology::parse(&text, "sixth").unwrap();
    let has =
        |topology: &Topology| -> Vec<bool> { topology.host.iter().map(|h| topology.has_ipv6(h)).collect() };
    assert_eq!(has(&topology), [false, true], "through two routers too");
    let refused = Topology::parse(&format!("{text}ipv6 = false\n"), "sixth").unwrap();
    assert_eq!(has(&refused), [false, false]);
    assert_eq!(has(&topology.clone().with_hosts(4)), [false, true, false, true], "copies as well");
    let without = topology.without_ipv6();
    assert_eq!(has(&without), [false, false]);
    without.check().unwrap();
}

#[test]
fn ipv6_where_the_region_has_none_is_refused() {
    refused(&format!("{GOOD}ipv6 = true\n"), &["host \"in-1\"", "its region has none", "ipv6 = true"]);
    let text = GOOD.replace("hairpin = true", "firewall6 = false");
    refused(&text, &["router \"home\"", "firewall6", "ipv6 = true"]);
}
