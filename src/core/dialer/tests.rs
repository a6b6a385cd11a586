use super::*;
use crate::core::book::NetPrefix;

/// A node in which the test says what stands.
#[derive(Default)]
struct World {
    known: Vec<Prospect>,
    busy: BTreeSet<PeerId>,
    links: usize,
    outbound: usize,
    attempts: usize,
    gossip_attempts: usize,
    prefixes: BTreeSet<NetPrefix>,
    /// What keeps us from everybody.
    no_way: Option<SendTrouble>,
}

impl View for World {
    fn best(&self, count: usize) -> Vec<Prospect> {
        self.known.iter().take(count).cloned().collect()
    }
    fn prospect(&self, peer: &PeerId) -> Option<Prospect> {
        self.known.iter().find(|p| p.peer == *peer).cloned()
    }
    fn is_busy(&self, peer: &PeerId) -> bool {
        self.busy.contains(peer)
    }
    fn is_at(&self, peer: &PeerId, addr: &SocketAddr) -> bool {
        self.prospect(peer).is_some_and(|p| p.addresses.contains(addr))
    }
    fn is_busy_addr(&self, _: &SocketAddr) -> bool {
        false
    }
    fn way(&self, addrs: &[SocketAddr]) -> Result<(), SendTrouble> {
        self.no_way.filter(|_| !addrs.is_empty()).map_or(Ok(()), Err)
    }
    fn is_open(&self) -> bool {
        self.no_way.is_none()
    }
    fn links(&self) -> usize {
        self.links
    }
    fn outbound(&self) -> usize {
        self.outbound
    }
    fn outbound_prefixes(&self) -> BTreeSet<NetPrefix> {
        self.prefixes.clone()
    }
    fn untried(&self) -> Vec<PeerId> {
        self.known.iter().filter(|p| !p.tried).map(|p| p.peer).collect()
    }
    fn attempts(&self) -> usize {
        self.attempts
    }
    fn gossip_attempts(&self) -> usize {
        self.gossip_attempts
    }
}

fn peer(id: u8) -> PeerId {
    PeerId([id; 32])
}

fn addr(host: u8) -> SocketAddr {
    ([198, 18, 0, host], 9000).into()
}

/// One that was told of by somebody whom nobody else was told of by.
fn at_addresses(id: u8, addresses: Vec<SocketAddr>, tried: bool) -> Prospect {
    let reached = addresses.first().copied().filter(|_| tried);
    Prospect { peer: peer(id), addresses, tried, reached, word: 1, teller: Some(peer(id)) }
}

fn prospect(id: u8, tried: bool) -> Prospect {
    at_addresses(id, vec![addr(id)], tried)
}

fn at(ms: u64) -> Now {
    Now::START.plus(Duration::from_millis(ms))
}

fn dialer(bootstrap: &[SocketAddr]) -> Dialer {
    Dialer::new(bootstrap.iter().copied(), false, 7, at(0).mono)
}

fn joined(known: Vec<Prospect>) -> (Dialer, World) {
    let mut dialer = dialer(&[]);
    let mut world = World { known, ..World::default() };
    dialer.first_round(&World::default(), at(0));
    dialer.joined(&peer(99), at(0).mono);
    world.links = 1;
    (dialer, world)
}

fn whom(starts: &[Start]) -> Vec<u8> {
    starts.iter().filter_map(|s| s.target.peer).map(|p| p.0[0]).collect()
}

#[test]
fn cached_peers_are_tried_first_and_the_bootstrap_list_only_when_they_fail() {
    let mut dialer = dialer(&[addr(200)]);
    let world = World { known: vec![prospect(1, true), prospect(2, true)], ..World::default() };
    let first = dialer.first_round(&world, at(0));
    assert_eq!(whom(&first), [1, 2]);
    assert!(first.iter().all(|s| s.cause == Cause::Cache));
    let (second, _) = dialer.due_now(&world, at(2000));
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].cause, Cause::Bootstrap);
    assert_eq!(second[0].target.addresses, [addr(200)]);
}

#[test]
fn an_empty_cache_goes_to_the_bootstrap_list_at_once() {
    let starts = dialer(&[addr(200)]).first_round(&World::default(), at(0));
    assert_eq!(starts[0].cause, Cause::Bootstrap);
}

#[test]
fn with_nobody_to_dial_the_node_says_so() {
    let mut dialer = dialer(&[]);
    assert!(dialer.first_round(&World::default(), at(0)).is_empty());
    assert_eq!(dialer.phase(at(0)), Phase::NothingToDial);
    assert_eq!(dialer.next_timeout(&World::default(), at(0).mono), None);
}

#[test]
fn an_isolated_node_retries_cache_and_bootstrap_for_ever_with_growing_waits() {
    let mut dialer = dialer(&[addr(200)]);
    let world = World { known: vec![prospect(1, true)], ..World::default() };
    dialer.first_round(&world, at(0));
    let mut now = at(2000);
    let mut waits = Vec::new();
    let mut rounds = 0;
    while rounds < 30 {
        let (starts, wait) = dialer.due_now(&world, now);
        if let Some(wait) = wait {
            waits.push(wait);
            assert!(matches!(dialer.phase(now), Phase::Isolated { .. }));
            now = now.plus(wait);
        } else {
            if rounds > 0 {
                assert_eq!(starts.iter().filter(|s| s.cause == Cause::Cache).count(), 1);
                assert_eq!(starts.iter().filter(|s| s.cause == Cause::Bootstrap).count(), 1);
            }
            rounds += 1;
            // Every attempt of the round fails after its window.
            now = now.plus(Duration::from_secs(2));
        }
    }
    assert!(waits[0] < Duration::from_secs(2) && waits.len() == 29);
    for pair in waits.windows(2).take(6) {
        assert!(pair[1] > pair[0], "{waits:?}");
    }
    let last = waits[28].as_secs_f64();
    assert!((240.0..=360.0).contains(&last), "five minutes, a fifth more or less: {last}");
}

#[test]
fn the_first_link_ends_isolation_and_the_backoff_starts_over() {
    let mut dialer = dialer(&[addr(200)]);
    dialer.first_round(&World::default(), at(0));
    let mut now = at(2000);
    for _ in 0..5 {
        let wait = dialer.due_now(&World::default(), now).1.unwrap();
        now = now.plus(wait);
        dialer.due_now(&World::default(), now);
    }
    assert!(dialer.joined(&peer(1), now.mono).is_some());
    assert_eq!(dialer.phase(now), Phase::Joined);
    dialer.link_lost(peer(1), 0, false, now.mono);
    let wait = dialer.due_now(&World::default(), now).1.unwrap();
    assert!(wait < Duration::from_secs(2), "{wait:?}");
}

#[test]
fn a_lost_link_is_dialled_again_at_once_unless_the_peer_said_it_leaves() {
    let (mut dialer, world) = joined(vec![prospect(1, true), prospect(2, true)]);
    dialer.link_lost(peer(1), 1, false, at(10).mono);
    dialer.link_lost(peer(2), 1, true, at(10).mono);
    let (starts, _) = dialer.due_now(&world, at(10));
    assert_eq!(whom(&starts), [1]);
    assert_eq!(starts[0].cause, Cause::Reconnect);
    assert!(dialer.due(&peer(2)).unwrap() >= at(4010).mono);
}

#[test]
fn an_operators_disconnect_holds_automatic_dials_off_for_a_minute() {
    let (mut dialer, world) = joined(vec![prospect(1, true)]);
    dialer.hold_off(peer(1), true, at(0).mono);
    dialer.link_lost(peer(1), 1, false, at(0).mono);
    assert!(dialer.due_now(&world, at(59_999)).0.is_empty());
    assert_eq!(whom(&dialer.due_now(&world, at(60_001)).0), [1]);
    dialer.hold_off(peer(1), true, at(61_000).mono);
    dialer.lift_hold_off(&peer(1));
    assert!(!dialer.is_held_off(&peer(1), at(61_000).mono));
}

#[test]
fn a_peer_that_was_disconnected_is_refused_only_by_the_end_that_did_it() {
    let (mut dialer, _) = joined(vec![]);
    dialer.hold_off(peer(1), true, at(0).mono);
    dialer.hold_off(peer(2), false, at(0).mono);
    assert!(dialer.is_refused(&peer(1), at(1).mono) && !dialer.is_refused(&peer(2), at(1).mono));
    assert!(dialer.is_held_off(&peer(1), at(1).mono) && dialer.is_held_off(&peer(2), at(1).mono));
}

#[test]
fn eight_outbound_links_are_enough() {
    let (mut dialer, mut world) = joined((1..=20).map(|id| prospect(id, true)).collect());
    for id in 1..=20 {
        dialer.on_learned(peer(id), Cause::Cache, at(0).mono);
    }
    assert_eq!(dialer.due_now(&world, at(0)).0.len(), OUTBOUND_WANTED);
    world.outbound = OUTBOUND_WANTED;
    assert!(dialer.due_now(&world, at(0)).0.is_empty());
    assert_eq!(dialer.next_timeout(&world, at(0).mono), Some(at(120_000).mono), "only the feeler is left");
}

#[test]
fn links_are_spread_over_networks_where_there_is_a_choice() {
    let host = |id: u8, net: u8| at_addresses(id, vec![([20, net, 0, id], 9000).into()], true);
    let mut known: Vec<Prospect> = (1..=20).map(|id| host(id, 1)).collect();
    known.extend((21..=24).map(|id| host(id, id)));
    let (mut dialer, mut world) = joined(known);
    for id in 1..=24 {
        dialer.on_learned(peer(id), Cause::Cache, at(0).mono);
    }
    let chosen = whom(&dialer.due_now(&world, at(0)).0);
    assert!((21..=24).all(|id| chosen.contains(&id)), "{chosen:?}");
    assert_eq!(chosen.len(), OUTBOUND_WANTED, "a preference, never a reason to stay alone");
    world.prefixes.extend(NetPrefix::of(([20, 21, 0, 9], 9000).into()));
    world.outbound = OUTBOUND_WANTED - 1;
    let one = whom(&dialer.due_now(&world, at(0)).0);
    assert_ne!(one, [21], "that network is reached already");
}

#[test]
fn anchors_are_dialled_before_everybody_else_after_a_restart() {
    let world = World { known: (1..=30).map(|id| prospect(id, true)).collect(), ..World::default() };
    let mut dialer = dialer(&[]).with_anchors(vec![peer(29), peer(30)]);
    let first = whom(&dialer.first_round(&world, at(0)));
    assert_eq!(first[..2], [29, 30]);
    assert_eq!(first.len(), ROUND_PEERS);
}

#[test]
fn every_two_minutes_an_untried_peer_is_tried_though_there_are_links_enough() {
    let (mut dialer, mut world) = joined((1..=9).map(|id| prospect(id, id < 9)).collect());
    world.outbound = OUTBOUND_WANTED;
    assert!(dialer.due_now(&world, at(119_999)).0.is_empty());
    let starts = dialer.due_now(&world, at(120_000)).0;
    assert_eq!((whom(&starts), starts[0].cause), (vec![9], Cause::Feeler));
    assert!(dialer.due_now(&world, at(121_000)).0.is_empty());
}

#[test]
fn gossip_makes_us_dial_slowly_and_no_host_twice_in_ten_seconds() {
    let mut known: Vec<Prospect> = (1..=100).map(|id| prospect(id, false)).collect();
    known.push(at_addresses(101, vec![addr(1), addr(1)], false));
    let (mut dialer, world) = joined(known);
    for id in 1..=101 {
        dialer.on_learned(peer(id), Cause::Gossip, at(0).mono);
    }
    let mut dialled = BTreeMap::<SocketAddr, Vec<u64>>::new();
    for ms in (0..30_000).step_by(100) {
        for start in dialer.due_now(&world, at(ms)).0 {
            dialer.on_attempt_ended(start.target.peer.unwrap(), AttemptOutcome::Unreachable, at(ms).mono);
            for addr in start.target.addresses {
                dialled.entry(addr).or_default().push(ms);
            }
        }
    }
    let all: Vec<u64> = dialled.values().flatten().copied().collect();
    let in_first = |ms: u64| all.iter().filter(|t| **t < ms).count();
    assert!(in_first(10_000) <= GOSSIP_DIALS_AT_ONCE + 20, "{}", in_first(10_000));
    assert!(in_first(30_000) > 40, "and yet it goes on");
    for times in dialled.values() {
        assert!(times.windows(2).all(|w| w[1] - w[0] >= 10_000), "{times:?}");
    }
}

#[test]
fn gossip_waits_a_random_while_and_no_more_than_eight_dials_run_at_once() {
    let (mut dialer, mut world) = joined((1..=50).map(|id| prospect(id, false)).collect());
    let mut first = BTreeSet::new();
    for id in 1..=50 {
        dialer.on_learned(peer(id), Cause::Gossip, at(0).mono);
        let due = dialer.due(&peer(id)).unwrap().0;
        assert!(due <= GOSSIP_DIAL_JITTER);
        first.insert(due);
    }
    assert!(first.len() > 40, "spread");
    world.gossip_attempts = GOSSIP_DIALS_AT_ONCE;
    assert!(dialer.due_now(&world, at(5000)).0.is_empty());
}

#[test]
fn on_loopback_the_gossip_limits_do_not_slow_a_fleet_down() {
    let mut dialer = Dialer::new([], true, 7, at(0).mono);
    dialer.joined(&peer(99), at(0).mono);
    let host = |id: u8| at_addresses(id, vec![([127, 0, 0, 1], 2000 + u16::from(id)).into()], false);
    let world = World { known: (1..=8).map(host).collect(), links: 1, ..World::default() };
    for id in 1..=8 {
        dialer.on_learned(peer(id), Cause::Gossip, at(0).mono);
    }
    assert_eq!(dialer.due_now(&world, at(0)).0.len(), 8);
}

#[test]
fn a_peer_that_does_not_answer_is_retried_later_and_later() {
    let (mut dialer, _) = joined(vec![prospect(1, true)]);
    let mut now = at(0);
    let mut waits = Vec::new();
    for _ in 0..10 {
        dialer.on_attempt_ended(peer(1), AttemptOutcome::Unreachable, now.mono);
        let due = dialer.due(&peer(1)).unwrap();
        waits.push(due.since(now.mono).as_secs());
        now = now.plus(due.since(now.mono));
    }
    assert!(waits[0] <= 6 && waits[1] > waits[0] && waits[9] >= 240, "{waits:?}");
}

/// Runs a dialer for a while in which nobody answers; when it dialled which address.
fn in_vain(dialer: &mut Dialer, world: &World, from_s: u64, to_s: u64) -> Vec<(u64, SocketAddr)> {
    let mut dialled = Vec::new();
    for s in from_s..to_s {
        for start in dialer.due_now(world, at(s * 1000)).0 {
            dialled.extend(start.target.addresses.iter().map(|addr| (s, *addr)));
            let peer = start.target.peer.unwrap();
            dialer.on_attempt_ended(peer, AttemptOutcome::Unreachable, at(s * 1000).mono);
        }
    }
    dialled
}

#[test]
fn an_address_that_failed_three_times_is_not_dialled_again_on_the_same_word() {
    let claimed: SocketAddr = "9.9.9.9:9000".parse().unwrap();
    let known = Prospect { reached: Some(addr(1)), ..at_addresses(1, vec![addr(1), claimed], true) };
    let (mut dialer, mut world) = joined(vec![known]);
    dialer.on_learned(peer(1), Cause::Cache, at(0).mono);
    let dialled = in_vain(&mut dialer, &world, 0, 3 * 3600);
    let times = |addr| dialled.iter().filter(|(_, a)| *a == addr).count();
    assert_eq!(times(claimed), 3);
    assert!(times(addr(1)) > 20, "where it answered once it is looked for as ever");

    world.known[0].word = 2;
    let again = in_vain(&mut dialer, &world, 3 * 3600, 6 * 3600);
    assert_eq!(again.iter().filter(|(_, a)| *a == claimed).count(), 3, "it says so anew");
}

#[test]
fn what_leads_nowhere_waits_for_news() {
    let (mut dialer, mut world) = joined(vec![prospect(1, false)]);
    dialer.on_learned(peer(1), Cause::Gossip, at(0).mono);
    assert_eq!(in_vain(&mut dialer, &world, 0, 3600).len(), 3);
    let last = at(3_600_000);
    assert!(dialer.due(&peer(1)).unwrap() > last.mono + Duration::from_secs(3600));
    world.known[0].word = 2;
    dialer.on_news(&peer(1), last.mono);
    // Its host has to be left alone for as long as it failed before.
    assert!(!in_vain(&mut dialer, &world, 3600, 3800).is_empty());
}

#[test]
fn a_host_that_many_identities_name_is_left_alone_longer_and_longer() {
    let many = |id| Prospect { teller: Some(peer(id)), ..at_addresses(id, vec![addr(7)], false) };
    let (mut dialer, world) = joined((1..=60).map(many).collect());
    for id in 1..=60 {
        dialer.on_learned(peer(id), Cause::Gossip, at(0).mono);
    }
    let dialled = in_vain(&mut dialer, &world, 0, 3600);
    assert!(dialled.len() <= 12, "{} dials in an hour", dialled.len());
    // That somebody of them was met once changes nothing for what he claims.
    let met = |id| Prospect { reached: None, ..at_addresses(id, vec![addr(7)], true) };
    let (mut dialer, world) = joined((1..=60).map(met).collect());
    for id in 1..=60 {
        dialer.on_learned(peer(id), Cause::Cache, at(0).mono);
    }
    let dialled = in_vain(&mut dialer, &world, 0, 3600);
    assert!(dialled.len() <= 12, "{} dials in an hour", dialled.len());
}

#[test]
fn who_names_the_dead_is_listened_to_later_and_later() {
    let from_one = |n: u8| Prospect { teller: Some(peer(250)), ..prospect(n, false) };
    let (mut dialer, world) = joined((1..=200).map(from_one).collect());
    for id in 1..=200 {
        dialer.on_learned(peer(id), Cause::Gossip, at(0).mono);
    }
    let dialled = in_vain(&mut dialer, &world, 0, 3600);
    assert!((16..=60).contains(&dialled.len()), "{} dials in an hour", dialled.len());
}

#[test]
fn what_waits_to_be_dialled_is_bounded() {
    let (mut dialer, _) = joined(vec![]);
    for n in 0..5_000_u32 {
        let mut id = [9; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        dialer.on_learned(PeerId(id), Cause::Gossip, at(0).mono);
    }
    assert_eq!(dialer.schedule.len(), SCHEDULE_MAX);
}

#[test]
fn without_a_way_to_anybody_nothing_is_dialled_and_no_wait_grows() {
    let mut dialer = dialer(&[addr(1)]);
    let mut world =
        World { known: vec![prospect(2, true)], no_way: Some(SendTrouble::NoRoute), ..World::default() };
    assert!(dialer.first_round(&world, at(0)).is_empty());
    let phase = Phase::NoWay { why: SendTrouble::NoRoute, since: at(0).stamp };
    assert_eq!(dialer.phase(at(0)), phase);
    for s in 1..600 {
        let (starts, alone) = dialer.due_now(&world, at(s * 1000));
        assert!(starts.is_empty() && alone.is_none(), "at {s} s");
    }
    assert_eq!((dialer.phase(at(600_000)), dialer.next_timeout(&world, at(600_000).mono)), (phase, None));
    world.no_way = None;
    dialer.reset_waits(at(600_100).mono);
    let (starts, _) = dialer.due_now(&world, at(600_100));
    assert_eq!(starts.len(), 2, "the cache and the list, at once");
}

#[test]
fn a_link_that_comes_in_before_the_first_round_keeps_nobody_else_waiting() {
    let known = vec![prospect(1, true), prospect(2, true)];
    let mut world = World { known, no_way: Some(SendTrouble::NoRoute), ..World::default() };
    let mut dialer = dialer(&[]);
    assert!(dialer.first_round(&world, at(0)).is_empty());
    world.no_way = None;
    dialer.reset_waits(at(1000).mono);
    dialer.joined(&peer(1), at(1000).mono);
    world.busy.insert(peer(1));
    assert_eq!(whom(&dialer.due_now(&world, at(1001)).0), [2]);
}

#[test]
fn a_way_that_opens_ends_every_wait() {
    let (mut dialer, mut world) = joined(vec![prospect(1, true)]);
    dialer.on_learned(peer(1), Cause::Cache, at(0).mono);
    for _ in 0..5 {
        dialer.on_attempt_ended(peer(1), AttemptOutcome::Unreachable, at(1000).mono);
    }
    assert!(dialer.due(&peer(1)).unwrap() > at(30_000).mono);
    world.no_way = Some(SendTrouble::Forbidden);
    dialer.reset_waits(at(2000).mono);
    assert!(dialer.due_now(&world, at(2000)).0.is_empty(), "not yet");
    world.no_way = None;
    assert_eq!(whom(&dialer.due_now(&world, at(2001)).0), [1]);
}

#[test]
fn the_first_link_ends_every_wait_but_not_each_of_many() {
    let mut dialer = dialer(&[]);
    let down = |dialer: &mut Dialer, ms| {
        dialer.link_lost(peer(9), 0, false, at(ms).mono);
        dialer.on_attempt_ended(peer(1), AttemptOutcome::Unreachable, at(ms).mono);
    };
    down(&mut dialer, 0);
    dialer.joined(&peer(9), at(1000).mono);
    assert_eq!(dialer.due(&peer(1)), Some(at(1000).mono));
    down(&mut dialer, 2000);
    dialer.joined(&peer(9), at(3000).mono);
    assert!(dialer.due(&peer(1)).unwrap() > at(5000).mono, "too soon after the last time");
}

#[test]
fn who_yields_waits_longer_each_time_and_no_way_that_opens_ends_that() {
    let (mut dialer, world) = joined(vec![prospect(1, true)]);
    let mut now = 0;
    for (nth, nominal) in [1_u64, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].into_iter().enumerate() {
        dialer.yield_to(peer(1), at(now).mono);
        dialer.link_lost(peer(1), 1, false, at(now).mono);
        dialer.reset_waits(at(now).mono);
        let wait = dialer.due(&peer(1)).unwrap().since(at(now).mono).as_millis() as u64;
        assert!((nominal * 800..=nominal * 1200).contains(&wait), "{nth}: {wait} ms");
        assert!(dialer.due_now(&world, at(now + wait - 1)).0.is_empty());
        assert_eq!(whom(&dialer.due_now(&world, at(now + wait + 1)).0), [1]);
        assert!(dialer.has_yielded(&peer(1)));
        now += wait;
        dialer.joined(&peer(1), at(now).mono);
    }
    now += 301_000 + YIELD_KEPT.as_millis() as u64;
    dialer.due_now(&world, at(now));
    assert!(!dialer.has_yielded(&peer(1)), "left alone for long enough");
}
