use super::*;
use crate::model::{AttemptId, AttemptOutcome, ReportId};

type Batches<'a> = &'a [(Stamp, IpAddr, Batch)];

const NOW: Stamp = Stamp(1_800_000_000_000);
const KEEP: Duration = Duration::from_secs(3600);

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("r.db"), KEEP).unwrap();
    (dir, store)
}

fn put(store: &mut Store, batches: Batches<'_>) -> Result<Vec<Result<Stored, StoreError>>, StoreError> {
    store.put(batches, |_| true)
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

fn batch(node: u8, reports: Vec<(u64, u64, Fact)>) -> (Stamp, IpAddr, Batch) {
    let report = |(seq, age_ms, fact)| Report { id: ReportId { run: u64::MAX, seq }, age_ms, fact };
    let reporter = Reporter {
        peer_id: PeerId([node; 32]),
        name: format!("n{node}"),
        version: "0".into(),
        network: "n".into(),
    };
    (
        NOW,
        IpAddr::from([198, 18, 0, 1]),
        Batch { schema: 1, reporter, reports: reports.into_iter().map(report).collect() },
    )
}

fn count(store: &Store) -> Vec<(i64, Option<Path>, Option<Path>)> {
    let mut rows = Vec::new();
    store.attempts(Stamp(0), NOW, None, |row| rows.push((row.node, row.path, row.moved))).unwrap();
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
    put(&mut store, &[batch(1, vec![(1, 0, asked), (2, 0, attempt(2, None))])]).unwrap();
    let mut paths = Vec::new();
    store.attempts(Stamp(0), NOW, Some(Cause::Operator), |row| paths.push(row.path)).unwrap();
    assert_eq!(paths, [Some(Path::Punched)]);
}

#[test]
fn a_report_that_comes_twice_counts_once_and_another_node_s_of_the_same_name_counts_too() {
    let (_dir, mut store) = store();
    let one = batch(1, vec![(1, 0, attempt(1, Some(Path::Direct))), (2, 0, attempt(2, None))]);
    let first = put(&mut store, &[one.clone(), one.clone()]).unwrap();
    let stored: Vec<_> = first.into_iter().map(Result::unwrap).map(|s| (s.accepted, s.duplicates)).collect();
    assert_eq!(stored, [(2, 0), (0, 2)]);
    put(&mut store, &[batch(2, vec![(1, 0, attempt(1, Some(Path::Direct)))])]).unwrap();
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
    put(&mut store, &[batch(1, reports.clone()), batch(1, reports)]).unwrap();
    assert_eq!(
        count(&store),
        [(1, Some(Path::Direct), None), (1, Some(Path::Relayed), Some(Path::Punched))],
        "a direct one left no relay"
    );
    assert_eq!(store.changes(Stamp(0), NOW).unwrap(), (2, 0));
}

#[test]
fn what_is_older_than_is_kept_is_neither_taken_nor_left() {
    let (_dir, mut store) = store();
    let age = 3_599_000;
    let reports =
        vec![(1, age, attempt(1, None)), (2, age + 2_000, attempt(2, None)), (3, 0, attempt(3, None))];
    let stored = put(&mut store, &[batch(1, reports)]).unwrap()[0].clone().unwrap();
    assert_eq!((stored.accepted, stored.expired), (2, 1));
    assert!(store.prune(NOW.after(Duration::from_secs(10))).unwrap());
    assert_eq!(count(&store).len(), 1);
    assert_eq!(store.nodes(NOW).unwrap().len(), 1);
    let later = NOW.after(KEEP * 2);
    while store.prune(later).unwrap() {}
    assert!(store.nodes(NOW).unwrap().is_empty());
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
    put(&mut store, &[batch(1, reports), batch(2, Vec::new())]).unwrap();
    let nodes = store.nodes(NOW).unwrap();
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
    put(&mut store, &[batch(1, Vec::new())]).unwrap();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[test]
fn a_batch_for_which_there_is_no_room_is_not_stored_in_part() {
    let (_dir, mut store) = store();
    put(&mut store, &[batch(1, vec![(1, 0, attempt(1, None))])]).unwrap();
    let pages: i64 = store.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.db.pragma_update(None, "max_page_count", pages + 2).unwrap();
    let many = |node| batch(node, (10..5_000).map(|n| (n, 0, attempt(n, None))).collect());
    let why = put(&mut store, &[many(1), many(2)]).unwrap_err();
    assert!(matches!(why, StoreError::Full(_)), "{why}");
    assert_eq!((count(&store).len(), store.nodes(NOW).unwrap().len()), (1, 1));
}

/// As many reporters as there is room for, last heard of and heard for so long.
fn fill(store: &mut Store, last_seen: Stamp, heard_for: Duration) {
    let tx = store.db.transaction().unwrap();
    let ids: i64 = tx.query_row("SELECT ifnull(max(id), 0) FROM nodes", [], |row| row.get(0)).unwrap();
    for n in ids..REGISTRY_REPORTERS_MAX.cast_signed() {
        let sql = "INSERT INTO nodes (peer_id, name, version, network, first_seen, last_seen) \
                   VALUES (?1, 'x', '0', 'n', ?2, ?3)";
        let mut id = [0xee; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        tx.prepare_cached(sql)
            .unwrap()
            .execute(params![id, last_seen.before(heard_for).0, last_seen.0])
            .unwrap();
    }
    tx.commit().unwrap();
}

#[test]
fn where_there_is_no_room_the_idle_make_way_those_first_that_were_hardly_here() {
    let (_dir, mut store) = store();
    let early = batch(1, vec![(1, 0, attempt(1, None))]);
    put(&mut store, std::slice::from_ref(&early)).unwrap();
    // Somebody who was here for days and is away for an hour.
    let days = NOW.before(Duration::from_secs(3 * 86_400)).0;
    let hour = NOW.before(Duration::from_secs(3_600)).0;
    store.db.execute("UPDATE nodes SET first_seen = ?1, last_seen = ?2", params![days, hour]).unwrap();
    fill(&mut store, NOW.before(Duration::from_secs(60)), Duration::ZERO);
    let newcomer = batch(2, vec![(1, 0, attempt(1, None))]);
    let answer = put(&mut store, std::slice::from_ref(&newcomer)).unwrap();
    assert!(answer[0].is_ok(), "the only idle one goes: {answer:?}");
    assert_eq!(count(&store).len(), 2, "what it reported stays counted");

    fill(&mut store, NOW, Duration::ZERO);
    let answer = put(&mut store, &[batch(3, Vec::new())]).unwrap();
    assert!(matches!(answer[0], Err(StoreError::TooManyReporters)), "all of them report: {answer:?}");

    let later = NOW.after(IDLE * 2);
    store.db.execute("UPDATE nodes SET first_seen = ?1 WHERE id = 2", params![days]).unwrap();
    let (_, from, real) = batch(3, Vec::new());
    let answer = store.put(&[(later, from, real)], |_| true).unwrap();
    assert!(answer[0].is_ok(), "{answer:?}");
    let left = |id: i64| {
        let sql = "SELECT count(*) FROM nodes WHERE id = ?1";
        store.db.query_row(sql, params![id], |row| row.get::<_, i64>(0)).unwrap() == 1
    };
    assert!(left(2) && !left(3), "who was here for days is not the first to go");
}

#[test]
fn who_makes_way_hands_his_number_to_nobody() {
    let (_dir, mut store) = store();
    fill(&mut store, NOW.before(IDLE * 2), Duration::ZERO);
    let max = |store: &Store| -> i64 {
        store.db.query_row("SELECT max(id) FROM nodes", [], |row| row.get(0)).unwrap()
    };
    let before = max(&store);
    put(&mut store, &[batch(1, Vec::new())]).unwrap()[0].clone().unwrap();
    assert_eq!(max(&store), before + 1);
}

#[test]
fn a_reporter_that_nobody_knows_needs_the_leave_of_its_address_and_a_known_one_does_not() {
    let (_dir, mut store) = store();
    let known = batch(1, vec![(1, 0, attempt(1, None))]);
    put(&mut store, std::slice::from_ref(&known)).unwrap();
    let answer = store.put(&[known, batch(2, Vec::new())], |_| false).unwrap();
    assert!(answer[0].is_ok(), "{answer:?}");
    assert!(matches!(answer[1], Err(StoreError::TooManyNewcomers)), "{answer:?}");
}

#[test]
fn what_a_clock_that_was_ahead_wrote_makes_nobody_look_alive() {
    let (_dir, mut store) = store();
    let ahead = NOW.after(Duration::from_secs(10 * 365 * 86_400));
    let state = |known| {
        let links = LinkCounts::default();
        Fact::Node(NodeFact { nat: NatType::None, known, tried: 1, links, propagation: None, relay: None })
    };
    for (node, moved) in [(1, attempt(1, None)), (2, state(7))] {
        let (_, from, batch) = batch(node, vec![(1, 0, moved)]);
        store.put(&[(ahead, from, batch)], |_| true).unwrap();
    }
    assert!(count(&store).is_empty());
    let page = crate::registry::answers::overview(&store, KEEP, None, NOW).unwrap();
    assert_eq!((page.kpi.last_report_s, page.kpi.population.nodes), (None, 0));
    assert!(page.nodes.nodes.iter().all(|n| n.stale && n.last_seen_s.is_none() && n.nat_type.is_none()));
    // Those that report now are what they say, and stand first.
    put(&mut store, &[batch(2, vec![(2, 0, state(3))])]).unwrap();
    let page = crate::registry::answers::overview(&store, KEEP, None, NOW).unwrap();
    assert_eq!((page.kpi.last_report_s, page.kpi.population.nodes), (Some(0), 1));
    let first = &page.nodes.nodes[0];
    assert_eq!((first.last_seen_s, first.stale), (Some(0), false));
    assert_eq!(first.cache.as_ref().map(|c| c.known), Some(3));
}

/// A database of some pages, with a page of it overwritten.
fn damaged() -> (tempfile::TempDir, std::path::PathBuf) {
    use std::os::unix::fs::FileExt as _;
    let (dir, mut store) = store();
    put(&mut store, &[batch(1, (1..400).map(|n| (n, 0, attempt(n, None))).collect())]).unwrap();
    let pages: i64 = store.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    drop(store);
    let path = dir.path().join("r.db");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for page in pages / 2..pages {
        file.write_all_at(&[0xa5; 2000], page.cast_unsigned() * 4096).unwrap();
    }
    (dir, path)
}

#[test]
fn a_damaged_database_is_found_at_the_start_and_nothing_more_is_stored_in_it() {
    let (_dir, path) = damaged();
    let before = std::fs::read(&path).unwrap();
    let mut store = Store::open(&path, KEEP).unwrap();
    assert!(store.damage().is_some());
    let why = put(&mut store, &[batch(2, Vec::new())]).unwrap_err();
    assert!(matches!(why, StoreError::Damaged(_)) && why.to_string().contains("put a backup"), "{why}");
    assert!(!store.prune(NOW.after(KEEP * 2)).unwrap());
    drop(store);
    assert!(std::fs::read(&path).unwrap() == before, "it is left as it was");
}

#[test]
fn a_database_of_two_names_is_refused() {
    let (dir, store) = store();
    drop(store);
    let other = dir.path().join("other.db");
    std::fs::hard_link(dir.path().join("r.db"), &other).unwrap();
    for path in [dir.path().join("r.db"), other] {
        let why = Store::open(&path, KEEP).unwrap_err().to_string();
        assert!(why.contains("2 names (hard links)"), "{why}");
    }
}
