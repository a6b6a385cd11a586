use std::sync::Arc;

use super::*;
use crate::model::{
    AttemptsView, CacheView, NatView, NodeInfo, PeerRow, Phase, RelayMode, RelaysView, ReservationRow,
    SaveState, ServedRow, Source,
};

const NOW: Stamp = Stamp(1_800_000_000_000);
const A: PeerId = PeerId([1; 32]);
const B: PeerId = PeerId([2; 32]);
const RELAY: PeerId = PeerId([3; 32]);

fn row(peer_id: PeerId, path: Path, outbound: bool) -> LinkRow {
    LinkRow {
        peer_id,
        path,
        remote_addr: ([198, 18, 0, 1], 9000).into(),
        via: (path == Path::Relayed).then_some(RELAY),
        standby: None,
        rtt_ms: Some(1.0),
        since: NOW,
        outbound,
        bytes_tx: 0,
        bytes_rx: 0,
        missed: 0,
        observed: None,
        clock_skew_ms: None,
        foreign: false,
    }
}

/// One end that knows the other, linked or not.
fn end(me: PeerId, peer_id: PeerId, link: Option<LinkRow>) -> Snapshot {
    let peer = PeerRow {
        peer_id,
        name: None,
        linked_as: false,
        also: None,
        first_hand: true,
        addresses: Vec::new(),
        nat_type: NatType::None,
        state: if link.is_some() { PeerState::Linked } else { PeerState::Known },
        path: link.as_ref().map(|l| l.path),
        rtt_ms: None,
        attempts: 0,
        successes: 0,
        last_seen: Some(NOW),
        tried: true,
        source: Source::Inbound,
        version: 1,
        last_failure: None,
        next_attempt: None,
        tested: None,
        attempt: None,
    };
    Snapshot {
        seq: 1,
        at: NOW,
        node: Arc::new(NodeInfo {
            peer_id: me,
            name: String::new(),
            version: String::new(),
            network: String::new(),
            local_addr: ([198, 18, 0, 9], 9000).into(),
            observed_addrs: Vec::new(),
            started: NOW,
            phase: Phase::Joined,
            cache: CacheView { known: 1, tried: 1, save: SaveState::Empty, set_aside: None },
            probe_ports: Vec::new(),
            no_probe_ports: None,
            no_ipv6: false,
            used_twice: Vec::new(),
            bootstrap: Vec::new(),
        }),
        peers: Arc::new(vec![Arc::new(peer)]),
        links: Arc::new(link.into_iter().collect()),
        attempts: Arc::new(AttemptsView::default()),
        relays: Arc::default(),
        gossip: Arc::default(),
        nat: Arc::new(NatView { nat_type: NatType::None, ..NatView::default() }),
        kpi: Arc::default(),
        reporting: Arc::default(),
        counters: Arc::default(),
        totals: Arc::default(),
        log: Arc::default(),
        tests: Arc::default(),
    }
}

fn linked(path: [Path; 2], outbound: [bool; 2]) -> [Snapshot; 2] {
    [end(A, B, Some(row(B, path[0], outbound[0]))), end(B, A, Some(row(A, path[1], outbound[1])))]
}

fn compare(ends: &[Snapshot; 2], truth: &Truth) -> Vec<Difference> {
    differences([&ends[0], &ends[1]], truth)
}

fn straight() -> Truth {
    Truth { ways: Some(vec![Way { via: None, dialled_by: 0 }]), ..Truth::default() }
}

#[test]
fn two_ends_that_agree_with_the_network_differ_in_nothing() {
    let ends = linked([Path::Direct; 2], [true, false]);
    assert_eq!(compare(&ends, &straight()), []);
    assert_eq!(contradictions(&ends[0]), []);
    let apart = [end(A, B, None), end(B, A, None)];
    assert_eq!(compare(&apart, &Truth { ways: Some(Vec::new()), ..Truth::default() }), []);
}

#[test]
fn a_link_that_one_end_shows_alone_is_named_with_both_ends() {
    let [a, _] = linked([Path::Direct; 2], [true, false]);
    let found = compare(&[a, end(B, A, None)], &straight());
    assert_eq!(found, [Difference::OneSided { by: A, to: B }]);
    assert_eq!(found[0].to_string(), "010101 shows a link to 020202, which shows none");
}

#[test]
fn ends_that_give_one_link_two_paths_relays_or_diallers_are_found_out() {
    let paths = compare(&linked([Path::Direct, Path::Punched], [true, false]), &straight());
    assert_eq!(paths, [Difference::Paths { ends: [A, B], said: [Path::Direct, Path::Punched] }]);
    let both = compare(&linked([Path::Direct; 2], [true, true]), &Truth { ways: None, ..straight() });
    assert_eq!(both, [Difference::Diallers { ends: [A, B], said: [true, true] }]);
    let mut ends = linked([Path::Relayed; 2], [true, false]);
    Arc::make_mut(&mut ends[1].links)[0].via = Some(B);
    let found = compare(&ends, &Truth { ways: None, ..Truth::default() });
    assert_eq!(found, [Difference::Relays { ends: [A, B], said: [Some(RELAY), Some(B)] }]);
}

#[test]
fn a_relayed_link_that_is_shown_as_direct_has_no_such_connection() {
    let truth = Truth { ways: Some(vec![Way { via: Some(RELAY), dialled_by: 0 }]), ..Truth::default() };
    let found = compare(&linked([Path::Direct; 2], [true, false]), &truth);
    assert!(
        matches!(found[..], [Difference::NoWay { by: A, .. }, Difference::NoWay { by: B, .. }]),
        "{found:?}"
    );
    assert_eq!(compare(&linked([Path::Relayed; 2], [true, false]), &truth), []);
}

#[test]
fn a_dead_peer_is_neither_linked_after_the_noticing_nor_seen_after_its_death() {
    let died = NOW.before(NOTICED_WITHIN);
    let truth = Truth { apart: Some(died), down: [false, true], ..Truth::default() };
    let mut ends = linked([Path::Direct; 2], [true, false]);
    let found = compare(&ends, &truth);
    let late = Difference::SeenTooLate { by: A, of: B, by_ms: 20_000 };
    assert_eq!(found, [Difference::LinkOfTheDead { by: A, to: B }, late]);
    let soon = Truth { apart: Some(NOW.before(Duration::from_millis(500))), ..truth };
    assert_eq!(compare(&ends, &soon), [], "not noticed yet");
    ends[0] = end(A, B, None);
    Arc::make_mut(&mut Arc::make_mut(&mut ends[0].peers)[0]).last_seen = Some(died);
    assert_eq!(compare(&ends, &Truth { apart: Some(died), ..soon }), []);
}

#[test]
fn a_nat_that_is_said_and_is_not_is_told_of_both_ends() {
    let ends = linked([Path::Direct; 2], [true, false]);
    let truth = Truth { nats: [Some(NatType::Symmetric), None], ..straight() };
    let nat = |by| Difference::Nat { by, of: A, said: NatType::None, is: NatType::Symmetric };
    assert_eq!(compare(&ends, &truth), [nat(A), nat(B)]);
}

#[test]
fn a_reservation_that_one_end_knows_alone_is_a_difference() {
    let mut ends = linked([Path::Direct; 2], [true, false]);
    let held = ReservationRow {
        relay: B,
        public_addr: None,
        role: RelayRole::Active,
        state: ReservationState::Ready,
        rtt_ms: None,
        expires: None,
        bytes_tx: 0,
        bytes_rx: 0,
    };
    ends[0].relays = Arc::new(RelaysView { reservations: vec![held.clone()], ..RelaysView::default() });
    assert_eq!(compare(&ends, &straight()), [Difference::Reservation { by: A, to: B }]);
    let served = ServedRow {
        peer_id: A,
        public_addr: ([198, 18, 0, 2], 40_000).into(),
        since: NOW,
        bytes_tx: 0,
        bytes_rx: 0,
        tx_per_s: None,
        rx_per_s: None,
        dropped: 0,
    };
    let served = RelaysView { served: vec![served], mode: RelayMode::Network, ..RelaysView::default() };
    ends[1].relays = Arc::new(served);
    assert_eq!(compare(&ends, &straight()), []);
    let two = vec![held.clone(), held];
    ends[0].relays = Arc::new(RelaysView { reservations: two, ..RelaysView::default() });
    assert!(contradictions(&ends[0])[0].to_string().contains("2 reservations are the active one"));
}

#[test]
fn one_screen_that_contradicts_itself_is_told_by_what_it_says() {
    let mut end = end(A, B, None);
    Arc::make_mut(&mut Arc::make_mut(&mut end.peers)[0]).path = Some(Path::Punched);
    let said: Vec<String> = contradictions(&end).iter().map(ToString::to_string).collect();
    assert_eq!(said, ["010101: 020202 is punched among the peers and not linked among the links"]);
}
