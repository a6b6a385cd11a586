use super::*;
use crate::model::{PeerState, Phase};
use crate::tui::demo;

fn after(ms: u64) -> Stamp {
    demo::NOW.after(Duration::from_millis(ms))
}

/// A state so many milliseconds later, changed.
fn later(before: &Snapshot, ms: u64, change: impl FnOnce(&mut Snapshot)) -> Arc<Snapshot> {
    let mut snapshot = Snapshot { seq: before.seq + 1, at: after(ms), ..before.clone() };
    change(&mut snapshot);
    Arc::new(snapshot)
}

fn with_row(snapshot: &mut Snapshot, at: usize, change: impl FnOnce(&mut PeerRow)) {
    let mut peers = Vec::clone(&snapshot.peers);
    change(Arc::make_mut(&mut peers[at]));
    snapshot.peers = Arc::new(peers);
}

fn states(snapshot: &Snapshot) -> Vec<(PeerId, PeerState)> {
    snapshot.peers.iter().map(|p| (p.peer_id, p.state)).collect()
}

#[test]
fn a_moment_is_as_it_was_whatever_came_and_left_since() {
    let mut record = Record::default();
    let first = demo::busy();
    record.take(&first);
    let second = later(&first, 1_000, |s| with_row(s, 2, |row| row.state = PeerState::HeldOff));
    record.take(&second);
    let third = later(&second, 2_000, |s| {
        let mut peers = Vec::clone(&s.peers);
        peers.remove(2);
        peers.remove(0);
        s.peers = Arc::new(peers);
    });
    record.take(&third);
    for whole in [&first, &second, &third] {
        let found = record.at(whole.at).expect("kept");
        assert_eq!(states(&found), states(whole));
        assert!(Arc::ptr_eq(&found.links, &whole.links));
    }
    assert_eq!(
        record.moment_at(after(1_500)),
        Some(after(1_000)),
        "what was then is what last changed before"
    );
    assert_eq!(record.moment_from(after(1_500)), Some(after(2_000)));
    assert!(
        record.at(after(0).before(Duration::from_millis(1))).is_none(),
        "before the first nothing is known"
    );
}

#[test]
fn steps_go_where_more_than_figures_changed() {
    let mut record = Record::default();
    let mut last = demo::busy();
    record.take(&last);
    for ms in (100..10_000).step_by(100) {
        last = later(&last, ms, |s| {
            with_row(s, 1, |row| row.rtt_ms = Some(ms as f64));
            match ms {
                3_300 => with_row(s, 1, |row| row.state = PeerState::Suspect),
                7_700 => Arc::make_mut(&mut s.node).phase = Phase::Leaving,
                _ => {}
            }
        });
        record.take(&last);
    }
    assert_eq!(record.change_before(after(9_900)), Some(after(7_700)));
    assert_eq!(record.change_before(after(7_700)), Some(after(3_300)));
    assert_eq!(record.change_before(after(3_300)), Some(after(0)));
    assert_eq!(record.change_before(after(0)), None);
    assert_eq!(record.change_after(after(3_300)), Some(after(7_700)));
    assert_eq!(record.change_after(after(7_700)), None);
    // Figures are kept once a second beside that.
    assert!((11..=13).contains(&record.kept.len()), "{}", record.kept.len());
}

#[test]
fn a_state_in_which_nothing_changed_is_not_kept() {
    let mut record = Record::default();
    let first = demo::busy();
    record.take(&first);
    for second in 1..100 {
        record.take(&later(&first, second * 1_000, |_| {}));
    }
    assert_eq!(record.kept.len(), 1);
}

#[test]
fn the_last_minute_is_kept_as_it_came_and_before_that_a_moment_a_second_for_ten_minutes() {
    let mut record = Record::default();
    let mut last = demo::busy();
    record.take(&last);
    let mut all = BTreeMap::new();
    for n in 1..=9_000u32 {
        let state = if n % 2 == 0 { PeerState::Linked } else { PeerState::Suspect };
        last = later(&last, u64::from(n) * 100, |s| with_row(s, n as usize % 7, |row| row.state = state));
        record.take(&last);
        all.insert(last.at, states(&last));
    }
    let now = last.at;
    let recent = record.kept.iter().filter(|k| k.at().age_at(now) < WHOLE).count();
    let old = record.kept.len() - recent;
    assert!((598..=602).contains(&recent), "{recent}");
    assert!((538..=542).contains(&old), "{old}");
    assert!(record.first().unwrap().age_at(now) <= REACH);
    for kept in record.kept.clone() {
        assert_eq!(states(&record.at(kept.at()).unwrap()), all[&kept.at()], "at {:?}", kept.at());
    }
}

#[test]
fn one_moment_has_one_state_however_often_it_is_taken() {
    let mut record = Record::default();
    let first = demo::busy();
    record.take(&first);
    record.take_anyway(&first);
    let second = later(&first, 0, |s| with_row(s, 1, |row| row.state = PeerState::HeldOff));
    record.take(&second);
    record.take_anyway(&second);
    assert_eq!(record.kept.len(), 1);
    assert_eq!(states(&record.at(demo::NOW).unwrap()), states(&second));
}

#[test]
fn another_run_of_the_node_begins_anew() {
    let mut record = Record::default();
    let first = demo::busy();
    record.take(&first);
    record.take(&later(&first, 5_000, |s| with_row(s, 0, |row| row.state = PeerState::HeldOff)));
    let restarted = later(&first, 1_000, |_| {});
    record.take(&restarted);
    assert_eq!((record.first(), record.last()), (Some(after(1_000)), Some(after(1_000))));
    assert_eq!(record.kept.len(), 1);
}

/// Ten minutes of a fleet of which a hundred rows change every second.
fn ten_minutes(peers: u32) -> Record {
    let mut record = Record::default();
    let mut last = demo::large(peers, 0);
    record.take(&last);
    for n in 1..=6_000u32 {
        let mut rows = Vec::clone(&last.peers);
        for i in 0..10 {
            let at = (n as usize * 10 + i) * 97 % rows.len();
            let row = Arc::make_mut(&mut rows[at]);
            row.state = if row.state == PeerState::Linked { PeerState::Known } else { PeerState::Linked };
        }
        last = later(&last, u64::from(n) * 100, |s| s.peers = Arc::new(rows));
        record.take(&last);
    }
    record
}

#[test]
fn what_is_kept_of_a_large_fleet_is_bounded_and_reaches_back_ten_minutes_at_a_hundred_changes_a_second() {
    for peers in [1_000, 10_000] {
        let record = ten_minutes(peers);
        let reach = record.first().unwrap().age_at(record.last().unwrap());
        assert!(record.bytes <= BYTES_MAX, "{}", record.bytes);
        assert!(reach >= Duration::from_secs(595), "{reach:?} with {} bytes", record.bytes);
    }
}

#[test]
fn where_the_memory_does_not_suffice_the_oldest_go_first() {
    let mut record = Record::default();
    let mut last = demo::large(1_000, 0);
    record.take(&last);
    for n in 1..=800u32 {
        let mut rows = Vec::clone(&last.peers);
        for row in &mut rows {
            let row = Arc::make_mut(row);
            row.attempts += 1;
            row.name = Some("a name that takes its room, as long as a name may be".to_owned());
        }
        last = later(&last, u64::from(n) * 100, |s| s.peers = Arc::new(rows));
        record.take(&last);
    }
    assert!(record.bytes <= BYTES_MAX);
    assert!(record.first().unwrap() > after(0), "something had to go");
    assert_eq!(record.at(last.at).unwrap().peers.len(), 1_000);
    assert_eq!(record.at(record.first().unwrap()).unwrap().peers.len(), 1_000);
}

/// What the process takes for it, beside our own reckoning; run by name, one at
/// a time, with `--ignored --nocapture`.
#[cfg(target_os = "linux")]
#[allow(clippy::print_stdout)]
fn print_memory(peers: u32) {
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4 / 1024
    };
    let before = resident();
    let record = ten_minutes(peers);
    let (took, reckoned) = (resident() - before, record.bytes >> 20);
    println!("{peers} peers: {} moments, {took} MiB resident, {reckoned} reckoned", record.kept.len());
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "prints figures"]
fn memory_among_a_thousand_peers() {
    print_memory(1_000);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "prints figures"]
fn memory_among_ten_thousand_peers() {
    print_memory(10_000);
}
