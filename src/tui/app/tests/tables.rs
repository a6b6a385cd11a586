//! What left a table, and what is selected in it.

use super::*;

fn without(head: [u8; 3]) -> Input {
    Input::Snapshot(with_peers(|p| p.retain(|p| p.peer_id != demo::id(head))))
}

#[test]
fn a_selected_peer_that_is_gone_stays_for_six_seconds_and_no_key_meets_its_neighbour() {
    let mut b = busy();
    b.select(NYC);
    let (place, count) = (b.app.panes.peers.cursor(), b.app.panes.peers.len());
    b.send(without(NYC));
    assert_eq!((b.app.panes.peers.selected(), b.app.panes.peers.len()), (Some(demo::id(NYC)), count));
    assert!(b.app.panes.peers.row(place.unwrap()).is_some_and(|r| r.left), "it stays where it was");
    assert!(b.keys("s").is_empty());
    assert_eq!(b.message(), "s: 1b88f0 is not in the cache any more");
    b.send(Input::Snapshot(demo::busy()));
    assert!(b.app.panes.peers.row(place.unwrap()).is_some_and(|r| !r.left), "it is back");

    b.send(without(NYC));
    let neighbour = b.app.panes.peers.row(place.unwrap() + 1).map(|r| r.row.peer_id);
    b.at += Duration::from_secs(6);
    b.send(Input::Tick);
    assert_eq!((b.app.panes.peers.len(), b.app.panes.peers.cursor()), (count - 1, place));
    assert_eq!(b.app.panes.peers.selected(), neighbour);
}

#[test]
fn what_left_while_the_screen_was_frozen_is_not_told_of_except_what_was_selected() {
    let mut b = busy();
    b.select(NYC);
    b.keys(" ");
    b.send(Input::Snapshot(demo::empty()));
    assert_eq!(b.app.panes.peers.len(), demo::busy().peers.len());
    b.keys(" ");
    assert_eq!((b.app.panes.peers.len(), b.app.panes.peers.selected()), (1, Some(demo::id(NYC))));
}

#[test]
fn the_selected_attempt_stays_selected_and_peer_keys_are_about_its_peer() {
    let mut b = busy();
    b.select(NYC);
    b.keys("2");
    let live = demo::id([0x8c, 0x40, 0x02]);
    assert_eq!(b.app.target(), Some(live));
    let mut snapshot = Snapshot::clone(&demo::busy());
    let attempts = Arc::make_mut(&mut snapshot.attempts);
    let mut ended = Attempt::clone(&attempts.live.remove(0));
    ended.outcome = Some(crate::model::AttemptOutcome::Unreachable);
    attempts.recent.insert(0, Arc::new(ended.clone()));
    let newer = Attempt { id: crate::model::AttemptId(99), peer_id: Some(demo::id(NYC)), ..ended };
    attempts.live.push(Arc::new(newer));
    b.send(Input::Snapshot(Arc::new(snapshot)));
    assert_eq!((b.app.target(), b.app.panes.escalation.attempts().cursor()), (Some(live), Some(1)));
    assert_eq!(b.keys("c"), [Effect::Send(Command::Connect { peer: live })]);
    b.keys("ooO");
    assert_eq!((b.app.panes.escalation.attempts().sort(), b.app.target()), (("name", true), Some(live)));
    b.keys("1");
    assert_eq!(b.app.target(), Some(demo::id(NYC)), "the peers have a selection of their own");
}

#[test]
fn until_somebody_chooses_an_attempt_the_first_is_selected() {
    let mut b = busy();
    let with_another = |id| {
        let mut snapshot = Snapshot::clone(&demo::busy());
        let attempts = Arc::make_mut(&mut snapshot.attempts);
        let live = attempts.live[0].clone();
        for id in 90..=id {
            let id = crate::model::AttemptId(id);
            attempts.live.insert(0, Arc::new(Attempt { id, ..(*live).clone() }));
        }
        Input::Snapshot(Arc::new(snapshot))
    };
    b.send(with_another(90));
    assert_eq!(b.app.panes.escalation.attempts().cursor(), Some(0));
    b.keys("2");
    b.send(with_another(91));
    assert_eq!(
        b.app.panes.escalation.attempts().cursor(),
        Some(1),
        "keys are about it: it stays with its attempt"
    );
    b.keys("j1");
    let chosen = b.app.panes.escalation.attempts().cursor();
    b.send(with_another(92));
    assert_eq!(b.app.panes.escalation.attempts().cursor(), chosen.map(|at| at + 1));
}

#[test]
fn a_reservation_that_is_lost_stays_for_six_seconds() {
    let mut b = busy();
    b.keys("3j");
    let sgp = demo::id([0x5e, 0x01, 0xc9]);
    assert_eq!(b.app.target(), Some(sgp));
    let relays_without = |at| {
        let mut snapshot = Snapshot::clone(&demo::busy());
        Arc::make_mut(&mut snapshot.relays).reservations.remove(at);
        snapshot
    };
    let snapshot = Arc::new(relays_without(1));
    b.send(Input::Snapshot(snapshot.clone()));
    assert_eq!(b.app.panes.relays.held().iter().map(|(_, left)| left).collect::<Vec<_>>(), [false, true]);
    b.send(Input::Snapshot(Arc::new(relays_without(0))));
    let lost: Vec<_> =
        b.app.panes.relays.held().iter().map(|(row, left)| (row.relay.short(), left)).collect();
    assert_eq!(lost, [("1b88f0".to_owned(), true), ("5e01c9".to_owned(), false)], "each in its place");
    b.send(Input::Snapshot(snapshot.clone()));
    b.at += Duration::from_secs(6);
    b.send(Input::Snapshot(snapshot));
    assert_eq!((b.app.panes.relays.held().len(), b.app.target()), (1, Some(demo::id(NYC))));
}
