mod idle;
mod lanes;
mod two;
mod warm;

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::core::wire::{Echo, FrameReader, PROTOCOL_HIGH, PROTOCOL_LOW};
use crate::model::{DropReason, NatType};

const SMALL: PeerId = PeerId([1; 32]);
const LARGE: PeerId = PeerId([2; 32]);

/// Both ends of one link, joined by connections that the test makes and breaks.
struct Pair {
    ends: [Link; 2],
    /// Bytes under way: connection, to which end, bytes.
    wire: Vec<(ConnId, usize, Vec<u8>)>,
    /// What each end told.
    told: [Vec<LinkOut>; 2],
    now: Now,
    /// Which connections stand.
    open: Vec<ConnId>,
    /// Whether the large end speaks at all.
    mute: bool,
    /// Whether both speak the protocol's first version only.
    old: bool,
}

fn config(me: PeerId) -> LinkConfig {
    LinkConfig { me, network: "fleet".into(), secret: None }
}

fn hello(config: &LinkConfig, now: Now) -> Hello {
    Hello {
        low: PROTOCOL_LOW,
        high: PROTOCOL_HIGH,
        network: config.network.clone(),
        name: format!("node-{}", config.me.0[0]),
        agent: "punchdeck test".into(),
        nat: NatType::Unknown,
        observed: addr(0),
        probe_ports: Vec::new(),
        wall_ms: now.wall.0,
        channel: [0; 16],
        path: None,
        outbound: false,
        proof: None,
    }
}

fn addr(port: u16) -> SocketAddr {
    ([198, 18, 0, 1], port).into()
}

fn info(id: u64, outbound: bool, path: Path) -> ConnInfo {
    ConnInfo {
        id: ConnId(id),
        remote: addr(9000),
        outbound,
        path,
        via: None,
        channel: [u8::try_from(id).unwrap(); 16],
        binding: [u8::try_from(id).unwrap(); 32],
        nonce: [if outbound { 0xaa } else { 0xbb }; 32],
    }
}

impl Pair {
    fn with(change: impl Fn(usize, &mut LinkConfig)) -> Self {
        let make = |end: usize, me, peer| {
            let mut config = config(me);
            change(end, &mut config);
            Link::new(peer, Arc::new(config), Now::START.mono)
        };
        Self {
            ends: [make(0, SMALL, LARGE), make(1, LARGE, SMALL)],
            wire: Vec::new(),
            told: [Vec::new(), Vec::new()],
            now: Now::START,
            open: Vec::new(),
            mute: false,
            old: false,
        }
    }

    fn hello(&self, end: usize) -> Hello {
        let hello = hello(&self.ends[end].config, self.now);
        Hello { high: if self.old { 1 } else { PROTOCOL_HIGH }, ..hello }
    }

    fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// A connection that `dialler` made comes up at both ends.
    fn connect(&mut self, id: u64, dialler: usize, path: Path) {
        self.open.push(ConnId(id));
        for end in [1, 0] {
            let mut out = Vec::new();
            self.ends[end].on_conn(info(id, end == dialler, path), self.now, &mut out);
            self.carry_out(end, out);
        }
    }

    fn breaks(&mut self, id: u64) {
        self.ends_with(id, [None, None]);
    }

    /// A connection ends, and each end sees that the other one closed it so.
    fn ends_with(&mut self, id: u64, closes: [Option<CloseCode>; 2]) {
        let id = ConnId(id);
        self.open.retain(|c| *c != id);
        self.wire.retain(|(c, ..)| *c != id);
        for (end, close) in closes.into_iter().enumerate() {
            let mut out = Vec::new();
            self.ends[end].on_conn_closed(id, Reason::Closed { close }, self.now, &mut out);
            self.carry_out(end, out);
        }
    }

    fn carry_out(&mut self, end: usize, out: Vec<LinkOut>) {
        for action in out {
            match action {
                LinkOut::OpenControl(id) => {
                    for side in if self.mute { vec![end] } else { vec![end, 1 - end] } {
                        let hello = self.hello(side);
                        let mut out = Vec::new();
                        self.ends[side].on_control(id, self.now, &|| hello.clone(), &mut out);
                        self.carry_out(side, out);
                    }
                }
                LinkOut::Write(id, bytes) if self.open.contains(&id) => {
                    if !(self.mute && end == 1) {
                        self.wire.push((id, 1 - end, bytes));
                    }
                }
                LinkOut::Write(..) => {}
                LinkOut::Close(id, code) => {
                    self.told[end].push(LinkOut::Close(id, code));
                    let mut closes = [Some(code); 2];
                    closes[end] = None;
                    self.ends_with(id.0, closes);
                }
                other => self.told[end].push(other),
            }
        }
    }

    /// Delivers everything under way.
    fn run(&mut self) {
        while !self.wire.is_empty() {
            self.step();
        }
    }

    fn step(&mut self) {
        if self.wire.is_empty() {
            return;
        }
        let (id, end, bytes) = self.wire.remove(0);
        if self.mute && end == 1 {
            return;
        }
        let mut reader = FrameReader::new();
        reader.push(&bytes);
        while let Some(raw) = reader.next().unwrap() {
            let frame = Frame::decode(&raw).unwrap();
            let hello = self.hello(end);
            let mut out = Vec::new();
            self.ends[end].on_frame(id, frame, bytes.len(), self.now, &|| hello.clone(), &mut out);
            self.carry_out(end, out);
        }
    }

    /// Lets time pass in the steps that both ends ask for.
    fn wait(&mut self, ms: u64) {
        let until = self.now.plus(Duration::from_millis(ms));
        loop {
            let next = self.ends.iter().filter_map(Link::next_timeout).min();
            match next {
                Some(at) if at <= until.mono => {
                    self.now = self.now.plus(at.since(self.now.mono));
                    for end in 0..2 {
                        let mut out = Vec::new();
                        self.ends[end].on_timeout(self.now, &mut out);
                        self.carry_out(end, out);
                    }
                    self.run();
                }
                _ => break,
            }
        }
        self.now = until;
    }

    fn send(&mut self, end: usize, id: u64) {
        let mut out = Vec::new();
        let message = Message::Echo(Echo { id, payload: Vec::new() });
        self.ends[end].send(&message, self.now.mono, &mut out).unwrap();
        self.carry_out(end, out);
    }

    fn got(&self, end: usize) -> Vec<u64> {
        self.told[end]
            .iter()
            .filter_map(|o| match o {
                LinkOut::Message(m) => match **m {
                    Message::Echo(Echo { id, .. }) => Some(id),
                    _ => None,
                },
                _ => None,
            })
            .collect()
    }

    fn stopped(&self, end: usize, what: DropReason) -> bool {
        self.told[end].iter().any(|o| matches!(o, LinkOut::Stopped(name) if *name == what))
    }

    fn closed_with(&self, end: usize) -> Option<CloseCode> {
        self.told[end].iter().rev().find_map(|o| match o {
            LinkOut::Close(_, code) => Some(*code),
            _ => None,
        })
    }
}

#[test]
fn a_connection_becomes_a_link_on_both_ends_whoever_dialled() {
    for dialler in 0..2 {
        let mut pair = Pair::new();
        pair.connect(1, dialler, Path::Direct);
        pair.run();
        for end in 0..2 {
            assert!(pair.ends[end].is_up());
            assert!(pair.told[end].iter().any(|o| matches!(o, LinkOut::Up { fresh: true, .. })));
        }
        assert_eq!(pair.ends[0].greeting().unwrap().name.as_deref(), Some("node-2"));
        assert_eq!(pair.ends[1].greeting().unwrap().observed, addr(9000));
    }
}

#[test]
fn both_ends_show_the_path_that_the_dialler_stated() {
    let mut pair = Pair::new();
    pair.open.push(ConnId(1));
    for (end, path) in [(1, Path::Direct), (0, Path::Punched)] {
        let mut out = Vec::new();
        pair.ends[end].on_conn(info(1, end == 0, path), pair.now, &mut out);
        pair.carry_out(end, out);
    }
    pair.run();
    for end in &pair.ends {
        assert_eq!(end.status().unwrap().info.path, Path::Punched);
    }
}

#[test]
fn messages_arrive_in_order_both_ways() {
    let mut pair = Pair::new();
    pair.connect(1, 0, Path::Direct);
    pair.run();
    for id in 1..=50 {
        pair.send(0, id);
        pair.send(1, 100 + id);
    }
    pair.run();
    assert_eq!(pair.got(1), (1..=50).collect::<Vec<_>>());
    assert_eq!(pair.got(0), (101..=150).collect::<Vec<_>>());
}

#[test]
fn a_better_path_takes_the_link_over_without_losing_a_message() {
    let mut pair = Pair::new();
    pair.connect(1, 0, Path::Relayed);
    pair.run();
    pair.send(0, 1);
    pair.connect(2, 1, Path::Direct);
    pair.send(0, 2);
    pair.send(1, 3);
    pair.run();
    assert_eq!(pair.got(1), [1, 2]);
    assert_eq!(pair.got(0), [3]);
    assert_eq!(pair.ends[0].status().unwrap().info.id, ConnId(2));
    assert!(
        pair.told[0]
            .iter()
            .any(|o| matches!(o, LinkOut::Moved { from: Path::Relayed, to: Path::Direct, .. }))
    );
    assert!(pair.open.contains(&ConnId(1)), "the lane is kept for a while");
    pair.wait(29_000);
    assert!(pair.open.contains(&ConnId(1)));
    pair.wait(2_000);
    assert!(!pair.open.contains(&ConnId(1)));
    assert!(!pair.told[0].iter().any(|o| matches!(o, LinkOut::Down(_))));
}

/// Both dialled at once, and the library of the other end has let go of the
/// older connection before anybody there saw it.
#[test]
fn a_handshake_that_is_not_answered_gives_way_to_a_newer_connection_at_once() {
    let mut pair = Pair::new();
    pair.open.push(ConnId(1));
    let mut out = Vec::new();
    pair.ends[0].on_conn(info(1, true, Path::Direct), pair.now, &mut out);
    pair.carry_out(0, out);
    pair.run();
    assert!(!pair.ends[0].is_up(), "the other end does not know that connection");
    pair.connect(2, 1, Path::Direct);
    pair.run();
    for end in &pair.ends {
        assert!(end.is_up());
        assert_eq!(end.status().unwrap().info.id, ConnId(2));
    }
}

/// Streams of two connections arrive in any order.
#[test]
fn the_connection_that_the_opener_resumes_on_carries_the_link_whichever_stream_came_first() {
    let mut pair = Pair::new();
    pair.open.extend([ConnId(1), ConnId(2)]);
    let on_control = |pair: &mut Pair, end: usize, id: u64| {
        let hello = hello(&pair.ends[end].config, pair.now);
        let mut out = Vec::new();
        pair.ends[end].on_control(ConnId(id), pair.now, &|| hello.clone(), &mut out);
        pair.carry_out(end, out);
    };
    for id in [1, 2] {
        for end in [0, 1] {
            pair.ends[end].on_conn(info(id, end == 0, Path::Direct), pair.now, &mut Vec::new());
        }
        on_control(&mut pair, 0, id);
    }
    // Its second hello was said last and comes first.
    pair.wire.reverse();
    on_control(&mut pair, 1, 2);
    on_control(&mut pair, 1, 1);
    pair.run();
    pair.wait(6000);
    for end in &pair.ends {
        assert_eq!(end.status().unwrap().info.id, ConnId(2));
    }
    assert!(!pair.stopped(1, DropReason::NoHelloInTime));
    pair.send(0, 7);
    pair.run();
    assert_eq!(pair.got(1), [7]);
}

#[test]
fn a_worse_path_does_not_take_the_link_over() {
    let mut pair = Pair::new();
    pair.connect(1, 0, Path::Direct);
    pair.run();
    pair.connect(2, 0, Path::Relayed);
    pair.run();
    assert_eq!(pair.ends[0].status().unwrap().info.id, ConnId(1));
}

#[test]
fn a_broken_link_takes_its_messages_up_again_on_the_next_connection() {
    let mut pair = Pair::new();
    pair.connect(1, 0, Path::Direct);
    pair.run();
    pair.send(0, 1);
    pair.breaks(1);
    assert!(!pair.ends[0].is_up());
    pair.send(0, 2);
    pair.connect(2, 1, Path::Direct);
    pair.run();
    assert_eq!(pair.got(1), [1, 2]);
    assert!(pair.told[0].iter().any(|o| matches!(o, LinkOut::Up { fresh: false, .. })));
}

#[test]
fn a_silent_peer_is_foreign_after_five_seconds_and_stays_connected() {
    let mut pair = Pair::new();
    pair.mute = true;
    pair.connect(1, 0, Path::Direct);
    pair.wait(4_999);
    assert!(!pair.ends[0].is_foreign());
    pair.wait(1);
    assert!(pair.ends[0].is_foreign());
    assert!(pair.open.contains(&ConnId(1)));
    assert!(pair.ends[0].status().unwrap().foreign);
    assert!(pair.ends[1].is_foreign(), "and so is the one that never opened a stream");
}

#[test]
fn who_opens_a_stream_and_says_nothing_is_closed_after_five_seconds() {
    let mut pair = Pair::new();
    pair.open.push(ConnId(1));
    let mut out = Vec::new();
    pair.ends[1].on_conn(info(1, false, Path::Direct), pair.now, &mut out);
    let h = hello(&pair.ends[1].config, pair.now);
    pair.ends[1].on_control(ConnId(1), pair.now, &|| h.clone(), &mut out);
    pair.carry_out(1, out);
    pair.wait(5_000);
    assert_eq!(pair.closed_with(1), Some(CloseCode::Limit));
    assert!(pair.stopped(1, DropReason::NoHelloInTime));
}

#[test]
fn another_network_is_closed_with_its_code_and_no_text() {
    let mut pair = Pair::with(|end, c| c.network = format!("net-{end}"));
    pair.connect(1, 0, Path::Direct);
    pair.run();
    assert_eq!(pair.closed_with(1), Some(CloseCode::Network));
    assert!(!pair.ends[0].is_up() && !pair.ends[1].is_up());
    let why = Reason::Closed { close: Some(CloseCode::Network) };
    assert!(pair.told[1].iter().any(|o| matches!(o, LinkOut::Refused(r) if *r == why)));
    assert!(!pair.told.iter().flatten().any(|o| matches!(o, LinkOut::Down(_))), "it never was one");
}

#[test]
fn a_closed_fleet_admits_only_who_proves_the_secret() {
    let secret = |bytes| Some(NetworkSecret::new([bytes; 32]));
    let mut members = Pair::with(|_, c| c.secret = secret(1));
    members.connect(1, 0, Path::Direct);
    members.run();
    assert!(members.ends[0].is_up() && members.ends[1].is_up());
    for outsider in 0..2 {
        for theirs in [None, secret(2)] {
            let mut pair =
                Pair::with(|end, c| c.secret = if end == outsider { theirs.clone() } else { secret(1) });
            pair.connect(1, outsider, Path::Direct);
            pair.run();
            assert!(!pair.ends[1 - outsider].is_up(), "the member admits nobody");
            if theirs.is_none() && outsider == 0 {
                assert_eq!(pair.closed_with(1), Some(CloseCode::Network));
                assert!(pair.stopped(1, DropReason::NoProof));
            } else if theirs.is_none() {
                // The member opened and kept back even which network it is.
                assert_eq!(pair.closed_with(outsider), Some(CloseCode::Network));
            } else {
                // Whoever did not open proves itself first.
                assert_eq!(pair.closed_with(0), Some(CloseCode::Network));
                assert!(pair.stopped(0, DropReason::NoProof));
            }
        }
    }
}

/// The frames that are under way to an end.
fn frames_to(pair: &Pair, end: usize) -> Vec<Frame> {
    let mut found = Vec::new();
    for (_, _, bytes) in pair.wire.iter().filter(|(_, to, _)| *to == end) {
        let mut reader = FrameReader::new();
        reader.push(bytes);
        while let Ok(Some(raw)) = reader.next() {
            found.push(Frame::decode(&raw).unwrap());
        }
    }
    found
}

#[test]
fn a_closed_fleet_says_nothing_but_a_nonce_and_a_proof_before_the_other_ends_proof() {
    let mut pair = Pair::with(|_, c| c.secret = Some(NetworkSecret::new([1; 32])));
    pair.connect(1, 0, Path::Direct);
    let mut proved = [false; 2];
    while !pair.wire.is_empty() {
        for end in [0, 1] {
            for frame in frames_to(&pair, end) {
                match frame {
                    Frame::Nonce { .. } | Frame::Proof { .. } => {}
                    other => assert!(proved[end], "end {end} is told {other:?}"),
                }
            }
        }
        let proof = |end: &usize| frames_to(&pair, *end).iter().any(|f| matches!(f, Frame::Proof { .. }));
        let to: Vec<usize> = [0, 1].into_iter().filter(proof).collect();
        // Who is given a proof has asked for it; it counts as given when it arrives.
        for end in to {
            proved[1 - end] = true;
        }
        pair.step();
    }
    for (end, name) in [(0, "node-2"), (1, "node-1")] {
        assert!(pair.ends[end].is_up());
        let greeting = pair.ends[end].greeting().unwrap();
        assert_eq!(greeting.name.as_deref(), Some(name), "told once both have proved it");
        assert_eq!(greeting.observed, addr(9000));
    }
    // Who proves nothing is told nothing, whoever opens.
    for stranger in 0..2 {
        let mut pair = Pair::with(|end, c| {
            c.secret = (end != stranger).then(|| NetworkSecret::new([1; 32]));
        });
        pair.connect(1, stranger, Path::Direct);
        while !pair.wire.is_empty() {
            let told = frames_to(&pair, stranger);
            let little = |f: &Frame| matches!(f, Frame::Nonce { .. } | Frame::Proof { .. });
            assert!(told.iter().all(little), "{told:?}");
            pair.step();
        }
        assert!(pair.ends.iter().all(|end| !end.is_up()));
    }
}

/// One end of a closed fleet to which a test says what it likes.
fn closed_end() -> (Pair, impl Fn(&mut Pair, Frame)) {
    let mut pair = Pair::with(|_, c| c.secret = Some(NetworkSecret::new([1; 32])));
    pair.open.push(ConnId(1));
    let mut out = Vec::new();
    pair.ends[1].on_conn(info(1, false, Path::Direct), pair.now, &mut out);
    let ours = hello(&pair.ends[1].config, pair.now);
    pair.ends[1].on_control(ConnId(1), pair.now, &|| ours.clone(), &mut out);
    let say = move |pair: &mut Pair, frame: Frame| {
        let mut out = Vec::new();
        pair.ends[1].on_frame(ConnId(1), frame, 100, pair.now, &|| ours.clone(), &mut out);
        pair.carry_out(1, out);
    };
    (pair, say)
}

#[test]
fn a_wrong_a_replayed_and_a_missing_proof_close_the_connection_with_one_code() {
    let theirs = |pair: &Pair| Frame::Hello(Box::new(hello(&pair.ends[0].config, pair.now)));
    for case in 0..4 {
        let (mut pair, say) = closed_end();
        match case {
            0 => say(&mut pair, Frame::Proof { proof: [0; 32] }),
            1 => {
                say(&mut pair, Frame::Nonce { nonce: [5; 32] });
                say(&mut pair, Frame::Proof { proof: [0; 32] });
            }
            2 => {
                // It sends our own proof back.
                say(&mut pair, Frame::Nonce { nonce: [5; 32] });
                let proof = frames_to(&pair, 0).pop().unwrap();
                say(&mut pair, proof);
            }
            _ => {
                let hello = theirs(&pair);
                say(&mut pair, hello);
            }
        }
        assert_eq!(pair.closed_with(1), Some(CloseCode::Network), "case {case}");
        assert!(pair.stopped(1, DropReason::NoProof));
    }
}

#[test]
fn a_member_by_the_rules_of_before_is_told_that_it_is_too_old() {
    let (mut pair, say) = closed_end();
    let mut old = hello(&pair.ends[0].config, pair.now);
    (old.network, old.proof) = (String::new(), Some([7; 32]));
    say(&mut pair, Frame::Hello(Box::new(old)));
    assert_eq!(pair.closed_with(1), Some(CloseCode::Version));
}

#[test]
fn a_stranger_has_one_proof_of_a_connection_and_no_more() {
    let (mut pair, say) = closed_end();
    for _ in 0..100 {
        say(&mut pair, Frame::Nonce { nonce: [5; 32] });
    }
    assert_eq!(frames_to(&pair, 0).len(), 2, "a nonce and a proof");
    assert!(pair.stopped(1, DropReason::SecondNonce));
}

#[test]
fn a_hello_that_names_another_connection_is_refused() {
    let mut pair = Pair::new();
    pair.open.push(ConnId(1));
    let mut out = Vec::new();
    pair.ends[1].on_conn(info(1, false, Path::Direct), pair.now, &mut out);
    let ours = hello(&pair.ends[1].config, pair.now);
    pair.ends[1].on_control(ConnId(1), pair.now, &|| ours.clone(), &mut out);
    let mut theirs = hello(&pair.ends[0].config, pair.now);
    theirs.channel = [99; 16];
    pair.ends[1].on_frame(
        ConnId(1),
        Frame::Hello(Box::new(theirs)),
        100,
        pair.now,
        &|| ours.clone(),
        &mut out,
    );
    pair.carry_out(1, out);
    assert_eq!(pair.closed_with(1), Some(CloseCode::Malformed));
}

/// An end that hears a Hello of versions that it does not speak.
fn hears_other_version(end: usize, change: impl Fn(&mut Hello)) -> Pair {
    let mut pair = Pair::new();
    pair.open.push(ConnId(1));
    let mut out = Vec::new();
    pair.ends[end].on_conn(info(1, end == 0, Path::Direct), pair.now, &mut out);
    let ours = hello(&pair.ends[end].config, pair.now);
    pair.ends[end].on_control(ConnId(1), pair.now, &|| ours.clone(), &mut out);
    pair.carry_out(end, out);
    pair.wire.clear();
    let mut theirs = hello(&pair.ends[1 - end].config, pair.now);
    (theirs.channel, theirs.agent) = ([1; 16], "9.9.9".into());
    change(&mut theirs);
    let mut out = Vec::new();
    let frame = Frame::Hello(Box::new(theirs));
    pair.ends[end].on_frame(ConnId(1), frame, 100, pair.now, &|| ours.clone(), &mut out);
    pair.carry_out(end, out);
    pair
}

#[test]
fn no_version_in_common_is_closed_with_its_code_and_told_with_both_programs() {
    let newer = |h: &mut Hello| (h.low, h.high) = (PROTOCOL_HIGH + 1, PROTOCOL_HIGH + 1);
    let older = |h: &mut Hello| (h.low, h.high) = (0, PROTOCOL_LOW - 1);
    let why = |pair: &Pair, end: usize| {
        pair.told[end]
            .iter()
            .find_map(|o| if let LinkOut::Refused(r) = o { Some(r.to_string()) } else { None })
    };
    // The opener has said its own already, and closes.
    let mut pair = hears_other_version(0, newer);
    assert_eq!(pair.closed_with(0), Some(CloseCode::Version));
    pair.run();
    let told = "no protocol version in common: it runs 9.9.9, we run punchdeck test; upgrade this end";
    assert_eq!(why(&pair, 0).as_deref(), Some(told));

    // The other end says its own first, and closes only if the opener does not.
    let mut pair = hears_other_version(1, older);
    assert!(matches!(&frames_to(&pair, 0)[..], [Frame::Hello(_)]));
    assert_eq!(pair.closed_with(1), None);
    pair.wire.clear();
    pair.wait(5_000);
    assert_eq!(pair.closed_with(1), Some(CloseCode::Version));
    let told = "no protocol version in common: it runs 9.9.9, we run punchdeck test; upgrade its end";
    assert_eq!(why(&pair, 1).as_deref(), Some(told));
    assert!(pair.stopped(1, DropReason::NoCommonVersion));
}

#[test]
fn a_killed_peer_is_suspected_and_then_dead_by_our_own_heartbeats() {
    let mut pair = Pair::new();
    pair.connect(1, 0, Path::Direct);
    pair.run();
    pair.wait(10_000);
    pair.mute = true;
    pair.ends[1] = Link::new(SMALL, Arc::new(config(LARGE)), pair.now.mono);
    let suspect = |pair: &Pair| pair.told[0].iter().any(|o| matches!(o, LinkOut::Suspect(1)));
    let took = (0..3_000).find(|_| {
        pair.wait(1);
        suspect(&pair)
    });
    assert!(took.is_some_and(|ms| ms < 2_000), "{took:?}");
    assert!(pair.ends[0].is_up());
    pair.wait(1_000);
    assert!(!pair.ends[0].is_up());
    assert!(
        pair.told[0]
            .iter()
            .any(|o| matches!(o, LinkOut::Down(Reason::HeartbeatsMissed { missed: DEAD_AFTER })))
    );
}

#[test]
fn messages_before_the_hello_are_counted_and_ignored() {
    let mut pair = Pair::new();
    pair.open.push(ConnId(1));
    let mut out = Vec::new();
    pair.ends[1].on_conn(info(1, false, Path::Direct), pair.now, &mut out);
    let ours = hello(&pair.ends[1].config, pair.now);
    pair.ends[1].on_control(ConnId(1), pair.now, &|| ours.clone(), &mut out);
    let leave = Frame::Message { session: 0, seq: 0, message: Message::Leave };
    pair.ends[1].on_frame(ConnId(1), leave, 10, pair.now, &|| ours.clone(), &mut out);
    pair.carry_out(1, out);
    assert!(pair.stopped(1, DropReason::FrameBeforeHello));
    assert!(!pair.told[1].iter().any(|o| matches!(o, LinkOut::Message(_))));
}

proptest! {
    /// Connections of every path come, break and compete in any order: in the
    /// end both ends use the same one, and every message arrived once, in order.
    #[test]
    fn both_ends_agree_on_one_winner_and_no_message_is_lost(
        steps in prop::collection::vec((0u8..6, 0u8..3, any::<bool>()), 1..60)
    ) {
        let mut pair = Pair::new();
        pair.connect(1, 0, Path::Direct);
        pair.run();
        let (mut next, mut sent) = (2, [0u64; 2]);
        for (step, path, side) in steps {
            let end = usize::from(side);
            let path = [Path::Direct, Path::Punched, Path::Relayed][usize::from(path)];
            match step {
                0 => {
                    pair.connect(next, end, path);
                    next += 1;
                }
                1 if !pair.open.is_empty() => {
                    let id = pair.open[usize::from(side) % pair.open.len()].0;
                    pair.breaks(id);
                }
                2 | 3 => {
                    sent[end] += 1;
                    let id = sent[end];
                    pair.send(end, id);
                }
                4 => pair.step(),
                _ => pair.wait(40),
            }
        }
        pair.connect(next, 0, Path::Direct);
        pair.run();
        pair.wait(6_000);
        pair.run();
        let ids = pair.ends.each_ref().map(|e| e.status().map(|s| s.info.id));
        prop_assert_eq!(ids[0], ids[1]);
        prop_assert!(pair.ends[0].is_up());
        for (end, count) in sent.into_iter().enumerate() {
            prop_assert_eq!(pair.got(1 - end), (1..=count).collect::<Vec<_>>());
        }
    }
}

#[test]
fn of_connections_that_came_at_once_one_is_left() {
    let mut pair = Pair::new();
    for (id, dialler) in [(1, 0), (2, 1), (3, 0)] {
        pair.connect(id, dialler, Path::Direct);
    }
    pair.run();
    assert_eq!(pair.open.len(), 1, "{:?}", pair.open);
    assert!(pair.ends.iter().all(|end| end.is_up() && end.conns().count() == 1));
}

#[test]
fn of_too_many_connections_of_one_peer_the_oldest_goes_that_is_of_no_use() {
    let mut pair = Pair::new();
    pair.connect(1, 0, Path::Direct);
    pair.run();
    // They come in, one after the other, and nobody opens a stream on them.
    let mut out = Vec::new();
    for id in 2..=20 {
        pair.ends[1].on_conn(info(id, false, Path::Relayed), pair.now, &mut out);
        let stand = pair.ends[1].conns.iter().filter(|c| c.refused.is_none());
        assert!(stand.count() <= CONNECTIONS_PER_PEER_MAX);
    }
    let closed: Vec<u64> = out
        .iter()
        .filter_map(|o| if let LinkOut::Close(id, CloseCode::Limit) = o { Some(id.0) } else { None })
        .collect();
    assert_eq!(closed, (2..=17).collect::<Vec<_>>(), "the oldest first, and never the one in use");
    assert_eq!(
        out.iter().filter(|o| matches!(o, LinkOut::Stopped(DropReason::ConnectionsOfPeer))).count(),
        16
    );
    assert!(pair.ends[1].is_up());
}

/// The opener is up as soon as it has the peer's word; its own is still under way on
/// the first connection when a second one, which is quicker, comes up.
#[test]
fn a_quicker_connection_overtakes_no_session_that_only_one_end_has() {
    for second in [Path::Direct, Path::Relayed] {
        let mut pair = Pair::new();
        pair.connect(1, 1, Path::Relayed);
        while !pair.ends[0].is_up() {
            pair.step();
        }
        assert!(!pair.ends[1].is_up(), "the opener's word is under way");
        pair.connect(2, 1, second);
        for _ in 0..8 {
            // What goes over the second connection arrives first.
            pair.wire.sort_by_key(|(id, ..)| *id != ConnId(2));
            if pair.wire.first().is_some_and(|(id, ..)| *id == ConnId(2)) {
                pair.step();
            }
        }
        pair.run();
        pair.wait(3_000);
        for end in 0..2 {
            let ups = pair.told[end].iter().filter(|o| matches!(o, LinkOut::Up { .. })).count();
            assert_eq!(ups, 1, "end {end}, {second}: one session");
            assert!(!pair.told[end].iter().any(|o| matches!(o, LinkOut::Down(_))), "end {end}, {second}");
        }
        let used = [0, 1].map(|end| pair.ends[end].status().unwrap().info.id);
        assert_eq!(used[0], used[1], "both ends use the same connection, {second}");
        if second == Path::Direct {
            assert_eq!(used[0], ConnId(2), "the better path is taken once both have the session");
        }
    }
}
