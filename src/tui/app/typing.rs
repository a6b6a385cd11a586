//! Whatever is typed: the filter, the palette, the search of the help, a name that a
//! question wants. Keys and pastes reach all of them the same way.

use tui_input::InputRequest;

use super::App;
use crate::tui::line::TextLine;
use crate::tui::overlays::Overlay;

impl App {
    /// What is typed now, if something is.
    #[cfg(test)]
    pub(crate) fn typed(&mut self) -> Option<&str> {
        self.line().map(|line| line.text())
    }

    fn line(&mut self) -> Option<&mut TextLine> {
        match self.overlays.top_mut() {
            Some(overlay) => overlay.line_mut(),
            None => self.filter_line.line_mut(),
        }
    }

    /// Does what an editing key asks.
    pub(super) fn edit(&mut self, request: InputRequest) {
        if self.line().is_some_and(|line| line.edit(request)) {
            self.on_edit();
        }
    }

    pub(super) fn type_char(&mut self, c: char) {
        if self.line().is_some_and(|line| line.insert(c)) {
            self.on_edit();
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        // Where nothing is typed a paste is not a row of commands. At once: each change
        // may look through all peers.
        match self.line().map(|line| line.paste(text)) {
            Some(true) => self.on_edit(),
            Some(false) => {}
            None => self.paste_address(text),
        }
    }

    /// Something else is typed than before.
    pub(super) fn on_edit(&mut self) {
        let peers = self.shown().peers.clone();
        match self.overlays.top_mut() {
            Some(Overlay::Help(help)) => help.on_edit(),
            Some(Overlay::Palette(palette)) => palette.on_edit(&self.settings.keys, &peers),
            Some(_) => {}
            None => self.filter_as_typed(),
        }
    }
}
