//! What goes into the engine and what comes out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::config::Settings;
use crate::core::guessing::{GuessAction, GuessInput};
use crate::core::host::Ways;
use crate::core::ladder::DialId;
use crate::core::link::{ConnId, ConnInfo};
use crate::core::nat::datagram::Bytes;
use crate::core::nat::{Family, Reply, SocketId, reach};
use crate::core::pathtest::{self, RunId};
use crate::core::serving::{Ask, Refusal, ServeId, Traffic};
use crate::core::why::Heard;
use crate::core::wire::Frame;
use crate::model::{
    CloseCode, Command, CommandId, Event, Fact, Outcome, PeerId, Reason, SendTrouble, ServedEnd,
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
        /// The peer at its other end: authenticated by its TLS session.
        peer: PeerId,
        /// The connection.
        info: ConnInfo,
    },
    /// The other end of a connection is seen at another address: its NAT maps
    /// it anew.
    ConnRemote {
        /// The peer at its other end.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
        /// Where it is seen now, plain.
        remote: SocketAddr,
    },
    /// A connection is gone.
    ConnClosed {
        /// The peer at its other end.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
        /// The reason.
        reason: Reason,
    },
    /// The control stream of a connection stands, opened by us or by the peer.
    ControlUp {
        /// The peer at its other end.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
    },
    /// The control stream of a connection ended, could not be opened, or carried what
    /// cannot be read.
    ControlLost {
        /// The peer at its other end.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
        /// Whether a frame could not be read.
        malformed: bool,
    },
    /// A frame came over a control stream.
    Frame {
        /// The peer that sent it.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
        /// The frame.
        frame: Box<Frame>,
        /// Its length on the wire, in bytes.
        len: usize,
    },
    /// A dial was handed to a socket.
    DialSent {
        /// The dial's name.
        dial: DialId,
    },
    /// A dial or punch made a connection; its `ConnUp` came before. A lane has
    /// none until it is used.
    Dialled {
        /// The dial's name.
        dial: DialId,
        /// The peer that answered.
        peer: PeerId,
    },
    /// A dial or punch made no connection.
    DialFailed {
        /// The dial's name.
        dial: DialId,
        /// The reason.
        reason: Reason,
    },
    /// A relay gave us an address.
    Reserved {
        /// The relay.
        relay: PeerId,
        /// Where others reach us through it.
        public_addr: SocketAddr,
    },
    /// A relay gave us none.
    ReserveFailed {
        /// The relay.
        relay: PeerId,
        /// The reason.
        reason: Reason,
    },
    /// A reservation is gone, and not because it was released. Its lanes are
    /// gone with it.
    ReservationLost {
        /// The relay.
        relay: PeerId,
        /// The reason.
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
        /// The reservation's name.
        id: ServeId,
        /// The address that its holder was told.
        public_addr: SocketAddr,
    },
    /// A reservation that we served is gone: by itself, or as the answer to
    /// [`Action::EndRelay`].
    RelayEnded {
        /// The reservation's name.
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
        /// The command.
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
        /// The socket's name.
        socket: SocketId,
        /// The local address it uses, or what the system said.
        result: Result<SocketAddr, String>,
    },
    /// A datagram of the NAT probe came in. Whatever had another length or
    /// beginning was dropped before.
    ProbeDatagram {
        /// The end at which it came in.
        at: ProbeEnd,
        /// From whom, plain.
        from: SocketAddr,
        /// The datagram.
        bytes: Box<Bytes>,
    },
    /// Datagrams were dropped where they came in.
    ProbeDropped {
        /// The limit or rule that stopped them.
        what: &'static str,
        /// How many.
        count: u64,
    },
    /// The answer to [`Action::Reach`].
    Reached {
        /// The peer that we dialled.
        peer: PeerId,
        /// The address that we dialled.
        addr: SocketAddr,
        /// Whether it answered.
        reached: bool,
    },
    /// Where a dial of ours hears nothing, a short datagram was answered.
    Sounded {
        /// The address that answered.
        addr: SocketAddr,
    },
    /// The answer to [`Action::Knock`].
    Knocked {
        /// The question's number.
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
    /// The node runs; told every few seconds.
    Beat {
        /// How long its host was suspended so far, as the clocks say.
        asleep: Duration,
    },
    /// The system did not send what we handed it.
    SendsRefused {
        /// The system's reason.
        why: SendTrouble,
        /// Datagrams since this was last told.
        count: u64,
    },
    /// What came of the sockets of a guessed punch.
    Guess(GuessInput),
    /// A datagram came on a connection on which a path is tested.
    TestDatagram {
        /// The connection.
        conn: ConnId,
        /// The datagram.
        bytes: pathtest::Bytes,
        /// The largest datagram that the connection has found to pass from here.
        mtu: u16,
    },
    /// Load of a test was read.
    TestRead {
        /// The run's name.
        run: RunId,
        /// Bytes since it began.
        total: u64,
    },
    /// Something worth counting was stopped outside.
    Stopped(&'static str),
    /// A background task died.
    TaskFaulted {
        /// The task's name.
        task: String,
        /// What it said.
        detail: String,
    },
}

/// What went through a reservation since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservationBytes {
    /// The relay that gave the reservation.
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
    /// The connection.
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
        /// The peer at the connection's other end.
        peer: PeerId,
        /// The connection.
        conn: ConnId,
    },
    /// Write to a control stream.
    Write {
        /// The connection.
        conn: ConnId,
        /// Whole frames.
        bytes: Vec<u8>,
    },
    /// Let the other end of a connection send ahead, and open, what a link takes.
    /// Until then it may no more than say who it is.
    Widen {
        /// The connection.
        conn: ConnId,
    },
    /// Close a connection with an application code and no text.
    Close {
        /// The connection.
        conn: ConnId,
        /// The application code.
        code: CloseCode,
    },
    /// Dial an address directly, without punch or relay.
    Dial {
        /// The dial's name, for the answer.
        dial: DialId,
        /// The address to dial.
        addr: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Reserve an address on a relay to which a connection stands that is no
    /// lane. [`Input::Reserved`] or [`Input::ReserveFailed`] answers, within
    /// seconds; where a reservation stands already, at once with its address.
    Reserve {
        /// The relay.
        relay: PeerId,
    },
    /// Give a reservation back; its lanes are closed as replaced. Nothing
    /// answers.
    Release {
        /// The relay that gave it.
        relay: PeerId,
    },
    /// Grant a request for a reservation: bind a socket, tell the peer its address,
    /// carry datagrams. [`Input::RelayStarted`] or [`Input::RelayEnded`] answers.
    ServeRelay {
        /// The name of the peer's request.
        id: ServeId,
    },
    /// Refuse a request for a reservation, with the status that belongs to it.
    RefuseRelay {
        /// The name of the peer's request.
        id: ServeId,
        /// The reason.
        why: Refusal,
    },
    /// End a reservation that we serve; [`Input::RelayEnded`] answers at once.
    EndRelay {
        /// The reservation's name.
        id: ServeId,
        /// The reason.
        why: ServedEnd,
    },
    /// Dial ourselves through a reservation: if nothing comes back it is lost.
    TryReservation {
        /// The relay that gave it.
        relay: PeerId,
    },
    /// Dial a peer's address on a relay, without using it yet:
    /// [`Input::Dialled`] says that it could be. Whoever else answers is closed.
    DialLane {
        /// The dial's name, for the answer.
        dial: DialId,
        /// The peer behind the reservation.
        peer: PeerId,
        /// Whose address it is, if we know.
        relay: Option<PeerId>,
        /// The address of the reservation.
        addr: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Use what such a dial made: a connection with path `relayed` comes up, or
    /// [`Input::DialFailed`].
    UseLane {
        /// The name of the dial that made the lane.
        dial: DialId,
    },
    /// Forget a dial; what it made and was not used is closed.
    Cancel {
        /// The dial's name.
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
        /// The socket's name.
        socket: SocketId,
    },
    /// Send a datagram.
    ProbeSend {
        /// The end that sends it.
        from: ProbeEnd,
        /// Its destination.
        to: SocketAddr,
        /// The datagram.
        bytes: Bytes,
    },
    /// Dial an address from a fresh socket with a
    /// [`reach::packet`]; [`Input::Reached`] answers.
    Reach {
        /// The peer whose claim is tested.
        peer: PeerId,
        /// The address to dial.
        addr: SocketAddr,
        /// Names the dial.
        name: reach::Name,
    },
    /// Try by UDP and TCP whether anything is there; [`Input::Knocked`] answers,
    /// within a second.
    Knock {
        /// The question's number, for the answer.
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
        /// The run's name.
        run: RunId,
        /// The connection.
        conn: ConnId,
        /// Whether this end opens the stream.
        opens: bool,
    },
    /// Send a datagram.
    Datagram {
        /// The run's name.
        run: RunId,
        /// The datagram.
        bytes: pathtest::Bytes,
    },
    /// Write so much more load.
    Load {
        /// The run's name.
        run: RunId,
        /// Bytes.
        bytes: u64,
    },
    /// Write no more load, and drop what is not sent yet.
    Quieten {
        /// The run's name.
        run: RunId,
    },
    /// The run is over.
    End {
        /// The run's name.
        run: RunId,
    },
}
