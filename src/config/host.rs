//! What the host gives: places and a name; and the choices of how to write.

use std::fmt;
use std::path::PathBuf;

use directories::ProjectDirs;

use crate::core::limits::NAME_BYTES_MAX;
use crate::model::{clean, visible};

/// The host's own defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Where the configuration is looked for; `None` without a home directory,
    /// or with a relative one.
    pub config_file: Option<PathBuf>,
    /// Where data goes; `None` without a home directory.
    pub data_dir: Option<PathBuf>,
    /// The host's name, fit to be a peer's.
    pub name: String,
}

impl Host {
    /// Asks the system.
    pub fn detect() -> Self {
        // A relative HOME would make another home of every directory that a
        // command is started in.
        let dirs = ProjectDirs::from("", "", "punchdeck").filter(|dirs| dirs.data_local_dir().is_absolute());
        Self {
            config_file: dirs.as_ref().map(|d| d.config_dir().join("config.toml")),
            data_dir: dirs.as_ref().map(|d| d.data_local_dir().to_owned()),
            name: fit_name(&rustix::system::uname().nodename().to_string_lossy()),
        }
    }
}

/// A host's name cut and cleaned to what a peer's name may be.
fn fit_name(hostname: &str) -> String {
    let mut name = clean(&visible(hostname));
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// How log lines are written where there is no console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: an object a line.
    Json,
}

impl LogFormat {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];

    /// The name as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Whether the console draws with ASCII only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ascii {
    /// Where the locale is not UTF-8.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Ascii {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Always, Self::Never];

    /// The name as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for Ascii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_becomes_a_name_that_a_peer_may_have() {
        assert_eq!(fit_name("node-1.example"), "node-1.example");
        assert_eq!(fit_name("\x1b[2J"), "[2J");
        assert_eq!(fit_name(""), "unnamed");
        let long = fit_name(&"é".repeat(64));
        assert_eq!((long.len(), long.chars().count()), (64, 32));
    }
}
