//! A peer that says what the test wants, written with the wire types.

use std::future::Future;
use std::net::SocketAddr;

use ant_quic::{ConnectionError, HighLevelConnection, HighLevelRecvStream, HighLevelSendStream};
use punchdeck::core::link::Claim;
use punchdeck::core::wire::{Frame, FrameReader, Hello, Message, PROTOCOL_HIGH, PROTOCOL_LOW, Record};
use punchdeck::model::{NatType, PeerId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Bad, PATIENCE, Stranger, Target};

/// A peer with a control stream.
pub struct Scripted {
    pub id: PeerId,
    /// Who is at the other end.
    pub them: PeerId,
    pub stranger: Stranger,
    pub connection: HighLevelConnection,
    pub channel: [u8; 16],
    /// What the other end said first.
    pub their_hello: Option<Box<Hello>>,
    send: HighLevelSendStream,
    recv: HighLevelRecvStream,
    reader: FrameReader,
    session: u64,
    next: u64,
    /// What it said last, to be said again.
    last: Vec<u8>,
}

/// The writing half of one.
pub struct Saying {
    send: HighLevelSendStream,
    session: u64,
    next: u64,
    _held: (Stranger, HighLevelConnection),
}

impl Saying {
    /// The next numbered message, to whoever may be gone.
    pub async fn say(&mut self, message: Message) {
        let bytes = message.encode(self.session, self.next).unwrap();
        self.next += 1;
        let _ = AsyncWriteExt::write_all(&mut self.send, &bytes).await;
    }
}

impl Scripted {
    /// A peer that has shaken hands as it should.
    pub async fn linked(target: &impl Target) -> Self {
        Bad::peer().linked(target).await
    }

    /// The same towards whoever listens there.
    pub async fn linked_at(addr: SocketAddr) -> Self {
        Bad::peer().linked_at(addr).await
    }

    pub(super) fn new(
        stranger: Stranger,
        them: PeerId,
        connection: HighLevelConnection,
        send: HighLevelSendStream,
        recv: HighLevelRecvStream,
    ) -> Self {
        let mut channel = [0; 16];
        connection.export_keying_material(&mut channel, b"EXPORTER punchdeck channel", b"").unwrap();
        Self {
            id: stranger.id(),
            them,
            stranger,
            connection,
            channel,
            their_hello: None,
            send,
            recv,
            reader: FrameReader::new(),
            session: 0,
            next: 0,
            last: Vec::new(),
        }
    }

    /// A Hello as it should be.
    pub fn hello(&self) -> Hello {
        let manner = &self.stranger.manner;
        Hello {
            low: PROTOCOL_LOW,
            high: PROTOCOL_HIGH,
            network: manner.network.clone(),
            name: manner.name.clone(),
            agent: "test".to_owned(),
            nat: NatType::Unknown,
            observed: self.connection.remote_address(),
            probe_ports: Vec::new(),
            wall_ms: 0,
            channel: self.channel,
            path: None,
            outbound: true,
            proof: None,
        }
    }

    /// Hello and Resume both ways.
    pub async fn shake(&mut self) {
        assert!(self.try_shake().await, "the other end closed it");
    }

    /// The same; whether the other end let it.
    pub async fn try_shake(&mut self) -> bool {
        if !self.prove().await {
            return false;
        }
        let hello = self.hello();
        self.frame(&Frame::Hello(Box::new(hello))).await;
        self.frame(&Frame::Resume { session: 0, next: 0 }).await;
        // Whoever opened waits for the other's Hello before it resumes; saying
        // both at once serves either role.
        loop {
            match self.frame_if_open().await {
                Some(Frame::Hello(hello)) => self.their_hello = Some(hello),
                Some(Frame::Resume { .. }) => break,
                Some(_) => {}
                None => return false,
            }
        }
        let mut first = [0; 8];
        first.copy_from_slice(&self.channel[..8]);
        self.session = u64::from_be_bytes(first) | 1;
        true
    }

    /// The first words of a closed fleet, if it knows its secret; whether the other end
    /// took them.
    pub async fn prove(&mut self) -> bool {
        let Some(secret) = self.stranger.manner.secret.clone() else { return true };
        let (nonce, mut binding) = ([7; 32], [0; 32]);
        self.connection.export_keying_material(&mut binding, b"EXPORTER punchdeck membership", b"").unwrap();
        let opens = self.id < self.them;
        if opens {
            self.frame(&Frame::Nonce { nonce }).await;
        }
        let Some(Frame::Nonce { nonce: asked }) = self.frame_if_open().await else { return false };
        if !opens {
            self.frame(&Frame::Nonce { nonce }).await;
        }
        let (binding, nonce, asked) = (&binding, &nonce, &asked);
        let claim = Claim { binding, nonce, asked, from: &self.id, to: &self.them };
        self.frame(&Frame::Proof { proof: secret.prove(&claim) }).await;
        matches!(self.frame_if_open().await, Some(Frame::Proof { .. }))
    }

    pub async fn frame(&mut self, frame: &Frame) {
        self.raw(&frame.encode().unwrap()).await;
    }

    /// Whatever bytes; a stream that is closed already is what some tests want.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.last = bytes.to_vec();
        let _ = AsyncWriteExt::write_all(&mut self.send, bytes).await;
    }

    /// Replay: what it said last, once more.
    pub async fn again(&mut self) {
        let last = self.last.clone();
        let _ = AsyncWriteExt::write_all(&mut self.send, &last).await;
    }

    /// Flood: so many messages, as fast as they are taken.
    pub async fn floods(&mut self, count: u32, message: impl Fn(u32) -> Message) {
        for n in 0..count {
            self.say(message(n)).await;
        }
    }

    /// Waits until the other end takes nothing more on the control stream.
    pub async fn until_stopped(&mut self) {
        tokio::time::timeout(PATIENCE, self.send.stopped()).await.expect("it is still read").unwrap();
    }

    /// The next numbered message.
    pub async fn say(&mut self, message: Message) {
        let bytes = message.encode(self.session, self.next).unwrap();
        self.next += 1;
        self.raw(&bytes).await;
    }

    /// The next frame that comes.
    pub async fn next_frame(&mut self) -> Frame {
        self.frame_if_open().await.expect("the stream ended")
    }

    /// The same; nothing when the other end closed the stream.
    async fn frame_if_open(&mut self) -> Option<Frame> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(raw) = self.reader.next().unwrap() {
                return Some(Frame::decode(&raw).unwrap());
            }
            let read = tokio::time::timeout(PATIENCE, AsyncReadExt::read(&mut self.recv, &mut chunk));
            match read.await.expect("nothing came") {
                Ok(n) if n > 0 => self.reader.push(&chunk[..n]),
                _ => return None,
            }
        }
    }

    /// Answers heartbeats for as long as the other end is there, and says nothing
    /// else.
    pub fn stays(mut self) -> HighLevelConnection {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            while let Some(frame) = self.frame_if_open().await {
                if let Frame::Ping { token } = frame {
                    self.frame(&Frame::Pong { token }).await;
                }
            }
        });
        connection
    }

    /// Stall: takes whatever comes and answers nothing, not even a heartbeat.
    pub fn stalls(self) -> HighLevelConnection {
        let connection = self.connection.clone();
        let (saying, read) = self.read_on();
        tokio::spawn(async move {
            read.await;
            drop(saying);
        });
        connection
    }

    /// Stall: does not even take what comes, for as long as this is kept.
    pub fn unread(self) -> impl Sized {
        self
    }

    /// Reads and forgets until the other end is gone; what to say goes through
    /// the half that comes back.
    pub fn read_on(self) -> (Saying, impl Future<Output = ()>) {
        let Self { stranger, connection, send, session, next, mut recv, .. } = self;
        let saying = Saying { send, session, next, _held: (stranger, connection) };
        let read = async move {
            let mut chunk = [0; 4096];
            while matches!(AsyncReadExt::read(&mut recv, &mut chunk).await, Ok(n) if n > 0) {}
        };
        (saying, read)
    }

    /// The next message for which `wanted` gives something. Pings are answered
    /// and messages acknowledged meanwhile.
    pub async fn hear<T>(&mut self, mut wanted: impl FnMut(&Message) -> Option<T>) -> T {
        loop {
            match self.next_frame().await {
                Frame::Ping { token } => self.frame(&Frame::Pong { token }).await,
                Frame::Message { session, seq, message } => {
                    self.frame(&Frame::Ack { session, next: seq + 1 }).await;
                    if let Some(found) = wanted(&message) {
                        return found;
                    }
                }
                _ => {}
            }
        }
    }

    /// Our own record.
    pub fn record(&self, version: u64) -> Record {
        let addr = self.stranger.addr();
        Record { name: "scripted".into(), addresses: vec![addr], ..Record::new(self.id, version) }
    }

    /// The application code with which the other end closes the connection.
    pub async fn closed_with(&self) -> u64 {
        match tokio::time::timeout(PATIENCE, self.connection.closed()).await.expect("it stays open") {
            ConnectionError::ApplicationClosed(close) => {
                assert!(close.reason.is_empty(), "no text travels with a close");
                close.error_code.into_inner()
            }
            other => panic!("closed otherwise: {other:?}"),
        }
    }
}
