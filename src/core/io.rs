//! What goes into the engine and what comes out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::engine::Settings;
use crate::core::guessing::{GuessAction, GuessInput};
use crate::core::host::Ways;
use crate::core::ladder::DialId;
use crate::core::link::{ConnId, ConnInfo};
use crate::core::nat::datagram::Bytes;
use crate::core::nat::{Family, Reply, SocketId, reach};
use crate::core::pathtest::{self, RunId};
use crate::core::serving::{Ask, Refusal, ServeId, Traffic};
use crate::core::wire::Frame;
use crate::model::{
    CloseCode, Command, CommandId, DropReason, Event, Fact, Heard, Outcome, PeerId, Reason, SendTrouble,
    ServedEnd,
};

/// An end of the NAT probe's datagrams here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeEnd {
    /// A port at which we answer others: 0 or 1.
    Port(usize),
    /// A socket with which we measure ourselves.
    Socket(SocketId),
}

/// Something that happened outside.
#[derive(Debug)]
pub enum Input {
    /// A connection to a peer stands.
    ConnUp {
        /// To whom: authenticated by its TLS session.
        peer: PeerId,
        /// The rest.
        info: ConnInfo,
    },
    /// The other end of a connection is seen at another address: its NAT maps
    /// it anew.
    ConnRemote {
        /// Whose.
        peer: PeerId,
        /// Which.
        conn: ConnId,
        /// Where it is seen now, plain.
        remote: SocketAddr,
    },
    /// A connection is gone.
    ConnClosed {
        /// Whose.
        peer: PeerId,
        /// Which.
        conn: ConnId,
        /// Why.
        reason: Reason,
    },
    /// The control stream of a connection stands, opened by us or by the peer.
    ControlUp {
        /// Whose.
        peer: PeerId,
        /// Of which connection.
        conn: ConnId,
    },
    /// It ended, could not be opened, or carried what cannot be read.
    ControlLost {
        /// Whose.
        peer: PeerId,
        /// Of which connection.
        conn: ConnId,
        /// Whether a frame could not be read.
        malformed: bool,
    },
    /// A frame came over it.
    Frame {
        /// Whose.
        peer: PeerId,
        /// Over which connection.
        conn: ConnId,
        /// What.
        frame: Box<Frame>,
        /// Its length on the wire, in bytes.
        len: usize,
    },
    /// A dial was handed to a socket.
    DialSent {
        /// Which dial.
        dial: DialId,
    },
    /// A dial or punch made a connection; its `ConnUp` came before. A lane has
    /// none until it is used.
    Dialled {
        /// Which dial.
        dial: DialId,
        /// Who answered.
        peer: PeerId,
    },
    /// A dial or punch did not.
    DialFailed {
        /// Which dial.
        dial: DialId,
        /// Why not.
        reason: Reason,
    },
    /// A relay gave us an address.
    Reserved {
        /// Which relay.
        relay: PeerId,
        /// Where others reach us through it.
        public_addr: SocketAddr,
    },
    /// It did not.
    ReserveFailed {
        /// Which relay.
        relay: PeerId,
        /// Why not.
        reason: Reason,
    },
    /// A reservation is gone, and not because it was released. Its lanes are
    /// gone with it.
    ReservationLost {
        /// On which relay.
        relay: PeerId,
        /// Why.
        reason: Reason,
    },
    /// What went through reservations and lanes since each began. Comes with
    /// every snapshot as long as there are any.
    LaneBytes {
        /// By reservation.
        reservations: Vec<ReservationBytes>,
        /// By lane, whether it came in through a reservation or was dialled.
        lanes: Vec<ConnBytes>,
    },
    /// A peer asks us for a reservation; [`Action::ServeRelay`] or
    /// [`Action::RefuseRelay`] answers, within a second.
    RelayAsked(Ask),
    /// The answer to [`Action::ServeRelay`].
    RelayStarted {
        /// Which.
        id: ServeId,
        /// The address that its holder was told.
        public_addr: SocketAddr,
    },
    /// A reservation that we served is gone: by itself, or as the answer to
    /// [`Action::EndRelay`].
    RelayEnded {
        /// Which.
        id: ServeId,
        /// Why, where it ended by itself.
        why: ServedEnd,
        /// What went through it.
        traffic: Traffic,
    },
    /// What went through each reservation that we serve since it began. Comes with
    /// every snapshot as long as there are any.
    RelayTraffic(Vec<(ServeId, Traffic)>),
    /// Somebody asks for something.
    Command {
        /// For the outcome.
        id: CommandId,
        /// What.
        command: Command,
    },
    /// The operator changed settings.
    Settings(Settings),
    /// A save ended.
    Saved {
        /// What the system said, if it failed.
        result: Result<(), String>,
    },
    /// The answer to [`Action::ProbeOpen`].
    ProbeSocket {
        /// Which.
        socket: SocketId,
        /// The local address it uses, or what the system said.
        result: Result<SocketAddr, String>,
    },
    /// A datagram of the NAT probe came in. Whatever had another length or
    /// beginning was dropped before.
    ProbeDatagram {
        /// Where.
        at: ProbeEnd,
        /// From whom, plain.
        from: SocketAddr,
        /// What.
        bytes: Box<Bytes>,
    },
    /// Datagrams were dropped where they came in.
    ProbeDropped {
        /// Why.
        what: DropReason,
        /// How many.
        count: u64,
    },
    /// The answer to [`Action::Reach`].
    Reached {
        /// Whom we dialled.
        peer: PeerId,
        /// Where.
        addr: SocketAddr,
        /// Whether it answered.
        reached: bool,
    },
    /// Where a dial of ours hears nothing, a short datagram was answered.
    Sounded {
        /// Where.
        addr: SocketAddr,
    },
    /// The answer to [`Action::Knock`].
    Knocked {
        /// Which.
        query: u32,
        /// Each address, what came of UDP, and what of TCP.
        results: Vec<(SocketAddr, Heard)>,
    },
    /// The host sends from other addresses than before.
    HostAddresses {
        /// From which it would send to others, one per family that leads
        /// somewhere.
        own: Vec<IpAddr>,
    },
    /// Where the host lets us send is another than before.
    Ways(Ways),
    /// The system did not send what we handed it.
    SendsRefused {
        /// Why.
        why: SendTrouble,
        /// Datagrams since this was last told.
        count: u64,
    },
    /// What came of the sockets of a guessed punch.
    Guess(GuessInput),
    /// A datagram came on a connection on which a path is tested.
    TestDatagram {
        /// On which.
        conn: ConnId,
        /// What.
        bytes: pathtest::Bytes,
        /// The largest datagram that the connection has found to pass from here.
        mtu: u16,
    },
    /// Load of a test was read.
    TestRead {
        /// Of which run.
        run: RunId,
        /// Bytes since it began.
        total: u64,
    },
    /// Something worth counting was stopped outside.
    Stopped(DropReason),
    /// A background task died.
    TaskFaulted {
        /// Which.
        task: String,
        /// What it said.
        detail: String,
    },
}

/// What went through a reservation since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservationBytes {
    /// On which relay.
    pub relay: PeerId,
    /// Bytes sent, as datagrams.
    pub bytes_tx: u64,
    /// Bytes received, as datagrams.
    pub bytes_rx: u64,
    /// Datagrams dropped because a queue was full, both ways.
    pub dropped: u64,
    /// Datagrams not sent because nothing ever came from where they should go:
    /// a peer on a lane tried to aim us at somebody.
    pub unasked: u64,
}

/// What went over a connection since it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnBytes {
    /// Which.
    pub conn: ConnId,
    /// Bytes sent.
    pub bytes_tx: u64,
    /// Bytes received.
    pub bytes_rx: u64,
}

/// Something to be done outside.
#[derive(Debug)]
pub enum Action {
    /// Open a control stream.
    OpenControl {
        /// To whom.
        peer: PeerId,
        /// On which connection.
        conn: ConnId,
    },
    /// Write to a control stream.
    Write {
        /// Of which connection.
        conn: ConnId,
        /// Whole frames.
        bytes: Vec<u8>,
    },
    /// Let the other end of a connection send ahead, and open, what a link takes.
    /// Until then it may no more than say who it is.
    Widen {
        /// Which.
        conn: ConnId,
    },
    /// Close a connection with an application code and no text.
    Close {
        /// Which.
        conn: ConnId,
        /// The code.
        code: CloseCode,
    },
    /// Dial an address directly, without punch or relay.
    Dial {
        /// For the answer.
        dial: DialId,
        /// Where.
        addr: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Reserve an address on a relay to which a connection stands that is no
    /// lane. [`Input::Reserved`] or [`Input::ReserveFailed`] answers, within
    /// seconds; where a reservation stands already, at once with its address.
    Reserve {
        /// Which.
        relay: PeerId,
    },
    /// Give a reservation back; its lanes are closed as replaced. Nothing
    /// answers.
    Release {
        /// On which relay.
        relay: PeerId,
    },
    /// Grant a request for a reservation: bind a socket, tell the peer its address,
    /// carry datagrams. [`Input::RelayStarted`] or [`Input::RelayEnded`] answers.
    ServeRelay {
        /// Which.
        id: ServeId,
    },
    /// Refuse a request for a reservation, with the status that belongs to it.
    RefuseRelay {
        /// Which.
        id: ServeId,
        /// Why.
        why: Refusal,
    },
    /// End a reservation that we serve; [`Input::RelayEnded`] answers at once.
    EndRelay {
        /// Which.
        id: ServeId,
        /// Why.
        why: ServedEnd,
    },
    /// Dial ourselves through a reservation: if nothing comes back it is lost.
    TryReservation {
        /// On which relay.
        relay: PeerId,
    },
    /// Dial a peer's address on a relay, without using it yet:
    /// [`Input::Dialled`] says that it could be. Whoever else answers is closed.
    DialLane {
        /// For the answer.
        dial: DialId,
        /// Whom.
        peer: PeerId,
        /// Whose address it is, if we know.
        relay: Option<PeerId>,
        /// Where.
        addr: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Use what such a dial made: a connection with path `relayed` comes up, or
    /// [`Input::DialFailed`].
    UseLane {
        /// Which dial.
        dial: DialId,
    },
    /// Forget a dial; what it made and was not used is closed.
    Cancel {
        /// Which.
        dial: DialId,
    },
    /// Bind a fresh UDP socket for a measurement; [`Input::ProbeSocket`] answers.
    ProbeOpen {
        /// Its name from now on.
        socket: SocketId,
        /// Its family.
        family: Family,
        /// Whom it will talk to: tells the local address where the bind does
        /// not.
        towards: SocketAddr,
    },
    /// Drop such a socket.
    ProbeClose {
        /// Which.
        socket: SocketId,
    },
    /// Send a datagram.
    ProbeSend {
        /// From where.
        from: ProbeEnd,
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Bytes,
    },
    /// Dial an address from a fresh socket with a
    /// [`reach::packet`]; [`Input::Reached`] answers.
    Reach {
        /// Whom.
        peer: PeerId,
        /// Where.
        addr: SocketAddr,
        /// Names the dial.
        name: reach::Name,
    },
    /// Try by UDP and TCP whether anything is there; [`Input::Knocked`] answers,
    /// within a second.
    Knock {
        /// For the answer.
        query: u32,
        /// Where; few.
        addrs: Vec<SocketAddr>,
    },
    /// What a guessed punch wants of its sockets.
    Guess(GuessAction),
    /// What a test of a path wants of its connection.
    Test(TestAction),
    /// Write what changed to disk; [`Input::Saved`] answers.
    Save,
    /// Tell everybody.
    Event(Event),
    /// Tell the registry, if there is one.
    Report(Fact),
    /// The end of a command.
    Outcome(Outcome),
    /// Goodbye was said: stop.
    Stop,
}

impl Action {
    /// What our responder sends.
    pub(crate) fn reflect(reply: Reply) -> Self {
        Self::ProbeSend { from: ProbeEnd::Port(reply.port), to: reply.to, bytes: reply.bytes }
    }
}

/// What a test of a path wants of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestAction {
    /// A run begins: hand the connection's datagrams on, and open a stream for load or
    /// take the one that the other end opens.
    Begin {
        /// Which run.
        run: RunId,
        /// On which connection.
        conn: ConnId,
        /// Whether this end opens the stream.
        opens: bool,
    },
    /// Send a datagram.
    Datagram {
        /// Of which run.
        run: RunId,
        /// What.
        bytes: pathtest::Bytes,
    },
    /// Write so much more load.
    Load {
        /// Of which run.
        run: RunId,
        /// Bytes.
        bytes: u64,
    },
    /// Write no more load, and drop what is not sent yet.
    Quieten {
        /// Of which run.
        run: RunId,
    },
    /// The run is over.
    End {
        /// Which.
        run: RunId,
    },
}
