//! Peers gone bad: each is stopped by the limit that says so, and the counter shows
//! it. One file a surface; who attacks is built in [`peer`].

mod fleet;
mod frames;
mod gossip;
mod handshakes;
mod hello;
mod lanes;
mod library;
mod pathtests;
pub mod peer;
mod punches;
mod questions;
mod relays;
mod reservations;
mod room;
mod transport;

use std::net::SocketAddr;

use libtest_mimic::Trial;
use punchdeck::core::link::NetworkSecret;
use punchdeck::model::{CloseCode, PeerId};

use self::peer::Stock;
use crate::support::TestNode;

pub fn trials() -> Vec<Trial> {
    [
        fleet::trials(),
        frames::trials(),
        gossip::trials(),
        handshakes::trials(),
        hello::trials(),
        lanes::trials(),
        library::trials(),
        pathtests::trials(),
        punches::trials(),
        questions::trials(),
        relays::trials(),
        reservations::trials(),
        room::trials(),
        transport::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl peer::Target for TestNode {
    fn addr(&self) -> SocketAddr {
        self.addr()
    }

    fn id(&self) -> PeerId {
        self.id()
    }

    async fn until_linked(&self, peer: PeerId) {
        self.until_linked(peer).await;
    }
}

/// How a connection is closed, as it travels.
fn code(close: CloseCode) -> u64 {
    u64::from(close.code())
}

/// A node of a closed fleet.
async fn closed(name: &str, bootstrap: &[SocketAddr]) -> TestNode {
    TestNode::with(name, bootstrap, |o| {
        o.secret = Some(NetworkSecret::new([1; 32]));
        o.passive = true;
    })
    .await
}

/// The same, and a stock node that keeps its connection to it.
///
/// Of two ends the one with the smaller id opens the control stream. A stock node to
/// which one is opened resets it, and then our node gives up the connection. Here it is
/// the stock node that would have to open it.
async fn closed_beside_stock(name: &str) -> (TestNode, Stock) {
    loop {
        let (node, stock) = (closed(name, &[]).await, Stock::start().await);
        if stock.id() < node.id() {
            return (node, stock);
        }
    }
}
