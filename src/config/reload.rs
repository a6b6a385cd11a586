//! What of another configuration a running node can take on, and what it
//! cannot.

use super::{Config, Key, Resolved, bootstrap_of};
use crate::node::options::Settings;

/// A setting that has another value than the one that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which: a key, or the secret itself.
    pub name: &'static str,
    /// What holds, as TOML.
    pub from: String,
    /// What it would be.
    pub to: String,
    /// Whether a running node can take it on.
    pub live: bool,
}

impl Key {
    /// Whether a running node can take on another value.
    pub fn is_live(self) -> bool {
        matches!(
            self,
            Self::Bootstrap
                | Self::DirectWindow
                | Self::RelayAfter
                | Self::Punch
                | Self::Relay
                | Self::HardNat
                | Self::PathTest
                | Self::LogFilter
        )
    }
}

/// A change of something that is never shown.
fn hidden<T: PartialEq>(name: &'static str, old: Option<T>, new: Option<T>) -> Option<Change> {
    let (from, to) = match (&old, &new) {
        (None, Some(_)) => ("unset", "set"),
        (Some(_), None) => ("set", "unset"),
        (Some(old), Some(new)) if old != new => ("set", "another one"),
        _ => return None,
    };
    Some(Change { name, from: from.to_owned(), to: to.to_owned(), live: false })
}

impl Resolved {
    /// Every setting that differs in a newer configuration.
    pub fn changes(&self, newer: &Self) -> Vec<Change> {
        let value = |key: Key, config: &Config| key.toml(config).unwrap_or_else(|| "unset".to_owned());
        let mut changes: Vec<Change> = Key::ALL
            .into_iter()
            .map(|key| Change {
                name: key.name(),
                from: value(key, &self.config),
                to: value(key, &newer.config),
                live: key.is_live(),
            })
            .filter(|change| change.from != change.to)
            .collect();
        if self.config.keys != newer.config.keys {
            let of = |config: &Config| {
                let keys: Vec<_> =
                    config.keys.changed().map(|(name, keys)| format!("{name} = {keys}")).collect();
                if keys.is_empty() { "the console's own".to_owned() } else { keys.join(", ") }
            };
            let (from, to) = (of(&self.config), of(&newer.config));
            changes.push(Change { name: "keys", from, to, live: false });
        }
        let secret = |of: &Self| of.secret.as_ref().map(|(secret, _)| secret.clone());
        changes.extend(hidden("the network secret", secret(self), secret(newer)));
        let token = |of: &Self| of.registry_token.as_ref().map(|(token, _)| token.clone());
        changes.extend(hidden("the registry's token", token(self), token(newer)));
        let token = |of: &Self| of.metrics_token.as_ref().map(|(token, _)| token.clone());
        changes.extend(hidden("the token for metrics", token(self), token(newer)));
        changes
    }

    /// Takes on what a running node can; the rest stays as it holds.
    pub fn take_on(&mut self, newer: &Self) {
        let taken = newer.config.clone();
        self.config = Config {
            bootstrap: taken.bootstrap,
            direct_window: taken.direct_window,
            relay_after: taken.relay_after,
            punch: taken.punch,
            relay: taken.relay,
            hard_nat: taken.hard_nat,
            path_test: taken.path_test,
            log_filter: taken.log_filter,
            ..self.config.clone()
        };
        for key in Key::ALL.into_iter().filter(|key| key.is_live()) {
            self.origins.insert(key, newer.origin(key));
        }
    }

    /// What a running node is told of them.
    ///
    /// A named network's own list is used only where no bootstrap address is
    /// configured; the node dials either only when its cache is empty or it is
    /// alone.
    pub fn settings(&self) -> Settings {
        let Config {
            bootstrap, direct_window, relay_after, punch, relay, hard_nat, path_test, network, ..
        } = &self.config;
        Settings {
            bootstrap: if bootstrap.is_empty() { bootstrap_of(network) } else { bootstrap.clone() },
            direct_window: *direct_window,
            relay_after: *relay_after,
            punch: *punch,
            relay: *relay,
            hard_nat: *hard_nat,
            path_test: *path_test,
        }
    }
}
