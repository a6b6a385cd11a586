//! The table and the maps that are made from it.

use std::collections::HashMap;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::table::BINDINGS;
use super::*;

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn with(changes: &[(&str, &[&str])]) -> Result<Keymap, Vec<String>> {
    Keymap::with(changes.iter().map(|(name, keys)| (*name, keys.to_vec())))
        .map_err(|errors| errors.into_iter().map(|e| e.to_string()).collect())
}

fn found(map: &Keymap, scope: Scope, text: &str) -> Option<Action> {
    map.lookup(&[scope], key(text)).map(|b| b.action)
}

#[test]
fn every_line_of_the_table_has_a_name_of_its_own_and_keys_that_can_be_read() {
    let mut seen = HashMap::new();
    for line in BINDINGS {
        assert_eq!(seen.insert(line.name, line.action), None, "{}", line.name);
        assert!(
            line.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            "{}",
            line.name
        );
        assert!(!line.scopes.is_empty(), "{}", line.name);
        for text in line.keys.split(' ').filter(|text| !text.is_empty()) {
            assert!(Key::parse(text).is_ok(), "{}: {text}", line.name);
        }
    }
}

#[test]
fn the_tables_own_keys_clash_nowhere_and_lead_out_of_everywhere() {
    let own: Vec<_> = Keymap::default().lines().map(|b| (b.name, b.key_names())).collect();
    let changes = own.iter().map(|(name, keys)| (*name, keys.split(' ').filter(|k| !k.is_empty()).collect()));
    assert_eq!(Keymap::with(changes), Ok(Keymap::default()));
}

#[test]
fn every_binding_is_reached_by_each_of_its_keys_in_each_of_its_scopes() {
    let map = Keymap::default();
    for bound in map.lines() {
        for scope in bound.scopes {
            for key in &bound.keys {
                assert_eq!(
                    map.lookup(&[*scope], *key).map(|b| b.name),
                    Some(bound.name),
                    "{key} in {scope:?}"
                );
            }
        }
    }
}

#[test]
fn one_can_leave_from_everywhere_and_every_overlay_closes_with_escape() {
    let map = Keymap::default();
    for &scope in Scope::ALL.iter().filter(|scope| !scope.is_within_main()) {
        assert_eq!(found(&map, scope, "ctrl-c"), Some(Action::Quit));
        if scope != Scope::Main {
            assert!(found(&map, scope, "esc").is_some(), "{scope:?}");
        }
    }
}

#[test]
fn a_key_means_what_it_does_in_the_innermost_scope_that_has_it() {
    let map = Keymap::default();
    let meant = |scopes: &[Scope], text| map.lookup(scopes, key(text)).map(|b| b.action);
    let events = [Scope::Events, Scope::Main];
    assert_eq!(meant(&events, "enter"), Some(Action::GoToEvent));
    assert_eq!(meant(&[Scope::Main], "enter"), Some(Action::Why));
    assert_eq!(meant(&events, "s"), Some(Action::Node(NodeCommand::Sync)), "the rest is as in all panes");
    let moved = with(&[("go-to-event", &["e"])]).unwrap();
    assert_eq!(moved.lookup(&events, key("enter")).map(|b| b.action), Some(Action::Why));
}

#[test]
fn no_action_has_two_names_but_where_its_keys_differ_by_place() {
    for (at, line) in BINDINGS.iter().enumerate() {
        for other in BINDINGS[at + 1..].iter().filter(|other| other.action == line.action) {
            let shared = line.scopes.iter().find(|scope| other.scopes.contains(scope));
            assert!(shared.is_none() || line.action == Action::Quit, "{} and {}", line.name, other.name);
        }
    }
}

#[test]
fn where_something_is_typed_every_plain_character_is_text() {
    let map = Keymap::default();
    for &scope in Scope::ALL.iter().filter(|s| s.is_typing()) {
        for c in (' '..='~').chain(['é', '世']) {
            let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
            assert!(map.lookup(&[scope], Key::of(&event).unwrap()).is_none(), "{c} in {scope:?}");
        }
    }
}

#[test]
fn the_text_of_the_keys_names_each_binding() {
    let text = Keymap::default().text();
    for binding in BINDINGS {
        assert!(text.contains(binding.help) && text.contains(binding.name), "{}", binding.name);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_moved_action_leaves_its_key_and_has_the_new_ones() {
    let map = with(&[("sync", &["ctrl-y", "Y"]), ("freeze", &[])]).unwrap();
    let sync = Some(Action::Node(NodeCommand::Sync));
    assert_eq!(found(&map, Scope::Main, "ctrl-y"), sync);
    assert_eq!(found(&map, Scope::Why, "Y"), sync);
    assert_eq!(found(&map, Scope::Main, "s"), None);
    assert_eq!(found(&map, Scope::Main, "space"), None);
    assert_eq!(map.key_of(Scope::Main, Action::Node(NodeCommand::Sync)), "ctrl-y");
    assert_eq!(map.key_of(Scope::Main, Action::Freeze), "freeze", "what has no key is called by its name");
    let changed: Vec<_> = map.changed().collect();
    assert_eq!(changed, [("sync", "[\"ctrl-y\", \"Y\"]".to_owned()), ("freeze", "[]".to_owned())]);
}

#[test]
fn two_actions_can_change_places() {
    let map = with(&[("sync", &["c"]), ("connect", &["s"])]).unwrap();
    assert_eq!(found(&map, Scope::Main, "c"), Some(Action::Node(NodeCommand::Sync)));
    assert_eq!(found(&map, Scope::Main, "s"), Some(Action::Node(NodeCommand::Connect)));
}

#[test]
fn a_key_with_two_meanings_in_one_place_is_refused_with_both_the_key_and_the_place() {
    assert_eq!(
        with(&[("freeze", &["s"])]),
        Err(vec![
            "s would be both sync and freeze, in the panes: move one of them, or take its key away with []"
                .to_owned()
        ])
    );
    assert!(with(&[("drill-start", &["s"])]).is_ok(), "in another place it is another key");
    let both = with(&[("up", &["s"])]).unwrap_err();
    assert!(
        both[0].starts_with("s would be both sync and up, in the panes and in the why view:"),
        "{both:?}"
    );
}

#[test]
fn an_action_that_is_not_there_names_the_nearest_one() {
    assert_eq!(
        with(&[("snyc", &["s"])]),
        Err(vec!["there is no action \"snyc\", the nearest is \"sync\"".to_owned()])
    );
    assert_eq!(
        with(&[("zzzzzzzzzz", &["s"])]),
        Err(vec!["there is no action \"zzzzzzzzzz\", punchdeck keys lists all of them".to_owned()])
    );
}

#[test]
fn a_text_that_is_no_key_is_refused_with_what_keys_look_like() {
    let errors = with(&[("sync", &["strg-s", "ctrl-m"])]).unwrap_err();
    assert!(
        errors[0].starts_with("sync = \"strg-s\" is no key: a key is a character (f, F, ?)"),
        "{errors:?}"
    );
    assert_eq!(errors[1], "sync = \"ctrl-m\" is no key: a terminal sends ctrl-m as enter");
}

#[test]
fn help_and_every_way_out_can_be_moved_and_not_taken_away() {
    for line in BINDINGS.iter().filter(|b| b.is_essential()) {
        assert!(with(&[(line.name, &["f12"])]).is_ok(), "{}", line.name);
        let refused = format!("{} needs a key: it can be moved, but not taken away", line.name);
        assert_eq!(with(&[(line.name, &[])]), Err(vec![refused]));
    }
    for name in ["help", "quit", "quit-anywhere", "close-why", "filter-cancel"] {
        assert!(BINDINGS.iter().any(|b| b.name == name && b.is_essential()), "{name}");
    }
}

#[test]
fn what_works_everywhere_takes_no_key_that_is_typed_somewhere() {
    let errors = with(&[("quit-anywhere", &["Q"])]).unwrap_err();
    assert_eq!(errors[0], "Q cannot be quit-anywhere: in the palette it is typed");
}
