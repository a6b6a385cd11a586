//! Reads the terminal in a thread of its own, until it vanishes or the console ends.
//! What the bytes mean, and how long the rest of a sequence is waited for, says the
//! decoder (`decode.rs`).

mod decode;

use std::io::{self, PipeWriter};
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::Event;
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::sync::mpsc;

use self::decode::Decoder;

/// Key presses that wait for the console; the terminal holds the rest.
const BACKLOG: usize = 1024;
/// How long a stopped reader may take to end before it is left alone.
const PATIENCE: Duration = Duration::from_millis(100);
/// Bytes taken at once.
const CHUNK: usize = 1024;

/// The reading thread.
#[derive(Debug)]
pub(super) struct Keyboard {
    events: Option<mpsc::Receiver<Event>>,
    /// Closing it tells the thread to end.
    stop: Option<PipeWriter>,
    ended: std_mpsc::Receiver<()>,
}

impl Keyboard {
    /// Starts reading. `escape_wait`: how long a lone escape may be the beginning of
    /// a sequence.
    pub(super) fn start(escape_wait: Duration) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (sender, events) = mpsc::channel(BACKLOG);
        let (end, ended) = std_mpsc::channel();
        thread::Builder::new().name("keyboard".to_owned()).spawn(move || {
            read(&sender, &stopped, Decoder::new(escape_wait));
            drop(end);
        })?;
        Ok(Self { events: Some(events), stop: Some(stop), ended })
    }

    /// The next event; `None` once the terminal has vanished.
    pub(super) async fn next(&mut self) -> Option<Event> {
        match &mut self.events {
            Some(events) => events.recv().await,
            None => None,
        }
    }

    /// Stops reading, so that somebody else can.
    pub(super) fn stop(&mut self) {
        self.events = None;
        if self.stop.take().is_some() {
            let _ = self.ended.recv_timeout(PATIENCE);
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.stop();
    }
}

fn read(sender: &mpsc::Sender<Event>, stopped: &io::PipeReader, mut decoder: Decoder) {
    let stdin = rustix::stdio::stdin();
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let (start, mut bytes) = (Instant::now(), [0; CHUNK]);
    loop {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        let wait = decoder.timeout().map(|at| at.saturating_sub(start.elapsed()));
        let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
        match rustix::event::poll(&mut fds, wait.as_ref()) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let [keys, stop] = fds.map(|fd| fd.revents());
        if !stop.is_empty() || keys.intersects(gone) {
            return;
        }
        let now = start.elapsed();
        let events = if keys.is_empty() {
            decoder.on_timeout(now)
        } else {
            match rustix::io::read(stdin, &mut bytes) {
                // The terminal has vanished.
                Ok(0) => return,
                Ok(count) => decoder.take(&bytes[..count], now),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(_) => return,
            }
        };
        for event in events {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    }
}
