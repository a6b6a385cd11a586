use std::net::SocketAddr;

use super::*;
use crate::core::coordination::TARGET_WAIT;
use crate::core::ladder::DialId;
use crate::model::{
    AttemptId, AttemptOutcome, Cause, CloseCode, CoordinationStep, Heard, Knocked, NatType, StageReport,
    Vantage, WhyCause,
};

const ME: PeerId = PeerId([1; 32]);
const PEER: PeerId = PeerId([2; 32]);
const RELAY: PeerId = PeerId([3; 32]);
const OTHER: PeerId = PeerId([4; 32]);

fn at(ms: u64) -> Stamp {
    Stamp(1_800_000_000_000).after(Duration::from_millis(ms))
}

fn addr(host: u8) -> SocketAddr {
    ([198, 18, 0, host], 41_000).into()
}

fn stage(stage: StageKind, outcome: StageOutcome, ms: u64, took: u64, reason: Option<Reason>) -> StageReport {
    StageReport {
        stage,
        outcome,
        reason,
        started: at(ms),
        elapsed_ms: Some(took),
        via: Some(RELAY),
        guess: None,
    }
}

fn attempt(stages: Vec<StageReport>, outcome: AttemptOutcome) -> Attempt {
    Attempt {
        id: AttemptId(1),
        peer_id: Some(PEER),
        target: None,
        cause: Cause::Operator,
        started: at(0),
        outcome: Some(outcome),
        path: None,
        elapsed_ms: Some(970),
        stages,
        next: None,
    }
}

/// An attempt at a peer with a NAT whose punch came to this.
fn unreached(punch: Reason) -> Attempt {
    let direct =
        stage(StageKind::Direct, StageOutcome::Failed, 0, 2_000, Some(Reason::NoAnswer { addresses: 1 }));
    let punch = stage(StageKind::Punch, StageOutcome::Skipped, 2_000, 0, Some(punch));
    let relay = stage(StageKind::Relay, StageOutcome::Failed, 2_000, 10, Some(Reason::NobodyToInvite));
    attempt(vec![direct, punch, relay], AttemptOutcome::Unreachable)
}

/// A dial that was handed to a socket.
fn sent(trace: &mut Trace, dial: DialId, addr: SocketAddr, at: Stamp) {
    trace.wanted(dial, Dial::To(addr, false));
    trace.dialled(dial, at);
}

#[test]
fn what_no_socket_took_was_not_dialled() {
    let mut trace = Trace::default();
    let dial = DialId { attempt: AttemptId(1), n: 1 };
    trace.wanted(dial, Dial::To(addr(2), true));
    assert!(trace.steps().is_empty() && trace.addresses().is_empty());
    trace.dialled(dial, at(3));
    assert_eq!(trace.addresses(), [addr(2)]);
}

fn dialled(hosts: &[u8]) -> Trace {
    let mut trace = Trace::default();
    for (n, host) in (0..).zip(hosts) {
        let dial = DialId { attempt: AttemptId(1), n };
        sent(&mut trace, dial, addr(*host), at(0));
        trace.dial_failed(dial, &Reason::NoAnswer { addresses: 1 }, at(2_000));
    }
    trace
}

fn told(who: PeerId, standing: PeerLinkStatus, seen: Option<SocketAddr>) -> Told {
    let account = Seen { standing, since: Some(at(30_000)), at: seen, notes: Vec::new() };
    Told { who, account: Some(account) }
}

fn knock(of: PeerId, host: u8, udp: Knocked, tcp: Knocked) -> Knock {
    // What is no node answers no short datagram.
    Knock { addr: addr(host), of, own: true, heard: Heard { udp, short: Knocked::Silent, tcp } }
}

/// What is known where nothing is.
struct Case {
    nat: NatView,
    attempt: Option<Attempt>,
    trace: Trace,
}

impl Case {
    fn new(attempt: Attempt, trace: Trace) -> Self {
        let vantage = |n| Vantage { peer_id: PeerId([n; 32]), seen: addr(9), agrees: true };
        let nat = NatView {
            nat_type: NatType::PortRestricted,
            measured: Some(at(20_000)),
            vantage_points: vec![vantage(3), vantage(4)],
            ..NatView::default()
        };
        Self { nat, attempt: Some(attempt), trace }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            me: ME,
            peer: PEER,
            now: at(60_000),
            network: "fleet",
            link: None,
            made: None,
            gone: None,
            held_off: None,
            no_way: None,
            twice: None,
            we_twice: None,
            nat: &self.nat,
            nat_pair: NatPair {
                ours: NatType::PortRestricted,
                theirs: NatType::PortRestricted,
                ..NatPair::default()
            },
            guessable: false,
            first_hand: true,
            addresses: self.trace.addresses(),
            homes: Vec::new(),
            seen: None,
            attempt: self.attempt.as_ref(),
            trace: &self.trace,
            theirs: Theirs::NotRequested,
            accounts: Vec::new(),
            knocks: Vec::new(),
            links: 2,
            fell_silent: Vec::new(),
            known: Vec::new(),
        }
    }
}

/// A link since the 30th second.
fn link(path: Path, via: Option<PeerId>, ours: bool) -> LinkFact {
    LinkFact { path, via, since: at(30_000), ours }
}

#[test]
fn two_ends_without_a_family_in_common_are_told_so_relayed_or_not() {
    let case = Case::new(attempt(Vec::new(), AttemptOutcome::Connected), Trace::default());
    let nat_pair = NatPair { apart: true, ..case.facts().nat_pair };
    let addresses = vec![addr(9)];
    let linked = Some(link(Path::Relayed, Some(PeerId([3; 32])), true));
    let why = explain(&Facts { nat_pair, addresses: addresses.clone(), link: linked, ..case.facts() });
    assert_eq!(why.cause, WhyCause::NoCommonFamily);
    assert!(
        why.verdict_words().contains("it has IPv4 alone, and this host sends by IPv6 alone"),
        "{}",
        why.verdict_words()
    );
    assert!(!why.next.contains(&NextAction::Punch), "{:?}", why.next);
}

fn relayed(facts: Facts<'_>) -> Facts<'_> {
    Facts { link: Some(link(Path::Relayed, Some(RELAY), true)), ..facts }
}

fn has(lines: &[String], part: &str) -> bool {
    lines.iter().any(|line| line.contains(part))
}

#[test]
fn two_nats_that_cannot_be_punched_are_the_verdict_and_a_punch_is_not_proposed() {
    let skipped = Reason::Unpunchable { ours: NatType::PortRestricted, theirs: NatType::Symmetric };
    let punch = stage(StageKind::Punch, StageOutcome::Skipped, 0, 0, Some(skipped));
    let case = Case::new(attempt(vec![punch], AttemptOutcome::Connected), Trace::default());
    let facts = case.facts();
    let nat_pair = NatPair { theirs: NatType::Symmetric, ..facts.nat_pair };
    let theirs = Theirs::Told { measured: Some(at(10_000)), evidence: Vec::new(), notes: Vec::new() };
    let why = explain(&relayed(Facts { nat_pair, theirs, ..facts }));
    assert!(why.verdict_words().contains("cannot be punched"), "{}", why.verdict_words());
    assert!(
        why.verdict_words().contains("maps per destination")
            && why.verdict_words().contains("exact address and port")
    );
    assert!(
        has(&why.evidence_words(), "our NAT: port-restricted, measured 40 s ago"),
        "{:?}",
        why.evidence_words()
    );
    assert!(has(&why.help_words(), "their router"));
    assert_eq!(why.next, [NextAction::NatProbe, NextAction::Failover]);
    assert_eq!(why.confidence.level, Sureness::High);
    let because = "ours: 2 observers, same verdict: port-restricted, measured 40 s ago; theirs: as the peer says, measured 50 s ago";
    assert_eq!(why.because_words(), because);
}

#[test]
fn hearsay_and_old_measurements_make_the_verdict_less_sure() {
    let case = Case::new(attempt(Vec::new(), AttemptOutcome::Connected), Trace::default());
    let nat_pair = NatPair { theirs: NatType::Symmetric, ..case.facts().nat_pair };
    let sure = |facts: Facts<'_>| explain(&relayed(Facts { nat_pair, ..facts }));
    assert_eq!(sure(Facts { first_hand: false, ..case.facts() }).confidence.level, Sureness::Medium);
    let old = NatView { measured: Some(at(0).before(Duration::from_secs(3_600))), ..case.nat.clone() };
    let low = sure(Facts { first_hand: false, nat: &old, ..case.facts() });
    assert_eq!(low.confidence.level, Sureness::Low);
    let because = low.because_words();
    assert!(because.contains("hearsay") && because.contains("min ago"), "{because}");
}

#[test]
fn a_punch_that_both_made_in_vain_has_two_causes_and_what_tells_them_apart() {
    let mut trace = Trace::default();
    trace.add(TraceEvent::Agreed { via: RELAY, at: addr(2) }, at(20));
    let failed = Some(Reason::TimedOut { after_ms: 30_000 });
    let punch = stage(StageKind::Punch, StageOutcome::Failed, 10, 30_000, failed);
    let case = Case::new(attempt(vec![punch], AttemptOutcome::Connected), trace);
    let why = explain(&relayed(case.facts()));
    assert!(why.verdict_words().contains("no result after 30.00 s"), "{}", why.verdict_words());
    assert!(
        why.verdict_words().contains("has changed since, or a firewall drops UDP"),
        "{}",
        why.verdict_words()
    );
    assert!(why.verdict_words().contains("tells them apart"), "{}", why.verdict_words());
    assert_eq!(why.next.first(), Some(&NextAction::NatProbe));
    let nat_pair = NatPair { theirs: NatType::Unknown, ..case.facts().nat_pair };
    let why = explain(&relayed(Facts { nat_pair, ..case.facts() }));
    assert!(why.verdict_words().contains("its NAT is not measured, so either"), "{}", why.verdict_words());
    assert!(why.confidence.level < Sureness::High);
}

#[test]
fn a_rate_limit_names_who_refused_and_says_that_the_nats_are_not_in_the_way() {
    let mut trace = Trace::default();
    trace.add(TraceEvent::TurnedDown { via: RELAY, reason: Reason::RateLimited }, at(20));
    let case = Case::new(unreached(Reason::RateLimited), trace);
    for facts in [case.facts(), relayed(case.facts())] {
        let why = explain(&facts);
        assert!(
            why.verdict_words().contains("030303 coordinates no further punch"),
            "{}",
            why.verdict_words()
        );
        assert!(why.verdict_words().contains("rate limit"), "{}", why.verdict_words());
        assert_eq!(why.next[0], NextAction::Punch);
        assert_eq!(why.confidence.level, Sureness::High);
    }
    let why = explain(&case.facts());
    assert!(
        why.timeline.iter().any(|l| l.what.to_string().starts_with("030303 turned it down")),
        "{:?}",
        why.timeline
    );
}

#[test]
fn nobody_between_is_told_with_who_was_asked_and_both_causes() {
    let mut trace = dialled(&[2]);
    trace.add(TraceEvent::HasNot { who: RELAY }, at(2_010));
    let case = Case::new(unreached(Reason::NoIntermediary), trace);
    let accounts = vec![Told {
        who: RELAY,
        account: Some(Seen { standing: PeerLinkStatus::Never, since: None, at: None, notes: Vec::new() }),
    }];
    let why = explain(&Facts { accounts, homes: vec![OTHER], ..case.facts() });
    assert!(
        why.verdict_words().contains("nobody we are linked to is connected to it"),
        "{}",
        why.verdict_words()
    );
    assert!(why.verdict_words().contains("offline, or linked to others only"), "{}", why.verdict_words());
    assert!(why.verdict_words().contains("its record names 040404"), "{}", why.verdict_words());
    assert!(has(&why.evidence_words(), "030303 said no"), "{:?}", why.evidence_words());
    assert!(
        has(&why.evidence_words(), "030303, by its account: not connected to it"),
        "{:?}",
        why.evidence_words()
    );
    assert_eq!(why.confidence.level, Sureness::Medium);
    assert_eq!(why.next[0], NextAction::SyncAll);
    assert!(has(&why.evidence_words(), "no account from 020202: there is no link to ask over"));
}

#[test]
fn a_peer_that_fell_silent_for_others_is_most_likely_offline_and_never_surely() {
    let case = Case::new(unreached(Reason::NoIntermediary), dialled(&[2]));
    let accounts = vec![told(RELAY, PeerLinkStatus::Silent, None), told(OTHER, PeerLinkStatus::Never, None)];
    let gone = Some((at(29_000), Reason::HeartbeatsMissed { missed: 3 }));
    let why = explain(&Facts { accounts: accounts.clone(), gone, ..case.facts() });
    assert!(
        why.verdict_words().contains("offline, most likely: we and 030303 lost it"),
        "{}",
        why.verdict_words()
    );
    assert!(why.verdict_words().contains("UDP blocked, it would look the same"), "{}", why.verdict_words());
    assert_eq!(why.confidence.level, Sureness::Medium);
    assert!(has(&why.evidence_words(), "its link to it fell silent, 30 s ago"), "{:?}", why.evidence_words());
    let alone = explain(&Facts { accounts, ..case.facts() });
    assert_eq!(alone.confidence.level, Sureness::Low, "one witness may be wrong itself");
    // The same where the intermediary still thought that it was connected.
    let silent = Case::new(unreached(Reason::timed_out(TARGET_WAIT)), dialled(&[2]));
    let accounts = vec![told(RELAY, PeerLinkStatus::Silent, None)];
    assert!(explain(&Facts { accounts, ..silent.facts() }).verdict_words().contains("offline, most likely"));
}

#[test]
fn a_goodbye_makes_offline_certain() {
    let case = Case::new(unreached(Reason::NoIntermediary), dialled(&[2]));
    let why = explain(&Facts { accounts: vec![told(RELAY, PeerLinkStatus::Left, None)], ..case.facts() });
    assert!(
        why.verdict_words().starts_with("It is offline: it said goodbye to 030303"),
        "{}",
        why.verdict_words()
    );
    let gone = Some((at(50_000), Reason::Closed { close: Some(CloseCode::Leave) }));
    let why = explain(&Facts { gone, ..case.facts() });
    assert!(why.verdict_words().contains("goodbye to us"), "{}", why.verdict_words());
    assert_eq!(why.confidence.level, Sureness::High);
}

#[test]
fn what_its_own_host_says_decides_between_offline_and_blocked() {
    let case = Case::new(unreached(Reason::NoIntermediary), dialled(&[2]));
    let accounts = vec![told(RELAY, PeerLinkStatus::Silent, None)];
    let nat_pair = NatPair { theirs: NatType::None, ..case.facts().nat_pair };
    let with = |udp, tcp| {
        let knocks = vec![knock(PEER, 2, udp, tcp)];
        explain(&Facts { accounts: accounts.clone(), nat_pair, knocks, ..case.facts() })
    };
    let stopped = with(Knocked::Refused, Knocked::Refused);
    assert!(stopped.verdict_words().contains("nothing listens at its port"), "{}", stopped.verdict_words());
    let blocked = with(Knocked::Silent, Knocked::Refused);
    assert!(blocked.verdict_words().starts_with("UDP is blocked on its side"), "{}", blocked.verdict_words());
    assert!(
        has(&blocked.evidence_words(), "UDP stays silent, TCP is refused, so its host is up"),
        "{:?}",
        blocked.evidence_words()
    );
    let neither = with(Knocked::Silent, Knocked::Silent);
    assert!(neither.verdict_words().contains("most likely"), "{}", neither.verdict_words());
    // Behind a NAT it is the router that answers, which says nothing of the peer.
    for udp in [Knocked::Silent, Knocked::Refused] {
        let knocks = vec![Knock { own: false, ..knock(PEER, 2, udp, Knocked::Refused) }];
        let why = explain(&Facts { accounts: accounts.clone(), knocks, ..case.facts() });
        assert!(why.verdict_words().contains("most likely"), "{}", why.verdict_words());
        assert!(
            has(&why.evidence_words(), "by its host or the router in front"),
            "{:?}",
            why.evidence_words()
        );
    }
}

#[test]
fn without_any_link_the_hosts_that_answer_over_tcp_tell_that_udp_is_blocked() {
    let case = Case::new(unreached(Reason::NoIntermediary), dialled(&[2]));
    let alone = |knocks| explain(&Facts { links: 0, knocks, fell_silent: vec![at(30_000)], ..case.facts() });
    let one = knock(PEER, 2, Knocked::Silent, Knocked::Refused);
    let why = alone(vec![one, knock(OTHER, 4, Knocked::Silent, Knocked::Answered)]);
    assert!(why.verdict_words().starts_with("UDP is blocked on our side"), "{}", why.verdict_words());
    assert_eq!(why.confidence.level, Sureness::High);
    assert!(
        has(&why.evidence_words(), "we have no link to anybody; 1 fell silent"),
        "{:?}",
        why.evidence_words()
    );
    // One host alone leaves open on whose side.
    let why = alone(vec![one]);
    assert!(why.verdict_words().contains("On whose side cannot be said"), "{}", why.verdict_words());
    assert_eq!(why.confidence.level, Sureness::Medium);
    // Silence everywhere leaves open whether it is us or them.
    let why = alone(vec![knock(PEER, 2, Knocked::Silent, Knocked::Silent)]);
    assert!(why.verdict_words().contains("Either this host is cut off"), "{}", why.verdict_words());
    assert!(why.verdict_words().contains("tells them apart"), "{}", why.verdict_words());
    assert_eq!(why.confidence.level, Sureness::Low);
    let why = alone(vec![knock(PEER, 2, Knocked::Forbidden, Knocked::Refused)]);
    assert!(why.verdict_words().contains("own firewall"), "{}", why.verdict_words());
    let why = alone(vec![knock(PEER, 2, Knocked::NoRoute, Knocked::NoRoute)]);
    assert!(why.verdict_words().contains("offline itself"), "{}", why.verdict_words());
    let why = alone(vec![knock(PEER, 2, Knocked::Answered, Knocked::Refused)]);
    assert!(why.verdict_words().contains("answers now"), "{}", why.verdict_words());
    // One destination without a route, or forbidden, or silent says nothing of us.
    for lone in [
        knock(PEER, 2, Knocked::NoRoute, Knocked::NoRoute),
        knock(PEER, 2, Knocked::Forbidden, Knocked::Silent),
        one,
    ] {
        let why = alone(vec![lone, knock(OTHER, 4, Knocked::Answered, Knocked::Refused)]);
        assert!(why.verdict_words().contains("answers now"), "{lone:?}: {}", why.verdict_words());
    }
}

#[test]
fn another_network_is_said_by_the_other_end_and_names_ours() {
    let reason = Reason::Closed { close: Some(CloseCode::Network) };
    let direct = stage(StageKind::Direct, StageOutcome::Failed, 0, 6, Some(reason));
    let mut trace = Trace::default();
    sent(&mut trace, DialId { attempt: AttemptId(1), n: 1 }, addr(2), at(0));
    let case = Case::new(attempt(vec![direct], AttemptOutcome::Unreachable), trace);
    let why = explain(&case.facts());
    assert!(
        why.verdict_words().contains("another network") && why.verdict_words().contains("\"fleet\""),
        "{}",
        why.verdict_words()
    );
    assert!(
        has(&why.evidence_words(), "it answered at 198.18.0.2:41000 60 s ago"),
        "{:?}",
        why.evidence_words()
    );
    assert_eq!((why.confidence.level, why.next), (Sureness::High, vec![NextAction::Connect]));
}

#[test]
fn a_dead_address_is_stale_only_where_somebody_sees_it_elsewhere() {
    let case = Case::new(unreached(Reason::NoIntermediary), dialled(&[2]));
    let accounts = vec![told(RELAY, PeerLinkStatus::Linked, Some(addr(7)))];
    let why = explain(&Facts { accounts: accounts.clone(), ..case.facts() });
    assert!(
        why.verdict_words().contains("It has moved: we dialled 198.18.0.2:41000"),
        "{}",
        why.verdict_words()
    );
    assert!(why.verdict_words().contains("it is at 198.18.0.7:41000 now"), "{}", why.verdict_words());
    assert_eq!((why.confidence.level, why.next[0]), (Sureness::Medium, NextAction::Connect));
    let addresses = vec![addr(2), addr(7)];
    let why = explain(&Facts { addresses, accounts, ..case.facts() });
    assert_eq!(why.confidence.level, Sureness::High, "two say so");
    assert!(
        has(&why.evidence_words(), "its record says 198.18.0.7:41000 since"),
        "{:?}",
        why.evidence_words()
    );
    // A symmetric NAT shows another port to everybody: that is no move.
    let port = SocketAddr::new(addr(2).ip(), 50_000);
    let accounts = vec![told(RELAY, PeerLinkStatus::Linked, Some(port))];
    let nat_pair = NatPair { theirs: NatType::Symmetric, ..NatPair::default() };
    let why = explain(&Facts { nat_pair, accounts, ..case.facts() });
    assert!(!why.verdict_words().contains("moved"), "{}", why.verdict_words());
}

#[test]
fn somebody_else_at_its_address_makes_that_stale_for_sure() {
    let mut trace = dialled(&[2]);
    let dial = DialId { attempt: AttemptId(1), n: 7 };
    sent(&mut trace, dial, addr(3), at(0));
    trace.dial_failed(dial, &Reason::WrongIdentity { got: OTHER }, at(5));
    let case = Case::new(unreached(Reason::NoIntermediary), trace);
    let why = explain(&case.facts());
    assert!(
        why.verdict_words().contains("040404 answers at 198.18.0.3:41000 now"),
        "{}",
        why.verdict_words()
    );
    assert_eq!(why.confidence.level, Sureness::High);
}

#[test]
fn what_all_three_did_stands_in_the_order_in_which_it_happened() {
    let stages = vec![
        stage(StageKind::Direct, StageOutcome::Skipped, 0, 0, Some(Reason::NoAddress)),
        stage(StageKind::Relay, StageOutcome::Ok, 910, 60, None),
    ];
    let mut trace = Trace::default();
    trace.add(TraceEvent::Asked { via: RELAY, invitation: false }, at(84));
    let case = Case::new(attempt(stages, AttemptOutcome::Connected), trace);
    let told = |words: &str| TraceEvent::Told { words: words.to_owned() };
    let notes = vec![(at(168), told("agreed to a punch")), (at(0).before(BEFORE * 9), told("old"))];
    let evidence = vec![Evidence::TheirWords("seen at two ports".to_owned())];
    let theirs = Theirs::Told { measured: None, evidence, notes };
    let step = CoordinationStep::PassedOn;
    let seen = vec![(at(126), TraceEvent::Coordinated { invitation: false, step })];
    let account = Some(Seen { standing: PeerLinkStatus::Linked, since: None, at: None, notes: seen });
    let accounts = vec![Told { who: RELAY, account }, Told { who: OTHER, account: None }];
    let why = explain(&relayed(Facts { theirs, accounts, ..case.facts() }));
    let lines: Vec<_> = why.timeline.iter().map(|l| (l.at_ms, l.who, l.what.to_string())).collect();
    assert_eq!(
        lines,
        [
            (0, ME, "direct skipped: no address known"),
            (84, ME, "asked 030303 to coordinate a punch"),
            (126, RELAY, "punch passed on to the target"),
            (168, PEER, "“agreed to a punch”"),
            (910, ME, "relay via 030303"),
            (970, ME, "relay ok"),
            (30_000, ME, "link up, relayed: we dialled"),
        ]
        .map(|(at_ms, who, what)| (at_ms, who, what.to_owned()))
    );
    assert!(has(&why.evidence_words(), "theirs: “seen at two ports”"));
    assert!(
        has(&why.evidence_words(), "no account from 040404: it did not answer"),
        "{:?}",
        why.evidence_words()
    );
}

#[test]
fn without_evidence_the_outcome_alone_makes_no_sure_verdict() {
    let relay = stage(StageKind::Relay, StageOutcome::Failed, 0, 10, Some(Reason::NobodyToInvite));
    let case = Case::new(attempt(vec![relay], AttemptOutcome::Unreachable), Trace::default());
    let why = explain(&case.facts());
    assert!(why.verdict_words().contains("nobody to pass an invitation on"), "{}", why.verdict_words());
    assert_eq!(why.confidence.level, Sureness::Low);
    assert!(why.next.contains(&NextAction::Connect));
}

#[test]
fn an_address_that_is_dialled_again_and_again_is_one_step() {
    let mut trace = Trace::default();
    for n in 0..5 {
        let dial = DialId { attempt: AttemptId(1), n };
        sent(&mut trace, dial, addr(2), at(u64::from(n)));
        trace.dial_failed(dial, &Reason::NoAnswer { addresses: 1 }, at(u64::from(n)));
    }
    let texts: Vec<String> = trace.steps().iter().map(|s| s.what.to_string()).collect();
    assert_eq!(texts, ["dial 198.18.0.2:41000, 5 times", "heard nothing from 198.18.0.2:41000"]);
}

#[test]
fn a_path_that_takes_only_short_datagrams_is_told_from_one_that_is_blocked() {
    let mut trace = dialled(&[2]);
    trace.short_passed_at(addr(9), at(1));
    assert_eq!(trace.short_passed(), None, "nobody dialled there");
    trace.short_passed_at(addr(2), at(1));
    let case = Case::new(unreached(Reason::NoIntermediary), trace);
    for links in [0, 3] {
        let why = explain(&Facts { links, ..case.facts() });
        assert_eq!(why.cause(), WhyCause::PathTooNarrow, "{}", why.verdict_words());
        assert!(why.verdict_words().contains("1 228 bytes") && why.next.first() == Some(&NextAction::Relay));
    }
    let told =
        case.facts().trace.steps().iter().filter(|s| s.what.to_string().contains("a short datagram")).count();
    assert_eq!(told, 1, "once, however often it is answered");
}

#[test]
fn a_knock_tells_a_narrow_path_from_blocked_udp() {
    let case = Case::new(unreached(Reason::NoIntermediary), dialled(&[2]));
    let with = |short, links| {
        let mut knock = knock(PEER, 2, Knocked::Silent, Knocked::Refused);
        knock.heard.short = short;
        explain(&Facts { links, knocks: vec![knock], ..case.facts() })
    };
    for links in [0, 3] {
        assert_eq!(with(Knocked::Answered, links).cause(), WhyCause::PathTooNarrow);
    }
    assert_eq!(with(Knocked::Silent, 0).cause(), WhyCause::UdpBlockedBetween);
    assert_eq!(with(Knocked::Silent, 3).cause(), WhyCause::UdpBlockedThere);
}
