//! What is said is so: one fact has one name, and what is now is told apart from what
//! an attempt came to.

use super::*;
use crate::model::{
    Attempt, AttemptOutcome, Figures, KpiView, LinkReport, LinkRow, NatView, RelaysView, StageKind,
    StageOutcome, StageReport,
};

/// The busy fleet in which the newest attempt is one towards its first linked peer,
/// whose link is made to be like this.
fn after(attempt: impl FnOnce(&mut Attempt), link: impl FnOnce(&mut LinkRow)) -> Arc<Snapshot> {
    let mut shown = Snapshot::clone(&demo::busy());
    let mut links = Vec::clone(&shown.links);
    link(&mut links[0]);
    let (peer, path) = (links[0].peer_id, links[0].path);
    let mut all = crate::model::AttemptsView::clone(&shown.attempts);
    let mut newest = Attempt::clone(&all.recent[0]);
    newest.peer_id = Some(peer);
    attempt(&mut newest);
    let mut rows = Vec::clone(&shown.peers);
    let row = rows.iter_mut().find(|row| row.peer_id == peer).unwrap();
    let changed = PeerRow { attempt: Some(newest.id), path: Some(path), ..PeerRow::clone(row) };
    *row = Arc::new(changed);
    all.live.clear();
    all.recent = vec![Arc::new(newest)];
    shown.links = Arc::new(links);
    shown.peers = Arc::new(rows);
    shown.attempts = Arc::new(all);
    Arc::new(shown)
}

fn escalation(shown: Arc<Snapshot>) -> String {
    Shot::of(shown, SMALL).keys("2").text()
}

#[test]
fn an_attempt_that_failed_says_that_the_peer_came_in_since() {
    let shown = after(
        |attempt| attempt.outcome = Some(AttemptOutcome::Unreachable),
        |link| (link.path, link.outbound) = (Path::Direct, false),
    );
    let text = escalation(shown);
    assert!(text.contains("unreachable") && text.contains("now    direct, it dialled us"), "{text}");
}

#[test]
fn the_first_usable_link_and_the_one_that_stands_are_two_facts() {
    let shown = after(
        |attempt| (attempt.outcome, attempt.path) = (Some(AttemptOutcome::Connected), Some(Path::Direct)),
        |link| (link.path, link.outbound) = (Path::Punched, true),
    );
    let text = escalation(shown.clone());
    assert!(text.contains("now    punched, we dialled it"), "{text}");
    let item = serde_json::to_value(crate::model::contract::Attempts::new(&shown, None)).unwrap();
    let item = &item["attempts"][0];
    assert_eq!((&item["path"], &item["path_now"]), (&"direct".into(), &"punched".into()));
    let same = after(
        |attempt| (attempt.outcome, attempt.path) = (Some(AttemptOutcome::Connected), Some(Path::Direct)),
        |link| link.path = Path::Direct,
    );
    assert!(!escalation(same).contains("now  "), "nothing became of it");
    let kpi = Shot::busy(SMALL).keys("6").text();
    assert!(kpi.contains("1st link  direct 27  punched 9  relayed 5"), "{kpi}");
}

#[test]
fn an_upgrade_that_found_nothing_leaves_nobody_unreachable() {
    let shown = after(
        |attempt| attempt.outcome = Some(AttemptOutcome::NoBetterPath),
        |link| link.path = Path::Relayed,
    );
    let text = escalation(shown);
    assert!(text.contains("no better path") && !text.contains("unreachable"), "{text}");
}

#[test]
fn stages_that_ran_side_by_side_say_so_and_from_when_on() {
    let begun = demo::NOW.before(Duration::from_secs(20));
    let stage = |stage, outcome, after: u64, elapsed_ms, reason| StageReport {
        stage,
        outcome,
        reason,
        started: begun.after(Duration::from_millis(after)),
        elapsed_ms: Some(elapsed_ms),
        via: None,
        guess: None,
    };
    let shown = after(
        |attempt| {
            (attempt.outcome, attempt.path) = (Some(AttemptOutcome::Connected), Some(Path::Relayed));
            (attempt.started, attempt.elapsed_ms) = (begun, Some(3_260));
            attempt.stages = vec![
                stage(
                    StageKind::Direct,
                    StageOutcome::Failed,
                    0,
                    2_000,
                    Some(Reason::NoAnswer { addresses: 1 }),
                ),
                stage(
                    StageKind::Punch,
                    StageOutcome::Failed,
                    2_000,
                    6_240,
                    Some(Reason::TimedOut { after_ms: 6_240 }),
                ),
                stage(StageKind::Relay, StageOutcome::Ok, 2_250, 1_010, None),
            ];
        },
        |link| link.path = Path::Relayed,
    );
    let text = Shot::of(shown.clone(), LARGE).keys("2z").text();
    let line = |word: &str| text.lines().find(|l| l.contains(word)).unwrap().to_owned();
    assert!(!line("direct ✗").contains("in parallel"), "{text}");
    let punch = line("punch  ✗");
    assert!(punch.contains("6.24 s") && punch.contains("no result after 6.24 s"), "one time: {punch}");
    assert!(punch.contains("from +2.00 s in parallel"), "{punch}");
    assert!(line("relay  ✓").contains("from +2.25 s in parallel"), "{text}");
    let told = serde_json::to_value(crate::model::contract::Attempts::new(&shown, None)).unwrap();
    let punch = &told["attempts"][0]["stages"][1];
    assert_eq!((&punch["started_ms"], &punch["in_parallel"]), (&2_000.into(), &true.into()));
}

#[test]
fn a_command_that_had_nothing_to_do_has_no_tick() {
    let peer = demo::busy().links[0].peer_id;
    let path = Some(Path::Direct);
    let report =
        LinkReport { peer_id: peer, before: path, path, elapsed_ms: 0, stages: Vec::new(), note: None };
    for (command, done) in [
        (Command::Punch { peer }, Done::NothingToDo(report.clone())),
        (Command::Connect { peer }, Done::Connected(report)),
    ] {
        let mut shot = Shot::busy(LARGE);
        shot.input(Input::Sent(command.clone(), Ok(CommandId(1))));
        let outcome = Outcome { id: CommandId(1), command, result: Ok(done) };
        shot.input(Input::Outcome(Arc::new(outcome)));
        let text = shot.text();
        assert!(
            text.contains("nothing to do") && !text.contains("✓ punch") && !text.contains("✓ connect"),
            "{text}"
        );
    }
}

fn relays(before: RelaysView, after: RelaysView) -> String {
    let with = |relays| Arc::new(Snapshot { relays: Arc::new(relays), ..Snapshot::clone(&demo::busy()) });
    let mut shot = Shot::of(with(before), LARGE);
    shot.input(Input::Snapshot(with(after)));
    shot.keys("3z").text()
}

#[test]
fn a_reservation_that_is_renewed_has_no_end_and_one_that_is_gone_no_role() {
    let held = RelaysView::clone(&demo::busy().relays);
    let mut before = held.clone();
    before.reservations[0].state = crate::model::ReservationState::Ready;
    before.reservations[0].expires = Some(demo::NOW.after(Duration::from_secs(30)));
    let mut after = before.clone();
    // The active one is lost, and the standby takes over.
    after.reservations.remove(0);
    after.reservations[0].role = crate::model::RelayRole::Active;
    after.reservations[0].expires = Some(demo::NOW.after(Duration::from_secs(30)));
    let text = relays(before, after);
    let rows: Vec<&str> = text.lines().filter(|l| l.contains(" active ")).collect();
    assert_eq!(rows.len(), 1, "one is the active one: {text}");
    assert!(rows[0].contains("renewed") && !rows[0].contains("in 30s"), "{text}");
    assert!(text.lines().any(|l| l.contains("× ended")), "{text}");
}

#[test]
fn retries_towards_a_peer_that_is_down_are_one_span_in_the_criterion_and_attempts_beside_it() {
    let figures = Figures {
        attempts: 36,
        connected: 13,
        rate: Some(13.0 / 36.0),
        interval: crate::core::kpi::wilson(13, 36),
        direct: 13,
        punched: 0,
        relayed: 0,
        unreachable: 23,
        unreached: 2,
        ..Figures::default()
    };
    let kpi = KpiView { figures, ..KpiView::default() };
    let shown = Snapshot { kpi: Arc::new(kpi), ..Snapshot::clone(&demo::busy()) };
    let text = Shot::of(Arc::new(shown), LARGE).keys("6z").text();
    let line = |word: &str| text.lines().find(|l| l.contains(word)).unwrap().to_owned();
    assert!(line("Connectivity").contains("13 of 15"), "{text}");
    assert!(line("connected").contains("13 of 36 attempts"), "{text}");
    assert!(line("1st link").contains("unreached 2"), "{text}");
}

#[test]
fn a_nat_that_changed_is_said_to_be_measured_and_nothing_of_before() {
    let nat = NatView::unknown(Reason::NatChanging);
    let shown = Snapshot { nat: Arc::new(nat), ..Snapshot::clone(&demo::busy()) };
    let text = Shot::of(Arc::new(shown), SMALL).keys("5").text();
    assert!(text.contains("changed, measuring"), "{text}");
    assert!(!text.contains("0.9"), "no confidence of what was: {text}");
}

#[test]
fn observers_of_a_symmetric_nat_see_other_ports_and_have_the_same_verdict() {
    let mut shown = Snapshot::clone(&demo::busy());
    let mut nat = NatView::clone(&shown.nat);
    nat.nat_type = crate::model::NatType::Symmetric;
    nat.vantage_points[1].seen.set_port(54_498);
    shown.nat = Arc::new(nat);
    let text = Shot::of(Arc::new(shown), SMALL).keys("5").text();
    assert!(text.matches("same verdict: symmetric").count() == 2 && !text.contains("agrees"), "{text}");
    assert!(Shot::busy(SMALL).keys("5").text().contains("agrees"), "where the ports are the same");
}
