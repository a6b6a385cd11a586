//! The logical link to one peer, over one or more connections.
//!
//! The end with the smaller peer id opens the control stream, and so alone
//! decides which connection carries the link: two ends that decide alone cannot
//! disagree. Both say Hello and what they remember of their session; then
//! messages flow, numbered and acknowledged, and survive the connection.

mod heartbeat;
mod membership;
mod session;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use heartbeat::{DEAD_AFTER, INTERVAL as HEARTBEAT_INTERVAL};
pub use membership::NetworkSecret;
pub use session::NotSent;

use self::heartbeat::{Beat, Heartbeat};
use self::session::{Joined, Resume, Session};
use crate::core::limits::HELLO_TIMEOUT;
use crate::core::wire::{Frame, Hello, Message};
use crate::core::{Mono, Now};
use crate::model::{CloseCode, NatType, Path, PeerId, Reason, clean};

/// How long a session is remembered without a connection: long enough for
/// every stage of a ladder, short enough that a restarted peer is not confused.
pub const SESSION_MEMORY: Duration = Duration::from_secs(60);

/// Names one connection to one peer; the runtime hands them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A connection as the runtime reports it.
#[derive(Debug, Clone)]
pub struct ConnInfo {
    /// Its name.
    pub id: ConnId,
    /// The remote address in use, plain.
    pub remote: SocketAddr,
    /// Whether we dialled it.
    pub outbound: bool,
    /// The path it takes as far as we know; the peer's Hello may add to it.
    pub path: Path,
    /// The relay that carries it.
    pub via: Option<PeerId>,
    /// Names the connection on both ends: exported from its TLS session.
    pub channel: [u8; 16],
    /// Key material of the same session, for the proof of membership.
    pub binding: [u8; 32],
}

/// What we say of ourselves, the same to everybody.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Who we are.
    pub me: PeerId,
    /// The network's name.
    pub network: String,
    /// Our name.
    pub name: String,
    /// Our program version.
    pub agent: String,
    /// The fleet's secret, if it is a closed one.
    pub secret: Option<NetworkSecret>,
}

/// What the peer said in its Hello.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// Its name, cleaned.
    pub name: Option<String>,
    /// Its program version, cleaned.
    pub agent: String,
    /// Its NAT type.
    pub nat: NatType,
    /// Ports at which it answers NAT probes.
    pub probe_ports: Vec<u16>,
    /// Our address as it sees it, plain.
    pub observed: SocketAddr,
    /// Its wall clock minus ours, in milliseconds.
    pub clock_skew_ms: i64,
}

/// What a link wants done, or tells.
#[derive(Debug)]
pub enum LinkOut {
    /// Open a control stream on that connection.
    OpenControl(ConnId),
    /// Write bytes to its control stream.
    Write(ConnId, Vec<u8>),
    /// Close it.
    Close(ConnId, CloseCode),
    /// The link is usable. `fresh`: the peer remembers nothing of us.
    Up {
        /// Whether a new session began.
        fresh: bool,
    },
    /// It moved to another connection while it was usable.
    Moved {
        /// The old path.
        from: Path,
        /// The new one.
        to: Path,
        /// Since anything was last heard on the old one.
        gap: Duration,
    },
    /// Heartbeats are missing.
    Suspect(u32),
    /// They came again.
    Restored {
        /// How long nothing came.
        gap: Duration,
    },
    /// It is not usable any more.
    Down(Reason),
    /// The peer does not speak our protocol.
    Foreign,
    /// A connection ended before its handshake did.
    Refused(Reason),
    /// A message, in order, once.
    Message(Box<Message>),
    /// Something was stopped; count it under this name.
    Stopped(&'static str),
}

#[derive(Debug)]
enum Phase {
    /// No control stream yet. If the peer is to open one, it has until then.
    Waiting { until: Option<Mono> },
    /// We asked for a stream.
    Opening { until: Mono },
    /// A stream stands and the Hellos are under way.
    Shaking { said: Option<Resume>, hello: Option<Greeting>, until: Mono },
    /// The handshake is done.
    Up,
    /// The peer is silent; the connection stays.
    Foreign,
}

#[derive(Debug)]
struct Conn {
    info: ConnInfo,
    phase: Phase,
    /// Why we closed it, if we did.
    refused: Option<CloseCode>,
    bytes_tx: u64,
    bytes_rx: u64,
}

/// What is shown of a link.
#[derive(Debug, Clone)]
pub struct LinkStatus {
    /// The connection in use.
    pub info: ConnInfo,
    /// Since when the link stands.
    pub since: Mono,
    /// Smoothed round trip.
    pub rtt_ms: Option<f64>,
    /// Heartbeats missed in a row.
    pub missed: u32,
    /// Bytes of the control stream, over all connections of this link.
    pub bytes_tx: u64,
    /// The same, received.
    pub bytes_rx: u64,
    /// Whether the peer speaks our protocol.
    pub foreign: bool,
}

/// The link to one peer.
#[derive(Debug)]
pub struct Link {
    peer: PeerId,
    config: Arc<LinkConfig>,
    session: Session,
    conns: Vec<Conn>,
    active: Option<ConnId>,
    heartbeat: Heartbeat,
    greeting: Option<Greeting>,
    since: Mono,
    last_heard: Mono,
    broken_since: Option<Mono>,
    bytes_tx: u64,
    bytes_rx: u64,
}

impl Link {
    /// A link without connections.
    pub fn new(peer: PeerId, config: Arc<LinkConfig>, now: Mono) -> Self {
        Self {
            peer,
            config,
            session: Session::default(),
            conns: Vec::new(),
            active: None,
            heartbeat: Heartbeat::new(HEARTBEAT_INTERVAL, now),
            greeting: None,
            since: now,
            last_heard: now,
            broken_since: Some(now),
            bytes_tx: 0,
            bytes_rx: 0,
        }
    }

    /// Whether messages flow.
    pub fn is_up(&self) -> bool {
        self.active.is_some()
    }

    /// Whether a connection stands, of whatever kind.
    pub fn is_connected(&self) -> bool {
        !self.conns.is_empty()
    }

    /// Whether the peer is connected but speaks another protocol.
    pub fn is_foreign(&self) -> bool {
        self.active.is_none()
            && self.conns.iter().any(|c| matches!(c.phase, Phase::Foreign) && c.refused.is_none())
    }

    /// Whether a connection comes from that host.
    pub fn is_from(&self, ip: std::net::IpAddr) -> bool {
        self.conns.iter().any(|c| c.info.remote.ip() == ip)
    }

    /// Whether there is nothing left to remember.
    pub fn is_forgotten(&self, now: Mono) -> bool {
        self.conns.is_empty() && self.broken_since.is_none_or(|at| now.since(at) >= SESSION_MEMORY)
    }

    /// What the peer said of itself.
    pub fn greeting(&self) -> Option<&Greeting> {
        self.greeting.as_ref()
    }

    /// The smoothed round trip, also of a link that is down.
    pub fn rtt_ms(&self) -> Option<f64> {
        self.heartbeat.rtt_ms()
    }

    /// When anything of it was last heard.
    pub fn last_heard(&self) -> Mono {
        self.last_heard
    }

    /// What is shown of it; `None` without a connection.
    pub fn status(&self) -> Option<LinkStatus> {
        let conn = match self.active {
            Some(id) => self.conn(id)?,
            None => self.conns.iter().find(|c| matches!(c.phase, Phase::Foreign))?,
        };
        Some(LinkStatus {
            info: conn.info.clone(),
            since: self.since,
            rtt_ms: self.heartbeat.rtt_ms(),
            missed: self.heartbeat.missed(),
            bytes_tx: self.bytes_tx + self.conns.iter().map(|c| c.bytes_tx).sum::<u64>(),
            bytes_rx: self.bytes_rx + self.conns.iter().map(|c| c.bytes_rx).sum::<u64>(),
            foreign: self.active.is_none(),
        })
    }

    /// Bytes that may be sent now.
    pub fn room(&self) -> usize {
        if self.is_up() { self.session.room() } else { 0 }
    }

    /// Sends a message, or keeps it for the next connection.
    ///
    /// # Errors
    /// [`NotSent`] if the peer is too far behind, no session was ever joined,
    /// or the message is too long.
    pub fn send(&mut self, message: &Message, out: &mut Vec<LinkOut>) -> Result<(), NotSent> {
        let frame = self.session.push(message)?;
        if let Some(active) = self.active {
            self.write(active, frame, out);
        }
        Ok(())
    }

    /// Closes every connection and forgets the session.
    pub fn close(&mut self, code: CloseCode, out: &mut Vec<LinkOut>) {
        out.extend(self.conns.iter().map(|c| LinkOut::Close(c.info.id, code)));
        self.session = Session::default();
    }

    /// A connection came up.
    pub fn on_conn(&mut self, info: ConnInfo, now: Now, out: &mut Vec<LinkOut>) {
        let until = (!self.is_opener()).then(|| now.mono + HELLO_TIMEOUT);
        self.conns.push(Conn {
            info,
            phase: Phase::Waiting { until },
            refused: None,
            bytes_tx: 0,
            bytes_rx: 0,
        });
        self.open_best(now.mono, out);
    }

    /// The control stream stands: ours was opened, or theirs was accepted.
    pub fn on_control(&mut self, id: ConnId, now: Now, hello: Hello, out: &mut Vec<LinkOut>) {
        // The opener makes one handshake at a time: an older one is given up.
        for conn in &mut self.conns {
            if conn.info.id != id && matches!(conn.phase, Phase::Shaking { .. }) {
                conn.phase = Phase::Foreign;
            }
        }
        let Some(conn) = self.conn_mut(id) else { return };
        conn.phase = Phase::Shaking { said: None, hello: None, until: now.mono + HELLO_TIMEOUT };
        if self.is_opener() {
            self.say_hello(id, hello, out);
            // A better one may have come while this one was being opened.
            self.open_best(now.mono, out);
        }
    }

    /// A frame arrived on the control stream of a connection. `hello` is ours,
    /// for the case that the peer's is to be answered.
    pub fn on_frame(
        &mut self,
        id: ConnId,
        frame: Frame,
        len: usize,
        now: Now,
        hello: Hello,
        out: &mut Vec<LinkOut>,
    ) {
        let Some(conn) = self.conn_mut(id) else { return };
        conn.bytes_rx += len as u64;
        match frame {
            Frame::Hello(theirs) => self.on_hello(id, *theirs, hello, now, out),
            Frame::Resume { session, next } => self.on_resume(id, Resume { session, next }, now, out),
            _ if !matches!(conn.phase, Phase::Up) => out.push(LinkOut::Stopped("frame before hello")),
            Frame::Ping { token } => self.write_frame(id, &Frame::Pong { token }, out),
            Frame::Pong { token } => self.on_pong(token, now.mono, out),
            Frame::Ack { session, next } => {
                if self.session.on_ack(session, next).is_err() {
                    self.refuse(id, CloseCode::Malformed, "bad acknowledgement", out);
                }
            }
            Frame::Message { session, seq, message } => {
                self.last_heard = now.mono;
                if self.session.on_number(session, seq, now.mono) {
                    out.push(LinkOut::Message(Box::new(message)));
                    self.acknowledge(now.mono, out);
                }
            }
            Frame::UnknownMessage { session, seq, .. } => {
                if self.session.on_number(session, seq, now.mono) {
                    out.push(LinkOut::Stopped("unknown message"));
                    self.acknowledge(now.mono, out);
                }
            }
            Frame::Unknown { .. } => out.push(LinkOut::Stopped("unknown frame")),
        }
    }

    /// The control stream of a connection failed or ended, or what came over it
    /// could not be read.
    pub fn on_control_lost(&mut self, id: ConnId, malformed: bool, out: &mut Vec<LinkOut>) {
        if malformed {
            self.refuse(id, CloseCode::Malformed, "malformed frame", out);
        } else if self.conn(id).is_some() {
            // Without its stream a connection is of no use to us.
            out.push(LinkOut::Close(id, CloseCode::Replaced));
        }
    }

    /// A connection is gone.
    pub fn on_conn_closed(&mut self, id: ConnId, reason: Reason, now: Now, out: &mut Vec<LinkOut>) {
        let Some(at) = self.conns.iter().position(|c| c.info.id == id) else { return };
        let conn = self.conns.remove(at);
        self.bytes_tx += conn.bytes_tx;
        self.bytes_rx += conn.bytes_rx;
        let reason = conn.refused.map_or(reason, |code| Reason::Closed { close: Some(code) });
        if self.active == Some(id) {
            self.active = None;
            self.broken_since = Some(now.mono);
            out.push(LinkOut::Down(reason));
        } else if self.conns.is_empty() {
            self.broken_since.get_or_insert(now.mono);
            out.push(match (conn.phase, conn.refused) {
                (Phase::Foreign, None) => LinkOut::Down(reason),
                _ => LinkOut::Refused(reason),
            });
        }
        self.open_best(now.mono, out);
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Now, out: &mut Vec<LinkOut>) {
        self.expire_handshakes(now.mono, out);
        let Some(active) = self.active else { return };
        match self.heartbeat.on_timeout(now.mono) {
            Some(Beat::Ping(token)) => self.write_frame(active, &Frame::Ping { token }, out),
            Some(Beat::Missed(token, missed)) => {
                out.push(LinkOut::Suspect(missed));
                self.write_frame(active, &Frame::Ping { token }, out);
            }
            Some(Beat::Dead(missed)) => {
                out.push(LinkOut::Close(active, CloseCode::Silent));
                self.on_conn_closed(active, Reason::HeartbeatsMissed { missed }, now, out);
                return;
            }
            None => {}
        }
        self.acknowledge(now.mono, out);
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Mono> {
        let handshakes = self.conns.iter().filter_map(|c| match c.phase {
            Phase::Waiting { until } => until,
            Phase::Opening { until } | Phase::Shaking { until, .. } => Some(until),
            Phase::Up | Phase::Foreign => None,
        });
        let running = self.active.map(|_| self.heartbeat.next_timeout());
        let ack = self.active.and(self.session.next_timeout());
        handshakes.chain(running).chain(ack).min()
    }

    /// The smaller id opens.
    fn is_opener(&self) -> bool {
        self.config.me < self.peer
    }

    fn conn(&self, id: ConnId) -> Option<&Conn> {
        self.conns.iter().find(|c| c.info.id == id)
    }

    fn conn_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.iter_mut().find(|c| c.info.id == id)
    }

    fn write(&mut self, id: ConnId, bytes: Vec<u8>, out: &mut Vec<LinkOut>) {
        if let Some(conn) = self.conn_mut(id) {
            conn.bytes_tx += bytes.len() as u64;
            out.push(LinkOut::Write(id, bytes));
        }
    }

    fn write_frame(&mut self, id: ConnId, frame: &Frame, out: &mut Vec<LinkOut>) {
        match frame.encode() {
            Ok(bytes) => self.write(id, bytes, out),
            Err(_) => out.push(LinkOut::Stopped("frame of ours too long")),
        }
    }

    /// Opens a control stream on the best connection that is better than the
    /// one in use. One handshake at a time, so that no two make a session.
    fn open_best(&mut self, now: Mono, out: &mut Vec<LinkOut>) {
        if !self.is_opener() {
            return;
        }
        // Direct before punched before relayed; among equals the newest, which
        // is the one the library would use.
        let Some(best) = (0..self.conns.len()).min_by_key(|&i| (self.conns[i].info.path, usize::MAX - i))
        else {
            return;
        };
        if !matches!(self.conns[best].phase, Phase::Waiting { .. }) {
            return;
        }
        let busy = |c: &Conn| matches!(c.phase, Phase::Opening { .. } | Phase::Shaking { .. });
        if let Some(busy) = self.conns.iter_mut().find(|c| busy(c)) {
            // When both dialled at once, the peer may know the newer connection
            // only. As long as it has not answered on the older one it is not
            // up there, and what it says there later is not heard any more.
            if !matches!(busy.phase, Phase::Shaking { said: None, .. }) {
                return;
            }
            busy.phase = Phase::Waiting { until: None };
        }
        let conn = &mut self.conns[best];
        conn.phase = Phase::Opening { until: now + HELLO_TIMEOUT };
        out.push(LinkOut::OpenControl(conn.info.id));
    }

    fn say_hello(&mut self, id: ConnId, mut hello: Hello, out: &mut Vec<LinkOut>) {
        let Some(conn) = self.conn(id) else { return };
        let info = &conn.info;
        hello.observed = info.remote;
        hello.channel = info.channel;
        hello.outbound = info.outbound;
        hello.path = (info.outbound || info.path != Path::Direct).then_some(info.path);
        hello.proof =
            self.config.secret.as_ref().map(|s| s.prove(&info.binding, &self.config.me, &self.peer));
        self.write_frame(id, &Frame::Hello(Box::new(hello)), out);
    }

    /// The peer's Hello. Only to one that is as it should be we say what we
    /// remember, so a link is never up for an end that the other refuses.
    fn on_hello(&mut self, id: ConnId, theirs: Hello, ours: Hello, now: Now, out: &mut Vec<LinkOut>) {
        if let Err((code, counter)) = self.check(id, &theirs) {
            self.refuse(id, code, counter, out);
            return;
        }
        let greeting = Greeting {
            name: Some(clean(&theirs.name)).filter(|n| !n.is_empty()),
            agent: clean(&theirs.agent),
            nat: theirs.nat,
            probe_ports: theirs.probe_ports,
            observed: crate::model::plain_addr(theirs.observed),
            clock_skew_ms: theirs.wall_ms.saturating_sub(now.wall.0),
        };
        let resume = self.session.resume();
        let Some(conn) = self.conn_mut(id) else { return };
        // The dialler knows how it got through; the label is the worse of both.
        conn.info.path = conn.info.path.max(theirs.path.unwrap_or(Path::Direct));
        let Phase::Shaking { said: said @ None, hello, .. } = &mut conn.phase else {
            out.push(LinkOut::Stopped("second hello"));
            return;
        };
        (*said, *hello) = (Some(resume), Some(greeting));
        if !self.is_opener() {
            self.say_hello(id, ours, out);
        }
        self.write_frame(id, &Frame::Resume { session: resume.session, next: resume.next }, out);
    }

    /// Whether a Hello is one of ours.
    fn check(&self, id: ConnId, theirs: &Hello) -> Result<(), (CloseCode, &'static str)> {
        let Some(conn) = self.conn(id) else { return Ok(()) };
        if theirs.network != self.config.network {
            return Err((CloseCode::Network, "another network"));
        }
        if theirs.version_with_us().is_none() {
            return Err((CloseCode::Version, "no common version"));
        }
        if theirs.channel != conn.info.channel {
            return Err((CloseCode::Malformed, "hello of another connection"));
        }
        if let Some(secret) = &self.config.secret {
            let holds = theirs
                .proof
                .is_some_and(|p| secret.holds(&p, &conn.info.binding, &self.peer, &self.config.me));
            if !holds {
                return Err((CloseCode::Network, "no proof of membership"));
            }
        }
        Ok(())
    }

    fn on_resume(&mut self, id: ConnId, heard: Resume, now: Now, out: &mut Vec<LinkOut>) {
        let Some(conn) = self.conn_mut(id) else { return };
        let Phase::Shaking { said: Some(said), hello, .. } = &mut conn.phase else {
            out.push(LinkOut::Stopped("resume before hello"));
            return;
        };
        let (said, Some(greeting)) = (*said, hello.take()) else {
            out.push(LinkOut::Stopped("resume before hello"));
            return;
        };
        conn.phase = Phase::Up;
        let (channel, to) = (conn.info.channel, conn.info.path);
        let Ok((joined, again)) = self.session.join(said, heard, &channel) else {
            self.refuse(id, CloseCode::Malformed, "bad resume", out);
            return;
        };
        self.greeting = Some(greeting);
        let before = self.active.replace(id).and_then(|old| self.conn(old)).map(|c| c.info.clone());
        self.heartbeat = self.heartbeat.renewed(now.mono);
        for frame in again {
            self.write(id, frame, out);
        }
        match before {
            Some(old) if old.id != id => {
                // The opener closes the old one: only it knows that both ends
                // have moved.
                if self.is_opener() {
                    out.push(LinkOut::Close(old.id, CloseCode::Replaced));
                }
                if joined == Joined::Resumed {
                    let gap = now.mono.since(self.last_heard);
                    out.push(LinkOut::Moved { from: old.path, to, gap });
                }
            }
            _ => self.since = now.mono,
        }
        let was_broken = self.broken_since.take();
        if joined == Joined::Fresh || was_broken.is_some() {
            out.push(LinkOut::Up { fresh: joined == Joined::Fresh });
        }
        self.last_heard = now.mono;
        self.open_best(now.mono, out);
    }

    fn on_pong(&mut self, token: u64, now: Mono, out: &mut Vec<LinkOut>) {
        if self.heartbeat.on_pong(token, now) > 0 && self.heartbeat.missed() == 0 {
            out.push(LinkOut::Restored { gap: now.since(self.last_heard) });
        }
        self.last_heard = now;
    }

    fn acknowledge(&mut self, now: Mono, out: &mut Vec<LinkOut>) {
        if let (Some(active), Some(ack)) = (self.active, self.session.take_ack(now)) {
            self.write_frame(active, &ack, out);
        }
    }

    fn refuse(&mut self, id: ConnId, code: CloseCode, counter: &'static str, out: &mut Vec<LinkOut>) {
        out.push(LinkOut::Stopped(counter));
        out.push(LinkOut::Close(id, code));
        if let Some(conn) = self.conn_mut(id) {
            conn.refused = Some(code);
            conn.phase = Phase::Foreign;
        }
    }

    fn expire_handshakes(&mut self, now: Mono, out: &mut Vec<LinkOut>) {
        let opener = self.is_opener();
        let had_foreign = self.is_foreign();
        let mut silent = Vec::new();
        for conn in &mut self.conns {
            match &conn.phase {
                Phase::Waiting { until: Some(until) } if *until <= now => {
                    // Beside a link that works, a connection may wait for ever.
                    conn.phase =
                        if self.active.is_some() { Phase::Waiting { until: None } } else { Phase::Foreign };
                }
                Phase::Opening { until } if *until <= now => conn.phase = Phase::Foreign,
                // Whom we asked and who does not answer speaks another
                // protocol; who opened a stream and is silent wastes our time.
                Phase::Shaking { until, .. } if *until <= now && opener => conn.phase = Phase::Foreign,
                Phase::Shaking { until, .. } if *until <= now => silent.push(conn.info.id),
                _ => {}
            }
        }
        for id in silent {
            self.refuse(id, CloseCode::Limit, "no hello in time", out);
        }
        if self.is_foreign() && !had_foreign {
            self.since = now;
            self.broken_since = None;
            out.push(LinkOut::Foreign);
        }
        self.open_best(now, out);
    }
}

#[cfg(test)]
mod tests;
