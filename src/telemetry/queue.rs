//! A bounded queue of log lines with a thread that writes them, so that a pipe
//! nobody reads or a disk that hangs never holds up a task of the node.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait for a slow sink; more are dropped and counted. A burst of
/// debug lines fits, and it is not worth more memory than that.
pub const QUEUE_LINES: usize = 4096;
/// How long the end of the program waits for a sink.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The queue and its thread. The thread ends with the last writer.
#[derive(Debug)]
pub struct LogQueue {
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl LogQueue {
    /// Starts the thread. Each line reaches the sink as one `write`.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, queue) = sync_channel(QUEUE_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&queue, sink, &lost))?;
        Ok(Self { lines, dropped })
    }

    /// Counts lines dropped so far: no room in the queue, or the sink refused
    /// them.
    pub fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// For `tracing_subscriber`.
    pub fn writer(&self) -> impl for<'a> MakeWriter<'a> + Send + Sync + 'static + use<> {
        let (lines, dropped) = (self.lines.clone(), Arc::clone(&self.dropped));
        move || LineWriter { lines: lines.clone(), dropped: Arc::clone(&dropped) }
    }

    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let until = Instant::now() + FLUSH_TIMEOUT;
        let mut message = Message::Flush(done);
        while let Err(std::sync::mpsc::TrySendError::Full(back)) = self.lines.try_send(message) {
            if Instant::now() >= until {
                return;
            }
            message = back;
            thread::sleep(Duration::from_millis(5));
        }
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

impl Drop for LogQueue {
    fn drop(&mut self) {
        self.flush();
    }
}

fn write_lines(queue: &Receiver<Message>, mut sink: impl Write, dropped: &AtomicU64) {
    for message in queue {
        match message {
            Message::Line(line) => {
                if sink.write_all(&line).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Message::Flush(done) => {
                let _ = sink.flush();
                let _ = done.try_send(());
            }
        }
    }
}

/// Takes one formatted line. It never fails: nobody could act on it.
struct LineWriter {
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Message::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    fn say(queue: &LogQueue, line: &str) {
        queue.writer().make_writer().write_all(line.as_bytes()).unwrap();
    }

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_end_of_the_program_writes_out_what_is_queued() {
        let sink = Memory::default();
        let queue = LogQueue::start(sink.clone()).unwrap();
        for n in 0..100 {
            say(&queue, &format!("{n}\n"));
        }
        drop(queue);
        assert_eq!(std::str::from_utf8(&sink.0.lock().unwrap()).unwrap().lines().count(), 100);
    }

    /// Hangs until told to go on.
    struct Hanging(Receiver<()>, Sender<()>);

    impl Write for Hanging {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.1.send(());
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_hangs_costs_lines_and_not_time() {
        let ((_go, hang), (begun, started)) = (channel(), channel());
        let queue = LogQueue::start(Hanging(hang, begun)).unwrap();
        say(&queue, "the one that hangs");
        started.recv().unwrap();
        for _ in 0..QUEUE_LINES + 7 {
            say(&queue, "x");
        }
        assert_eq!(queue.counter().load(Ordering::Relaxed), 7);
        let before = Instant::now();
        drop(queue);
        assert!(before.elapsed() < Duration::from_secs(5), "the end does not wait for it");
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_costs_lines_and_they_are_counted() {
        let queue = LogQueue::start(Full).unwrap();
        for _ in 0..3 {
            say(&queue, "x");
        }
        queue.flush();
        assert_eq!(queue.counter().load(Ordering::Relaxed), 3);
    }
}
