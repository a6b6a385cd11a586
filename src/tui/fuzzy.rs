//! Finding by a few letters: the letters of a pattern stand in a text in their order, and the
//! better they stand there the higher it ranks.

use nucleo_matcher::pattern::{Atom, AtomKind, CaseMatching, Normalization};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// What a step of nucleo's score counts for, so that lengths decide only between equals.
const STEP: i32 = 128;

/// Where and how well a pattern stands in a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Match {
    /// Higher is better.
    pub(crate) score: i32,
    /// The places of its letters, counted in characters.
    pub(crate) at: Vec<usize>,
}

/// What looks for patterns: the memory that this takes.
#[derive(Debug)]
pub(crate) struct Finder {
    matcher: Matcher,
    chars: Vec<char>,
    at: Vec<u32>,
}

impl Finder {
    /// One that can look through any number of texts.
    pub(crate) fn new() -> Self {
        Self { matcher: Matcher::new(Config::DEFAULT), chars: Vec::new(), at: Vec::new() }
    }

    /// Finds a pattern in a text, whatever their cases; `None` if it is not there. The empty
    /// pattern is everywhere.
    pub(crate) fn find(&mut self, pattern: &Pattern, text: &str) -> Option<Match> {
        self.at.clear();
        let text = Utf32Str::new(text, &mut self.chars);
        let score = pattern.0.indices(text, &mut self.matcher, &mut self.at)?;
        // Of two texts that hold it equally well the shorter one is meant.
        let length = if score > 0 { i32::try_from(text.len()).unwrap_or(STEP).min(STEP - 1) } else { 0 };
        Some(Match {
            score: i32::from(score) * STEP - length,
            at: self.at.iter().map(|at| *at as usize).collect(),
        })
    }
}

/// A few letters to be found.
#[derive(Debug)]
pub(crate) struct Pattern(Atom);

impl Pattern {
    /// These letters, in this order.
    pub(crate) fn new(letters: &str) -> Self {
        Self(Atom::new(letters, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fuzzy(pattern: &str, text: &str) -> Option<Match> {
        Finder::new().find(&Pattern::new(pattern), text)
    }

    #[test]
    fn the_letters_stand_in_their_order_whatever_their_case() {
        assert_eq!(fuzzy("SyA", "sync-all").map(|m| m.at), Some(vec![0, 1, 5]));
        assert_eq!(fuzzy("ays", "sync-all"), None);
        assert_eq!(fuzzy("", "anything"), Some(Match::default()));
        assert_eq!(fuzzy("x", ""), None);
    }

    #[test]
    fn beginnings_of_words_and_runs_go_before_scattered_letters() {
        let score = |pattern, text| fuzzy(pattern, text).map(|m| m.score);
        assert!(score("sa", "sync-all") > score("sa", "clear-small-thing"));
        assert!(score("sort", "sort-inverse") > score("sort", "sxoxrxtx-scattered"));
        assert!(score("nat", "nat-probe") > score("nat", "connect-attempt"));
    }

    #[test]
    fn of_two_that_fit_equally_well_the_shorter_one_ranks_higher() {
        let score = |text| fuzzy("punch", text).map(|m| m.score);
        assert!(score("punch") > score("punch-again"));
    }

    #[test]
    fn the_best_place_is_marked_and_not_the_first() {
        assert_eq!(fuzzy("nat", "lan-lab-nat").map(|m| m.at), Some(vec![8, 9, 10]));
    }
}
