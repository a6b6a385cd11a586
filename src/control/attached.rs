//! A node behind a socket as a feed: what a console is given, and cannot tell
//! from a node in its own process. It comes back by itself when the node does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};

use super::client::{Client, ClientError};
use super::paging::Assembly;
use super::protocol::{Ask, Tell};
use super::target::Target;
use crate::model::{Command, CommandId, Event, LogLine, Outcome, Reason, Snapshot};
use crate::node::feed::{CommandSender, Feed, LogLines, OUTCOME_BACKLOG, Presence, Request};

/// Between two tries to reach a node that is gone.
const AGAIN: Duration = Duration::from_millis(500);
/// Events kept for a console that is behind: all that a node remembers, and as
/// many new ones.
const EVENT_BACKLOG: usize = 2_048;

/// Attaches to the node behind a socket, on the current runtime. The feed
/// begins with the events that the node remembers.
///
/// # Errors
/// If no node answers now; one that goes away later is waited for.
pub async fn attach(at: impl Into<Target>, read_only: bool) -> Result<Feed, ClientError> {
    let at = at.into();
    let mut line = Line::open(at.clone(), read_only).await?;
    let first = Arc::new(line.first_state().await?);
    let (snapshots, snapshots_rx) = watch::channel(first);
    let (events, events_rx) = broadcast::channel(EVENT_BACKLOG);
    let (outcomes, outcomes_rx) = broadcast::channel(OUTCOME_BACKLOG);
    let (presence, presence_rx) = watch::channel(Presence::Here);
    let (commands, requests) = CommandSender::channel();
    let logs = LogLines::default();
    let attached = Attached {
        at,
        logs: logs.clone(),
        read_only,
        snapshots,
        events,
        outcomes,
        presence,
        requests,
        pending: BTreeMap::new(),
        last_event: None,
        last_line: None,
    };
    tokio::spawn(attached.run(line));
    Ok(Feed {
        snapshots: snapshots_rx,
        events: events_rx,
        outcomes: outcomes_rx,
        commands,
        presence: Some(presence_rx),
        logs: Some(logs),
    })
}

/// A conversation that follows everything.
struct Line {
    client: Client,
    assembly: Assembly,
    /// Events that came before the first state.
    early: Vec<Arc<Event>>,
}

impl Line {
    async fn open(at: Target, read_only: bool) -> Result<Self, ClientError> {
        let mut client = Client::connect(at, read_only).await?;
        client.ask(&Ask::Events { follow: true }).await?;
        client.ask(&Ask::Follow {}).await?;
        client.ask(&Ask::Logs {}).await?;
        Ok(Self { client, assembly: Assembly::default(), early: Vec::new() })
    }

    async fn first_state(&mut self) -> Result<Snapshot, ClientError> {
        loop {
            match self.client.tell().await? {
                Tell::Event(event) => self.early.push(event),
                tell => {
                    if let Some(snapshot) = self.take(tell) {
                        return Ok(snapshot);
                    }
                }
            }
        }
    }

    /// Puts what concerns the state in its place; a snapshot once it is whole.
    fn take(&mut self, tell: Tell) -> Option<Snapshot> {
        match tell {
            Tell::Peers { changed, gone } => {
                self.assembly.peers(changed, &gone);
                None
            }
            Tell::State(sections) => self.assembly.state(*sections),
            _ => None,
        }
    }
}

/// Which run of which node: events are numbered within one.
type Run = (crate::model::PeerId, u32);

struct Attached {
    at: Target,
    read_only: bool,
    snapshots: watch::Sender<Arc<Snapshot>>,
    events: broadcast::Sender<Arc<Event>>,
    outcomes: broadcast::Sender<Arc<Outcome>>,
    presence: watch::Sender<Presence>,
    requests: mpsc::Receiver<Request>,
    pending: BTreeMap<CommandId, Command>,
    last_event: Option<(Run, u64)>,
    logs: LogLines,
    last_line: Option<(Run, u64)>,
}

impl Attached {
    /// Until the console has gone.
    async fn run(mut self, mut line: Line) {
        loop {
            let Some(error) = self.follow(line).await else { return };
            self.presence.send_replace(Presence::Lost { detail: error.to_string() });
            for (id, command) in std::mem::take(&mut self.pending) {
                self.fail(id, command);
            }
            let Some(again) = self.reconnect().await else { return };
            line = again;
        }
    }

    /// Hands on what the node says and what the console asks; gives why it ended,
    /// or nothing if the console has.
    async fn follow(&mut self, mut line: Line) -> Option<ClientError> {
        let run = (line.client.greeting().peer_id, line.client.greeting().pid);
        for event in std::mem::take(&mut line.early) {
            self.event(run, event);
        }
        loop {
            tokio::select! {
                tell = line.client.tell() => match tell {
                    Ok(Tell::Event(event)) => self.event(run, event),
                    Ok(Tell::Log { n, line }) => self.line(run, n, line),
                    Ok(Tell::Outcome(outcome)) => {
                        self.pending.remove(&outcome.id);
                        // Nobody listening is no error.
                        drop(self.outcomes.send(outcome));
                    }
                    Ok(Tell::Bye {}) => return Some(ClientError::Lost { at: self.at.clone(), complaint: None }),
                    Ok(tell) => if let Some(snapshot) = line.take(tell) {
                        self.snapshots.send_replace(Arc::new(snapshot));
                    },
                    Err(error) => return Some(error),
                },
                request = self.requests.recv() => {
                    let Request { id, command } = request?;
                    self.pending.insert(id, command.clone());
                    if let Err(error) = line.client.ask(&Ask::Do { id, command }).await {
                        return Some(error);
                    }
                }
            }
        }
    }

    /// Tries until the node is back; nothing if the console has gone.
    async fn reconnect(&mut self) -> Option<Line> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                request = self.requests.recv() => {
                    let Request { id, command } = request?;
                    self.fail(id, command);
                    continue;
                }
            }
            let opened = async {
                let mut line = Line::open(self.at.clone(), self.read_only).await?;
                let first = line.first_state().await?;
                Ok::<_, ClientError>((line, first))
            };
            match opened.await {
                Ok((line, first)) => {
                    self.snapshots.send_replace(Arc::new(first));
                    self.presence.send_replace(Presence::Here);
                    return Some(line);
                }
                Err(error) => {
                    let lost = Presence::Lost { detail: error.to_string() };
                    self.presence.send_if_modified(|p| {
                        *p != lost && {
                            *p = lost;
                            true
                        }
                    });
                }
            }
        }
    }

    /// An event, unless it was told before the line was lost.
    fn event(&mut self, run: Run, event: Arc<Event>) {
        if self.last_event.is_some_and(|(of, seq)| of == run && event.seq <= seq) {
            return;
        }
        self.last_event = Some((run, event.seq));
        drop(self.events.send(event));
    }

    /// A log line, unless it was told before the connection was lost.
    fn line(&mut self, run: Run, n: u64, line: Arc<LogLine>) {
        if self.last_line.is_some_and(|(of, last)| of == run && n <= last) {
            return;
        }
        // The gap in the numbers goes on to the console; before the first line of a run
        // there is none.
        if let Some((_, last)) = self.last_line.filter(|(of, _)| *of == run) {
            self.logs.skip(n - last - 1);
        }
        self.last_line = Some((run, n));
        self.logs.push(Arc::unwrap_or_clone(line));
    }

    fn fail(&self, id: CommandId, command: Command) {
        let outcome = Outcome { id, command, result: Err(Reason::NodeLost.into()) };
        drop(self.outcomes.send(Arc::new(outcome)));
    }
}
