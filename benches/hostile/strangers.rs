//! What somebody without the secret can make a node pay.

use std::time::Duration;

use ant_quic::masque::ConnectUdpRequest;
use punchdeck::core::wire::Frame;

use super::cost::{Done, Ground, Held, LEFT_KIB, Surface, Who, stranger};
use super::peer::{
    self, Asked, Forger, frames, garbage, half_open_streams, oversend, record_flights, unknown_versions,
    volley,
};

/// What a stranger may make a node hold on one connection, in KiB.
const STRANGER_KIB: f64 = 256.0;

pub fn surfaces() -> Vec<Surface> {
    let row = |what, attack, held| Surface { what, who: Who::Stranger, attack, held };
    let unproven = Held { sends: Some(1.0), left: Some(LEFT_KIB), ..Held::default() };
    let proven = Held { left: Some(LEFT_KIB), ..Held::default() };
    vec![
        row(
            "garbage, 2 000 datagrams",
            |ground| {
                Box::pin(async move { datagrams(&ground, garbage().into_iter().map(|d| vec![d]).collect()) })
            },
            Held { holds: Some(1024.0), computes: Some(0.1), by: "nothing answers", ..unproven },
        ),
        row(
            "unknown versions, 1 200 bytes",
            |ground| Box::pin(async move { datagrams(&ground, unknown_versions(200, 1200)) }),
            Held { holds: Some(1024.0), computes: Some(0.2), by: "FIRST_PACKET_MIN", ..unproven },
        ),
        row(
            "unknown versions, 60 bytes",
            |ground| Box::pin(async move { datagrams(&ground, unknown_versions(200, 60)) }),
            Held { holds: Some(1024.0), computes: Some(0.2), by: "FIRST_PACKET_MIN", ..unproven },
        ),
        row(
            "first packets of 8 handshakes, one after another",
            |ground| Box::pin(async move { handshakes(&ground, 8, Duration::from_millis(20)) }),
            Held { holds: Some(8.0 * STRANGER_KIB), by: "HANDSHAKES_FREE", ..unproven },
        ),
        row(
            "first packets of 500 handshakes at once",
            |ground| Box::pin(async move { handshakes(&ground, 500, Duration::ZERO) }),
            Held { holds: Some(64.0 * STRANGER_KIB), by: "HANDSHAKES_AT_ONCE, Retry", ..unproven },
        ),
        row(
            "64 mute connections from 8 hosts",
            |ground| Box::pin(async move { mute(&ground).await }),
            Held { holds: Some(64.0 * STRANGER_KIB), computes: Some(5.0), by: "LINKS_MUTE_MAX", ..proven },
        ),
        row(
            "streams that nobody asked for, on one connection",
            |ground| Box::pin(async move { streams(&ground).await }),
            Held { holds: Some(STRANGER_KIB), by: "STRANGER_STREAMS_MAX, windows", ..proven },
        ),
        row(
            "half-open streams, on one connection",
            |ground| Box::pin(async move { half_open(&ground).await }),
            Held { holds: Some(STRANGER_KIB), by: "STRANGER_STREAMS_MAX, HELLO_TIMEOUT", ..proven },
        ),
        row(
            "200 reservations asked for",
            |ground| Box::pin(async move { reservations(&ground).await }),
            Held { holds: Some(STRANGER_KIB), computes: Some(1.0), by: "members only", ..proven },
        ),
        row(
            "20 Hellos without a proof",
            |ground| Box::pin(async move { hellos(&ground).await }),
            Held { holds: Some(20.0 * STRANGER_KIB), computes: Some(5.0), by: "network secret", ..proven },
        ),
        row(
            "40 000 forged TRY_CONNECT_TO in 500 packets",
            |ground| Box::pin(async move { forged(&ground).await }),
            Held { holds: Some(STRANGER_KIB), computes: Some(0.5), by: "FRAMES_LOOKED_AT_EVERY", ..proven },
        ),
        row(
            "40 000 forged OBSERVED_ADDRESS in 500 packets",
            |ground| Box::pin(async move { observed(&ground).await }),
            Held { holds: Some(STRANGER_KIB), computes: Some(0.5), by: "OBSERVED_FRAMES_MAX", ..proven },
        ),
    ]
}

fn datagrams(ground: &Ground, datagrams: Vec<Vec<Vec<u8>>>) -> Done {
    let volley = volley(ground.at, &datagrams, Duration::ZERO);
    unproven(&volley)
}

fn unproven(volley: &peer::Volley) -> Done {
    let note = format!("at worst {:.2} to one address", volley.worst);
    let done = Done { messages: volley.datagrams, sent: volley.sent, got: volley.got, ..Done::default() };
    done.note(note)
}

/// Whole first flights of so many clients, in the names of hosts that never answer.
fn handshakes(ground: &Ground, count: usize, pause: Duration) -> Done {
    let handshakes = std::thread::spawn(move || record_flights(count)).join().unwrap_or_default();
    unproven(&volley(ground.at, &handshakes, pause))
}

async fn mute(ground: &Ground) -> Done {
    let (mut held, mut let_in) = (Done { messages: 64, ..Done::default() }, 0);
    for n in 0..64 {
        let stranger = stranger(n / 8).stranger();
        let connections = stranger.crowds(ground.at, 1).await;
        let_in += connections.len();
        held = held.keeps((stranger, connections));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    held.note(format!("{let_in} let in"))
}

async fn streams(ground: &Ground) -> Done {
    let stranger = stranger(1).stranger();
    let Some((_, connection)) = stranger.mute(ground.at).await else { return Done::default() };
    let sent = oversend(&connection).await;
    let note = format!("{} one-way, {} two-way, {} KiB taken", sent.uni, sent.bidi, sent.bytes / 1024);
    Done::over(&connection, 1).note(note).keeps((stranger, connection, sent))
}

async fn half_open(ground: &Ground) -> Done {
    let stranger = stranger(1).stranger();
    let Some((_, connection)) = stranger.mute(ground.at).await else { return Done::default() };
    let mut opened = 0;
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(8) && connection.close_reason().is_none() {
        opened += half_open_streams(&connection, 64).await.len();
    }
    Done::over(&connection, opened as u64).note(format!("{opened} in 8 s")).keeps((stranger, connection))
}

async fn reservations(ground: &Ground) -> Done {
    let stranger = stranger(1).stranger();
    let Some((_, connection)) = stranger.mute(ground.at).await else { return Done::default() };
    let mut granted = 0;
    for _ in 0..200 {
        granted += usize::from(Asked::on(&connection, ConnectUdpRequest::bind_any()).await.status == 200);
    }
    Done::over(&connection, 200).note(format!("{granted} granted")).keeps((stranger, connection))
}

async fn hellos(ground: &Ground) -> Done {
    let mut done = Done { messages: 20, ..Done::default() };
    for n in 0..20 {
        let mut peer = stranger(n % 8).stranger().control_at(ground.at).await;
        let hello = peer.hello();
        peer.frame(&Frame::Hello(Box::new(hello))).await;
        let closed = tokio::time::timeout(Duration::from_secs(6), peer.connection.closed()).await;
        let stats = peer.connection.stats();
        done.sent += stats.udp_tx.bytes;
        done.got += stats.udp_rx.bytes;
        if closed.is_err() {
            done = done.keeps(peer);
        }
    }
    done
}

async fn forged(ground: &Ground) -> Done {
    let forger = Forger::default();
    let stranger = stranger(1).forging(&forger).stranger();
    let Some((_, connection)) = stranger.mute(ground.at).await else { return Done::default() };
    let frame = frames::try_connect_to((std::net::Ipv4Addr::LOCALHOST, 9).into());
    forger.floods(&connection, 500, move || frame.repeat(80)).await;
    let state = if connection.close_reason().is_some() { "closed" } else { "not closed" };
    Done::over(&connection, 500).note(state.to_owned()).keeps((stranger, connection))
}

async fn observed(ground: &Ground) -> Done {
    let forger = Forger::default();
    let stranger = stranger(1).forging(&forger).stranger();
    let Some((_, connection)) = stranger.mute(ground.at).await else { return Done::default() };
    let mut number = 0;
    let eighty = move || {
        let frame = |n| frames::observed_address(n, (std::net::Ipv4Addr::LOCALHOST, 9_000).into());
        number += 80;
        (number..number + 80).flat_map(frame).collect()
    };
    forger.floods(&connection, 500, eighty).await;
    let state = if connection.close_reason().is_some() { "closed" } else { "not closed" };
    Done::over(&connection, 500).note(state.to_owned()).keeps((stranger, connection))
}
