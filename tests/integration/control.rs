//! The control socket from outside: what a client sees, what a hostile one can
//! do, and who is let in.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use punchdeck::control::{
    self, CLIENT_LINE_MAX, CLIENTS_MAX, Client, ClientError, ControlSocket, Refusal, Server, SocketError,
    SocketPath, Told,
};
use punchdeck::model::{Command, Done, Outcome, Path as LinkPath, Reason};
use punchdeck::node::feed::Presence;
use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::binary::settled;
use super::support::{PATIENCE, TestNode, ignored, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_client_sees_the_state_and_the_events_of_the_node", sees),
        trial("a_command_of_a_client_has_its_own_outcome_and_no_other_client_hears_it", commands),
        trial("a_read_only_client_is_held_to_it_by_the_node", read_only),
        trial("what_only_drills_ask_for_is_refused_to_clients", drills_only),
        trial("an_attached_console_follows_the_node_over_a_restart", attached),
        trial("what_was_asked_when_the_node_went_away_has_an_outcome", asked_and_lost),
        trial("a_line_that_is_too_long_ends_that_client_alone", too_long),
        trial("half_a_line_holds_nobody_up", half_a_line),
        trial("what_is_no_json_or_comes_out_of_turn_is_refused_with_its_reason", malformed),
        trial("a_client_of_another_version_is_told_so", another_version),
        trial("a_client_that_does_not_say_hello_is_let_go", silent),
        trial("a_client_that_does_not_read_is_let_go_and_holds_nobody_up", no_reads),
        trial("of_a_hundred_clients_sixteen_are_let_in_and_the_next_when_one_goes", hundred),
        trial("the_socket_is_for_its_owner_and_a_group_if_there_is_one", modes),
        trial("a_dead_nodes_socket_is_taken_over_and_a_living_ones_is_refused_with_its_pid", stale),
        trial("what_is_no_socket_stays_as_it_is", no_socket),
        stranger(),
    ]
}

/// A node whose socket is served.
struct Served {
    node: TestNode,
    server: Server,
    path: PathBuf,
}

impl Served {
    async fn start(name: &str) -> Self {
        Self::on(TestNode::start(name, &[]).await)
    }

    fn on(mut node: TestNode) -> Self {
        let path = node.dir().join(control::SOCKET_FILE);
        let socket = ControlSocket::bind(&SocketPath::new(path.clone()).unwrap(), None).unwrap();
        let server = Server::start(socket, node.feed()).unwrap();
        Self { node, server, path }
    }

    async fn client(&self) -> Client {
        Client::connect(self.path.as_path(), false).await.unwrap()
    }

    /// The node answers somebody else, now.
    async fn answers(&self) {
        let begun = Instant::now();
        let id = self.client().await.snapshot().await.unwrap().node.peer_id;
        assert_eq!(id, self.node.id());
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    async fn stop(mut self) -> (TestNode, PathBuf) {
        self.node.stop().await;
        self.server.finish().await;
        (self.node, self.path)
    }
}

/// A client that says what it likes.
struct Raw(BufReader<UnixStream>);

impl Raw {
    async fn connect(path: &Path) -> Self {
        Self(BufReader::new(UnixStream::connect(path).await.unwrap()))
    }

    /// After the greetings.
    async fn greeted(path: &Path) -> Self {
        let mut raw = Self::connect(path).await;
        assert!(raw.line().await.starts_with(r#"{"hello":"#));
        raw.say(b"{\"hello\":{\"version\":3}}\n").await.unwrap();
        raw
    }

    async fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes).await
    }

    /// The next line; nothing once the node has hung up.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        match tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("no line") {
            Ok(_) => line,
            // Hung up with something of ours unread.
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
            Err(e) => panic!("{e}"),
        }
    }

    /// The last line that says why, and then the end.
    async fn refused(&mut self, why: &str) {
        let line = self.line().await;
        assert!(line.starts_with(r#"{"refused":"#) && line.contains(why), "{line}");
        assert_eq!(self.line().await, "");
    }
}

async fn end_of(client: &mut Client, command: Command) -> Outcome {
    let id = client.send(command).await.unwrap();
    let search = async {
        loop {
            if let Told::Outcome(outcome) = client.next().await.unwrap().expect("the node has stopped")
                && outcome.id == id
            {
                return (*outcome).clone();
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("no outcome")
}

async fn sees() {
    let served = Served::start("hub").await;
    let other = TestNode::start("other", &[served.node.addr()]).await;
    served.node.until_linked(other.id()).await;
    let mut client = served.client().await;
    assert_eq!((client.greeting().peer_id, client.greeting().pid), (served.node.id(), std::process::id()));
    let seen = client.snapshot().await.unwrap();
    assert_eq!(seen.link(&other.id()).map(|l| l.path), Some(LinkPath::Direct));
    assert_eq!(seen.peer(&other.id()).unwrap().name.as_deref(), Some("other"));
    let events = client.events(true).await.unwrap();
    let names: Vec<&str> = events.iter().map(|e| e.kind.name()).collect();
    assert_eq!(names[0], "node.started", "what happened before the client came is remembered");
    assert!(names.contains(&"link.up"), "{names:?}");
    let last = events.last().unwrap().seq;
    end_of(&mut served.client().await, Command::Disconnect { peer: other.id() }).await;
    let Some(Told::Event(next)) = client.next().await.unwrap() else { panic!() };
    assert_eq!(next.seq, last + 1, "none is missing and none comes twice");
}

async fn commands() {
    let served = Served::start("hub").await;
    let other = TestNode::start("other", &[]).await;
    let (mut one, mut two) = (served.client().await, served.client().await);
    let unknown = end_of(&mut one, Command::Connect { peer: other.id() }).await;
    assert_eq!(unknown.result.unwrap_err().reason, Reason::UnknownPeer);
    let id = two.send(Command::Sync { peer: None }).await.unwrap();
    // Both number their commands from 1.
    let outcome = end_of(&mut one, Command::Why { peer: other.id() }).await;
    assert_ne!(outcome.id, id);
    assert!(matches!(outcome.command, Command::Why { .. }));
    let Some(Told::Outcome(outcome)) = two.next().await.unwrap() else { panic!() };
    assert_eq!((outcome.id, &outcome.command), (id, &Command::Sync { peer: None }));
}

async fn read_only() {
    let served = Served::start("hub").await;
    let other = TestNode::start("other", &[served.node.addr()]).await;
    served.node.until_linked(other.id()).await;
    let mut client = Client::connect(served.path.as_path(), true).await.unwrap();
    let disruptive = [Command::Disconnect { peer: other.id() }, Command::EndServed { peer: other.id() }];
    for command in disruptive.into_iter().chain([Command::Leave, Command::NatProbe]) {
        let outcome = end_of(&mut client, command).await;
        assert_eq!(outcome.result.unwrap_err().reason, Reason::ReadOnly);
    }
    assert!(served.node.link(other.id()).is_some());
    let why = end_of(&mut client, Command::Why { peer: other.id() }).await;
    assert!(matches!(why.result, Ok(Done::Explained(_))), "{why:?}");
}

async fn drills_only() {
    let served = Served::start("hub").await;
    let mut client = served.client().await;
    let echo = Command::Echo { peer: served.node.id(), count: 1, every_ms: 1 };
    for command in [Command::LoseNextDelta, echo] {
        let outcome = end_of(&mut client, command).await;
        assert_eq!(outcome.result.unwrap_err().reason, Reason::OnlyInDrills);
    }
}

async fn attached() {
    let served = Served::start("hub").await;
    let other = TestNode::start("other", &[served.node.addr()]).await;
    let mut feed = control::attach(served.path.as_path(), false).await.unwrap();
    assert_eq!(feed.events.recv().await.unwrap().kind.name(), "node.started");
    let linked = |s: &std::sync::Arc<punchdeck::model::Snapshot>| s.link(&other.id()).is_some();
    tokio::time::timeout(PATIENCE, feed.snapshots.wait_for(linked)).await.unwrap().unwrap();

    let (node, _) = served.stop().await;
    let mut presence = feed.presence.clone().unwrap();
    let lost = |p: &Presence| matches!(p, Presence::Lost { .. });
    tokio::time::timeout(PATIENCE, presence.wait_for(lost)).await.unwrap().unwrap();

    let served = Served::on(node.restart(|_| {}).await);
    tokio::time::timeout(PATIENCE, presence.wait_for(|p| *p == Presence::Here)).await.unwrap().unwrap();
    tokio::time::timeout(PATIENCE, feed.snapshots.wait_for(linked)).await.unwrap().unwrap();
    let id = feed.commands.try_send(Command::Sync { peer: None }).unwrap();
    let outcome = tokio::time::timeout(PATIENCE, feed.outcomes.recv()).await.unwrap().unwrap();
    assert_eq!(outcome.id, id);
    assert!(outcome.result.is_ok(), "{outcome:?}");
    drop(served);
}

async fn asked_and_lost() {
    let served = Served::start("hub").await;
    let mut feed = control::attach(served.path.as_path(), false).await.unwrap();
    let (_node, _) = served.stop().await;
    let mut presence = feed.presence.clone().unwrap();
    let lost = |p: &Presence| matches!(p, Presence::Lost { .. });
    tokio::time::timeout(PATIENCE, presence.wait_for(lost)).await.unwrap().unwrap();
    let id = feed.commands.try_send(Command::Sync { peer: None }).unwrap();
    let outcome = tokio::time::timeout(PATIENCE, feed.outcomes.recv()).await.unwrap().unwrap();
    assert_eq!(outcome.id, id);
    assert_eq!(outcome.result.as_ref().unwrap_err().reason, Reason::NodeLost);
}

async fn too_long() {
    let served = Served::start("hub").await;
    let mut bystander = served.client().await;
    let mut raw = Raw::greeted(&served.path).await;
    let line = vec![b'x'; CLIENT_LINE_MAX + 2];
    // It may be let go before it has said it all.
    let _ = raw.say(&line).await;
    raw.refused("line-too-long").await;
    assert_eq!(bystander.snapshot().await.unwrap().node.peer_id, served.node.id());
}

async fn half_a_line() {
    let served = Served::start("hub").await;
    let mut raw = Raw::greeted(&served.path).await;
    raw.say(b"{\"snapshot\":").await.unwrap();
    served.answers().await;
    raw.say(b"{}}\n").await.unwrap();
    assert!(raw.line().await.starts_with(r#"{"state":"#), "the other half comes later");
}

async fn malformed() {
    let served = Served::start("hub").await;
    for line in [
        "nonsense\n",
        "[[[[\n",
        "\u{0}\n",
        "{\"hello\":{\"version\":3}}\n",
        "{\"do\":{\"id\":1,\"command\":{\"command\":\"format-the-disk\"}}}\n",
        "{\"do\":{\"id\":1,\"command\":{\"command\":\"connect\",\"peer\":\"abc\"}}}\n",
    ] {
        let mut raw = Raw::greeted(&served.path).await;
        raw.say(line.as_bytes()).await.unwrap();
        raw.refused("malformed").await;
    }
    let mut raw = Raw::greeted(&served.path).await;
    raw.say(b"\xff\xfe\n").await.unwrap();
    raw.refused("malformed").await;
    let mut early = Raw::connect(&served.path).await;
    assert!(early.line().await.starts_with(r#"{"hello":"#));
    early.say(b"{\"snapshot\":{}}\n").await.unwrap();
    early.refused("hello comes first").await;
    served.answers().await;
}

async fn another_version() {
    let served = Served::start("hub").await;
    let mut raw = Raw::connect(&served.path).await;
    raw.line().await;
    raw.say(b"{\"hello\":{\"version\":4}}\n").await.unwrap();
    raw.refused("version").await;
}

async fn silent() {
    let served = Served::start("hub").await;
    let mut raw = Raw::connect(&served.path).await;
    raw.line().await;
    raw.refused("silent").await;
}

async fn no_reads() {
    let served = Served::start("hub").await;
    let mut raw = Raw::greeted(&served.path).await;
    // Each answer has some KiB; what fits between the two ends is far less than
    // what is asked for here.
    let asks = b"{\"snapshot\":{}}\n".repeat(2_000);
    let flood = tokio::spawn(async move {
        let said = raw.say(&asks).await;
        (raw, said)
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    served.answers().await;
    let seq = served.node.snapshot().seq;
    served.node.until("life", |s| s.seq > seq).await;
    // It is let go before anybody reads.
    let (mut raw, _) = tokio::time::timeout(PATIENCE, flood).await.expect("it was not let go").unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    while !raw.line().await.is_empty() {}
    served.answers().await;
}

async fn hundred() {
    let served = Served::start("hub").await;
    let mut inside = Vec::new();
    let mut refused = 0;
    for _ in 0..100 {
        match Client::connect(served.path.as_path(), true).await {
            Ok(client) => inside.push(client),
            Err(ClientError::Refused { refusal: Refusal::TooManyClients { max }, .. }) => {
                assert_eq!(max as usize, CLIENTS_MAX);
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((inside.len(), refused), (CLIENTS_MAX, 84));
    for client in &mut inside {
        client.snapshot().await.unwrap();
    }
    drop(inside.pop());
    // The place is free as soon as the node has seen it go.
    let begun = Instant::now();
    while let Err(error) = Client::connect(served.path.as_path(), true).await {
        assert!(begun.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn modes() {
    let dir = tempdir().unwrap();
    let path = SocketPath::new(dir.path().join("s")).unwrap();
    let mode = || {
        let m = std::fs::symlink_metadata(path.as_path()).unwrap();
        assert!(m.file_type().is_socket());
        (m.permissions().mode() & 0o777, m.gid())
    };
    let socket = ControlSocket::bind(&path, None).unwrap();
    assert_eq!(mode().0, 0o600);
    drop(socket);
    assert!(!path.as_path().exists(), "it goes with the node");
    let gid = rustix::process::getegid().as_raw();
    let socket = ControlSocket::bind(&path, Some(&gid.to_string())).unwrap();
    assert_eq!(mode(), (0o660, gid));
    drop(socket);
    let error = ControlSocket::bind(&path, Some("no-such-group")).unwrap_err();
    assert!(error.to_string().contains("no-such-group"), "{error}");
    assert!(!path.as_path().exists());
}

async fn stale() {
    let dir = tempdir().unwrap();
    let path = SocketPath::new(dir.path().join("s")).unwrap();
    // As SIGKILL leaves it.
    drop(std::os::unix::net::UnixListener::bind(path.as_path()).unwrap());
    assert!(path.as_path().exists());
    let mut served = TestNode::start("hub", &[]).await;
    let socket = ControlSocket::bind(&path, None).unwrap();
    let _server = Server::start(socket, served.feed()).unwrap();
    Client::connect(path.as_path(), true).await.unwrap();
    let taken = path.clone();
    let error = tokio::task::spawn_blocking(move || ControlSocket::bind(&taken, None)).await.unwrap();
    let error = error.unwrap_err();
    assert!(
        matches!(error, SocketError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    Client::connect(path.as_path(), true).await.expect("the living one does not mind");
}

async fn no_socket() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("notes");
    std::fs::write(&path, "mine").unwrap();
    let error = ControlSocket::bind(&SocketPath::new(path.clone()).unwrap(), None).unwrap_err();
    assert!(matches!(error, SocketError::NoSocket { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "mine");
    let long = dir.path().join("x".repeat(120));
    assert!(matches!(SocketPath::new(long), Err(SocketError::PathTooLong { .. })));
}

/// Another user, where this host can make one.
fn stranger() -> Trial {
    const NAME: &str = "another_user_is_refused_whatever_the_mode_of_the_socket_says";
    const NOBODY: u32 = 65_534;
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let users = map.split_whitespace().nth(2).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    if users <= u64::from(NOBODY) || !rustix::process::geteuid().is_root() {
        return ignored(NAME, "there is one user here");
    }
    trial(NAME, || async {
        let served = Served::start("hub").await;
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(served.node.dir(), 0o755);
        open(&served.path, 0o666);
        // Where that user may read it.
        let program = served.node.dir().join("punchdeck");
        std::fs::copy(env!("CARGO_BIN_EXE_punchdeck"), &program).unwrap();
        let mut command = settled(tokio::process::Command::new(&program), served.node.dir());
        command.args(["ctl", "status", "--socket"]).arg(&served.path).uid(NOBODY);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("refuses: the node's socket is for user 0 and root"), "{said}");
    })
}
