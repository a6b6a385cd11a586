//! A peer that says what the test wants, written with the wire types.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ant_quic::{ConnectionError, HighLevelConnection, HighLevelRecvStream, HighLevelSendStream};
use punchdeck::core::link::Claim;
use punchdeck::core::wire::{Frame, FrameReader, Hello, Message, PROTOCOL_HIGH, PROTOCOL_LOW, Record};
use punchdeck::model::{NatType, PeerId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc};
use tokio_util::task::AbortOnDropHandle;

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
    send: Arc<Mutex<HighLevelSendStream>>,
    /// What comes, taken frame by frame when somebody asks ...
    asked: Option<(HighLevelRecvStream, FrameReader)>,
    /// ... and always, as soon as the handshake is over: nobody who is busy with
    /// another peer is taken for dead.
    always: Option<(mpsc::UnboundedReceiver<Frame>, AbortOnDropHandle<()>)>,
    /// Whether it answers heartbeats, and takes what comes at all.
    pongs: Arc<AtomicBool>,
    takes: Arc<AtomicBool>,
    session: u64,
    next: u64,
    /// What it said last, to be said again.
    last: Vec<u8>,
}

/// The next frame of a stream, unless it ended.
async fn next(recv: &mut HighLevelRecvStream, reader: &mut FrameReader) -> Option<Frame> {
    let mut chunk = [0; 4096];
    loop {
        if let Some(raw) = reader.next().unwrap() {
            return Some(Frame::decode(&raw).unwrap());
        }
        match AsyncReadExt::read(recv, &mut chunk).await {
            Ok(n) if n > 0 => reader.push(&chunk[..n]),
            _ => return None,
        }
    }
}

/// The writing half of one.
pub struct Saying(Scripted);

impl Saying {
    /// The next numbered message, to whoever may be gone.
    pub async fn say(&mut self, message: Message) {
        self.0.say(message).await;
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
            send: Arc::new(Mutex::new(send)),
            asked: Some((recv, FrameReader::new())),
            always: None,
            pongs: Arc::new(AtomicBool::new(true)),
            takes: Arc::new(AtomicBool::new(true)),
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
        self.hear_always();
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

    /// Takes all that comes from now on, and answers heartbeats.
    fn hear_always(&mut self) {
        let (heard, hears) = mpsc::unbounded_channel();
        let Some((mut recv, mut reader)) = self.asked.take() else { return };
        let (send, pongs, takes) = (self.send.clone(), self.pongs.clone(), self.takes.clone());
        let task = tokio::spawn(async move {
            while let Some(frame) = next(&mut recv, &mut reader).await {
                if !takes.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                match frame {
                    Frame::Ping { token } if pongs.load(Ordering::Relaxed) => {
                        let pong = Frame::Pong { token }.encode().unwrap();
                        let _ = AsyncWriteExt::write_all(&mut *send.lock().await, &pong).await;
                    }
                    Frame::Ping { .. } => {}
                    frame => drop(heard.send(frame)),
                }
            }
        });
        self.always = Some((hears, AbortOnDropHandle::new(task)));
    }

    pub async fn frame(&mut self, frame: &Frame) {
        self.raw(&frame.encode().unwrap()).await;
    }

    /// Whatever bytes; a stream that is closed already is what some tests want.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.last = bytes.to_vec();
        let _ = AsyncWriteExt::write_all(&mut *self.send.lock().await, bytes).await;
    }

    /// Replay: what it said last, once more.
    pub async fn again(&mut self) {
        let last = self.last.clone();
        let _ = AsyncWriteExt::write_all(&mut *self.send.lock().await, &last).await;
    }

    /// Flood: so many messages, as fast as they are taken.
    pub async fn floods(&mut self, count: u32, message: impl Fn(u32) -> Message) {
        for n in 0..count {
            self.say(message(n)).await;
        }
    }

    /// Waits until the other end takes nothing more on the control stream.
    pub async fn until_stopped(&mut self) {
        let stopped = async { self.send.lock().await.stopped().await };
        tokio::time::timeout(PATIENCE, stopped).await.expect("it is still read").unwrap();
    }

    /// The next numbered message.
    pub async fn say(&mut self, message: Message) {
        let bytes = message.encode(self.session, self.next).unwrap();
        self.next += 1;
        self.raw(&bytes).await;
    }

    /// The next frame that comes.
    pub async fn next_frame(&mut self) -> Frame {
        let frame = self.frame_if_open().await;
        frame.unwrap_or_else(|| panic!("the stream ended: {:?}", self.connection.close_reason()))
    }

    /// The same; nothing when the other end closed the stream.
    async fn frame_if_open(&mut self) -> Option<Frame> {
        let frame = async {
            match (&mut self.always, &mut self.asked) {
                (Some((hears, _)), _) => hears.recv().await,
                (None, Some((recv, reader))) => next(recv, reader).await,
                (None, None) => None,
            }
        };
        tokio::time::timeout(PATIENCE, frame).await.expect("nothing came")
    }

    /// Answers heartbeats for as long as the other end is there, and says nothing
    /// else.
    pub fn stays(self) -> HighLevelConnection {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            self.connection.closed().await;
            drop(self);
        });
        connection
    }

    /// Stall: takes whatever comes and answers nothing, not even a heartbeat.
    pub fn stalls(self) -> HighLevelConnection {
        self.pongs.store(false, Ordering::Relaxed);
        self.stays()
    }

    /// Stall: does not even take what comes any more.
    pub fn takes_nothing(&self) {
        self.takes.store(false, Ordering::Relaxed);
    }

    /// Reads and forgets until the other end is gone; what to say goes through
    /// the half that comes back.
    pub fn read_on(mut self) -> (Saying, impl Future<Output = ()>) {
        let always = self.always.take();
        let read = async move {
            if let Some((mut hears, _task)) = always {
                while hears.recv().await.is_some() {}
            }
        };
        (Saying(self), read)
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
