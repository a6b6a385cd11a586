//! The filter line: typing, completing, and what was typed before.

use std::collections::VecDeque;

use super::{App, Entry, Pane};
use crate::tui::filter::{self, EventFilter, LineFilter, Wrong};

/// Filters that are kept, the newest first.
const KEPT: usize = 50;

/// What can be filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filtered {
    /// The peers.
    Peers,
    /// What happened.
    Events,
    /// The log.
    Lines,
}

impl Filtered {
    /// What is filtered from a pane.
    pub(super) fn by(pane: Pane) -> Self {
        match pane {
            Pane::Events => Self::Events,
            Pane::Logs => Self::Lines,
            _ => Self::Peers,
        }
    }
}

/// The filters of what comes in order; the peers have theirs with their table.
#[derive(Debug, Default)]
pub(crate) struct StreamFilters {
    /// Over what happened.
    pub(crate) events: EventFilter,
    /// Over the log.
    pub(crate) lines: LineFilter,
}

/// The filter line while it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// What it filters.
    pub(crate) of: Filtered,
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
    pub(super) fn new(of: Filtered, text: String) -> Self {
        Self { of, before: text.clone(), typed: String::new(), text, back: 0, candidates: Vec::new() }
    }

    /// What the filter was before.
    pub(super) fn before(&self) -> &str {
        &self.before
    }
}

/// Filters that were kept.
#[derive(Debug, Default)]
pub(super) struct FilterHistory(VecDeque<String>);

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

impl App {
    /// Why the filter that is typed cannot be read as it stands.
    pub(crate) fn wrong_filter(&self) -> Option<&Wrong> {
        match self.prompt.as_ref()?.of {
            Filtered::Peers => self.peers.filter().wrong(),
            Filtered::Events => self.stream_filters.events.wrong(),
            Filtered::Lines => None,
        }
    }

    /// How many of how many the filter that is typed lets through.
    pub(crate) fn filtered(&self, of: Filtered) -> (usize, usize) {
        match of {
            Filtered::Peers => (self.peers.present(), self.shown().peers.len()),
            Filtered::Events => {
                let limit = self.timeline_end();
                (self.timeline.passing(limit), self.timeline.count(limit))
            }
            Filtered::Lines => (self.lines.passing(self.lines_end()), self.lines.count(self.lines_end())),
        }
    }

    /// The text of a filter.
    pub(super) fn filter_text(&self, of: Filtered) -> &str {
        match of {
            Filtered::Peers => self.peers.filter().text(),
            Filtered::Events => self.stream_filters.events.text(),
            Filtered::Lines => self.stream_filters.lines.text(),
        }
    }

    /// The filter that escape takes away: that of the focused pane, else of the
    /// peers.
    pub(super) fn filter_to_clear(&self) -> Option<Filtered> {
        [Filtered::by(self.focus), Filtered::Peers].into_iter().find(|of| !self.filter_text(*of).is_empty())
    }

    /// Begins to type the filter of the focused pane.
    pub(super) fn open_prompt(&mut self) {
        let of = Filtered::by(self.focus);
        self.prompt = Some(Prompt::new(of, self.filter_text(of).to_owned()));
    }

    /// Leaves the filter as it was before.
    pub(super) fn cancel_prompt(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            self.set_filter(prompt.of, prompt.before());
        }
    }

    pub(super) fn edit_filter(&mut self, change: impl FnOnce(&mut String)) {
        let Some(prompt) = &mut self.prompt else { return };
        change(&mut prompt.text);
        prompt.candidates.clear();
        prompt.back = 0;
        let (of, text) = (prompt.of, prompt.text.clone());
        self.set_filter(of, &text);
    }

    pub(super) fn set_filter(&mut self, of: Filtered, text: &str) {
        match of {
            Filtered::Peers => {
                self.peers.set_filter(text);
                self.refresh();
            }
            Filtered::Events => {
                self.stream_filters.events = EventFilter::new(text);
                let (filter, snapshot) = (&self.stream_filters.events, &self.live);
                let passes = |entry: &Entry| entry.passes(filter, snapshot);
                self.timeline.set_filter((!filter.is_empty()).then_some(passes));
            }
            Filtered::Lines => {
                self.stream_filters.lines = LineFilter::new(text);
                let filter = &self.stream_filters.lines;
                self.lines.set_filter((!filter.is_empty()).then_some(|line: &_| filter.matches(line)));
            }
        }
    }

    /// Puts the filters over what happened and the log in front again.
    pub(super) fn filter_anew(&mut self) {
        for of in [Filtered::Events, Filtered::Lines] {
            let text = self.filter_text(of).to_owned();
            self.set_filter(of, &text);
        }
    }

    /// Ends the typing, with the filter as it stands.
    pub(super) fn keep_filter(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            self.filter_history[prompt.of as usize].push(prompt.text.trim());
        }
    }

    pub(super) fn complete(&mut self) {
        let Some(prompt) = &self.prompt else { return };
        let (text, candidates) = match prompt.of {
            Filtered::Peers => filter::complete(&prompt.text),
            Filtered::Events => EventFilter::complete(&prompt.text, self.timeline.all().map(Entry::kind)),
            Filtered::Lines => return,
        };
        self.edit_filter(|typed| *typed = text);
        if let Some(prompt) = self.prompt.as_mut().filter(|_| candidates.len() > 1) {
            prompt.candidates = candidates;
        }
    }

    /// Goes so many filters back, or forth.
    pub(super) fn recall(&mut self, by: isize) {
        let Some(prompt) = &mut self.prompt else { return };
        let kept = &self.filter_history[prompt.of as usize].0;
        let back = prompt.back.saturating_add_signed(by).min(kept.len());
        if back == prompt.back {
            return;
        }
        if prompt.back == 0 {
            prompt.typed = prompt.text.clone();
        }
        let text = match back.checked_sub(1) {
            Some(at) => kept[at].clone(),
            None => prompt.typed.clone(),
        };
        self.edit_filter(|typed| *typed = text);
        if let Some(prompt) = &mut self.prompt {
            prompt.back = back;
        }
    }
}
