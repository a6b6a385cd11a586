//! What a host lacks.

/// Why this host cannot run a lab with NATs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}; {help}")]
pub struct Unsupported {
    /// What is missing.
    pub what: String,
    /// What the system said.
    pub why: String,
    /// The command that would help.
    pub help: String,
}
