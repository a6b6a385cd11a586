//! Relay lanes: reservations on real nodes and on stock ones, and what goes
//! through them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use ant_quic::{ConnectionError, HighLevelConnection};
use libtest_mimic::Trial;
use punchdeck::model::{CloseCode, PeerId};
use punchdeck::node::lanes::{Lane, LaneDialer, LaneEnd, LaneError, Reservation, ReserveError};
use punchdeck::node::{Tls, keys};
use tokio::sync::mpsc;

use super::hostile::peer::{Bad, Stock, Stranger};
use super::support::{ignored, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_mebibyte_crosses_a_relay_intact_and_is_counted", one_mebibyte),
        trial("a_stock_relay_on_a_wildcard_address_works", stock_wildcard_relay),
        if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            trial("lanes_run_over_ipv6_too", ipv6)
        } else {
            ignored("lanes_run_over_ipv6_too", "no IPv6 here")
        },
        trial("a_second_reservation_on_a_relay_is_taken_until_the_first_is_released", taken_and_released),
        trial("a_relay_that_vanishes_takes_its_reservation_with_it", relay_vanishes),
        trial("a_relay_that_leaves_ends_its_reservation_at_once", relay_leaves),
        trial("two_reservations_stand_side_by_side", two_relays),
    ]
}

const PATIENCE: Duration = Duration::from_secs(10);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Somebody with a key, who reserves and dials.
pub struct End {
    pub id: PeerId,
    pub tls: Tls,
    pub dialer: LaneDialer,
    pub lanes: mpsc::Sender<Lane>,
    pub incoming: mpsc::Receiver<Lane>,
}

impl End {
    pub fn new() -> Self {
        Self::on(LOCALHOST)
    }

    fn on(bind: IpAddr) -> Self {
        let keys = keys::generate().unwrap();
        let tls = Tls::new(&keys).unwrap();
        let (lanes, incoming) = mpsc::channel(8);
        let dialer = LaneDialer::new(bind, tls.clone());
        Self { id: keys::peer_id(&keys.public).unwrap(), tls, dialer, lanes, incoming }
    }

    pub async fn reserve(
        &self,
        relay: PeerId,
        over: &HighLevelConnection,
    ) -> Result<Reservation, ReserveError> {
        Reservation::open(relay, over, &self.tls, self.lanes.clone(), PATIENCE).await
    }

    pub async fn incoming(&mut self) -> Lane {
        tokio::time::timeout(PATIENCE, self.incoming.recv()).await.expect("nobody came").unwrap()
    }
}

/// A stock node as the relay, and somebody who is connected to it and reserves
/// there.
pub struct Relay {
    node: Stock,
    /// Kept, because its connection ends with it.
    _client: Stranger,
    pub connection: HighLevelConnection,
}

impl Relay {
    pub async fn start() -> Self {
        let (node, client) = (Stock::start().await, Stranger::start().await);
        let connection = client.dial_at(node.node.local_addr().unwrap(), node.id()).await;
        Self { node, _client: client, connection }
    }

    pub fn id(&self) -> PeerId {
        self.node.id()
    }
}

async fn one_mebibyte() {
    let relay = Relay::start().await;
    let (mut far, near) = (End::new(), End::new());
    let reservation = far.reserve(relay.id(), &relay.connection).await.unwrap();
    let lane = near.dialer.lane(far.id, Some(relay.id()), reservation.public_addr(), PATIENCE).await.unwrap();
    let came = far.incoming().await;
    assert_eq!((lane.peer, lane.via), (far.id, Some(relay.id())));
    assert_eq!((came.peer, came.via), (near.id, Some(relay.id())));
    let before = reservation.counts();
    assert!(before.bytes_tx > 0 && before.bytes_rx > 0);

    let sent: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_be_bytes).collect();
    let received = carry(&lane, &came, sent.clone()).await;
    assert!(received == sent);
    let after = reservation.counts();
    assert!(after.bytes_rx - before.bytes_rx > 1 << 20, "{before:?} {after:?}");
    assert!(carry(&came, &lane, sent.clone()).await == sent, "and back");
}

/// Sends bytes over a stream of a lane and yields what arrived.
async fn carry(from: &Lane, to: &Lane, bytes: Vec<u8>) -> Vec<u8> {
    let (mut send, _recv) = from.connection.open_bi().await.unwrap();
    let sending = async move {
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        send.stopped().await
    };
    let receiving = async {
        let (_send, mut recv) = to.connection.accept_bi().await.unwrap();
        recv.read_to_end(1 << 24).await.unwrap()
    };
    tokio::join!(receiving, sending).0
}

async fn stock_wildcard_relay() {
    for bind in [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)] {
        let relay = Stock::on(SocketAddr::new(bind, 0)).await;
        let client = Stranger::start().await;
        let port = relay.node.local_addr().unwrap().port();
        let connection = client.dial_at(SocketAddr::new(LOCALHOST, port), relay.id()).await;
        let (mut far, near) = (End::new(), End::new());
        let reservation = far.reserve(relay.id(), &connection).await.unwrap();
        assert_eq!(reservation.public_addr().ip(), LOCALHOST, "bound to {bind}");
        let lane = near.dialer.lane(far.id, None, reservation.public_addr(), PATIENCE).await.unwrap();
        let came = far.incoming().await;
        assert_eq!(came.connection.remote_address().ip(), LOCALHOST, "plain");
        assert!(carry(&came, &lane, b"hello".to_vec()).await == b"hello");
    }
}

async fn ipv6() {
    let local = IpAddr::V6(Ipv6Addr::LOCALHOST);
    for bind in [local, IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
        let relay = Stock::on(SocketAddr::new(bind, 0)).await;
        let client = Bad::peer().on(SocketAddr::new(local, 0)).stranger();
        let port = relay.node.local_addr().unwrap().port();
        let connection = client.dial_at(SocketAddr::new(local, port), relay.id()).await;
        let (mut far, near) = (End::on(local), End::on(local));
        let reservation = far.reserve(relay.id(), &connection).await.unwrap();
        assert_eq!(reservation.public_addr().ip(), local, "bound to {bind}");
        let lane = near.dialer.lane(far.id, None, reservation.public_addr(), PATIENCE).await.unwrap();
        let came = far.incoming().await;
        assert!(carry(&came, &lane, b"hello".to_vec()).await == b"hello");
    }
    // A node that listens in one family dials in that family only.
    let near = End::on(local);
    let found = near.dialer.lane(near.id, None, "127.0.0.1:4000".parse().unwrap(), PATIENCE).await;
    assert!(matches!(found, Err(LaneError::Local(_))), "{found:?}");
}

async fn taken_and_released() {
    let relay = Relay::start().await;
    let (mut far, near) = (End::new(), End::new());
    let reservation = far.reserve(relay.id(), &relay.connection).await.unwrap();
    assert_eq!(far.reserve(relay.id(), &relay.connection).await.unwrap_err(), ReserveError::Taken);
    let lane = near.dialer.lane(far.id, None, reservation.public_addr(), PATIENCE).await.unwrap();
    let _came = far.incoming().await;
    let mut ended = reservation.ended();
    assert_eq!(*ended.borrow_and_update(), None, "the refused one does not harm it");

    let at = Instant::now();
    reservation.release(CloseCode::Replaced).await;
    assert!(at.elapsed() < Duration::from_millis(300), "{:?}", at.elapsed());
    assert_eq!(*ended.borrow(), Some(LaneEnd::Released));
    let code = match tokio::time::timeout(PATIENCE, lane.connection.closed()).await.unwrap() {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("{other:?}"),
    };
    assert_eq!(CloseCode::from_code(code), Some(CloseCode::Replaced), "its lanes hear goodbye");
    far.reserve(relay.id(), &relay.connection).await.unwrap();
}

async fn relay_vanishes() {
    // A relay on a runtime of its own, which can end without a word.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let node = runtime.spawn(Stock::start()).await.unwrap();
    let client = Stranger::start().await;
    let connection = client.dial_at(node.node.local_addr().unwrap(), node.id()).await;
    let (mut far, near) = (End::new(), End::new());
    let reservation = far.reserve(node.id(), &connection).await.unwrap();
    let lane = near.dialer.lane(far.id, None, reservation.public_addr(), PATIENCE).await.unwrap();
    let came = far.incoming().await;
    runtime.shutdown_background();
    let closed = tokio::time::timeout(Duration::from_millis(300), lane.connection.closed()).await;
    assert!(closed.is_err(), "no close frame came");
    assert_eq!(*reservation.ended().borrow(), None);

    // What heartbeats on the relay's own link find out takes effect at once.
    connection.close(CloseCode::Silent.code().into(), b"");
    let at = Instant::now();
    let mut ended = reservation.ended();
    let end = tokio::time::timeout(PATIENCE, ended.wait_for(Option::is_some)).await.unwrap();
    assert_eq!(*end.unwrap(), Some(LaneEnd::Broken));
    tokio::time::timeout(PATIENCE, came.connection.closed()).await.unwrap();
    assert!(at.elapsed() < Duration::from_millis(200), "{:?}", at.elapsed());
    // And nobody takes the relay's address in its place.
    drop(node);
    tokio::time::sleep(Duration::from_millis(300)).await;
    UdpSocket::bind(reservation.public_addr()).unwrap();
}

async fn relay_leaves() {
    let relay = Relay::start().await;
    let far = End::new();
    let reservation = far.reserve(relay.node.id(), &relay.connection).await.unwrap();
    let mut ended = reservation.ended();
    let at = Instant::now();
    let (end, ()) = tokio::join!(
        tokio::time::timeout(PATIENCE, ended.wait_for(Option::is_some)),
        relay.node.node.clone().shutdown()
    );
    assert!(end.unwrap().unwrap().is_some());
    assert!(at.elapsed() < Duration::from_secs(3), "{:?}", at.elapsed());
}

async fn two_relays() {
    let (one, two) = (Relay::start().await, Relay::start().await);
    let (mut far, near) = (End::new(), End::new());
    let active = far.reserve(one.id(), &one.connection).await.unwrap();
    let standby = far.reserve(two.id(), &two.connection).await.unwrap();
    for (relay, reservation) in [(&one, &active), (&two, &standby)] {
        let lane =
            near.dialer.lane(far.id, Some(relay.id()), reservation.public_addr(), PATIENCE).await.unwrap();
        let came = far.incoming().await;
        assert_eq!(came.via, Some(relay.id()));
        assert!(carry(&came, &lane, b"either way".to_vec()).await == b"either way");
    }
    // One that goes leaves the other as it is.
    active.release(CloseCode::Replaced).await;
    let lane = near.dialer.lane(far.id, None, standby.public_addr(), PATIENCE).await.unwrap();
    let came = far.incoming().await;
    assert!(carry(&lane, &came, b"still".to_vec()).await == b"still");
}
