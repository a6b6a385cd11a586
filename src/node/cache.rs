//! The peer cache on disk: ant-quic's file and ours, checked before they are
//! opened and saved in one pass.
//!
//! The library saves without fsync and silently starts empty on a damaged
//! file. So it works in a staging directory; what counts lies beside it and
//! only whole, synced files get there. Our own file holds what the library has
//! no field for, and enough to do without the library's: losing either loses
//! no peer.
//!
//! Every file is checked whole. Ours bear a checksum; the library's has one that
//! covers no more than who is in it, so ours bears that of the library's file, too.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ant_quic::{BootstrapCache, BootstrapCacheConfig, CacheNatType, CachedPeer, PeerSource};
use serde::{Deserialize, Serialize};

use super::disk;
use crate::core::book::{CacheEntry, NameUse};
use crate::core::engine::Unsaved;
use crate::core::kpi::History;
use crate::core::limits::OWN_VERSION_MAX;
use crate::core::wire::Record;
use crate::files::sealed::{self, Found};
use crate::files::{Unfit, read};
use crate::model::{NatType, PeerId, Source, Stamp, clean};

/// The library's file.
const LIBRARY_FILE: &str = "bootstrap_cache.json";
/// Ours.
const OWN_FILE: &str = "peers.json";
/// The attempts that the figures are made from.
const HISTORY_FILE: &str = "attempts.json";
/// Where the library writes.
const STAGING: &str = "staging";

/// The cache of one data directory.
#[derive(Debug, Clone)]
pub(super) struct CacheFiles {
    dir: PathBuf,
}

/// What was found at start.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// The peers of our own file.
    pub own: OwnFile,
    /// The attempts that count.
    pub history: Option<History>,
    /// Damaged files that were set aside: name and what is wrong.
    pub set_aside: Vec<(String, String)>,
}

/// What we keep beside the library's file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnFile {
    /// The format.
    schema: u32,
    /// The version of our own record.
    pub own_version: u64,
    /// Whom to dial first.
    #[serde(default)]
    pub anchors: Vec<PeerId>,
    /// Who was linked here under which name.
    #[serde(default)]
    pub names: Vec<NameUse>,
    /// Version 0.1 tested itself with throw-away identities, which the library
    /// took down as peers. They are read so that they can be forgotten.
    #[serde(default, skip_serializing)]
    strangers: Vec<PeerId>,
    /// The checksums that the library's file may have: the one that was about to be
    /// written, and the one before it, as a kill may come between the two files.
    #[serde(default)]
    library: Vec<String>,
    /// The peers.
    pub peers: Vec<CacheEntry>,
}

impl OwnFile {
    /// Without a version that no record of ours can have: the next one would be none.
    /// The peers that we link to take our word for whatever comes instead.
    fn sane(mut self) -> Self {
        if self.own_version > OWN_VERSION_MAX {
            tracing::warn!(version = self.own_version, "the version of our own record begins anew");
            self.own_version = 0;
        }
        self
    }
}

/// The attempts that count, as they stand on disk.
#[derive(Serialize, Deserialize)]
struct HistoryFile {
    /// The format.
    schema: u32,
    #[serde(flatten)]
    history: History,
}

const SCHEMA: u32 = 1;
/// Three times what the largest cache takes; a larger file was not written by us.
const FILE_MAX: u64 = 64 * 1024 * 1024;

/// Longer than any uptime: whatever the library would do by itself at this
/// interval, we do ourselves.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// The library's own limit stands above ours, so that it never evicts.
const LIBRARY_MAX: usize = 100_000;

/// Opens the library's cache on what [`CacheFiles::prepare`] found whole.
pub(super) async fn open_library(files: &CacheFiles) -> io::Result<Arc<BootstrapCache>> {
    let config = BootstrapCacheConfig::builder()
        .cache_dir(files.staging())
        .min_peers_to_save(1)
        .max_peers(LIBRARY_MAX)
        .stale_threshold(NEVER)
        .save_interval(NEVER)
        .cleanup_interval(NEVER)
        .quality_update_interval(NEVER)
        .enable_file_locking(false)
        .build();
    BootstrapCache::open(config).await.map(Arc::new)
}

/// The fields of the library's file that its checksum covers.
#[derive(Deserialize)]
struct LibraryFile {
    version: u32,
    peers: BTreeMap<String, serde_json::Value>,
    checksum: u64,
}

impl CacheFiles {
    /// The files under a data directory.
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("cache") }
    }

    /// Where they are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the library works.
    pub(super) fn staging(&self) -> PathBuf {
        self.dir.join(STAGING)
    }

    /// Checks the files, sets damaged ones aside, puts the library's where
    /// the library looks, and reads ours.
    pub(super) fn prepare(&self) -> io::Result<Loaded> {
        disk::create_private_dir(&self.staging())?;
        let mut loaded = Loaded::default();
        let staged = self.staging().join(LIBRARY_FILE);
        // What a killed save left there was never the truth.
        let _ = fs::remove_file(&staged);
        let own = self.dir.join(OWN_FILE);
        match read(&own)?.map(|found| found.and_then(|bytes| parse_own(&bytes))) {
            None => {}
            Some(Ok(file)) => loaded.own = file,
            Some(Err(detail)) => Self::put_aside(&own, detail, &mut loaded)?,
        }
        let library = self.dir.join(LIBRARY_FILE);
        let sums = &loaded.own.library;
        match read(&library)?.map(|found| found.and_then(|bytes| check_library(&bytes, sums))) {
            None => {}
            Some(Ok(())) => stage(&library, &staged)?,
            Some(Err(detail)) => Self::put_aside(&library, detail, &mut loaded)?,
        }
        let history = self.dir.join(HISTORY_FILE);
        match read(&history)?.map(|found| found.and_then(|bytes| parse_history(&bytes))) {
            None => {}
            Some(Ok(found)) => loaded.history = Some(found),
            Some(Err(detail)) => Self::put_aside(&history, detail, &mut loaded)?,
        }
        Ok(loaded)
    }

    fn put_aside(path: &Path, detail: String, loaded: &mut Loaded) -> io::Result<()> {
        let aside = disk::set_aside(path, &detail)?;
        let name = aside.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        loaded.set_aside.push((name, detail));
        Ok(())
    }

    /// Saves what is new: each file is whole on disk before it gets its name.
    pub(super) async fn save(&self, library: Arc<BootstrapCache>, unsaved: Unsaved) -> io::Result<()> {
        for (peer, entry) in unsaved.changed {
            match entry {
                Some(entry) => store(&library, &entry).await,
                None => drop(library.remove(&ant_quic::PeerId(peer.0)).await),
            }
        }
        let own = OwnFile {
            schema: SCHEMA,
            own_version: unsaved.own_version,
            anchors: unsaved.anchors,
            names: unsaved.names,
            strangers: Vec::new(),
            library: Vec::new(),
            peers: unsaved.all,
        };
        let history = unsaved.history.map(|history| HistoryFile { schema: SCHEMA, history });
        let this = self.clone();
        let runtime = tokio::runtime::Handle::current();
        // The library writes its file where it is called; that must not be
        // where QUIC's timers run.
        let work = tokio::task::spawn_blocking(move || {
            runtime.block_on(library.save())?;
            this.commit(own, history.as_ref())
        });
        work.await.map_err(io::Error::other)?
    }

    fn commit(&self, mut own: OwnFile, history: Option<&HistoryFile>) -> io::Result<()> {
        let (staged, library) = (self.staging().join(LIBRARY_FILE), self.dir.join(LIBRARY_FILE));
        // The library writes no file for an empty cache.
        let is_staged = staged.exists();
        for file in [&staged, &library].into_iter().filter(|file| file.exists()) {
            own.library.push(sealed::sum(&read::bytes(file, FILE_MAX)?));
        }
        if let Some(history) = history {
            let json = serde_json::to_vec(history)?;
            disk::write_atomic(&self.dir.join(HISTORY_FILE), &sealed::seal(&json), disk::FILE_MODE)?;
        }
        let json = serde_json::to_vec_pretty(&own)?;
        disk::write_atomic(&self.dir.join(OWN_FILE), &sealed::seal(&json), disk::FILE_MODE)?;
        if is_staged {
            File::open(&staged)?.sync_all()?;
            fs::rename(&staged, &library)?;
            disk::sync_dir_of(&library)?;
        }
        Ok(())
    }
}

/// Both files' peers as one list: ours where it has the peer, else the
/// library's. It forgets those who are none.
pub(super) async fn merge(library: &BootstrapCache, own: &OwnFile) -> Vec<CacheEntry> {
    for stranger in &own.strangers {
        library.remove(&ant_quic::PeerId(stranger.0)).await;
    }
    let mut all: BTreeMap<PeerId, CacheEntry> = own.peers.iter().map(|e| (e.peer, e.clone())).collect();
    for cached in library.all_peers().await {
        let peer = PeerId(cached.peer_id.0);
        all.entry(peer).or_insert_with(|| from_library(peer, &cached));
    }
    all.into_values().collect()
}

/// Brings the library's cache up to what we know of a peer, leaving alone what
/// only the library knows: its token and its evidence.
async fn store(library: &BootstrapCache, entry: &CacheEntry) {
    let id = ant_quic::PeerId(entry.peer.0);
    let mut cached = match library.get(&id).await {
        Some(cached) => cached,
        None => CachedPeer::new(id, Vec::new(), PeerSource::Unknown),
    };
    if let Some(record) = &entry.record {
        cached.addresses.clone_from(&record.addresses);
        cached.capabilities.nat_type = Some(nat_to_library(record.nat));
    }
    if let Some(addr) = entry.measured.reached_at.filter(|a| !cached.addresses.contains(a)) {
        cached.addresses.insert(0, addr);
    }
    cached.source = match entry.source {
        Source::Bootstrap => PeerSource::Seed,
        Source::Gossip => PeerSource::Merge,
        Source::Inbound => PeerSource::Connection,
        Source::Cache => cached.source,
    };
    if let Some(seen) = entry.seen.max(entry.measured.last_contact) {
        cached.last_seen = time(seen);
    }
    cached.stats.success_count = entry.measured.successes;
    cached.stats.failure_count = entry.measured.attempts.saturating_sub(entry.measured.successes);
    if let Some(rtt) = entry.measured.rtt_ms {
        cached.stats.avg_rtt_ms = rtt.round() as u32;
    }
    library.upsert(cached).await;
}

fn from_library(peer: PeerId, cached: &CachedPeer) -> CacheEntry {
    let stats = &cached.stats;
    let mut entry = CacheEntry::bare(peer, Source::Cache, stamp(cached.first_seen));
    let mut record = Record::new(peer, 0);
    record.addresses = cached.preferred_addresses();
    record.nat = cached.capabilities.nat_type.map_or(NatType::Unknown, nat_from_library);
    entry.record = Some(record);
    entry.seen = Some(stamp(cached.last_seen));
    entry.measured.attempts = stats.success_count.saturating_add(stats.failure_count);
    entry.measured.successes = stats.success_count;
    entry.measured.rtt_ms = (stats.avg_rtt_ms > 0).then(|| f64::from(stats.avg_rtt_ms));
    entry.measured.tried = stats.success_count > 0;
    entry
}

fn nat_to_library(nat: NatType) -> CacheNatType {
    match nat {
        NatType::None => CacheNatType::None,
        NatType::FullCone => CacheNatType::FullCone,
        NatType::AddressRestricted => CacheNatType::AddressRestrictedCone,
        NatType::PortRestricted => CacheNatType::PortRestrictedCone,
        NatType::Symmetric => CacheNatType::Symmetric,
        NatType::Unknown => CacheNatType::Unknown,
    }
}

fn nat_from_library(nat: CacheNatType) -> NatType {
    match nat {
        CacheNatType::None => NatType::None,
        CacheNatType::FullCone => NatType::FullCone,
        CacheNatType::AddressRestrictedCone => NatType::AddressRestricted,
        CacheNatType::PortRestrictedCone => NatType::PortRestricted,
        CacheNatType::Symmetric => NatType::Symmetric,
        CacheNatType::Unknown => NatType::Unknown,
    }
}

fn time(stamp: Stamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(stamp.0).unwrap_or(0))
}

fn stamp(time: SystemTime) -> Stamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Puts the library's file where the library looks. The library never writes
/// into the file it reads, it renames a new one over it: a second name does,
/// and needs no room on a disk that is full.
fn stage(library: &Path, staged: &Path) -> io::Result<()> {
    fs::hard_link(library, staged).or_else(|_| fs::copy(library, staged).map(drop))
}

/// What is in a file, or why that is none of ours; nothing where there is no file.
fn read(path: &Path) -> io::Result<Option<Result<Vec<u8>, String>>> {
    match read::bytes(path, FILE_MAX) {
        Ok(bytes) => Ok(Some(Ok(bytes))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Unfit::of(&e).map_or(Err(e), |why| Ok(Some(Err(why.to_string())))),
    }
}

/// What a version without checksums wrote is read as it is.
fn unseal(bytes: &[u8]) -> Result<&[u8], String> {
    match sealed::open(bytes) {
        Found::Whole(content) | Found::Bare(content) => Ok(content),
        Found::Damaged => Err("its checksum is wrong".to_owned()),
    }
}

fn parse_own(bytes: &[u8]) -> Result<OwnFile, String> {
    let file: OwnFile = serde_json::from_slice(unseal(bytes)?).map_err(|e| clean(&e.to_string()))?;
    if file.schema != SCHEMA {
        return Err(format!("its format is {}, not {SCHEMA}", file.schema));
    }
    Ok(file.sane())
}

fn parse_history(bytes: &[u8]) -> Result<History, String> {
    let file: HistoryFile = serde_json::from_slice(unseal(bytes)?).map_err(|e| clean(&e.to_string()))?;
    let schema = file.schema;
    if schema == SCHEMA { Ok(file.history) } else { Err(format!("its format is {schema}, not {SCHEMA}")) }
}

/// Whether the file is the one that we saved, and the library would read it and
/// believe it. Without sums of ours (`sums` is empty) its own must do.
fn check_library(bytes: &[u8], sums: &[String]) -> Result<(), String> {
    if !sums.is_empty() && !sums.contains(&sealed::sum(bytes)) {
        return Err("it is not as it was saved".to_owned());
    }
    let file: LibraryFile = serde_json::from_slice(bytes).map_err(|e| clean(&e.to_string()))?;
    for (id, peer) in &file.peers {
        serde_json::from_value::<CachedPeer>(peer.clone()).map_err(|e| format!("peer {id}: {e}"))?;
    }
    let mut ids = Vec::with_capacity(file.peers.len());
    for id in file.peers.keys() {
        ids.push(id.parse::<PeerId>().map_err(|e| e.to_string())?.0);
    }
    // The library's own checksum, the same way.
    let mut hasher = DefaultHasher::new();
    file.version.hash(&mut hasher);
    ids.len().hash(&mut hasher);
    ids.sort_unstable();
    for id in &ids {
        id.hash(&mut hasher);
    }
    if hasher.finish() == file.checksum { Ok(()) } else { Err("its checksum is wrong".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache of two peers, saved.
    async fn saved() -> (tempfile::TempDir, CacheFiles) {
        let dir = tempfile::tempdir().unwrap();
        let files = CacheFiles::new(dir.path());
        save(&files, 7).await;
        (dir, files)
    }

    async fn save(files: &CacheFiles, own_version: u64) {
        let entry = |n| {
            let record = Record { name: format!("node-{n}"), ..Record::new(PeerId([n; 32]), 3) };
            CacheEntry { record: Some(record), ..CacheEntry::bare(PeerId([n; 32]), Source::Gossip, Stamp(1)) }
        };
        let all = vec![entry(1), entry(2)];
        let changed = all.iter().map(|e| (e.peer, Some(e.clone()))).collect();
        let history = Some(History::new(Stamp(5)));
        files.prepare().unwrap();
        let library = open_library(files).await.unwrap();
        files
            .save(
                library,
                Unsaved {
                    own_version,
                    anchors: vec![PeerId([1; 32])],
                    names: Vec::new(),
                    all,
                    changed,
                    history,
                },
            )
            .await
            .unwrap();
    }

    /// Whether a file is whole.
    type Check<'a> = &'a dyn Fn(&[u8]) -> Result<(), String>;

    #[tokio::test]
    async fn every_flipped_bit_of_every_file_is_noticed() {
        let (_dir, files) = saved().await;
        let bytes = |name: &str| fs::read(files.dir.join(name)).unwrap();
        let own = bytes(OWN_FILE);
        let sums = parse_own(&own).unwrap().library;
        assert!(!sums.is_empty());
        let of_library = |bytes: &[u8]| check_library(bytes, &sums);
        let of_own = |bytes: &[u8]| parse_own(bytes).map(drop);
        let of_history = |bytes: &[u8]| parse_history(bytes).map(drop);
        let files: [(Vec<u8>, Check<'_>); 3] =
            [(own, &of_own), (bytes(LIBRARY_FILE), &of_library), (bytes(HISTORY_FILE), &of_history)];
        for (mut bytes, check) in files {
            check(&bytes).unwrap();
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(check(&bytes).is_err(), "bit {bit}: {}", String::from_utf8_lossy(&bytes));
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[tokio::test]
    async fn files_without_a_checksum_are_read_once_and_bear_one_from_then_on() {
        let (_dir, files) = saved().await;
        for name in [OWN_FILE, HISTORY_FILE] {
            let path = files.dir.join(name);
            let sealed = fs::read(&path).unwrap();
            fs::write(&path, unseal(&sealed).unwrap()).unwrap();
        }
        let loaded = files.prepare().unwrap();
        assert_eq!((loaded.own.own_version, loaded.own.peers.len()), (7, 2));
        assert!(loaded.history.is_some() && loaded.set_aside.is_empty());
        save(&files, 8).await;
        for name in [OWN_FILE, HISTORY_FILE] {
            let bytes = fs::read(files.dir.join(name)).unwrap();
            assert!(matches!(sealed::open(&bytes), Found::Whole(_)), "{name}");
        }
    }

    #[tokio::test]
    async fn a_kill_between_the_two_files_loses_neither() {
        let (_dir, files) = saved().await;
        let library = files.dir.join(LIBRARY_FILE);
        let before = fs::read(&library).unwrap();
        save(&files, 8).await;
        for is_on_disk in [before, fs::read(&library).unwrap()] {
            fs::write(&library, is_on_disk).unwrap();
            assert!(files.prepare().unwrap().set_aside.is_empty());
        }
        // What neither save wrote is another matter.
        let text = fs::read_to_string(&library).unwrap();
        fs::write(&library, text + " ").unwrap();
        let aside = files.prepare().unwrap().set_aside;
        assert_eq!(aside, [("bootstrap_cache.json.damaged-1".into(), "it is not as it was saved".into())]);
    }

    #[tokio::test]
    async fn a_version_that_no_record_of_ours_can_have_is_not_gone_on_from() {
        let (_dir, files) = saved().await;
        for (said, believed) in [(OWN_VERSION_MAX, OWN_VERSION_MAX), (OWN_VERSION_MAX + 1, 0), (u64::MAX, 0)]
        {
            save(&files, said).await;
            let loaded = files.prepare().unwrap();
            assert_eq!((loaded.own.own_version, loaded.own.peers.len()), (believed, 2), "{said}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_no_file_of_ours_is_set_aside_at_once() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let dir = tempfile::tempdir().unwrap();
        let files = CacheFiles::new(dir.path());
        files.prepare().unwrap();
        mknodat(CWD, files.dir.join(OWN_FILE), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        fs::create_dir(files.dir.join(HISTORY_FILE)).unwrap();
        File::create(files.dir.join(LIBRARY_FILE)).unwrap().set_len(100 << 20).unwrap();
        let why: Vec<_> = files.prepare().unwrap().set_aside.into_iter().map(|(_, why)| why).collect();
        assert!(why[0].contains("a pipe") && why[1].contains("104857600 bytes"), "{why:?}");
        assert!(why[2].contains("a directory"), "{why:?}");
    }

    #[tokio::test]
    async fn whoever_tested_a_node_of_version_0_1_is_no_peer_after_an_upgrade() {
        let dir = tempfile::tempdir().unwrap();
        let (stranger, peer) = (PeerId([1; 32]), PeerId([2; 32]));
        let files = CacheFiles::new(dir.path());
        files.prepare().unwrap();
        let before = open_library(&files).await.unwrap();
        for id in [stranger, peer] {
            before.observe_inbound_peer_address(ant_quic::PeerId(id.0), ([198, 18, 0, 1], 4000).into()).await;
        }
        let unsaved = Unsaved {
            own_version: 0,
            anchors: vec![],
            names: vec![],
            all: vec![],
            changed: vec![],
            history: None,
        };
        files.save(before, unsaved).await.unwrap();
        // Nor had that version checksums.
        let own = files.dir.join(OWN_FILE);
        let bytes = fs::read(&own).unwrap();
        let old = std::str::from_utf8(unseal(&bytes).unwrap()).unwrap();
        let named = serde_json::json!([stranger]);
        fs::write(&own, old.replacen('{', &format!("{{\"strangers\":{named},"), 1)).unwrap();

        let loaded = files.prepare().unwrap();
        let after = open_library(&files).await.unwrap();
        assert_eq!(after.all_peers().await.len(), 2, "it is in the library's file");
        let merged = merge(&after, &loaded.own).await;
        assert_eq!(merged.iter().map(|e| e.peer).collect::<Vec<_>>(), [peer]);
        assert!(!after.contains(&ant_quic::PeerId(stranger.0)).await);
    }
}
