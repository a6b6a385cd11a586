//! The peer cache on disk: ant-quic's file and ours, checked before they are
//! opened and saved in one pass.
//!
//! The library saves without fsync and silently starts empty on a damaged
//! file. So it works in a staging directory; what counts lies beside it and
//! only whole, synced files get there. Our own file holds what the library has
//! no field for, and enough to do without the library's: losing either loses
//! no peer.

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
use crate::core::wire::Record;
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
    /// The peers.
    pub peers: Vec<CacheEntry>,
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
        let library = self.dir.join(LIBRARY_FILE);
        if let Some(text) = read(&library)? {
            match check_library(&text) {
                Ok(()) => stage(&library, &staged)?,
                Err(detail) => Self::put_aside(&library, detail, &mut loaded)?,
            }
        }
        let own = self.dir.join(OWN_FILE);
        if let Some(text) = read(&own)? {
            match parse_own(&text) {
                Ok(file) => loaded.own = file,
                Err(detail) => Self::put_aside(&own, detail, &mut loaded)?,
            }
        }
        let history = self.dir.join(HISTORY_FILE);
        if let Some(text) = read(&history)? {
            match parse_history(&text) {
                Ok(found) => loaded.history = Some(found),
                Err(detail) => Self::put_aside(&history, detail, &mut loaded)?,
            }
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
            peers: unsaved.all,
        };
        let history = unsaved.history.map(|history| HistoryFile { schema: SCHEMA, history });
        let this = self.clone();
        let runtime = tokio::runtime::Handle::current();
        // The library writes its file where it is called; that must not be
        // where QUIC's timers run.
        let work = tokio::task::spawn_blocking(move || {
            runtime.block_on(library.save())?;
            this.commit(&own, history.as_ref())
        });
        work.await.map_err(io::Error::other)?
    }

    fn commit(&self, own: &OwnFile, history: Option<&HistoryFile>) -> io::Result<()> {
        let staged = self.staging().join(LIBRARY_FILE);
        // The library writes no file for an empty cache.
        if staged.exists() {
            File::open(&staged)?.sync_all()?;
            fs::rename(&staged, self.dir.join(LIBRARY_FILE))?;
        }
        if let Some(history) = history {
            let json = serde_json::to_vec(history)?;
            disk::write_atomic(&self.dir.join(HISTORY_FILE), &json, disk::FILE_MODE)?;
        }
        let json = serde_json::to_vec_pretty(own)?;
        // This syncs the directory for the library's file, too.
        disk::write_atomic(&self.dir.join(OWN_FILE), &json, disk::FILE_MODE)
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

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        // What is no text is damaged, not unreadable.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn parse_own(text: &str) -> Result<OwnFile, String> {
    let file: OwnFile = serde_json::from_str(text).map_err(|e| clean(&e.to_string()))?;
    if file.schema == SCHEMA { Ok(file) } else { Err(format!("its format is {}, not {SCHEMA}", file.schema)) }
}

fn parse_history(text: &str) -> Result<History, String> {
    let file: HistoryFile = serde_json::from_str(text).map_err(|e| clean(&e.to_string()))?;
    let schema = file.schema;
    if schema == SCHEMA { Ok(file.history) } else { Err(format!("its format is {schema}, not {SCHEMA}")) }
}

/// Whether the library would read the file and believe it.
fn check_library(text: &str) -> Result<(), String> {
    let file: LibraryFile = serde_json::from_str(text).map_err(|e| clean(&e.to_string()))?;
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
        let own = files.dir.join(OWN_FILE);
        let old = fs::read_to_string(&own).unwrap();
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
