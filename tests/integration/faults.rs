//! What can go wrong in the lab: each fault is what it claims to be, and is undone.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::lab::drill::{BUILT_IN, Report, Runner, Scenario, Verdict};
use punchdeck::lab::incident::Incident;
use punchdeck::lab::{
    Change, Conditions, Fault, LabArena, LabOptions, NatLab, Topology, Unsupported, Userns, Where,
};
use punchdeck::model::{Command, Done, NatType, Outcome, Path, WhyCause};
use punchdeck::node::feed::Feed;
use tokio_util::sync::CancellationToken;

use super::lab::untested;
use super::support::{ignored, trial};

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let names = [
        "each_fault_of_a_wire_or_a_routers_uplink_is_measured_as_it_was_asked_for",
        "a_fault_comes_and_goes_while_the_lab_runs",
        "a_host_gets_another_address_and_is_reached_there",
        "a_path_too_narrow_for_quic_is_named_and_a_lab_made_of_that_says_the_same",
        "a_nat_that_changes_is_noticed_within_five_seconds",
    ];
    let userns = match userns {
        Ok(userns) => userns,
        Err(why) => return names.map(|name| ignored(name, &why.to_string())).into(),
    };
    let mut names = names.into_iter();
    macro_rules! trials {
        ($($test:ident),+) => {
            vec![$({
                let userns = userns.clone();
                trial(names.next().unwrap(), move || async move { $test(&userns).await })
            }),+]
        };
    }
    let trials = trials!(measured, live, moved, incident, noticed);
    assert_eq!(names.next(), None);
    trials
}

async fn noticed(userns: &Userns) {
    passes(userns, "nat_changes").await;
}

async fn run(userns: &Userns, topology: Topology, drill: &Scenario) -> Report {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_punchdeck"));
    let mut fleet = LabArena::start(userns, topology, drill, program).await.unwrap();
    let report = Runner::new(&mut fleet, drill, CancellationToken::new(), |_| {}).run().await;
    fleet.stop().await;
    report
}

/// Runs a drill that comes with the program.
async fn passes(userns: &Userns, name: &str) {
    let (_, text) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name).unwrap();
    let drill = Scenario::parse(name, name, text).unwrap();
    let topology = Topology::built_in(&drill.fleet.topology).unwrap().without_latency();
    let topology = drill.fleet.nodes.map_or(topology.clone(), |nodes| topology.with_hosts(nodes));
    let report = run(userns, topology, &drill).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.text());
}

async fn outcome(feed: &mut Feed, command: Command) -> Outcome {
    let id = feed.commands.try_send(command).unwrap();
    loop {
        let outcome = feed.outcomes.recv().await.unwrap();
        if outcome.id == id {
            return (*outcome).clone();
        }
    }
}

async fn incident(userns: &Userns) {
    let topology = Topology::built_in("narrow").unwrap();
    let lab = NatLab::start(userns, LabOptions::new(topology)).await.unwrap();
    let mut feed = lab.feed("left-1").await.unwrap();
    let peer = lab.peer_id("right-1").await.unwrap();
    let begun = std::time::Instant::now();
    let why = loop {
        let _ = outcome(&mut feed, Command::Connect { peer }).await;
        let told = outcome(&mut feed, Command::Why { peer }).await.result;
        assert!(begun.elapsed() < Duration::from_secs(40), "{told:#?}");
        if let Ok(Done::Explained(why)) = told
            && why.cause() == WhyCause::PathTooNarrow
            && why.path == Some(Path::Relayed)
            && [why.nats.ours, why.nats.theirs] == [NatType::PortRestricted; 2]
        {
            break why;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let shown = feed.snapshots.borrow().clone();
    let incident = Incident::of_why(&why, lab.peer_id("left-1").await.unwrap(), Some(&shown));
    lab.stop().await;
    assert_eq!((incident.here.nat, incident.there.nat), (NatType::PortRestricted, NatType::PortRestricted));
    let topology = Topology::parse(&incident.topology(), "incident").unwrap();
    let drill = Scenario::parse("incident", "incident", &incident.drill("incident")).unwrap();
    let report = run(userns, topology, &drill).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.text());
}

async fn measured(userns: &Userns) {
    let router = |name: &str, fault: &str| {
        format!(
            "[[router]]\nname = \"{name}\"\nupstream = \"r\"\nnat = \"port-restricted\"\n{fault}\n\
             [[host]]\nname = \"{name}-1\"\nupstream = \"{name}\"\n"
        )
    };
    let faults = [
        ("narrow", "mtu = 1200"),
        ("blocked", "udp = \"blocked\""),
        ("lossy", "loss = 20"),
        ("shuffled", "reorder = 10"),
        ("inner", "loss = 0"),
    ];
    let mut text = "[[region]]\nname = \"r\"\n[[region]]\nname = \"s\"\n\
                    [[link]]\nbetween = [\"r\", \"s\"]\nmtu = 1280\nloss = 5\nreorder = 5\n\
                    [[host]]\nname = \"pub-1\"\nupstream = \"r\"\n"
        .to_owned();
    text.extend(faults.map(|(name, fault)| router(name, fault)));
    // One behind another: its own uplink is the other's inside.
    let text =
        text.replacen("name = \"inner\"\nupstream = \"r\"", "name = \"inner\"\nupstream = \"narrow\"", 1);
    let topology = Topology::parse(&text.replace("loss = 0\n", "mtu = 1400\n"), "test").unwrap();
    let lab = NatLab::build(userns, LabOptions::new(topology)).await.unwrap_or_else(|e| panic!("{e}"));
    let test = lab.self_test().unwrap();
    let got = |what: &str| test.rows.iter().find(|r| r.what == what).unwrap_or_else(|| panic!("{test}"));
    assert!(got("wire r-s").got.contains("at most 1280 bytes"), "{test}");
    assert!(got("uplink of narrow").got.contains("at most 1200 bytes"), "{test}");
    assert!(got("uplink of inner").got.contains("at most 1400 bytes"), "{test}");
    assert_eq!(got("uplink of blocked").got, "0 of 20 came back, TCP connects");
    assert!(got("uplink of lossy").got.contains("came back"), "{test}");
    assert!(got("uplink of shuffled").got.contains("overtaken"), "{test}");
    // Loss would hide now and then what a NAT does.
    lab.set_uplink("lossy", Conditions::default()).await.unwrap();
    // Measured again it is the same, and a NAT that cannot be seen is told as that.
    let again = lab.test_again().await.unwrap();
    assert!(again.passed(), "{again}");
    let blocked = again.rows.iter().find(|r| r.what.ends_with("of blocked-1")).unwrap();
    assert_eq!(
        (blocked.asked.as_str(), blocked.got.as_str()),
        ("no answer from the servers", "no answer from the servers")
    );
}

async fn live(userns: &Userns) {
    let lab = NatLab::build(userns, untested("default")).await.unwrap();
    let narrow = Conditions { mtu: Some(1280), ..Conditions::default() };
    for of in ["port", "pub-2"] {
        let undo = lab.undoes(&Fault::Uplink { of: of.to_owned(), to: Change::Back(narrow) }).await.unwrap();
        let got = lab.set_uplink(of, narrow).await.unwrap();
        assert_eq!(got.mtu, Some(1280), "{of}: {got}");
        lab.fault(&undo.unwrap()).await.unwrap();
        assert_eq!(lab.uplink(of).await.unwrap(), Conditions::default());
        assert_eq!(lab.measure_uplink(of).await.unwrap().mtu, None);
    }
    let wire = Where::Link(["east".to_owned(), "west".to_owned()]);
    assert_eq!(lab.next_fault(&wire).await.unwrap(), ["at most 1200 bytes"]);
    assert_eq!(lab.measure_link("east", "west").await.unwrap().mtu, Some(1200));
    let forgets = Fault::UdpTimeout { host: "full-1".to_owned(), seconds: 10 };
    let undo = lab.undoes(&forgets).await.unwrap().unwrap();
    lab.fault(&forgets).await.unwrap();
    assert_eq!(lab.nat("full").await.unwrap().remembers_s, 10);
    let inside = lab.socket_at("full-1", lab.addr("full-1").await.unwrap().port()).await.unwrap();
    let outside = lab.socket("pub-1").await.unwrap();
    inside.send_to(b"hello", outside.local_addr().unwrap()).await.unwrap();
    outside.recv_from(&mut [0; 8]).await.unwrap();
    assert!(lab.mapped_port("full-1").await.unwrap().is_some());
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(lab.mapped_port("full-1").await.unwrap(), None, "forgotten");
    lab.fault(&undo).await.unwrap();
    assert_eq!(lab.nat("full").await.unwrap().remembers_s, 300);
    lab.restore_network().await.unwrap();
    assert!(lab.test_again().await.unwrap().passed());
}

async fn moved(userns: &Userns) {
    let lab = NatLab::build(userns, untested("default")).await.unwrap();
    for host in ["pub-2", "port-1"] {
        let before = lab.addr(host).await.unwrap().ip();
        lab.fault(&Fault::Readdress { host: host.to_owned() }).await.unwrap();
        let after = lab.addr(host).await.unwrap().ip();
        assert_ne!(after, before);
        let (own, other) = (lab.socket(host).await.unwrap(), lab.socket("pub-1").await.unwrap());
        assert_eq!(own.local_addr().unwrap().ip(), after);
        own.send_to(b"hello", other.local_addr().unwrap()).await.unwrap();
        let mut buffer = [0; 8];
        let heard = other.recv_from(&mut buffer);
        let (_, from) = tokio::time::timeout(Duration::from_secs(2), heard).await.expect(host).unwrap();
        let outside = if host == "pub-2" { after } else { IpAddr::V4(lab.outside("port").await.unwrap()) };
        assert_eq!(from.ip(), outside, "{host}");
    }
    let docker = Fault::Plug {
        host: "pub-1".to_owned(),
        interface: "docker0".to_owned(),
        address: "172.17.0.1/16".parse().unwrap(),
    };
    let undo = lab.undoes(&docker).await.unwrap().unwrap();
    lab.fault(&docker).await.unwrap();
    let bridge = lab.on_host("pub-1", || async { std::net::UdpSocket::bind("172.17.0.1:0").is_ok() });
    assert!(bridge.await.unwrap(), "the address is there");
    lab.fault(&undo).await.unwrap();
    let gone = lab.on_host("pub-1", || async { std::net::UdpSocket::bind("172.17.0.1:0").is_err() });
    assert!(gone.await.unwrap());
}
