//! The palette, the search of the help, questions that want a name, and what
//! remapped keys change.

use super::*;
use crate::tui::bindings::{Danger, Keymap};
use crate::tui::lab::DrillInfo;

const BER: [u8; 3] = [0x77, 0xc2, 0xab];
const OLD: [u8; 3] = [0xc0, 0xff, 0xee];

fn palette(b: &Bench) -> &Palette {
    match b.app.overlays.top() {
        Some(Overlay::Palette(palette)) => palette,
        other => panic!("no palette but {other:?}"),
    }
}

fn titles(b: &Bench) -> Vec<&str> {
    palette(b).hits().iter().map(|hit| hit.title.as_str()).collect()
}

fn ctrl(c: char) -> Input {
    Input::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
}

#[test]
fn the_palette_offers_every_action_of_the_place_and_nothing_that_only_moves_about() {
    let mut b = busy();
    b.keys(":");
    let all = titles(&b);
    for name in
        ["why", "sync", "disconnect", "nat-probe", "copy-address", "copy-why", "filter", "help", "quit"]
    {
        assert!(all.contains(&name), "{name} in {all:?}");
    }
    assert!(!all.contains(&"up") && !all.contains(&"palette") && !all.contains(&"lab-kill"), "{all:?}");
    b.press(KeyCode::Esc);
    b.send(Input::Lab(Arc::new(demo::lab())));
    b.keys("l:");
    assert!(titles(&b).contains(&"lab-kill") && !titles(&b).contains(&"sync"), "{:?}", titles(&b));
}

#[test]
fn a_few_letters_find_an_action_and_enter_does_it_as_its_key_would() {
    let mut b = busy();
    b.keys(":syal");
    assert_eq!(titles(&b)[0], "sync-all");
    assert_eq!(b.press(KeyCode::Enter), [Effect::Send(Command::Sync { peer: None })]);
    assert!(b.app.overlays.is_empty());
    b.keys(":clipboard");
    assert_eq!(titles(&b), ["copy-id"], "what it does is looked at, too");
}

#[test]
fn a_peer_is_found_by_name_and_by_id_and_enter_selects_it() {
    let mut b = busy();
    for typed in ["hber", "77c2ab"] {
        b.select(NYC);
        b.keys(":");
        b.keys(typed);
        assert_eq!(titles(&b)[0], "77c2ab home-ber");
        assert!(b.press(KeyCode::Enter).is_empty());
        assert_eq!(b.app.panes.peers.selected(), Some(demo::id(BER)), "{typed}");
    }
    b.keys("/lab");
    b.press(KeyCode::Enter);
    b.keys(":77c2ab");
    b.press(KeyCode::Enter);
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id(BER)), "the filter that hid it is gone");
}

#[test]
fn an_action_and_a_peer_act_on_that_peer_whichever_is_selected() {
    let mut b = busy();
    b.select(NYC);
    b.keys(":punch home");
    assert_eq!(titles(&b)[0], "punch 77c2ab home-ber");
    assert_eq!(palette(&b).hits()[0].marks(), [0, 1, 2, 3, 4, 13, 14, 15, 16]);
    assert_eq!(b.press(KeyCode::Enter), [Effect::Send(Command::Punch { peer: demo::id(BER) })]);
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id(BER)), "it is selected");

    b.keys(":disco home");
    assert!(b.press(KeyCode::Enter).is_empty(), "what is disruptive asks first");
    assert_eq!(b.keys("y"), [Effect::Send(Command::Disconnect { peer: demo::id(BER) })]);

    b.keys(":why home");
    assert_eq!(b.press(KeyCode::Enter), [Effect::Send(Command::Why { peer: demo::id(BER) })]);
}

#[test]
fn from_the_why_view_of_one_peer_another_one_can_be_acted_on() {
    let mut b = busy();
    b.select(NYC);
    b.press(KeyCode::Enter);
    b.keys(":conn home");
    assert_eq!(b.press(KeyCode::Enter), [Effect::Send(Command::Connect { peer: demo::id(BER) })]);
    assert!(b.app.overlays.is_empty());
    b.press(KeyCode::Enter);
    b.keys(":connect");
    assert_eq!(b.press(KeyCode::Enter), [Effect::Send(Command::Connect { peer: demo::id(BER) })]);
    assert_eq!(b.app.scope(), Scope::Why, "without a peer typed it is about the view's own");
}

#[test]
fn what_cannot_be_done_says_why_and_leaves_the_palette_open() {
    let mut b = busy();
    b.keys(":sync c0ffee");
    let hit = palette(&b).hits()[0].clone();
    assert_eq!(hit.title, "sync c0ffee old-box");
    assert_eq!(hit.possible(&b.app.here()), Err("no link to it".to_owned()));
    assert!(b.press(KeyCode::Enter).is_empty());
    assert_eq!(b.message(), "sync c0ffee old-box: no link to it");
    assert_eq!(b.app.scope(), Scope::Palette);
    assert_ne!(b.app.panes.peers.selected(), Some(demo::id(OLD)));
}

#[test]
fn the_palette_is_typed_and_pasted_into_and_its_keys_move_and_complete() {
    let mut b = busy();
    b.keys(":");
    b.send(Input::Paste("nat\u{1b}[2J-probe\n".to_owned()));
    assert_eq!(palette(&b).text(), "nat[2J-probe");
    b.send(ctrl('u'));
    assert_eq!(palette(&b).text(), "");
    b.press(KeyCode::Down);
    b.send(ctrl('n'));
    assert_eq!(palette(&b).row(), 2);
    b.send(ctrl('p'));
    assert_eq!(palette(&b).row(), 1);
    b.keys("pun");
    assert_eq!(palette(&b).row(), 0, "another text begins at the best again");
    b.press(KeyCode::Tab);
    assert_eq!(palette(&b).text(), "punch ", "a peer may follow");
    assert!(titles(&b).contains(&"punch 77c2ab home-ber"), "{:?}", titles(&b));
    assert!(b.keys("q").is_empty(), "a letter is a letter");
    b.press(KeyCode::Esc);
    assert!(b.app.overlays.is_empty());
    b.keys(":zzzzzz");
    assert!(b.press(KeyCode::Enter).is_empty() && palette(&b).hits().is_empty());
}

#[test]
fn the_chosen_row_stays_with_its_peer_while_peers_come_and_go() {
    let mut b = busy();
    b.keys(":lab-");
    b.press(KeyCode::Down);
    let chosen = palette(&b).hits()[1].what;
    b.send(Input::Snapshot(with_peers(|peers| {
        let mut row = PeerRow::clone(&peers[0]);
        row.peer_id = demo::id([0, 0, 1]);
        row.name = Some("lab-".to_owned());
        peers.insert(0, Arc::new(row));
    })));
    let palette = palette(&b);
    assert_eq!(palette.hits()[palette.row()].what, chosen);
    assert_eq!(palette.row(), 2, "the newcomer fits better");
}

#[test]
fn an_address_and_an_explanation_can_be_copied_from_the_palette() {
    let mut b = busy();
    b.select(BER);
    b.keys(":copy-addr");
    let effects = b.press(KeyCode::Enter);
    let remote = b.app.shown().link(&demo::id(BER)).unwrap().remote_addr.to_string();
    assert_eq!(effects, [Effect::Copy(remote)]);
    b.keys(":copy-why");
    assert!(b.press(KeyCode::Enter).is_empty());
    assert_eq!(b.message(), "copy-why: the node gave no explanation yet (enter asks for it)");
    b.press(KeyCode::Esc);
    b.press(KeyCode::Enter);
    let why = Command::Why { peer: demo::id(BER) };
    b.send(Input::Sent(why.clone(), Ok(CommandId(3))));
    let result = Ok(Done::Explained(Box::new(demo::why())));
    b.send(Input::Outcome(Arc::new(Outcome { id: CommandId(3), command: why, result })));
    b.keys(":copy-why");
    match &b.press(KeyCode::Enter)[..] {
        [Effect::Copy(text)] => {
            assert!(
                text.starts_with("77c2ab home-ber: It is relayed over 1b88f0. Both NATs are known"),
                "{text}"
            );
            assert!(
                text.contains("\n+168 ms 77c2ab: heard nothing") && text.contains("\nwould help: IPv6"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_search_of_the_help_is_typed_kept_and_given_up() {
    let mut b = busy();
    b.keys("?/relay");
    assert_eq!(b.app.scope(), Scope::Search);
    b.send(Input::Paste("ed".to_owned()));
    assert_eq!(b.app.typed(), Some("relayed"));
    b.press(KeyCode::Enter);
    assert_eq!((b.app.scope(), b.app.typed()), (Scope::Help, None));
    assert!(matches!(b.app.overlays.top(), Some(Overlay::Help(help)) if help.sought() == "relayed"));
    b.keys("/");
    b.press(KeyCode::Esc);
    assert!(matches!(b.app.overlays.top(), Some(Overlay::Help(help)) if help.sought().is_empty()));
    b.press(KeyCode::Esc);
    assert!(b.app.overlays.is_empty());
}

#[test]
fn what_kills_wants_its_name_typed_and_nothing_less() {
    let mut b = in_lab();
    let kill = LabCommand::Kill("pub-1".to_owned());
    assert!(b.keys("lK").is_empty());
    assert!(b.keys("y").is_empty() && b.press(KeyCode::Enter).is_empty());
    assert_eq!(b.message(), "nothing was done: the name to type is pub-1");
    b.send(ctrl('u'));
    b.send(Input::Paste("pub-1\n".to_owned()));
    assert_eq!(asked_of_lab(&b.press(KeyCode::Enter)), Some(&kill));
    assert_eq!(b.app.scope(), Scope::Lab);
    b.keys("K");
    b.press(KeyCode::Esc);
    assert_eq!(b.app.scope(), Scope::Lab, "esc does nothing");
}

#[test]
fn a_drill_that_kills_wants_its_name_and_another_one_starts_at_once() {
    let mut b = in_lab();
    let kills = DrillInfo { name: "soak".to_owned(), kills: true, ..demo::lab().drills[0].clone() };
    let gentle = demo::lab().drills[1].clone();
    b.send(Input::Lab(Arc::new(LabView { drills: vec![kills, gentle], ..demo::lab() })));
    b.keys("d");
    assert!(b.press(KeyCode::Enter).is_empty());
    b.keys("soak");
    assert_eq!(asked_of_lab(&b.press(KeyCode::Enter)), Some(&LabCommand::Drill("soak".to_owned())));
    b.keys("j");
    let partition = LabCommand::Drill("chaos_partition".to_owned());
    assert_eq!(asked_of_lab(&b.press(KeyCode::Enter)), Some(&partition));
}

#[test]
fn a_console_that_may_only_look_changes_nothing_whatever_the_action() {
    let mut b = in_lab();
    b.app.settings.read_only = true;
    for line in Keymap::default().lines() {
        let refused = b.app.available(line.action) == Err("this console may only look".to_owned());
        assert_eq!(refused, line.danger > Danger::None, "{}", line.name);
    }
    b.keys(":connect home");
    assert!(b.press(KeyCode::Enter).is_empty());
    assert_eq!(b.message(), "connect 77c2ab home-ber: this console may only look");
}

#[test]
fn keys_that_were_moved_are_the_ones_that_work() {
    let mut b = busy();
    b.app.settings.keys = Keymap::with([("sync-all", vec!["ctrl-y"]), ("quit", vec!["Q"])]).unwrap();
    assert!(b.keys("Sq").is_empty());
    assert_eq!(b.send(ctrl('y')), [Effect::Send(Command::Sync { peer: None })]);
    assert_eq!(b.keys("Q"), [Effect::Quit]);
    b.send(Input::NodeGone(Gone::Stopped));
    b.send(ctrl('y'));
    assert_eq!(b.message(), "ctrl-y: the node has stopped");
    b.send(Input::Switched(demo::busy()));
    assert_eq!(b.keys("Q"), [Effect::Quit], "they stay when another node is shown");
}
