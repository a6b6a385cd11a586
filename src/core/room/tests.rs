use crate::model::DropReason;
use proptest::prelude::*;

use super::*;

fn peer(n: usize) -> PeerId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    PeerId(id)
}

/// The host of that number in the /24 of that number.
fn host(prefix: usize, n: usize) -> Origin {
    Origin::Host([198, 18, prefix as u8, n as u8].into())
}

fn at(n: usize) -> Mono {
    Mono::from_millis(n as u64)
}

impl Room {
    /// Enters at a time that is its number, with no relays about.
    fn comes(&mut self, n: usize, footing: Footing, origin: Origin) -> Result<Option<PeerId>, Full> {
        self.enter(peer(n), footing, origin, |_| false, at(n))
    }

    /// Enters and says who it is.
    fn links(&mut self, n: usize, footing: Footing, origin: Origin) -> bool {
        self.comes(n, footing, origin).is_ok() && self.link(peer(n), false, at(n)).is_ok()
    }

    fn has(&self, n: usize) -> bool {
        self.seats.contains_key(&peer(n))
    }

    fn linked(&self, of: impl Fn(&Seat) -> bool) -> usize {
        self.seats.values().filter(|s| s.linked && of(s)).count()
    }
}

#[test]
fn among_the_mute_the_oldest_of_the_largest_crowd_makes_way() {
    let mut room = Room::default();
    assert_eq!(room.comes(0, Footing::Stranger, host(9, 1)), Ok(None), "an honest one, and the oldest");
    for n in 1..LINKS_MUTE_MAX {
        assert_eq!(room.comes(n, Footing::Stranger, host(n % 4, n / 16)), Ok(None));
    }
    let first_of_most = peer(1);
    assert_eq!(room.comes(900, Footing::Stranger, host(50, 1)), Ok(Some(first_of_most)));
    // However many of them come, it is one of theirs that goes.
    for n in 1_000..2_000 {
        let _ = room.comes(n, Footing::Stranger, host(n % 4, n % 250));
        assert!(room.has(0) && room.has(900));
    }
    assert!(room.link(peer(900), false, at(3_000)).is_ok());
}

#[test]
fn whom_we_know_or_dialled_is_the_last_to_go_among_the_mute_and_a_relay_of_ours_stays() {
    let mut room = Room::default();
    room.comes(0, Footing::Ours, host(1, 1)).unwrap();
    room.comes(1, Footing::Known, host(1, 2)).unwrap();
    room.comes(2, Footing::Stranger, host(2, 1)).unwrap();
    for n in 3..1_000 {
        room.enter(peer(n), Footing::Stranger, host(n % 200, 3), |p| *p == peer(2), at(n)).unwrap();
    }
    assert!(room.has(0) && room.has(1) && room.has(2));
}

#[test]
fn one_host_has_so_many_places_and_its_own_mute_ones_make_way_for_it() {
    let mut room = Room::default();
    for n in 0..LINKS_PER_IP_MAX {
        assert!(room.links(n, Footing::Stranger, host(1, 1)));
    }
    assert_eq!(room.comes(100, Footing::Stranger, host(1, 1)), Err(Full(DropReason::LinksPerAddress)));
    assert_eq!(room.comes(101, Footing::Stranger, host(1, 2)), Ok(None), "another host");
    assert_eq!(room.comes(102, Footing::Ours, host(1, 1)), Ok(None), "a dial of ours");
    assert_eq!(room.comes(103, Footing::Stranger, Origin::Relay(None)), Ok(None), "nobody's host");

    room.leave(&peer(0));
    room.comes(104, Footing::Stranger, host(1, 1)).unwrap();
    assert_eq!(room.comes(105, Footing::Stranger, host(1, 1)), Ok(Some(peer(104))));
}

#[test]
fn half_of_the_places_are_kept_for_those_whom_we_dialled_or_knew() {
    let mut room = Room::default();
    for n in 0..1_000 {
        room.links(n, Footing::Stranger, host(n % 200, n / 200));
    }
    assert_eq!(room.linked(|s| s.footing == Footing::Stranger), LINKS_STRANGERS_MAX);
    for n in 1_000..1_000 + LINKS_STRANGERS_MAX {
        let footing = if n % 2 == 0 { Footing::Known } else { Footing::Ours };
        assert!(room.links(n, footing, host(n % 250, 7)), "{n}");
    }
    assert_eq!(
        room.linked(|s| s.footing == Footing::Stranger),
        LINKS_STRANGERS_MAX,
        "and nobody was put out"
    );
    assert!(room.links(5_000, Footing::Ours, host(1, 9)), "a dial of ours always finds a place");
    assert_eq!(room.linked(|_| true), LINKS_MAX);
}

#[test]
fn many_identities_from_few_prefixes_keep_nobody_out() {
    let mut room = Room::default();
    for n in 0..256 {
        room.links(n, Footing::Stranger, host(n % 16, n / 16));
    }
    for n in 300..340 {
        assert!(room.links(n, Footing::Stranger, host(100 + n % 100, 1)), "a newcomer, {n}");
    }
    assert!(room.links(400, Footing::Known, host(50, 1)), "one that came back");
    assert!(room.links(401, Footing::Ours, host(3, 1)), "a dial of ours");
    // They come again, and put out nobody but themselves.
    for n in 500..2_000 {
        room.links(n, Footing::Stranger, host(n % 16, n % 250));
    }
    assert!((300..340).chain([400, 401]).all(|n| room.has(n)));
}

#[test]
fn in_a_closed_fleet_whoever_proved_that_it_is_a_member_is_no_stranger() {
    let mut room = Room::default();
    for n in 0..LINKS_MAX {
        room.comes(n, Footing::Stranger, host(n % 250, n / 250)).unwrap();
        assert_eq!(room.link(peer(n), true, at(n)), Ok(None));
    }
    // And the mute have a pool of their own, so nothing is kept from it by them.
    for n in 1_000..1_200 {
        room.comes(n, Footing::Stranger, host(n % 4, n % 250)).unwrap();
    }
    assert_eq!(room.linked(|_| true), LINKS_MAX);
}

#[test]
fn a_fleet_on_loopback_is_one_host_and_no_crowd() {
    let mut room = Room::default();
    let linked = (0..1_000).filter(|n| room.links(*n, Footing::Stranger, Origin::Shared)).count();
    assert_eq!(linked, LINKS_MAX);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Comes(Footing),
    Links,
    Mute,
    Leaves,
}

fn step() -> impl Strategy<Value = (Step, usize, usize)> {
    let footing = prop_oneof![
        6 => Just(Footing::Stranger),
        2 => Just(Footing::Known),
        1 => Just(Footing::Ours),
    ];
    let step = prop_oneof![
        4 => footing.prop_map(Step::Comes),
        4 => Just(Step::Links),
        1 => Just(Step::Mute),
        1 => Just(Step::Leaves),
    ];
    // Fewer prefixes than the mute have places beside 49 dials of ours: a place is
    // promised only against whoever holds fewer of them.
    (step, 0..600usize, 0..LINKS_MUTE_MAX - 50)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever comes and goes, no bound is passed, whoever has to go had a place, and
    /// somebody from a prefix without a place gets one.
    #[test]
    fn no_bound_is_passed_and_a_newcomer_from_elsewhere_finds_a_place(
        steps in prop::collection::vec(step(), 1..1_200)
    ) {
        let mut room = Room::default();
        let mut ours = 0;
        for (now, (step, n, prefix)) in steps.into_iter().enumerate() {
            let before: Vec<PeerId> = room.seats.keys().copied().collect();
            let made_way = match step {
                Step::Comes(footing) => {
                    ours += usize::from(footing == Footing::Ours);
                    room.enter(peer(n), footing, host(prefix, n % 8), |_| false, at(now))
                }
                Step::Links => room.link(peer(n), false, at(now)),
                Step::Mute => {
                    room.mute(&peer(n));
                    Ok(None)
                }
                Step::Leaves => {
                    room.leave(&peer(n));
                    Ok(None)
                }
            };
            if let Ok(Some(old)) = made_way {
                prop_assert!(before.contains(&old) && !room.seats.contains_key(&old));
            }
            prop_assert!(room.linked(|_| true) <= LINKS_MAX);
            prop_assert!(room.linked(|s| s.footing == Footing::Stranger) <= LINKS_STRANGERS_MAX);
            let mut hosts: BTreeMap<Origin, usize> = BTreeMap::new();
            for seat in room.seats.values().filter(|s| s.footing < Footing::Ours) {
                *hosts.entry(seat.origin).or_default() += 1;
            }
            prop_assert!(hosts.values().all(|n| *n <= LINKS_PER_IP_MAX));
        }
        // As long as dials of ours do not fill the whole room, and they never do.
        prop_assume!(ours < 50);
        prop_assert!(room.links(10_000, Footing::Stranger, host(200, 1)));
        prop_assert!(room.links(10_001, Footing::Known, host(201, 1)));
        prop_assert!(room.links(10_002, Footing::Ours, host(202, 1)));
    }
}
