//! What the host gives: places, a name, and whether its terminals speak UTF-8.

use std::fmt;
use std::path::PathBuf;

use directories::ProjectDirs;

use crate::core::limits::NAME_BYTES_MAX;
use crate::model::clean;

/// The host's own defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Where the configuration is looked for; `None` without a home directory.
    pub config_file: Option<PathBuf>,
    /// Where data goes; `None` without a home directory.
    pub data_dir: Option<PathBuf>,
    /// The host's name, fit to be a peer's.
    pub name: String,
}

impl Host {
    /// Asks the system.
    pub fn detect() -> Self {
        let dirs = ProjectDirs::from("", "", "punchdeck");
        Self {
            config_file: dirs.as_ref().map(|d| d.config_dir().join("config.toml")),
            data_dir: dirs.as_ref().map(|d| d.data_local_dir().to_owned()),
            name: fit_name(&rustix::system::uname().nodename().to_string_lossy()),
        }
    }
}

/// A host's name cut and cleaned to what a peer's name may be.
fn fit_name(hostname: &str) -> String {
    let mut name = clean(hostname);
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    if name.is_empty() { "unnamed".to_owned() } else { name }
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

    /// The decision for a locale, as [`locale`] finds it.
    pub fn is_ascii(self, locale: Option<&str>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => !locale.is_some_and(|l| {
                let l = l.to_ascii_lowercase();
                l.ends_with("utf-8") || l.ends_with("utf8")
            }),
        }
    }
}

impl fmt::Display for Ascii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The locale that rules characters: the first of these variables that is set
/// and not empty (POSIX, 8.2).
pub fn locale(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|v| !v.is_empty())
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

    #[test]
    fn ascii_follows_the_first_locale_variable_that_is_set() {
        let env = |vars: &'static [(&str, &str)]| {
            locale(move |k| vars.iter().find(|(n, _)| *n == k).map(|(_, v)| (*v).to_owned()))
        };
        assert!(!Ascii::Auto.is_ascii(env(&[("LC_ALL", ""), ("LANG", "C.UTF-8")]).as_deref()));
        assert!(Ascii::Auto.is_ascii(env(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]).as_deref()));
        assert!(Ascii::Auto.is_ascii(env(&[]).as_deref()));
        assert!(!Ascii::Never.is_ascii(None));
        assert!(Ascii::Always.is_ascii(Some("de_DE.utf8")));
    }
}
