//! A disk without room, as a small file system in a mount namespace of its own.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::core::wire::{Delta, Message, Record};
use punchdeck::model::PeerId;
use rustix::process::Signal;
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::binary::{Process, as_node, refused, settled};
use super::hostile::peer::Scripted;
use super::support::{ignored, trial};

pub fn trials() -> Vec<Trial> {
    let registry = "a_registry_without_room_answers_507_and_has_what_it_acknowledged";
    let (survives, first) = (
        "a_full_disk_is_survived_with_cache_and_identity_even_by_kill_9",
        "a_disk_that_is_full_at_the_first_start_is_no_start_and_leaves_no_key",
    );
    match Disk::mount() {
        Ok(disk) => {
            drop(disk);
            vec![
                trial(survives, survives_full_disk),
                trial(first, full_at_first_start),
                trial(registry, registry_without_room),
            ]
        }
        Err(why) => {
            let why = format!("no small file system: {why}");
            [survives, first, registry].map(|name| ignored(name, &why)).into()
        }
    }
}

const END: Duration = Duration::from_secs(2);

async fn survives_full_disk() {
    let disk = Disk::mount().unwrap();
    let mut process = disk.node();
    let (addr, _) = process.started().await;
    let mut peer = Scripted::linked_at(addr).await;
    let identity = peer.them;
    peer.say(news(1)).await;
    disk.until_saved(&PeerId([1; 32])).await;

    disk.fill();
    peer.say(news(2)).await;
    let failed = process.line("cache.save_failed").await;
    assert!(failed.contains("No space left on device"), "{failed}");
    // It is as alive as before: it answers, and tries again.
    let mut other = Scripted::linked_at(addr).await;
    other.say(news(3)).await;
    process.line("cache.save_failed").await;

    disk.free();
    process.line("cache.saved_again").await;
    disk.until_saved(&PeerId([2; 32])).await;
    disk.until_saved(&PeerId([3; 32])).await;

    disk.fill();
    other.say(news(4)).await;
    process.line("cache.save_failed").await;
    process.kill().await;

    // With the disk still full, and then with room again.
    for full in [true, false] {
        if !full {
            disk.free();
        }
        let mut process = disk.node();
        let (addr, cached) = process.started().await;
        assert!(cached >= 5, "three it was told of and two it met, not {cached}");
        assert_eq!(Scripted::linked_at(addr).await.them, identity);
        process.signal(Signal::TERM);
        let (status, said) = process.ended(END).await;
        assert_eq!(status.code(), Some(0), "{said:#?}");
        assert!(!said.iter().any(|l| l.contains("cache.set_aside")), "{said:#?}");
    }
}

async fn full_at_first_start() {
    let disk = Disk::mount().unwrap();
    disk.fill();
    let why = refused(disk.node_command()).await;
    assert!(why.contains("identity.key") && why.contains("No space left on device"), "{why}");
    let left: Vec<_> = fs::read_dir(disk.data()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "lock"), "{left:?}");
    disk.free();
    let mut process = disk.node();
    process.started().await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended(END).await.0.code(), Some(0));
}

async fn registry_without_room() {
    let disk = Disk::mount().unwrap();
    // In a process of its own: SQLite would see through the path from outside.
    let mut process = disk.enter();
    process.args(["registry", "--listen", "127.0.0.1:0", "--db"]).arg(disk.home.path().join("registry.db"));
    process.env("HOME", disk.home.path()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = process.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let base = lines.next_line().await.unwrap().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{base}api/v1/reports");
    let post = async |from: u64| {
        let request = client.post(&url).header("content-type", "application/json");
        request.body(reports(from).to_string()).send().await.unwrap()
    };
    let stored = async || {
        let kpi = client.get(format!("{base}api/v1/kpi")).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<serde_json::Value>(&kpi).unwrap()["attempts"].as_u64().unwrap()
    };
    assert_eq!(post(0).await.status().as_u16(), 200);
    disk.fill();
    let mut acknowledged = BATCH;
    let refused = loop {
        let answer = post(acknowledged).await;
        if answer.status().as_u16() != 200 {
            break answer;
        }
        acknowledged += BATCH;
    };
    assert_eq!(refused.status().as_u16(), 507);
    let said: serde_json::Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!((&said["schema"], &said["error"]["code"]), (&1.into(), &"not_stored".into()), "{said}");
    assert_eq!(stored().await, acknowledged);

    disk.free();
    assert_eq!(post(acknowledged).await.status().as_u16(), 200);
    assert_eq!(stored().await, acknowledged + BATCH);
}

/// Reports in one of these batches.
const BATCH: u64 = 200;

fn reports(from: u64) -> serde_json::Value {
    let report = |seq: u64| {
        serde_json::json!({
            "id": format!("{:016x}{seq:016x}", 1), "age_ms": 0, "kind": "attempt", "attempt": seq,
            "peer": PeerId([9; 32]), "cause": "gossip", "outcome": "connected", "path": "direct",
            "elapsed_ms": 5, "own_nat": "none", "peer_nat": "none", "reason": null,
        })
    };
    serde_json::json!({
        "schema": 1,
        "reporter": { "peer_id": PeerId([8; 32]), "name": "a", "version": "0", "network": "test" },
        "reports": (from..from + BATCH).map(report).collect::<Vec<_>>(),
    })
}

fn news(n: u8) -> Message {
    let record = Record { addresses: vec![([127, 0, 0, 1], 2001).into()], ..Record::new(PeerId([n; 32]), 1) };
    Message::Delta(Delta { added: vec![record], removed: vec![] })
}

/// A file system of a megabyte, mounted for one process tree, which a shell
/// that waits keeps there.
struct Disk {
    home: TempDir,
    keeper: Child,
    /// Whether the namespace is another user's, too.
    user: bool,
}

impl Disk {
    /// As root in a mount namespace, else with a user namespace around it.
    fn mount() -> Result<Self, String> {
        Self::mount_with(false).or_else(|_| Self::mount_with(true))
    }

    fn mount_with(user: bool) -> Result<Self, String> {
        const SCRIPT: &str = "mount -t tmpfs -o size=1m,mode=700 tmpfs \"$1\" && echo mounted && read -r _";
        let home = tempdir().map_err(|e| e.to_string())?;
        let mut unshare = Command::new("unshare");
        unshare.args(if user { &["--mount", "--map-root-user"][..] } else { &["--mount"] });
        unshare.args(["sh", "-c", SCRIPT, "sh"]).arg(home.path());
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = unshare.spawn().map_err(|e| format!("unshare: {e}"))?;
        let mut said = [0; 8];
        match keeper.stdout.take().unwrap().read_exact(&mut said) {
            Ok(()) => Ok(Self { home, keeper, user }),
            Err(_) => {
                let output = keeper.wait_with_output().map_err(|e| e.to_string())?;
                Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "))
            }
        }
    }

    /// A path on the disk, as seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(self.home.path().strip_prefix("/").unwrap()).join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The program, where the disk is.
    fn enter(&self) -> tokio::process::Command {
        let mut enter = tokio::process::Command::new("nsenter");
        enter.args(["--mount", "--target", &self.keeper.id().to_string()]);
        if self.user {
            enter.args(["--user", "--preserve-credentials"]);
        }
        enter.arg(env!("CARGO_BIN_EXE_punchdeck"));
        settled(enter, Path::new("/"))
    }

    fn node_command(&self) -> tokio::process::Command {
        as_node(self.enter(), &self.home.path().join("data"))
    }

    fn node(&self) -> Process {
        Process::start(self.node_command())
    }

    /// Leaves no byte of room.
    fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.path("filler")).unwrap();
        let mut block = &[0; 4096][..];
        loop {
            match filler.write(block) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::StorageFull && block.len() > 1 => block = &block[..1],
                Err(e) if e.kind() == ErrorKind::StorageFull => return,
                Err(e) => panic!("{e}"),
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }

    /// Waits until a completed save has the peer.
    async fn until_saved(&self, peer: &PeerId) {
        let saved = async {
            let id = peer.to_string();
            let read = || fs::read_to_string(self.path("data/cache/peers.json")).unwrap_or_default();
            while !read().contains(&id) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(super::support::PATIENCE, saved).await.expect("it is not saved");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
