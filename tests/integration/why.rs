//! Why, behind real NATs: each cause is brought about, and the verdict names it,
//! by evidence, and says how sure that is; what it proposes works; `ctl` says the
//! same.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::control::{ControlSocket, Server, SocketPath};
use punchdeck::lab::{LabOptions, NatLab, Topology, Unsupported, Userns};
use punchdeck::model::{
    AttemptOutcome, Command as Order, Done, NatType, NextAction, Path, PeerId, Provenance, Snapshot,
    StageOutcome, Sureness, Why,
};
use punchdeck::node::feed::Feed;
use serde_json::Value;

use super::binary::punchdeck;
use super::support::{ignored, nft, order, trial};

/// A link that fell silent is noticed within this, and a NAT measured.
const WITHIN: Duration = Duration::from_secs(90);

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let names = [
        "why_names_two_nats_that_cannot_be_punched",
        "why_names_an_intermediary_that_is_not_connected_to_the_target",
        "why_names_the_rate_limit_of_an_intermediary",
        "why_names_a_peer_that_is_offline",
        "why_names_another_network_id",
        "why_names_udp_that_is_blocked_on_our_side",
        "why_names_udp_that_is_blocked_on_the_other_side",
        "why_names_an_address_that_is_out_of_date",
    ];
    let userns = match userns {
        Ok(userns) => userns,
        Err(why) => return names.map(|name| ignored(name, &why.to_string())).into(),
    };
    let mut names = names.into_iter();
    macro_rules! why_trials {
        ($($test:ident),+) => {
            vec![$({
                let userns = userns.clone();
                trial(names.next().unwrap(), move || async move { $test(&userns).await })
            }),+]
        };
    }
    let trials = why_trials!(
        unpunchable,
        nobody_between,
        rate_limit,
        offline,
        another_network,
        blocked_here,
        blocked_there,
        out_of_date
    );
    assert_eq!(names.next(), None);
    trials
}

/// Regions with so many public hosts each, called `REGION-1` and so on; and hosts
/// behind a router of their own, called for its NAT.
async fn build(userns: &Userns, public: &[(&str, usize)], behind: &[(&str, &str, NatType)]) -> NatLab {
    let mut text = String::new();
    for (region, count) in public {
        let _ = writeln!(text, "[[region]]\nname = \"{region}\"");
        for n in 1..=*count {
            let _ = writeln!(text, "[[host]]\nname = \"{region}-{n}\"\nupstream = \"{region}\"");
        }
    }
    for (host, region, nat) in behind {
        let _ = writeln!(text, "[[router]]\nname = \"r-{host}\"\nupstream = \"{region}\"\nnat = \"{nat}\"");
        let _ = writeln!(text, "[[host]]\nname = \"{host}\"\nupstream = \"r-{host}\"");
    }
    let names: Vec<&str> = public.iter().map(|(region, _)| *region).collect();
    for (n, a) in names.iter().enumerate() {
        for b in &names[n + 1..] {
            let _ = writeln!(text, "[[link]]\nbetween = [\"{a}\", \"{b}\"]");
        }
    }
    let topology = Topology::parse(&text, "test").unwrap();
    let options = LabOptions { skip_self_test: true, seed: 1, ..LabOptions::new(topology) };
    NatLab::build(userns, options).await.unwrap()
}

async fn until(feed: &Feed, what: &str, holds: impl FnMut(&Snapshot) -> bool) {
    let mut holds = holds;
    let mut snapshots = feed.snapshots.clone();
    let seen = tokio::time::timeout(WITHIN, snapshots.wait_for(|s| holds(s))).await;
    assert!(seen.is_ok_and(|s| s.is_ok()), "no {what}: {:#?}", feed.snapshots.borrow());
}

async fn until_links(feed: &Feed, count: usize) {
    until(feed, "links", |s| s.links.len() >= count).await;
}

async fn until_measured(feed: &Feed, nat: NatType) {
    until(feed, "measured NAT", |s| s.nat.nat_type == nat).await;
}

async fn until_known(feed: &Feed, peer: PeerId, nat: NatType) {
    until(feed, "record", |s| s.peer(&peer).is_some_and(|p| p.nat_type == nat)).await;
}

async fn until_gone(feed: &Feed, peer: PeerId) {
    until(feed, "lost link", |s| s.link(&peer).is_none()).await;
}

fn linked(feed: &Feed, peer: PeerId) -> bool {
    feed.snapshots.borrow().link(&peer).is_some()
}

async fn is_unreachable(feed: &Feed, peer: PeerId) {
    let outcome = order(feed, Order::Connect { peer }).await;
    assert!(outcome.result.is_err(), "{outcome:?}");
    until(feed, "end", |s| {
        s.attempts
            .recent
            .iter()
            .any(|a| a.peer_id == Some(peer) && a.outcome == Some(AttemptOutcome::Unreachable))
    })
    .await;
}

/// What a node says that has no link and so tries again and again: between two
/// tries. While one runs there is nothing to explain yet.
async fn why_at_rest(feed: &Feed, peer: PeerId) -> Why {
    let begun = std::time::Instant::now();
    loop {
        let running = |s: &Snapshot| s.attempts.live.iter().any(|a| a.peer_id == Some(peer));
        until(feed, "end of what runs", |s| !running(s)).await;
        let found = why(feed, peer).await;
        if !found.verdict_words().contains("attempt is running") || begun.elapsed() > WITHIN {
            return found;
        }
    }
}

/// What the node says; `ctl` says the same, and names a key for what it proposes.
async fn why(feed: &Feed, peer: PeerId) -> Why {
    let outcome = order(feed, Order::Why { peer }).await;
    let Ok(Done::Explained(why)) = &outcome.result else { panic!("{outcome:?}") };
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("s");
    let socket = ControlSocket::bind(&SocketPath::new(path.clone()).unwrap(), None).unwrap();
    let _server = Server::start(socket, feed.clone()).unwrap();
    let mut ctl = punchdeck(home.path());
    ctl.arg("ctl").arg("--socket").arg(&path).args(["--json", "why", &peer.to_string()]);
    let output = ctl.output().await.unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["schema"], 1, "{told:#}");
    assert_eq!(told["peer_id"], peer.to_string());
    assert_eq!(told["path"].as_str(), why.path.map(Path::name));
    assert_eq!(told["verdict"], why.verdict_words(), "{why:#?}");
    assert_eq!(told["confidence"]["level"], why.confidence.level.name());
    let actions: Vec<&str> = why.next.iter().map(|next| next.verb()).collect();
    let next = told["next"].as_array().unwrap();
    assert_eq!(next.iter().map(|n| n["action"].as_str().unwrap()).collect::<Vec<_>>(), actions);
    assert!(next.iter().all(|n| n["key"].is_string()), "{next:?}");
    assert!(told["timeline"].as_array().unwrap().iter().all(|l| l["who"].is_string() && l["at_ms"].is_u64()));
    // How people are told it: the example of docs/console.md is made so.
    if let Some(file) = std::env::var_os("WHY_SHOW") {
        let mut ctl = punchdeck(home.path());
        ctl.arg("ctl").arg("--socket").arg(&path).args(["why", &peer.to_string()]);
        std::fs::write(file, ctl.output().await.unwrap().stdout).unwrap();
    }
    (**why).clone()
}

fn has(lines: &[String], part: &str) -> bool {
    lines.iter().any(|line| line.contains(part))
}

fn says(why: &Why, who: PeerId, part: &str) -> bool {
    why.timeline.iter().any(|line| line.who == who && line.what.to_string().contains(part))
}

/// Drops every UDP packet that comes in at a host.
async fn block_udp(lab: &NatLab, host: &str) {
    const RULES: &str =
        "table inet shut { chain shut { type filter hook input priority -300; meta l4proto udp drop; }; }\n";
    nft(lab, host, RULES.to_owned()).await;
}

async fn open_udp(lab: &NatLab, host: &str) {
    nft(lab, host, "delete table inet shut\n".to_owned()).await;
}

async fn unpunchable(userns: &Userns) {
    let nat = NatType::Symmetric;
    let lab = build(userns, &[("east", 3)], &[("here", "east", nat), ("there", "east", nat)]).await;
    for n in 1..=3 {
        lab.start_node(&format!("east-{n}")).await.unwrap();
    }
    let here = lab.start_passive("here").await.unwrap();
    let there = lab.start_passive("there").await.unwrap();
    until_measured(&here, nat).await;
    until_measured(&there, nat).await;
    let (me, peer) = (lab.peer_id("here").await.unwrap(), lab.peer_id("there").await.unwrap());
    until_known(&here, peer, nat).await;
    order(&here, Order::Connect { peer }).await;
    until(&here, "relayed link", |s| s.link(&peer).is_some_and(|l| l.path == Path::Relayed)).await;
    let why = why(&here, peer).await;
    assert_eq!(why.path, Some(Path::Relayed));
    assert!(why.verdict_words().contains("cannot be punched"), "{why:#?}");
    assert!(
        has(&why.evidence_words(), "at different ports") && has(&why.evidence_words(), "theirs was measured"),
        "{why:#?}"
    );
    assert_eq!(why.confidence.level, Sureness::High, "{why:#?}");
    assert!(says(&why, me, "punch skipped: symmetric × symmetric"), "{why:#?}");
    assert!(says(&why, peer, "link up: "), "it says: {why:#?}");
    // Each number says where it is from.
    let fact = |name: &str| why.facts.iter().find(|f| f.known.name() == name).unwrap();
    assert_eq!((fact("NAT type").provenance, fact("NAT type").by), (Provenance::Claimed, Some(peer)));
    assert_eq!((fact("round trip").provenance, fact("round trip").by), (Provenance::Measured, None));
    assert_eq!(fact("success rate").provenance, Provenance::Derived);
    assert!(fact("relay address").known.value(why.at).is_some(), "{why:#?}");
    assert_eq!(why.next[0], NextAction::NatProbe);
    assert!(matches!(order(&here, Order::NatProbe).await.result, Ok(Done::Probed(_))));
}

async fn nobody_between(userns: &Userns) {
    let nat = NatType::PortRestricted;
    let regions = [("east", 1), ("west", 1), ("north", 0), ("south", 0)];
    let lab = build(userns, &regions, &[("here", "north", nat), ("there", "south", nat)]).await;
    lab.cut_link("north", "west", true).await.unwrap();
    lab.cut_link("south", "east", true).await.unwrap();
    lab.start_node("east-1").await.unwrap();
    // It must not find a way to us by itself.
    let west = lab.start_passive("west-1").await.unwrap();
    until_links(&west, 1).await;
    let there = lab.start_passive("there").await.unwrap();
    until_links(&there, 1).await;
    let here = lab.start_passive("here").await.unwrap();
    until_links(&here, 1).await;
    let (me, peer) = (lab.peer_id("here").await.unwrap(), lab.peer_id("there").await.unwrap());
    let east = lab.peer_id("east-1").await.unwrap();
    until(&here, "record", |s| s.peer(&peer).is_some()).await;
    is_unreachable(&here, peer).await;
    let found = why(&here, peer).await;
    assert!(found.verdict_words().starts_with("No intermediary: nobody we are linked to"), "{found:#?}");
    assert!(
        found.verdict_words().contains("It is offline, or linked to others only"),
        "both fit: {found:#?}"
    );
    assert!(
        has(&found.evidence_words(), &format!("{}, by its account: not connected", east.short())),
        "{found:#?}"
    );
    assert!(has(&found.evidence_words(), "said no"), "{found:#?}");
    assert!(has(&found.evidence_words(), "no account from"), "{found:#?}");
    assert_eq!(found.confidence.level, Sureness::Medium, "{found:#?}");
    assert!(says(&found, me, "who is connected to it?"), "{found:#?}");
    // A link to whom it is linked to tells them apart, and opens the way.
    assert_eq!(found.next, [NextAction::SyncAll, NextAction::Connect]);
    assert!(matches!(order(&here, Order::Sync { peer: None }).await.result, Ok(Done::Synced(_))));
    lab.cut_link("north", "west", false).await.unwrap();
    let west = lab.peer_id("west-1").await.unwrap();
    assert!(order(&here, Order::Connect { peer: west }).await.result.is_ok());
    assert!(order(&here, Order::Connect { peer }).await.result.is_ok(), "{:#?}", why(&here, peer).await);
}

async fn rate_limit(userns: &Userns) {
    let nat = NatType::PortRestricted;
    let hosts = ["here", "a", "b", "c", "d"].map(|host| (host, "east", nat));
    let lab = build(userns, &[("east", 1)], &hosts).await;
    lab.start_node("east-1").await.unwrap();
    let mut feeds = Vec::new();
    for (host, ..) in hosts {
        feeds.push(lab.start_passive(host).await.unwrap());
    }
    let here = &feeds[0];
    let mut peers = Vec::new();
    for (host, ..) in &hosts[1..] {
        peers.push(lab.peer_id(host).await.unwrap());
    }
    until(here, "records", |s| peers.iter().all(|p| s.peer(p).is_some())).await;
    for feed in &feeds {
        until_links(feed, 1).await;
    }
    for peer in &peers[..3] {
        let outcome = order(here, Order::Punch { peer: *peer }).await;
        assert!(outcome.result.is_ok(), "{outcome:?}");
    }
    let (last, east) = (peers[3], lab.peer_id("east-1").await.unwrap());
    here.commands.try_send(Order::Punch { peer: last }).unwrap();
    until(here, "refusal", |s| {
        let towards = |a: &&Arc<punchdeck::model::Attempt>| a.peer_id == Some(last);
        s.attempts
            .live
            .iter()
            .find(towards)
            .is_some_and(|a| a.stages.iter().any(|s| s.outcome == StageOutcome::Failed))
    })
    .await;
    let found = why(here, last).await;
    assert!(found.verdict_words().contains("coordinates no further punch for us just now"), "{found:#?}");
    assert!(found.verdict_words().contains("rate limit"), "{found:#?}");
    assert!(
        has(&found.evidence_words(), &format!("{}, by its account: connected to it", east.short())),
        "{found:#?}"
    );
    assert!(
        says(&found, east, "punch refused: too many, punch rate of a requester"),
        "its account: {found:#?}"
    );
    assert_eq!((found.confidence.level, found.next[0]), (Sureness::High, NextAction::Punch));
    let outcome = order(here, Order::Punch { peer: last }).await;
    assert!(outcome.result.is_ok(), "by then it takes one more: {outcome:?}");
}

async fn offline(userns: &Userns) {
    let nat = NatType::PortRestricted;
    let lab = build(userns, &[("east", 3)], &[("here", "east", nat), ("there", "east", nat)]).await;
    let mut public = Vec::new();
    for n in 1..=3 {
        public.push(lab.start_node(&format!("east-{n}")).await.unwrap());
    }
    let here = lab.start_passive("here").await.unwrap();
    let there = lab.start_passive("there").await.unwrap();
    until_measured(&here, nat).await;
    until_measured(&there, nat).await;
    let peer = lab.peer_id("there").await.unwrap();
    until_known(&here, peer, nat).await;
    assert!(order(&here, Order::Connect { peer }).await.result.is_ok());
    lab.kill_node("there").await.unwrap();
    until_gone(&here, peer).await;
    for feed in &public {
        until_gone(feed, peer).await;
    }
    is_unreachable(&here, peer).await;
    let found = why(&here, peer).await;
    assert!(found.verdict_words().starts_with("It is offline, most likely"), "{found:#?}");
    assert!(found.verdict_words().contains("UDP blocked, it would look the same"), "{found:#?}");
    assert!(has(&found.evidence_words(), "by its account: its link to it fell silent"), "{found:#?}");
    assert!(has(&found.evidence_words(), "our last link to it ended"), "{found:#?}");
    assert_eq!(
        (found.confidence.level, found.next[0]),
        (Sureness::Medium, NextAction::Connect),
        "{found:#?}"
    );
    lab.start_passive("there").await.unwrap();
    until(&public[0], "its return", |s| s.link(&peer).is_some()).await;
    assert!(order(&here, Order::Connect { peer }).await.result.is_ok());
}

async fn another_network(userns: &Userns) {
    let lab = build(userns, &[("east", 3)], &[]).await;
    lab.start_node("east-1").await.unwrap();
    let here = lab.start_passive("east-2").await.unwrap();
    lab.start_passive("east-3").await.unwrap();
    let peer = lab.peer_id("east-3").await.unwrap();
    until(&here, "record", |s| s.peer(&peer).is_some()).await;
    lab.kill_node("east-3").await.unwrap();
    until_gone(&here, peer).await;
    lab.start_in("east-3", "elsewhere").await.unwrap();
    is_unreachable(&here, peer).await;
    let found = why(&here, peer).await;
    assert!(found.verdict_words().contains("belongs to another network"), "{found:#?}");
    assert!(has(&found.evidence_words(), "ended it: closed: another network"), "{found:#?}");
    assert_eq!((found.confidence.level, found.next[0]), (Sureness::High, NextAction::Connect), "{found:#?}");
    lab.stop_node("east-3").await.unwrap();
    lab.move_port("east-3", 47_000).await.unwrap();
    lab.start_passive("east-3").await.unwrap();
    assert!(order(&here, Order::Connect { peer }).await.result.is_ok() || linked(&here, peer));
}

async fn blocked_here(userns: &Userns) {
    let lab = build(userns, &[("east", 4)], &[]).await;
    for n in 1..=3 {
        lab.start_node(&format!("east-{n}")).await.unwrap();
    }
    let here = lab.start_passive("east-4").await.unwrap();
    until_links(&here, 3).await;
    let peer = lab.peer_id("east-2").await.unwrap();
    // Whoever has no NAT answers for itself when it is knocked at.
    for n in 1..=3 {
        until_known(&here, lab.peer_id(&format!("east-{n}")).await.unwrap(), NatType::None).await;
    }
    block_udp(&lab, "east-4").await;
    until(&here, "silence", |s| s.links.is_empty()).await;
    is_unreachable(&here, peer).await;
    let found = why_at_rest(&here, peer).await;
    assert!(found.verdict_words().starts_with("UDP is blocked on our side"), "{found:#?}");
    assert!(
        has(&found.evidence_words(), "UDP stays silent, TCP is refused, so its host is up"),
        "{found:#?}"
    );
    assert!(has(&found.evidence_words(), "we have no link to anybody; 3 fell silent"), "{found:#?}");
    assert_eq!((found.confidence.level, found.next[0]), (Sureness::High, NextAction::Connect), "{found:#?}");
    open_udp(&lab, "east-4").await;
    assert!(order(&here, Order::Connect { peer }).await.result.is_ok() || linked(&here, peer));
}

async fn blocked_there(userns: &Userns) {
    let lab = build(userns, &[("east", 4)], &[]).await;
    let mut public = Vec::new();
    for n in 1..=3 {
        public.push(lab.start_node(&format!("east-{n}")).await.unwrap());
    }
    let here = lab.start_passive("east-4").await.unwrap();
    until_links(&here, 3).await;
    let peer = lab.peer_id("east-3").await.unwrap();
    until_known(&here, peer, NatType::None).await;
    block_udp(&lab, "east-3").await;
    for feed in [&public[0], &public[1], &here] {
        until_gone(feed, peer).await;
    }
    is_unreachable(&here, peer).await;
    let found = why(&here, peer).await;
    assert!(found.verdict_words().starts_with("UDP is blocked on its side"), "{found:#?}");
    assert!(
        has(&found.evidence_words(), "UDP stays silent, TCP is refused, so its host is up"),
        "{found:#?}"
    );
    assert_eq!((found.confidence.level, found.next[0]), (Sureness::High, NextAction::Connect), "{found:#?}");
    open_udp(&lab, "east-3").await;
    assert!(order(&here, Order::Connect { peer }).await.result.is_ok() || linked(&here, peer));
}

async fn out_of_date(userns: &Userns) {
    let lab = build(userns, &[("east", 1), ("west", 1), ("south", 1)], &[]).await;
    lab.start_node("east-1").await.unwrap();
    let here = lab.start_passive("west-1").await.unwrap();
    lab.start_passive("south-1").await.unwrap();
    let peer = lab.peer_id("south-1").await.unwrap();
    until(&here, "record", |s| s.peer(&peer).is_some()).await;
    if !linked(&here, peer) {
        assert!(order(&here, Order::Connect { peer }).await.result.is_ok());
    }
    let old = lab.addr("south-1").await.unwrap();
    lab.kill_node("south-1").await.unwrap();
    until_gone(&here, peer).await;
    is_unreachable(&here, peer).await;
    lab.move_port("south-1", 47_000).await.unwrap();
    let new = lab.addr("south-1").await.unwrap();
    // It cannot dial us by itself, and tells the first one where it is.
    lab.cut_link("west", "south", true).await.unwrap();
    let there = lab.start_bootstrap_only("south-1").await.unwrap();
    until_links(&there, 1).await;
    until(&here, "new record", |s| s.peer(&peer).is_some_and(|p| p.addresses.contains(&new))).await;
    let found = why(&here, peer).await;
    let verdict = format!("It has moved: we dialled {old}, which is out of date; it is at {new} now.");
    assert_eq!(found.verdict_words(), verdict, "{found:#?}");
    assert!(has(&found.evidence_words(), &format!("nothing came back from {old}")), "{found:#?}");
    assert!(has(&found.evidence_words(), &format!("its record says {new} since")), "{found:#?}");
    assert_eq!((found.confidence.level, found.next[0]), (Sureness::High, NextAction::Connect), "{found:#?}");
    lab.cut_link("west", "south", false).await.unwrap();
    let outcome = order(&here, Order::Connect { peer }).await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
}
