//! The database: reports, each once, and what is counted of them.

use std::net::IpAddr;
use std::path::Path as FilePath;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, params};

use crate::core::limits::REGISTRY_REPORTERS_MAX;
use crate::files::ours::{self, For};
use crate::model::{
    AttemptFact, Batch, Cause, Fact, FailoverFact, LinkCounts, MovedFact, NatType, NodeFact, Path, PeerId,
    Propagation, RelayLoad, Report, Reporter, Stamp,
};

/// Each takes the database from the version before to the next; none is ever
/// changed after it was released.
const MIGRATIONS: [&str; 3] =
    [include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];
/// Somebody may look into the file with another program.
const BUSY: Duration = Duration::from_secs(5);
/// Rows deleted at once: reports wait meanwhile.
const PRUNE_AT_ONCE: i64 = 10_000;

/// A reporter that is idle for so long makes way for a new one where there is no room: a
/// node tells of itself once a minute.
const IDLE: Duration = Duration::from_secs(300);
/// Who was heard over so long a time is the last to go.
const STAYED: Duration = Duration::from_secs(3600);
/// So many make way at once: looking for them takes longer than for one.
const MAKE_WAY: i64 = 64;
/// As far ahead a moment is that a small step of the clock put there.
const STEP_MS: i64 = 5_000;

/// What is wrong with the database.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no room, or the disk fails: nothing was stored.
    #[error("not stored: {0}")]
    Full(String),
    /// It is not as it was written.
    #[error("not stored: the database is damaged ({0}); put a backup in its place, or move it away")]
    Damaged(String),
    /// It was made by a later version.
    #[error("it has version {0}, and this program knows {known}", known = MIGRATIONS.len())]
    Newer(i64),
    /// More reporters than there is room for.
    #[error("{REGISTRY_REPORTERS_MAX} nodes report already; no more are taken")]
    TooManyReporters,
    /// More reporters that nobody knew from one address than it may bring.
    #[error("this address brought many new reporters; one a minute is taken")]
    TooManyNewcomers,
    /// Too much is asked of it at once.
    #[error("too much is waiting already")]
    Busy,
    /// It has been closed.
    #[error("it is closed")]
    Closed,
    /// Anything else that the library says.
    #[error("{0}")]
    Other(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let said = error.to_string();
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen,
            ) => Self::Full(said),
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged(said),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Other(said),
        }
    }
}

/// How a batch was stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// Reports that are new.
    pub accepted: u64,
    /// Reports that were there already.
    pub duplicates: u64,
    /// Reports that are older than anything is kept.
    pub expired: u64,
}

/// An attempt, as far as it is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptRow {
    pub node: i64,
    pub at: Stamp,
    pub own_nat: NatType,
    pub peer_nat: NatType,
    pub path: Option<Path>,
    pub moved: Option<Path>,
    pub ms: u64,
    pub again: bool,
}

/// A node, and what it said last of itself.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub node: i64,
    pub reporter: Reporter,
    pub first_seen: Stamp,
    pub last_seen: Stamp,
    pub status: Option<(Stamp, NodeFact)>,
}

/// The database, opened for one thread.
#[derive(Debug)]
pub(super) struct Store {
    db: Connection,
    retention: Duration,
    damage: Option<String>,
}

impl Store {
    /// Opens it for writing, makes it where there is none, and brings it to the
    /// version of this program. One that is damaged is opened to be read, as far as it
    /// can be.
    pub(super) fn open(path: &FilePath, retention: Duration) -> Result<Self, StoreError> {
        // Its owner's alone, from the beginning; what SQLite puts beside it has the same
        // mode, and goes by the name: by another name another program would not see it.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        ours::open(&real, For::Holding).map_err(|e| StoreError::Other(e.to_string()))?;
        let mut db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "wal")?;
        // What is acknowledged outlives a power cut.
        db.pragma_update(None, "synchronous", "full")?;
        db.pragma_update(None, "trusted_schema", false)?;
        let damage = quick_check(&db)?;
        if let Some(why) = &damage {
            let path = path.display();
            tracing::error!(%path, %why, "the database is damaged: nothing is stored in it");
        } else {
            migrate(&mut db)?;
        }
        Ok(Self { db, retention, damage })
    }

    /// What is wrong with it, if something is.
    pub(super) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Opens it for reading; it has been made.
    pub(super) fn reader(path: &FilePath, retention: Duration) -> Result<Self, StoreError> {
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "query_only", true)?;
        Ok(Self { db, retention, damage: None })
    }

    /// Stores batches, each at the moment at which it came: all of them, or none
    /// on an error. A reporter too many is an error of its batch alone. `admits` is asked
    /// for a reporter that nobody knows, whether its address may bring one more.
    pub(super) fn put(
        &mut self,
        batches: &[(Stamp, IpAddr, Batch)],
        admits: impl FnMut(IpAddr) -> bool,
    ) -> Result<Vec<Result<Stored, StoreError>>, StoreError> {
        if let Some(why) = &self.damage {
            return Err(StoreError::Damaged(why.clone()));
        }
        let put = self.put_all(batches, admits);
        if let Err(StoreError::Damaged(why)) = &put {
            self.damage = Some(why.clone());
        }
        put
    }

    fn put_all(
        &mut self,
        batches: &[(Stamp, IpAddr, Batch)],
        mut admits: impl FnMut(IpAddr) -> bool,
    ) -> Result<Vec<Result<Stored, StoreError>>, StoreError> {
        let retention = self.retention;
        let tx = self.db.transaction()?;
        let mut stored = Vec::with_capacity(batches.len());
        for (now, from, batch) in batches {
            match put_batch(&tx, *now, batch, retention, || admits(*from)) {
                Err(error @ (StoreError::TooManyReporters | StoreError::TooManyNewcomers)) => {
                    stored.push(Err(error));
                }
                other => stored.push(Ok(other?)),
            }
        }
        tx.commit()?;
        Ok(stored)
    }

    /// Deletes what is older than is kept; says whether there may be more.
    pub(super) fn prune(&mut self, now: Stamp) -> Result<bool, StoreError> {
        if self.damage.is_some() {
            return Ok(false);
        }
        let before = now.before(self.retention).0;
        let tx = self.db.transaction()?;
        let mut deleted = 0;
        for table in ["attempts", "moves", "failovers", "states"] {
            let sql = format!(
                "DELETE FROM {table} WHERE (node, run, seq) IN \
                 (SELECT node, run, seq FROM {table} WHERE at < ?1 LIMIT ?2)"
            );
            deleted += tx.execute(&sql, params![before, PRUNE_AT_ONCE])?;
        }
        if deleted == 0 {
            tx.execute("DELETE FROM nodes WHERE last_seen < ?1", params![before])?;
        }
        tx.commit()?;
        Ok(deleted > 0)
    }

    /// Has every attempt from `since` on looked at, or those of one cause. What lies
    /// ahead of now was written by a clock that was ahead, and counts nowhere.
    pub(super) fn attempts(
        &self,
        since: Stamp,
        now: Stamp,
        cause: Option<Cause>,
        mut look: impl FnMut(AttemptRow),
    ) -> Result<(), StoreError> {
        let sql = "SELECT node, at, own_nat, peer_nat, path, moved, ms, again FROM attempts \
                   WHERE at >= ?1 AND at <= ?3 AND cause = ifnull(?2, cause)";
        let mut query = self.db.prepare_cached(sql)?;
        let mut rows = query.query(params![since.0, cause.map(Cause::name), latest(now)])?;
        while let Some(row) = rows.next()? {
            let text = |n: usize| row.get_ref(n).map(|v| v.as_str().ok());
            look(AttemptRow {
                node: row.get(0)?,
                at: Stamp(row.get(1)?),
                own_nat: nat(text(2)?),
                peer_nat: nat(text(3)?),
                path: text(4)?.and_then(path),
                moved: text(5)?.and_then(path),
                ms: row.get::<_, i64>(6)?.cast_unsigned(),
                again: row.get(7)?,
            });
        }
        Ok(())
    }

    /// How many moved and how many relays were changed from `since` on.
    pub(super) fn changes(&self, since: Stamp, now: Stamp) -> Result<(u64, u64), StoreError> {
        let count = |sql: &str| -> Result<u64, StoreError> {
            Ok(self
                .db
                .prepare_cached(sql)?
                .query_row(params![since.0, latest(now)], |row| row.get::<_, i64>(0))?
                .cast_unsigned())
        };
        Ok((
            count("SELECT count(*) FROM moves WHERE at >= ?1 AND at <= ?2")?,
            count("SELECT count(*) FROM failovers WHERE at >= ?1 AND at <= ?2")?,
        ))
    }

    /// Every node, the one that reported last first; those at the end of which nobody
    /// knows when they did.
    pub(super) fn nodes(&self, now: Stamp) -> Result<Vec<Known>, StoreError> {
        let sql = "SELECT n.id, n.peer_id, n.name, n.version, n.network, n.first_seen, n.last_seen, \
                          s.at, s.nat, s.known, s.tried, s.direct, s.punched, s.relayed, \
                          s.spread_known, s.spread_expected, s.relay_sessions, s.relay_bytes \
                   FROM nodes n LEFT JOIN states s ON (s.node, s.run, s.seq) = \
                       (SELECT node, run, seq FROM states WHERE node = n.id AND at <= ?1 \
                        ORDER BY at DESC, seq DESC LIMIT 1) \
                   ORDER BY n.last_seen > ?1, n.last_seen DESC, n.id";
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map(params![latest(now)], |row| {
            let status = match row.get::<_, Option<i64>>(7)? {
                None => None,
                Some(at) => {
                    let known: Option<i64> = row.get(14)?;
                    let expected: Option<i64> = row.get(15)?;
                    let (sessions, bytes): (Option<u32>, Option<i64>) = (row.get(16)?, row.get(17)?);
                    let fact = NodeFact {
                        nat: nat(row.get_ref(8)?.as_str().ok()),
                        known: row.get(9)?,
                        tried: row.get(10)?,
                        links: LinkCounts {
                            direct: row.get(11)?,
                            punched: row.get(12)?,
                            relayed: row.get(13)?,
                        },
                        propagation: known.zip(expected).map(|(known, expected)| Propagation {
                            known: known.cast_unsigned(),
                            expected: expected.cast_unsigned(),
                        }),
                        relay: sessions
                            .zip(bytes)
                            .map(|(sessions, bytes)| RelayLoad { sessions, bytes: bytes.cast_unsigned() }),
                    };
                    Some((Stamp(at), fact))
                }
            };
            Ok(Known {
                node: row.get(0)?,
                reporter: Reporter {
                    peer_id: PeerId(row.get(1)?),
                    name: row.get(2)?,
                    version: row.get(3)?,
                    network: row.get(4)?,
                },
                first_seen: Stamp(row.get(5)?),
                last_seen: Stamp(row.get(6)?),
                status,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// The last moment that is not ahead.
fn latest(now: Stamp) -> i64 {
    now.0.saturating_add(STEP_MS)
}

/// The first thing that is wrong with it, if something is.
fn quick_check(db: &Connection) -> Result<Option<String>, StoreError> {
    let said = db.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    match said.map_err(StoreError::from) {
        Ok(said) if said == "ok" => Ok(None),
        Ok(said) | Err(StoreError::Damaged(said)) => Ok(Some(said.lines().collect::<Vec<_>>().join(", "))),
        Err(other) => Err(other),
    }
}

fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).ok().filter(|v| *v <= MIGRATIONS.len());
    let Some(done) = done else { return Err(StoreError::Newer(version)) };
    for (version, migration) in (1_u32..).zip(MIGRATIONS).skip(done) {
        let tx = db.transaction()?;
        tx.execute_batch(migration)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

fn put_batch(
    tx: &Transaction<'_>,
    now: Stamp,
    batch: &Batch,
    keep: Duration,
    admits: impl FnOnce() -> bool,
) -> Result<Stored, StoreError> {
    let node = put_reporter(tx, now, &batch.reporter, admits)?;
    let mut stored = Stored::default();
    for report in &batch.reports {
        let at = now.before(Duration::from_millis(report.age_ms));
        if at < now.before(keep) {
            stored.expired += 1;
        } else if put_report(tx, node, at, report)? {
            stored.accepted += 1;
        } else {
            stored.duplicates += 1;
        }
    }
    Ok(stored)
}

fn put_reporter(
    tx: &Transaction<'_>,
    now: Stamp,
    who: &Reporter,
    admits: impl FnOnce() -> bool,
) -> Result<i64, StoreError> {
    let sql = "UPDATE nodes SET name = ?2, version = ?3, network = ?4, last_seen = ?5 \
               WHERE peer_id = ?1 RETURNING id";
    let seen = tx
        .prepare_cached(sql)?
        .query_row(params![who.peer_id.0, who.name, who.version, who.network, now.0], |row| row.get(0))
        .optional()?;
    if let Some(node) = seen {
        return Ok(node);
    }
    if !admits() {
        return Err(StoreError::TooManyNewcomers);
    }
    let count: i64 = tx.prepare_cached("SELECT count(*) FROM nodes")?.query_row([], |row| row.get(0))?;
    if count.cast_unsigned() >= REGISTRY_REPORTERS_MAX && make_way(tx, now)? == 0 {
        return Err(StoreError::TooManyReporters);
    }
    let sql = "INSERT INTO nodes (peer_id, name, version, network, first_seen, last_seen) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?5)";
    tx.prepare_cached(sql)?.execute(params![who.peer_id.0, who.name, who.version, who.network, now.0])?;
    Ok(tx.last_insert_rowid())
}

/// Forgets reporters that are idle, those first that were here for a short while only,
/// as invented ones are; what they reported stays counted. How many.
fn make_way(tx: &Transaction<'_>, now: Stamp) -> Result<usize, StoreError> {
    // Not the last one: its number would be given again, and with it its reports.
    let sql = "DELETE FROM nodes WHERE id IN \
               (SELECT id FROM nodes \
                WHERE (last_seen < ?1 OR last_seen > ?2) AND id < (SELECT max(id) FROM nodes) \
                ORDER BY last_seen - first_seen >= ?3, last_seen LIMIT ?4)";
    let stayed = i64::try_from(STAYED.as_millis()).unwrap_or(i64::MAX);
    Ok(tx.prepare_cached(sql)?.execute(params![now.before(IDLE).0, latest(now), stayed, MAKE_WAY])?)
}

/// Says whether it is new.
fn put_report(tx: &Transaction<'_>, node: i64, at: Stamp, report: &Report) -> Result<bool, StoreError> {
    // SQLite's numbers have a sign; what comes out is cast back.
    let (run, seq, at) = (report.id.run.cast_signed(), report.id.seq.cast_signed(), at.0);
    let new = match &report.fact {
        Fact::Attempt(AttemptFact {
            attempt,
            peer,
            cause,
            path,
            elapsed_ms,
            own_nat,
            peer_nat,
            reason,
            again,
            ..
        }) => {
            let sql = "INSERT OR IGNORE INTO attempts \
                (node, run, seq, at, attempt, peer, cause, own_nat, peer_nat, path, ms, reason, again) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
            tx.prepare_cached(sql)?.execute(params![
                node,
                run,
                seq,
                at,
                attempt.0.cast_signed(),
                peer.map(|p| p.0),
                cause.name(),
                own_nat.name(),
                peer_nat.name(),
                path.map(Path::name),
                elapsed_ms.cast_signed(),
                reason,
                again,
            ])?
        }
        Fact::Moved(MovedFact { peer, attempt, from, to, gap_ms }) => {
            let sql = "INSERT OR IGNORE INTO moves (node, run, seq, at, attempt, peer, from_path, to_path, gap_ms) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
            let attempt = attempt.map(|a| a.0.cast_signed());
            let gap = gap_ms.cast_signed();
            let new = tx.prepare_cached(sql)?.execute(params![
                node,
                run,
                seq,
                at,
                attempt,
                peer.0,
                from.name(),
                to.name(),
                gap
            ])?;
            if new > 0 && attempt.is_some() {
                let sql = "UPDATE attempts SET moved = ?4 \
                    WHERE node = ?1 AND run = ?2 AND attempt = ?3 AND path = 'relayed'";
                tx.prepare_cached(sql)?.execute(params![node, run, attempt, to.name()])?;
            }
            new
        }
        Fact::Failover(FailoverFact { from, to, gap_ms, lost }) => {
            let sql = "INSERT OR IGNORE INTO failovers (node, run, seq, at, old, new, gap_ms, lost) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let (gap, lost) = (gap_ms.map(u64::cast_signed), lost.map(u64::cast_signed));
            tx.prepare_cached(sql)?.execute(params![
                node,
                run,
                seq,
                at,
                from.0,
                to.map(|p| p.0),
                gap,
                lost
            ])?
        }
        Fact::Node(NodeFact { nat, known, tried, links, propagation, relay }) => {
            let sql = "INSERT OR IGNORE INTO states \
                (node, run, seq, at, nat, known, tried, direct, punched, relayed, spread_known, spread_expected, \
                 relay_sessions, relay_bytes) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
            let LinkCounts { direct, punched, relayed } = *links;
            let spread = propagation.map(|p| (p.known.cast_signed(), p.expected.cast_signed())).unzip();
            tx.prepare_cached(sql)?.execute(params![
                node,
                run,
                seq,
                at,
                nat.name(),
                known,
                tried,
                direct,
                punched,
                relayed,
                spread.0,
                spread.1,
                relay.map(|load| load.sessions),
                relay.map(|load| load.bytes.cast_signed()),
            ])?
        }
    };
    Ok(new > 0)
}

fn nat(name: Option<&str>) -> NatType {
    NatType::ALL.into_iter().find(|n| Some(n.name()) == name).unwrap_or_default()
}

fn path(name: &str) -> Option<Path> {
    [Path::Direct, Path::Punched, Path::Relayed].into_iter().find(|p| p.name() == name)
}

#[cfg(test)]
mod tests;
