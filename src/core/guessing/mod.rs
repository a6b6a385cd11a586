//! Guessing a port: how two ends leave a relay where one of them is behind a
//! symmetric NAT and the other minds the port.
//!
//! A symmetric NAT gives each destination another port, so nobody knows where a
//! prober behind a port-restricted one has to send. But the prober's own mapping is
//! one for all. So the symmetric end *opens* up to 256 sockets towards that one
//! mapping, and the other end *probes* up to 1 024 random ports of the symmetric
//! NAT: 98 times in 100 one of them is one of those 256 ([`odds`]). What comes in
//! there has met, and a connection is dialled from the very socket that it met.
//! Where the ports move in small steps the nearest are probed first, and then even
//! two symmetric NATs can meet.
//!
//! Both ends agree first, over the link that a relay carries meanwhile: an offer, an
//! answer, "my sockets are open", "it is over". An older peer skips the offer.
//!
//! **Where datagrams go.** Never where the other end says it is, for it could name
//! anybody. What else is known of it on a relayed link?
//! - The source that a reservation shows is what its relay says, one witness, and
//!   only the holder sees it.
//! - An intermediary of a punch names the address at which it sees the target; again
//!   one witness, and only for who asked.
//! - Everybody linked to both ends sees both. "Who has?" asks them all, costs two
//!   small messages each, and gives as many witnesses as there are.
//!
//! So the last is used, and it takes three who agree: an address is aimed at only if
//! the other end itself says that it is there, *and* it is seen there by a linked
//! peer that we ourselves found to be public, or by two at different addresses, none
//! of them at the address in question and none of them seen through a relay
//! ([`Evidence`]). A liar alone, at whichever end, aims us at nobody. Who holds
//! several identities at several addresses can; he gets at most 1 024 datagrams of
//! 24 bytes a run towards one address, [`GUESS_RUNS_PER_IP`](crate::core::limits::GUESS_RUNS_PER_IP) runs in ten minutes
//! however many peers say that they are there, and that is less than he can send
//! there himself. Of an end whose mapping is one for all the port is witnessed too;
//! of a symmetric one the ports are what is guessed, and its word on them chooses
//! only the order, from 1024 up.
//!
//! **What it costs** is bounded here and by nobody's word: the budgets of both roles
//! are ours, whatever the other end says that it opened or sent. One run at a time
//! in a node, two for a pair in ten minutes. Sockets are closed at the end of a run,
//! which has a deadline of its own at both ends.
//!
//! This module sends and opens nothing: [`Out`] says what is wanted.

mod evidence;
mod io;
mod odds;
mod part;
mod plan;
mod ports;
mod rates;
mod run;
mod schedule;
mod steps;
#[cfg(test)]
mod tests;
mod types;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use self::evidence::{Evidence, Witness};
pub use self::io::{GuessAction, GuessInput};
pub use self::odds::odds;
pub(super) use self::part::{Guesses, Input, View};
pub use self::plan::{Role, role};
use self::rates::Rates;
use self::run::Run;
use self::schedule::Schedule;
pub use self::types::{DATAGRAM_LEN, Datagram, Ended, Ground, Out, RunId, Shown, datagram, is_ours};
use super::Mono;
use super::limits::GUESS_PORT_MIN;
use super::nat::Nonce;
use crate::model::{HardNat, PeerId, Reason};

/// Where a NAT's ports have come to is looked at again within this time.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(1);

/// The state machine of one node.
#[derive(Debug)]
pub struct Guessing {
    me: PeerId,
    mode: HardNat,
    run: Option<Run>,
    schedule: Schedule,
    rates: Rates,
    rng: StdRng,
}

impl Guessing {
    /// Nothing is wanted yet.
    pub fn new(me: PeerId, mode: HardNat, seed: u64) -> Self {
        Self {
            me,
            mode,
            run: None,
            schedule: Schedule::default(),
            rates: Rates::default(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Whether runs begin by themselves from now on. One under way ends as it began,
    /// but for `off`.
    pub fn set_mode(&mut self, mode: HardNat, now: Mono, out: &mut Vec<Out>) {
        self.mode = mode;
        if mode == HardNat::Off {
            self.end(Err(Reason::NoGuessing), true, now, out);
        }
        if mode != HardNat::Auto {
            self.schedule.clear();
        }
    }

    /// A link runs over a relay, and measurement says that nothing else leads there
    /// but this. `by_hand`: somebody here asked for the link.
    pub fn relayed(&mut self, peer: PeerId, by_hand: bool, now: Mono) {
        if self.mode == HardNat::Auto {
            self.schedule.want(peer, by_hand, self.me > peer, now);
        }
    }

    /// A link does not run over a relay any more, or is gone.
    pub fn not_relayed(&mut self, peer: PeerId, linked: bool, now: Mono, out: &mut Vec<Out>) {
        self.schedule.forget(&peer);
        if self.run.as_ref().is_some_and(|run| run.peer == peer) {
            let result = match (linked, self.is_meeting(&peer)) {
                (true, true) => Ok(()),
                (true, false) => Err(Reason::NotNeeded),
                (false, _) => Err(Reason::NotLinked),
            };
            let tell = linked && result.is_err();
            self.end(result, tell, now, out);
        }
    }

    /// Whether a run with this peer is of any use at all.
    pub fn could(&self, peer: PeerId, ground: &Ground) -> bool {
        self.mode != HardNat::Off && ground.role(self.me, peer).is_some() && ground.at().is_some()
    }

    /// Somebody asks for a run with this peer now. It is tried again as long as the
    /// link is relayed, and an offer of the peer is taken, whatever the mode is else.
    ///
    /// # Errors
    /// Why there is none.
    pub fn ask(
        &mut self,
        peer: PeerId,
        ground: &Ground,
        now: Mono,
        out: &mut Vec<Out>,
    ) -> Result<(), Reason> {
        if self.mode == HardNat::Off {
            return Err(Reason::NoGuessing);
        }
        if self.run.as_ref().is_some_and(|run| run.peer == peer) {
            return Ok(());
        }
        if self.run.is_some() {
            return Err(Reason::GuessBusy);
        }
        self.start(peer, ground, now, out)?;
        self.schedule.want(peer, true, false, now);
        Ok(())
    }

    /// A NAT is another one: what was given up may be worth a try.
    pub fn sooner(&mut self, now: Mono) {
        self.schedule.sooner(now);
    }

    /// The peer with which a run is due.
    pub fn due(&self, now: Mono) -> Option<PeerId> {
        self.schedule.due(now)
    }

    /// When the next run with a peer is due.
    pub fn due_with(&self, peer: &PeerId) -> Option<Mono> {
        self.schedule.due_with(peer)
    }

    /// Begins the run that is due, if it can be begun.
    pub fn start_due(&mut self, peer: PeerId, ground: &Ground, now: Mono, out: &mut Vec<Out>) {
        if self.run.is_some() {
            return self.schedule.busy(peer, now);
        }
        if ground.is_stale() {
            return self.schedule.later(peer, LOOKED_AT_WITHIN, now);
        }
        match self.start(peer, ground, now, out) {
            Ok(()) => {}
            Err(Reason::TooSoon { retry_ms }) => {
                self.schedule.later(peer, Duration::from_millis(retry_ms), now);
            }
            Err(_) => self.schedule.forget(&peer),
        }
    }

    fn start(&mut self, peer: PeerId, ground: &Ground, now: Mono, out: &mut Vec<Out>) -> Result<(), Reason> {
        let role = ground.role(self.me, peer).ok_or(Reason::Unguessable)?;
        let at = ground.at().ok_or(Reason::Unguessable)?;
        if let Some(wait) = self.rates.pair_wait(&peer, now) {
            return Err(Reason::too_soon(wait));
        }
        if let Some(wait) = self.rates.node_wait(now) {
            return Err(Reason::too_soon(wait));
        }
        let id: Nonce = self.rng.random();
        let run = Run::new(RunId(id), peer, role, self.query(), now);
        out.push(Out::Begun { peer });
        out.push(run.offer(at, ground.near));
        out.push(Out::Ask { about: peer, query: run.query });
        self.run = Some(run);
        Ok(())
    }

    /// Questions of attempts count from one up; these have the highest bit.
    fn query(&mut self) -> u32 {
        self.rng.random::<u32>() | 1 << 31
    }

    /// The question that is open: who sees the other end.
    pub fn open_query(&self) -> Option<(u32, PeerId)> {
        self.run.as_ref().map(|run| (run.query, run.peer))
    }

    /// Whether a connection that comes up now owes it to a run.
    pub fn is_meeting(&self, peer: &PeerId) -> bool {
        self.run.as_ref().is_some_and(|run| run.peer == *peer && run.phase.may_meet())
    }

    /// The run as it is shown, and with whom.
    pub fn shown(&self) -> Option<(PeerId, Shown)> {
        self.run.as_ref().map(|run| (run.peer, run.shown()))
    }

    /// When [`Self::on_timeout`] or [`Self::start_due`] is due.
    pub fn next_timeout(&self) -> Option<Mono> {
        self.run.as_ref().map(Run::next_timeout).into_iter().chain(self.schedule.next_timeout()).min()
    }

    /// Ends a run that is under way, and says so to the other end where it waits.
    fn end(&mut self, result: Result<(), Reason>, tell: bool, now: Mono, out: &mut Vec<Out>) {
        let Some(mut run) = self.run.take() else { return };
        // A connection may be faster than the word that it is coming.
        run.met |= result.is_ok();
        if tell && run.is_agreed() {
            out.push(run.over(false));
        }
        if run.role == Role::Open {
            out.push(Out::Close(run.id));
        }
        let failed = result.as_ref().err().cloned();
        let shown = run.shown();
        out.push(Out::Ended(Ended { peer: run.peer, result, shown }));
        match failed {
            None => self.schedule.forget(&run.peer),
            Some(reason) => {
                let least = self.rates.pair_wait(&run.peer, now);
                self.schedule.failed(run.peer, &reason, least, now);
            }
        }
    }

    /// Stops everything: the node ends.
    pub fn stop(&mut self, now: Mono, out: &mut Vec<Out>) {
        self.end(Err(Reason::ShuttingDown), true, now, out);
        self.schedule.clear();
    }
}

/// A port that may be aimed at.
fn is_free_port(port: u16) -> bool {
    port >= GUESS_PORT_MIN
}
