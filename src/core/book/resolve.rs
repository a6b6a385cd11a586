//! From what a person types to a peer.

use super::Book;
use crate::model::PeerId;

/// Why a text names no single peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Nobody has that name, and no id begins so.
    #[error("no such peer is known")]
    Unknown,
    /// Several do.
    #[error("{} peers match", .0.len())]
    Ambiguous(
        /// Which ones.
        Vec<PeerId>,
    ),
}

impl Book {
    /// The peer that a unique prefix of its hex id, or its name, stands for.
    ///
    /// An id goes before a name: names are claimed, and nobody shall take an
    /// id away from its owner by calling himself so.
    ///
    /// # Errors
    /// [`ResolveError`] if none or several match.
    pub fn resolve(&self, text: &str) -> Result<PeerId, ResolveError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ResolveError::Unknown);
        }
        let by_id: Vec<PeerId> = match lowest_id(text) {
            Some(low) => {
                self.entries.range(low..).map(|(id, _)| *id).take_while(|id| id.has_prefix(text)).collect()
            }
            None => Vec::new(),
        };
        let found = if by_id.is_empty() { self.named(text) } else { by_id };
        match found.as_slice() {
            [] => Err(ResolveError::Unknown),
            [one] => Ok(*one),
            _ => Err(ResolveError::Ambiguous(found)),
        }
    }

    fn named(&self, name: &str) -> Vec<PeerId> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.known.effective().is_some_and(|held| held.record.name == name))
            .map(|(id, _)| *id)
            .collect()
    }
}

/// The lowest peer id whose hex form begins with `prefix`.
fn lowest_id(prefix: &str) -> Option<PeerId> {
    if prefix.len() > 64 {
        return None;
    }
    format!("{prefix:0<64}").parse().ok()
}
