//! Testing the paths to a peer: round trip, jitter, loss, reordering, the largest
//! datagram, and what each direction carries.
//!
//! A test is one *run* a path, one after the other. Who asks offers a run over the link
//! and names the connection; the other end agrees, or says why not, and may agree to
//! less. An older peer skips the offer. Then, on that very connection:
//!
//! - *Quiet*: small datagrams, each echoed. They are never sent again by anybody, so
//!   what is lost is lost on the path. Both count what came, so each direction is told
//!   apart.
//! - *Up*, *Down*: load on a stream of its own, at a lower priority than everything
//!   else on the connection, while the datagrams go on and carry what arrived back to
//!   whoever sends. A sender ([`Flow`]) has no more under way than the path carries in a
//!   round trip and `flow::TARGET` more: when round trips grow it backs off, so queues
//!   stay short and heartbeats on time.
//!
//! **What it costs the tested end** is bounded here, by nobody's word: time, rate and
//! bytes each way are the smaller of what was asked and our own limits; one run a peer,
//! few in all, so many in ten minutes; it sends only while the asker's datagrams ask for
//! it; what nobody agreed to ends the run. A run ends with its connection.
//!
//! This module sends and opens nothing: [`Out`] says what is wanted.

mod asked;
mod datagram;
mod flow;
mod measure;
mod rates;
mod served;
#[cfg(test)]
mod tests;
mod types;

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::asked::Asked;
pub use self::datagram::{Bytes, LEN};
pub use self::flow::Flow;
use self::served::Served;
pub use self::types::{Ended, Ground, Input, Out, RunId, Way};
use super::Now;
use crate::model::{DropReason, PathTest, PeerId, Reason, TestConsent, TestPhase};

/// Between two datagrams of a run, at least; so often, too, a sender is given more to
/// send.
const TICK: Duration = Duration::from_millis(10);

/// The state machine of one node.
#[derive(Debug)]
pub struct PathTests {
    asked: Option<Asked>,
    served: Served,
    out: VecDeque<Out>,
    rng: StdRng,
}

impl PathTests {
    /// Nothing runs. `consent`: whose tests are taken.
    pub fn new(consent: TestConsent, seed: u64) -> Self {
        Self {
            asked: None,
            served: Served::new(consent),
            out: VecDeque::new(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Whose tests are taken from now on; what runs already ends as it began, but for
    /// `off`.
    pub fn set_consent(&mut self, consent: TestConsent) {
        self.served.set_consent(consent, &mut self.out);
    }

    /// Begins a test of those paths, the first one first.
    ///
    /// # Errors
    /// Why there is none.
    pub fn start(&mut self, peer: PeerId, ways: &[Way], lasts: Duration, now: Now) -> Result<(), Reason> {
        if self.asked.is_some() {
            return Err(Reason::TestRuns);
        }
        if ways.is_empty() {
            return Err(Reason::NotLinked);
        }
        let mut asked = Asked::new(peer, ways, lasts, now);
        asked.next_path(self.rng.random(), now.mono, &mut self.out);
        self.asked = Some(asked);
        Ok(())
    }

    /// Calls the test of a peer off.
    ///
    /// # Errors
    /// There is none.
    pub fn call_off(&mut self, peer: &PeerId, why: &Reason, now: Now) -> Result<(), Reason> {
        let asked = self.asked.as_mut().filter(|asked| asked.peer() == *peer).ok_or(Reason::NoTestRuns)?;
        asked.call_off(why, &mut self.out);
        self.go_on(now);
        Ok(())
    }

    /// Takes an input.
    pub fn handle(&mut self, input: Input<'_>, now: Now) {
        let out = &mut self.out;
        match input {
            Input::Offer { peer, offer, ground } => self.served.on_offer(peer, offer, ground, now.mono, out),
            Input::Answer { peer, answer } => {
                self.with_asked(|a, out| a.on_answer(peer, answer, now.mono, out));
            }
            Input::Over { peer, run } => {
                let run = RunId(run);
                self.served.on_over(peer, run, out);
                self.with_asked(|a, out| a.on_over(peer, run, out));
            }
            Input::Datagram { conn, bytes, mtu } => {
                let asked = self.asked.as_mut().is_some_and(|a| a.on_datagram(conn, &bytes, mtu, now.mono));
                if !asked && !self.served.on_datagram(conn, &bytes, mtu, now.mono, out) {
                    out.push_back(Out::Stopped(DropReason::DatagramsOfNoTest));
                }
            }
            Input::Read { run, total } => {
                self.served.on_read(run, total, out);
                self.with_asked(|a, out| a.on_read(run, total, now.mono, out));
            }
            Input::Closed { conn } => {
                self.served.on_closed(conn, out);
                self.with_asked(|a, out| a.on_closed(conn, out));
            }
            Input::Unlinked { peer } => {
                self.served.on_unlinked(&peer, out);
                let _ = self.call_off(&peer, &Reason::NotLinked, now);
            }
        }
        self.go_on(now);
    }

    fn with_asked(&mut self, f: impl FnOnce(&mut Asked, &mut VecDeque<Out>)) {
        if let Some(asked) = &mut self.asked {
            f(asked, &mut self.out);
        }
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Now) {
        self.served.on_timeout(now.mono, &mut self.out);
        self.with_asked(|asked, out| asked.on_timeout(now.mono, out));
        self.go_on(now);
    }

    /// When [`Self::on_timeout`] is due.
    pub fn next_timeout(&self) -> Option<super::Mono> {
        self.asked.iter().filter_map(Asked::next_timeout).chain(self.served.next_timeout()).min()
    }

    /// The next thing that is wanted.
    pub fn poll(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    /// The test under way, as it is shown.
    pub fn shown(&self, now: Now) -> Option<PathTest> {
        self.asked.as_ref().map(|asked| asked.shown(now))
    }

    /// Which path is tested just now, and how far that is.
    pub fn stage(&self) -> Option<(PeerId, usize, TestPhase)> {
        self.asked.as_ref().and_then(Asked::stage)
    }

    /// Ends everything: the node stops.
    pub fn stop(&mut self, now: Now) {
        self.served.stop(&mut self.out);
        if let Some(peer) = self.asked.as_ref().map(Asked::peer) {
            let _ = self.call_off(&peer, &Reason::ShuttingDown, now);
        }
    }

    /// A path is done: the next one, or the end.
    fn go_on(&mut self, now: Now) {
        let Some(asked) = &mut self.asked else { return };
        if asked.is_between() && !asked.next_path(self.rng.random(), now.mono, &mut self.out) {
            let test = PathTest { ended: Some(now.stamp), ..asked.shown(now) };
            self.asked = None;
            self.out.push_back(Out::Ended(Ended { test }));
        }
    }
}
