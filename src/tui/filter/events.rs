//! The filters over what happened and over the log.
//!
//! ```text
//! kind=relay peer=vps-1 standby
//! ```
//!
//! A word alone is looked for in what happened, to whom, and how it is told.
//! Log lines have words only.

use super::term::{Operator, split};
use super::{Parse, Query, words};
use crate::model::{LogLine, PeerId};

/// What a term of the events can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Kind,
    Peer,
}

const FIELDS: [(&str, Field); 2] = [("kind", Field::Kind), ("peer", Field::Peer)];
/// How values are compared: both are texts.
const OPERATORS: [Operator; 4] = [Operator::Is, Operator::IsNot, Operator::Has, Operator::HasNot];

/// What a filter sees of an entry.
pub(crate) struct EventText<'a> {
    /// What happened: `area.what`.
    pub(crate) kind: &'a str,
    /// To whom.
    pub(crate) peer: Option<PeerId>,
    /// And what it calls itself.
    pub(crate) name: Option<&'a str>,
    /// The rest in words.
    pub(crate) text: &'a str,
}

/// One term of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    /// A word alone.
    Word(String),
    /// What a field is, or is not.
    Of { field: Field, operator: Operator, value: String },
}

impl Parse for Term {
    fn parse(word: &str) -> Result<Self, String> {
        if word.matches('"').count() % 2 == 1 {
            return Err("the closing quote is missing".to_owned());
        }
        let Some((key, operator, value)) = split(word) else {
            return Ok(Self::Word(word.replace('"', "").to_lowercase()));
        };
        let Some((name, field)) = FIELDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)) else {
            return Err(format!("there is no {key:?}; keys: kind, peer"));
        };
        if !OPERATORS.contains(&operator) {
            return Err(format!("{name} takes = != ~ !~"));
        }
        if value.is_empty() {
            return Err(format!("a value is missing behind {name}{}", operator.sign()));
        }
        Ok(Self::Of { field: *field, operator, value: value.to_lowercase() })
    }
}

impl Term {
    fn holds(&self, event: &EventText<'_>) -> bool {
        let has = |text: &str, value: &str| text.to_lowercase().contains(value);
        match self {
            Self::Word(needle) => {
                has(event.kind, needle)
                    || has(event.text, needle)
                    || event.peer.is_some_and(|id| id.has_prefix(needle))
                    || event.name.is_some_and(|name| has(name, needle))
            }
            Self::Of { field, operator, value } => {
                let whole = matches!(operator, Operator::Is | Operator::IsNot);
                let found = match (field, whole) {
                    // `relay` is all that happens to relays.
                    (Field::Kind, true) => event.kind.starts_with(value.as_str()),
                    (Field::Kind, false) => has(event.kind, value),
                    (Field::Peer, true) => {
                        event.peer.is_some_and(|id| id.has_prefix(value))
                            || event.name.is_some_and(|name| name.to_lowercase() == *value)
                    }
                    (Field::Peer, false) => {
                        event.peer.is_some_and(|id| has(&id.to_string(), value))
                            || event.name.is_some_and(|name| has(name, value))
                    }
                };
                found != operator.is_negative()
            }
        }
    }
}

/// A filter over what happened.
pub(crate) type EventFilter = Query<Term>;

impl EventFilter {
    /// Whether an entry is shown.
    pub(crate) fn matches(&self, event: &EventText<'_>) -> bool {
        self.terms.iter().all(|term| term.holds(event))
    }

    /// What the last word may become. `kinds`: what happened so far.
    pub(crate) fn complete<'a>(text: &str, kinds: impl Iterator<Item = &'a str>) -> (String, Vec<String>) {
        let keys = FIELDS.iter().map(|(name, _)| format!("{name}="));
        let kinds = kinds.map(|kind| format!("kind={kind}"));
        super::complete::last_word(text, |word| {
            let mut fitting: Vec<String> = if word.contains('=') {
                kinds.filter(|c| c.starts_with(word)).collect()
            } else {
                keys.filter(|c| !word.is_empty() && c.starts_with(word)).collect()
            };
            fitting.sort_unstable();
            fitting.dedup();
            fitting
        })
    }
}

/// A filter over log lines: every word must stand in one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LineFilter {
    text: String,
    words: Vec<String>,
}

impl LineFilter {
    /// A filter for a text.
    pub(crate) fn new(text: &str) -> Self {
        let words = words(text).into_iter().map(|at| text[at].replace('"', "").to_lowercase()).collect();
        Self { text: text.trim().to_owned(), words }
    }

    /// The text as typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether everything passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether a line is shown.
    pub(crate) fn matches(&self, line: &LogLine) -> bool {
        let has = |text: &str, word: &str| text.to_lowercase().contains(word);
        self.words.iter().all(|w| has(&line.text, w) || has(&line.target, w) || line.level.name() == w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogLevel, Stamp};

    fn holds(filter: &str) -> bool {
        let filter = EventFilter::new(filter);
        assert_eq!(filter.wrong(), None);
        filter.matches(&EventText {
            kind: "relay.suspect",
            peer: Some(PeerId([0xab; 32])),
            name: Some("vps-1"),
            text: "2 heartbeats missed",
        })
    }

    #[test]
    fn an_event_is_found_by_what_happened_to_whom_and_how_it_is_told() {
        for yes in [
            "",
            "kind=relay",
            "kind=relay.suspect",
            "kind!=link",
            "kind~suspect",
            "peer=vps-1",
            "peer=abab",
            "peer~PS-",
            "peer!=vps-2",
            "missed",
            "VPS relay",
            "kind=relay peer=vps-1 heart",
            "\"2 heartbeats\"",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "kind=link",
            "kind!=relay",
            "peer=vps",
            "peer!~vps",
            "peer=cd",
            "nothing",
            "kind=relay missed not",
        ] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_marked_with_the_reason_and_the_rest_holds() {
        for (text, marked, says) in [
            ("kind=relay nat=sym", "nat=sym", "keys: kind, peer"),
            ("kind>relay", "kind>relay", "kind takes = != ~ !~"),
            ("peer=", "peer=", "a value is missing behind peer="),
            ("\"x", "\"x", "quote"),
        ] {
            let filter = EventFilter::new(text);
            let wrong = filter.wrong().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(&text[wrong.at.clone()], marked);
            assert!(wrong.why.contains(says), "{text}: {}", wrong.why);
        }
        assert!(!EventFilter::new("kind=relay nat=sym").is_empty());
    }

    #[test]
    fn keys_and_the_kinds_that_happened_are_completed() {
        let complete =
            |text: &str| EventFilter::complete(text, ["relay.dead", "relay.suspect", "link.up"].into_iter());
        assert_eq!(complete("ki").0, "kind=");
        assert_eq!(complete("x kind=re").0, "x kind=relay.");
        assert_eq!(complete("kind=relay.").1, ["kind=relay.dead", "kind=relay.suspect"]);
        assert_eq!(complete("").1.len(), 0);
    }

    #[test]
    fn a_log_line_is_found_by_every_word_of_it() {
        let line = LogLine {
            at: Stamp(0),
            level: LogLevel::Warn,
            target: "driver".into(),
            text: "Cache saved".into(),
        };
        assert!(
            LineFilter::new("warn cache").matches(&line)
                && LineFilter::new("\"cache s\" driv").matches(&line)
        );
        assert!(!LineFilter::new("cache lost").matches(&line));
    }
}
