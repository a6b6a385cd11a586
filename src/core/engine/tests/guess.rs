//! Guessed punches between engines behind NATs, in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use super::secs;
use crate::core::engine::{Input, Settings};
use crate::core::limits::{
    GUESS_NEIGHBOURS, GUESS_PER_SECOND, GUESS_PORT_MIN, GUESS_PROBES_MAX, GUESS_SOCKETS_MAX,
};
use crate::core::sim::{Net, addr, id};
use crate::core::wire::{GuessOffer, Message, Near};
use crate::model::{
    Command, CommandId, Done, EventKind, HardNat, NatType, Path, PunchConsent, Reason, RelayMode, StageKind,
    StageOutcome, StageReport,
};

const LATENCY: Duration = Duration::from_millis(40);
const FROM: usize = 3;
const TO: usize = 4;
const SYM: NatType = NatType::Symmetric;
const PORT: NatType = NatType::PortRestricted;

/// Three public nodes, and two behind these NATs that know each other by gossip.
fn pair(seed: u64, nats: [NatType; 2], modes: [HardNat; 2]) -> Net {
    let mut net = Net::new(seed, LATENCY);
    net.add(&[]);
    net.add(&[addr(0)]);
    net.add(&[addr(0)]);
    for (nat, mode) in nats.into_iter().zip(modes) {
        net.hard_nat = mode;
        net.add_behind(nat, true, &[addr(0), addr(1), addr(2)]);
    }
    net.run(secs(10));
    for n in 0..3 {
        net.believes(n, NatType::None);
    }
    for (n, nat) in [FROM, TO].into_iter().zip(nats) {
        net.believes(n, nat);
    }
    net.run(secs(15));
    net
}

fn auto(seed: u64, nats: [NatType; 2]) -> Net {
    pair(seed, nats, [HardNat::Auto; 2])
}

fn path(net: &mut Net, n: usize, peer: usize) -> Option<Path> {
    let now = net.now;
    let shot = net.nodes[n].engine.snapshot(now);
    shot.links.iter().find(|l| l.peer_id == id(peer)).map(|l| l.path)
}

fn connect(net: &mut Net) -> CommandId {
    net.command(FROM, Command::Connect { peer: id(TO) })
}

fn moved(net: &Net, n: usize) -> bool {
    let to_punched = |e: &crate::model::Event| {
        matches!(e.kind, EventKind::LinkMoved { from: Path::Relayed, to: Path::Punched, .. })
    };
    net.nodes[n].events.iter().any(to_punched)
}

/// The guess stages that ended on a node, newest first.
fn stages(net: &mut Net, n: usize) -> Vec<StageReport> {
    let now = net.now;
    let shot = net.nodes[n].engine.snapshot(now);
    let all = shot.attempts.recent.iter().flat_map(|a| a.stages.clone());
    all.filter(|s| s.stage == StageKind::Guess).collect()
}

fn outcome(net: &Net, n: usize, command: CommandId) -> Option<Result<Done, crate::model::Failure>> {
    net.nodes[n].outcomes.iter().find(|o| o.id == command).map(|o| o.result.clone())
}

fn settings(hard_nat: HardNat) -> Settings {
    Settings {
        bootstrap: vec![addr(0)],
        direct_window: secs(2),
        relay_after: secs(1),
        punch: PunchConsent::Any,
        relay: RelayMode::Network,
        hard_nat,
        path_test: crate::model::TestConsent::Network,
    }
}

#[test]
fn at_least_95_of_100_hard_pairs_leave_the_relay_within_ten_seconds_and_lose_nothing() {
    let (mut punched, mut within) = (0, Vec::new());
    for seed in 0..100 {
        let nats = if seed % 2 == 0 { [PORT, SYM] } else { [SYM, PORT] };
        let mut net = auto(seed, nats);
        connect(&mut net);
        let up = net.run_until(secs(5), |net| net.up_links(FROM) == 4).expect("over a relay at first");
        let echo = net.command(FROM, Command::Echo { peer: id(TO), count: 500, every_ms: 20 });
        let left = net.run_until(secs(10), |net| moved(net, FROM) && moved(net, TO));
        net.run_until(secs(30), |net| outcome(net, FROM, echo).is_some());
        let Some(Ok(Done::Echoed(report))) = outcome(&net, FROM, echo) else {
            panic!("no echo: seed {seed}")
        };
        assert_eq!((report.lost, report.repeated, report.reordered), (0, 0, 0), "seed {seed}: {report:?}");
        if let Some(took) = left {
            punched += 1;
            within.push(up + took);
            let paths = [path(&mut net, FROM, TO), path(&mut net, TO, FROM)];
            assert_eq!(paths, [Some(Path::Punched); 2], "seed {seed}");
        }
        assert_eq!((net.guessed.open(FROM), net.guessed.open(TO)), (0, 0), "seed {seed}");
    }
    within.sort_unstable();
    let [median, worst] = [punched / 2, punched - 1].map(|n| within[n]);
    assert!(punched >= 95, "{punched} of 100, median {median:?}, worst {worst:?}");
}

#[test]
fn a_link_that_nobody_asked_for_stays_on_its_relay_for_five_seconds_first() {
    let mut net = auto(1, [PORT, SYM]);
    // By hand for one end only: the other end finds it relayed, and would begin.
    net.tell(FROM, Input::Settings(settings(HardNat::Ask)));
    connect(&mut net);
    net.run(secs(4));
    assert!(net.guessed.sent.is_empty(), "too early");
    let offered = net.run_until(secs(8), |net| {
        net.nodes[TO]
            .events
            .iter()
            .any(|e| matches!(e.kind, EventKind::StageStarted { stage: StageKind::Guess, .. }))
    });
    assert!(offered.is_some(), "it was offered");
    net.run(secs(5));
    assert!(net.guessed.sent.is_empty(), "and turned down: nobody asked for it here");
    assert_eq!(stages(&mut net, TO)[0].reason, Some(Reason::NoGuessing));
}

#[test]
fn what_is_shown_of_a_run_says_what_was_opened_and_sent_and_how_likely_it_was() {
    let mut net = auto(2, [PORT, SYM]);
    connect(&mut net);
    assert!(net.run_until(secs(10), |net| moved(net, FROM) && moved(net, TO)).is_some());
    let here = stages(&mut net, FROM).remove(0);
    let there = stages(&mut net, TO).remove(0);
    assert_eq!((here.outcome, there.outcome), (StageOutcome::Ok, StageOutcome::Ok));
    let (prober, opener) = (here.guess.unwrap(), there.guess.unwrap());
    assert!(prober.met && opener.met && opener.opens && !prober.opens);
    assert_eq!((prober.sockets, opener.sockets), (Some(256), Some(256)));
    let sent = net.guessed.sent_by(FROM).len();
    assert_eq!(prober.probes, u32::try_from(sent).ok());
    assert!(prober.odds.is_some_and(|odds| odds > 0.0 && odds < 0.99), "{prober}");
    assert_eq!(prober.probes_of, 1024);
}

#[test]
fn nothing_is_sent_without_the_yes_of_the_other_end() {
    for (modes, reason) in [
        ([HardNat::Auto, HardNat::Off], Reason::NoGuessing),
        ([HardNat::Auto, HardNat::Ask], Reason::NoGuessing),
    ] {
        let mut net = pair(3, [PORT, SYM], modes);
        connect(&mut net);
        net.run(secs(60));
        assert!(net.guessed.sent.is_empty(), "{modes:?}");
        assert_eq!(path(&mut net, FROM, TO), Some(Path::Relayed));
        let told = stages(&mut net, FROM);
        assert_eq!((told.len(), told[0].reason.clone()), (1, Some(reason)), "asked once: {modes:?}");
    }
}

#[test]
fn who_takes_no_punches_lets_no_ports_be_guessed() {
    let mut net = auto(3, [PORT, SYM]);
    net.tell(TO, Input::Settings(Settings { punch: PunchConsent::Never, ..settings(HardNat::Auto) }));
    connect(&mut net);
    net.run(secs(4));
    assert!(net.guessed.sent.is_empty());
    assert_eq!(stages(&mut net, FROM)[0].reason, Some(Reason::NoGuessing));
}

#[test]
fn where_it_is_off_nothing_is_begun() {
    let mut net = pair(4, [PORT, SYM], [HardNat::Off; 2]);
    connect(&mut net);
    net.run(secs(60));
    assert!(stages(&mut net, FROM).is_empty() && stages(&mut net, TO).is_empty());
    assert!(net.guessed.sent.is_empty());
}

#[test]
fn with_ask_a_run_begins_when_a_person_asks_for_a_punch() {
    let mut net = pair(5, [PORT, SYM], [HardNat::Ask, HardNat::Auto]);
    // The other end would begin by itself.
    net.tell(TO, Input::Settings(settings(HardNat::Ask)));
    connect(&mut net);
    net.run(secs(60));
    assert!(net.guessed.sent.is_empty(), "nobody asked for it");
    net.tell(TO, Input::Settings(settings(HardNat::Auto)));
    let command = net.command(FROM, Command::Punch { peer: id(TO) });
    net.run_until(secs(15), |net| outcome(net, FROM, command).is_some());
    let Some(Ok(Done::Staged(report))) = outcome(&net, FROM, command) else { panic!("not punched") };
    assert_eq!((report.path, report.stages[0].stage), (Some(Path::Punched), StageKind::Guess));
}

#[test]
fn nobody_is_aimed_at_where_only_the_other_end_says_that_it_is() {
    let bystander: SocketAddr = "198.200.7.7:7777".parse().unwrap();
    // The liar is the symmetric end, which has us probe; and the other one.
    for (nats, liar, victim) in [([PORT, SYM], TO, FROM), ([PORT, SYM], FROM, TO)] {
        let mut net = pair(6, nats, [HardNat::Ask; 2]);
        connect(&mut net);
        net.run(secs(3));
        net.tell(victim, Input::Settings(settings(HardNat::Auto)));
        let offer = GuessOffer { run: [9; 16], opens: liar == TO, at: bystander, near: None };
        net.send(liar, victim, &Message::GuessOffer(offer));
        net.run(secs(20));
        let aimed: Vec<SocketAddr> = net.guessed.sent_by(victim);
        assert!(aimed.iter().all(|to| to.ip() != bystander.ip()), "node {victim} sent {} there", aimed.len());
        assert!(aimed.is_empty(), "and nowhere else");
    }
}

#[test]
fn only_the_witnessed_address_is_ever_probed_and_no_port_below_1024() {
    for nats in [[PORT, SYM], [SYM, PORT]] {
        let mut net = auto(7, nats);
        connect(&mut net);
        net.run(secs(15));
        let (prober, opener) = if nats[0] == PORT { (FROM, TO) } else { (TO, FROM) };
        let there = addr(opener).ip();
        let probed = net.guessed.sent_by(prober);
        assert!(!probed.is_empty() && probed.iter().all(|to| to.ip() == there));
        assert!(probed.iter().all(|to| to.port() >= GUESS_PORT_MIN));
        assert!(net.guessed.sent_by(opener).iter().all(|to| *to == addr(prober)), "its one mapping");
    }
}

#[test]
fn a_run_that_never_meets_stays_within_its_budget_and_its_rate() {
    let mut net = auto(8, [PORT, SYM]);
    // Whatever comes in is dropped.
    net.punches_fail = true;
    connect(&mut net);
    net.run(secs(120));
    let runs = stages(&mut net, FROM);
    assert!((1..=2).contains(&runs.len()), "{} runs of a pair in ten minutes", runs.len());
    assert!(matches!(runs[0].reason, Some(Reason::Unmet { sockets: 256, probes: 1024 })), "{:?}", runs[0]);
    assert!(net.guessed.sent_by(FROM).len() <= 2 * usize::from(GUESS_PROBES_MAX));
    assert!(net.guessed.sent_by(TO).len() <= 2 * usize::from(GUESS_SOCKETS_MAX));
    assert!(net.guessed.most_open <= usize::from(GUESS_SOCKETS_MAX));
    assert_eq!(net.guessed.open(TO), 0, "closed at the end");
    for sent in net.guessed.when.values() {
        for (n, at) in sent.iter().enumerate() {
            let second = sent[n..].iter().take_while(|later| later.since(*at) < secs(1)).count();
            assert!(second <= usize::from(GUESS_PER_SECOND), "{second} in a second");
        }
    }
    assert_eq!(path(&mut net, FROM, TO), Some(Path::Relayed), "and nothing is worse than before");
}

#[test]
fn sockets_are_closed_whoever_dies() {
    // The prober, the opener's link, the relay's host.
    for dies in [FROM, 0, 1, 2] {
        let mut net = auto(9, [PORT, SYM]);
        net.punches_fail = true;
        connect(&mut net);
        assert!(net.run_until(secs(5), |net| net.guessed.open(TO) > 100).is_some());
        net.nodes[dies].up = false;
        net.run(secs(15));
        assert_eq!(net.guessed.open(TO), 0, "node {dies} died");
    }
}

#[test]
fn a_host_that_has_few_files_left_opens_what_it_can() {
    let mut net = auto(10, [PORT, SYM]);
    net.guessed.files = Some(40);
    connect(&mut net);
    net.run(secs(8));
    let told = stages(&mut net, FROM).pop().unwrap();
    assert_eq!(told.guess.unwrap().sockets, Some(40), "{told:?}");
}

#[test]
fn two_symmetric_nats_are_left_alone_unless_their_ports_move_in_steps() {
    let mut net = auto(11, [SYM, SYM]);
    connect(&mut net);
    net.run(secs(60));
    assert!(net.guessed.sent.is_empty() && stages(&mut net, FROM).is_empty());

    for (seed, steps) in [(11, [1, 1]), (12, [1, 2]), (13, [-1, 3])] {
        let mut net = auto(seed, [SYM, SYM]);
        net.port_steps(FROM, steps[0], 30_000);
        net.port_steps(TO, steps[1], 41_000);
        net.run(secs(2));
        connect(&mut net);
        let left = net.run_until(secs(10), |net| moved(net, FROM) && moved(net, TO));
        assert!(left.is_some(), "steps {steps:?}: {:?}", stages(&mut net, FROM));
        let sent = net.guessed.sent_by(FROM).len().max(net.guessed.sent_by(TO).len());
        assert!(sent <= usize::from(GUESS_NEIGHBOURS), "{sent} datagrams");
    }
}

#[test]
fn neighbours_of_a_nat_that_moves_in_steps_are_probed_first() {
    let mut net = auto(14, [PORT, SYM]);
    net.port_steps(TO, 1, 30_000);
    net.run(secs(2));
    connect(&mut net);
    assert!(net.run_until(secs(10), |net| moved(net, FROM)).is_some());
    let sent = net.guessed.sent_by(FROM);
    let first: Vec<u16> = sent.iter().take(GUESS_NEIGHBOURS.into()).map(SocketAddr::port).collect();
    let met = net.guessed.met_at(TO);
    assert!(met.iter().all(|port| first.contains(port)) && met.len() == 1, "{met:?}");
    assert!(sent.len() < 200, "what is under way when it meets is all that is more: {}", sent.len());
}

#[test]
fn a_liar_about_its_ports_chooses_nothing_but_their_order() {
    let mut net = pair(15, [PORT, SYM], [HardNat::Ask; 2]);
    connect(&mut net);
    net.run(secs(3));
    net.tell(FROM, Input::Settings(settings(HardNat::Auto)));
    for (n, near) in [(80, 1), (1024, -1), (65_535, 16), (2000, i16::MAX)].into_iter().enumerate() {
        let run = [u8::try_from(n).unwrap(); 16];
        let near = Some(Near { port: near.0, step: near.1 });
        let at = net.nodes[TO].addr;
        net.send(TO, FROM, &Message::GuessOffer(GuessOffer { run, opens: true, at, near }));
        net.run(secs(1));
        net.send(TO, FROM, &Message::GuessOpened(crate::core::wire::GuessOpened { run, sockets: u16::MAX }));
        net.run(secs(10));
    }
    let probed = net.guessed.sent_by(FROM);
    assert!(probed.iter().all(|to| to.port() >= GUESS_PORT_MIN && to.ip() == addr(TO).ip()));
    assert!(probed.len() <= 2 * usize::from(GUESS_PROBES_MAX), "two runs of a pair: {}", probed.len());
}
