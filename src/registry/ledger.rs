//! The two threads that own the database: one writes, one reads. Neither a
//! request nor a stream ever waits for the disk on the runtime's threads.
//!
//! The writer takes up what waits and stores it in one transaction, so a sync
//! serves many batches; each is answered when it is on disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot, watch};

use super::answers::{self, Overview};
use super::gate::Newcomers;
use super::store::{Store, StoreError, Stored};
use crate::core::Mono;
use crate::model::{Batch, Cause, Stamp};

/// Batches that may wait to be stored: a second's worth under full load.
const WRITES_MAX: usize = 256;
/// Batches stored in one transaction.
const AT_ONCE: usize = 64;
/// Questions that may wait.
const READS_MAX: usize = 64;
/// An answer younger than this, with nothing stored since, is given again.
const FRESH: Duration = Duration::from_secs(1);
/// What is older than is kept is deleted so often.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Of which window, and of attempts of which cause.
type Question = (Duration, Option<Cause>);
type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

struct Write {
    at: Stamp,
    from: IpAddr,
    batch: Batch,
    reply: Reply<Stored>,
}

struct Read {
    window: Duration,
    cause: Option<Cause>,
    reply: Reply<Arc<Overview>>,
}

/// A handle on both threads.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    writes: mpsc::Sender<Write>,
    reads: mpsc::Sender<Read>,
    /// Counts what was stored.
    changed: watch::Receiver<u64>,
    /// What is wrong with the database, if something is.
    damage: watch::Receiver<Option<String>>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Ledger {
    pub(super) fn open(path: &Path, retention: Duration) -> Result<Self, StoreError> {
        let store = Store::open(path, retention)?;
        let reader = Store::reader(path, retention)?;
        let (writes, write_queue) = mpsc::channel(WRITES_MAX);
        let (reads, read_queue) = mpsc::channel(READS_MAX);
        let (stored, changed) = watch::channel(0);
        let seen = changed.clone();
        let (wrong, damage) = watch::channel(store.damage().map(ToOwned::to_owned));
        let threads = vec![
            spawn("registry-write", move || write(store, write_queue, &stored, &wrong))?,
            spawn("registry-read", move || read(&reader, read_queue, &seen))?,
        ];
        Ok(Self { writes, reads, changed, damage, threads: Arc::new(Mutex::new(threads)) })
    }

    /// Stores a batch that came from an address, which is not kept; returns when it is
    /// on disk.
    pub(super) async fn put(&self, batch: Batch, from: IpAddr) -> Result<Stored, StoreError> {
        let (reply, answer) = oneshot::channel();
        let write = Write { at: now(), from, batch, reply };
        self.writes.try_send(write).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What was counted in the last while; of attempts those of one cause, if one
    /// is named.
    pub(super) async fn overview(
        &self,
        window: Duration,
        cause: Option<Cause>,
    ) -> Result<Arc<Overview>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.reads.try_send(Read { window, cause, reply }).map_err(|_| StoreError::Busy)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What is wrong with the database, if something is: then nothing is stored.
    pub(super) fn damage(&self) -> Option<String> {
        self.damage.borrow().clone()
    }

    /// Tells when something was stored.
    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Waits until what was taken is stored and the database is closed. Other
    /// handles must be gone, or it is not.
    pub(super) async fn close(self) {
        let Self { writes, reads, threads, .. } = self;
        drop((writes, reads));
        let threads = std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
        let join = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        let _ = tokio::time::timeout(FRESH, join).await;
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|e| StoreError::Other(e.to_string()))
}

pub(super) fn now() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn write(
    mut store: Store,
    mut queue: mpsc::Receiver<Write>,
    stored: &watch::Sender<u64>,
    damage: &watch::Sender<Option<String>>,
) {
    let (begun, mut newcomers) = (Instant::now(), Newcomers::new());
    let mut pruned: Option<Instant> = None;
    while let Some(first) = queue.blocking_recv() {
        let mut batches = vec![(first.at, first.from, first.batch)];
        let mut replies = vec![first.reply];
        while replies.len() < AT_ONCE
            && let Ok(next) = queue.try_recv()
        {
            batches.push((next.at, next.from, next.batch));
            replies.push(next.reply);
        }
        let put = store.put(&batches, |from| newcomers.allow(from, Mono(begun.elapsed())));
        if let Some(why) = store.damage().filter(|_| damage.borrow().is_none()) {
            damage.send_replace(Some(why.to_owned()));
        }
        match put {
            Ok(results) => {
                stored.send_modify(|n| *n += 1);
                for (reply, result) in replies.into_iter().zip(results) {
                    let _ = reply.send(result);
                }
            }
            Err(error) => {
                tracing::error!(%error, batches = replies.len(), "reports were not stored");
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
        // Reports come at least once a minute as long as anybody reports.
        if pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
            match store.prune(now()) {
                // What is left is deleted with the next batch, so nobody waits.
                Ok(more) => pruned = (!more).then(Instant::now),
                Err(error) => {
                    tracing::warn!(%error, "old reports were not deleted");
                    pruned = Some(Instant::now());
                }
            }
        }
    }
}

fn read(store: &Store, mut queue: mpsc::Receiver<Read>, stored: &watch::Receiver<u64>) {
    let mut answers: HashMap<Question, (Instant, u64, Arc<Overview>)> = HashMap::new();
    while let Some(Read { window, cause, reply }) = queue.blocking_recv() {
        let version = *stored.borrow();
        let fresh = answers.get(&(window, cause)).filter(|(at, v, _)| *v == version && at.elapsed() < FRESH);
        if let Some((_, _, overview)) = fresh {
            let _ = reply.send(Ok(Arc::clone(overview)));
            continue;
        }
        answers.retain(|_, (at, v, _)| *v == version && at.elapsed() < FRESH);
        let result = answers::overview(store, window, cause, now()).map(Arc::new);
        if let Ok(overview) = &result {
            answers.insert((window, cause), (Instant::now(), version, Arc::clone(overview)));
        }
        let _ = reply.send(result);
    }
}
