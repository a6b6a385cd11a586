//! Whatever is typed: the filter, the palette, the search of the help, a name
//! that a question wants. Keys and pastes reach all of them the same way.

use super::{App, Overlay};
use crate::model::visible;

/// The longest line, in characters.
const LINE_MAX: usize = 128;

impl App {
    /// What is typed now, if something is.
    pub(crate) fn typed(&self) -> Option<&str> {
        match self.overlays.last() {
            Some(Overlay::Help { search, typing: true, .. }) => Some(search),
            Some(Overlay::Palette(palette)) => Some(&palette.text),
            Some(Overlay::Confirm(question)) if question.name.is_some() => Some(&question.typed),
            Some(_) => None,
            None => self.prompt.as_ref().map(|prompt| prompt.text.as_str()),
        }
    }

    /// Changes what is typed.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut String)) {
        match self.overlays.last_mut() {
            Some(Overlay::Help { search, typing: true, scroll, .. }) => {
                change(search);
                *scroll = 0;
            }
            Some(Overlay::Palette(palette)) => {
                change(&mut palette.text);
                palette.row = 0;
                self.find();
            }
            Some(Overlay::Confirm(question)) if question.name.is_some() => change(&mut question.typed),
            Some(_) => {}
            None => self.edit_filter(change),
        }
    }

    pub(super) fn type_char(&mut self, c: char) {
        if self.typed().is_some_and(|text| !c.is_control() && text.chars().count() < LINE_MAX) {
            self.edit(|text| text.push(c));
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        // Where nothing is typed a paste is not a row of commands.
        let Some(typed) = self.typed() else { return };
        let room = LINE_MAX.saturating_sub(typed.chars().count());
        let pasted: String = visible(text).trim().chars().take(room).collect();
        // At once: each change may look through all peers.
        self.edit(|text| text.push_str(&pasted));
    }
}
