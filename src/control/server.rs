//! Who is let in, and how many.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::history::History;
use super::protocol::{Greeting, Refusal, VERSION};
use super::session::Session;
use super::socket::{ControlSocket, turn_away};
use crate::node::feed::Feed;

/// Clients at once.
pub const CLIENTS_MAX: usize = 16;
/// After a failed accept: out of descriptors, most likely, and trying again at
/// once would spin.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// What clients are given to read the last lines, once the node has ended.
const LAST_LINES: Duration = Duration::from_millis(300);

/// A control socket that is served. Dropping it ends every conversation at once.
#[derive(Debug)]
pub struct Server {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Server {
    /// Serves a node on the current runtime.
    ///
    /// # Errors
    /// If the runtime does not take the socket.
    pub fn start(socket: ControlSocket, feed: Feed) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(socket, listener, feed, stop.clone()));
        Ok(Self { stop, task: AbortOnDropHandle::new(task) })
    }

    /// Ends: clients hear the outcomes that are still to be told, and goodbye.
    /// For after the node's end.
    pub async fn finish(self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(LAST_LINES, self.task).await;
    }
}

async fn serve(socket: ControlSocket, listener: UnixListener, feed: Feed, stop: CancellationToken) {
    let history = History::default();
    // Clients read from now on; what was before comes out of the history.
    let now_on = feed.clone();
    let _collector = AbortOnDropHandle::new(tokio::spawn(history.clone().collect(feed.events)));
    let feed = now_on;
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let owner = rustix::process::geteuid().as_raw();
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
            accepted = listener.accept() => {
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "the control socket takes no client");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                        continue;
                    }
                };
                if !socket.has_group && !is_allowed(&stream, owner) {
                    turn_away(stream, Refusal::NotAllowed { owner });
                    continue;
                }
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    turn_away(stream, Refusal::TooManyClients { max: CLIENTS_MAX as u32 });
                    continue;
                };
                let greeting = greeting(&feed);
                let session = Session::new(feed.clone(), history.clone(), stop.clone());
                clients.spawn(async move {
                    session.run(stream, greeting).await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    drop(socket);
    while clients.join_next().await.is_some() {}
}

fn greeting(feed: &Feed) -> Greeting {
    let node = Arc::clone(&feed.snapshots.borrow().node);
    Greeting {
        version: VERSION,
        peer_id: node.peer_id,
        pid: std::process::id(),
        program: node.version.clone(),
    }
}

/// The mode of the file says the same; this holds where it was changed.
fn is_allowed(stream: &UnixStream, owner: u32) -> bool {
    stream.peer_cred().is_ok_and(|who| who.uid() == owner || who.uid() == 0)
}
