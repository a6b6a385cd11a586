use super::*;
use crate::model::{AttemptId, AttemptOutcome, ReportId};

const NOW: Stamp = Stamp(1_800_000_000_000);
const KEEP: Duration = Duration::from_secs(3600);

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("r.db"), KEEP).unwrap();
    (dir, store)
}

fn attempt(number: u64, path: Option<Path>) -> Fact {
    Fact::Attempt(AttemptFact {
        attempt: AttemptId(number),
        peer: None,
        cause: Cause::Gossip,
        outcome: if path.is_some() { AttemptOutcome::Connected } else { AttemptOutcome::Unreachable },
        path,
        elapsed_ms: 10,
        own_nat: NatType::Symmetric,
        peer_nat: NatType::None,
        reason: None,
        again: false,
    })
}

fn batch(node: u8, reports: Vec<(u64, u64, Fact)>) -> (Stamp, Batch) {
    let report = |(seq, age_ms, fact)| Report { id: ReportId { run: u64::MAX, seq }, age_ms, fact };
    let reporter = Reporter {
        peer_id: PeerId([node; 32]),
        name: format!("n{node}"),
        version: "0".into(),
        network: "n".into(),
    };
    (NOW, Batch { schema: 1, reporter, reports: reports.into_iter().map(report).collect() })
}

fn count(store: &Store) -> Vec<(i64, Option<Path>, Option<Path>)> {
    let mut rows = Vec::new();
    store.attempts(Stamp(0), None, |row| rows.push((row.node, row.path, row.moved))).unwrap();
    // In whatever order they come.
    rows.sort_by_key(|(node, path, _)| (*node, *path));
    rows
}

#[test]
fn attempts_of_one_cause_can_be_looked_at_alone() {
    let (_dir, mut store) = store();
    let mut asked = attempt(1, Some(Path::Punched));
    if let Fact::Attempt(a) = &mut asked {
        a.cause = Cause::Operator;
    }
    store.put(&[batch(1, vec![(1, 0, asked), (2, 0, attempt(2, None))])]).unwrap();
    let mut paths = Vec::new();
    store.attempts(Stamp(0), Some(Cause::Operator), |row| paths.push(row.path)).unwrap();
    assert_eq!(paths, [Some(Path::Punched)]);
}

#[test]
fn a_report_that_comes_twice_counts_once_and_another_node_s_of_the_same_name_counts_too() {
    let (_dir, mut store) = store();
    let one = batch(1, vec![(1, 0, attempt(1, Some(Path::Direct))), (2, 0, attempt(2, None))]);
    let first = store.put(&[one.clone(), one.clone()]).unwrap();
    let stored: Vec<_> = first.into_iter().map(Result::unwrap).map(|s| (s.accepted, s.duplicates)).collect();
    assert_eq!(stored, [(2, 0), (0, 2)]);
    store.put(&[batch(2, vec![(1, 0, attempt(1, Some(Path::Direct)))])]).unwrap();
    assert_eq!(count(&store).len(), 3);
}

#[test]
fn an_attempt_that_left_its_relay_is_marked_by_its_number_once() {
    let (_dir, mut store) = store();
    let moved = |attempt, to| {
        let attempt = Some(AttemptId(attempt));
        Fact::Moved(MovedFact { peer: PeerId([9; 32]), attempt, from: Path::Relayed, to, gap_ms: 1 })
    };
    let reports = vec![
        (1, 0, attempt(1, Some(Path::Relayed))),
        (2, 0, attempt(2, Some(Path::Direct))),
        (3, 0, moved(1, Path::Punched)),
        (4, 0, moved(2, Path::Punched)),
    ];
    store.put(&[batch(1, reports.clone()), batch(1, reports)]).unwrap();
    assert_eq!(
        count(&store),
        [(1, Some(Path::Direct), None), (1, Some(Path::Relayed), Some(Path::Punched))],
        "a direct one left no relay"
    );
    assert_eq!(store.changes(Stamp(0)).unwrap(), (2, 0));
}

#[test]
fn what_is_older_than_is_kept_is_neither_taken_nor_left() {
    let (_dir, mut store) = store();
    let age = 3_599_000;
    let reports =
        vec![(1, age, attempt(1, None)), (2, age + 2_000, attempt(2, None)), (3, 0, attempt(3, None))];
    let stored = store.put(&[batch(1, reports)]).unwrap()[0].clone().unwrap();
    assert_eq!((stored.accepted, stored.expired), (2, 1));
    assert!(store.prune(NOW.after(Duration::from_secs(10))).unwrap());
    assert_eq!(count(&store).len(), 1);
    assert_eq!(store.nodes().unwrap().len(), 1);
    let later = NOW.after(KEEP * 2);
    while store.prune(later).unwrap() {}
    assert!(store.nodes().unwrap().is_empty());
}

#[test]
fn a_node_is_as_it_told_last() {
    let (_dir, mut store) = store();
    let state = |nat, known, propagation| {
        let relay = Some(RelayLoad { sessions: known, bytes: u64::from(known) << 40 });
        Fact::Node(NodeFact { nat, known, tried: 1, links: LinkCounts::default(), propagation, relay })
    };
    let spread = Some(Propagation { known: 3, expected: 4 });
    let reports = vec![
        (1, 9_000, state(NatType::Unknown, 1, None)),
        (3, 2_000, state(NatType::FullCone, 7, spread)),
        (2, 5_000, state(NatType::Symmetric, 3, None)),
    ];
    store.put(&[batch(1, reports), batch(2, Vec::new())]).unwrap();
    let nodes = store.nodes().unwrap();
    assert_eq!(nodes.len(), 2);
    let (at, told) = nodes[0].status.clone().unwrap();
    assert_eq!(
        (at, told.nat, told.known, told.propagation, told.relay),
        (
            NOW.before(Duration::from_secs(2)),
            NatType::FullCone,
            7,
            spread,
            Some(RelayLoad { sessions: 7, bytes: 7 << 40 })
        )
    );
    assert!(nodes[1].status.is_none(), "one that told nothing of itself is known all the same");
}

#[test]
fn a_database_of_a_later_version_is_refused_and_left_as_it_is() {
    let (dir, store) = store();
    store.db.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let why = Store::open(&dir.path().join("r.db"), KEEP).unwrap_err();
    assert!(matches!(why, StoreError::Newer(99)), "{why}");
}

#[test]
fn the_database_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, mut store) = store();
    store.put(&[batch(1, Vec::new())]).unwrap();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[test]
fn a_batch_for_which_there_is_no_room_is_not_stored_in_part() {
    let (_dir, mut store) = store();
    store.put(&[batch(1, vec![(1, 0, attempt(1, None))])]).unwrap();
    let pages: i64 = store.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.db.pragma_update(None, "max_page_count", pages + 2).unwrap();
    let many = |node| batch(node, (10..5_000).map(|n| (n, 0, attempt(n, None))).collect());
    let why = store.put(&[many(1), many(2)]).unwrap_err();
    assert!(matches!(why, StoreError::Full(_)), "{why}");
    assert_eq!((count(&store).len(), store.nodes().unwrap().len()), (1, 1));
}
