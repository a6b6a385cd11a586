//! The palette: actions and peers by a few letters, the best first; an action
//! may be followed by a peer that it is to be done to.

mod draw;
mod typed;

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::{PeerId, PeerRow, clean};
use crate::tui::bindings::{Action, Binding, Bound, Keymap, Scope, Word};
use crate::tui::draw::{Drawn, Pen, Possible};
use crate::tui::fuzzy::{Finder, Match, Pattern};
use crate::tui::line::TextLine;
use crate::tui::lists::Move;

pub(crate) use self::typed::{Exported, Order};

type Peers = Arc<Vec<Arc<PeerRow>>>;

/// More rows than this nobody reads; the next letter finds better.
const HITS_MAX: usize = 200;
/// A word that stands in an action's sentence, not in its name.
const IN_HELP: i32 = -1_000;
/// The beginning of an id: no name fits as well.
const IS_ID: i32 = 1_000_000;
/// So many digits of an id are meant as one; where an action stands before them
/// one is enough.
const ID_DIGITS: usize = 3;

/// What is looked for, and what was found.
#[derive(Debug, Clone)]
pub(crate) struct Palette {
    line: TextLine,
    /// Where it was opened: whose actions are offered.
    from: Vec<Scope>,
    /// What was found, the best first.
    hits: Vec<Hit>,
    /// The chosen row of them.
    row: usize,
    /// The first row on the screen.
    top: usize,
    /// The peers that were looked through.
    found_in: Peers,
}

/// What a row of the palette does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// An action, as its key would.
    Do(&'static Binding),
    /// Selects a peer.
    Select(PeerId),
    /// An action on a peer, whichever is selected.
    DoTo(&'static Binding, PeerId),
    /// An order as it was typed, or why it cannot be read.
    Order(Word, Box<Result<Order, String>>),
}

/// A row of the palette.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    /// What it does.
    pub(crate) what: What,
    /// How it is called.
    pub(crate) title: String,
    /// The characters of the title that were typed.
    marks: Vec<usize>,
    score: i32,
}

impl Hit {
    /// The characters of the title that were typed.
    #[cfg(test)]
    pub(crate) fn marks(&self) -> &[usize] {
        &self.marks
    }

    /// Whether it can be done now; if not, why.
    pub(crate) fn possible(&self, possible: &dyn Possible) -> Result<(), String> {
        match &self.what {
            What::Do(line) => possible.available(line.action),
            What::Select(_) => Ok(()),
            What::DoTo(line, peer) => possible.available_to(line.action, Some(*peer)),
            What::Order(word, order) => match &**order {
                Err(why) => Err(why.clone()),
                // Nothing is asked of the node for that.
                Ok(Order::ShowBootstrap) => Ok(()),
                Ok(_) => possible.available(Action::Order(*word)),
            },
        }
    }
}

impl Palette {
    /// Opens it on the actions that work there.
    pub(crate) fn open(from: Vec<Scope>, keys: &Keymap, peers: &Peers) -> Self {
        let mut palette = Self {
            line: TextLine::default(),
            from,
            hits: Vec::new(),
            row: 0,
            top: 0,
            found_in: Arc::clone(peers),
        };
        palette.find(keys, peers);
        palette
    }

    /// The same with a text that somebody goes on typing.
    pub(crate) fn open_with(from: Vec<Scope>, keys: &Keymap, peers: &Peers, text: String) -> Self {
        let mut palette = Self::open(from, keys, peers);
        palette.line.set(text);
        palette.find(keys, peers);
        palette
    }

    /// What is typed, to be changed; [`Self::on_edit`] looks for it then..
    pub(super) fn line_mut(&mut self) -> &mut TextLine {
        &mut self.line
    }

    /// What was found, the best first.
    #[cfg(test)]
    pub(crate) fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// What is typed.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        self.line.text()
    }

    /// The chosen row.
    pub(crate) fn row(&self) -> usize {
        self.row
    }

    /// What is chosen.
    pub(crate) fn chosen(&self) -> Option<&Hit> {
        self.hits.get(self.row)
    }

    /// Chooses a row.
    pub(crate) fn choose(&mut self, row: usize) {
        self.row = row;
    }

    /// Moves the choice.
    pub(super) fn go(&mut self, step: Move) {
        self.row = step.apply(self.row, self.hits.len().saturating_sub(1));
    }

    /// Something else is typed: looks for it.
    pub(crate) fn on_edit(&mut self, keys: &Keymap, peers: &Peers) {
        self.row = 0;
        self.find(keys, peers);
    }

    /// Looks again where the peers changed; what is chosen stays chosen.
    pub(crate) fn on_snapshot(&mut self, keys: &Keymap, peers: &Peers) {
        if Arc::ptr_eq(&self.found_in, peers) {
            return;
        }
        let chosen = self.chosen().map(|hit| hit.what.clone());
        self.find(keys, peers);
        if let Some(row) = self.hits.iter().position(|hit| Some(&hit.what) == chosen.as_ref()) {
            self.row = row;
        }
    }

    /// Writes out what is chosen, ready for a peer to follow.
    pub(crate) fn complete(&mut self) {
        let Some(hit) = self.chosen() else { return };
        let text = match &hit.what {
            What::Do(line) if line.action.is_about_a_peer() => format!("{} ", line.name),
            _ => hit.title.clone(),
        };
        self.line.set(text);
    }

    /// Takes in how it was drawn.
    pub(super) fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }

    /// Draws it.
    pub(super) fn draw(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        draw::draw(self, pen, body, buf)
    }

    /// Looks for what is typed.
    fn find(&mut self, keys: &Keymap, peers: &Peers) {
        self.hits = hits(self.line.text(), &self.from, keys, peers);
        self.found_in = Arc::clone(peers);
        self.row = self.row.min(self.hits.len().saturating_sub(1));
    }
}

fn hits(text: &str, from: &[Scope], keys: &Keymap, peers: &Peers) -> Vec<Hit> {
    let mut finder = Finder::new();
    let wanted = text.trim();
    let mut hits = actions(&mut finder, wanted, from, keys);
    if wanted.is_empty() {
        return hits;
    }
    let pattern = Pattern::new(wanted);
    hits.extend(peers.iter().filter_map(|peer| {
        let (title, found) = named(&mut finder, peer, (wanted, &pattern), ID_DIGITS)?;
        let what = What::Select(peer.peer_id);
        Some(Hit { what, title, marks: found.at, score: found.score })
    }));
    if from.contains(&Scope::Main) || from.contains(&Scope::Why) {
        hits.extend(typed::read(text));
    }
    if let Some((verb, whom)) = text.trim_start().split_once(char::is_whitespace) {
        aimed(&mut finder, (verb, whom.trim()), from, (keys, peers), &mut hits);
    }
    // Stable: what fits equally well stays in the order of the table.
    hits.sort_by_key(|hit| -hit.score);
    hits.truncate(HITS_MAX);
    hits
}

/// The actions of a scope in which every word is found, by name or by what they do.
fn actions(finder: &mut Finder, text: &str, from: &[Scope], keys: &Keymap) -> Vec<Hit> {
    let words: Vec<(String, Pattern)> =
        text.split_whitespace().map(|word| (word.to_lowercase(), Pattern::new(word))).collect();
    let mut hits: Vec<Hit> = Vec::new();
    for line in keys.of_scopes(from).map(Bound::line) {
        let twice = |hit: &Hit| matches!(hit.what, What::Do(other) if other.action == line.action);
        if !line.action.is_found() || hits.iter().any(twice) {
            continue;
        }
        let found = words.iter().try_fold(Match::default(), |mut all, (word, pattern)| {
            match finder.find(pattern, line.name) {
                Some(found) => {
                    all.score += found.score;
                    all.at.extend(found.at);
                }
                None if line.help.to_lowercase().contains(word) => all.score += IN_HELP,
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
fn aimed(
    finder: &mut Finder,
    (verb, whom): (&str, &str),
    from: &[Scope],
    (keys, peers): (&Keymap, &Peers),
    hits: &mut Vec<Hit>,
) {
    let (verb, pattern) = (Pattern::new(verb), Pattern::new(whom));
    let lines = keys.of_scopes(from).map(Bound::line);
    let lines = lines.filter(|line| line.action.is_about_a_peer());
    let best = lines.filter_map(|line| Some((finder.find(&verb, line.name)?, line)));
    let best = best.max_by_key(|(found, _)| found.score);
    let Some((verb, line)) = best else { return };
    for peer in peers.iter() {
        let Some((title, found)) = named(finder, peer, (whom, &pattern), 1) else { continue };
        let shift = line.name.chars().count() + 1;
        let marks = verb.at.iter().copied().chain(found.at.iter().map(|at| at + shift)).collect();
        let title = format!("{} {title}", line.name);
        let what = What::DoTo(line, peer.peer_id);
        hits.push(Hit { what, title, marks, score: verb.score + found.score });
    }
}

/// A peer as it is called, if what is wanted is in its name or begins its id.
fn named(
    finder: &mut Finder,
    peer: &PeerRow,
    (wanted, pattern): (&str, &Pattern),
    least: usize,
) -> Option<(String, Match)> {
    let short = peer.peer_id.short();
    let name = peer.name.as_deref().map(clean);
    let title = name.as_ref().map_or_else(|| short.clone(), |name| format!("{short} {name}"));
    let digits = wanted.len();
    if digits >= least && peer.peer_id.to_string().starts_with(&wanted.to_lowercase()) {
        let at = (0..digits.min(short.len())).collect();
        return Some((title, Match { score: IS_ID, at }));
    }
    let shift = short.chars().count() + 1;
    let Match { score, at } = finder.find(pattern, &name.unwrap_or_default())?;
    Some((title, Match { score, at: at.into_iter().map(|at| at + shift).collect() }))
}
