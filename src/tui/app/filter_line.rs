//! The filter line: typing, completing, and what was typed before.

use std::collections::VecDeque;

use super::App;
use crate::tui::line::TextLine;
use crate::tui::panes::Filtered;

/// Filters that are kept, the newest first.
const KEPT: usize = 50;

/// The filter line while it is typed.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    of: Filtered,
    line: TextLine,
    /// What the filter was before.
    before: String,
    /// How far one has gone back in those that were kept.
    back: usize,
    /// What stood in it before one went back.
    typed: String,
    candidates: Vec<String>,
}

impl Prompt {
    /// What it filters.
    pub(crate) fn of(&self) -> Filtered {
        self.of
    }

    /// What stands in it.
    pub(crate) fn line(&self) -> &TextLine {
        &self.line
    }

    /// What the last word may become, if it was asked.
    pub(crate) fn candidates(&self) -> &[String] {
        &self.candidates
    }
}

/// Filters that were kept, the newest first.
#[derive(Debug, Default)]
struct FilterHistory(VecDeque<String>);

impl FilterHistory {
    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.0.retain(|old| old != text);
        self.0.push_front(text.to_owned());
        self.0.truncate(KEPT);
    }
}

/// The filter line, typed or not.
#[derive(Debug, Default)]
pub(super) struct FilterLine {
    prompt: Option<Prompt>,
    /// What was kept, by what it filters.
    kept: [FilterHistory; Filtered::ALL.len()],
}

impl FilterLine {
    pub(super) fn prompt(&self) -> Option<&Prompt> {
        self.prompt.as_ref()
    }

    /// What stands in it, to be changed.
    pub(super) fn line_mut(&mut self) -> Option<&mut TextLine> {
        self.prompt.as_mut().map(|prompt| &mut prompt.line)
    }

    /// Begins with the filter that holds.
    fn open(&mut self, of: Filtered, text: &str) {
        let (line, before) = (TextLine::new(text.to_owned()), text.to_owned());
        self.prompt =
            Some(Prompt { of, line, before, back: 0, typed: String::new(), candidates: Vec::new() });
    }

    /// Ends the typing, with the filter as it stands.
    pub(super) fn keep(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            self.kept[prompt.of as usize].push(prompt.line.text().trim());
        }
    }

    /// Ends the typing.
    pub(super) fn close(&mut self) -> Option<Prompt> {
        self.prompt.take()
    }

    /// Forgets what was kept.
    pub(super) fn forget(&mut self) {
        self.kept = Default::default();
    }

    /// Puts a filter in that was kept, so many further back; says whether there is one.
    fn recall(&mut self, by: isize) -> bool {
        let Some(prompt) = &mut self.prompt else { return false };
        let kept = &self.kept[prompt.of as usize].0;
        let back = prompt.back.saturating_add_signed(by).min(kept.len());
        if back == prompt.back {
            return false;
        }
        if prompt.back == 0 {
            prompt.line.text().clone_into(&mut prompt.typed);
        }
        let text = back.checked_sub(1).map_or(&prompt.typed, |at| &kept[at]);
        prompt.line.set(text.clone());
        prompt.back = back;
        true
    }
}

impl App {
    /// Begins to type the filter of the focused pane.
    pub(super) fn open_prompt(&mut self) {
        let of = Filtered::by(self.panes.focus());
        self.filter_line.open(of, self.panes.filtered(of).filter());
    }

    /// Leaves the filter as it was before.
    pub(super) fn cancel_prompt(&mut self) {
        if let Some(prompt) = self.filter_line.close() {
            self.set_filter(prompt.of, &prompt.before);
        }
    }

    /// Filters by what stands in the line, which somebody typed.
    pub(super) fn filter_as_typed(&mut self) {
        if let Some(prompt) = &mut self.filter_line.prompt {
            prompt.back = 0;
        }
        self.filter_by_line();
    }

    fn filter_by_line(&mut self) {
        let Some(prompt) = &mut self.filter_line.prompt else { return };
        prompt.candidates.clear();
        let (of, text) = (prompt.of, prompt.line.text().to_owned());
        self.set_filter(of, &text);
    }

    pub(super) fn set_filter(&mut self, of: Filtered, text: &str) {
        self.panes.filtered_mut(of).set_filter(text, &self.node.live);
        if of == Filtered::Peers {
            self.refresh();
        }
    }

    pub(super) fn complete(&mut self) {
        let Some(prompt) = &mut self.filter_line.prompt else { return };
        let completed = self.panes.filtered(prompt.of).complete(prompt.line.text());
        let Some((text, candidates)) = completed else { return };
        prompt.line.set(text);
        self.filter_as_typed();
        if let Some(prompt) = self.filter_line.prompt.as_mut().filter(|_| candidates.len() > 1) {
            prompt.candidates = candidates;
        }
    }

    /// Goes so many filters back, or forth.
    pub(super) fn recall(&mut self, by: isize) {
        if self.filter_line.recall(by) {
            self.filter_by_line();
        }
    }
}
