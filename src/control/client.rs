//! The client's end: one question after the other, as a program asks them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::lines::{self, ReadError, Reader};
use super::paging::Assembly;
use super::protocol::{Ask, Greeting, Refusal, SERVER_LINE_MAX, Tell, VERSION};
use super::target::{Holder, Input, Output, Target};
use crate::model::{Brief, Command, CommandId, Event, Outcome, Silence, SilenceKind, Snapshot, clean};

/// How long a node may take to take a line.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// How long it may take to greet: something else may listen there.
const GREETING_TIME: Duration = Duration::from_secs(5);

/// Why a node could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error("no node answers at {at}: {}", why_not(source))]
    NoNode {
        /// Where.
        at: Target,
        /// What the system said.
        source: io::Error,
    },
    /// The node does not want to.
    #[error("the node at {at} refuses: {refusal}")]
    Refused {
        /// Where.
        at: Target,
        /// Why.
        refusal: Refusal,
    },
    /// It hung up.
    #[error("the node at {at} has hung up{}", because(complaint.as_deref()))]
    Lost {
        /// Where.
        at: Target,
        /// What the way there said, if it said anything.
        complaint: Option<String>,
    },
    /// It is connected to and says nothing.
    #[error("the node at {at} takes the connection and does not answer within {} s{}", GREETING_TIME.as_secs(), silent(*pid))]
    NoAnswer {
        /// Where.
        at: Target,
        /// Whose socket it is, if the system says.
        pid: Option<u32>,
    },
    /// It said something else than expected.
    #[error("what answers at {at} is no node of ours: {detail}")]
    Strange {
        /// Where.
        at: Target,
        /// What is wrong.
        detail: String,
    },
}

impl ClientError {
    /// The same for whoever looks at many nodes and knows which one it is about.
    pub(super) fn silence(&self) -> Silence {
        let (kind, detail) = match self {
            Self::NoNode { source, .. } => (SilenceKind::NobodyThere, Some(why_not(source))),
            Self::Refused { refusal, .. } => (SilenceKind::Refuses, Some(refusal.to_string())),
            Self::Lost { complaint, .. } => (SilenceKind::HungUp, complaint.clone()),
            Self::NoAnswer { pid, .. } => {
                (SilenceKind::Mute, Some(silent(*pid).trim_start_matches(": ").to_owned()))
            }
            Self::Strange { detail, .. } => (SilenceKind::Strange, Some(detail.clone())),
        };
        Silence { kind, detail }
    }
}

fn why_not(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "the node that made the socket has ended".to_owned(),
        io::ErrorKind::PermissionDenied => "it belongs to another user".to_owned(),
        _ => error.to_string(),
    }
}

/// What may be the matter with a node that says nothing, and what to do.
fn silent(pid: Option<u32>) -> String {
    match pid.map(|pid| (pid, is_stopped(pid))) {
        Some((pid, true)) => format!(": process {pid} is stopped; `fg` or `kill -CONT {pid}` lets it go on"),
        Some((pid, false)) => format!(": process {pid} is there, and busy or stuck"),
        None => ": it may be stopped; `fg` or `kill -CONT` lets it go on".to_owned(),
    }
}

/// Whether the system says so; not every system has such a file.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it may hold anything, parentheses too.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

fn because(complaint: Option<&str>) -> String {
    complaint.map_or_else(String::new, |said| format!(": {}", crate::model::printable(said)))
}

/// Something the node told while a command ran.
#[derive(Debug, Clone)]
pub enum Told {
    /// An event.
    Event(Arc<Event>),
    /// The end of the command.
    Outcome(Arc<Outcome>),
}

/// A conversation with a node.
pub struct Client {
    at: Target,
    tells: Reader<Input>,
    write: Output,
    holder: Holder,
    greeting: Greeting,
    next: u64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("at", &self.at)
            .field("greeting", &self.greeting)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects and exchanges greetings.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn connect(at: impl Into<Target>, read_only: bool) -> Result<Self, ClientError> {
        let at = at.into();
        let no_node = |source| ClientError::NoNode { at: at.clone(), source };
        let (read, write, holder) = at.open().await.map_err(no_node)?;
        let tells = Reader::new(read, SERVER_LINE_MAX);
        let mut client = Self { at, tells, write, holder, greeting: nobody(), next: 1 };
        let greeted = tokio::time::timeout(GREETING_TIME, client.tell()).await;
        let silent = || ClientError::NoAnswer { at: client.at.clone(), pid: client.holder.pid() };
        match greeted.unwrap_or_else(|_| Err(silent()))? {
            Tell::Hello(greeting) if greeting.version == VERSION => client.greeting = greeting,
            Tell::Hello(Greeting { version: speaks, program, .. }) => {
                let program = clean(&program);
                return Err(client.refused(Refusal::Version { speaks, program }));
            }
            _ => return Err(client.strange("it does not greet")),
        }
        client.ask(&Ask::Hello { version: VERSION, read_only }).await?;
        Ok(client)
    }

    /// Who answers.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Bytes that the node has sent so far.
    pub(super) fn received(&self) -> u64 {
        self.tells.taken()
    }

    /// The state now.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn snapshot(&mut self) -> Result<Snapshot, ClientError> {
        self.ask(&Ask::Snapshot {}).await?;
        let mut assembly = Assembly::default();
        loop {
            match self.tell().await? {
                Tell::Peers { changed, gone } => assembly.peers(changed, &gone),
                Tell::State(sections) => {
                    return assembly.state(*sections).ok_or_else(|| self.strange("its state has holes"));
                }
                _ => {}
            }
        }
    }

    /// The state now, in brief.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn brief(&mut self) -> Result<Brief, ClientError> {
        self.ask(&Ask::Brief {}).await?;
        loop {
            if let Tell::Brief(brief) = self.tell().await? {
                return Ok(*brief);
            }
        }
    }

    /// The events that are remembered, oldest first. With `follow` those that
    /// come are told by [`next`](Self::next).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&mut self, follow: bool) -> Result<Vec<Arc<Event>>, ClientError> {
        self.ask(&Ask::Events { follow }).await?;
        let mut events = Vec::new();
        loop {
            match self.tell().await? {
                Tell::Event(event) => events.push(event),
                Tell::EventsEnd {} => return Ok(events),
                _ => {}
            }
        }
    }

    /// Sends a command; its end is told by [`next`](Self::next).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn send(&mut self, command: Command) -> Result<CommandId, ClientError> {
        let id = CommandId(self.next);
        self.next += 1;
        self.ask(&Ask::Do { id, command }).await?;
        Ok(id)
    }

    /// The next event or outcome; `None` when the node has stopped.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<Told>, ClientError> {
        loop {
            match self.tell().await? {
                Tell::Event(event) => return Ok(Some(Told::Event(event))),
                Tell::Outcome(outcome) => return Ok(Some(Told::Outcome(outcome))),
                Tell::Bye {} => return Ok(None),
                _ => {}
            }
        }
    }

    pub(super) async fn ask(&mut self, ask: &Ask) -> Result<(), ClientError> {
        let line = lines::line(ask).map_err(|e| self.strange(&e.to_string()))?;
        match lines::write(&mut self.write, &line, WRITE_TIME).await {
            Ok(()) => Ok(()),
            // It may have said why before it hung up.
            Err(_) => loop {
                self.tell().await?;
            },
        }
    }

    /// The next line. May be given up while it waits.
    pub(super) async fn tell(&mut self) -> Result<Tell, ClientError> {
        match self.tells.next().await {
            Ok(Some(Tell::Refused(refusal))) => Err(self.refused(refusal)),
            Ok(Some(tell)) => Ok(tell),
            Ok(None) | Err(ReadError::Io(_)) => {
                let complaint = self.holder.complaint().await;
                Err(ClientError::Lost { at: self.at.clone(), complaint })
            }
            Err(error) => Err(self.strange(&error.to_string())),
        }
    }

    fn refused(&self, refusal: Refusal) -> ClientError {
        ClientError::Refused { at: self.at.clone(), refusal }
    }

    fn strange(&self, detail: &str) -> ClientError {
        ClientError::Strange { at: self.at.clone(), detail: detail.to_owned() }
    }
}

/// Before somebody has greeted.
fn nobody() -> Greeting {
    Greeting { version: 0, peer_id: crate::model::PeerId([0; 32]), pid: 0, program: String::new() }
}
