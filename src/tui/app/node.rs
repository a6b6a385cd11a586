//! The node as it was last told, and its clock: how late it is there now, how old the
//! newest news are, and whether it is gone.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Snapshot, Stamp};
use crate::tui::message::Gone;

/// A snapshot older than this is marked as stale. Nodes send one at least every second.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(3);
/// A node's clock that is further off than this was set, or is another's.
const OFF_MAX_MS: u64 = 5_000;

/// The node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) live: Arc<Snapshot>,
    /// The console's time.
    pub(super) at: Duration,
    /// When the newest snapshot came, and the node's time then.
    anchor: (Duration, Stamp),
    received: Duration,
    pub(super) gone: Option<Gone>,
    /// Its time when it went: nothing of it grows older than that.
    gone_at: Option<Stamp>,
}

impl Node {
    /// One whose state is that, at the console's time `at`.
    pub(super) fn new(live: Arc<Snapshot>, at: Duration) -> Self {
        Self { anchor: (at, live.at), live, at, received: at, gone: None, gone_at: None }
    }

    /// The node's time now.
    pub(super) fn now(&self) -> Stamp {
        self.gone_at.unwrap_or_else(|| self.anchor.1.after(self.at.saturating_sub(self.anchor.0)))
    }

    /// Takes in its newest state.
    pub(super) fn on_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        // The node's clock runs evenly; what varies is how long a snapshot took
        // to get here. Ages must not jump back and forth with that.
        let expected = self.now();
        let off = expected.0.abs_diff(snapshot.at.0);
        let now = if off < OFF_MAX_MS { expected.max(snapshot.at) } else { snapshot.at };
        self.anchor = (self.at, now);
        self.received = self.at;
        self.live = snapshot;
    }

    /// It is gone.
    pub(super) fn on_gone(&mut self, how: Gone) {
        let now = self.now();
        self.gone_at.get_or_insert(now);
        self.gone = Some(how);
    }

    /// It is back. It may have been started anew: its clock has nothing to do with before.
    pub(super) fn on_back(&mut self, snapshot: &Snapshot) {
        (self.gone, self.gone_at) = (None, None);
        self.anchor = (self.at, snapshot.at);
    }

    /// How long no snapshot has come, if that is too long.
    pub(super) fn stale(&self) -> Option<Duration> {
        let age = self.at.saturating_sub(self.received);
        (age > STALE_AFTER).then_some(age)
    }

    /// How long until the snapshot becomes stale; `None` if it is already.
    pub(super) fn stale_in(&self) -> Option<Duration> {
        let left = (self.received + STALE_AFTER + Duration::from_millis(1)).checked_sub(self.at);
        left.filter(|left| !left.is_zero())
    }
}
