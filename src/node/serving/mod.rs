//! The relay service's data path: for each reservation that we serve a UDP socket,
//! and a task that carries datagrams between it and the holder's stream.
//!
//! Who is served, and what may pass, is decided by [`crate::core::serving`]; here
//! is no rule but that nothing waits without a bound. Like the table of connections
//! this belongs to the driver alone; its tasks report to it.

mod answer;
mod host;
mod pump;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::answer::read_request;
use self::pump::Pump;
use super::clock::Clock;
use super::connections::{Report, Reports};
use super::locks::lock;
use crate::core::engine::Input;
use crate::core::link::ConnId;
use crate::core::serving::{Ask, Gate, Ground, Refusal, ServeId, Traffic};
use crate::model::{DropReason, PeerId, ServedEnd, plain_addr};

/// Refusals on their way: a peer that takes none must not collect them here.
const REFUSALS_MAX: usize = 64;

/// What the holder reads.
pub(super) type Down = Box<dyn AsyncWrite + Send + Unpin>;
/// What the holder writes.
pub(super) type Up = Box<dyn AsyncRead + Send + Unpin>;

/// A request that waits for the engine.
struct Asked {
    /// The address of ours at which its connection arrives.
    local: Option<IpAddr>,
    down: Down,
    up: Up,
}

/// A reservation that is served. Dropped, it ends.
struct Served {
    gate: Arc<Mutex<Gate>>,
    _task: AbortOnDropHandle<()>,
}

/// All of them.
pub(super) struct Serving {
    bind: IpAddr,
    clock: Clock,
    reports: Reports,
    asked: BTreeMap<ServeId, Asked>,
    served: BTreeMap<ServeId, Served>,
    refusing: JoinSet<()>,
    next: u64,
}

impl Serving {
    /// Nobody yet. `bind`: where the node listens.
    pub(super) fn new(bind: IpAddr, clock: Clock, reports: Reports) -> Self {
        Self {
            bind,
            clock,
            reports,
            asked: BTreeMap::new(),
            served: BTreeMap::new(),
            refusing: JoinSet::new(),
            next: 1,
        }
    }

    /// A peer asks over one of its connections, which arrives at `local`; the
    /// engine decides. `bind`: whether it wants an address of ours.
    pub(super) fn asked(
        &mut self,
        (peer, conn): (PeerId, ConnId),
        bind: bool,
        local: Option<IpAddr>,
        (down, up): (Down, Up),
    ) -> Input {
        let id = ServeId(self.next);
        self.next += 1;
        self.asked.insert(id, Asked { local, down, up });
        Input::RelayAsked(Ask { id, peer, conn, bind })
    }

    /// Grants a request.
    pub(super) fn serve(&mut self, id: ServeId) -> Option<Input> {
        let asked = self.asked.remove(&id)?;
        let (socket, port) = match open(self.bind) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%error, "{}", DropReason::NoReservationSocket);
                self.answer(asked.down, Refusal::NoSocket);
                return Some(Input::RelayEnded {
                    id,
                    why: ServedEnd::SocketFailed,
                    traffic: Traffic::default(),
                });
            }
        };
        let public_addr = SocketAddr::new(public_ip(self.bind, asked.local), port);
        let ground = Ground::new(host::addresses(), self.bind);
        let gate = Arc::new(Mutex::new(Gate::new(ground, self.clock.now().mono)));
        let pump = Pump {
            socket,
            down: asked.down,
            up: asked.up,
            gate: Arc::clone(&gate),
            clock: self.clock.clone(),
        };
        let (reports, counted) = (self.reports.clone(), Arc::clone(&gate));
        let task = tokio::spawn(async move {
            let why = pump.run(public_addr).await;
            let traffic = lock(&counted).traffic();
            let _ = reports.send(Report::Input(Input::RelayEnded { id, why, traffic })).await;
        });
        self.served.insert(id, Served { gate, _task: AbortOnDropHandle::new(task) });
        Some(Input::RelayStarted { id, public_addr })
    }

    /// Refuses a request.
    pub(super) fn refuse(&mut self, id: ServeId, why: Refusal) {
        if let Some(asked) = self.asked.remove(&id) {
            self.answer(asked.down, why);
        }
    }

    fn answer(&mut self, down: Down, why: Refusal) {
        while self.refusing.try_join_next().is_some() {}
        // Beyond that the stream ends without a word.
        if self.refusing.len() < REFUSALS_MAX {
            self.refusing.spawn(answer::refuse(down, why));
        }
    }

    /// Ends a reservation.
    pub(super) fn end(&mut self, id: ServeId, why: ServedEnd) -> Input {
        let served = self.served.remove(&id);
        let traffic = served.map_or_else(Traffic::default, |served| lock(&served.gate).traffic());
        Input::RelayEnded { id, why, traffic }
    }

    /// A reservation ended by itself.
    pub(super) fn ended(&mut self, id: ServeId) {
        self.served.remove(&id);
    }

    /// What went through each.
    pub(super) fn traffic(&self) -> Vec<(ServeId, Traffic)> {
        self.served.iter().map(|(id, served)| (*id, lock(&served.gate).traffic())).collect()
    }
}

/// A socket beside that of the node: on the wildcard of both families it takes
/// both, too.
fn open(bind: IpAddr) -> io::Result<(UdpSocket, u16)> {
    let socket = std::net::UdpSocket::bind((bind, 0))?;
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    Ok((UdpSocket::from_std(socket)?, port))
}

/// Where the holder is told to be. Of a wildcard only the connection knows; a
/// holder that is told nothing takes the address at which it sees us.
fn public_ip(bind: IpAddr, local: Option<IpAddr>) -> IpAddr {
    match local.filter(|_| bind.is_unspecified()) {
        Some(local) => plain_addr((local, 0).into()).ip(),
        None => bind,
    }
}
