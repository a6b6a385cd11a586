use super::*;
use crate::lab::Topology;
use crate::lab::drill::{Scenario, Step, Why};

fn incident(cause: WhyCause) -> Incident {
    Incident {
        cause,
        verdict: "It is \"so\".\nAnd so on.".to_owned(),
        here: End { nat: NatType::PortRestricted, firewalled: false, remembers_s: Some(25) },
        there: End { nat: NatType::Symmetric, ..End::default() },
        rtt_ms: Some(42.25),
        story: vec!["0 ms here: punch\nabout = \"another\"".to_owned()],
    }
}

const ALL: [WhyCause; 38] = [
    WhyCause::Unknown,
    WhyCause::Direct,
    WhyCause::Punched,
    WhyCause::UsedTwice,
    WhyCause::UsedTwiceHere,
    WhyCause::NoRoute,
    WhyCause::SendingForbidden,
    WhyCause::Running,
    WhyCause::Idle,
    WhyCause::DisconnectedHere,
    WhyCause::RateLimited,
    WhyCause::NoIntermediary,
    WhyCause::NoConsent,
    WhyCause::Unpunchable,
    WhyCause::GuessablePort,
    WhyCause::PunchFailed,
    WhyCause::PunchUntried,
    WhyCause::PunchUnanswered,
    WhyCause::NothingThrough,
    WhyCause::PathTooNarrow,
    WhyCause::OtherNetwork,
    WhyCause::OtherVersion,
    WhyCause::HeldOff,
    WhyCause::Full,
    WhyCause::Left,
    WhyCause::EndedByIt,
    WhyCause::OtherIdentity,
    WhyCause::Moved,
    WhyCause::UdpBlockedHere,
    WhyCause::UdpBlockedBetween,
    WhyCause::UdpBlockedThere,
    WhyCause::Offline,
    WhyCause::NobodyAnswers,
    WhyCause::AnswersNow,
    WhyCause::NotRunning,
    WhyCause::LinkedToOthers,
    WhyCause::FellSilent,
    WhyCause::Unseen,
];

#[test]
fn every_cause_becomes_a_network_that_can_be_built_and_a_drill_that_asks_for_it() {
    for cause in ALL {
        let incident = incident(cause);
        let topology = Topology::parse(&incident.topology(), "incident").unwrap();
        assert_eq!(topology.host.len(), 5);
        let text = incident.drill("here.toml");
        let drill =
            Scenario::parse("incident", "incident.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(drill.fleet.topology, "here.toml");
        let asked = drill.steps.iter().find_map(|step| match step {
            Step::Why(Why { node, about, cause, .. }) => Some((node.as_str(), about.as_str(), *cause)),
            _ => None,
        });
        assert_eq!(asked, Some(("here-1", "there-1", cause)));
        for word in ["here-1", "there-1"] {
            assert!(topology.host.iter().any(|h| h.name == word));
        }
    }
}

#[test]
fn what_was_measured_is_built_and_what_was_not_is_said() {
    let known = incident(WhyCause::Unpunchable);
    let topology = Topology::parse(&known.topology(), "incident").unwrap();
    let nats: Vec<_> = topology.router.iter().map(|r| (r.nat, r.udp_timeout.as_secs())).collect();
    assert_eq!(nats, [(NatType::PortRestricted, 25), (NatType::Symmetric, 300)]);
    assert_eq!(topology.round_trip("here-1", "there-1").map(|t| t.as_micros()), Some(42_200));
    assert_eq!(known.topology().matches("Not measured").count(), 2, "one lifetime, and the public nodes");
    let unknown = Incident { here: End::default(), there: End::default(), rtt_ms: None, ..known };
    let text = unknown.topology();
    assert_eq!(text.matches("Not measured: this NAT").count(), 2, "{text}");
    assert!(text.contains("Not measured: the round trip"));
    let public = End { nat: NatType::None, ..End::default() };
    let open = Incident { here: public, there: End { firewalled: true, ..public }, ..unknown };
    let topology = Topology::parse(&open.topology(), "incident").unwrap();
    assert!(topology.is_public(&topology.host[3]) && topology.router[0].firewall);
}

#[test]
fn a_path_that_was_too_narrow_is_too_narrow_between_the_two_alone() {
    let topology = Topology::parse(&incident(WhyCause::PathTooNarrow).topology(), "incident").unwrap();
    let mtus: Vec<_> = topology.link.iter().map(|link| (link.between.clone(), link.mtu)).collect();
    assert_eq!(mtus, [(["here".to_owned(), "there".to_owned()], Some(1200))]);
}

#[test]
fn what_a_program_was_told_becomes_the_same_incident_without_anybodys_name() {
    let (me, peer) = ("11".repeat(32), "ab".repeat(32));
    let text = format!(
        r#"{{"schema": 1, "peer_id": "{peer}", "path": null, "cause": "path-too-narrow",
            "verdict": "The path to 198.18.0.7:4000 is too narrow.",
            "nats": {{"ours": "port-restricted", "theirs": "symmetric"}},
            "timeline": [{{"at_ms": 7, "who": "{me}", "what": "dial 198.18.0.7:4000"}}], "next": []}}"#
    );
    let incident = Incident::of_report(&text).unwrap();
    assert_eq!((incident.cause, incident.here.nat), (WhyCause::PathTooNarrow, NatType::PortRestricted));
    assert_eq!(incident.there.nat, NatType::Symmetric);
    assert_eq!(incident.story, ["7 ms here: dial address-1"]);
    let written = incident.drill("x.toml") + &incident.topology();
    assert!(!written.contains("198.18") && !written.contains("abab"), "{written}");
    let old = text.replace(r#""cause": "path-too-narrow","#, "");
    assert!(Incident::of_report(&old).unwrap_err().to_string().contains("cause"));
}
