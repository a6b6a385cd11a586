//! The peer table: who gets in, who goes, and what nobody else can change.

mod trust;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::core::limits::{
    CACHE_NEW_MAX, CACHE_TRIED_MAX, PREFIX_SHARE_FROM, SOURCE_SHARE_FROM, VERSION_JUMP_MAX,
};
use crate::core::wire::Record;
use crate::model::NatType;

const NOW: Now = Now::START;
const DAY: Duration = Duration::from_secs(24 * 3600);

fn id(n: u32) -> PeerId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    PeerId(bytes)
}

const ME: PeerId = PeerId([0xff; 32]);

/// A record in a /16 of its own.
fn record(n: u32, version: u64) -> Record {
    let [_, _, b, a] = n.to_be_bytes();
    Record {
        addresses: vec![([11 + (b & 0x7f), a, 0, 1], 2000).into()],
        name: format!("node-{n}"),
        ..Record::new(id(n), version)
    }
}

fn book() -> Book {
    Book::new(ME)
}

/// A book of so many untried peers, each from another source.
fn crowd(count: u32) -> Book {
    let mut book = book();
    for n in 0..count {
        book.hearsay(record(n, 1), id(1_000_000 + n), NOW).unwrap();
    }
    book
}

#[test]
fn hearsay_is_taken_up_once_and_says_what_changed() {
    let mut book = book();
    let change = book.hearsay(record(1, 5), id(9), NOW).unwrap();
    assert!(change.added && change.updated && change.significant());
    assert_eq!(book.hearsay(record(1, 5), id(9), NOW).unwrap(), Change::default());
    assert_eq!(book.hearsay(record(1, 4), id(9), NOW).unwrap(), Change::default());
    let renamed = Record { name: "other".into(), ..record(1, 6) };
    let change = book.hearsay(renamed, id(9), NOW).unwrap();
    assert!(change.updated && !change.added && !change.significant(), "a name can wait for the disk");
    let natted = Record { nat: NatType::Symmetric, ..record(1, 7) };
    assert!(book.hearsay(natted, id(9), NOW).unwrap().significant());
    assert_eq!(book.get(id(1)).unwrap().told_by, Some(id(9)));
}

#[test]
fn nothing_is_ever_held_of_ourselves() {
    let mut book = book();
    let mine = Record::new(ME, 9);
    assert_eq!(book.hearsay(mine.clone(), id(9), NOW), Err(Refusal::Ourselves));
    assert_eq!(book.first_hand(mine, NOW), Change::default());
    assert_eq!(book.contact(ME, Source::Inbound, None, NOW), Change::default());
    book.load([CacheEntry::bare(ME, Source::Cache, NOW.stamp)], NOW);
    assert!(book.is_empty());
}

#[test]
fn first_hand_replaces_hearsay_whatever_its_version() {
    let mut book = book();
    book.hearsay(Record { name: "forged".into(), ..record(1, 900) }, id(9), NOW).unwrap();
    assert!(book.first_hand(record(1, 3), NOW).updated);
    let entry = book.get(id(1)).unwrap();
    assert_eq!((entry.record().unwrap().version, entry.known.is_first_hand()), (3, true));
}

#[test]
fn a_version_jump_is_refused_only_where_a_version_is_known() {
    let mut book = book();
    book.hearsay(record(1, VERSION_JUMP_MAX * 5), id(9), NOW).unwrap();
    let far = record(1, VERSION_JUMP_MAX * 6 + 1);
    assert_eq!(book.hearsay(far, id(9), NOW), Err(Refusal::VersionJump));
    assert!(book.hearsay(record(1, VERSION_JUMP_MAX * 6), id(9), NOW).unwrap().updated);
}

#[test]
fn hearsay_of_a_linked_peer_is_refused_while_the_link_stands() {
    let mut book = book();
    let _ = book.first_hand(record(1, 3), NOW);
    let _ = book.contact(id(1), Source::Inbound, None, NOW);
    assert!(book.set_linked(id(1), true).status);
    assert_eq!(book.hearsay(record(1, 4), id(9), NOW), Err(Refusal::Linked));
    let _ = book.set_linked(id(1), false);
    assert!(book.hearsay(record(1, 4), id(9), NOW).unwrap().updated);
}

proptest! {
    #[test]
    fn what_others_say_never_touches_a_measurement(
        said in proptest::collection::vec((0u64..8, any::<u32>(), any::<bool>()), 0..20),
    ) {
        let mut book = book();
        let _ = book.contact(id(1), Source::Inbound, Some(([8, 8, 8, 8], 2000).into()), NOW);
        let _ = book.attempt_succeeded(id(1), NOW);
        let _ = book.rtt(id(1), 7.0, NOW.stamp, NOW);
        let _ = book.verified_public(id(1), NOW);
        let before = book.get(id(1)).unwrap().measured.clone();
        for (version, age_s, removed) in said {
            let _ = book.hearsay(Record { age_s, ..record(1, version) }, id(9), NOW);
            if removed {
                let _ = book.demote(id(1), NOW);
            }
        }
        prop_assert_eq!(&book.get(id(1)).unwrap().measured, &before);
    }

    #[test]
    fn the_counts_of_shares_agree_with_the_table(
        steps in proptest::collection::vec((0u8..7, 0u32..12, 0u64..4), 0..80),
    ) {
        let mut book = book();
        for (step, n, version) in steps {
            match step {
                0 | 1 => drop(book.hearsay(record(n, version), id(100 + n % 3), NOW)),
                2 => drop(book.first_hand(record(n + version as u32, version), NOW)),
                3 => {
                    let _ = book.contact(id(n), Source::Inbound, None, NOW);
                    let _ = book.kept(id(n), NOW);
                }
                4 => drop(book.leave(id(n), NOW)),
                5 => drop(book.demote(id(n), NOW)),
                // It moved to another prefix.
                _ => drop(book.hearsay(
                    Record { addresses: record(n + 50, 0).addresses, ..record(n, version + 1) },
                    id(100),
                    NOW,
                )),
            }
        }
        let untried = || book.iter().filter(|(_, e)| !e.measured.tried);
        prop_assert_eq!(book.untried, untried().count());
        prop_assert_eq!(
            book.by_source.values().sum::<usize>(),
            untried().filter(|(_, e)| e.told_by.is_some()).count()
        );
        prop_assert_eq!(
            book.by_prefix.values().sum::<usize>(),
            untried().filter(|(_, e)| e.prefix().is_some()).count()
        );
    }
}

#[test]
fn one_source_is_held_to_its_share() {
    let mut book = crowd(SOURCE_SHARE_FROM as u32 - 1);
    let mut taken = 0;
    for n in 5_000..5_200 {
        taken += usize::from(book.hearsay(record(n, 1), id(9), NOW).is_ok());
    }
    assert_eq!(taken, 56, "10 % of what there is then");
    assert_eq!(book.hearsay(record(9_000, 1), id(9), NOW), Err(Refusal::SourceShare));
    assert!(book.hearsay(record(9_000, 1), id(10), NOW).is_ok(), "another source may");
    let _ = book.contact(id(9_001), Source::Inbound, None, NOW);
    assert!(
        book.hearsay(record(9_001, 1), id(9), NOW).is_ok(),
        "a peer that we met ourselves is not shared out"
    );
}

#[test]
fn one_prefix_is_held_to_its_share_also_by_moving_into_it() {
    let mut book = crowd(PREFIX_SHARE_FROM as u32 * 2);
    let in_prefix = |n: u32, version| Record {
        addresses: vec![([198, 18, 0, n as u8], 2000).into()],
        ..Record::new(id(10_000 + n), version)
    };
    let mut n = 0;
    while book.hearsay(in_prefix(n, 1), id(9), NOW).is_ok() {
        n += 1;
    }
    assert_eq!(n, 6, "5 % of 136");
    let homeless = Record { addresses: vec![], ..in_prefix(n, 1) };
    book.hearsay(homeless, id(9), NOW).unwrap();
    assert_eq!(book.hearsay(in_prefix(n, 2), id(9), NOW), Err(Refusal::PrefixShare));
}

#[test]
fn a_full_table_makes_room_for_the_new_by_its_worst() {
    let mut book = crowd(CACHE_NEW_MAX as u32);
    let _ = book.demote(id(77), NOW);
    let change = book.hearsay(record(500_000, 1), id(9), NOW).unwrap();
    assert!(change.evicted.contains(&id(77)));
    assert!(book.get(id(500_000)).is_some() && book.get(id(77)).is_none());
    assert!(book.len() <= CACHE_NEW_MAX);
}

#[test]
fn the_tried_are_bounded_and_a_linked_one_is_never_evicted() {
    let mut book = book();
    let meet = |book: &mut Book, n| {
        let _ = book.contact(id(n), Source::Inbound, None, NOW);
        book.kept(id(n), NOW)
    };
    for n in 0..CACHE_TRIED_MAX as u32 {
        let _ = meet(&mut book, n);
    }
    let _ = book.set_linked(id(3), true);
    for peer in [3, 4] {
        for _ in 0..FORGET_FAILURES {
            let _ = book.attempt_failed(id(peer), Reason::NoAddress, false, NOW);
        }
    }
    let change = meet(&mut book, 900_000);
    assert!(change.evicted.contains(&id(4)) && !change.evicted.contains(&id(3)));
    assert!(book.tried() <= CACHE_TRIED_MAX);
}

#[test]
fn only_a_dial_of_ours_or_a_link_that_lasts_makes_a_peer_tried() {
    let mut book = book();
    book.hearsay(record(1, 1), id(9), NOW).unwrap();
    let _ = book.attempt_failed(id(1), Reason::NoAddress, false, NOW);
    let _ = book.contact(id(1), Source::Inbound, None, NOW);
    assert_eq!(book.tried(), 0, "it came by itself");
    assert!(book.kept(id(1), NOW).significant());
    assert_eq!(book.tried(), 1);
    let _ = book.contact(id(2), Source::Gossip, Some(([8, 8, 8, 8], 2000).into()), NOW);
    assert_eq!(book.tried(), 2);
    assert_eq!(book.kept(id(3), NOW), Change::default(), "who is not known is not made up");
}

/// Eight honest peers, some dialled, some met long ago, that are off since.
fn with_eight_honest(book: &mut Book) -> Now {
    for n in 0..8 {
        let _ = book.contact(id(n), Source::Bootstrap, Some(([8, 8, 8, 8], 2000).into()), NOW);
        let _ = book.first_hand(record(n, 1), NOW);
    }
    let later = NOW.plus(DAY * 3);
    for n in 0..8 {
        for _ in 0..3 {
            let _ = book.attempt_failed(id(n), Reason::NoAddress, true, later);
        }
    }
    later
}

#[test]
fn thousands_of_identities_that_come_and_go_push_no_honest_peer_out() {
    let mut book = book();
    let now = with_eight_honest(&mut book);
    for n in 0..4_800 {
        let peer = id(10_000 + n);
        let _ = book.contact(peer, Source::Inbound, None, now);
        let _ = book.set_linked(peer, true);
        let _ = book.first_hand(record(10_000 + n, 1), now);
        let _ = book.set_linked(peer, false);
    }
    assert_eq!(book.tried(), 8);
    assert!((0..8).all(|n| book.get(id(n)).is_some()));
}

#[test]
fn who_pays_a_minute_for_each_identity_pushes_out_his_own_and_nobody_known_for_long() {
    let mut book = book();
    let mut now = with_eight_honest(&mut book);
    let anchor = id(9_999);
    let _ = book.contact(anchor, Source::Bootstrap, Some(([8, 8, 8, 8], 2000).into()), now);
    book.set_anchors([anchor]);
    let _ = book.attempt_failed(anchor, Reason::NoAddress, false, now);
    for n in 0..6_000 {
        let peer = id(10_000 + n);
        let _ = book.contact(peer, Source::Inbound, None, now);
        let _ = book.kept(peer, now);
        now = now.plus(Duration::from_millis(100));
    }
    assert!((0..8).all(|n| book.get(id(n)).is_some()), "known for more than a day");
    assert!(book.get(anchor).is_some());
    assert!(book.tried() <= CACHE_TRIED_MAX);
}

#[test]
fn our_own_failures_delete_a_peer_that_nobody_sees_either() {
    let old = Record { age_s: 2 * 86_400, ..record(1, 1) };
    let fail = |book: &mut Book, alone| {
        for _ in 1..FORGET_FAILURES {
            assert!(!book.attempt_failed(id(1), Reason::NoAddress, alone, NOW).removed);
        }
        book.attempt_failed(id(1), Reason::NoAddress, alone, NOW)
    };
    let mut lost = book();
    lost.hearsay(old.clone(), id(9), NOW).unwrap();
    assert!(fail(&mut lost, false).removed);
    assert_eq!(
        lost.hearsay(old.clone(), id(9), NOW),
        Err(Refusal::Gone),
        "the same word does not bring it back"
    );
    assert!(lost.hearsay(record(1, 1), id(9), NOW.plus(DAY / 48)).is_ok(), "a later sighting does");

    let mut seen = book();
    seen.hearsay(record(1, 1), id(9), NOW).unwrap();
    assert!(!fail(&mut seen, false).removed, "others see it");

    let mut alone = book();
    alone.hearsay(old, id(9), NOW).unwrap();
    assert!(!fail(&mut alone, true).removed, "a node without network keeps its cache");
    assert_eq!(alone.get(id(1)).unwrap().measured.consecutive_failures, 0);
}

#[test]
fn who_left_comes_back_by_a_higher_version_or_by_itself_only() {
    let mut book = book();
    let _ = book.first_hand(record(1, 5), NOW);
    assert!(book.leave(id(1), NOW).removed);
    let later = NOW.plus(Duration::from_secs(600));
    assert_eq!(book.hearsay(record(1, 5), id(9), later), Err(Refusal::Gone));
    assert_eq!(book.hearsay(record(1, 5 + VERSION_JUMP_MAX + 1), id(9), later), Err(Refusal::VersionJump));
    assert!(book.hearsay(record(1, 6), id(9), later).is_ok());
    let _ = book.leave(id(1), later);
    assert!(book.first_hand(record(1, 2), later).added);
    let _ = book.leave(id(1), later);
    assert!(
        book.hearsay(record(1, 2), id(9), later.plus(GONE_FOR)).is_ok(),
        "it is not held against it for ever"
    );
}

#[test]
fn the_memory_of_the_deleted_is_bounded() {
    let mut book = book();
    for n in 0..GONE_MAX as u32 + 100 {
        let _ = book.first_hand(record(n, 1), NOW);
        let _ = book.leave(id(n), NOW);
    }
    assert_eq!(book.gone.len(), GONE_MAX);
}

#[test]
fn a_demotion_is_lifted_by_a_new_version_a_later_sighting_or_a_contact() {
    let demoted = || {
        let mut book = book();
        book.hearsay(record(1, 5), id(9), NOW).unwrap();
        assert!(book.demote(id(1), NOW).status);
        assert_eq!(book.demote(id(1), NOW), Change::default(), "told once is enough");
        book
    };
    let is = |book: &Book| book.get(id(1)).unwrap().demoted.is_some();
    let later = NOW.plus(Duration::from_secs(60));

    let mut book = demoted();
    book.hearsay(Record { age_s: 100, ..record(1, 5) }, id(9), later).unwrap();
    assert!(is(&book), "an old sighting says nothing");
    book.hearsay(record(1, 5), id(9), later).unwrap();
    assert!(!is(&book));

    let mut book = demoted();
    book.hearsay(record(1, 6), id(9), NOW).unwrap();
    assert!(!is(&book));

    let mut book = demoted();
    let _ = book.contact(id(1), Source::Inbound, None, NOW);
    assert!(!is(&book));
}

#[test]
fn the_best_come_first() {
    let mut book = crowd(4);
    let _ = book.contact(id(2), Source::Inbound, None, NOW);
    let _ = book.attempt_succeeded(id(2), NOW);
    let _ = book.verified_public(id(2), NOW);
    let _ = book.attempt_failed(id(0), Reason::NoAddress, false, NOW);
    let _ = book.demote(id(0), NOW);
    assert_eq!(book.best_first(NOW.stamp), [id(2), id(1), id(3), id(0)]);
}

#[test]
fn the_table_survives_a_restart() {
    let mut book = crowd(5);
    let _ = book.first_hand(record(1, 7), NOW);
    let _ = book.contact(id(1), Source::Inbound, Some(([8, 8, 8, 8], 2000).into()), NOW);
    let _ = book.attempt_failed(id(2), Reason::NoAddress, false, NOW);
    let _ = book.rtt(id(1), 3.0, NOW.stamp, NOW);
    let _ = book.demote(id(3), NOW);
    let stored: Vec<CacheEntry> = book.cache_entries().collect();
    let json = serde_json::to_string(&stored).unwrap();
    let read: Vec<CacheEntry> = serde_json::from_str(&json).unwrap();
    assert_eq!(read, stored);
    let mut again = Book::new(ME);
    again.load(read, NOW.plus(DAY));
    assert_eq!(again.cache_entries().collect::<Vec<_>>(), stored);
    assert_eq!((again.len(), again.tried()), (5, 1));
    assert_eq!(again.get(id(1)).unwrap().addresses().len(), 2);
    again.load(stored, NOW);
    assert_eq!(again.len(), 5, "loading twice changes nothing");
}

#[test]
fn a_store_that_holds_too_much_is_cut_to_size() {
    let mut book = book();
    let entries = (0..CACHE_TRIED_MAX as u32 + 10).map(|n| CacheEntry {
        measured: Measured { tried: true, ..Measured::default() },
        ..CacheEntry::bare(id(n), Source::Cache, NOW.stamp)
    });
    book.load(entries, NOW);
    assert!(book.tried() <= CACHE_TRIED_MAX);
}

#[test]
fn a_heartbeat_does_not_make_a_digest_stale() {
    let mut book = crowd(3);
    let _ = book.contact(id(1), Source::Inbound, None, NOW);
    let before = book.revision();
    let _ = book.contact(id(1), Source::Inbound, None, NOW.plus(DAY));
    let _ = book.rtt(id(1), 3.0, NOW.stamp, NOW);
    assert_eq!(book.revision(), before);
    let _ = book.demote(id(2), NOW);
    assert_ne!(book.revision(), before);
}

#[test]
fn what_a_clock_that_was_ahead_wrote_down_is_unknown_and_stays_so() {
    let ahead = NOW.stamp.after(Duration::from_secs(10 * 365 * 86_400));
    let record = Record::new(id(1), 3);
    let mut entry = CacheEntry { record: Some(record), ..CacheEntry::bare(id(1), Source::Gossip, ahead) };
    entry.seen = Some(ahead);
    entry.measured.last_contact = Some(ahead);
    entry.measured.verified_public = Some(ahead);
    let mut stored = vec![entry];
    for _restart in 0..2 {
        let mut book = book();
        book.load(stored, NOW);
        let entry = book.get(id(1)).unwrap();
        assert_eq!((entry.last_seen(), entry.measured.is_public(NOW.stamp)), (None, false));
        assert!(entry.first_seen <= NOW.stamp);
        stored = book.cache_entries().collect();
    }
    // A small step of the clock is none.
    let mut entry = CacheEntry {
        record: Some(Record::new(id(2), 3)),
        ..CacheEntry::bare(id(2), Source::Gossip, NOW.stamp)
    };
    entry.seen = Some(NOW.stamp.after(Duration::from_secs(1)));
    let mut book = book();
    book.load([entry], NOW);
    assert!(book.get(id(2)).unwrap().last_seen().is_some());
}
