//! Handshakes: what comes back to an address that never proves itself.

use std::time::Duration;

use libtest_mimic::Trial;

use super::peer::{self, Volley, garbage, unknown_versions};
use crate::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("an_unknown_version_is_answered_with_no_more_than_came", unknown_version),
        trial("garbage_is_answered_with_no_more_than_came", nothing),
    ]
}

/// What a node answers to datagrams that each come from an address of their own.
async fn answered(datagrams: Vec<Vec<Vec<u8>>>) -> Volley {
    let node = TestNode::start("node", &[]).await;
    let at = node.addr();
    let volley = move || peer::volley(at, &datagrams, Duration::ZERO);
    tokio::task::spawn_blocking(volley).await.unwrap()
}

async fn unknown_version() {
    let lengths = [23, 40, 200, 1_199, 1_200, 1_400];
    let volley = answered(lengths.iter().flat_map(|len| unknown_versions(20, *len)).collect()).await;
    assert!(volley.got > 0, "who speaks another version is told ours");
    assert!(volley.worst <= 1.0, "{:.2} bytes for one", volley.worst);
}

async fn nothing() {
    let volley = answered(garbage().into_iter().map(|datagram| vec![datagram]).collect()).await;
    assert!(volley.worst <= 1.0, "{:.2} bytes for one", volley.worst);
}
