//! The palette: actions and peers by a few letters, the best first; an action
//! may be followed by a peer that it is to be done to.

use std::sync::Arc;

use super::{App, Effect, Filtered, Move, Overlay, Pane, Tone};
use crate::model::{PeerId, PeerRow, clean};
use crate::tui::bindings::{Binding, Bound, Scope};
use crate::tui::fuzzy::{Match, fuzzy};

/// More rows than this nobody reads; the next letter finds better.
const HITS_MAX: usize = 200;
/// A word that stands in an action's sentence, not in its name.
const IN_HELP: i32 = -10;
/// So many digits of an id are meant as one; where an action stands before them
/// one is enough.
const ID_DIGITS: usize = 3;

/// What is looked for, and what was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Palette {
    /// What is typed.
    pub(crate) text: String,
    /// Where it was opened: whose actions are offered.
    pub(crate) from: Scope,
    /// What was found, the best first.
    pub(crate) hits: Vec<Hit>,
    /// The chosen row of them.
    pub(crate) row: usize,
    /// The first row on the screen.
    pub(crate) top: usize,
}

/// What a row of the palette does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What {
    /// An action, as its key would.
    Do(&'static Binding),
    /// Selects a peer.
    Select(PeerId),
    /// An action on a peer, whichever is selected.
    DoTo(&'static Binding, PeerId),
}

/// A row of the palette.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    /// What it does.
    pub(crate) what: What,
    /// How it is called.
    pub(crate) title: String,
    /// The characters of the title that were typed.
    pub(crate) marks: Vec<usize>,
    score: i32,
}

impl App {
    /// Opens the palette on the actions that work here.
    pub(super) fn open_palette(&mut self) {
        let from = self.scope();
        let palette = Palette { text: String::new(), from, hits: Vec::new(), row: 0, top: 0 };
        self.overlays.push(Overlay::Palette(palette));
        self.find();
    }

    /// Looks for what is typed.
    pub(super) fn find(&mut self) {
        let Some(Overlay::Palette(palette)) = self.overlays.last() else { return };
        let hits = self.hits(&palette.text, palette.from);
        self.found_in = Some(self.shown().peers.clone());
        if let Some(Overlay::Palette(palette)) = self.overlays.last_mut() {
            palette.hits = hits;
            palette.row = palette.row.min(palette.hits.len().saturating_sub(1));
        }
    }

    /// Looks again where the peers changed; what is chosen stays chosen.
    pub(super) fn find_again(&mut self) {
        let peers = &self.shown().peers;
        let same = self.found_in.as_ref().is_some_and(|old| Arc::ptr_eq(old, peers));
        let Some(Overlay::Palette(palette)) = self.overlays.last().filter(|_| !same) else { return };
        let chosen = palette.hits.get(palette.row).map(|hit| hit.what);
        self.find();
        if let Some(Overlay::Palette(palette)) = self.overlays.last_mut()
            && let Some(row) = palette.hits.iter().position(|hit| Some(hit.what) == chosen)
        {
            palette.row = row;
        }
    }

    fn hits(&self, text: &str, from: Scope) -> Vec<Hit> {
        let mut hits = self.actions(text, from);
        let wanted = text.trim();
        if !wanted.is_empty() {
            let peers = self.shown().peers.iter();
            hits.extend(peers.filter_map(|peer| {
                let (title, found) = named(peer, wanted, ID_DIGITS)?;
                let what = What::Select(peer.peer_id);
                Some(Hit { what, title, marks: found.at, score: found.score })
            }));
        }
        if let Some((verb, whom)) = text.trim_start().split_once(char::is_whitespace) {
            self.aimed(verb, whom.trim(), from, &mut hits);
        }
        // Stable: what fits equally well stays in the order of the table.
        hits.sort_by_key(|hit| -hit.score);
        hits.truncate(HITS_MAX);
        hits
    }

    /// The actions of a scope in which every word is found, by name or by what
    /// they do.
    fn actions(&self, text: &str, from: Scope) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        for line in self.keys.of_scope(from).map(Bound::line) {
            let twice = |hit: &Hit| matches!(hit.what, What::Do(other) if other.action == line.action);
            if !line.action.is_found() || hits.iter().any(twice) {
                continue;
            }
            let found = text.split_whitespace().try_fold(Match::default(), |mut all, word| {
                match fuzzy(word, line.name) {
                    Some(found) => {
                        all.score += found.score;
                        all.at.extend(found.at);
                    }
                    None if line.help.to_lowercase().contains(&word.to_lowercase()) => all.score += IN_HELP,
                    None => return None,
                }
                Some(all)
            });
            if let Some(Match { score, at }) = found {
                hits.push(Hit { what: What::Do(line), title: line.name.to_owned(), marks: at, score });
            }
        }
        hits
    }

    /// The action that a first word means, on each peer that the rest means.
    fn aimed(&self, verb: &str, whom: &str, from: Scope, hits: &mut Vec<Hit>) {
        let lines = self.keys.of_scope(from).map(Bound::line);
        let lines = lines.filter(|line| line.action.is_about_a_peer());
        let best = lines.filter_map(|line| Some((fuzzy(verb, line.name)?, line)));
        let Some((verb, line)) = best.max_by_key(|(found, _)| found.score) else { return };
        for peer in self.shown().peers.iter() {
            let Some((title, found)) = named(peer, whom, 1) else { continue };
            let shift = line.name.chars().count() + 1;
            let marks = verb.at.iter().copied().chain(found.at.iter().map(|at| at + shift)).collect();
            let title = format!("{} {title}", line.name);
            let what = What::DoTo(line, peer.peer_id);
            hits.push(Hit { what, title, marks, score: verb.score + found.score });
        }
    }

    /// Whether a row of the palette can be done now; if not, why.
    pub(crate) fn hit_available(&self, hit: &Hit) -> Result<(), String> {
        match hit.what {
            What::Do(line) => self.available(line.action),
            What::Select(_) => Ok(()),
            What::DoTo(line, peer) => self.available_to(line.action, Some(peer)),
        }
    }

    /// Does what is chosen. What cannot be done leaves the palette open.
    pub(super) fn do_chosen(&mut self) -> Vec<Effect> {
        let Some(Overlay::Palette(palette)) = self.overlays.last() else { return Vec::new() };
        let Some(hit) = palette.hits.get(palette.row).cloned() else { return Vec::new() };
        if let Err(reason) = self.hit_available(&hit) {
            let now = self.node_now();
            self.commands.say(Tone::Warn, format!("{}: {reason}", hit.title), now);
            return Vec::new();
        }
        self.overlays.pop();
        match hit.what {
            What::Do(line) => self.perform(line, line.name),
            What::Select(peer) => {
                self.show_peer(peer);
                Vec::new()
            }
            What::DoTo(line, peer) => {
                self.show_peer(peer);
                self.act(line, Some(peer))
            }
        }
    }

    /// Selects a peer where it can be seen.
    fn show_peer(&mut self, peer: PeerId) {
        self.overlays.clear();
        self.focus = Pane::Peers;
        if !self.peers.select(peer) {
            // The filter hides it, and it was asked for by name.
            self.set_filter(Filtered::Peers, "");
            self.peers.select(peer);
        }
    }

    /// Writes out what is chosen, ready for a peer to follow.
    pub(super) fn complete_chosen(&mut self) {
        let Some(Overlay::Palette(palette)) = self.overlays.last() else { return };
        let Some(hit) = palette.hits.get(palette.row) else { return };
        let text = match hit.what {
            What::Do(line) if line.action.is_about_a_peer() => format!("{} ", line.name),
            _ => hit.title.clone(),
        };
        self.edit(|typed| *typed = text);
    }

    /// Moves the choice.
    pub(super) fn choose(&mut self, step: Move) {
        if let Some(Overlay::Palette(palette)) = self.overlays.last_mut() {
            palette.row = step.apply(palette.row, palette.hits.len().saturating_sub(1));
        }
    }
}

/// A peer as it is called, if what is wanted is in its name or begins its id.
fn named(peer: &PeerRow, wanted: &str, least: usize) -> Option<(String, Match)> {
    let short = peer.peer_id.short();
    let name = peer.name.as_deref().map(clean);
    let title = name.as_ref().map_or_else(|| short.clone(), |name| format!("{short} {name}"));
    let digits = wanted.len();
    if digits >= least && peer.peer_id.to_string().starts_with(&wanted.to_lowercase()) {
        let at = (0..digits.min(short.len())).collect();
        return Some((title, Match { score: 100, at }));
    }
    let shift = short.chars().count() + 1;
    let Match { score, at } = fuzzy(wanted, &name.unwrap_or_default())?;
    Some((title, Match { score, at: at.into_iter().map(|at| at + shift).collect() }))
}
