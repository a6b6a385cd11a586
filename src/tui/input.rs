//! Reads the keyboard in a thread of its own. It looks for a hang-up before it
//! lets crossterm read: crossterm's reader spins for ever on a terminal that
//! has vanished (crossterm issue 793), and must never do so in our loop.

use std::io::{self, PipeWriter};
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags};
use tokio::sync::mpsc;

/// Key presses that wait for the console; the terminal holds the rest.
const BACKLOG: usize = 1024;
/// How long a stopped reader may take to end before it is left alone.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long crossterm looks for an event: with none at all it does not look.
const LOOK: Duration = Duration::from_millis(1);
/// Between two looks at input that crossterm does not hand over yet: the rest
/// of an escape sequence is still on its way.
const INCOMPLETE: Duration = Duration::from_millis(10);

/// The reading thread.
#[derive(Debug)]
pub(super) struct Keyboard {
    events: Option<mpsc::Receiver<Event>>,
    /// Closing it tells the thread to end.
    stop: Option<PipeWriter>,
    ended: std_mpsc::Receiver<()>,
}

impl Keyboard {
    /// Starts reading.
    pub(super) fn start() -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (sender, events) = mpsc::channel(BACKLOG);
        let (end, ended) = std_mpsc::channel();
        thread::Builder::new().name("keyboard".to_owned()).spawn(move || {
            read(&sender, &stopped);
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

fn read(sender: &mpsc::Sender<Event>, stopped: &io::PipeReader) {
    let stdin = rustix::stdio::stdin();
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    loop {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match rustix::event::poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let [keys, stop] = fds.map(|fd| fd.revents());
        if !stop.is_empty() || keys.intersects(gone) {
            return;
        }
        let mut any = false;
        while let Ok(true) = event::poll(LOOK) {
            let Ok(event) = event::read() else { return };
            any = true;
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
        if !any {
            thread::sleep(INCOMPLETE);
        }
    }
}
