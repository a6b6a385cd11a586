//! One client: what it asks, and what it is told.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use super::history::History;
use super::lines::{self, ReadError, Reader};
use super::paging::lines_between;
use super::protocol::{Ask, CLIENT_LINE_MAX, Greeting, Refusal, Tell, VERSION};
use crate::model::{Brief, Command, CommandId, Event, Outcome, Reason, Snapshot};
use crate::node::feed::{Feed, NumberedLine, SendError};

/// Within which a client has to say hello.
const HELLO_TIME: Duration = Duration::from_secs(5);
/// How long a client may leave a line unread before it is let go: a stopped
/// console comes back by itself.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Commands of one client without an outcome.
const COMMANDS_MAX: usize = 64;

/// A conversation.
pub(super) struct Session {
    feed: Feed,
    history: History,
    stop: CancellationToken,
    read_only: bool,
    /// The client's commands without an outcome, with its numbers, by ours.
    commands: BTreeMap<CommandId, (CommandId, Command)>,
    /// What of the state it has, if it follows it.
    told: Option<Arc<Snapshot>>,
    follows: bool,
    /// The number of the last event it was told, if it is told events.
    last_event: Option<u64>,
    /// Log lines, if it is told them.
    lines: Option<broadcast::Receiver<NumberedLine>>,
}

/// Why a conversation ends.
enum End {
    /// The client hung up, or does not read.
    Gone,
    /// We refuse to go on.
    Refused(Refusal),
    /// The node has ended.
    Node,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLong { max } => Self::Refused(Refusal::LineTooLong { max: max as u64 }),
            ReadError::Malformed(detail) => Self::Refused(Refusal::Malformed { detail }),
            ReadError::Io(_) => Self::Gone,
        }
    }
}

type Asks = Reader<OwnedReadHalf>;

impl Session {
    pub(super) fn new(feed: Feed, history: History, stop: CancellationToken) -> Self {
        Self {
            feed,
            history,
            stop,
            read_only: false,
            commands: BTreeMap::new(),
            told: None,
            follows: false,
            last_event: None,
            lines: None,
        }
    }

    /// Talks until one of the two has had enough.
    pub(super) async fn run(mut self, stream: UnixStream, greeting: Greeting) {
        let (read, mut write) = stream.into_split();
        let mut asks = Reader::new(read, CLIENT_LINE_MAX);
        let last = match self.converse(&mut asks, &mut write, greeting).await {
            Ok(()) | Err(End::Gone) => return,
            Err(End::Refused(refusal)) => Tell::Refused(refusal),
            Err(End::Node) => Tell::Bye {},
        };
        let _ = tell(&mut write, &last).await;
    }

    async fn converse(
        &mut self,
        asks: &mut Asks,
        write: &mut OwnedWriteHalf,
        greeting: Greeting,
    ) -> Result<(), End> {
        tell(write, &Tell::Hello(greeting)).await?;
        let hello = tokio::time::timeout(HELLO_TIME, asks.next()).await;
        let after_ms = crate::model::millis(HELLO_TIME);
        match hello.map_err(|_| End::Refused(Refusal::Silent { after_ms }))?? {
            None => return Ok(()),
            Some(Ask::Hello { version: VERSION, read_only }) => self.read_only = read_only,
            Some(Ask::Hello { .. }) => {
                let program = env!("CARGO_PKG_VERSION").to_owned();
                return Err(End::Refused(Refusal::Version { speaks: VERSION, program }));
            }
            Some(_) => return Err(out_of_place("hello comes first")),
        }
        loop {
            tokio::select! {
                biased;
                outcome = self.feed.outcomes.recv() => match outcome {
                    Ok(outcome) => self.tell_outcome(write, &outcome).await?,
                    Err(RecvError::Lagged(_)) => self.tell_lost(write).await?,
                    Err(RecvError::Closed) => return self.last_words(write).await,
                },
                () = self.stop.cancelled() => return self.last_words(write).await,
                ask = asks.next() => match ask? {
                    None => return Ok(()),
                    Some(ask) => self.answer(write, ask).await?,
                },
                changed = self.feed.snapshots.changed(), if self.follows => match changed {
                    Ok(()) => self.tell_state(write).await?,
                    Err(_) => return self.last_words(write).await,
                },
                event = self.feed.events.recv(), if self.last_event.is_some() => match event {
                    Ok(event) => self.tell_event(write, event).await?,
                    // The gap in the numbers says so.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return self.last_words(write).await,
                },
                line = next_line(&mut self.lines) => match line {
                    Ok(line) => tell_line(write, line).await?,
                    // So here.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => self.lines = None,
                },
            }
        }
    }

    async fn answer(&mut self, write: &mut OwnedWriteHalf, ask: Ask) -> Result<(), End> {
        match ask {
            Ask::Hello { .. } => Err(out_of_place("hello comes once")),
            Ask::Snapshot {} => {
                let snapshot = self.feed.snapshots.borrow().clone();
                send_all(write, &lines_between(None, &snapshot)?).await
            }
            Ask::Brief {} => {
                let brief = Brief::new(&self.feed.snapshots.borrow());
                Ok(tell(write, &Tell::Brief(Box::new(brief))).await?)
            }
            Ask::Follow {} => {
                self.follows = true;
                self.told = None;
                self.tell_state(write).await
            }
            Ask::Events { follow } => self.tell_history(write, follow).await,
            Ask::Logs {} => {
                let Some(logs) = &self.feed.logs else { return Ok(()) };
                let (recent, lines) = logs.follow();
                self.lines = Some(lines);
                for line in recent {
                    tell_line(write, line).await?;
                }
                Ok(())
            }
            Ask::Do { id, command } => match self.send(id, &command) {
                Ok(()) => Ok(()),
                Err(reason) => tell_failed(write, id, command, reason).await,
            },
        }
    }

    /// Hands a command to the node.
    fn send(&mut self, id: CommandId, command: &Command) -> Result<(), Reason> {
        if command.is_for_drills() {
            return Err(Reason::OnlyInDrills);
        }
        if self.read_only && !command.is_question() {
            return Err(Reason::ReadOnly);
        }
        if self.commands.len() >= COMMANDS_MAX {
            return Err(Reason::Busy);
        }
        let ours = self.feed.commands.try_send(command.clone()).map_err(|e| match e {
            SendError::Busy => Reason::Busy,
            SendError::Gone => Reason::ShuttingDown,
        })?;
        self.commands.insert(ours, (id, command.clone()));
        Ok(())
    }

    /// The end of a command, if it is this client's.
    async fn tell_outcome(&mut self, write: &mut OwnedWriteHalf, outcome: &Outcome) -> Result<(), End> {
        let Some((id, _)) = self.commands.remove(&outcome.id) else { return Ok(()) };
        let outcome = Outcome { id, ..outcome.clone() };
        Ok(tell(write, &Tell::Outcome(Arc::new(outcome))).await?)
    }

    /// Outcomes were missed, and this client's may be among them.
    async fn tell_lost(&mut self, write: &mut OwnedWriteHalf) -> Result<(), End> {
        for (id, command) in std::mem::take(&mut self.commands).into_values() {
            tell_failed(write, id, command, Reason::NodeLost).await?;
        }
        Ok(())
    }

    async fn tell_state(&mut self, write: &mut OwnedWriteHalf) -> Result<(), End> {
        let snapshot = self.feed.snapshots.borrow_and_update().clone();
        let lines = lines_between(self.told.as_deref(), &snapshot)?;
        self.told = Some(snapshot);
        send_all(write, &lines).await
    }

    /// What is remembered; then, if it follows, what comes after exactly that.
    async fn tell_history(&mut self, write: &mut OwnedWriteHalf, follow: bool) -> Result<(), End> {
        // Asked for first: what happens in between comes twice, never not at all.
        self.feed.events = self.feed.events.resubscribe();
        self.last_event = Some(0);
        for event in self.history.events() {
            self.tell_event(write, event).await?;
        }
        if !follow {
            self.last_event = None;
        }
        Ok(tell(write, &Tell::EventsEnd {}).await?)
    }

    async fn tell_event(&mut self, write: &mut OwnedWriteHalf, event: Arc<Event>) -> Result<(), End> {
        if self.last_event.is_some_and(|last| event.seq <= last) {
            return Ok(());
        }
        self.last_event = Some(event.seq);
        Ok(tell(write, &Tell::Event(event)).await?)
    }

    /// What the node said last.
    async fn last_words(&mut self, write: &mut OwnedWriteHalf) -> Result<(), End> {
        loop {
            match self.feed.outcomes.try_recv() {
                Ok(outcome) => self.tell_outcome(write, &outcome).await?,
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if self.follows && self.feed.snapshots.has_changed().unwrap_or(true) {
            self.tell_state(write).await?;
        }
        Err(End::Node)
    }
}

fn out_of_place(what: &str) -> End {
    End::Refused(Refusal::Malformed { detail: what.to_owned() })
}

async fn tell_failed(
    write: &mut OwnedWriteHalf,
    id: CommandId,
    command: Command,
    reason: Reason,
) -> Result<(), End> {
    let outcome = Outcome { id, command, result: Err(reason.into()) };
    Ok(tell(write, &Tell::Outcome(Arc::new(outcome))).await?)
}

/// The next log line, where there are any.
async fn next_line(lines: &mut Option<broadcast::Receiver<NumberedLine>>) -> Result<NumberedLine, RecvError> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

async fn tell_line(write: &mut OwnedWriteHalf, (n, line): NumberedLine) -> io::Result<()> {
    tell(write, &Tell::Log { n, line }).await
}

async fn tell(write: &mut OwnedWriteHalf, what: &Tell) -> io::Result<()> {
    lines::write(write, &lines::line(what)?, WRITE_TIME).await
}

async fn send_all(write: &mut OwnedWriteHalf, all: &[Vec<u8>]) -> Result<(), End> {
    for line in all {
        lines::write(write, line, WRITE_TIME).await?;
    }
    Ok(())
}
