//! Where things come from: signals, the ends of a feed, the lab, the fleet.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};

use crate::model::LogLine;
use crate::node::feed::{Feed, LogLines, NumberedLine, Presence};
use crate::tui::fleet::{Fleet, FleetView};
use crate::tui::lab::{Lab, LabView};

/// The signals that the console answers.
pub(super) struct Signals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
    quit: Signal,
    resume: Signal,
    resize: Signal,
}

/// What a signal means to us.
pub(super) enum Signalled {
    Exit,
    Resumed,
    Resized,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            resume: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            resize: signal(SignalKind::window_change())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signalled {
        tokio::select! {
            biased;
            _ = self.hangup.recv() => Signalled::Exit,
            _ = self.terminate.recv() => Signalled::Exit,
            _ = self.interrupt.recv() => Signalled::Exit,
            _ = self.quit.recv() => Signalled::Exit,
            _ = self.resume.recv() => Signalled::Resumed,
            _ = self.resize.recv() => Signalled::Resized,
        }
    }
}

/// Which ends of the feed still speak.
pub(super) struct Open {
    pub(super) snapshots: bool,
    pub(super) events: bool,
    pub(super) outcomes: bool,
    pub(super) presence: bool,
}

impl Default for Open {
    fn default() -> Self {
        Self { snapshots: true, events: true, outcomes: true, presence: true }
    }
}

/// Whether a node in another process has gone or is back; never for one in ours.
pub(super) async fn presence_of(presence: &mut Option<watch::Receiver<Presence>>) -> Option<Presence> {
    let Some(presence) = presence else { return std::future::pending().await };
    presence.changed().await.ok().map(|()| presence.borrow_and_update().clone())
}

/// The log of a node in another process.
pub(super) struct NodeLines {
    lines: broadcast::Receiver<NumberedLine>,
    /// The number of the last one.
    last: u64,
}

/// Most lines that are taken together.
const TOGETHER: usize = 500;

impl NodeLines {
    /// The lines that are remembered, and those to come.
    pub(super) fn of(logs: &LogLines) -> (Vec<LogLine>, Self) {
        let (recent, lines) = logs.follow();
        let last = recent.last().map_or(0, |(n, _)| *n);
        (recent.into_iter().map(|(_, line)| Arc::unwrap_or_clone(line)).collect(), Self { lines, last })
    }

    /// A line and those that are there already, and how many are missing.
    fn together_with(&mut self, first: NumberedLine) -> (Vec<LogLine>, u64) {
        let (mut lines, mut missed, mut next) = (Vec::new(), 0, Some(first));
        while let Some((n, line)) = next {
            missed += self.missed_before(n);
            lines.push(Arc::unwrap_or_clone(line));
            next = if lines.len() < TOGETHER { self.lines.try_recv().ok() } else { None };
        }
        (lines, missed)
    }

    /// What its number says of those before it.
    fn missed_before(&mut self, n: u64) -> u64 {
        n.saturating_sub(std::mem::replace(&mut self.last, n) + 1)
    }
}

/// The next lines, and how many are missing; never any without a log.
pub(super) async fn lines_of(log: &mut Option<NodeLines>) -> (Vec<LogLine>, u64) {
    loop {
        let Some(from) = log else { return std::future::pending().await };
        match from.lines.recv().await {
            // Nothing is waited for from here on: who gives this up loses no line.
            Ok(first) => return from.together_with(first),
            // The gap in the numbers says so.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => *log = None,
        }
    }
}

/// What comes from the lab or the fleet.
pub(super) enum News<V> {
    View(Arc<V>),
    Feed(Feed),
    End,
}

/// The next thing that the lab says; never anything without one.
pub(super) async fn news_of(lab: &mut Option<Lab>) -> News<LabView> {
    let Some(Lab { view, feeds, .. }) = lab else { return std::future::pending().await };
    news(view, feeds).await
}

/// The next thing that is told of the fleet; never anything without one.
pub(super) async fn news_of_fleet(fleet: &mut Option<Fleet>) -> News<FleetView> {
    let Some(Fleet { view, feeds, .. }) = fleet else { return std::future::pending().await };
    news(view, feeds).await
}

async fn news<V>(view: &mut watch::Receiver<Arc<V>>, feeds: &mut mpsc::Receiver<Feed>) -> News<V> {
    tokio::select! {
        Some(feed) = feeds.recv() => News::Feed(feed),
        changed = view.changed() => match changed {
            Ok(()) => News::View(view.borrow_and_update().clone()),
            Err(_) => News::End,
        },
    }
}
