//! What did not happen, for people and for programs.

use std::io;

use super::super::failure::say;
use super::json;
use crate::cli::{Failure, print};
use crate::config::ConfigErrors;
use crate::control::{ClientError, SocketError};
use crate::model::contract::{Candidate, ErrorItem, ErrorReport};
use crate::model::{Reason, printable};

/// It did not happen.
#[derive(Debug)]
pub(super) struct CtlError {
    exit: u8,
    /// Nothing where what was printed says so already.
    item: Option<ErrorItem>,
}

impl CtlError {
    fn new(exit: u8, code: &str, message: String) -> Self {
        Self { exit, item: Some(ErrorItem { code: code.to_owned(), message, candidates: Vec::new() }) }
    }

    #[cfg(test)]
    pub(super) fn exit(&self) -> u8 {
        self.exit
    }

    /// It was asked wrongly.
    pub(super) fn usage(message: &str) -> Self {
        Self::new(2, "usage", message.to_owned())
    }

    /// Nobody is known by that name or prefix.
    pub(super) fn unknown_peer(wanted: &str) -> Self {
        let message =
            format!("no peer is known as {:?}; `punchdeck ctl peers` lists them", printable(wanted));
        Self::new(2, "unknown_peer", message)
    }

    /// Several are.
    pub(super) fn ambiguous_peer(wanted: &str, candidates: Vec<Candidate>) -> Self {
        let named = |c: &Candidate| match &c.name {
            Some(name) => format!("{} ({})", c.peer_id, printable(name)),
            None => c.peer_id.to_string(),
        };
        let list = candidates.iter().map(named).collect::<Vec<_>>().join(", ");
        let message = format!("{:?} may be {} peers: {list}", printable(wanted), candidates.len());
        let mut error = Self::new(2, "ambiguous_peer", message);
        if let Some(item) = &mut error.item {
            item.candidates = candidates;
        }
        error
    }

    /// That name is only what is said of somebody.
    pub(super) fn only_said(wanted: &str, candidates: Vec<Candidate>) -> Self {
        let list = candidates.iter().map(|c| c.peer_id.to_string()).collect::<Vec<_>>().join(", ");
        let message = format!(
            "nobody was linked here as {:?}; others call {list} so: name it by its id",
            printable(wanted)
        );
        let mut error = Self::new(2, "unknown_peer", message);
        if let Some(item) = &mut error.item {
            item.candidates = candidates;
        }
        error
    }

    /// The node says why not. Naming somebody unknown is a mistake of whoever
    /// asked.
    pub(super) fn refused(what: &str, reason: &Reason) -> Self {
        let exit = if matches!(reason, Reason::UnknownPeer) { 2 } else { 1 };
        Self::new(exit, reason.code(), format!("{what}: {reason}"))
    }

    /// The node went away before it was done.
    pub(super) fn lost(what: &str) -> Self {
        Self::new(1, Reason::NodeLost.code(), format!("{what}: {}", Reason::NodeLost))
    }

    /// It did not happen, and what was printed says so.
    pub(super) fn told() -> Self {
        Self { exit: 1, item: None }
    }

    /// Says it, and gives how the program ends.
    pub(super) fn tell(self, as_json: bool) -> Failure {
        let Some(item) = self.item else { return Failure::told_with(self.exit) };
        if as_json {
            let printed = json(ErrorReport { error: item });
            drop(printed.map(|line| print(line.as_bytes())));
        } else {
            say(&item.message);
        }
        Failure::told_with(self.exit)
    }
}

impl From<ClientError> for CtlError {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::NoNode { .. } => "no_node",
            ClientError::Refused { .. } => "refused",
            ClientError::NoAnswer { .. } => "no_answer",
            ClientError::Lost { .. } => "node_lost",
            ClientError::Strange { .. } => "no_punchdeck",
        };
        Self::new(1, code, error.to_string())
    }
}

impl From<ConfigErrors> for CtlError {
    fn from(error: ConfigErrors) -> Self {
        Self::new(2, "configuration", error.to_string())
    }
}

impl From<SocketError> for CtlError {
    fn from(error: SocketError) -> Self {
        Self::new(2, "configuration", error.to_string())
    }
}

impl From<io::Error> for CtlError {
    fn from(error: io::Error) -> Self {
        Self::new(1, "io", error.to_string())
    }
}

impl From<serde_json::Error> for CtlError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(1, "io", error.to_string())
    }
}

impl From<Failure> for CtlError {
    /// Standard output took nothing: that is said on the other one, here and now.
    fn from(failure: Failure) -> Self {
        if let Some(line) = failure.line() {
            say(&line);
        }
        Self { exit: failure.code(), item: None }
    }
}
