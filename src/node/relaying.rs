//! Our reservations, and dials through relays, as the engine asks for them.
//!
//! Like the table of connections it belongs to the driver alone; its tasks
//! report to it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ant_quic::HighLevelConnection;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::connections::{Report, Reports};
use super::lanes::{Lane, LaneDialer, LaneEnd, LaneError, Reservation, WarmLane};
use super::transport::Tls;
use crate::core::engine::{Input, ReservationBytes};
use crate::core::ladder::DialId;
use crate::model::{CloseCode, PeerId, Reason, plain_addr};

/// A relay answers in a round trip, or is busy.
const RESERVE_WITHIN: Duration = Duration::from_secs(3);
/// How long our own dial through a new reservation may take: two
/// retransmissions of its first packet.
const CHECK_WITHIN: Duration = Duration::from_secs(4);
/// How long the nonce may take to come back.
const USE_WITHIN: Duration = Duration::from_secs(5);
/// Lanes that came in and wait for the driver.
const LANE_BACKLOG: usize = 16;

/// A reservation that stands.
struct Held {
    /// Tells it from an earlier one on the same relay.
    number: u64,
    reservation: Reservation,
    /// End with it.
    _watcher: AbortOnDropHandle<()>,
    check: Option<AbortOnDropHandle<()>>,
}

/// All of them.
pub(super) struct ReservationTable {
    tls: Tls,
    dialer: Arc<LaneDialer>,
    reports: Reports,
    lanes: mpsc::Sender<Lane>,
    _forwarder: AbortOnDropHandle<()>,
    opening: BTreeMap<PeerId, AbortOnDropHandle<()>>,
    held: BTreeMap<PeerId, Held>,
    /// Dialled, and not used yet.
    warm: BTreeMap<DialId, WarmLane>,
    next: u64,
}

impl ReservationTable {
    /// None yet. `bind`: where the node listens.
    pub(super) fn new(tls: Tls, bind: IpAddr, reports: Reports) -> Self {
        let dialer = Arc::new(LaneDialer::new(bind, tls.clone()));
        let (lanes, came) = mpsc::channel(LANE_BACKLOG);
        let forwarder = spawn(forward(came, reports.clone()));
        Self {
            tls,
            dialer,
            reports,
            lanes,
            _forwarder: forwarder,
            opening: BTreeMap::new(),
            held: BTreeMap::new(),
            warm: BTreeMap::new(),
            next: 1,
        }
    }

    /// Begins to reserve over a connection to the relay, if there is one. An
    /// answer at once is for the engine.
    pub(super) fn reserve(&mut self, relay: PeerId, over: Option<&HighLevelConnection>) -> Option<Input> {
        if let Some(held) = self.held.get(&relay) {
            return Some(Input::Reserved { relay, public_addr: held.reservation.public_addr() });
        }
        if self.opening.contains_key(&relay) {
            return None;
        }
        let Some(connection) = over.cloned() else {
            return Some(Input::ReserveFailed { relay, reason: Reason::NotLinked });
        };
        let (tls, lanes, reports) = (self.tls.clone(), self.lanes.clone(), self.reports.clone());
        let task = spawn(async move {
            let at = plain_addr(connection.remote_address()).ip();
            let reserved = Reservation::open(relay, &connection, &tls, lanes, RESERVE_WITHIN).await;
            // It is not held on to: it closes when its link lets go of it.
            drop(connection);
            let result = reserved.map(|reservation| (reservation, at)).map_err(Reason::from);
            let _ = reports.send(Report::Reserved { relay, result }).await;
        });
        self.opening.insert(relay, task);
        None
    }

    /// The relay answered; it is the host `at`.
    pub(super) fn reserved(
        &mut self,
        relay: PeerId,
        result: Result<(Reservation, IpAddr), Reason>,
    ) -> Option<Input> {
        let wanted = self.opening.remove(&relay).is_some();
        let (reservation, at) = match result {
            Ok(found) => found,
            Err(reason) => return wanted.then_some(Input::ReserveFailed { relay, reason }),
        };
        if !wanted {
            let_go(reservation);
            return None;
        }
        let number = self.next;
        self.next += 1;
        let public_addr = reservation.public_addr();
        let (mut ended, reports) = (reservation.ended(), self.reports.clone());
        let watcher = spawn(async move {
            let end = ended.wait_for(Option::is_some).await.ok().and_then(|e| *e);
            let report = Report::ReservationEnded { number, end: end.unwrap_or(LaneEnd::Broken) };
            let _ = reports.send(report).await;
        });
        // A relay beside us in a private network need not be reachable from
        // here at its public address, though it is for all others.
        let check = (public_addr.ip() == at)
            .then(|| spawn(check(number, public_addr, self.dialer.clone(), self.reports.clone())));
        self.held.insert(relay, Held { number, reservation, _watcher: watcher, check });
        Some(Input::Reserved { relay, public_addr })
    }

    /// Finds out once more whether a reservation carries anything.
    pub(super) fn try_again(&mut self, relay: PeerId) {
        if let Some(held) = self.held.get_mut(&relay) {
            let addr = held.reservation.public_addr();
            held.check = Some(spawn(check(held.number, addr, self.dialer.clone(), self.reports.clone())));
        }
    }

    /// A reservation ended by itself.
    pub(super) fn ended(&mut self, number: u64, end: LaneEnd) -> Option<Input> {
        let reason = match end {
            LaneEnd::Garbled => Reason::Handshake { detail: "the relay sent what cannot be read".into() },
            LaneEnd::Released | LaneEnd::Finished | LaneEnd::Broken => Reason::RelayLost,
        };
        self.lose(number, reason)
    }

    /// Our own dial did not come through a reservation.
    pub(super) fn mute(&mut self, number: u64) -> Option<Input> {
        self.lose(number, Reason::NothingCameBack)
    }

    fn lose(&mut self, number: u64, reason: Reason) -> Option<Input> {
        let relay = *self.held.iter().find(|(_, h)| h.number == number)?.0;
        self.let_go_of(relay);
        Some(Input::ReservationLost { relay, reason })
    }

    /// Gives a reservation back, or one that is being made up.
    pub(super) fn release(&mut self, relay: PeerId) {
        self.opening.remove(&relay);
        self.let_go_of(relay);
    }

    fn let_go_of(&mut self, relay: PeerId) {
        if let Some(held) = self.held.remove(&relay) {
            let_go(held.reservation);
        }
    }

    /// Dials a peer's address on a relay.
    pub(super) fn dial(
        &self,
        dial: DialId,
        peer: PeerId,
        via: Option<PeerId>,
        addr: SocketAddr,
        within: Duration,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (dialer, reports) = (self.dialer.clone(), self.reports.clone());
        async move {
            let lane = match dialer.dial(plain_addr(addr)) {
                Ok(connecting) => {
                    let _ = reports.send(Report::Input(Input::DialSent { dial })).await;
                    dialer.answered(connecting, peer, via, within).await
                }
                Err(error) => Err(error),
            };
            let report = match lane {
                Ok(lane) => Report::LaneWarm { dial, lane },
                Err(error) => Report::Input(Input::DialFailed { dial, reason: error.into() }),
            };
            let _ = reports.send(report).await;
        }
    }

    /// Keeps what was dialled until it is wanted.
    pub(super) fn keep_warm(&mut self, dial: DialId, lane: WarmLane) {
        self.warm.insert(dial, lane);
    }

    /// Uses what was dialled; nothing if it is gone.
    pub(super) fn take_into_use(
        &mut self,
        dial: DialId,
    ) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        let (warm, reports) = (self.warm.remove(&dial)?, self.reports.clone());
        Some(async move {
            let report = match warm.take_into_use(USE_WITHIN).await {
                Ok(lane) => Report::LaneUsed { dial, lane },
                Err(error) => Report::Input(Input::DialFailed { dial, reason: error.into() }),
            };
            let _ = reports.send(report).await;
        })
    }

    /// Closes what was dialled and is not wanted any more.
    pub(super) fn forget(&mut self, dial: DialId) {
        self.warm.remove(&dial);
    }

    /// What went through each reservation.
    pub(super) fn bytes(&self) -> Vec<ReservationBytes> {
        let bytes = self.held.iter().map(|(relay, held)| {
            let counts = held.reservation.counts();
            ReservationBytes {
                relay: *relay,
                bytes_tx: counts.bytes_tx,
                bytes_rx: counts.bytes_rx,
                dropped: counts.dropped_tx + counts.dropped_rx,
                unasked: counts.unasked,
            }
        });
        bytes.collect()
    }

    /// Our address on a relay.
    #[cfg(test)]
    pub(super) fn public_addr(&self, relay: PeerId) -> Option<SocketAddr> {
        Some(self.held.get(&relay)?.reservation.public_addr())
    }

    /// Dials a peer's address on a relay and uses what stands then.
    #[cfg(test)]
    pub(super) fn lane(
        &self,
        dial: DialId,
        peer: PeerId,
        via: PeerId,
        addr: SocketAddr,
        within: Duration,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (dialer, reports) = (self.dialer.clone(), self.reports.clone());
        async move {
            let report = match dialer.lane(peer, Some(via), addr, within).await {
                Ok(lane) => Report::LaneUsed { dial, lane },
                Err(error) => Report::Input(Input::DialFailed { dial, reason: error.into() }),
            };
            let _ = reports.send(report).await;
        }
    }

    /// Gives everything back, all at once, and gives up the sockets.
    pub(super) async fn shut_down(self) {
        drop(self.opening);
        drop(self.warm);
        self.dialer.close(CloseCode::Leave);
        join_all(self.held.into_values().map(|held| held.reservation.release(CloseCode::Leave))).await;
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// Closes what is left of a reservation, apart: nobody waits for it.
fn let_go(reservation: Reservation) {
    tokio::spawn(reservation.release(CloseCode::Replaced));
}

async fn forward(mut came: mpsc::Receiver<Lane>, reports: Reports) {
    while let Some(lane) = came.recv().await {
        if reports.send(Report::Lane(lane)).await.is_err() {
            return;
        }
    }
}

async fn check(number: u64, addr: SocketAddr, dialer: Arc<LaneDialer>, reports: Reports) {
    match dialer.check(addr, CHECK_WITHIN).await {
        // What fails here says nothing of the relay.
        Ok(()) | Err(LaneError::Local(_)) => {}
        Err(_) => drop(reports.send(Report::ReservationMute { number }).await),
    }
}
