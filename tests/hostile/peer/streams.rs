//! Streams that nobody asked for.

use std::time::Duration;

use ant_quic::{HighLevelConnection, HighLevelRecvStream, HighLevelSendStream};
use tokio::time::timeout;

/// The other end takes no more than it took by then.
const NO_MORE: Duration = Duration::from_millis(300);

/// What the other end took of streams that nobody asked for.
#[derive(Default)]
pub struct Sent {
    /// One-way streams that it let be opened.
    pub uni: usize,
    /// Two-way ones.
    pub bidi: usize,
    /// Bytes that it took on all of them.
    pub bytes: u64,
    /// Kept, so that they stay open.
    held: Vec<(HighLevelSendStream, Option<HighLevelRecvStream>)>,
}

/// Over-send: opens streams of both kinds and writes on each for as long as they
/// are taken.
pub async fn oversend(connection: &HighLevelConnection) -> Sent {
    let mut sent = Sent::default();
    while let Ok(Ok(send)) = timeout(NO_MORE, connection.open_uni()).await {
        sent.uni += 1;
        sent.fill(send, None).await;
    }
    while let Ok(Ok((send, recv))) = timeout(NO_MORE, connection.open_bi()).await {
        sent.bidi += 1;
        sent.fill(send, Some(recv)).await;
    }
    sent
}

impl Sent {
    async fn fill(&mut self, mut send: HighLevelSendStream, recv: Option<HighLevelRecvStream>) {
        let chunk = vec![0; 16 * 1024];
        while let Ok(Ok(took)) = timeout(NO_MORE, send.write(&chunk)).await {
            self.bytes += took as u64;
        }
        self.held.push((send, recv));
    }
}

/// Half-open: streams of which the other end sees the first byte and no more, for as
/// long as what comes back is kept.
pub async fn half_open_streams(connection: &HighLevelConnection, count: usize) -> Vec<HighLevelSendStream> {
    let mut held = Vec::new();
    while held.len() < count {
        let Ok(Ok((mut send, _recv))) = timeout(NO_MORE, connection.open_bi()).await else { break };
        let _ = send.write(&[0]).await;
        held.push(send);
    }
    held
}
