//! The thread that all wires of a lab run on. It sleeps until a frame comes or
//! is due, to the precision of the kernel's timers.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::lane::{Fate, Lane};
use super::{Conditions, State, Tap, Wire, checksum};

/// Frames taken from one end before the others have their turn.
const BURST: usize = 64;
/// Larger than any frame of the lab's interfaces.
const FRAME_MAX: usize = 1 << 16;
/// How soon a cut loses what is under way, if nothing else wakes the thread.
const TICK: Duration = Duration::from_millis(100);

/// Runs wires, until dropped.
#[derive(Debug)]
pub(in crate::lab) struct Exchange {
    seed: u64,
    made: AtomicU64,
    new: Option<Sender<Strand>>,
    bell: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Exchange {
    /// Starts the thread. What chance decides repeats with the same seed.
    pub(in crate::lab) fn start(seed: u64) -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        let (new, strands) = mpsc::channel();
        let heard = Arc::clone(&bell);
        let thread = std::thread::Builder::new().name("wires".into()).spawn(move || {
            if let Err(error) = run(&strands, &heard) {
                tracing::error!(%error, "the lab's wires stopped; nothing passes them any more");
            }
        })?;
        Ok(Self { seed, made: AtomicU64::new(0), new: Some(new), bell, thread: Some(thread) })
    }

    /// Joins two interfaces.
    pub(in crate::lab) fn join(&self, a: Tap, b: Tap, conditions: Conditions) -> Wire {
        let wire = Wire(Arc::default());
        wire.set(conditions);
        // Two lanes a wire, each with a seed of its own.
        let n = self.made.fetch_add(2, Ordering::Relaxed);
        let seed = |k| self.seed.wrapping_add(n + k);
        let strand = Strand {
            ends: [a, b],
            lanes: [Lane::new(seed(0)), Lane::new(seed(1))],
            state: Arc::clone(&wire.0),
        };
        if self.new.as_ref().is_none_or(|new| new.send(strand).is_err()) {
            tracing::error!("the lab's wires have stopped; a new one carries nothing");
        }
        self.ring();
        wire
    }

    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.new = None;
        self.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A wire as its thread sees it: `lanes[n]` takes from `ends[n]`.
struct Strand {
    ends: [Tap; 2],
    lanes: [Lane; 2],
    state: Arc<State>,
}

impl Strand {
    /// Takes what came at one end.
    fn take(&mut self, end: usize, buffer: &mut [u8]) {
        let conditions = self.state.conditions();
        let counters = &self.state.counters;
        for _ in 0..BURST {
            // An end that fails is one where nothing comes.
            let Ok(Some(len)) = self.ends[end].receive(buffer) else { break };
            let frame = &mut buffer[..len];
            if frame.is_empty() {
                continue;
            }
            checksum::fill_in(frame);
            let counter = match self.lanes[end].push(frame, &conditions, Instant::now()) {
                Fate::Queued => continue,
                Fate::Lost => &counters.lost,
                Fate::TooLong => &counters.too_long,
                Fate::NoUdp => &counters.no_udp,
                Fate::Cut => &counters.cut,
                Fate::Overflowed => &counters.overflowed,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Delivers what is due.
    fn deliver(&mut self) {
        let counters = &self.state.counters;
        let cut = self.state.conditions().cut;
        for (lane, to) in self.lanes.iter_mut().zip(self.ends.iter().rev()) {
            if cut {
                counters.cut.fetch_add(lane.clear() as u64, Ordering::Relaxed);
            }
            while let Some(frame) = lane.pop(Instant::now()) {
                let counter = match to.send(&frame) {
                    Ok(()) => &counters.delivered,
                    Err(_) => &counters.refused,
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(Lane::next_due).min()
    }
}

fn run(new: &Receiver<Strand>, bell: &OwnedFd) -> io::Result<()> {
    let mut strands: Vec<Strand> = Vec::new();
    let mut buffer = vec![0; FRAME_MAX];
    loop {
        let due = strands.iter().filter_map(Strand::next_due).min();
        let readable = wait(&strands, bell, due)?;
        let _ = rustix::io::read(bell, &mut [0; 8]);
        loop {
            match new.try_recv() {
                Ok(strand) => strands.push(strand),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        for at in readable {
            strands[at / 2].take(at % 2, &mut buffer);
        }
        strands.iter_mut().for_each(Strand::deliver);
    }
}

/// Waits for frames, the bell, or the time; says at which ends frames came,
/// counted two to a strand.
fn wait(strands: &[Strand], bell: &OwnedFd, due: Option<Instant>) -> io::Result<Vec<usize>> {
    let mut fds: Vec<PollFd<'_>> = strands
        .iter()
        .flat_map(|s| s.ends.iter())
        .map(|tap| PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN))
        .collect();
    fds.push(PollFd::new(bell, PollFlags::IN));
    // A cut must find what is under way, however long that is.
    let timeout = due.map(|at| {
        let left = at.saturating_duration_since(Instant::now()).min(TICK);
        Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() }
    });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ends = &fds[..strands.len() * 2];
    Ok(ends.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty()).map(|(at, _)| at).collect())
}
