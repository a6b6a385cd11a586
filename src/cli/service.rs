//! What a service manager is told, where one listens (`NOTIFY_SOCKET`): ready,
//! reloading, stopping, and a line of status.
//!
//! Nothing ever depends on it. It has a thread of its own, for a manager that
//! does not read would hold up whoever tells it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::model::{Path, Snapshot};
use crate::node::feed::Feed;

/// Messages that wait for a manager that does not read; more are dropped.
const BACKLOG: usize = 16;
/// A manager keeps one line, and people look at it now and then.
const STATUS_EVERY: Duration = Duration::from_secs(10);

enum Message {
    State(Vec<NotifyState<'static>>),
    Status(String),
}

/// The service manager, or nobody.
#[derive(Clone)]
pub(super) struct Service(Option<SyncSender<Message>>);

impl Service {
    /// Whoever started this process and wants to be told.
    pub(super) fn find() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none_or(|path| path.is_empty()) {
            return Self(None);
        }
        let (queue, messages) = sync_channel(BACKLOG);
        let thread = std::thread::Builder::new().name("notify".to_owned()).spawn(move || tell(&messages));
        if let Err(error) = &thread {
            tracing::warn!(%error, "the service manager is told nothing");
        }
        Self(thread.is_ok().then_some(queue))
    }

    /// The node runs, and whoever wants to can talk to it.
    pub(super) fn ready(&self) {
        self.send(Message::State(vec![NotifyState::Ready]));
    }

    /// It reads its configuration again; [`ready`](Self::ready) follows.
    pub(super) fn reloading(&self) {
        let mut states = vec![NotifyState::Reloading];
        // When it began: so the manager knows to which of its requests the end
        // belongs.
        states.extend(NotifyState::monotonic_usec_now());
        self.send(Message::State(states));
    }

    /// It says goodbye.
    pub(super) fn stopping(&self) {
        self.send(Message::State(vec![NotifyState::Stopping]));
    }

    /// Tells what the node is doing, when that changes, until it has ended.
    pub(super) async fn follow(self, feed: Feed) {
        let Feed { mut snapshots, .. } = feed;
        let mut told = String::new();
        while self.0.is_some() {
            let line = status(&snapshots.borrow_and_update());
            if line != told {
                self.send(Message::Status(line.clone()));
                told = line;
                tokio::time::sleep(STATUS_EVERY).await;
            }
            if snapshots.changed().await.is_err() {
                return;
            }
        }
    }

    fn send(&self, message: Message) {
        if let Some(queue) = &self.0 {
            // A manager that does not read misses something.
            let _ = queue.try_send(message);
        }
    }
}

fn tell(messages: &Receiver<Message>) {
    let mut failed = false;
    for message in messages {
        let told = match message {
            Message::State(states) => sd_notify::notify(&states),
            Message::Status(line) => sd_notify::notify(&[NotifyState::Status(&line)]),
        };
        if let Err(error) = told
            && !std::mem::replace(&mut failed, true)
        {
            tracing::warn!(%error, "the service manager could not be told");
        }
    }
}

/// The node in a line.
fn status(snapshot: &Snapshot) -> String {
    let over = |path| snapshot.links.iter().filter(|l| !l.foreign && l.path == path).count();
    let counts = [Path::Direct, Path::Punched, Path::Relayed].map(|path| (path, over(path)));
    let links: usize = counts.iter().map(|(_, n)| n).sum();
    let kinds: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(path, n)| format!("{n} {path}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!("links: {links}{kinds}; peers known: {}", snapshot.peers.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::demo;

    #[test]
    fn the_status_counts_links_by_path_and_the_peers() {
        assert_eq!(status(&demo::empty()), "links: 0; peers known: 0");
        let busy = status(&demo::busy());
        assert!(
            busy.contains(" relayed)") && busy.ends_with(&format!("known: {}", demo::busy().peers.len()))
        );
    }
}
