//! Asks a node again and again how it is in brief, for whoever looks at a whole fleet over
//! one line: how often follows from what the answers cost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::client::{Client, ClientError};
use super::protocol::{Refusal, VERSION};
use super::target::Target;
use crate::model::{Brief, Silence, SilenceKind, Stamp, Standing};

/// What the answers of a whole fleet may cost together, in bytes a second. A fleet on a
/// slow line has 20 KB/s: the rest is for the console on one of its nodes.
const BUDGET: u64 = 16_000;
/// What an answer costs besides its own bytes: the question, and the envelopes of both.
const AROUND: u64 = 200;
/// Between two questions to a node, at least: nobody reads faster.
const LEAST: Duration = Duration::from_secs(1);
/// Between the first questions to one node and to the next: what an answer of a node with 63
/// links costs the line. So they do not come all at once, neither then nor later.
const APART: Duration = Duration::from_millis(170);
/// How long an answer may take on a slow line.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Before a node is tried again that did not answer; doubled with each failure...
const AGAIN_FIRST: Duration = Duration::from_secs(2);
/// ... up to this: a try through a shell on another host costs some kilobytes.
const AGAIN_MOST: Duration = Duration::from_secs(60);

/// Asks a node how it is until nobody wants to hear it. It is the one at that `place` of so
/// many `nodes`, which share a line.
pub async fn watch_in_brief(at: Target, (place, nodes): (usize, usize), told: watch::Sender<Standing>) {
    let watching = async {
        tokio::time::sleep(APART * u32::try_from(place).unwrap_or(0)).await;
        let mut failures = 0;
        loop {
            let ended = converse(&at, nodes, &told, &mut failures).await;
            failures += 1;
            let again = again_after(failures);
            told.send_modify(|standing| *standing = ended.upon(standing, now(), now().after(again)));
            tokio::time::sleep(again).await;
        }
    };
    tokio::select! {
        () = told.closed() => {}
        () = watching => {}
    }
}

/// How a conversation ended.
enum Ended {
    Silent(Silence),
    Older(String),
}

impl Ended {
    fn of(error: &ClientError, program: &str) -> Self {
        match error {
            // It greets as we do, and does not know the question.
            ClientError::Refused { refusal: Refusal::Malformed { .. }, .. } if !program.is_empty() => {
                Self::Older(program.to_owned())
            }
            ClientError::Refused { refusal: Refusal::Version { speaks, program }, .. }
                if *speaks < VERSION =>
            {
                Self::Older(program.clone())
            }
            error => Self::Silent(error.silence()),
        }
    }

    /// How it stands with the node now; since when, if that is not new.
    fn upon(self, before: &Standing, now: Stamp, again: Stamp) -> Standing {
        let why = match self {
            Self::Older(program) => return Standing::Older { program },
            Self::Silent(why) => why,
        };
        let (since, last) = match before {
            Standing::Silent { since, last, .. } => (*since, last.clone()),
            Standing::Here { brief, .. } => (now, Some(Arc::clone(brief))),
            Standing::Asked | Standing::Older { .. } => (now, None),
        };
        Standing::Silent { why, since, again, last }
    }
}

/// Asks until something goes wrong.
async fn converse(at: &Target, nodes: usize, told: &watch::Sender<Standing>, failures: &mut u32) -> Ended {
    let mut client = match Client::connect(at.clone(), true).await {
        Ok(client) => client,
        Err(error) => return Ended::of(&error, ""),
    };
    loop {
        let before = client.received();
        let program = client.greeting().program.clone();
        let brief: Brief = match timeout(ANSWER_TIME, client.brief()).await {
            Ok(Ok(brief)) => brief,
            Ok(Err(error)) => return Ended::of(&error, &program),
            Err(_) => return Ended::Silent(Silence { kind: SilenceKind::Mute, detail: None }),
        };
        *failures = 0;
        told.send_replace(Standing::Here { brief: Arc::new(brief), at: now() });
        tokio::time::sleep(rest_after(client.received() - before, nodes)).await;
    }
}

/// How long to leave a node alone after an answer of so many bytes, where so many nodes
/// share the line.
fn rest_after(bytes: u64, nodes: usize) -> Duration {
    let cost = (bytes + AROUND).saturating_mul(nodes as u64);
    Duration::from_millis(cost.saturating_mul(1_000) / BUDGET).max(LEAST)
}

/// How long to wait after so many failures in a row.
fn again_after(failures: u32) -> Duration {
    AGAIN_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(AGAIN_MOST)
}

/// The time on this host.
fn now() -> Stamp {
    Stamp(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
    use tokio::net::{UnixListener, UnixStream};
    use tokio::sync::broadcast;

    use super::*;
    use crate::control::{ControlSocket, Greeting, Server, SocketPath, Tell};
    use crate::model::{BriefLink, Event, LinkRow, Outcome, Path, PeerId, PeerPrefix, Snapshot};
    use crate::node::feed::{CommandSender, Feed};
    use crate::tui::demo;

    /// The ends that a node holds: without them it has ended.
    type Held =
        (watch::Sender<Arc<Snapshot>>, broadcast::Sender<Arc<Event>>, broadcast::Sender<Arc<Outcome>>);

    fn feed(snapshot: Arc<Snapshot>) -> (Feed, Held) {
        let (commands, _) = CommandSender::channel();
        let (node, snapshots) = watch::channel(snapshot);
        let ((events_in, events), (outcomes_in, outcomes)) = (broadcast::channel(1), broadcast::channel(1));
        let feed = Feed { snapshots, events, outcomes, commands, presence: None, logs: None };
        (feed, (node, events_in, outcomes_in))
    }

    /// What is told of a node until it is as wanted.
    async fn until(at: &std::path::Path, wanted: impl Fn(&Standing) -> bool) -> Standing {
        let (told, mut hears) = watch::channel(Standing::Asked);
        let task = tokio::spawn(watch_in_brief(at.into(), (0, 2), told));
        let standing = hears.wait_for(wanted).await.unwrap().clone();
        task.abort();
        standing
    }

    #[tokio::test]
    async fn a_node_is_asked_how_it_is_and_who_is_not_there_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("control.sock");
        let Standing::Silent { why, last: None, .. } = until(&at, |s| *s != Standing::Asked).await else {
            panic!("nobody is there")
        };
        assert_eq!(why.to_string(), "nobody answers there: there is no such socket");
        let (feed, _held) = feed(demo::busy());
        let server =
            Server::start(ControlSocket::bind(&SocketPath::new(at.clone()).unwrap(), None).unwrap(), feed)
                .unwrap();
        let Standing::Here { brief, .. } = until(&at, |s| *s != Standing::Asked).await else {
            panic!("it answers")
        };
        assert_eq!(*brief, Brief::new(&demo::busy()));
        server.finish().await;
    }

    #[tokio::test]
    async fn a_node_that_does_not_know_the_question_is_said_to_be_older() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("control.sock");
        let listener = UnixListener::bind(&at).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            let program = "0.2.0".to_owned();
            let greeting = Greeting { version: VERSION, peer_id: PeerId([1; 32]), pid: 7, program };
            let detail = "unknown variant `brief`".to_owned();
            for tell in [Tell::Hello(greeting), Tell::Refused(Refusal::Malformed { detail })] {
                let line = serde_json::to_string(&tell).unwrap() + "\n";
                write.write_all(line.as_bytes()).await.unwrap();
                // Our hello, and then the question.
                lines.next_line().await.unwrap();
                lines.next_line().await.unwrap();
            }
        });
        let standing = until(&at, |s| *s != Standing::Asked).await;
        assert_eq!(standing, Standing::Older { program: "0.2.0".to_owned() });
    }

    #[test]
    fn a_fleet_of_any_size_stays_within_its_budget() {
        let brief = Brief {
            links: (0..255)
                .map(|n| BriefLink { peer: PeerPrefix([n; 6]), path: Path::Punched, rtt_ms: Some(1_234.5) })
                .collect(),
            ..Brief::new(&demo::busy())
        };
        let long = serde_json::to_vec(&brief).unwrap().len() as u64;
        for nodes in 2..=64_usize {
            for bytes in [300, 2_500, long] {
                let rate = (bytes + AROUND) as f64 * nodes as f64 / rest_after(bytes, nodes).as_secs_f64();
                assert!(rate <= BUDGET as f64 * 1.01, "{nodes} nodes, {bytes} bytes: {rate}");
            }
        }
        assert_eq!(rest_after(1_000, 3), LEAST, "a small fleet is asked every second");
        assert!(rest_after(2_500, 64) < Duration::from_secs(12), "and a large one within some seconds");
    }

    /// Between a client and a node: counts what passes.
    async fn counted(at: std::path::PathBuf, node: std::path::PathBuf, bytes: Arc<AtomicU64>) {
        let listener = UnixListener::bind(at).unwrap();
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let node = UnixStream::connect(&node).await.unwrap();
            let ((from_client, to_client), (from_node, to_node)) = (client.into_split(), node.into_split());
            tokio::spawn(carry(from_client, to_node, bytes.clone()));
            tokio::spawn(carry(from_node, to_client, bytes.clone()));
        }
    }

    async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, bytes: Arc<AtomicU64>) {
        let mut buffer = [0; 4_096];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            bytes.fetch_add(n as u64, Ordering::Relaxed);
            to.write_all(&buffer[..n]).await.unwrap();
        }
    }

    /// A node that is linked to so many others.
    fn linked_to(peers: u8) -> Arc<Snapshot> {
        let mut snapshot = Snapshot::clone(&demo::busy());
        let link = snapshot.links[0].clone();
        let to = |n: u8| LinkRow { peer_id: PeerId([n; 32]), rtt_ms: Some(81.25), ..link.clone() };
        snapshot.links = Arc::new((0..peers).map(to).collect());
        Arc::new(snapshot)
    }

    #[tokio::test]
    #[ignore = "takes a minute: what a fleet of sixty-four costs a line"]
    async fn bytes_of_a_fleet_of_sixty_four() {
        const NODES: u8 = 64;
        const WATCHED: Duration = Duration::from_secs(60);
        let (dir, bytes) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU64::new(0)));
        let mut kept = Vec::new();
        for n in 0..NODES {
            let (at, node) = (dir.path().join(format!("{n}")), dir.path().join(format!("{n}.node")));
            let (feed, held) = feed(linked_to(NODES - 1));
            let socket = ControlSocket::bind(&SocketPath::new(node.clone()).unwrap(), None).unwrap();
            let server = Server::start(socket, feed).unwrap();
            tokio::spawn(counted(at.clone(), node, bytes.clone()));
            let (told, hears) = watch::channel(Standing::Asked);
            tokio::spawn(watch_in_brief(at.as_path().into(), (n.into(), NODES.into()), told));
            kept.push((held, server, hears));
        }
        let (mut before, mut worst) = (0, 0);
        for _ in 0..WATCHED.as_secs() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = bytes.load(Ordering::Relaxed);
            worst = worst.max(now - before);
            before = now;
        }
        let mean = before / WATCHED.as_secs();
        eprintln!("{mean} bytes a second, {worst} in the worst second");
        assert!(kept.iter().all(|(_, _, hears)| matches!(*hears.borrow(), Standing::Here { .. })));
        assert!(worst < 20_000, "{worst} bytes in a second");
    }

    #[test]
    fn who_does_not_answer_is_tried_again_less_and_less_often_and_since_when_stays() {
        let waits: Vec<u64> = (1..=8).map(|n| again_after(n).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        let silent = || Ended::Silent(Silence { kind: SilenceKind::HungUp, detail: None });
        let here = Standing::Here { brief: Arc::new(Brief::new(&demo::busy())), at: Stamp(1) };
        let first = silent().upon(&here, Stamp(10), Stamp(12));
        let second = silent().upon(&first, Stamp(12), Stamp(16));
        let Standing::Silent { since, again, last, .. } = second else { panic!() };
        assert_eq!((since, again), (Stamp(10), Stamp(16)));
        assert!(last.is_some(), "what it said last is kept");
    }
}
