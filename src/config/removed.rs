//! Keys that there were once. An old configuration is told what became of them,
//! instead of the name that happens to be the nearest.

/// A key that is gone.
pub(super) struct Removed {
    /// Its name in the file.
    key: &'static str,
    /// Its environment variable.
    variable: &'static str,
    /// Since which version.
    since: &'static str,
    /// What holds instead.
    instead: &'static str,
}

const REMOVED: [Removed; 1] = [Removed {
    key: "relay_egress",
    variable: "PUNCHDECK_RELAY_EGRESS",
    since: "0.2",
    instead: "a node relays for linked peers of its own network only, and never to addresses of its host",
}];

impl Removed {
    /// The one with that name in the file.
    pub(super) fn by_key(name: &str) -> Option<&'static Self> {
        REMOVED.iter().find(|removed| removed.key == name)
    }

    /// The one with that environment variable.
    pub(super) fn by_variable(name: &str) -> Option<&'static Self> {
        REMOVED.iter().find(|removed| removed.variable == name)
    }

    /// Its environment variable.
    pub(super) fn variable(&self) -> &'static str {
        self.variable
    }

    /// What became of it; where it was found and what to do there is the
    /// caller's to say.
    pub(super) fn became(&self) -> String {
        format!("{} is gone since {}: {}", self.key, self.since, self.instead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Key;

    #[test]
    fn what_is_gone_is_no_key_of_today() {
        for removed in &REMOVED {
            assert!(Key::by_name(removed.key).is_none(), "{}", removed.key);
            assert!(Key::ALL.iter().all(|key| key.variable() != removed.variable), "{}", removed.variable);
        }
    }
}
