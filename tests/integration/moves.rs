//! Hosts whose own addresses change while a node runs, hosts with several, and
//! hosts that forbid sending.

use std::net::Ipv4Addr;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::lab::{Unsupported, Userns};
use punchdeck::model::{EventKind, SendTrouble};

use super::hostile::peer::Stranger;
use super::scene::{Scene, event, linked, until};
use super::support::{TestNode, ignored, trial};

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let several = trial("a_node_on_all_addresses_answers_from_the_one_that_was_asked", several);
    let names = [
        "links_that_a_host_dialled_survive_when_its_address_goes_and_another_comes",
        "peers_that_dialled_a_host_are_dialled_by_it_when_its_address_changes",
        "what_a_host_forbids_to_send_is_told_and_the_node_runs_on",
    ];
    let userns = match userns {
        Ok(userns) => userns,
        Err(why) => {
            return names.iter().map(|name| ignored(name, &why.to_string())).chain([several]).collect();
        }
    };
    let (a, b, c) = (userns.clone(), userns.clone(), userns);
    vec![
        several,
        trial(names[0], move || async move { dialled(&a).await }),
        trial(names[1], move || async move { came_in(&b).await }),
        trial(names[2], move || async move { forbidden(&c).await }),
    ]
}

async fn several() {
    let node = TestNode::with("node", &[], |o| o.bind = (Ipv4Addr::UNSPECIFIED, 0).into()).await;
    // The system itself would answer from 127.0.0.1, which was not asked.
    let asked = (Ipv4Addr::new(127, 0, 0, 77), node.addr().port()).into();
    let stranger = Stranger::start().await;
    let connection = stranger.dial_at(asked, node.id()).await;
    assert_eq!(connection.remote_address(), asked);
}

async fn dialled(userns: &Userns) {
    let scene = Scene::start(userns).await;
    let (mut feed, public) = (scene.feed("port-1"), ["pub-1", "pub-2", "pub-3"]);
    let mut peers = Vec::new();
    for host in public {
        peers.push(scene.id(host).await);
    }
    until(&feed, "links to the public nodes", |s| linked(s, &peers)).await;
    let me = scene.id("port-1").await;
    let mut far = scene.feed("pub-2");
    let new = scene.readdress("port-1").await;
    let changed =
        event(&mut feed, "news of the address", |e| e.kind.name() == "node.addresses_changed").await;
    assert_eq!(changed.kind, EventKind::AddressesChanged { addresses: vec![new.into()] });
    // Long enough for heartbeats to be missed.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(linked(&feed.snapshots.borrow(), &peers), "{:#?}", feed.snapshots.borrow().links);
    while let Ok(event) = far.events.try_recv() {
        let lost = event.peer_id == Some(me) && matches!(event.kind, EventKind::LinkDown { .. });
        assert!(!lost, "the other end lost it: {event:?}");
    }
    scene.lab.stop().await;
}

async fn came_in(userns: &Userns) {
    let scene = Scene::start(userns).await;
    let (feed, other) = (scene.feed("pub-1"), scene.feed("pub-3"));
    let (me, them) = (scene.id("pub-1").await, scene.id("pub-3").await);
    // The bootstrap was dialled by everybody.
    until(&feed, "link", |s| s.links.iter().any(|l| l.peer_id == them && !l.outbound)).await;
    let new = scene.readdress("pub-1").await;
    until(&feed, "link that we dialled", |s| s.links.iter().any(|l| l.peer_id == them && l.outbound)).await;
    until(&other, "link from the new address", |s| {
        s.links.iter().any(|l| l.peer_id == me && l.remote_addr.ip() == new)
    })
    .await;
    scene.lab.stop().await;
}

async fn forbidden(userns: &Userns) {
    let scene = Scene::start(userns).await;
    let (mut feed, peer) = (scene.feed("pub-2"), scene.id("pub-1").await);
    until(&feed, "link", |s| linked(s, &[peer])).await;
    scene.shut("pub-2").await;
    let told = event(&mut feed, "trouble", |e| e.kind.name() == "node.sends_refused").await;
    let EventKind::SendsRefused { why: SendTrouble::Forbidden, count } = told.kind else {
        panic!("{told:?}")
    };
    assert!(count > 0);
    scene.open("pub-2").await;
    until(&feed, "link again", |s| linked(s, &[peer])).await;
    scene.lab.stop().await;
}
