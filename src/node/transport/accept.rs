//! Accepts connections: who is let in is [`Door`]'s to say, here it is done.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use ant_quic::high_level::Incoming;
use ant_quic::{ConnectionError, HighLevelConnection};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::timeout;

use super::{Transport, identity};
use crate::core::door::{Door, HandshakeId, Verdict};
use crate::core::limits::HANDSHAKE_WITHIN;
use crate::model::plain_addr;
use crate::node::clock::Clock;
use crate::node::connections::{Report, Reports};

/// The handshakes under way, by both of their names.
#[derive(Default)]
struct Shaking {
    tasks: JoinSet<()>,
    ids: BTreeMap<Id, HandshakeId>,
    aborts: BTreeMap<HandshakeId, AbortHandle>,
}

impl Shaking {
    fn begin(&mut self, id: HandshakeId, incoming: Incoming, reports: Reports) {
        let task = self.tasks.spawn(async move {
            let Ok(Ok(connection)) = timeout(HANDSHAKE_WITHIN, shake(incoming)).await else { return };
            // Dropped, it is closed.
            let Some(peer) = identity(&connection) else { return };
            let _ = reports.send(Report::Connected { peer, connection }).await;
        });
        self.ids.insert(task.id(), id);
        self.aborts.insert(id, task);
    }

    fn give_up(&mut self, id: HandshakeId) {
        if let Some(task) = self.aborts.remove(&id) {
            task.abort();
        }
    }

    /// Waits until one is over.
    async fn over(&mut self) -> Option<HandshakeId> {
        let task = match self.tasks.join_next_with_id().await? {
            Ok((task, ())) => task,
            Err(error) => error.id(),
        };
        let id = self.ids.remove(&task)?;
        self.aborts.remove(&id);
        Some(id)
    }
}

/// Accepts until the endpoint closes.
pub(in crate::node) async fn accept(transport: Transport, mut door: Door, clock: Clock, reports: Reports) {
    let Transport { endpoint, turned, .. } = transport;
    let mut shaking = Shaking::default();
    loop {
        let incoming = tokio::select! {
            over = shaking.over(), if !shaking.tasks.is_empty() => {
                if let Some(id) = over {
                    door.done(id);
                }
                continue;
            }
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let ip = plain_addr(incoming.remote_address()).ip();
        match door.knock(ip, incoming.remote_address_validated(), clock.now().mono) {
            Verdict::Accept(id) => shaking.begin(id, incoming, reports.clone()),
            Verdict::AcceptInstead(id, old) => {
                turned.gave_way.fetch_add(1, Ordering::Relaxed);
                shaking.give_up(old);
                shaking.begin(id, incoming, reports.clone());
            }
            Verdict::Retry => {
                turned.asked_again.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = incoming.retry() {
                    error.into_incoming().ignore();
                }
            }
            Verdict::Ignore => {
                turned.ignored.fetch_add(1, Ordering::Relaxed);
                incoming.ignore();
            }
        }
    }
}

async fn shake(incoming: Incoming) -> Result<HighLevelConnection, ConnectionError> {
    incoming.accept()?.await
}
