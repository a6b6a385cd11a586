use super::*;
use crate::model::{
    AttemptFact, AttemptId, AttemptOutcome, Cause, FailoverFact, LinkCounts, NatType, PeerId, RelayLoad,
};

const ME: PeerId = PeerId([1; 32]);

fn reporting(left: Vec<Waiting>) -> Reporting {
    let reporter = Reporter { peer_id: ME, name: "a".into(), version: "0".into(), network: "n".into() };
    Reporting::new(reporter, left, 42, Now::START)
}

fn fact() -> Fact {
    Fact::Failover(FailoverFact { from: ME, to: None, gap_ms: None, lost: None })
}

fn after(secs: f64) -> Now {
    Now::START.plus(Duration::from_secs_f64(secs))
}

#[track_caller]
fn sent(reporting: &mut Reporting, now: Now) -> Vec<u64> {
    match reporting.poll(now) {
        Some(Todo::Send(batch)) => batch.reports.iter().map(|r| r.id.seq).collect(),
        other => panic!("{other:?}"),
    }
}

fn away() -> Answer {
    Answer::Away("nobody there".into(), None)
}

#[test]
fn a_batch_leaves_within_five_seconds_of_its_first_report() {
    let mut r = reporting(Vec::new());
    assert_eq!(r.next_timeout(), None);
    r.tell(fact(), after(10.0));
    r.tell(fact(), after(13.9));
    let due = r.next_timeout().unwrap();
    assert!(due <= (after(15.0)).mono, "{due:?}");
    assert_eq!(r.poll(after(13.9)), None);
    assert_eq!(sent(&mut r, after(14.0)), [1, 2]);
    assert_eq!(r.view().state, ReportingState::Sending);
    r.answered(Answer::Taken, after(14.1));
    assert_eq!((r.view().taken, r.view().queued), (2, 0));
    assert_eq!(r.poll(after(100.0)), None);
}

#[test]
fn a_report_says_how_long_ago_it_happened() {
    let mut r = reporting(Vec::new());
    r.tell(fact(), after(0.0));
    let Some(Todo::Send(batch)) = r.poll(after(7.5)) else { panic!("due") };
    assert_eq!(batch.reports[0].age_ms, 7_500);
}

#[test]
fn a_full_batch_leaves_at_once_and_the_next_one_not_before_its_turn() {
    let mut r = reporting(Vec::new());
    for _ in 0..=2 * REGISTRY_BATCH_MAX {
        r.tell(fact(), after(1.0));
    }
    assert_eq!(sent(&mut r, after(1.0)).len(), REGISTRY_BATCH_MAX);
    assert_eq!(r.poll(after(9.0)), None, "one batch at a time");
    r.answered(Answer::Taken, after(1.1));
    assert_eq!(r.poll(after(1.9)), None);
    assert_eq!(sent(&mut r, after(2.2)).len(), REGISTRY_BATCH_MAX);
}

#[test]
fn what_a_registry_that_is_away_did_not_take_is_sent_again_as_what_it_was() {
    let mut r = reporting(Vec::new());
    r.tell(fact(), after(0.0));
    assert_eq!(sent(&mut r, after(4.0)), [1]);
    r.answered(away(), after(4.0));
    assert!(matches!(r.view().state, ReportingState::Away { .. }));
    r.tell(fact(), after(4.5));
    assert_eq!(r.poll(after(4.5)), Some(Todo::Spill));
    assert_eq!(sent(&mut r, after(9.5)), [1, 2]);
    r.answered(Answer::Taken, after(9.6));
    assert_eq!(r.poll(after(9.6)), Some(Todo::Clear), "the spill is of no use any more");
    assert_eq!(r.poll(after(9.6)), None);
}

#[test]
fn a_registry_that_stays_away_is_asked_once_a_minute_in_the_end_and_no_more_than_it_says() {
    let mut r = reporting(Vec::new());
    let mut now = after(0.0);
    r.tell(fact(), now);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let begun = now;
        while !matches!(r.poll(now), Some(Todo::Send(_))) {
            now = now.plus(Duration::from_millis(100));
        }
        waits.push(now.mono.since(begun.mono).as_secs_f64());
        r.answered(away(), now);
    }
    assert!(waits[1] <= 6.0 && waits[11] > 45.0 && waits[11] < 75.0, "{waits:?}");
    while !matches!(r.poll(now), Some(Todo::Send(_))) {
        now = now.plus(Duration::from_millis(100));
    }
    r.answered(Answer::Away("busy".into(), Some(Duration::from_secs(100_000))), now);
    assert!(r.send_at().unwrap() <= now.mono + PAUSE_MAX + BATCH_AFTER, "not for ever");
}

#[test]
fn the_queue_is_bounded_and_counts_what_it_dropped() {
    let mut r = reporting(Vec::new());
    r.tell(fact(), after(0.0));
    assert_eq!(sent(&mut r, after(4.0)), [1]);
    for _ in 0..KEPT_MAX + 10 {
        r.tell(fact(), after(4.0));
    }
    assert_eq!((r.view().queued, r.view().dropped), (KEPT_MAX as u64, 11));
    assert_eq!(r.queue[0].id.seq, 1, "what is on its way is not dropped");
    r.answered(Answer::Taken, after(4.5));
    assert_eq!(r.view().taken, 1);
    assert_eq!(r.queue[0].id.seq, 13, "the oldest went");
}

#[test]
fn a_batch_that_is_refused_for_good_is_not_sent_again() {
    let mut r = reporting(Vec::new());
    r.tell(fact(), after(0.0));
    sent(&mut r, after(4.0));
    r.answered(Answer::Refused("no such schema".into()), after(4.0));
    assert_eq!((r.view().refused, r.view().queued), (1, 0));
    assert_eq!(r.view().trouble.as_deref(), Some("no such schema"));
}

#[test]
fn the_queue_survives_a_restart_with_its_names() {
    let mut r = reporting(Vec::new());
    r.tell(fact(), after(0.0));
    let text = serde_json::to_string(&r.kept().collect::<Vec<_>>()).unwrap();
    let left: Vec<Waiting> = serde_json::from_str(&text).unwrap();
    let mut again = Reporting::new(r.reporter.clone(), left, 43, Now::START);
    again.tell(fact(), after(1.0));
    let Some(Todo::Send(batch)) = again.poll(after(9.0)) else { panic!("due") };
    let ids: Vec<_> = batch.reports.iter().map(|r| (r.id.run, r.id.seq)).collect();
    assert_eq!(ids, [(42, 1), (43, 1)]);
}

#[test]
fn how_a_node_is_is_told_at_once_when_its_nat_changes_and_else_rarely() {
    let status = |nat, known| NodeFact {
        nat,
        known,
        tried: 0,
        links: LinkCounts::default(),
        propagation: None,
        relay: None,
    };
    let mut r = reporting(Vec::new());
    r.status(status(NatType::Unknown, 1), after(0.0));
    r.status(status(NatType::Unknown, 2), after(1.0));
    r.status(status(NatType::Symmetric, 2), after(2.0));
    r.status(status(NatType::Symmetric, 3), after(3.0));
    assert_eq!(r.view().queued, 2);
    r.status(status(NatType::Symmetric, 3), after(7.5));
    assert_eq!(r.view().queued, 3);
    r.status(status(NatType::Symmetric, 3), after(60.0));
    assert_eq!(r.view().queued, 3);
    r.status(status(NatType::Symmetric, 3), after(68.0));
    assert_eq!(r.view().queued, 4);
}

#[test]
fn bytes_that_are_relayed_are_no_news_and_another_peer_served_is() {
    let status = |sessions, bytes| NodeFact {
        nat: NatType::None,
        known: 1,
        tried: 1,
        links: LinkCounts::default(),
        propagation: None,
        relay: Some(RelayLoad { sessions, bytes }),
    };
    let mut r = reporting(Vec::new());
    r.status(status(1, 0), after(0.0));
    r.status(status(1, 9_000), after(10.0));
    assert_eq!(r.view().queued, 1);
    r.status(status(2, 9_000), after(11.0));
    assert_eq!(r.view().queued, 2);
}

#[test]
fn the_largest_batch_fits_into_what_a_registry_takes() {
    let mut r = reporting(Vec::new());
    r.reporter.name = "\"".repeat(64);
    r.run = u64::MAX;
    r.next_seq = u64::MAX / 2;
    for _ in 0..REGISTRY_BATCH_MAX {
        let attempt = AttemptFact {
            attempt: AttemptId(u64::MAX),
            peer: Some(ME),
            cause: Cause::Reconnect,
            again: false,
            outcome: AttemptOutcome::Unreachable,
            path: Some(crate::model::Path::Relayed),
            elapsed_ms: u64::MAX,
            own_nat: NatType::AddressRestricted,
            peer_nat: NatType::AddressRestricted,
            reason: Some("loopback_cannot_be_punched".into()),
        };
        r.tell(Fact::Attempt(attempt), after(0.0));
    }
    let Some(Todo::Send(batch)) = r.poll(after(1e9)) else { panic!("due") };
    let bytes = serde_json::to_vec(&batch).unwrap().len();
    assert!(bytes <= crate::core::limits::REGISTRY_BODY_MAX, "{bytes}");
}
