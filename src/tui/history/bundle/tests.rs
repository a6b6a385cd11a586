use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::super::record::Record;
use super::*;
use crate::model::{Command, CommandId, Event, EventKind, LogLevel, Outcome, PeerState, Reason, Snapshot};
use crate::tui::demo;

/// A snap of a fleet in which peers come, change and leave as the numbers say.
fn bundle(changes: &[(usize, u8)], peers: u32) -> Bundle {
    let mut record = Record::default();
    let mut last = if peers == 0 { demo::busy() } else { demo::large(peers, 0) };
    record.take(&last);
    for (n, (at, what)) in changes.iter().enumerate() {
        let mut rows = Vec::clone(&last.peers);
        if !rows.is_empty() {
            let at = at % rows.len();
            match what % 4 {
                0 => drop(rows.remove(at)),
                1 => Arc::make_mut(&mut rows[at]).state = PeerState::HeldOff,
                2 => Arc::make_mut(&mut rows[at]).rtt_ms = Some(f64::from(*what) + 0.25),
                _ => Arc::make_mut(&mut rows[at]).name = Some("\u{1b}[31m\"{}\n世".to_owned()),
            }
        }
        let at = demo::NOW.after(Duration::from_millis(100 * (n as u64 + 1)));
        let links = if what % 3 == 0 { Arc::default() } else { Arc::clone(&last.links) };
        last = Arc::new(Snapshot { seq: last.seq + 1, at, peers: Arc::new(rows), links, ..(*last).clone() });
        record.take_anyway(&last);
    }
    let mut entries: Vec<Entry> = demo::events().into_iter().map(Entry::Event).collect();
    let outcome = Outcome {
        id: CommandId(7),
        command: Command::Connect { peer: demo::id([1, 2, 3]) },
        result: Err(Reason::NoAnswer { addresses: 2 }.into()),
    };
    entries.push(Entry::Outcome { at: demo::NOW, outcome: Arc::new(outcome) });
    entries.push(Entry::Fault { at: demo::NOW, text: "gossip panicked".to_owned() });
    entries.push(Entry::Lost { at: demo::NOW, events: 12 });
    let lines = vec![LogLine {
        at: demo::NOW,
        level: LogLevel::Warn,
        target: "driver".to_owned(),
        text: "a \"line\" \u{202e}".to_owned(),
    }];
    let holds =
        Holds { moments: record.len() as u64, entries: entries.len() as u64, log_lines: 1, lab: true };
    let node = &last.node;
    Bundle {
        about: About {
            format: FORMAT,
            program: "0.1.0".to_owned(),
            made: last.at,
            masked: false,
            peer_id: node.peer_id,
            name: node.name.clone(),
            network: node.network.clone(),
            holds,
        },
        record,
        entries,
        lines,
        lab: Some(Arc::new(LabView { drill: Some(demo::drill()), ..demo::lab() })),
        mask: None,
    }
}

fn written(bundle: &Bundle) -> Vec<u8> {
    let mut bytes = Vec::new();
    bundle.write(&mut bytes).unwrap();
    bytes
}

/// Everything of a bundle, as texts that can be compared.
fn told(bundle: &Bundle) -> Vec<String> {
    let moments = bundle.record.moments().map(|(rest, _, telling)| {
        format!("{telling} {}", serde_json::to_string(&*bundle.record.at(rest.at).unwrap()).unwrap())
    });
    let entries = bundle.entries.iter().map(|e| serde_json::to_string(e).unwrap());
    let rest = format!("{:?} {:?} {:?}", bundle.about, bundle.lines, bundle.lab);
    moments.chain(entries).chain([rest]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_again_as_it_was(changes in prop::collection::vec((0usize..40, any::<u8>()), 0..40)) {
        let bundle = bundle(&changes, 0);
        let again = Bundle::read(written(&bundle).as_slice()).unwrap();
        prop_assert_eq!(told(&again), told(&bundle));
        prop_assert_eq!(written(&again), written(&bundle));
    }

    #[test]
    fn a_file_that_was_cut_anywhere_says_so(at in 0.0f64..1.0) {
        let bytes = written(&bundle(&[(3, 1), (2, 0), (5, 2)], 0));
        let cut = &bytes[..(bytes.len() as f64 * at) as usize];
        // Without its last line break alone it is whole.
        prop_assert!(cut.len() + 1 >= bytes.len() || Bundle::read(cut).is_err());
    }

    #[test]
    fn a_file_in_which_a_bit_was_flipped_is_never_shown(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = written(&bundle(&[(3, 1), (2, 0)], 0));
        // The last byte is a line break, for which nothing stands.
        let at = at.index(bytes.len() - 1);
        bytes[at] ^= 1 << bit;
        prop_assert!(Bundle::read(bytes.as_slice()).is_err());
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(Bundle::read(bytes.as_slice()).is_err());
    }
}

#[test]
fn a_large_fleet_is_written_in_lines_that_can_be_read() {
    let bundle = bundle(&[(5, 1), (7, 2)], 3_000);
    let bytes = written(&bundle);
    let lines = bytes.split(|b| *b == b'\n').filter(|l| l.starts_with(b"{\"rows\"")).count();
    assert_eq!(lines, 2, "the rest stands in the moment's own line");
    assert_eq!(told(&Bundle::read(bytes.as_slice()).unwrap()), told(&bundle));
}

#[test]
fn what_is_no_snap_or_a_newer_one_is_told_apart_from_a_damaged_one() {
    let why = |bytes: &[u8]| Bundle::read(bytes).unwrap_err().to_string();
    assert_eq!(why(b""), "this is no snap of a punchdeck console");
    assert_eq!(why(b"{\"snap\":7}\n"), "this is no snap of a punchdeck console");
    assert_eq!(why(b"\x7fELF\0\0\0"), "this is no snap of a punchdeck console");
    assert_eq!(
        why(b"{\"snap\":{\"format\":4,\"program\":\"9.1\",\"colour\":\"red\"}}\n"),
        "it was written by punchdeck 9.1 in format 4, and this one reads format 3"
    );
    let whole = String::from_utf8(written(&bundle(&[], 0))).unwrap();
    assert_eq!(
        why(whole.replace("linked", "tinked").as_bytes()).split(':').next(),
        Some("it is damaged in line 2")
    );
    let changed = whole.replace("a9930d", "a9930e");
    assert!(
        why(changed.as_bytes()).ends_with("it was changed after it was written"),
        "{}",
        why(changed.as_bytes())
    );
    let half = &whole[..whole.len() / 2];
    assert!(why(half.as_bytes()).starts_with("its end is missing: it was cut after line "));
    assert!(why((whole.clone() + "x").as_bytes()).ends_with("something follows its end"));
}

#[test]
fn a_snap_is_its_owners_alone_and_never_replaces_another() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let snaps = dir.path().join("snaps");
    let bundle = bundle(&[], 0);
    let (first, bytes) = bundle.save(&snaps, &TimeZone::UTC).unwrap();
    let (second, _) = bundle.save(&snaps, &TimeZone::UTC).unwrap();
    assert_eq!(first, snaps.join("snap-20260101-140211.jsonl"));
    assert_eq!(second, snaps.join("snap-20260101-140211-2.jsonl"));
    let metadata = std::fs::metadata(&first).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o777, metadata.len()), (0o600, bytes));
    assert_eq!(std::fs::metadata(&snaps).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(&snaps).unwrap().count(), 2, "nothing else is left");
    assert_eq!(told(&Bundle::load(&first).unwrap()), told(&bundle));
}

#[test]
fn an_event_of_a_kind_that_this_version_does_not_know_is_no_reason_to_panic() {
    let event = Event { seq: 1, at: demo::NOW, peer_id: None, kind: EventKind::PeerLeft };
    let text = serde_json::to_string(&Line::Entry(Entry::Event(Arc::new(event)))).unwrap();
    assert!(serde_json::from_str::<Line>(&text.replace("peer.left", "peer.sang")).is_err());
}
