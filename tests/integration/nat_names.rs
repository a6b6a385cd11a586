//! The NAT probe behind real NATs: nodes in the lab name what is in front of
//! them, whoever lies, and notice when it changes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use libtest_mimic::Trial;
use punchdeck::lab::{LabOptions, NatLab, Topology, Unsupported, Userns};
use punchdeck::model::{Command as Order, Done, NatType, NatView, Path};
use punchdeck::node::feed::Feed;

use super::support::{PATIENCE, ignored, nft, order, trial};

const TYPES: [NatType; 5] = [
    NatType::None,
    NatType::FullCone,
    NatType::AddressRestricted,
    NatType::PortRestricted,
    NatType::Symmetric,
];

/// A first measurement that a busy machine disturbed is repeated a minute later:
/// responders serve one node few dial-backs a minute.
const MEASURED_WITHIN: Duration = Duration::from_secs(150);

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let names = [
        "each_nat_type_is_named_right_twenty_times_of_twenty",
        "one_lying_responder_of_three_changes_no_answer",
        "a_nat_that_changes_its_type_is_noticed_within_a_minute",
        "while_a_link_is_relayed_it_is_noticed_within_five_seconds",
        "how_long_a_silent_mapping_lives_is_measured",
    ];
    let userns = match userns {
        Ok(userns) => userns,
        Err(why) => return names.map(|name| ignored(name, &why.to_string())).into(),
    };
    let [types, liar, change, relay, life] = std::array::from_fn(|_| userns.clone());
    vec![
        trial(names[0], move || async move { twenty_of_twenty(&types).await }),
        trial(names[1], move || async move { one_liar(&liar).await }),
        trial(names[2], move || async move { changes(&change).await }),
        trial(names[3], move || async move { relayed(&relay).await }),
        trial(names[4], move || async move { lifetimes(&life).await }),
    ]
}

/// Public hosts, and behind a router of each type so many others, which are
/// named for it: `full-cone-3`.
async fn build(userns: &Userns, public: usize, behind: usize) -> NatLab {
    let mut text = "[[region]]\nname = \"r\"\n".to_owned();
    for n in 1..=public {
        let _ = writeln!(text, "[[host]]\nname = \"pub-{n}\"\nupstream = \"r\"");
    }
    for nat in TYPES {
        let _ = writeln!(text, "[[router]]\nname = \"{nat}\"\nupstream = \"r\"\nnat = \"{nat}\"");
        for n in 1..=behind {
            let _ = writeln!(text, "[[host]]\nname = \"{nat}-{n}\"\nupstream = \"{nat}\"");
        }
    }
    let topology = Topology::parse(&text, "test").unwrap();
    let options = LabOptions { skip_self_test: true, seed: 1, ..LabOptions::new(topology) };
    NatLab::build(userns, options).await.unwrap()
}

/// Routers that forget after 20 s and after 40 s, one of each type.
async fn lifetimes(userns: &Userns) {
    let mut text = "[[region]]\nname = \"r\"\n".to_owned();
    for n in 1..=3 {
        let _ = writeln!(text, "[[host]]\nname = \"pub-{n}\"\nupstream = \"r\"");
    }
    let mut behind = Vec::new();
    for nat in &TYPES[1..] {
        for (seconds, range) in [(20, (0, Some(25))), (40, (25, Some(55)))] {
            let name = format!("{nat}-{seconds}");
            let _ = writeln!(text, "[[router]]\nname = \"r-{name}\"\nupstream = \"r\"\nnat = \"{nat}\"");
            let _ = writeln!(text, "udp_timeout = \"{seconds}s\"");
            let _ = writeln!(text, "[[host]]\nname = \"{name}\"\nupstream = \"r-{name}\"");
            behind.push((name, range));
        }
    }
    let topology = Topology::parse(&text, "test").unwrap();
    let options = LabOptions { skip_self_test: true, seed: 1, ..LabOptions::new(topology) };
    let lab = NatLab::build(userns, options).await.unwrap();
    for n in 1..=3 {
        lab.start_node(&format!("pub-{n}")).await.unwrap();
    }
    let mut nodes = Vec::new();
    for (name, range) in behind {
        nodes.push((lab.start_passive(&name).await.unwrap(), name, range));
    }
    let waits = nodes.iter().map(|(feed, name, range)| async move {
        // Beside the longest wait that is needed, the measurement of the type and
        // one that a busy machine disturbed.
        let over = |nat: &NatView| nat.lifetime.is_some_and(|found| !found.under_way);
        let seen = shown(feed, MEASURED_WITHIN + Duration::from_secs(300), over).await;
        let seen = seen.unwrap_or_else(|| panic!("{name}: {:#?}", feed.snapshots.borrow().nat));
        let found = seen.lifetime.unwrap();
        assert_eq!((found.at_least_s, found.less_than_s), *range, "{name}: {found}");
    });
    join_all(waits).await;
    lab.stop().await;
}

/// Waits until a node shows a measured NAT for which that holds.
async fn shown(feed: &Feed, within: Duration, holds: impl Fn(&NatView) -> bool) -> Option<NatView> {
    let mut snapshots = feed.snapshots.clone();
    let wait = snapshots.wait_for(|s| s.nat.measured.is_some() && holds(&s.nat));
    let seen = tokio::time::timeout(within, wait).await.ok()?;
    Some((*seen.unwrap().nat).clone())
}

/// What a forced measurement says.
async fn probe(feed: &Feed) -> NatView {
    let outcome = order(feed, Order::NatProbe).await;
    let Ok(Done::Probed(view)) = &outcome.result else { panic!("{outcome:?}") };
    (**view).clone()
}

/// Twenty nodes of each type, each measured from nothing and then once more on
/// demand: a responder serves one node few dial-backs a minute, so that one
/// node alone would mostly repeat what it knows. In two labs, as one has room
/// for ten.
async fn twenty_of_twenty(userns: &Userns) {
    let mut right: BTreeMap<NatType, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for _ in 0..2 {
        let lab = build(userns, 9, 10).await;
        for n in 1..=9 {
            lab.start_node(&format!("pub-{n}")).await.unwrap();
        }
        let lab = &lab;
        let named = TYPES.iter().map(async |nat| {
            let mut named = Vec::new();
            for n in 1..=10 {
                let host = format!("{nat}-{n}");
                let feed = lab.start_passive(&host).await.unwrap();
                let first = shown(&feed, MEASURED_WITHIN, |_| true).await;
                let first = first.unwrap_or_else(|| panic!("{host}: {:?}", feed.snapshots.borrow().nat));
                let view = probe(&feed).await;
                named.push((*nat, first, view));
                lab.stop_node(&host).await.unwrap();
            }
            named
        });
        for (nat, first, forced) in join_all(named).await.into_iter().flatten() {
            if first.nat_type == nat && forced.nat_type == nat {
                *right.entry(nat).or_default() += 1;
            } else {
                wrong.push((nat, first, forced));
            }
        }
    }
    assert_eq!(right, TYPES.map(|nat| (nat, 20)).into(), "{wrong:#?}");
}

/// Where a liar says that everybody is.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 1);

/// Makes a host's responder a liar: what asks its probe ports comes from
/// nowhere, as far as it sees, while its answers arrive.
async fn lie(lab: &NatLab, host: &str) {
    let port = lab.addr(host).await.unwrap().port();
    let rules = format!(
        "table ip liar {{ chain lies {{ type nat hook input priority 100; \
         udp dport {{ {}, {} }} snat to {NOWHERE}:7000-7999; }}; }}\n",
        port + 1,
        port + 2
    );
    nft(lab, host, rules).await;
}

async fn one_liar(userns: &Userns) {
    let lab = build(userns, 3, 1).await;
    lie(&lab, "pub-3").await;
    for n in 1..=3 {
        lab.start_node(&format!("pub-{n}")).await.unwrap();
    }
    let lab = &lab;
    let named = TYPES.iter().map(async |nat| {
        let feed = lab.start_passive(&format!("{nat}-1")).await.unwrap();
        let lied_to = |view: &NatView| view.vantage_points.iter().any(|v| v.seen.ip() == NOWHERE);
        let heard = shown(&feed, MEASURED_WITHIN, lied_to).await;
        let heard = heard.unwrap_or_else(|| panic!("{nat}: {:#?}", feed.snapshots.borrow().nat));
        (*nat, [heard, probe(&feed).await])
    });
    for (nat, views) in join_all(named).await {
        for view in views {
            assert_eq!(view.nat_type, nat, "{view:#?}");
            // To a liar, too, another port for each of its own looks symmetric.
            let lie = view.vantage_points.iter().find(|v| v.seen.ip() == NOWHERE).unwrap();
            assert!(!lie.agrees || nat == NatType::Symmetric, "noted, not believed: {view:#?}");
            assert!(view.vantage_points.iter().filter(|v| v.agrees).count() >= 2, "{view:#?}");
        }
    }
}

async fn changes(userns: &Userns) {
    let lab = build(userns, 3, 1).await;
    for n in 1..=3 {
        lab.start_node(&format!("pub-{n}")).await.unwrap();
    }
    let turns = [
        (NatType::FullCone, NatType::PortRestricted),
        (NatType::AddressRestricted, NatType::FullCone),
        (NatType::PortRestricted, NatType::Symmetric),
        (NatType::Symmetric, NatType::AddressRestricted),
    ];
    let lab = &lab;
    let noticed = turns.map(async |(from, to)| {
        let feed = lab.start_passive(&format!("{from}-1")).await.unwrap();
        let before = shown(&feed, MEASURED_WITHIN, |_| true).await;
        let before = before.unwrap_or_else(|| panic!("{from}: {:#?}", feed.snapshots.borrow()));
        assert_eq!(before.nat_type, from);
        lab.set_nat(from.name(), to).await.unwrap();
        lab.flush(from.name()).await.unwrap();
        let begun = Instant::now();
        let after = shown(&feed, Duration::from_secs(75), |view| view.nat_type == to).await;
        assert!(after.is_some(), "{from} to {to}: {:#?}", feed.snapshots.borrow().nat);
        begun.elapsed()
    });
    for (took, (from, to)) in join_all(noticed).await.into_iter().zip(turns) {
        assert!(took <= Duration::from_secs(60), "{from} to {to} after {took:?}");
    }
}

async fn relayed(userns: &Userns) {
    let lab = build(userns, 3, 1).await;
    for n in 1..=3 {
        lab.start_node(&format!("pub-{n}")).await.unwrap();
    }
    let cone = lab.start_passive("port-restricted-1").await.unwrap();
    let symmetric = lab.start_passive("symmetric-1").await.unwrap();
    for feed in [&cone, &symmetric] {
        shown(feed, MEASURED_WITHIN, |_| true).await.expect("measured");
    }
    let peer = lab.peer_id("symmetric-1").await.unwrap();
    let mut snapshots = cone.snapshots.clone();
    snapshots.wait_for(|s| s.peers.iter().any(|p| p.peer_id == peer)).await.unwrap();
    let outcome = order(&cone, Order::Connect { peer }).await;
    let Ok(Done::Connected(report)) = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!(report.path, Some(Path::Relayed), "neither lets the other's packets in");
    // Looks begin now and then; the change comes between two of them.
    tokio::time::sleep(Duration::from_secs(7)).await;
    lab.set_nat("symmetric", NatType::PortRestricted).await.unwrap();
    let begun = Instant::now();
    let after = shown(&symmetric, PATIENCE, |view| view.nat_type == NatType::PortRestricted).await;
    let took = begun.elapsed();
    assert!(after.is_some(), "{:#?}", symmetric.snapshots.borrow().nat);
    assert!(took <= Duration::from_secs(5), "after {took:?}");
}
