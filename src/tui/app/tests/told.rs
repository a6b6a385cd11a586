//! Nothing that is shown outlives what it is about.

use super::*;
use crate::model::{Command, CommandId, Event, EventKind};

#[test]
fn a_key_that_closed_something_quits_only_when_it_is_meant() {
    let mut b = busy();
    b.keys("?");
    assert!(b.keys("q").is_empty() && b.app.overlays.is_empty(), "the help is closed");
    assert!(b.keys("q").is_empty(), "pressed twice by mistake");
    assert_eq!(b.message(), "q closed what was open; q once more leaves");
    assert_eq!(b.keys("q"), [Effect::Quit]);

    let mut b = busy();
    b.keys("?q");
    b.at += Duration::from_secs(1);
    assert_eq!(b.keys("q"), [Effect::Quit], "later it is meant");

    let mut b = busy();
    b.keys("?q");
    let ctrl_c = Input::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(b.send(ctrl_c), [Effect::Quit], "another key is always meant");
}

#[test]
fn nothing_grows_older_of_a_node_that_is_gone() {
    let mut b = busy();
    b.send(Input::NodeGone(Gone::Stopped));
    let then = b.app.node_now();
    b.at += Duration::from_secs(3600);
    b.send(Input::Tick);
    assert_eq!(b.app.node_now(), then);
    b.send(Input::NodeBack(demo::busy()));
    b.at += Duration::from_secs(5);
    b.send(Input::Tick);
    assert!(b.app.node_now() > then, "it goes on with the node");
}

fn event(at: u64) -> Input {
    let at = demo::busy().at.after(Duration::from_millis(at));
    Input::Event(Arc::new(Event {
        seq: at.0.unsigned_abs(),
        at,
        peer_id: None,
        kind: EventKind::PeerForeign,
    }))
}

#[test]
fn what_happened_stands_in_order_whichever_way_it_came() {
    let mut b = busy();
    let done = Outcome { id: CommandId(9), command: Command::NatProbe, result: Err(Reason::Busy.into()) };
    b.send(event(0));
    b.send(event(400));
    // Noted when the console hears of it, which is 30 ms after its start.
    b.send(Input::Outcome(Arc::new(done)));
    b.send(event(200));
    // Another run of a node: no earlier place is its place.
    b.send(Input::Event(Arc::new(Event {
        seq: 1,
        at: demo::busy().at.before(Duration::from_secs(3600)),
        peer_id: None,
        kind: EventKind::PeerForeign,
    })));
    let times: Vec<i64> =
        b.app.panes.events.log().all().map(|entry| entry.at().0 - demo::busy().at.0).collect();
    assert_eq!(times, [0, 30, 200, 400, -3_600_000]);
    // A filter knows them by their places.
    b.keys("7/command");
    assert_eq!(b.app.panes.filtered(Filtered::Events).passing(), (1, 5));
    b.press(KeyCode::Enter);
    b.send(event(300));
    assert_eq!(b.app.panes.filtered(Filtered::Events).passing(), (1, 6));
}
