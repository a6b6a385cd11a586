//! The client's own end, over QUIC on loopback: a reservation of ours, and a lane
//! through it.

use std::net::SocketAddr;

use ant_quic::high_level::default_runtime;
use ant_quic::{Endpoint, EndpointConfig, HighLevelConnection};

use super::*;
use crate::model::Reason;
use crate::node::lanes::{LaneDialer, Reservation};
use crate::node::{Tls, keys};

/// A listening endpoint, as a node has one.
fn endpoint(tls: &Tls) -> (Endpoint, SocketAddr) {
    let socket = std::net::UdpSocket::bind((LOCALHOST, 0)).unwrap();
    let (config, server) = (EndpointConfig::default(), Some(tls.server_config()));
    let endpoint = Endpoint::new(config, server, socket, default_runtime().unwrap()).unwrap();
    let addr = endpoint.local_addr().unwrap();
    (endpoint, addr)
}

fn tls() -> Tls {
    Tls::new(&keys::generate().unwrap()).unwrap()
}

/// Both ends of a connection between a client and a relay.
struct Pair {
    client: HighLevelConnection,
    relay: HighLevelConnection,
    tls: Tls,
    _endpoints: [Endpoint; 2],
}

async fn pair() -> Pair {
    let (ours, theirs) = (tls(), tls());
    let ((relay, at), (client, _)) = (endpoint(&ours), endpoint(&theirs));
    let dialling = client.connect_with(theirs.client_config(), at, "peer").unwrap();
    let accepting = async { relay.accept().await.unwrap().accept().unwrap().await.unwrap() };
    let (dialled, accepted) = tokio::join!(dialling, accepting);
    Pair { client: dialled.unwrap(), relay: accepted, tls: theirs, _endpoints: [relay, client] }
}

/// What the accept loop of a node does with such a stream.
async fn asked(serving: &mut Serving, connection: &HighLevelConnection) -> ServeId {
    let (send, mut recv) = connection.accept_bi().await.unwrap();
    let mut len = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut recv, &mut len).await.unwrap();
    let bind = read_request(len, &mut recv).await.unwrap();
    let input = serving.asked(WHO, bind, connection.local_ip(), (Box::new(send), Box::new(recv)));
    let Input::RelayAsked(ask) = input else { panic!("{input:?}") };
    ask.id
}

#[tokio::test]
async fn a_lane_goes_through_a_reservation_and_dies_with_it() {
    let (reports, _inbox) = mpsc::channel(16);
    let mut serving = Serving::new(LOCALHOST, Clock::start(), reports);
    let pair = pair().await;
    let (lanes, _came) = mpsc::channel(4);
    let opening = Reservation::open(WHO.0, &pair.client, &pair.tls, lanes, SOON);
    let serve = async {
        let id = asked(&mut serving, &pair.relay).await;
        assert!(matches!(serving.serve(id), Some(Input::RelayStarted { .. })));
        id
    };
    let (reservation, id) = tokio::join!(opening, serve);
    let reservation = reservation.unwrap();
    // A handshake, and a nonce there and back.
    let dialer = LaneDialer::new(LOCALHOST, pair.tls.clone());
    dialer.check(reservation.public_addr(), SOON).await.unwrap();
    let traffic = serving.traffic()[0].1;
    assert!(traffic.bytes_tx > 2_000 && traffic.bytes_rx > 2_000, "{traffic:?}");
    assert_eq!(traffic.drops.total(), 0, "{traffic:?}");

    let mut ended = reservation.ended();
    serving.end(id, ServedEnd::ByOperator);
    timeout(SOON, ended.wait_for(Option::is_some)).await.expect("the holder hears of it").unwrap();
    assert!(dialer.check(reservation.public_addr(), QUIET).await.is_err());
}

#[tokio::test]
async fn a_client_that_is_refused_hears_the_status() {
    let (reports, _inbox) = mpsc::channel(16);
    let mut serving = Serving::new(LOCALHOST, Clock::start(), reports);
    let pair = pair().await;
    let (lanes, _came) = mpsc::channel(4);
    let opening = Reservation::open(WHO.0, &pair.client, &pair.tls, lanes, SOON);
    let refuse = async {
        let id = asked(&mut serving, &pair.relay).await;
        serving.refuse(id, Refusal::NotLinked);
    };
    let (refused, ()) = tokio::join!(opening, refuse);
    let reason = Reason::from(refused.err().unwrap());
    assert_eq!(reason, Reason::RelayRefused { status: 403 });
}

#[tokio::test]
async fn a_connection_that_closes_takes_the_reservation_with_it() {
    let (reports, mut inbox) = mpsc::channel(16);
    let mut serving = Serving::new(LOCALHOST, Clock::start(), reports);
    let pair = pair().await;
    let (lanes, _came) = mpsc::channel(4);
    let opening = Reservation::open(WHO.0, &pair.client, &pair.tls, lanes, SOON);
    let serve = async {
        let id = asked(&mut serving, &pair.relay).await;
        serving.serve(id);
    };
    let (reservation, ()) = tokio::join!(opening, serve);
    let _reservation = reservation.unwrap();
    pair.relay.close(ant_quic::VarInt::from_u32(0), b"");
    let Ok(Some(Report::Input(Input::RelayEnded { why, .. }))) = timeout(SOON, inbox.recv()).await else {
        panic!("it did not end")
    };
    assert_eq!(why, ServedEnd::ConnectionClosed);
}
