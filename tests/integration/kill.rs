//! kill -9 in the middle of saves, again and again: what a completed save had
//! is there at the next start, and so is the identity.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::core::wire::{Delta, Message, Record};
use punchdeck::model::PeerId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify;
use tempfile::tempdir;

use super::binary::Process;
use super::hostile::peer::{Saying, Scripted};
use super::support::{PATIENCE, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("kill_9_in_the_middle_of_saves_costs_neither_identity_nor_cache", kill_in_saves)]
}

/// Rounds at least, and kills at least that cut a save short.
const ROUNDS: u32 = 20;
const CUT: u32 = 3;
/// One source may tell of that many peers before its share is bounded.
const FIRST: usize = 480;
/// A save follows a change by less.
const SAVED_WITHIN: Duration = Duration::from_millis(1200);

async fn kill_in_saves() {
    let home = tempdir().unwrap();
    let data = home.path().join("data");
    let seed = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut identity, mut known, mut cut) = (None, BTreeSet::new(), 0);
    let mut round = 0;
    while round < ROUNDS || cut < CUT || known.len() < FIRST {
        assert!(round < 5 * ROUNDS, "{} peers after {cut} saves cut short", known.len());
        let about = format!("round {round} of seed {seed}");
        let mut process = Process::node(&data);
        let (addr, cached) = process.started().await;
        assert!(cached >= known.len(), "{about}: {cached} of {} peers", known.len());
        let peer = Scripted::linked_at(addr).await;
        assert_eq!(*identity.get_or_insert(peer.them), peer.them, "{about}");

        let (mut saying, reading) = peer.read_on();
        let reading = tokio::spawn(reading);
        if known.len() < FIRST {
            for _ in 0..FIRST / 30 {
                saying.say(news(&mut rng, 30)).await;
            }
        }
        let saves = Saves::watch(&data);
        let patience = Duration::from_micros(rng.random_range(0..2_000));
        let any_time = SAVED_WITHIN.mul_f64(rng.random_range(0.0..1.0));
        let moment = async {
            if round % 2 == 0 {
                tokio::time::sleep(any_time).await;
            } else {
                saves.begun().await;
                tokio::time::sleep(patience).await;
            }
        };
        tokio::select! {
            () = moment => {}
            never = feed(&mut saying, &mut rng) => match never {},
        }
        let saved = saved_peers(&data);
        let said = process.kill().await;
        reading.abort();

        assert!(!said.iter().any(|l| l.contains("cache.set_aside")), "{about}: {said:#?}");
        cut += u32::from(unfinished(&data).iter().any(|p| p.exists()));
        let now = saved_peers(&data);
        assert!(now.is_superset(&saved) && saved.is_superset(&known), "{about}: a save lost peers");
        known = now;
        round += 1;
    }
    let damaged = |dir: PathBuf| {
        let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name());
        entries.filter(|name| name.to_string_lossy().contains(".damaged")).count()
    };
    assert_eq!(damaged(data.join("cache")) + damaged(data), 0);
}

/// New peers, a few at a time, for ever.
async fn feed(saying: &mut Saying, rng: &mut StdRng) -> std::convert::Infallible {
    loop {
        saying.say(news(rng, 1)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn news(rng: &mut StdRng, count: usize) -> Message {
    let record =
        |_| Record { addresses: vec![([127, 0, 0, 1], 2001).into()], ..Record::new(PeerId(rng.random()), 1) };
    Message::Delta(Delta { added: (0..count).map(record).collect(), removed: vec![] })
}

/// The peers of the last completed save.
fn saved_peers(data: &Path) -> BTreeSet<String> {
    let Ok(text) = fs::read_to_string(data.join("cache/peers.json")) else { return BTreeSet::new() };
    let file: serde_json::Value = serde_json::from_str(&text).expect("a name that is read has a whole file");
    let peers = file["content"]["peers"].as_array().unwrap().iter();
    peers.map(|entry| entry["peer"].as_str().unwrap().to_owned()).collect()
}

/// What a save has on disk as long as it runs.
fn unfinished(data: &Path) -> [PathBuf; 3] {
    ["staging/bootstrap_cache.tmp", "staging/bootstrap_cache.json", ".peers.json.tmp"]
        .map(|name| data.join("cache").join(name))
}

/// Tells when a save begins.
struct Saves(OwnedFd);

impl Saves {
    fn watch(data: &Path) -> Self {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&fd, data.join("cache/staging"), inotify::WatchFlags::CREATE).unwrap();
        Self(fd)
    }

    async fn begun(self) {
        let wait = move || {
            let patience = Timespec::try_from(PATIENCE).unwrap();
            poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&patience)).unwrap()
        };
        assert_eq!(tokio::task::spawn_blocking(wait).await.unwrap(), 1, "no save begins");
    }
}
