//! The filter line: typing, completing, and what was typed before.

use std::collections::VecDeque;

use super::App;
use crate::tui::filter::{self, Wrong};

/// Filters that are kept, the newest first.
const KEPT: usize = 50;

/// The filter line while it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// What stands in it.
    pub(crate) text: String,
    /// What the filter was before.
    before: String,
    /// How far one has gone back in those that were kept.
    back: usize,
    /// What stood in it before one went back.
    typed: String,
    /// What the last word may become, if it was asked.
    pub(crate) candidates: Vec<String>,
}

impl Prompt {
    /// Begins with the filter that holds.
    pub(super) fn new(text: String) -> Self {
        Self { before: text.clone(), typed: String::new(), text, back: 0, candidates: Vec::new() }
    }

    /// What the filter was before.
    pub(super) fn before(&self) -> &str {
        &self.before
    }
}

/// Filters that were kept.
#[derive(Debug, Default)]
pub(super) struct Kept(VecDeque<String>);

impl Kept {
    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.0.retain(|old| old != text);
        self.0.push_front(text.to_owned());
        self.0.truncate(KEPT);
    }
}

impl App {
    /// Why the filter that is typed cannot be read as it stands.
    pub(crate) fn wrong_filter(&self) -> Option<&Wrong> {
        self.peers.filter().wrong()
    }

    pub(super) fn edit_filter(&mut self, change: impl FnOnce(&mut String)) {
        let Some(prompt) = &mut self.prompt else { return };
        change(&mut prompt.text);
        prompt.candidates.clear();
        prompt.back = 0;
        let text = prompt.text.clone();
        self.set_filter(&text);
    }

    pub(super) fn set_filter(&mut self, text: &str) {
        self.peers.set_filter(text);
        self.refresh();
    }

    /// Ends the typing, with the filter as it stands.
    pub(super) fn keep_filter(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            self.kept.push(prompt.text.trim());
        }
    }

    pub(super) fn complete(&mut self) {
        let Some(prompt) = &self.prompt else { return };
        let (text, candidates) = filter::complete(&prompt.text);
        self.edit_filter(|typed| *typed = text);
        if let Some(prompt) = self.prompt.as_mut().filter(|_| candidates.len() > 1) {
            prompt.candidates = candidates;
        }
    }

    /// Goes so many filters back, or forth.
    pub(super) fn recall(&mut self, by: isize) {
        let Some(prompt) = &mut self.prompt else { return };
        let back = prompt.back.saturating_add_signed(by).min(self.kept.0.len());
        if back == prompt.back {
            return;
        }
        if prompt.back == 0 {
            prompt.typed = prompt.text.clone();
        }
        let text = match back.checked_sub(1) {
            Some(at) => self.kept.0[at].clone(),
            None => prompt.typed.clone(),
        };
        self.edit_filter(|typed| *typed = text);
        if let Some(prompt) = &mut self.prompt {
            prompt.back = back;
        }
    }
}
