//! The keys in force: those of the table, where the configuration names no
//! others. A map that would leave somebody unable to leave, to close, to ask
//! for help or to type is refused.

use std::fmt::Write as _;
use std::ops::Deref;

use super::table::BINDINGS;
use super::{Action, Binding, Key, Scope, action_of};
use crate::model::NextAction;

/// Below this two names have little more in common than letters.
const NEAR: f64 = 0.5;

/// A line of the table with the keys that it has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    line: &'static Binding,
    /// The keys; the first is the one that is shown. None: only the palette
    /// and the mouse reach it.
    pub(crate) keys: Vec<Key>,
}

impl Deref for Bound {
    type Target = Binding;

    fn deref(&self) -> &Binding {
        self.line
    }
}

impl Bound {
    /// The line, for as long as the program runs.
    pub(crate) fn line(&self) -> &'static Binding {
        self.line
    }

    /// The key that is shown; empty where there is none.
    pub(crate) fn key(&self) -> String {
        self.keys.first().map_or_else(String::new, Key::to_string)
    }

    /// All its keys in one text.
    pub(crate) fn key_names(&self) -> String {
        self.keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ")
    }
}

/// The keys in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    bound: Vec<Bound>,
}

/// What is wrong with a map of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct KeymapError {
    /// The action as it was written.
    pub action: String,
    /// What is wrong, with what to do about it.
    pub why: String,
}

impl Default for Keymap {
    /// The table's own keys.
    fn default() -> Self {
        // That all of them can be read is a test's business.
        let keys = |line: &Binding| line.keys.split(' ').filter_map(|key| Key::parse(key).ok()).collect();
        Self { bound: BINDINGS.iter().map(|line| Bound { line, keys: keys(line) }).collect() }
    }
}

impl Keymap {
    /// The table's keys, but for the actions named here.
    ///
    /// # Errors
    /// Everything that is wrong: actions that do not exist, texts that are no
    /// keys, keys with two meanings in one place, and places that nothing leads
    /// out of.
    pub fn with<'a>(
        changes: impl IntoIterator<Item = (&'a str, Vec<&'a str>)>,
    ) -> Result<Self, Vec<KeymapError>> {
        let (mut map, mut errors, mut moved) = (Self::default(), Vec::new(), Vec::new());
        for (name, texts) in changes {
            let mut wrong = |why: String| errors.push(KeymapError { action: name.to_owned(), why });
            let Some(bound) = map.bound.iter_mut().find(|b| b.name == name) else {
                wrong(format!("there is no action {name:?}, {}", nearest(name)));
                continue;
            };
            let mut keys = Vec::new();
            for text in texts {
                match Key::parse(text) {
                    Ok(key) => keys.push(key),
                    Err(why) => wrong(format!("{name} = {text:?} is no key: {why}")),
                }
            }
            bound.keys = keys;
            moved.push(name);
        }
        if errors.is_empty() {
            map.clashes(&moved, &mut errors);
            map.dead_ends(&moved, &mut errors);
        }
        if errors.is_empty() { Ok(map) } else { Err(errors) }
    }

    /// Keys that mean two things in one place, or that would be typed there.
    fn clashes(&self, moved: &[&str], errors: &mut Vec<KeymapError>) {
        for (at, a) in self.bound.iter().enumerate() {
            for key in &a.keys {
                let typed: Vec<_> =
                    a.scopes.iter().filter(|s| s.is_typing() && key.typed().is_some()).collect();
                if let Some(scope) = typed.first() {
                    errors.push(KeymapError {
                        action: a.name.to_owned(),
                        why: format!("{key} cannot be {}: {} it is typed", a.name, scope.place()),
                    });
                }
                for b in self.bound[at + 1..].iter().filter(|b| b.keys.contains(key)) {
                    let shared: Vec<_> =
                        a.scopes.iter().filter(|s| b.scopes.contains(s)).map(|s| s.place()).collect();
                    if shared.is_empty() {
                        continue;
                    }
                    // Whichever of the two was moved is the one to look at.
                    let about = if moved.contains(&b.name) { b } else { a };
                    errors.push(KeymapError {
                        action: about.name.to_owned(),
                        why: format!(
                            "{key} would be both {} and {}, {}: move one of them, or take its key away with []",
                            a.name,
                            b.name,
                            shared.join(" and ")
                        ),
                    });
                }
            }
        }
    }

    /// What must have a key, or nobody gets help or out.
    fn dead_ends(&self, moved: &[&str], errors: &mut Vec<KeymapError>) {
        for bound in self.bound.iter().filter(|b| b.keys.is_empty() && moved.contains(&b.name)) {
            if bound.is_essential() {
                let why = format!("{} needs a key: it can be moved, but not taken away", bound.name);
                errors.push(KeymapError { action: bound.name.to_owned(), why });
            }
        }
    }

    /// Every line, in the order of the table.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Bound> {
        self.bound.iter()
    }

    /// The lines of a scope, in the order of the table.
    pub(crate) fn of_scope(&self, scope: Scope) -> impl Iterator<Item = &Bound> {
        self.bound.iter().filter(move |b| b.scopes.contains(&scope))
    }

    /// The lines of scopes that hold together, in the order of the table.
    pub(crate) fn of_scopes(&self, scopes: &[Scope]) -> impl Iterator<Item = &Bound> {
        self.bound.iter().filter(|b| b.scopes.iter().any(|scope| scopes.contains(scope)))
    }

    /// What a key means where these scopes hold, the innermost first.
    pub(crate) fn lookup(&self, scopes: &[Scope], key: Key) -> Option<&'static Binding> {
        let found = |scope| self.of_scope(scope).find(|b| b.keys.contains(&key)).map(Bound::line);
        scopes.iter().find_map(|scope| found(*scope))
    }

    /// Whether the key that is shown for a line does what it says, where these scopes hold.
    pub(crate) fn is_reached(&self, bound: &Bound, scopes: &[Scope]) -> bool {
        bound.keys.first().is_some_and(|key| self.lookup(scopes, *key) == Some(bound.line))
    }

    /// The line of an action in a scope.
    pub(crate) fn find(&self, scope: Scope, action: Action) -> Option<&Bound> {
        self.of_scope(scope).find(|b| b.action == action)
    }

    /// The key that is shown for an action in a scope; for a text in which one
    /// that has no key is called by its name.
    pub(crate) fn key_of(&self, scope: Scope, action: Action) -> String {
        match self.find(scope, action) {
            Some(bound) if bound.keys.is_empty() => bound.name.to_owned(),
            Some(bound) => bound.key(),
            None => String::new(),
        }
    }

    /// The console's key for what a node proposes, where it explains a link.
    pub fn key_of_next(&self, step: NextAction) -> Option<String> {
        let bound = self.find(Scope::Why, action_of(step).0)?;
        bound.keys.first().map(Key::to_string)
    }

    /// The actions whose keys are not the table's, each with its keys as TOML.
    pub fn changed(&self) -> impl Iterator<Item = (&'static str, String)> {
        let default = Self::default();
        let bound: Vec<_> = self
            .bound
            .iter()
            .zip(&default.bound)
            .filter(|(now, was)| now.keys != was.keys)
            .map(|(now, _)| (now.line.name, now.toml()))
            .collect();
        bound.into_iter()
    }

    /// Every key and what it does, as a plain text for a terminal or a file.
    pub fn text(&self) -> String {
        let keys = self.bound.iter().map(|b| b.key_names().chars().count()).max().unwrap_or(0);
        let names = self.bound.iter().map(|b| b.name.len()).max().unwrap_or(0);
        let mut out = String::new();
        for &scope in Scope::ALL {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(scope.title());
            out.push('\n');
            for bound in self.of_scope(scope) {
                let mark = bound.danger.mark();
                let (key, name) = (bound.key_names(), bound.name);
                let _ = writeln!(out, "  {key:keys$}  {name:names$}  {}{mark}", bound.help);
            }
        }
        out
    }

    /// The whole map as the commented table of the example configuration.
    pub fn example() -> String {
        let mut out = String::new();
        for bound in Self::default().bound {
            let _ = writeln!(out, "#   {} = {}", bound.name, bound.toml());
        }
        out
    }
}

impl Bound {
    /// Its keys as they stand in the configuration.
    fn toml(&self) -> String {
        let text = |key: &Key| toml::Value::String(key.to_string()).to_string();
        match &self.keys[..] {
            [one] => text(one),
            several => format!("[{}]", several.iter().map(text).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// The nearest action to a name, or where all of them stand.
fn nearest(name: &str) -> String {
    BINDINGS
        .iter()
        .map(|b| (strsim::normalized_damerau_levenshtein(name, b.name), b.name))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(
            || "punchdeck keys lists all of them".to_owned(),
            |(_, near)| format!("the nearest is {near:?}"),
        )
}
