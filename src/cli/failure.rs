//! How a command ends when it does not succeed.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use super::print;
use crate::config::ConfigErrors;
use crate::control::SocketError;
use crate::identity::IdentityError;
use crate::model::contract::{ErrorItem, ErrorReport, Printed};
use crate::model::printable;
use crate::node::lock::LockError;
use crate::telemetry::TelemetryError;

/// A command that did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    /// None where everything has been said.
    error: Option<anyhow::Error>,
}

impl Failure {
    /// The thing asked for did not happen: exit code 1.
    pub fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 1, error: Some(error.into()) }
    }

    /// Usage or configuration is wrong, nothing was begun: exit code 2.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 2, error: Some(error.into()) }
    }

    /// It did not happen, and what was printed says so already.
    pub(super) fn told() -> Self {
        Self { code: 1, error: None }
    }

    /// The same, with another exit code.
    pub(super) fn told_with(code: u8) -> Self {
        Self { code, error: None }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// Prints why not as an object, for a program that asked for one, and has it
    /// said on standard error all the same.
    pub(super) fn print_json(self) -> Self {
        if let Some(message) = self.line() {
            let is_configuration = self.error.as_ref().is_some_and(anyhow::Error::is::<ConfigErrors>);
            let code = match self.code {
                2 if is_configuration => "configuration",
                2 => "usage",
                _ => "failed",
            };
            let error = ErrorItem { code: code.to_owned(), message, candidates: Vec::new() };
            // Where standard output is gone there is standard error left.
            if let Ok(object) = serde_json::to_string(&Printed::new(ErrorReport { error })) {
                drop(print(format!("{object}\n").as_bytes()));
            }
        }
        self
    }

    /// Says why in one line, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        if let Some(line) = self.line() {
            say(&line);
        }
        ExitCode::from(self.code)
    }

    /// Why, in one line.
    pub(super) fn line(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let mut line = String::new();
        for cause in error.chain().map(ToString::to_string) {
            // An error of ours says what the system said; it is not said twice.
            if !line.contains(&cause) {
                let colon = if line.is_empty() { "" } else { ": " };
                line = line + colon + &cause;
            }
        }
        Some(line)
    }
}

/// One line on standard error. Where that is gone there is nobody to tell.
pub(super) fn say(what: &dyn Display) {
    // Some of it may be from a file or a peer.
    let line = printable(&what.to_string().replace(['\n', '\r'], " "));
    let _ = writeln!(std::io::stderr(), "punchdeck: {line}");
}

/// What stops a start before anything was begun is a matter of configuration.
macro_rules! usage {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::usage(error)
            }
        }
    )+};
}

usage!(ConfigErrors, IdentityError, LockError, SocketError, TelemetryError);
