//! The logical link to one peer, over one or more connections.
//!
//! The end with the smaller peer id opens the control stream, and so alone
//! decides which connection carries the link: two ends that decide alone cannot
//! disagree. Both say Hello and what they remember of their session; then
//! messages flow, numbered and acknowledged, and survive the connection.
//!
//! Under a link over a relay a second lane stands by, warm: the same handshake,
//! the same session, and nothing on it until the one in use is in doubt
//! (`lanes.rs`).

mod closed;
mod doubt;
mod handshake;
mod heartbeat;
mod lanes;
mod membership;
mod pace;
mod session;
mod types;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use heartbeat::{DEAD_AFTER, FAST_HEARTBEAT};
pub use membership::{Claim, NetworkSecret};
pub use session::NotSent;
pub use types::{ConnId, ConnInfo, Greeting, LinkConfig, LinkOut, LinkStatus};

use self::doubt::{Doubt, Move};
use self::heartbeat::{Heartbeat, Pace};
use self::session::{Resume, Session};
use crate::core::bucket::Bucket;
use crate::core::limits::{CONNECTIONS_PER_PEER_MAX, HELLO_TIMEOUT, MOVES_BURST, MOVES_PER_MINUTE};
use crate::core::wire::{Frame, Hello, Message};
use crate::core::{Mono, Now};
use crate::model::{CloseCode, DropReason, Path, PeerId, Reason};

/// How long a session is remembered without a connection: long enough for
/// every stage of a ladder, short enough that a restarted peer is not confused.
pub const SESSION_MEMORY: Duration = Duration::from_secs(60);
/// How long a lane is kept beside the better path to which its link moved.
pub const SPARE_KEPT: Duration = Duration::from_secs(30);

/// What was kept comes at once when a session goes on.
const LATE_FOR: Duration = Duration::from_secs(1);

const REPLACED: Reason = Reason::Closed { close: Some(CloseCode::Replaced) };

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

/// What the other end of a connection showed in a closed fleet.
#[derive(Debug, Clone, Copy, Default)]
struct Proof {
    nonce: Option<[u8; 32]>,
    holds: bool,
}

#[derive(Debug)]
struct Conn {
    info: ConnInfo,
    phase: Phase,
    /// How far the other end has proved itself on its control stream.
    proof: Proof,
    /// Why we closed it, if we did.
    refused: Option<CloseCode>,
    /// That its other end speaks no version of ours, and which.
    mismatch: Option<Reason>,
    /// Its liveness, once it is up.
    beat: Heartbeat,
    /// The first number that was not written to it.
    next: u64,
    /// Whether numbers came over it since it was last told what came.
    owes_ack: bool,
    bytes_tx: u64,
    bytes_rx: u64,
}

/// The link to one peer.
#[derive(Debug)]
pub struct Link {
    peer: PeerId,
    config: Arc<LinkConfig>,
    session: Session,
    conns: Vec<Conn>,
    active: Option<ConnId>,
    /// Whether the peer has shown that it has this session, too. Until then it may say
    /// on another connection that it has none.
    agreed: bool,
    /// What carried the link until the opener moved it, while our end is about
    /// to follow: its close may overtake what was said on the new connection.
    following: Option<ConnInfo>,
    /// A lane beside a better path, and until when it is kept for the case that
    /// this one fails. The opener keeps count.
    spare: Option<(ConnId, Mono)>,
    /// Whether the peer is a relay of ours: then its end is noticed soon.
    fast_heartbeat: bool,
    /// Links of this node, which say how often each may be pinged.
    links: usize,
    /// The version that both ends speak.
    version: u16,
    /// The opener's last decision which connection carries, counted.
    turn: u64,
    /// How often the peer may have us move yet.
    moves: Bucket,
    /// The connection in use does not answer in time.
    doubt: Option<Doubt>,
    /// A move to another connection is under way.
    moving: Option<Move>,
    /// That the peer doubts says nothing until then: it may be of before.
    calm_until: Mono,
    /// Since when the connection in use carries.
    carried_since: Mono,
    /// When the peer last acknowledged anything new.
    progress: Mono,
    /// The round trip of the connection that was in use last.
    rtt_before: Option<(f64, Mono)>,
    greeting: Option<Greeting>,
    since: Mono,
    last_heard: Mono,
    broken_since: Option<Mono>,
    /// What comes now may have been said so much earlier, until then: it was kept while
    /// there was no connection.
    late: Option<(Duration, Mono)>,
    /// Why we closed everything, if we did: what a connection says of its end
    /// does not tell who wanted it.
    closing: Option<Reason>,
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
            agreed: false,
            following: None,
            spare: None,
            fast_heartbeat: false,
            links: 0,
            version: 0,
            turn: 0,
            moves: Bucket::new(MOVES_BURST, MOVES_PER_MINUTE / 60.0, now),
            doubt: None,
            moving: None,
            calm_until: now,
            carried_since: now,
            progress: now,
            rtt_before: None,
            greeting: None,
            since: now,
            last_heard: now,
            broken_since: Some(now),
            late: None,
            closing: None,
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
        self.active.is_none() && self.foreign().is_some()
    }

    /// A connection to a peer that is silent, and not because we refused it.
    fn foreign(&self) -> Option<&Conn> {
        self.conns.iter().find(|c| matches!(c.phase, Phase::Foreign) && c.refused.is_none())
    }

    /// The connection in use.
    pub fn in_use(&self) -> Option<&ConnInfo> {
        Some(&self.conn(self.active?)?.info)
    }

    /// Every connection that stands.
    pub fn conns(&self) -> impl Iterator<Item = &ConnInfo> {
        self.conns.iter().map(|c| &c.info)
    }

    /// Whether there is nothing left to remember.
    pub fn is_forgotten(&self, now: Mono) -> bool {
        self.conns.is_empty() && self.broken_since.is_none_or(|at| now.since(at) >= SESSION_MEMORY)
    }

    /// Whether it has neither a connection nor a session to come back to.
    pub fn is_blank(&self) -> bool {
        self.conns.is_empty() && !self.session.is_joined()
    }

    /// What the peer said of itself.
    pub fn greeting(&self) -> Option<&Greeting> {
        self.greeting.as_ref()
    }

    /// The smoothed round trip in milliseconds, and when it was last measured; also
    /// of a link that is down.
    pub fn rtt(&self) -> Option<(f64, Mono)> {
        match self.active.and_then(|id| self.conn(id)) {
            Some(conn) => conn.beat.rtt(),
            None => self.rtt_before,
        }
    }

    /// When anything of it was last heard.
    pub fn last_heard(&self) -> Mono {
        self.last_heard
    }

    /// How much earlier what comes now may have been said.
    pub fn late(&self, now: Mono) -> Duration {
        self.late.filter(|(_, until)| now < *until).map_or(Duration::ZERO, |(by, _)| by)
    }

    /// What is shown of it; `None` without a connection.
    pub fn status(&self) -> Option<LinkStatus> {
        let conn = match self.active {
            Some(id) => self.conn(id)?,
            None => self.foreign()?,
        };
        Some(LinkStatus {
            info: conn.info.clone(),
            since: self.since,
            rtt_ms: conn.beat.rtt_ms().filter(|_| self.active.is_some()),
            missed: conn.beat.missed(),
            bytes_tx: self.bytes_tx + self.conns.iter().map(|c| c.bytes_tx).sum::<u64>(),
            bytes_rx: self.bytes_rx + self.conns.iter().map(|c| c.bytes_rx).sum::<u64>(),
            foreign: self.active.is_none(),
        })
    }

    /// Bytes that the peer has not acknowledged.
    pub fn kept_bytes(&self) -> usize {
        self.session.kept_bytes()
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
    pub fn send(&mut self, message: &Message, now: Mono, out: &mut Vec<LinkOut>) -> Result<(), NotSent> {
        self.session.push(message, now)?;
        self.pump_all(out);
        Ok(())
    }

    /// Closes every connection and forgets the session. `why`: what the end of
    /// the link is told to be.
    pub fn close(&mut self, code: CloseCode, why: Reason, out: &mut Vec<LinkOut>) {
        self.closing = Some(why);
        out.extend(self.conns.iter().map(|c| LinkOut::Close(c.info.id, code)));
        self.session = Session::default();
    }

    /// A connection came up.
    pub fn on_conn(&mut self, info: ConnInfo, now: Now, out: &mut Vec<LinkOut>) {
        self.closing = None;
        let until = (!self.is_opener()).then(|| now.mono + HELLO_TIMEOUT);
        self.conns.push(Conn {
            info,
            phase: Phase::Waiting { until },
            proof: Proof::default(),
            refused: None,
            mismatch: None,
            beat: Heartbeat::new(Pace::Standby, None, now.mono),
            next: 0,
            owes_ack: false,
            bytes_tx: 0,
            bytes_rx: 0,
        });
        self.make_way(out);
        self.open_best(now.mono, out);
    }

    /// Of too many connections the oldest goes that is of no use.
    fn make_way(&mut self, out: &mut Vec<LinkOut>) {
        let stand = self.conns.iter().filter(|c| c.refused.is_none());
        if stand.clone().count() <= CONNECTIONS_PER_PEER_MAX {
            return;
        }
        let moving_to = self.moving.as_ref().map(|m| m.to);
        let used = [self.active, self.standby_id(), moving_to, self.spare.map(|(id, _)| id)];
        let oldest = stand.map(|c| c.info.id).find(|id| !used.contains(&Some(*id)));
        if let Some(id) = oldest {
            self.refuse(id, CloseCode::Limit, DropReason::ConnectionsOfPeer, out);
        }
    }

    /// The control stream stands: ours was opened, or theirs was accepted.
    pub fn on_control(&mut self, id: ConnId, now: Now, hello: &dyn Fn() -> Hello, out: &mut Vec<LinkOut>) {
        let Some(conn) = self.conn_mut(id) else { return };
        conn.phase = Phase::Shaking { said: None, hello: None, until: now.mono + HELLO_TIMEOUT };
        conn.proof = Proof::default();
        if self.is_opener() {
            self.say_first(id, hello, out);
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
        hello: &dyn Fn() -> Hello,
        out: &mut Vec<LinkOut>,
    ) {
        let Some(conn) = self.conn_mut(id) else { return };
        conn.bytes_rx += len as u64;
        // Before anything is known to have been heard now.
        let heard_before = self.last_heard;
        if matches!(self.conn(id), Some(Conn { phase: Phase::Up, .. })) {
            self.hear(id, now.mono, out);
            // Before it has the session it says none of this.
            if !self.agreed && !matches!(frame, Frame::Hello(_) | Frame::Resume { .. }) {
                self.agreed = true;
                self.open_best(now.mono, out);
            }
        }
        let Some(conn) = self.conn(id) else { return };
        match frame {
            Frame::Nonce { nonce } => self.on_nonce(id, nonce, out),
            Frame::Proof { proof } => self.on_proof(id, proof, hello, out),
            Frame::Hello(theirs) => self.on_hello(id, *theirs, hello, now, out),
            Frame::Resume { session, next } => self.on_resume(id, Resume { session, next }, now, out),
            _ if !matches!(conn.phase, Phase::Up) => out.push(LinkOut::Stopped(DropReason::FrameBeforeHello)),
            Frame::Ping { token } => self.write_frame(id, &Frame::Pong { token }, out),
            Frame::Pong { token } => self.on_pong(id, token, now.mono),
            Frame::Ack { session, next } => match self.session.on_ack(session, next) {
                Ok(new) if new => self.progress = now.mono,
                Ok(_) => {}
                Err(_) => self.refuse(id, CloseCode::Malformed, DropReason::BadAcknowledgement, out),
            },
            Frame::Carry { turn } => self.on_carry(id, turn, now.mono, out),
            Frame::Message { session, seq, message } => {
                if self.on_number(id, (session, seq), heard_before, now.mono, out) {
                    out.push(LinkOut::Message(Box::new(message)));
                }
                self.acknowledge(now.mono, out);
            }
            Frame::UnknownMessage { session, seq, .. } => {
                if self.on_number(id, (session, seq), heard_before, now.mono, out) {
                    out.push(LinkOut::Stopped(DropReason::UnknownMessage));
                }
                self.acknowledge(now.mono, out);
            }
            Frame::Unknown { .. } => out.push(LinkOut::Stopped(DropReason::UnknownFrame)),
        }
    }

    /// The control stream of a connection failed or ended, or what came over it
    /// could not be read.
    pub fn on_control_lost(&mut self, id: ConnId, malformed: bool, out: &mut Vec<LinkOut>) {
        // A lane that is kept beside a better path gets a new stream when it is
        // wanted again.
        let kept = self.conn(id).is_none_or(|c| {
            c.info.path == Path::Relayed
                && self.active != Some(id)
                && matches!(c.phase, Phase::Waiting { .. })
        });
        if malformed {
            self.refuse(id, CloseCode::Malformed, DropReason::MalformedFrame, out);
        } else if !kept {
            // Without its stream a connection is of no use to us.
            out.push(LinkOut::Close(id, CloseCode::Replaced));
        }
    }

    /// The other end of a connection is seen elsewhere; whether it is the one in
    /// use. What is seen of a lane is its relay.
    pub fn on_remote(&mut self, id: ConnId, remote: SocketAddr) -> bool {
        let moved = self.conn_mut(id).filter(|c| c.info.path.is_straight());
        if let Some(conn) = moved {
            conn.info.remote = remote;
            return self.active == Some(id);
        }
        false
    }

    /// The peer sees us elsewhere.
    pub fn on_observed(&mut self, addr: SocketAddr) {
        if let Some(greeting) = &mut self.greeting {
            greeting.observed = addr;
        }
    }

    /// A connection is gone.
    pub fn on_conn_closed(&mut self, id: ConnId, reason: Reason, now: Now, out: &mut Vec<LinkOut>) {
        let Some(at) = self.conns.iter().position(|c| c.info.id == id) else { return };
        let conn = self.conns.remove(at);
        self.bytes_tx += conn.bytes_tx;
        self.bytes_rx += conn.bytes_rx;
        self.spare = self.spare.filter(|(spare, _)| *spare != id);
        self.forget_lane(id);
        let refused = |code| Reason::Closed { close: Some(code) };
        let reason = conn.mismatch.clone().or(conn.refused.map(refused)).unwrap_or(reason);
        let reason = self.closing.clone().unwrap_or(reason);
        if self.active == Some(id) {
            self.active = None;
            self.rtt_before = conn.beat.rtt();
            if reason == REPLACED && self.is_shaking() {
                self.following = Some(conn.info);
            } else if !self.promote(&conn, now.mono, out) {
                self.go_down(reason, now.mono, out);
            }
        } else if self.following.is_some() {
            self.stop_following(now.mono, out);
        } else if matches!(conn.phase, Phase::Up) && self.active.is_some() {
            out.push(LinkOut::StandbyLost);
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
        self.expire_spare(now.mono, out);
        let up: Vec<ConnId> = self.up().map(|c| c.info.id).collect();
        for id in up {
            self.beat(id, now, out);
        }
        self.weigh(now.mono, out);
        self.acknowledge(now.mono, out);
    }

    fn go_down(&mut self, reason: Reason, now: Mono, out: &mut Vec<LinkOut>) {
        (self.doubt, self.moving) = (None, None);
        self.broken_since = Some(now);
        out.push(LinkOut::Down(reason));
    }

    /// The connection to which the link was to move came to nothing.
    fn stop_following(&mut self, now: Mono, out: &mut Vec<LinkOut>) {
        if !self.is_shaking() && self.following.take().is_some() {
            self.go_down(REPLACED, now, out);
        }
    }

    /// Whether a handshake is under way.
    fn is_shaking(&self) -> bool {
        self.conns.iter().any(|c| matches!(c.phase, Phase::Shaking { .. }))
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Mono> {
        let handshakes = self.conns.iter().filter_map(|c| match c.phase {
            Phase::Waiting { until } => until,
            Phase::Opening { until } | Phase::Shaking { until, .. } => Some(until),
            Phase::Up | Phase::Foreign => None,
        });
        let beats = self.up().map(|c| c.beat.next_timeout());
        let ack = self.active.and(self.session.next_timeout());
        let spare = self.spare.map(|(_, until)| until);
        handshakes.chain(beats).chain(ack).chain(spare).chain(self.next_weighing()).min()
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
            Err(_) => out.push(LinkOut::Stopped(DropReason::OwnFrameTooLong)),
        }
    }

    /// Tells the peer what came, on every connection over which it came; while one
    /// is in doubt on all of them.
    fn acknowledge(&mut self, now: Mono, out: &mut Vec<LinkOut>) {
        if self.active.is_none() {
            return;
        }
        if self.doubt.is_some() {
            self.session.hurry_ack(now);
        }
        let Some(ack) = self.session.take_ack(now) else { return };
        let all = self.doubt.is_some();
        let mut to: Vec<ConnId> = self.up().filter(|c| c.owes_ack || all).map(|c| c.info.id).collect();
        if to.is_empty() {
            // What it came over is gone.
            to.extend(self.active);
        }
        for id in to {
            self.write_frame(id, &ack, out);
            if let Some(conn) = self.conn_mut(id) {
                conn.owes_ack = false;
            }
        }
    }
}

#[cfg(test)]
mod tests;
