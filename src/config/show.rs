//! The effective configuration as text: valid TOML, each line with where its
//! value came from.

use std::fmt::Write as _;

use super::{Key, Origin, Resolved};

impl Resolved {
    /// One line for each key. The secret shows only as being there.
    pub fn show(&self) -> String {
        let lines: Vec<(String, String)> = Key::ALL
            .into_iter()
            .map(|key| match key.toml(&self.config) {
                Some(value) => (format!("{} = {value}", key.name()), self.describe(key)),
                None => (format!("# {} is not set", key.name()), String::new()),
            })
            .collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for (line, origin) in lines {
            if origin.is_empty() {
                let _ = writeln!(out, "{line}");
            } else {
                let _ = writeln!(out, "{line:width$}  # {origin}");
            }
        }
        let _ = match &self.secret {
            Some((_, at)) => writeln!(out, "# the network secret is set ({at}): a closed fleet"),
            None => writeln!(out, "# no network secret is set: an open fleet"),
        };
        for (action, keys) in self.config.keys.changed() {
            let at = self.key_origins.get(action).cloned().unwrap_or(Origin::Default);
            let _ = writeln!(out, "keys.{action} = {keys}  # {at}");
        }
        let _ = writeln!(out, "# all other keys are the console's own: punchdeck keys prints the map");
        if let Some((_, at)) = &self.registry_token {
            let _ = writeln!(out, "# the registry's token is set ({at})");
        }
        if let Some((_, at)) = &self.metrics_token {
            let _ = writeln!(out, "# the token for metrics is set ({at})");
        }
        out
    }

    fn describe(&self, key: Key) -> String {
        match (self.origin(key), key) {
            (Origin::Default, Key::DataDir | Key::Name) => format!("default: {}", key.default_text()),
            (origin, _) => origin.to_string(),
        }
    }
}
