//! The driver with its engine, on loopback: actions in, what came of them out.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use ant_quic::masque::ConnectUdpResponse;
use tempfile::TempDir;
use tokio::net::UdpSocket;

use super::*;
use crate::model::Reason;
use crate::model::{AttemptId, Path, PeerId};
use crate::node::keys;
use crate::node::lock::DataDirLock;
use crate::node::options::{NetworkSecret, NodeOptions};
use crate::node::transport::{self, Tls};
use crate::node::{Assembled, Node, assemble};

const PATIENCE: Duration = Duration::from_secs(20);

/// A node that a test drives by hand.
struct Bench {
    id: PeerId,
    addr: SocketAddr,
    driver: Driver,
    inbox: mpsc::Receiver<Report>,
    rest: (mpsc::Receiver<Request>, [AbortOnDropHandle<()>; 1], crate::node::Feed, TempDir),
}

impl Bench {
    async fn start(bootstrap: &[SocketAddr]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = options(&dir, bootstrap);
        let Assembled { me, local_addr, mut driver, requests, inbox, helpers, feed, settings: _ } =
            assemble(options).await.unwrap();
        driver.engine.begin(driver.clock.now());
        driver.carry_out();
        Self { id: me, addr: local_addr, driver, inbox, rest: (requests, helpers, feed, dir) }
    }

    /// As the driver's own loop, once.
    async fn step(&mut self) {
        let timer = self.driver.engine.next_timeout(self.driver.clock.now());
        let timer = timer.map_or_else(|| Instant::now() + PATIENCE, |at| self.driver.clock.instant(at));
        tokio::select! {
            Some(report) = self.inbox.recv() => self.driver.take(report),
            () = sleep_until(timer) => {
                self.driver.engine.on_timeout(self.driver.clock.now());
                self.driver.carry_out();
            }
        }
    }

    fn link(&mut self, peer: PeerId) -> Option<(Path, Option<PeerId>)> {
        let snapshot = self.driver.engine.snapshot(self.driver.clock.now());
        snapshot.links.iter().find(|l| l.peer_id == peer && !l.foreign).map(|l| (l.path, l.via))
    }
}

fn options(dir: &TempDir, bootstrap: &[SocketAddr]) -> NodeOptions {
    let (keys, bind) = (keys::generate().unwrap(), (Ipv4Addr::LOCALHOST, 0).into());
    NodeOptions {
        // So that each link needs a proof over its connection's key material.
        secret: Some(NetworkSecret::new([7; 32])),
        bootstrap: bootstrap.to_vec(),
        ..NodeOptions::new(dir.path().to_owned(), keys, "bench", "test", bind)
    }
}

/// Runs all of them until something holds.
async fn until<const N: usize>(
    what: &str,
    mut nodes: [&mut Bench; N],
    mut holds: impl FnMut(&mut [&mut Bench; N]) -> bool,
) {
    let run = async {
        while !holds(&mut nodes) {
            let steps = nodes.iter_mut().map(|node| Box::pin(node.step()));
            futures_util::future::select_all(steps).await;
        }
    };
    tokio::time::timeout(PATIENCE, run).await.unwrap_or_else(|_| panic!("no {what}"));
}

/// A node that relays, to which only one of the others is linked.
struct Relay {
    node: Node,
    id: PeerId,
    _dir: TempDir,
}

impl Relay {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lock = DataDirLock::acquire(dir.path()).unwrap();
        let (node, _feed) = Node::start(options(&dir, &[]), lock).await.unwrap();
        Self { id: node.peer_id(), node, _dir: dir }
    }

    fn addr(&self) -> SocketAddr {
        self.node.local_addr()
    }
}

/// A node with a reservation on a relay, and its address there.
async fn reserved(relay: &Relay) -> (Bench, SocketAddr) {
    let mut far = Bench::start(&[relay.addr()]).await;
    until("link to the relay", [&mut far], |[far]| far.link(relay.id).is_some()).await;
    let addr = reserve(&mut far, relay).await;
    (far, addr)
}

async fn reserve(far: &mut Bench, relay: &Relay) -> SocketAddr {
    until("reservation", [far], |[far]| {
        far.driver.act(Action::Reserve { relay: relay.id });
        far.driver.relaying.public_addr(relay.id).is_some()
    })
    .await;
    far.driver.relaying.public_addr(relay.id).unwrap()
}

const LANE: DialId = DialId { attempt: AttemptId(u64::MAX), n: 0 };

fn dial(near: &mut Bench, peer: PeerId, relay: &Relay, addr: SocketAddr) {
    // Not as an action: the engine would let go of a lane that it did not ask for.
    tokio::spawn(near.driver.relaying.lane(LANE, peer, relay.id, addr, PATIENCE));
}

async fn link(near: &mut Bench, far: &mut Bench, relay: &Relay, addr: SocketAddr) {
    let (near_id, far_id) = (near.id, far.id);
    dial(near, far_id, relay, addr);
    let relayed = Some((Path::Relayed, Some(relay.id)));
    until("link over the relay", [near, far], |[near, far]| {
        near.link(far_id) == relayed && far.link(near_id) == relayed
    })
    .await;
}

#[tokio::test]
async fn a_link_comes_up_over_a_relay_and_both_ends_say_so() {
    // The end with the smaller id opens the control stream: both cases.
    let (mut dialler_opened, mut acceptor_opened) = (false, false);
    let relay = Relay::start().await;
    let (mut far, addr) = reserved(&relay).await;
    while !(dialler_opened && acceptor_opened) {
        let mut near = Bench::start(&[]).await;
        link(&mut near, &mut far, &relay, addr).await;
        let lanes = far.driver.connections.lane_bytes();
        assert!(lanes.last().is_some_and(|l| l.bytes_tx > 0 && l.bytes_rx > 0), "{lanes:?}");
        if near.id < far.id { dialler_opened = true } else { acceptor_opened = true }
    }
    let bytes = far.driver.relaying.bytes();
    assert!(bytes[0].relay == relay.id && bytes[0].bytes_tx > 0 && bytes[0].bytes_rx > 0);
}

#[tokio::test]
async fn a_link_moves_from_a_lane_to_a_direct_path_and_back() {
    let relay = Relay::start().await;
    let (mut far, addr) = reserved(&relay).await;
    let mut near = Bench::start(&[]).await;
    link(&mut near, &mut far, &relay, addr).await;
    let (near_id, far_id) = (near.id, far.id);
    let direct = DialId { attempt: AttemptId(u64::MAX), n: 1 };
    near.driver.act(Action::Dial { dial: direct, addr: far.addr, within: PATIENCE });
    let on = |path| {
        move |[near, far]: &mut [&mut Bench; 2]| {
            [near.link(far_id), far.link(near_id)].iter().all(|l| l.is_some_and(|(p, _)| p == path))
        }
    };
    until("direct path", [&mut near, &mut far], on(Path::Direct)).await;
    // A lane beside it changes nothing, until it is all there is.
    dial(&mut near, far_id, &relay, addr);
    until("lane beside it", [&mut near, &mut far], |[near, far]| {
        [near, far].iter().all(|b| !b.driver.connections.lane_bytes().is_empty())
    })
    .await;
    assert!(on(Path::Direct)(&mut [&mut near, &mut far]));
    transport::close(near.driver.connections.native(far_id).unwrap(), CloseCode::Replaced);
    until("lane again", [&mut near, &mut far], on(Path::Relayed)).await;
}

#[tokio::test]
async fn a_relay_that_is_lost_takes_reservation_and_links_with_it_at_once() {
    let relay = Relay::start().await;
    let (mut far, addr) = reserved(&relay).await;
    let mut near = Bench::start(&[]).await;
    link(&mut near, &mut far, &relay, addr).await;
    let at = Instant::now();
    // As the engine does it when heartbeats are missed.
    transport::close(far.driver.connections.native(relay.id).unwrap(), CloseCode::Silent);
    let near_id = near.id;
    until("end of both", [&mut far], |[far]| {
        far.driver.relaying.bytes().is_empty() && far.link(near_id).is_none()
    })
    .await;
    assert!(at.elapsed() < Duration::from_millis(500), "{:?}", at.elapsed());
}

#[tokio::test]
async fn an_answer_at_once_where_there_is_nothing_to_wait_for() {
    let relay = Relay::start().await;
    let (mut far, addr) = reserved(&relay).await;
    let over = far.driver.connections.native(relay.id).cloned();
    let again = far.driver.relaying.reserve(relay.id, over.as_ref());
    assert!(matches!(again, Some(Input::Reserved { public_addr, .. }) if public_addr == addr), "{again:?}");
    let nobody = far.driver.relaying.reserve(PeerId([1; 32]), None);
    assert!(matches!(nobody, Some(Input::ReserveFailed { reason: Reason::NotLinked, .. })), "{nobody:?}");
}

#[tokio::test]
async fn what_was_released_can_be_reserved_again_at_once() {
    let relay = Relay::start().await;
    let (mut far, _) = reserved(&relay).await;
    for _ in 0..3 {
        far.driver.act(Action::Release { relay: relay.id });
        assert!(far.driver.relaying.bytes().is_empty());
        reserve(&mut far, &relay).await;
    }
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_any_more_is_given_back() {
    let relay = Relay::start().await;
    let (mut far, _) = reserved(&relay).await;
    for wait in [0, 2, 20] {
        far.driver.act(Action::Release { relay: relay.id });
        far.driver.act(Action::Reserve { relay: relay.id });
        tokio::time::sleep(Duration::from_millis(wait)).await;
        far.driver.act(Action::Release { relay: relay.id });
        tokio::time::sleep(Duration::from_millis(300)).await;
        while let Ok(report) = far.inbox.try_recv() {
            far.driver.take(report);
        }
        assert!(far.driver.relaying.bytes().is_empty());
    }
    reserve(&mut far, &relay).await;
}

/// A wire between a node and a relay that can be cut.
struct Wire {
    addr: SocketAddr,
    cut: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

impl Wire {
    async fn to(relay: SocketAddr) -> Self {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        far.connect(relay).await.unwrap();
        let (addr, cut) = (near.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let is_cut = Arc::clone(&cut);
        let task = tokio::spawn(async move {
            let (mut there, mut back) = (vec![0; 65_536], vec![0; 65_536]);
            let mut node = None;
            loop {
                tokio::select! {
                    Ok((len, from)) = near.recv_from(&mut there) => {
                        node = Some(from);
                        if !is_cut.load(Ordering::Relaxed) {
                            far.send(&there[..len]).await.unwrap();
                        }
                    }
                    Ok(len) = far.recv(&mut back) => {
                        if let (Some(node), false) = (node, is_cut.load(Ordering::Relaxed)) {
                            near.send_to(&back[..len], node).await.unwrap();
                        }
                    }
                }
            }
        });
        Self { addr, cut, _task: AbortOnDropHandle::new(task) }
    }
}

#[tokio::test]
async fn a_relay_that_missed_our_goodbye_gives_another_reservation_within_seconds() {
    let relay = Relay::start().await;
    let wire = Wire::to(relay.addr()).await;
    let mut far = Bench::start(&[wire.addr]).await;
    let linked = |[far]: &mut [&mut Bench; 1]| far.link(relay.id).is_some();
    until("link to the relay", [&mut far], linked).await;
    reserve(&mut far, &relay).await;

    wire.cut.store(true, Ordering::Relaxed);
    transport::close(far.driver.connections.native(relay.id).unwrap(), CloseCode::Silent);
    until("loss", [&mut far], |[far]| far.driver.relaying.bytes().is_empty()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    wire.cut.store(false, Ordering::Relaxed);
    let dial = DialId { attempt: AttemptId(u64::MAX), n: 0 };
    far.driver.act(Action::Dial { dial, addr: wire.addr, within: PATIENCE });
    until("link again", [&mut far], linked).await;
    // The relay believes that the old reservation stands: the new one takes its
    // place.
    let at = Instant::now();
    reserve(&mut far, &relay).await;
    assert!(at.elapsed() < Duration::from_secs(1), "{:?}", at.elapsed());
}

/// A relay that grants everything, and drops what comes.
async fn liar() -> (SocketAddr, PeerId, AbortOnDropHandle<()>) {
    let keys = keys::generate().unwrap();
    let server = Tls::new(&keys).unwrap().server_config();
    let endpoint = ant_quic::Endpoint::server(server, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let addr = endpoint.local_addr().unwrap();
    let hole = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let task = tokio::spawn(async move {
        let answer = ConnectUdpResponse::success(Some(hole.local_addr().unwrap())).encode();
        let connection = endpoint.accept().await.unwrap().accept().unwrap().await.unwrap();
        let mut held = Vec::new();
        while let Ok((mut send, recv)) = connection.accept_bi().await {
            let _ = send.write_all(&u32::try_from(answer.len()).unwrap().to_be_bytes()).await;
            let _ = send.write_all(&answer).await;
            held.push((send, recv));
        }
    });
    (addr, keys::peer_id(&keys.public).unwrap(), AbortOnDropHandle::new(task))
}

#[tokio::test]
async fn a_relay_that_carries_nothing_loses_its_reservation() {
    let (addr, liar, _task) = liar().await;
    let mut far = Bench::start(&[addr]).await;
    until("connection to the liar", [&mut far], |[far]| far.driver.connections.native(liar).is_some()).await;
    far.driver.act(Action::Reserve { relay: liar });
    until("reservation", [&mut far], |[far]| far.driver.relaying.public_addr(liar).is_some()).await;
    let mute = async {
        loop {
            match far.inbox.recv().await.unwrap() {
                Report::ReservationMute { number } => return number,
                report => far.driver.take(report),
            }
        }
    };
    let number = tokio::time::timeout(PATIENCE, mute).await.unwrap();
    assert!(far.driver.relaying.mute(number + 1).is_none(), "another reservation is not meant");
    let lost = far.driver.relaying.mute(number);
    assert!(
        matches!(&lost, Some(Input::ReservationLost { relay, reason: Reason::NothingCameBack }) if *relay == liar),
        "{lost:?}"
    );
}

#[tokio::test]
async fn a_dial_to_an_impostor_names_it() {
    let relay = Relay::start().await;
    let (mut far, addr) = reserved(&relay).await;
    let mut near = Bench::start(&[]).await;
    dial(&mut near, PeerId([9; 32]), &relay, addr);
    let found = async {
        loop {
            if let Report::Input(Input::DialFailed { reason, .. }) = near.inbox.recv().await.unwrap() {
                return reason;
            }
        }
    };
    tokio::select! {
        reason = found => assert_eq!(reason, Reason::WrongIdentity { got: far.id }),
        () = async { loop { far.step().await } } => {}
    }
    assert!(near.driver.connections.lane_bytes().is_empty());
}

#[tokio::test]
async fn a_node_with_reservation_and_lanes_stops_in_time_and_frees_its_port() {
    let relay = Relay::start().await;
    let (mut far, addr) = reserved(&relay).await;
    let mut near = Bench::start(&[]).await;
    link(&mut near, &mut far, &relay, addr).await;
    let far_id = far.id;
    let (addr, helpers) = (far.addr, far.rest);
    let at = Instant::now();
    Box::pin(far.driver.shut_down()).await;
    drop(helpers);
    assert!(at.elapsed() < Duration::from_millis(800), "{:?}", at.elapsed());
    std::net::UdpSocket::bind(addr).unwrap();
    until("goodbye", [&mut near], |[near]| near.link(far_id).is_none()).await;
    assert!(at.elapsed() < Duration::from_secs(3), "it was told, and did not have to find out");
}
