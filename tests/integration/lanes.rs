//! Relay lanes: reservations on real nodes and on stock ones, and what goes
//! through them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use ant_quic::HighLevelConnection;
use libtest_mimic::Trial;
use punchdeck::model::{CloseCode, PeerId};
use punchdeck::node::keys;
use punchdeck::node::lanes::{Lane, LaneDialer, LaneEnd, LaneError, LaneTls, Reservation, ReserveError};
use tokio::sync::mpsc;

use super::scripted::Stranger;
use super::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_mebibyte_crosses_a_relay_intact_and_is_counted", one_mebibyte),
        trial("a_stock_relay_on_a_wildcard_address_works", stock_wildcard_relay),
    ]
}

const PATIENCE: Duration = Duration::from_secs(10);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Somebody with a key, who reserves and dials.
struct End {
    id: PeerId,
    tls: LaneTls,
    dialer: LaneDialer,
    lanes: mpsc::Sender<Lane>,
    incoming: mpsc::Receiver<Lane>,
}

impl End {
    fn new() -> Self {
        let keys = keys::generate().unwrap();
        let tls = LaneTls::new(&keys).unwrap();
        let (lanes, incoming) = mpsc::channel(8);
        let dialer = LaneDialer::new(LOCALHOST, tls.clone());
        Self { id: keys::peer_id(&keys.public).unwrap(), tls, dialer, lanes, incoming }
    }

    async fn reserve(&self, relay: PeerId, over: &HighLevelConnection) -> Result<Reservation, ReserveError> {
        Reservation::open(relay, over, &self.tls, self.lanes.clone(), PATIENCE).await
    }

    async fn incoming(&mut self) -> Lane {
        tokio::time::timeout(PATIENCE, self.incoming.recv()).await.expect("nobody came").unwrap()
    }
}

/// A relay, and a stock node that is connected to it and reserves there.
struct Relay {
    node: TestNode,
    client: Stranger,
    connection: HighLevelConnection,
}

impl Relay {
    async fn start() -> Self {
        let node = TestNode::start("relay", &[]).await;
        let client = Stranger::start().await;
        let connection = client.dial(&node).await;
        Self { node, client, connection }
    }

    fn id(&self) -> PeerId {
        self.node.id()
    }
}

async fn one_mebibyte() {
    let relay = Relay::start().await;
    let (mut far, near) = (End::new(), End::new());
    let at = Instant::now();
    let reservation = far.reserve(relay.id(), &relay.connection).await.unwrap();
    println!("reserved in {:?}", at.elapsed());
    let at = Instant::now();
    let lane = near.dialer.dial(far.id, Some(relay.id()), reservation.public_addr(), PATIENCE).await.unwrap();
    println!("dialled in {:?}", at.elapsed());
    let came = far.incoming().await;
    assert_eq!((lane.peer, lane.via), (far.id, Some(relay.id())));
    assert_eq!((came.peer, came.via), (near.id, Some(relay.id())));
    let before = reservation.counts();
    assert!(before.bytes_tx > 0 && before.bytes_rx > 0);

    let sent: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_be_bytes).collect();
    let at = Instant::now();
    let received = carry(&lane, &came, sent.clone()).await;
    println!("1 MiB in {:?}", at.elapsed());
    assert!(received == sent);
    let after = reservation.counts();
    assert!(after.bytes_rx - before.bytes_rx > 1 << 20, "{before:?} {after:?}");
    let at = Instant::now();
    assert!(carry(&came, &lane, sent.clone()).await == sent, "and back");
    println!("1 MiB back in {:?} {:?}", at.elapsed(), reservation.counts());
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
        let relay = Stranger::on(SocketAddr::new(bind, 0)).await;
        let client = Stranger::start().await;
        let port = relay.node.local_addr().unwrap().port();
        let connection = client.dial_at(SocketAddr::new(LOCALHOST, port), relay.id()).await;
        let (mut far, near) = (End::new(), End::new());
        let reservation = far.reserve(relay.id(), &connection).await.unwrap();
        assert_eq!(reservation.public_addr().ip(), LOCALHOST, "bound to {bind}");
        let lane = near.dialer.dial(far.id, None, reservation.public_addr(), PATIENCE).await.unwrap();
        let came = far.incoming().await;
        assert_eq!(came.connection.remote_address().ip(), LOCALHOST, "plain");
        assert!(carry(&came, &lane, b"hello".to_vec()).await == b"hello");
    }
}
