//! What others say against what is known, attack by attack. Each test fails when
//! its rule is removed.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use crate::core::limits::{CLAIMS_MAX, HEARSAY_STEP_EVERY, VERSION_JUMP_MAX};
use crate::core::proof::RecordSeed;
use crate::core::wire::Record;
use crate::model::NatType;

const NOW: Now = Now::START;
const HUGE: u64 = VERSION_JUMP_MAX * 5;

fn id(n: u8) -> PeerId {
    PeerId([n; 32])
}

fn unsigned(version: u64, name: &str) -> Record {
    let addresses = vec![([198, 18, 0, 1], 2000).into()];
    Record { name: name.into(), addresses, ..Record::new(id(1), version) }
}

/// As the owner of that key says it.
fn signed(key: u8, version: u64, name: &str) -> Record {
    let record = unsigned(version, name);
    Record { proof: RecordSeed::derive(&[key], "net").signer().unwrap().prove(&record), ..record }
}

/// One who speaks from a network of his own.
fn from(n: u8) -> Teller {
    in_net(n, n)
}

fn in_net(n: u8, net: u8) -> Teller {
    Teller { peer: id(100 + n), from: Quarter::Net(NetPrefix::V4([20, net])) }
}

/// A book that was told so by the peer itself, whose link is gone since.
fn met(record: Record) -> Book {
    let mut book = Book::new(id(0));
    let _ = book.contact(id(1), Source::Inbound, None, NOW);
    let _ = book.first_hand(record, NOW);
    book
}

/// A book that never met it and was told so by the first.
fn told(record: Record) -> Book {
    let mut book = Book::new(id(0));
    book.hearsay(record, from(1), NOW).unwrap();
    book
}

fn held(book: &Book) -> (u64, &str) {
    let record = book.get(id(1)).unwrap().record().unwrap();
    (record.version, &record.name)
}

#[test]
fn who_was_met_is_believed_by_its_signature_and_nobody_else_is() {
    let mut book = met(signed(1, 5, "true"));
    for (n, lie) in [
        unsigned(6, "lie"),
        unsigned(5 + HUGE, "lie"),
        signed(2, 6, "lie"),
        Record { version: 6, ..signed(1, 5, "true") },
        Record { name: "lie".into(), ..signed(1, 6, "true") },
    ]
    .into_iter()
    .enumerate()
    {
        // As many as like may say so, from wherever.
        for liar in 1..9 {
            assert!(book.hearsay(lie.clone(), from(liar), NOW).is_err(), "lie {n}");
        }
    }
    assert_eq!(held(&book), (5, "true"));
    assert!(book.hearsay(signed(1, 6, "new"), from(1), NOW).unwrap().spreads());
    // No jump is too far for who signs.
    assert!(book.hearsay(signed(1, 6 + HUGE, "far"), from(2), NOW).unwrap().spreads());
    assert_eq!(held(&book), (6 + HUGE, "far"));
}

#[test]
fn the_peers_own_word_wins_over_the_highest_version_that_can_be_forged() {
    for lie in [unsigned(u64::MAX, "lie"), signed(2, u64::MAX, "lie")] {
        let mut book = told(lie);
        assert_eq!(held(&book).1, "lie", "the first word on a stranger is taken as it comes");
        let _ = book.first_hand(signed(1, 3, "true"), NOW);
        assert_eq!(held(&book), (3, "true"));
        assert!(book.hearsay(signed(2, u64::MAX, "lie"), from(1), NOW).is_err());
    }
}

#[test]
fn a_forged_first_word_falls_with_the_first_true_one_of_the_same_key() {
    // The key is no secret: it stands beside every record.
    let mut book = told(Record { name: "lie".into(), version: HUGE, ..signed(1, 5, "true") });
    assert!(book.hearsay(signed(1, 5, "true"), from(2), NOW).unwrap().updated);
    assert_eq!(held(&book), (5, "true"));
}

#[test]
fn a_false_key_falls_when_two_unrelated_say_the_true_one() {
    let mut book = told(signed(2, HUGE, "lie"));
    let unproven = Err(Refusal::Unproven);
    assert_eq!(book.hearsay(signed(1, 5, "true"), from(2), NOW), unproven);
    assert_eq!(book.hearsay(signed(1, 5, "true"), from(2), NOW), unproven, "he said that before");
    assert_eq!(book.hearsay(signed(1, 5, "true"), in_net(3, 2), NOW), unproven, "his neighbour");
    assert!(book.hearsay(signed(1, 6, "true"), from(4), NOW).unwrap().spreads());
    assert_eq!(held(&book), (6, "true"));
}

#[test]
fn of_one_that_signs_nothing_one_source_moves_a_step_and_neither_name_nor_address() {
    let mut book = met(unsigned(5, "true"));
    let nat = |version, nat| Record { nat, ..unsigned(version, "true") };
    let unproven = Err(Refusal::Unproven);
    assert_eq!(book.hearsay(nat(7, NatType::None), from(1), NOW), unproven, "two steps");
    assert_eq!(book.hearsay(unsigned(6, "lie"), from(1), NOW), unproven, "a name");
    let moved = Record { addresses: vec![([9, 9, 9, 9], 2000).into()], ..unsigned(6, "true") };
    assert_eq!(book.hearsay(moved, from(1), NOW), unproven, "an address");
    assert!(book.hearsay(nat(6, NatType::None), from(1), NOW).unwrap().spreads(), "a step");
    assert_eq!(book.hearsay(nat(7, NatType::FullCone), from(1), NOW), unproven, "in a time");
    let later = NOW.plus(HEARSAY_STEP_EVERY);
    assert!(book.hearsay(nat(7, NatType::FullCone), from(1), later).unwrap().spreads());
    // Two who have nothing in common may say anything.
    assert_eq!(book.hearsay(unsigned(30, "new"), from(1), later), unproven);
    assert!(book.hearsay(unsigned(30, "new"), from(2), later).unwrap().spreads());
}

#[test]
fn a_record_that_lost_its_proof_on_the_way_takes_no_proof_away_and_gets_it_back() {
    let mut book = told(signed(1, 5, "true"));
    let bare = Record { proof: None, ..signed(1, 5, "true") };
    assert!(!book.hearsay(bare.clone(), from(1), NOW).unwrap().updated);
    assert!(book.get(id(1)).unwrap().record().unwrap().proof.is_some());
    let mut book = told(bare);
    assert!(book.hearsay(signed(1, 5, "true"), from(2), NOW).unwrap().updated);
    assert!(book.get(id(1)).unwrap().record().unwrap().proof.is_some());
}

#[test]
fn everybody_may_take_back_what_he_said_himself() {
    let mut book = told(unsigned(5, "one"));
    assert!(book.hearsay(unsigned(9, "two"), from(1), NOW).unwrap().spreads());
    assert!(book.hearsay(signed(1, 2, "three"), from(1), NOW).unwrap().spreads());
    assert_eq!(held(&book), (2, "three"));
}

#[test]
fn where_it_is_said_to_be_a_peer_can_be_asked() {
    let mut book = met(signed(1, 5, "true"));
    let at = "9.9.9.9:2000".parse().unwrap();
    let mut book2 = told(signed(2, 5, "lie"));
    let moved = Record { addresses: vec![at], ..signed(1, 9, "true") };
    let _ = book.hearsay(moved.clone(), from(2), NOW);
    assert_eq!(book.claimed_addresses(id(1)).count(), 0, "a broken signature names no place");
    let claim = Record { addresses: vec![at], ..unsigned(9, "true") };
    assert_eq!(book2.hearsay(claim, from(2), NOW), Err(Refusal::Unproven));
    assert_eq!(book2.claimed_addresses(id(1)).collect::<Vec<_>>(), [at]);
    let _ = book2.first_hand(signed(1, 1, "true"), NOW);
    assert_eq!(book2.claimed_addresses(id(1)).count(), 0, "it was");
}

#[test]
fn what_waits_to_be_borne_out_is_bounded() {
    let mut book = Book::new(id(0));
    let subject = |n: u16| {
        let mut peer = [3; 32];
        peer[..2].copy_from_slice(&n.to_be_bytes());
        PeerId(peer)
    };
    for n in 0..2_000 {
        let _ = book.first_hand(Record::new(subject(n), 1), NOW);
        for liar in 1..9 {
            let lie = Record { name: format!("{liar}"), ..Record::new(subject(n), 9) };
            let _ = book.hearsay(lie, from(liar), NOW);
        }
    }
    assert!(book.claims.count() <= CLAIMS_MAX && book.claims.count() > CLAIMS_MAX / 2);
    for n in 0..2_000 {
        let _ = book.leave(subject(n), NOW);
    }
    assert_eq!(book.claims.count(), 0);
}

#[test]
fn nobody_brings_one_that_left_back_in_its_name() {
    let mut book = met(signed(1, 5, "true"));
    let _ = book.leave(id(1), NOW);
    for lie in [unsigned(6, "lie"), signed(2, 6, "lie"), Record { version: 6, ..signed(1, 5, "true") }] {
        assert_eq!(book.hearsay(lie, from(1), NOW), Err(Refusal::Gone));
    }
    assert!(book.hearsay(signed(1, 6, "back"), from(1), NOW).unwrap().added);
}

#[test]
fn a_proof_survives_a_restart() {
    let mut book = met(signed(1, 4, "true"));
    book.hearsay(signed(1, 5, "true"), from(3), NOW).unwrap();
    let stored: Vec<CacheEntry> = book.cache_entries().collect();
    let json = serde_json::to_string(&stored).unwrap();
    let mut again = Book::new(id(0));
    again.load(serde_json::from_str::<Vec<CacheEntry>>(&json).unwrap(), NOW);
    for liar in 1..9 {
        assert!(again.hearsay(unsigned(6, "lie"), from(liar), NOW).is_err());
        assert!(again.hearsay(signed(2, 6, "lie"), from(liar), NOW).is_err());
    }
    assert!(again.hearsay(signed(1, 6, "new"), from(1), NOW).unwrap().spreads());
}

/// What a teller may say: true records by version, and lies of every kind.
fn said() -> impl Strategy<Value = (Record, u8)> {
    let record = (0u8..6, 6u64..12).prop_map(|(kind, version)| match kind {
        0..3 => signed(1, version, &format!("v{version}")),
        3 => unsigned(version + HUGE, "lie"),
        4 => signed(2, version + 1, "lie"),
        _ => Record { name: "lie".into(), ..signed(1, version, &format!("v{version}")) },
    });
    (record, 1u8..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Once a peer was met, what the book says of it depends on what is true of all
    /// that was said, and neither on the order nor on how often.
    #[test]
    fn in_whatever_order_it_is_said_the_newest_true_word_is_held(
        said in proptest::collection::vec(said(), 0..12).prop_shuffle(),
    ) {
        let mut book = met(signed(1, 5, "v5"));
        for (record, by) in &said {
            let _ = book.hearsay(record.clone(), from(*by), NOW);
        }
        let is_true = |(r, _): &&(Record, u8)| r.proof.is_some() && r.name == format!("v{}", r.version);
        let newest = said.iter().filter(is_true).map(|(r, _)| r.version).max().unwrap_or(5);
        let name = format!("v{newest}");
        prop_assert_eq!(held(&book), (newest, name.as_str()));
        let before = book.get(id(1)).unwrap().known.clone();
        for (record, by) in said.iter().rev() {
            let _ = book.hearsay(record.clone(), from(*by), NOW);
        }
        prop_assert_eq!(&book.get(id(1)).unwrap().known, &before);
    }
}

#[test]
fn who_counts_up_step_by_step_is_let_a_step_a_minute() {
    // What a liar gains who counts one up whenever he may.
    let mut book = met(unsigned(5, "true"));
    let mut now = NOW;
    let mut taken = 0;
    for _ in 0..3_600 {
        let version = held(&book).0 + 1;
        taken += u32::from(book.hearsay(unsigned(version, "true"), from(1), now).is_ok_and(|c| c.updated));
        now = now.plus(Duration::from_secs(1));
    }
    assert!(taken <= 60 + 1, "{taken} in an hour");
}
