//! Nodes that the console was on before: how far it had heard of each, so that it goes on
//! there when it comes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::broadcast;

use crate::model::{Event, PeerId, Stamp};
use crate::node::feed::{CommandSender, Feed};

/// Those nodes. A fleet has at most 64, a lab hardly more.
#[derive(Debug, Default)]
pub(super) struct Left(BTreeMap<PeerId, Place>);

/// How far the console had heard of one.
#[derive(Debug)]
struct Place {
    /// In which run of it.
    started: Stamp,
    last_event: Option<u64>,
    /// The events of one in this process, which waits for no reader; one of another process
    /// remembers them itself, and a line to it that nobody reads would cost its bytes.
    events: Option<broadcast::Receiver<Arc<Event>>>,
    commands: CommandSender,
}

impl Left {
    /// A node is left.
    pub(super) fn leave(&mut self, feed: Feed, last_event: Option<u64>) {
        let (id, started) = which(&feed);
        let Feed { events, commands, presence, .. } = feed;
        let events = presence.is_none().then_some(events);
        self.0.insert(id, Place { started, last_event, events, commands });
    }

    /// The console comes to a node: gives the number of the last event that it heard of this
    /// run of it. The events go on after that one.
    pub(super) fn return_to(&mut self, feed: &mut Feed) -> Option<u64> {
        let (id, started) = which(feed);
        let place = self.0.remove(&id).filter(|place| place.started == started)?;
        if let Some(events) = place.events.filter(|_| place.commands.is_same(&feed.commands)) {
            feed.events = events;
        }
        place.last_event
    }
}

fn which(feed: &Feed) -> (PeerId, Stamp) {
    let node = &feed.snapshots.borrow().node;
    (node.peer_id, node.started)
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::model::EventKind;
    use crate::tui::demo;

    #[test]
    fn a_node_of_this_process_tells_what_happened_while_the_console_was_elsewhere() {
        let (commands, _requests) = CommandSender::channel();
        let (events, heard) = broadcast::channel(8);
        let feed = Feed {
            snapshots: watch::channel(demo::busy()).1,
            events: heard,
            outcomes: broadcast::channel(1).1,
            commands,
            presence: None,
            logs: None,
        };
        let mut back = feed.clone();
        let mut left = Left::default();
        left.leave(feed, Some(7));
        let event =
            Event { seq: 8, at: demo::NOW, peer_id: None, kind: EventKind::LinkSuspect { missed: 1 } };
        events.send(Arc::new(event)).unwrap();
        back.events = events.subscribe();
        assert_eq!(left.return_to(&mut back), Some(7));
        assert_eq!(back.events.try_recv().unwrap().seq, 8);
        assert_eq!(left.return_to(&mut back), None, "it is not left any more");
    }
}
