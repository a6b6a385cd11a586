//! Tests of paths on their connections: a stream of load, and datagrams.
//!
//! What is sent, and how much, is [`core::pathtest`](crate::core::pathtest)'s to say;
//! here it is only carried out. Load goes behind everything else on its connection. A
//! run's tasks end with it.

use crate::model::DropReason;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ant_quic::{HighLevelConnection, HighLevelRecvStream, HighLevelSendStream, VarInt};
use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::connections::{Report, Reports};
use super::lanes::Stream;
use crate::core::engine::{Input, TestAction};
use crate::core::link::ConnId;
use crate::core::nat::Nonce;
use crate::core::pathtest::RunId;

/// What a stream of load begins with, on any connection; then the run's name.
pub(super) const TAG: [u8; 8] = *b"pd-test1";
/// Load goes behind what the link says: a stream's priority is 0 where nobody says
/// otherwise.
const BEHIND: i32 = -1;
/// Written at once.
const CHUNK: usize = 16 * 1024;
/// What was read is told this often.
const TELL_EVERY: Duration = Duration::from_millis(5);
/// What we say of a stream whose run is over.
const OVER: VarInt = VarInt::from_u32(0);

/// A run on its connection.
struct Run {
    conn: ConnId,
    connection: HighLevelConnection,
    /// Whether the connection's datagrams are handed on.
    wanted: Arc<AtomicBool>,
    /// Bytes that may be written in all; `None` once no more is to be.
    granted: watch::Sender<Option<u64>>,
    stream: Option<AbortOnDropHandle<()>>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
    }
}

/// All of them.
pub(super) struct Tests {
    reports: Reports,
    runs: BTreeMap<RunId, Run>,
}

impl Tests {
    pub(super) fn new(reports: Reports) -> Self {
        Self { reports, runs: BTreeMap::new() }
    }

    /// Does what a run wants. `of`: a connection, and whether its datagrams are handed
    /// on.
    pub(super) fn act(
        &mut self,
        action: TestAction,
        of: impl FnOnce(ConnId) -> Option<(HighLevelConnection, Arc<AtomicBool>)>,
    ) {
        match action {
            TestAction::Begin { run, conn, opens } => {
                if let Some((connection, wanted)) = of(conn) {
                    self.begin(run, conn, opens, connection, wanted);
                }
            }
            TestAction::Datagram { run, bytes } => {
                // What does not go is as lost as on the way.
                let sent = |run: &Run| run.connection.send_datagram(Bytes::copy_from_slice(&bytes));
                self.runs.get(&run).map(sent);
            }
            TestAction::Load { run, bytes } => {
                if let Some(run) = self.runs.get(&run) {
                    run.granted.send_modify(|granted| *granted = granted.map(|all| all + bytes));
                }
            }
            TestAction::Quieten { run } => {
                if let Some(run) = self.runs.get(&run) {
                    run.granted.send_replace(None);
                }
            }
            TestAction::End { run } => {
                self.runs.remove(&run);
            }
        }
    }

    fn begin(
        &mut self,
        run: RunId,
        conn: ConnId,
        opens: bool,
        connection: HighLevelConnection,
        wanted: Arc<AtomicBool>,
    ) {
        wanted.store(true, Ordering::Relaxed);
        let granted = watch::Sender::new(Some(0));
        let mut new = Run { conn, connection, wanted, granted, stream: None };
        if opens {
            let (connection, reports) = (new.connection.clone(), self.reports.clone());
            let granted = new.granted.subscribe();
            let task = tokio::spawn(async move {
                let Ok(stream) = connection.open_bi().await else { return };
                drop(connection);
                let head = [&TAG[..], &run.0].concat();
                carry(run, stream, &head, granted, reports).await;
            });
            new.stream = Some(AbortOnDropHandle::new(task));
        }
        self.runs.insert(run, new);
    }

    /// The other end opened the stream of a run: it is taken if there is such a run on
    /// that connection, and it has none yet.
    pub(super) fn take(&mut self, conn: ConnId, run: Nonce, stream: Stream) -> Option<Input> {
        let run = RunId(run);
        let found = self.runs.get_mut(&run).filter(|found| found.conn == conn && found.stream.is_none());
        let Some(found) = found else {
            refuse(stream);
            return Some(Input::Stopped(DropReason::StreamsOfNoTest));
        };
        let (granted, reports) = (found.granted.subscribe(), self.reports.clone());
        let task = tokio::spawn(async move { carry(run, stream, &[], granted, reports).await });
        found.stream = Some(AbortOnDropHandle::new(task));
        None
    }

    /// Ends all of them.
    pub(super) fn shut_down(&mut self) {
        self.runs.clear();
    }
}

/// Gives a stream up in both directions.
fn refuse((mut send, mut recv): Stream) {
    // One that is gone already needs neither.
    let _ = send.reset(OVER);
    let _ = recv.stop(OVER);
}

/// Writes what is granted and reads what comes, until the run is over.
async fn carry(
    run: RunId,
    (send, recv): Stream,
    head: &[u8],
    granted: watch::Receiver<Option<u64>>,
    reports: Reports,
) {
    tokio::join!(write(send, head, granted.clone()), read(run, recv, granted, reports));
}

/// The stream is reset at the end, whatever of it has not left yet: also where the task
/// is dropped.
struct Resets(HighLevelSendStream);

impl Drop for Resets {
    fn drop(&mut self) {
        let _ = self.0.reset(OVER);
    }
}

async fn write(send: HighLevelSendStream, head: &[u8], mut granted: watch::Receiver<Option<u64>>) {
    let _ = send.set_priority(BEHIND);
    let mut send = Resets(send);
    if send.0.write_all(head).await.is_err() {
        return;
    }
    let (chunk, mut written) = (vec![0; CHUNK], 0);
    loop {
        let Some(may) = *granted.borrow_and_update() else { return };
        let left = usize::try_from(may.saturating_sub(written)).unwrap_or(CHUNK).min(CHUNK);
        if left == 0 {
            if granted.changed().await.is_err() {
                return;
            }
            continue;
        }
        tokio::select! {
            wrote = send.0.write(&chunk[..left]) => match wrote {
                Ok(wrote) => written += wrote as u64,
                Err(_) => return,
            },
            // It may be that no more is to be written.
            changed = granted.changed() => if changed.is_err() { return },
        }
    }
}

async fn read(
    run: RunId,
    mut recv: HighLevelRecvStream,
    mut granted: watch::Receiver<Option<u64>>,
    reports: Reports,
) {
    let (mut chunk, mut total, mut told) = (vec![0; CHUNK], 0, 0);
    let mut last = Instant::now();
    let over = async move { while granted.changed().await.is_ok() {} };
    tokio::pin!(over);
    loop {
        let read = tokio::select! {
            read = timeout(TELL_EVERY, AsyncReadExt::read(&mut recv, &mut chunk)) => read,
            () = &mut over => break,
        };
        let ended = matches!(read, Ok(Ok(0) | Err(_)));
        if let Ok(Ok(read)) = read {
            total += read as u64;
        }
        if total > told && (ended || last.elapsed() >= TELL_EVERY) {
            (told, last) = (total, Instant::now());
            if reports.send(Report::Input(Input::TestRead { run, total })).await.is_err() {
                break;
            }
        }
        if ended {
            break;
        }
    }
    let _ = recv.stop(OVER);
}
