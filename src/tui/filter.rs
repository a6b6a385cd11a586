//! The filter over the peers table: a case-insensitive substring for now.
//! It only decides whether a row is shown; it never changes one.

use std::fmt::Write as _;

use crate::model::PeerRow;

/// What the operator typed, ready to be matched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    text: String,
    needle: String,
    /// Whether the needle can be the beginning of an id at all.
    hex: bool,
}

impl Filter {
    /// A filter for a text; spaces at its ends do not count.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.trim().to_owned();
        let hex = text.chars().all(|c| c.is_ascii_hexdigit());
        Self { needle: text.to_lowercase(), hex, text }
    }

    /// The text as typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether every row passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.needle.is_empty()
    }

    /// Whether a row is shown. `scratch` is only there to be reused.
    pub(crate) fn matches(&self, row: &PeerRow, scratch: &mut String) -> bool {
        if self.is_empty() || (self.hex && row.peer_id.has_prefix(&self.needle)) {
            return true;
        }
        if self.holds(row.state.name())
            || self.holds(row.nat_type.name())
            || row.path.is_some_and(|p| self.holds(p.name()))
            || self.holds(row.source.name())
        {
            return true;
        }
        if row.name.as_deref().is_some_and(|n| n.to_lowercase().contains(&self.needle)) {
            return true;
        }
        row.addresses.iter().any(|addr| {
            scratch.clear();
            let _ = write!(scratch, "{addr}");
            self.holds(scratch)
        })
    }

    fn holds(&self, text: &str) -> bool {
        text.contains(&self.needle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::demo;

    fn shown(text: &str) -> Vec<String> {
        let filter = Filter::new(text);
        let snapshot = demo::busy();
        snapshot
            .peers
            .iter()
            .filter(|p| filter.matches(p, &mut String::new()))
            .filter_map(|p| p.name.clone())
            .collect()
    }

    #[test]
    fn it_finds_by_name_id_address_nat_path_and_state_in_any_case() {
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
}
