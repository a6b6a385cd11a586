//! States without colour: whatever a colour says, a glyph or a word says as well.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::*;
use crate::model::ThemeChoice;
use crate::tui::panes::state_look;

/// Every pane, alone on the screen and full, and what lies over them.
const SCREENS: [&str; 16] =
    ["1z", "2z", "3z", "4z", "5z", "6z", "7z", "8z", "", "?", "jjj\n", "jjjjjj\n", "jx", "/vps", "l", "d"];

fn themed(choice: ThemeChoice, depth: &str) -> Theme {
    Theme::named(choice, GlyphChoice::Unicode, |name| (name == "COLORTERM").then(|| depth.to_owned()))
}

/// A screen of the busy fleet in its lab.
fn screen(theme: Theme, keys: &str) -> Shot {
    let app = App::new(demo::busy(), theme, TimeZone::UTC, LogSource::Off);
    let terminal = Terminal::new(TestBackend::new(LARGE.0, LARGE.1)).unwrap();
    let mut shot = Shot { app, at: Duration::ZERO, wake: None, terminal };
    shot.draw();
    for event in demo::events() {
        shot.input(Input::Event(event));
    }
    shot.input(Input::Lab(Arc::new(LabView { drill: Some(demo::drill()), ..demo::lab() })));
    shot.keys(keys)
}

fn cells(shot: &Shot) -> &Buffer {
    shot.terminal.backend().buffer()
}

#[test]
fn each_state_of_a_peer_has_a_glyph_and_a_word_of_its_own() {
    use crate::model::PeerState::{Connecting, Foreign, HeldOff, Known, Linked, Suspect, Unreachable};
    let all = [Linked, Suspect, Foreign, Connecting, Known, Unreachable, HeldOff];
    let theme = Theme::named(ThemeChoice::Mono, GlyphChoice::Unicode, |_| None);
    let glyphs: BTreeSet<&str> = all.iter().map(|state| state_look(*state, &theme).0).collect();
    let words: BTreeSet<&str> = all.iter().map(|state| state.name()).collect();
    assert_eq!((glyphs.len(), words.len()), (all.len(), all.len()));
}

#[test]
fn every_pane_says_the_same_in_mono_as_in_colour() {
    for keys in SCREENS {
        let colour = screen(themed(ThemeChoice::Dark, "truecolor"), keys);
        let mono = screen(themed(ThemeChoice::Mono, "truecolor"), keys);
        assert_eq!(mono.text_now(), colour.text_now(), "{keys:?}");
        let plain = |c: &ratatui::buffer::Cell| (c.fg, c.bg) == (Color::Reset, Color::Reset);
        assert!(cells(&mono).content.iter().all(plain), "{keys:?}: no colour");
    }
}

/// The texts that are drawn as good, wary or bad, each with all its colours.
fn states(shot: &Shot, states: [(Style, &'static str); 3]) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut found: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let buffer = cells(shot);
    let width = usize::from(buffer.area.width);
    for row in buffer.content.chunks(width) {
        let mut run: Option<(&str, String)> = None;
        for cell in row {
            // A banner is a text of its own, and a selected row is one bar.
            let state = states.iter().find(|(style, _)| style.fg == Some(cell.fg)).map(|(_, name)| *name);
            let state = state.filter(|_| !cell.modifier.contains(Modifier::REVERSED));
            match (&mut run, state) {
                (Some((name, text)), Some(now)) if *name == now => text.push_str(cell.symbol()),
                (before, now) => {
                    if let Some((name, text)) = before.take() {
                        found.entry(text.trim().to_owned()).or_default().insert(name);
                    }
                    run = now.map(|name| (name, cell.symbol().to_owned()));
                }
            }
        }
    }
    found
}

#[test]
fn no_text_means_something_else_in_another_colour() {
    let theme = themed(ThemeChoice::Dark, "truecolor");
    let looks = [(theme.good, "good"), (theme.warn, "warn"), (theme.bad, "bad")];
    let mut all = 0;
    for keys in SCREENS {
        let found = states(&screen(theme.clone(), keys), looks);
        for (text, colours) in &found {
            assert!(
                colours.len() == 1,
                "{keys:?}: {text:?} is drawn {colours:?}: colour alone tells them apart"
            );
        }
        all += found.len();
    }
    assert!(all > 40, "only {all} texts had a state");
}

#[test]
fn a_theme_with_a_ground_of_its_own_covers_every_cell_of_every_screen() {
    for choice in [ThemeChoice::Dark, ThemeChoice::Light, ThemeChoice::HighContrast, ThemeChoice::ColourBlind]
    {
        for keys in SCREENS {
            let shot = screen(themed(choice, "truecolor"), keys);
            let own = |c: &ratatui::buffer::Cell| matches!((c.fg, c.bg), (Color::Rgb(..), Color::Rgb(..)));
            assert!(cells(&shot).content.iter().all(own), "{choice} {keys:?}");
        }
    }
}
