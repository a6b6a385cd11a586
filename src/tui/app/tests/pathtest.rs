//! `T` on a peer: what is asked for, what is shown of it, and how it ends.

use super::*;
use crate::model::{Done, PathTest, Reason};
use crate::tui::overlays::{FOR_MS, TestView};

const BER: [u8; 3] = [0x77, 0xc2, 0xab];

fn test_of(peer: PeerId) -> Command {
    Command::Test { peer, for_ms: FOR_MS }
}

/// The busy fleet, `T` pressed on its relayed peer, and the command sent.
fn asked() -> Bench {
    let mut b = busy();
    b.select(BER);
    assert_eq!(b.keys("T"), [Effect::Send(test_of(demo::id(BER)))], "it asks nothing and starts at once");
    b.send(Input::Sent(test_of(demo::id(BER)), Ok(CommandId(3))));
    b
}

fn told(b: &mut Bench, test: PathTest) {
    b.send(Input::Snapshot(demo::with_test(test)));
}

fn ended(b: &mut Bench, result: Result<Done, Reason>) {
    let command = test_of(demo::id(BER));
    let result = result.map_err(Into::into);
    b.send(Input::Outcome(Arc::new(Outcome { id: CommandId(3), command, result })));
}

fn running(b: &Bench) -> Option<bool> {
    b.app.overlays.test().map(TestView::is_running)
}

#[test]
fn escape_calls_a_test_off_and_once_more_closes_its_view() {
    let mut b = asked();
    told(&mut b, demo::path_test_running());
    assert_eq!(b.press(KeyCode::Esc), [Effect::Send(Command::EndTest { peer: demo::id(BER) })]);
    assert!(b.app.overlays.test().is_some(), "what was measured until then stays");
    assert!(b.press(KeyCode::Esc).is_empty());
    assert!(b.app.overlays.is_empty());
}

#[test]
fn a_test_can_be_called_off_by_its_key_once_and_only_while_it_runs() {
    let mut b = asked();
    assert_eq!(b.keys("x"), [Effect::Send(Command::EndTest { peer: demo::id(BER) })]);
    assert!(b.keys("x").is_empty());
    assert_eq!(b.message(), "x: no test of it runs");
    told(&mut b, demo::path_test());
    assert!(b.keys("x").is_empty() && b.app.overlays.test().is_some());
    b.press(KeyCode::Esc);
    assert!(b.app.overlays.is_empty(), "one that ended is only closed");
}

#[test]
fn the_result_stays_though_the_node_forgets_it_and_another_test_begins() {
    let mut b = asked();
    told(&mut b, demo::path_test());
    ended(&mut b, Ok(Done::Tested(Box::new(demo::path_test()))));
    assert_eq!(running(&b), Some(false));
    told(&mut b, demo::path_test_running());
    assert_eq!(running(&b), Some(false), "that one is another's");
    b.send(Input::Snapshot(demo::busy()));
    b.send(Input::NodeGone(Gone::Stopped));
    assert_eq!(running(&b), Some(false));
}

#[test]
fn an_older_test_is_not_taken_for_the_one_that_was_asked_for() {
    let mut b = Bench::new(demo::with_test(demo::path_test()));
    b.select(BER);
    b.keys("T");
    told(&mut b, demo::path_test());
    assert_eq!(running(&b), Some(true), "the node does not tell of the new one yet");
    told(&mut b, demo::path_test_refused());
    assert_eq!(running(&b), Some(false));
}

#[test]
fn a_test_of_the_peer_that_runs_already_is_watched_and_none_of_another_begins() {
    let mut b = Bench::new(demo::with_test(demo::path_test_running()));
    b.select(NYC);
    assert!(b.keys("T").is_empty());
    assert_eq!(b.message(), "T: this node runs a test already");
    b.select(BER);
    assert!(b.keys("T").is_empty(), "nothing is asked for");
    assert_eq!(running(&b), Some(true));
}

#[test]
fn once_it_ended_the_same_key_tests_again() {
    let mut b = asked();
    told(&mut b, demo::path_test());
    ended(&mut b, Ok(Done::Tested(Box::new(demo::path_test()))));
    assert_eq!(b.keys("T"), [Effect::Send(test_of(demo::id(BER)))]);
    assert_eq!((b.app.overlays.len(), running(&b)), (1, Some(true)));
}

#[test]
fn a_test_that_the_node_does_not_begin_says_why_and_its_view_closes() {
    let mut b = asked();
    ended(&mut b, Err(Reason::TestRuns));
    assert_eq!(running(&b), Some(false));
    assert!(b.press(KeyCode::Esc).is_empty() && b.app.overlays.is_empty());

    let mut b = busy();
    b.select(BER);
    b.keys("T");
    b.send(Input::Sent(test_of(demo::id(BER)), Err(SendError::Busy)));
    assert_eq!(running(&b), Some(false));
}

#[test]
fn a_test_of_a_node_that_goes_or_starts_anew_holds_nobody_up() {
    let mut b = asked();
    told(&mut b, demo::path_test_running());
    b.send(Input::NodeGone(Gone::Lost { detail: "reset".to_owned() }));
    assert!(b.press(KeyCode::Esc).is_empty() && b.app.overlays.is_empty(), "there is nobody to tell");

    let mut b = asked();
    told(&mut b, demo::path_test_running());
    b.send(Input::NodeBack(demo::busy()));
    assert_eq!(running(&b), Some(false), "it knows nothing of it");
}

#[test]
fn only_who_is_linked_and_speaks_our_protocol_can_be_tested() {
    let mut b = busy();
    for (head, why) in [([0xc0, 0xff, 0xee], Reason::NotLinked), ([0x3d, 0x07, 0x77], Reason::Foreign)] {
        b.select(head);
        assert!(b.keys("T").is_empty());
        assert_eq!(b.message(), format!("T: {why}"));
    }
}

#[test]
fn a_console_that_may_only_look_tests_nothing() {
    let mut b = busy();
    b.app.settings.read_only = true;
    b.select(BER);
    assert!(b.keys("T").is_empty() && b.app.overlays.is_empty());
    assert_eq!(b.message(), "T: this console may only look");
}

#[test]
fn from_the_why_view_it_is_about_that_peer_and_leads_back_to_it() {
    let mut b = busy();
    b.select(BER);
    b.press(KeyCode::Enter);
    assert_eq!(b.keys("T"), [Effect::Send(test_of(demo::id(BER)))]);
    told(&mut b, demo::path_test());
    b.press(KeyCode::Esc);
    assert!(matches!(b.app.overlays.top(), Some(Overlay::Why(_))));
}
