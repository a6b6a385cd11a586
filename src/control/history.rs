//! The latest events, for clients that come after them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::model::Event;

/// Events that are remembered: what a node of some dozen links does in a few
/// minutes, under half a MiB.
pub(super) const REMEMBERED: usize = 1_000;

/// The latest events of a node.
#[derive(Debug, Clone, Default)]
pub(super) struct History(Arc<Mutex<VecDeque<Arc<Event>>>>);

impl History {
    /// Takes what happens until the node ends.
    pub(super) async fn collect(self, mut events: broadcast::Receiver<Arc<Event>>) {
        loop {
            match events.recv().await {
                Ok(event) => self.push(event),
                // The gap shows in the numbers of the events.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn push(&self, event: Arc<Event>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == REMEMBERED {
            kept.pop_front();
        }
        kept.push_back(event);
    }

    /// Those remembered, oldest first.
    pub(super) fn events(&self) -> Vec<Arc<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
