//! Properties of the wire: what any peer may send, and what it may cost us.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::core::limits::{FRAME_MAX, PAGE_FRAME_MAX, PAGE_RECORDS_MAX};
use crate::model::{Evidence, NatEvidence, NatType, Path, PeerId, TraceEvent};

fn read_one(bytes: &[u8]) -> Result<Option<Frame>, WireError> {
    let mut reader = FrameReader::new();
    reader.push(bytes);
    reader.next()?.map(|raw| Frame::decode(&raw)).transpose()
}

fn raw(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut out = (u32::try_from(body.len()).unwrap() + 2).to_be_bytes().to_vec();
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(body);
    out
}

proptest! {
    #[test]
    fn every_frame_survives_the_wire_in_any_chunks(
        frames in vec(strategies::frame(), 1..5),
        chunk in 1usize..200,
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(|f| f.encode().unwrap()).collect();
        let mut reader = FrameReader::new();
        let mut got = Vec::new();
        for part in bytes.chunks(chunk) {
            reader.push(part);
            while let Some(raw) = reader.next().unwrap() {
                got.push(Frame::decode(&raw).unwrap());
            }
        }
        prop_assert_eq!(got, frames);
        prop_assert_eq!(reader.buffered(), 0);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_fill_the_memory(
        chunks in vec(vec(any::<u8>(), 0..300), 0..40),
    ) {
        let mut reader = FrameReader::new();
        for chunk in &chunks {
            reader.push(chunk);
            while let Ok(Some(raw)) = reader.next() {
                let _ = Frame::decode(&raw);
            }
            prop_assert!(reader.buffered() < PAGE_FRAME_MAX);
        }
    }

    #[test]
    fn arbitrary_bodies_of_known_types_never_panic(
        kind in prop_oneof![0u16..8, 0x0100u16..0x0125, Just(kind::ECHO), Just(kind::ECHO_REPLY)],
        body in vec(any::<u8>(), 0..2000),
    ) {
        let _ = Frame::decode(&RawFrame { kind, body });
    }

    #[test]
    fn a_flipped_byte_never_panics(
        frame in strategies::frame(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let mut bytes = frame.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let _ = read_one(&bytes);
    }

    #[test]
    fn a_truncated_frame_is_waited_for(frame in strategies::frame(), cut in any::<prop::sample::Index>()) {
        let bytes = frame.encode().unwrap();
        prop_assert_eq!(read_one(&bytes[..cut.index(bytes.len())]), Ok(None));
    }

    #[test]
    fn bytes_after_the_body_are_ignored(frame in strategies::frame(), more in vec(any::<u8>(), 0..32)) {
        let mut bytes = frame.encode().unwrap();
        bytes.extend_from_slice(&more);
        let announced = u32::try_from(bytes.len() - 4).unwrap();
        bytes[..4].copy_from_slice(&announced.to_be_bytes());
        prop_assert_eq!(read_one(&bytes), Ok(Some(frame)));
    }

    #[test]
    fn the_estimated_size_is_never_below_the_real_one(message in strategies::message()) {
        let frame = message.encode(u64::MAX, u64::MAX).unwrap();
        prop_assert!(frame.len() <= message.encoded_size_max());
    }

    #[test]
    fn the_order_of_records_ignores_age_only(a in strategies::record(), b in strategies::record()) {
        let older = Record { age_s: a.age_s.wrapping_add(1), ..a.clone() };
        prop_assert_eq!(a.order(&older), std::cmp::Ordering::Equal);
        prop_assert_eq!(a.order(&b), b.order(&a).reverse());
        let same_version = Record { version: a.version, peer: a.peer, ..b };
        let equal = a.order(&same_version) == std::cmp::Ordering::Equal;
        prop_assert_eq!(equal, a.says_the_same(&same_version));
    }
}

#[test]
fn an_oversized_frame_is_refused_by_its_header_alone() {
    for (kind, max) in [
        (kind::HELLO, FRAME_MAX),
        (kind::DELTA, FRAME_MAX),
        (0x7777, FRAME_MAX),
        (kind::FULL_SYNC, PAGE_FRAME_MAX),
        (kind::DIGEST_PAGE, PAGE_FRAME_MAX),
    ] {
        let header = |len: usize| {
            let mut h = u32::try_from(len - 4).unwrap().to_be_bytes().to_vec();
            h.extend_from_slice(&kind.to_be_bytes());
            h
        };
        let mut reader = FrameReader::new();
        reader.push(&header(max + 1));
        let refused = Err(WireError::TooLong { kind, len: max + 1, max });
        assert_eq!(reader.next(), refused);
        reader.push(&[0; 10_000]);
        assert_eq!(reader.next(), refused, "the error stays");
        assert_eq!(reader.buffered(), 0, "and nothing more is kept");

        let mut reader = FrameReader::new();
        reader.push(&header(max));
        assert_eq!(reader.next(), Ok(None), "the limit itself is allowed");
    }
    let mut reader = FrameReader::new();
    reader.push(&[0xff; 6]);
    assert!(matches!(reader.next(), Err(WireError::TooLong { .. })));
}

#[test]
fn a_length_too_short_for_a_type_is_malformed() {
    let mut reader = FrameReader::new();
    reader.push(&[0, 0, 0, 1, 0, 3]);
    assert_eq!(reader.next(), Err(WireError::Malformed { kind: 3 }));
}

#[test]
fn unknown_types_are_handed_out_to_be_skipped() {
    assert_eq!(read_one(&raw(0x0042, b"whatever")), Ok(Some(Frame::Unknown { kind: 0x0042 })));
    let body = postcard::to_stdvec(&(7u64, 9u64, "of the future")).unwrap();
    assert_eq!(
        read_one(&raw(0x7f00, &body)),
        Ok(Some(Frame::UnknownMessage { kind: 0x7f00, session: 7, seq: 9 })),
        "with the number that has to be acknowledged"
    );
}

#[test]
fn a_known_type_that_does_not_parse_is_malformed() {
    assert_eq!(read_one(&raw(kind::HELLO, b"\x01")), Err(WireError::Malformed { kind: kind::HELLO }));
    assert_eq!(read_one(&raw(kind::PING, b"")), Err(WireError::Malformed { kind: kind::PING }));
    assert_eq!(read_one(&raw(0x7f00, b"")), Err(WireError::Malformed { kind: 0x7f00 }));
}

#[test]
fn nothing_over_its_limit_can_be_encoded() {
    let echo = |n| Message::Echo(Echo { id: 1, payload: vec![0; n] });
    assert!(echo(Echo::payload_max()).encode(u64::MAX, u64::MAX).is_ok());
    assert!(matches!(echo(FRAME_MAX).encode(1, 1), Err(WireError::TooLong { kind: kind::ECHO, .. })));
    let entry = DigestEntry { peer: PeerPrefix([255; 8]), version: u64::MAX };
    let page = |n| Message::DigestPage(DigestPage { round: 1, page: 0, last: true, entries: vec![entry; n] });
    assert!(page(DigestPage::ENTRIES_MAX).encode(u64::MAX, u64::MAX).is_ok());
    assert!(page(DigestPage::ENTRIES_MAX + 10).encode(u64::MAX, u64::MAX).is_err());
    let want = |n| Message::Request(Request { sync: 1, want: Want::Prefixes(vec![entry.peer; n]) });
    assert!(want(Request::PREFIXES_MAX).encode(u64::MAX, u64::MAX).is_ok());
}

#[test]
fn a_page_with_too_many_records_is_malformed() {
    let page = |n| {
        let records = (0..n).map(|_| Record::new(PeerId([1; 32]), 1)).collect();
        Message::FullSync(FullSync { sync: 0, page: 0, last: true, records }).encode(1, 1).unwrap()
    };
    assert!(read_one(&page(PAGE_RECORDS_MAX)).is_ok());
    assert_eq!(read_one(&page(PAGE_RECORDS_MAX + 1)), Err(WireError::Malformed { kind: kind::FULL_SYNC }));
}

#[test]
fn a_list_that_claims_more_than_it_has_is_malformed() {
    // Session, sequence, sync, page, last, then a list of 2^32 records in no bytes.
    let body = postcard::to_stdvec(&((1u64, 1u64), 0u32, 0u32, true, u64::from(u32::MAX))).unwrap();
    assert!(read_one(&raw(kind::FULL_SYNC, &body)).is_err());
    let body = postcard::to_stdvec(&((1u64, 1u64), 1u64, u64::from(u32::MAX))).unwrap();
    assert!(read_one(&raw(kind::ECHO, &body)).is_err());
}

#[test]
fn enum_values_of_the_future_are_read_as_unknown() {
    #[derive(serde::Serialize)]
    struct FutureRecord {
        peer: [u8; 32],
        version: u64,
        name: &'static str,
        nat: u8,
        capabilities: u32,
        lists: (u8, u8, u8),
        age_s: u32,
    }
    let future = FutureRecord {
        peer: [3; 32],
        version: 4,
        name: "n",
        nat: 200,
        capabilities: u32::MAX,
        lists: (0, 0, 0),
        age_s: 5,
    };
    let body = postcard::to_stdvec(&((1u64, 2u64), 0u32, 0u32, true, [future].as_slice())).unwrap();
    let Ok(Some(Frame::Message { message: Message::FullSync(page), .. })) =
        read_one(&raw(kind::FULL_SYNC, &body))
    else {
        panic!("the page is malformed");
    };
    assert_eq!(page.records[0].nat, NatType::Unknown);
    assert!(page.records[0].capabilities.has(Capabilities::RELAY.with(Capabilities::COORDINATE)));
}

#[test]
fn nodes_that_know_no_proofs_read_ours_and_are_read_by_us() {
    // As they encode, and as they read.
    type Older = ((u64, u64), u32, u32, bool, Vec<Record>);
    let proof = Proof::new([5; 32], &[6; 64]);
    let record = Record { proof, ..Record::new(PeerId([3; 32]), 4) };
    let older: Older = ((1, 2), 0, 0, true, vec![Record { proof: None, ..record.clone() }]);
    let body = postcard::to_stdvec(&older).unwrap();
    let read = read_one(&raw(kind::FULL_SYNC, &body));
    let Ok(Some(Frame::Message { message: Message::FullSync(page), .. })) = read else { panic!("{read:?}") };
    assert_eq!(page.records, older.4);

    let page = FullSync { sync: 0, page: 0, last: true, records: vec![older.4[0].clone(), record] };
    let bytes = Message::FullSync(page.clone()).encode(1, 2).unwrap();
    let (read, rest) = postcard::take_from_bytes::<Older>(&bytes[HEADER_LEN..]).unwrap();
    assert!(read.4.iter().all(|r| r.proof.is_none()) && read.4.len() == 2);
    assert!(!rest.is_empty(), "what they do not look at");
    let Ok(Some(Frame::Message { message, .. })) = read_one(&bytes) else { panic!("malformed") };
    assert_eq!(message, Message::FullSync(page));
}

#[test]
fn an_answer_to_a_notice_is_read_though_its_sender_knows_no_busy() {
    for said in [true, false] {
        let body = postcard::to_stdvec(&((1u64, 2u64), [7u8; 16], said)).unwrap();
        let read = read_one(&raw(kind::NOTICE_ANSWER, &body));
        let Ok(Some(Frame::Message { message: Message::NoticeAnswer(answer), .. })) = read else {
            panic!("malformed: {read:?}");
        };
        assert_eq!((answer.accepted, answer.busy, answer.held_off), (said, false, false));
    }
    let body = postcard::to_stdvec(&((1u64, 2u64), [7u8; 16], false, true)).unwrap();
    let read = read_one(&raw(kind::NOTICE_ANSWER, &body));
    let Ok(Some(Frame::Message { message: Message::NoticeAnswer(answer), .. })) = read else {
        panic!("malformed: {read:?}");
    };
    assert_eq!((answer.busy, answer.held_off), (true, false), "its sender knows of no hold-offs");
}

#[test]
fn a_path_survives_the_wire_and_an_unknown_one_is_not_stated() {
    #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    struct Holder(#[serde(with = "super::lenient::path")] Option<Path>);
    for path in [None, Some(Path::Direct), Some(Path::Punched), Some(Path::Relayed)] {
        let bytes = postcard::to_stdvec(&Holder(path)).unwrap();
        assert_eq!(postcard::from_bytes::<Holder>(&bytes).unwrap().0, path);
    }
    assert_eq!(postcard::from_bytes::<Holder>(&[99]).unwrap().0, None);
}

#[test]
fn the_highest_common_version_is_chosen() {
    assert_eq!(common_version(1, 3, 2, 5), Some(3));
    assert_eq!(common_version(2, 5, 1, 3), Some(3));
    assert_eq!(common_version(1, 1, 1, 1), Some(1));
    assert_eq!(common_version(1, 2, 3, 4), None);
    assert_eq!(common_version(3, 4, 1, 2), None);
    assert_eq!(common_version(4, 1, 1, 9), None, "an empty range has nothing in common");
}

#[test]
fn a_prefix_finds_exactly_the_ids_that_begin_with_it() {
    let id = PeerId([7; 32]);
    let prefix = PeerPrefix::from(id);
    assert!(prefix.range().contains(&id));
    let mut other = id;
    other.0[7] = 8;
    assert!(!prefix.range().contains(&other));
}

#[test]
fn no_more_probe_ports_are_kept_than_a_node_listens_on() {
    let hello = Hello {
        low: 1,
        high: 1,
        network: String::new(),
        name: String::new(),
        agent: String::new(),
        nat: NatType::Unknown,
        observed: ([8, 8, 8, 8], 2000).into(),
        probe_ports: (2000..2100).collect(),
        wall_ms: 0,
        channel: [0; 16],
        path: None,
        outbound: true,
        proof: None,
    };
    let bytes = Frame::Hello(Box::new(hello)).encode().unwrap();
    let Ok(Some(Frame::Hello(read))) = read_one(&bytes) else { panic!("no hello") };
    assert_eq!(read.probe_ports, [2000, 2001]);
    assert_eq!(read.version_with_us(), Some(1));
}

#[test]
fn what_an_older_node_says_in_sentences_is_read_as_its_words_and_cleaned() {
    // As it encodes it.
    let notes = vec![(5_u32, "passed on\u{1b}[2J"), (7, "taken")];
    let body = (9_u32, 3_u8, Some(60_u32), vec!["seen at two ports"], notes);
    let body = postcard::to_stdvec(&((1u64, 2u64), body)).unwrap();
    let read = read_one(&raw(kind::PEER_WORDS, &body));
    let Ok(Some(Frame::Message { message: Message::PeerWords(words), .. })) = read else {
        panic!("{read:?}")
    };
    let reply = PeerReply::from(words);
    assert_eq!((reply.query, reply.nat), (9, NatType::AddressRestricted));
    assert_eq!(reply.evidence, [Evidence::TheirWords("seen at two ports".to_owned())]);
    assert_eq!(reply.notes[1].what, TraceEvent::Told { words: "taken".to_owned() });
    let escaped = reply.notes[0].what.to_string();
    assert!(escaped.starts_with('“') && !escaped.contains('\u{1b}'), "{escaped}");
}

#[test]
fn an_older_node_is_told_sentences() {
    let what = TraceEvent::HasNot { who: PeerId([3; 32]) };
    let evidence = vec![Evidence::Theirs(NatEvidence::Hairpinning(true))];
    let notes = vec![WhyNote { age_ms: 4, what }];
    let reply = PeerReply { query: 1, nat: NatType::None, measured_s: None, evidence, notes };
    let words = PeerWords::from(reply);
    assert_eq!(words.evidence, ["hairpinning works"]);
    assert_eq!(words.notes, [(4, "030303 is not".to_owned())]);
}

#[test]
fn a_piece_of_the_future_costs_no_more_than_itself() {
    let known = serde_json::to_vec(&TraceEvent::HasNot { who: PeerId([3; 32]) }).unwrap();
    let future = br#"{"teleported":{"to":"mars"}}"#.to_vec();
    let long = vec![b' '; 2_000];
    let notes: Vec<(u32, Vec<u8>)> = vec![(1, future), (2, known), (3, long)];
    let seen = vec![b"\"unheard-of\"".to_vec(), br#"{"hairpinning":true}"#.to_vec()];
    let body = postcard::to_stdvec(&((1u64, 2u64), (9_u32, 0_u8, None::<u32>, seen, notes))).unwrap();
    let read = read_one(&raw(kind::PEER_REPLY, &body));
    let Ok(Some(Frame::Message { message: Message::PeerReply(reply), .. })) = read else {
        panic!("{read:?}")
    };
    assert_eq!(reply.evidence, [Evidence::Theirs(NatEvidence::Hairpinning(true))]);
    let what: Vec<_> = reply.notes.into_iter().map(|note| note.what).collect();
    let known = TraceEvent::HasNot { who: PeerId([3; 32]) };
    assert_eq!(what, [TraceEvent::Unread, known, TraceEvent::Unread]);
}
