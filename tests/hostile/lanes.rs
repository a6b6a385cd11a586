//! Lanes: relays that lie or stall, and who comes through them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use ant_quic::crypto::raw_public_keys::RawPublicKeyConfigBuilder;
use ant_quic::crypto::rustls::QuicClientConfig;
use ant_quic::masque::ConnectUdpResponse;
use ant_quic::transport_parameters::NatTraversalConfig;
use ant_quic::{
    ClientConfig, Endpoint, HighLevelConnection, HighLevelRecvStream, HighLevelSendStream, TransportConfig,
};
use libtest_mimic::Trial;
use punchdeck::core::limits::{LANES_WAITING_MAX, STRANGER_STREAMS_MAX};
use punchdeck::model::PeerId;
use punchdeck::node::keys;
use punchdeck::node::lanes::{LaneEnd, LaneError, Reservation, ReserveError};

use crate::lanes::{End, Relay};
use crate::support::trial;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("an_impostor_on_a_lane_is_closed_and_named", wrong_identity),
        trial("who_shakes_hands_and_sends_no_nonce_is_no_lane_and_takes_no_more_than_its_place", no_nonce),
        trial("the_other_end_of_a_lane_opens_no_more_streams_than_it_may", stream_limit),
        trial("relays_that_stall_refuse_or_babble_are_told_apart", bad_relays),
        trial("a_relay_that_takes_all_and_carries_nothing_is_found_out", lying_relay),
    ]
}

const PATIENCE: Duration = Duration::from_secs(10);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A connection to a peer that pretends to be a relay, and what it answers to
/// the next request.
struct Pretender {
    _relay: Relay,
    _reservation: Reservation,
    near: End,
    connection: HighLevelConnection,
    theirs: HighLevelConnection,
}

impl Pretender {
    async fn start() -> Self {
        let relay = Relay::start().await;
        let (mut far, near) = (End::new(), End::new());
        let reservation = far.reserve(relay.id(), &relay.connection).await.unwrap();
        let lane = near.dialer.lane(far.id, None, reservation.public_addr(), PATIENCE).await.unwrap();
        let theirs = far.incoming().await.connection;
        // A relay lets who is linked to it open more than a stranger.
        theirs.set_max_concurrent_bi_streams(16u32.into());
        Self { _relay: relay, _reservation: reservation, near, connection: lane.connection, theirs }
    }

    /// Reserves while the pretender answers so, and then holds the stream.
    async fn reserve(
        &self,
        answer: Option<Vec<u8>>,
    ) -> (Result<Reservation, ReserveError>, (HighLevelSendStream, HighLevelRecvStream)) {
        let answering = async {
            let (mut send, recv) = self.theirs.accept_bi().await.unwrap();
            if let Some(answer) = answer {
                send.write_all(&u32::try_from(answer.len()).unwrap().to_be_bytes()).await.unwrap();
                send.write_all(&answer).await.unwrap();
            }
            (send, recv)
        };
        let within = Duration::from_millis(500);
        let lanes = self.near.lanes.clone();
        let opening = Reservation::open(PeerId([7; 32]), &self.connection, &self.near.tls, lanes, within);
        tokio::join!(opening, answering)
    }
}

/// Whoever can do QUIC with a key, and knows nothing of lanes.
fn stranger_to_lanes() -> Endpoint {
    let keys = keys::generate().unwrap();
    let (public, secret) = keys::to_ant_quic(&keys).unwrap();
    let tls = RawPublicKeyConfigBuilder::new().with_client_key(public, secret).allow_any_key();
    let tls = tls.build_rfc7250_client_config().unwrap().inner().as_ref().clone();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let mut transport = TransportConfig::default();
    let nat = NatTraversalConfig::ServerSupport { concurrency_limit: 3u32.into() };
    transport.enable_address_discovery(true).nat_traversal_config(Some(nat));
    config.transport_config(Arc::new(transport));
    let mut endpoint = Endpoint::client(SocketAddr::new(LOCALHOST, 0)).unwrap();
    endpoint.set_default_client_config(config);
    endpoint
}

async fn wrong_identity() {
    let relay = Relay::start().await;
    let (mut far, near, other) = (End::new(), End::new(), End::new());
    let reservation = far.reserve(relay.id(), &relay.connection).await.unwrap();
    let found = near.dialer.lane(other.id, None, reservation.public_addr(), PATIENCE).await;
    assert_eq!(found.unwrap_err(), LaneError::WrongIdentity { got: far.id });
    // It was never a lane for the far end either; the next one is.
    near.dialer.lane(far.id, None, reservation.public_addr(), PATIENCE).await.unwrap();
    far.incoming().await;
    assert!(far.incoming.try_recv().is_err());
}

async fn no_nonce() {
    let relay = Relay::start().await;
    let (mut far, near) = (End::new(), End::new());
    let reservation = far.reserve(relay.id(), &relay.connection).await.unwrap();
    let endpoint = stranger_to_lanes();
    let mut mute = Vec::new();
    for _ in 0..LANES_WAITING_MAX {
        mute.push(endpoint.connect(reservation.public_addr(), "peer").unwrap().await.unwrap());
    }
    // All places are taken by those who say nothing: the next is refused.
    let found = near.dialer.lane(far.id, None, reservation.public_addr(), PATIENCE).await;
    assert!(matches!(found, Err(LaneError::Handshake(_))), "{found:?}");
    // None of them ever was a lane, and with them their places are free again.
    for connection in &mute {
        connection.close(0u32.into(), b"");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(far.incoming.try_recv().is_err());
    near.dialer.lane(far.id, None, reservation.public_addr(), PATIENCE).await.unwrap();
    assert_eq!(far.incoming().await.peer, near.id);
}

async fn stream_limit() {
    let relay = Relay::start().await;
    let (mut far, near) = (End::new(), End::new());
    let reservation = far.reserve(relay.id(), &relay.connection).await.unwrap();
    let lane = near.dialer.lane(far.id, None, reservation.public_addr(), PATIENCE).await.unwrap();
    let _came = far.incoming().await;
    let opening = async {
        let mut streams = Vec::new();
        loop {
            let (mut send, recv) = lane.connection.open_bi().await.unwrap();
            send.write_all(b"x").await.unwrap();
            streams.push((send, recv));
            assert!(streams.len() <= STRANGER_STREAMS_MAX as usize, "no limit");
        }
    };
    let waits: Result<(), _> = tokio::time::timeout(Duration::from_millis(500), opening).await;
    assert!(waits.is_err());
    let uni = tokio::time::timeout(Duration::from_millis(100), lane.connection.open_uni()).await;
    assert!(uni.is_err(), "nothing one-way");
}

async fn bad_relays() {
    let pretender = Pretender::start().await;
    let (found, _held) = pretender.reserve(None).await;
    assert_eq!(found.unwrap_err(), ReserveError::Stalled(Duration::from_millis(500)));
    let (found, _held) =
        pretender.reserve(Some(ConnectUdpResponse::unavailable("full").encode().to_vec())).await;
    assert_eq!(found.unwrap_err(), ReserveError::Refused { status: 503 });
    let (found, _held) = pretender.reserve(Some(vec![9; 1024])).await;
    assert_eq!(found.unwrap_err(), ReserveError::Garbled);
    let privileged = ConnectUdpResponse::success(Some("127.0.0.1:53".parse().unwrap()));
    let (found, _held) = pretender.reserve(Some(privileged.encode().to_vec())).await;
    assert_eq!(found.unwrap_err(), ReserveError::Garbled, "nobody is sent to a name server");

    let good = ConnectUdpResponse::success(Some("127.0.0.1:40000".parse().unwrap()));
    let (found, (mut send, _recv)) = pretender.reserve(Some(good.encode().to_vec())).await;
    let reservation = found.unwrap();
    let mut ended = reservation.ended();
    send.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    let end = tokio::time::timeout(PATIENCE, ended.wait_for(Option::is_some)).await.unwrap();
    assert_eq!(*end.unwrap(), Some(LaneEnd::Garbled));

    pretender.theirs.close(0u32.into(), b"");
    let within = Duration::from_millis(500);
    let lanes = pretender.near.lanes.clone();
    let found =
        Reservation::open(PeerId([7; 32]), &pretender.connection, &pretender.near.tls, lanes, within).await;
    assert_eq!(found.unwrap_err(), ReserveError::Lost);
}

async fn lying_relay() {
    let honest = Relay::start().await;
    let far = End::new();
    let reservation = far.reserve(honest.id(), &honest.connection).await.unwrap();
    far.dialer.check(reservation.public_addr(), PATIENCE).await.unwrap();

    let pretender = Pretender::start().await;
    // An address at which somebody takes everything and says nothing.
    let hole = UdpSocket::bind("127.0.0.1:0").unwrap();
    let answer = ConnectUdpResponse::success(Some(hole.local_addr().unwrap()));
    let (found, _held) = pretender.reserve(Some(answer.encode().to_vec())).await;
    let reservation = found.unwrap();
    let found = pretender.near.dialer.check(reservation.public_addr(), Duration::from_millis(500)).await;
    assert_eq!(found, Err(LaneError::NoAnswer));
}
