//! Exchanges: both halves of a full sync with one peer, at the start of a link
//! or because somebody asked; and the commands that wait for them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::link::Whose;
use super::{Gossip, Output, SYNC_WITHIN};
use crate::core::book::Book;
use crate::core::limits::INTAKE_BURST_REQUESTED;
use crate::core::wire::{Message, Request, SyncRefused, Want};
use crate::core::{Mono, Now};
use crate::model::{CommandId, DropReason, EventKind, PeerId, Reason, SyncReport, millis};

/// Both halves of a full sync.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The number of our request; 0: nobody asked, the link is new.
    sync: u32,
    pub(super) since: Mono,
    sent: u64,
    received: u64,
    new: u64,
    /// The peer's half is complete.
    answered: bool,
    /// Our half is.
    pushed: bool,
    /// The peer serves none now, and when it says that it will.
    refused: Option<Duration>,
}

impl Exchange {
    fn new(sync: u32, now: Now) -> Self {
        Self {
            sync,
            since: now.mono,
            sent: 0,
            received: 0,
            new: 0,
            answered: false,
            pushed: false,
            refused: None,
        }
    }
}

/// A sync command and whom it waits for.
#[derive(Debug)]
pub(super) struct Job {
    command: CommandId,
    started: Mono,
    waiting: BTreeSet<PeerId>,
    report: SyncReport,
}

impl Job {
    pub(super) fn deadline(&self) -> Mono {
        self.started + SYNC_WITHIN
    }

    fn add(&mut self, exchange: &Exchange) {
        self.report.peers_synced += u32::from(exchange.answered);
        self.report.records_sent += exchange.sent;
        self.report.records_received += exchange.received;
        self.report.records_new += exchange.new;
        if let Some(retry) = exchange.refused {
            self.report.peers_refused += 1;
            self.report.retry_ms = Some(self.report.retry_ms.unwrap_or(0).max(millis(retry)));
        }
    }
}

impl Gossip {
    /// Exchanges everything with one linked peer or with all. Its
    /// [`Output::Synced`] comes within [`SYNC_WITHIN`]. Asking again while it
    /// runs joins the running exchange.
    ///
    /// # Errors
    /// [`Reason::NotLinked`], or [`Reason::NoLinks`] if all were meant.
    pub fn sync(
        &mut self,
        target: Option<PeerId>,
        command: CommandId,
        book: &Book,
        now: Now,
    ) -> Result<(), Reason> {
        let peers: BTreeSet<PeerId> = match target {
            Some(peer) if self.links.contains_key(&peer) => BTreeSet::from([peer]),
            Some(_) => return Err(Reason::NotLinked),
            None if self.links.is_empty() => return Err(Reason::NoLinks),
            None => self.links.keys().copied().collect(),
        };
        let report = SyncReport { peers_asked: peers.len() as u32, ..SyncReport::default() };
        for peer in &peers {
            self.start_exchange(*peer, now);
        }
        self.jobs.push(Job { command, started: now.mono, waiting: peers, report });
        self.pump(book, now);
        Ok(())
    }

    /// A new link: both ends send everything unasked.
    pub(super) fn start_initial_exchange(&mut self, peer: PeerId, now: Now) {
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        link.exchange = Some(Exchange::new(0, now));
        if link.meters.syncs.take(now.mono) {
            self.enqueue(peer, 0, Whose::All, true);
        } else {
            // A link that comes and goes is not told everything each time.
            self.count(DropReason::GossipServe, 1);
        }
    }

    fn start_exchange(&mut self, peer: PeerId, now: Now) {
        let sync = self.number();
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        let pushing = link.queue.iter().any(|serving| serving.push);
        match &mut link.exchange {
            Some(running) if running.sync != 0 => return,
            // Our half of the first exchange is still on its way: it serves.
            Some(running) if pushing => {
                running.sync = sync;
                running.since = now.mono;
                running.answered = false;
            }
            other => *other = Some(Exchange::new(sync, now)),
        }
        self.request_all(peer, sync, now);
        if !pushing {
            self.enqueue(peer, 0, Whose::All, true);
        }
    }

    fn request_all(&mut self, peer: PeerId, sync: u32, now: Now) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.meters.intake.grant(INTAKE_BURST_REQUESTED, INTAKE_BURST_REQUESTED, now.mono);
        }
        self.send(peer, Message::Request(Request { sync, want: Want::All }));
    }

    /// The unasked full sync of a peer that we dialled ourselves was more than
    /// is taken unasked: so it is asked for, once. Of one that dialled us it is
    /// not; the digest brings it bit by bit.
    pub(super) fn ask_again_if_cut(&mut self, peer: PeerId, cut: bool, sync: u32, last: bool, now: Now) {
        let number = self.number();
        let Some(link) = self.links.get_mut(&peer).filter(|_| sync == 0) else {
            return;
        };
        link.cut |= cut;
        if last && link.cut && link.context.outbound && !link.asked_again {
            link.asked_again = true;
            self.request_all(peer, number, now);
        }
    }

    /// A page came in.
    pub(super) fn note_page(&mut self, peer: PeerId, sync: u32, last: bool, count: u64, new: u64, now: Now) {
        let Some(exchange) = self.links.get_mut(&peer).and_then(|link| link.exchange.as_mut()) else {
            return;
        };
        if sync == exchange.sync || sync == 0 {
            exchange.received += count;
            exchange.new += new;
        }
        if sync == exchange.sync && last {
            exchange.answered = true;
        }
        self.end_if_complete(peer, now);
    }

    /// The peer serves no full sync now.
    pub(super) fn on_refused(&mut self, peer: PeerId, said: SyncRefused, now: Now) {
        if let Some(exchange) = self.links.get_mut(&peer).and_then(|link| link.exchange.as_mut())
            && said.sync == exchange.sync
            && said.sync != 0
        {
            exchange.refused = Some(Duration::from_secs(said.retry_s.into()));
        }
        self.end_if_complete(peer, now);
    }

    /// A page of our half went out.
    pub(super) fn note_pushed(&mut self, peer: PeerId, count: u64, last: bool, now: Now) {
        if let Some(exchange) = self.links.get_mut(&peer).and_then(|link| link.exchange.as_mut()) {
            exchange.sent += count;
            exchange.pushed |= last;
        }
        self.end_if_complete(peer, now);
    }

    fn end_if_complete(&mut self, peer: PeerId, now: Now) {
        let complete = |e: &Exchange| (e.answered || e.refused.is_some()) && e.pushed;
        if self.links.get(&peer).and_then(|link| link.exchange.as_ref()).is_some_and(complete) {
            self.end_exchange(peer, now);
        }
    }

    /// Ends an exchange with what came, and the commands that waited for it.
    pub(super) fn end_exchange(&mut self, peer: PeerId, now: Now) {
        let Some(exchange) = self.links.get_mut(&peer).and_then(|link| link.exchange.take()) else {
            return;
        };
        for job in &mut self.jobs {
            if job.waiting.remove(&peer) {
                job.add(&exchange);
            }
        }
        if exchange.answered || exchange.sent > 0 {
            let Exchange { sent, received, new, .. } = exchange;
            self.event(Some(peer), EventKind::GossipSync { sent, received, new });
        }
        self.end_jobs(now, |job| job.waiting.is_empty());
    }

    /// Ends exchanges and commands whose time is over.
    pub(super) fn end_overdue(&mut self, now: Now) {
        let overdue: Vec<PeerId> = self
            .links
            .iter()
            .filter(|(_, l)| l.exchange.as_ref().is_some_and(|e| e.since + SYNC_WITHIN <= now.mono))
            .map(|(peer, _)| *peer)
            .collect();
        // Commands first: one that joined late must not wait for more.
        for job in self.jobs.iter_mut().filter(|job| job.deadline() <= now.mono) {
            for peer in std::mem::take(&mut job.waiting) {
                if let Some(exchange) = self.links.get(&peer).and_then(|link| link.exchange.as_ref()) {
                    job.add(exchange);
                }
            }
        }
        self.end_jobs(now, |job| job.waiting.is_empty());
        for peer in overdue {
            self.end_exchange(peer, now);
        }
    }

    fn end_jobs(&mut self, now: Now, ended: impl Fn(&Job) -> bool) {
        let (done, running) = std::mem::take(&mut self.jobs).into_iter().partition(ended);
        self.jobs = running;
        let done: Vec<Job> = done;
        for Job { command, started, mut report, .. } in done {
            report.elapsed_ms = millis(now.mono.since(started));
            self.out.push_back(Output::Synced { command, report });
        }
    }
}
