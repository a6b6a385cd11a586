use std::fmt::Write as _;

use super::*;
use crate::model::Behaviour::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

fn behind(routers: &str) -> Shown {
    let mut text = "[[region]]\nname = \"r\"\n".to_owned();
    let mut upstream = "r".to_owned();
    for (n, router) in routers.split(" < ").enumerate() {
        let (nat, flags) = router.split_once(' ').unwrap_or((router, ""));
        let _ = writeln!(text, "[[router]]\nname = \"n{n}\"\nupstream = \"{upstream}\"\nnat = \"{nat}\"");
        for flag in flags.split_whitespace() {
            let _ = writeln!(text, "{flag} = true");
        }
        upstream = format!("n{n}");
    }
    let _ = write!(text, "[[host]]\nname = \"p\"\nupstream = \"r\"\n");
    let _ = write!(text, "[[host]]\nname = \"h\"\nupstream = \"{upstream}\"\n");
    expected(&Topology::parse(&text, "test").unwrap(), &upstream)
}

#[test]
fn the_strictest_nat_in_a_row_decides() {
    let shown = |mapping, filtering, hairpin| Shown { mapping, filtering, hairpin, sequential: false };
    let independent = Some(EndpointIndependent);
    for (routers, expected) in [
        ("none", shown(None, EndpointIndependent, false)),
        ("none firewall", shown(None, AddressAndPortDependent, false)),
        ("full-cone", shown(independent, EndpointIndependent, false)),
        ("full-cone < address-restricted", shown(independent, AddressDependent, false)),
        ("port-restricted < full-cone", shown(independent, AddressAndPortDependent, false)),
        ("full-cone < symmetric", shown(Some(AddressAndPortDependent), AddressAndPortDependent, false)),
        ("none firewall < full-cone", shown(independent, AddressAndPortDependent, false)),
        ("port-restricted hairpin", shown(independent, AddressAndPortDependent, true)),
        ("full-cone hairpin < full-cone", shown(independent, EndpointIndependent, true)),
        ("full-cone hairpin < port-restricted", shown(independent, AddressAndPortDependent, false)),
        ("full-cone < full-cone hairpin", shown(independent, EndpointIndependent, false)),
    ] {
        assert_eq!(behind(routers), expected, "{routers}");
    }
    let stepping = behind("symmetric sequential < full-cone");
    assert!(stepping.sequential && stepping.mapping == Some(AddressAndPortDependent));
    assert!(!behind("full-cone < symmetric sequential").sequential, "the outermost one chooses");
}

#[test]
fn a_wire_agrees_within_two_milliseconds_or_a_tenth() {
    let ms = Duration::from_millis;
    let got = |rtt, received| Measured {
        rtt,
        quickest: rtt,
        spread: ms(0),
        sent: 20,
        received,
        overtaken: 0,
        rate: None,
        mtu: None,
        tcp: None,
    };
    let asked = Conditions::round_trip(ms(80));
    assert!(agrees(&asked, &got(Some(ms(87)), 20)));
    assert!(!agrees(&asked, &got(Some(ms(89)), 20)));
    assert!(!agrees(&asked, &got(Some(ms(70)), 20)));
    assert!(!agrees(&asked, &got(Some(ms(80)), 19)), "no loss was asked for");
    assert!(!agrees(&asked, &got(None, 0)));
    let busy = Measured { rtt: Some(ms(95)), ..got(Some(ms(80)), 20) };
    assert!(agrees(&asked, &busy), "a machine that is busy makes no wire longer");
    let jitter = Conditions { jitter: ms(5), ..asked };
    assert!(!agrees(&jitter, &Measured { rtt: Some(ms(99)), ..got(Some(ms(80)), 20) }));
    assert!(agrees(&Conditions::default(), &got(Some(ms(2)), 20)));
    assert!(!agrees(&Conditions::default(), &got(Some(ms(3)), 20)));
    let lossy = Conditions { loss: 0.5, ..asked };
    assert!(agrees(&lossy, &got(Some(ms(80)), 5)));
    assert!(!agrees(&lossy, &got(Some(ms(80)), 20)));
    let cut = Conditions { cut: true, ..asked };
    assert!(agrees(&cut, &got(None, 0)) && !agrees(&cut, &got(Some(ms(80)), 1)));
    let slow = Conditions { rate: Some(1_000_000), ..asked };
    let at = |rate| Measured { rate, ..got(Some(ms(80)), 20) };
    assert!(agrees(&slow, &at(Some(0.9e6))));
    assert!(!agrees(&slow, &at(Some(2e6))) && !agrees(&slow, &at(None)));
}

#[test]
fn a_wire_with_faults_agrees_only_where_each_was_seen() {
    let clean = Measured {
        rtt: Some(Duration::from_millis(1)),
        quickest: Some(Duration::from_millis(1)),
        spread: Duration::ZERO,
        sent: 200,
        received: 200,
        overtaken: 0,
        rate: None,
        mtu: None,
        tcp: None,
    };
    let narrow = Conditions { mtu: Some(1200), ..Conditions::default() };
    assert!(agrees(&narrow, &Measured { mtu: Some(1200), ..clean }));
    assert!(!agrees(&narrow, &Measured { mtu: Some(1201), ..clean }) && !agrees(&narrow, &clean));
    let blocked = Conditions { no_udp: true, ..Conditions::default() };
    let nothing = Measured { received: 0, rtt: None, quickest: None, tcp: Some(true), ..clean };
    assert!(agrees(&blocked, &nothing));
    assert!(!agrees(&blocked, &Measured { tcp: Some(false), ..nothing }), "that is a cut");
    assert!(!agrees(&blocked, &Measured { received: 1, ..nothing }));
    let shuffled = Conditions { reorder: 0.05, ..Conditions::default() };
    assert!(agrees(&shuffled, &Measured { overtaken: 19, ..clean }));
    assert!(!agrees(&shuffled, &clean), "five of a hundred are seen");
    assert!(!agrees(&Conditions::default(), &Measured { overtaken: 1, ..clean }), "none was asked for");
    let lossy = Conditions { loss: 0.05, ..Conditions::default() };
    assert!(agrees(&lossy, &Measured { received: 181, ..clean }) && !agrees(&lossy, &clean));
}
