//! The fleet, and what is kept of each of its nodes.

use super::*;
use crate::tui::bindings::FleetKey;
use crate::tui::fleet::{FleetCommand, FleetView};
use crate::tui::overlays::Overlay;

fn with_fleet(view: FleetView) -> Bench {
    let mut b = busy();
    b.send(Input::Fleet(Arc::new(view)));
    b
}

fn in_fleet() -> Bench {
    with_fleet(demo::fleet())
}

fn asked(effects: &[Effect]) -> Option<&FleetCommand> {
    effects.iter().find_map(|effect| match effect {
        Effect::Fleet(command) => Some(command),
        _ => None,
    })
}

#[test]
fn without_a_fleet_its_key_says_how_to_get_one() {
    let mut b = busy();
    b.keys("F");
    let says = "F: this needs a fleet: punchdeck attach --fleet FILE looks at one, and punchdeck lab is one";
    assert_eq!(b.message(), says);
}

#[test]
fn the_worst_comes_first_and_enter_goes_to_the_chosen_node() {
    let mut b = in_fleet();
    b.keys("Fg");
    b.press(KeyCode::Enter);
    assert_eq!(b.message(), "enter: ber does not answer", "the silent one is first");
    b.keys("j");
    assert_eq!(asked(&b.press(KeyCode::Enter)), Some(&FleetCommand::Show("sgp".to_owned())));
    assert!(b.app.overlays.is_empty(), "who goes to another node wants to see it");
}

#[test]
fn the_node_that_the_console_is_on_is_chosen_and_is_not_gone_to() {
    let mut b = in_fleet();
    b.keys("F");
    b.press(KeyCode::Enter);
    assert_eq!(b.message(), "enter: the console is on fra already");
}

#[test]
fn backspace_goes_back_to_the_node_of_before() {
    let mut b = in_fleet();
    b.press(KeyCode::Backspace);
    assert_eq!(b.message(), "backspace: the console was on no other node before");
    b.send(Input::Fleet(Arc::new(FleetView { shown: "nyc".to_owned(), ..demo::fleet() })));
    assert_eq!(asked(&b.press(KeyCode::Backspace)), Some(&FleetCommand::Show("fra".to_owned())));
}

#[test]
fn two_nodes_are_compared_by_one_key_on_each_and_the_answer_opens() {
    let mut b = in_fleet();
    b.keys("Fo");
    assert_eq!(asked(&b.keys("D")), None);
    assert_eq!(b.message(), "fra is compared with the node that is taken next");
    b.keys("j");
    let names = ["fra".to_owned(), "nyc".to_owned()];
    assert_eq!(asked(&b.keys("D")), Some(&FleetCommand::Compare(names)));
    let compared = Some(Arc::new(demo::compared()));
    b.send(Input::Fleet(Arc::new(FleetView { compared, ..demo::fleet() })));
    assert!(matches!(b.app.overlays.top(), Some(Overlay::Compared)));
    b.press(KeyCode::Esc);
    assert!(matches!(b.app.overlays.top(), Some(Overlay::Fleet)));
}

#[test]
fn the_same_node_twice_is_no_comparison() {
    let mut b = in_fleet();
    b.keys("FD");
    assert_eq!(asked(&b.keys("D")), None);
    b.keys("g");
    b.keys("D");
    assert_eq!(b.message(), "D: ber does not answer");
}

#[test]
fn only_the_matrix_has_columns() {
    let mut b = in_fleet();
    b.keys("F");
    assert!(b.app.available(Action::Fleet(FleetKey::Right)).is_err());
    b.press(KeyCode::Tab);
    assert_eq!(b.app.available(Action::Fleet(FleetKey::Right)), Ok(()));
}

#[test]
fn what_came_of_going_to_a_node_is_said_once() {
    let mut b = in_fleet();
    let mut view = demo::fleet();
    view.say(false, "no node answers".to_owned());
    b.send(Input::Fleet(Arc::new(view.clone())));
    assert_eq!(b.message(), "no node answers");
    b.keys("c");
    b.send(Input::Sent(Command::NatProbe, Ok(CommandId(4))));
    view.at = view.at.after(Duration::from_secs(1));
    b.send(Input::Fleet(Arc::new(view)));
    assert_eq!(b.message(), "");
}

#[test]
fn who_comes_back_to_a_node_finds_its_selection_its_events_and_its_moments() {
    let mut b = in_fleet();
    b.select(NYC);
    for event in demo::events() {
        b.send(Input::Event(event));
    }
    let mut later = Snapshot::clone(&demo::busy());
    later.at = later.at.after(Duration::from_secs(2));
    Arc::make_mut(&mut later.node).observed_addrs.clear();
    b.send(Input::Snapshot(Arc::new(later.clone())));
    let events = b.app.panes.events.log().count();
    let reach = b.app.history.reach();
    b.send(Input::Switched(demo::neighbour()));
    assert_eq!(b.app.panes.events.log().count(), 0, "those were of another node");
    assert_ne!(b.app.history.reach(), reach);
    b.keys("jj");
    assert_ne!(b.app.panes.peers.selected(), Some(demo::id(NYC)));
    let elsewhere = b.app.panes.peers.selected();
    b.send(Input::Switched(Arc::new(later)));
    assert_eq!(b.app.panes.events.log().count(), events);
    assert_eq!(b.app.history.reach(), reach);
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id(NYC)));
    b.send(Input::Switched(demo::neighbour()));
    assert_eq!(b.app.panes.peers.selected(), elsewhere);
}

#[test]
fn pseudonyms_stay_the_same_from_node_to_node_and_commands_find_who_is_meant() {
    let mut b = in_fleet();
    b.select(NYC);
    b.app.set_masked(true);
    let masked = b.app.panes.peers.selected();
    b.send(Input::Switched(demo::neighbour()));
    b.keys("jj");
    b.send(Input::Switched(demo::busy()));
    assert_eq!(b.app.panes.peers.selected(), masked, "the same peer under the same pseudonym");
    b.keys("Fgj");
    assert_eq!(asked(&b.press(KeyCode::Enter)), Some(&FleetCommand::Show("sgp".to_owned())));
}

#[test]
fn what_two_ends_disagree_about_is_a_finding_once_both_had_the_time_to_notice() {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    let seen = |b: &mut Bench| {
        let area = Rect::new(0, 0, 140, 40);
        let mut buf = Buffer::empty(area);
        b.send(Input::Fleet(Arc::new(demo::fleet())));
        crate::tui::view::draw(&b.app, area, &mut buf);
        let text: String = buf.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.contains("fra calls its link to sgp direct, and sgp calls it punched")
    };
    let mut b = in_fleet();
    b.keys("F");
    assert!(!seen(&mut b), "it may be that one end has just heard of it");
    b.at += crate::model::truth::NOTICED_WITHIN;
    assert!(seen(&mut b));
}
