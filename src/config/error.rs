//! What can be wrong with a configuration, said with where it stands.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said otherwise.
    Default,
    /// The configuration file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable, by name.
    Env(&'static str),
    /// A flag, by name.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One thing that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there, or was asked for, and cannot be read.
    #[error("the configuration {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{at}: no valid TOML: {message}")]
    Syntax {
        /// Where.
        at: Origin,
        /// What the parser said.
        message: String,
    },
    /// A key that nothing reads.
    #[error("{at}: unknown key {key:?}, {hint}")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// Where.
        at: Origin,
        /// The nearest key there is, or all of them.
        hint: String,
    },
    /// A key, or its variable, that there was once.
    #[error("{at}: {became}; {}", removal(at))]
    Removed {
        /// Where.
        at: Origin,
        /// What became of it.
        became: String,
    },
    /// A variable with our prefix that nothing reads.
    #[error("unknown environment variable {name}, {hint}")]
    UnknownVariable {
        /// The variable as written.
        name: String,
        /// The nearest variable there is, or all of them.
        hint: String,
    },
    /// Something is wrong with the console's keys.
    #[error("{at}: [keys]: {why}")]
    Keys {
        /// Where.
        at: Origin,
        /// What is wrong, and what to do about it.
        why: String,
    },
    /// A value out of bounds.
    #[error("{key} = {value} ({at}): must be {allowed}")]
    Invalid {
        /// Which key.
        key: &'static str,
        /// The value as written.
        value: String,
        /// Where.
        at: Origin,
        /// What is allowed, and why this is not.
        allowed: String,
    },
    /// The network secret cannot be had.
    #[error("the network secret ({at}): {why}")]
    Secret {
        /// Where it was to come from.
        at: Origin,
        /// Why not. Never the secret or a part of it.
        why: String,
    },
    /// The token for metrics cannot be had, or is needed and not there.
    #[error("the token for metrics ({at}): {why}")]
    MetricsToken {
        /// Where it was to come from, or what needs it.
        at: Origin,
        /// Why not. Never the token or a part of it.
        why: String,
    },
    /// The registry's token cannot be had, or must not go where it would.
    #[error("the registry's token ({at}): {why}")]
    Token {
        /// Where it was to come from.
        at: Origin,
        /// Why not. Never the token or a part of it.
        why: String,
    },
    /// The host names no place of its own.
    #[error("no home directory is known (HOME must be an absolute path): set {0}")]
    NoHome(&'static str),
}

/// How what stands there is taken away.
fn removal(at: &Origin) -> &'static str {
    match at {
        Origin::Env(_) => "unset it",
        Origin::Default | Origin::File { .. } | Origin::Flag(_) => "remove the line",
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return f.write_str("the configuration is not valid") };
        write!(f, "{first}")?;
        match self.0.len() {
            1 => Ok(()),
            n => write!(f, " (and {} more: punchdeck config check lists them)", n - 1),
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
