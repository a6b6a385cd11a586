//! The filter over the peers table: a small query language.
//!
//! ```text
//! home nat=symmetric path!=direct rtt>80 name~vps seen<5m
//! ```
//!
//! Every term must hold. A word alone is looked for in name, id, addresses, NAT,
//! path, state and source. It only decides whether a row is shown; it never
//! changes one. What cannot be read is marked with the reason; the other terms
//! hold meanwhile.

mod complete;
mod events;
mod field;
mod term;

use std::ops::Range;

pub(crate) use complete::complete;
pub(crate) use events::{EventFilter, EventText, LineFilter};
use term::Term;

use crate::model::{PeerRow, Stamp};

/// A term that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Where it stands in the text, in bytes.
    pub(crate) at: Range<usize>,
    /// What is wrong with it, and what would be right.
    pub(crate) why: String,
}

/// One term of a query.
pub(crate) trait Parse: Sized {
    /// Reads a word.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    fn parse(word: &str) -> Result<Self, String>;
}

/// What the operator typed, ready to be matched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query<T> {
    text: String,
    terms: Vec<T>,
    wrong: Option<Wrong>,
}

impl<T> Default for Query<T> {
    fn default() -> Self {
        Self { text: String::new(), terms: Vec::new(), wrong: None }
    }
}

impl<T: Parse> Query<T> {
    /// A query for a text; spaces at its ends do not count.
    pub(crate) fn new(text: &str) -> Self {
        let mut query = Self { text: text.trim().to_owned(), ..Self::default() };
        for at in words(text) {
            match T::parse(&text[at.clone()]) {
                Ok(term) => query.terms.push(term),
                Err(why) => query.wrong = query.wrong.or(Some(Wrong { at, why })),
            }
        }
        query
    }

    /// The text as typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The first term that cannot be read.
    pub(crate) fn wrong(&self) -> Option<&Wrong> {
        self.wrong.as_ref()
    }

    /// Whether everything passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

/// A filter over the peers.
pub(crate) type Filter = Query<Term>;

impl Filter {
    /// Whether a row is shown. `scratch` is only there to be reused.
    pub(crate) fn matches(&self, row: &PeerRow, now: Stamp, scratch: &mut String) -> bool {
        self.terms.iter().all(|term| term.holds(row, now, scratch))
    }
}

/// Where the words of a text stand. Quotes hold words together.
fn words(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut start, mut quoted) = (Vec::new(), None, false);
    for (at, c) in text.char_indices() {
        if c == '"' {
            quoted = !quoted;
        }
        if c.is_whitespace() && !quoted {
            found.extend(start.take().map(|start| start..at));
        } else {
            start = start.or(Some(at));
        }
    }
    found.extend(start.map(|start| start..text.len()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::demo;

    fn shown(text: &str) -> Vec<String> {
        let filter = Filter::new(text);
        assert_eq!(filter.wrong(), None);
        let snapshot = demo::busy();
        snapshot
            .peers
            .iter()
            .filter(|p| filter.matches(p, snapshot.at, &mut String::new()))
            .filter_map(|p| p.name.clone())
            .collect()
    }

    /// What passes and what does not is everybody, and nobody is in both.
    fn parted(yes: &str, no: &str) -> Vec<String> {
        let (yes, no) = (shown(yes), shown(no));
        assert_eq!(yes.len() + no.len(), shown("").len(), "{yes:?} {no:?}");
        assert!(yes.iter().all(|name| !no.contains(name)));
        yes
    }

    #[test]
    fn a_word_finds_by_name_id_address_nat_path_and_state_in_any_case() {
        assert_eq!(shown("HOME"), ["home-ber"]);
        assert_eq!(shown("1b88"), ["vps-nyc"]);
        assert_eq!(shown("198.18.0.103"), ["home-ber"]);
        assert_eq!(shown("symm"), ["home-ber"]);
        assert_eq!(shown("punched"), ["lab-3"]);
        assert_eq!(shown("unreach"), ["old-box"]);
    }

    #[test]
    fn a_blank_filter_shows_everybody_and_nonsense_nobody() {
        assert_eq!(shown("  ").len(), demo::busy().peers.iter().filter(|p| p.name.is_some()).count());
        assert!(shown("no such peer").is_empty());
    }

    #[test]
    fn every_term_must_hold() {
        assert_eq!(shown("nat=symmetric path=relayed"), ["home-ber"]);
        assert!(shown("nat=symmetric path=direct").is_empty());
        assert_eq!(shown("vps name~nyc"), ["vps-nyc"]);
    }

    #[test]
    fn enumerations_are_compared_by_their_names_or_the_beginning_of_them() {
        assert_eq!(shown("nat=sym"), ["home-ber"]);
        assert_eq!(parted("path=relayed", "path!=relayed"), ["home-ber"]);
        assert_eq!(parted("state=unreachable", "state!=unreachable"), ["old-box"]);
        assert!(shown("path=-").contains(&"old-box".to_owned()), "no path is one, too");
    }

    #[test]
    fn numbers_are_compared_and_what_is_unknown_is_no_number() {
        let slow = shown("rtt>80");
        assert!(slow.contains(&"vps-nyc".to_owned()) && !slow.contains(&"lab-3".to_owned()), "{slow:?}");
        assert!(!shown("rtt>=0").contains(&"old-box".to_owned()), "it has none");
        assert!(!shown("rtt<1000").contains(&"old-box".to_owned()));
        assert_eq!(shown("ok=0 attempts>=1"), ["old-box"]);
        assert!(shown("seen>1d").contains(&"old-box".to_owned()));
        assert!(!shown("seen<5m").contains(&"old-box".to_owned()));
    }

    #[test]
    fn text_is_compared_whole_or_in_part_in_any_case() {
        assert_eq!(parted("name=VPS-nyc", "name!=vps-NYC"), ["vps-nyc"]);
        assert_eq!(parted("name~\"home-\"", "name!~home-"), ["home-ber"]);
        assert_eq!(shown("id=1b88"), ["vps-nyc"], "an id is named by its beginning");
        assert_eq!(shown("addr~0.103"), ["home-ber"]);
    }

    #[test]
    fn what_cannot_be_read_is_marked_with_the_reason_and_the_rest_holds() {
        for (text, marked, says) in [
            ("vps colour=red", "colour=red", "keys: id, name, addr"),
            ("rtt~80 vps", "rtt~80", "rtt takes = != < <= > >="),
            ("rtt>fast", "rtt>fast", "a number of milliseconds"),
            ("seen>soon", "seen>soon", "a time such as 30s, 5m, 2h or 1d"),
            ("nat=weird", "nat=weird", "none, full-cone"),
            ("nat=", "nat=", "a value is missing"),
            ("nat>sym", "nat>sym", "nat takes = !="),
            ("name~\"x", "name~\"x", "quote"),
        ] {
            let filter = Filter::new(text);
            let wrong = filter.wrong().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(&text[wrong.at.clone()], marked);
            assert!(wrong.why.contains(says), "{text}: {}", wrong.why);
        }
        let filter = Filter::new("vps colour=red");
        let snapshot = demo::busy();
        let left =
            snapshot.peers.iter().filter(|p| filter.matches(p, snapshot.at, &mut String::new())).count();
        assert_eq!(left, shown("vps").len());
    }
}
