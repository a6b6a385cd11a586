//! Who tests the filter for whom: those that answered, in a ring. Each has a
//! socket that contacts it alone, and the next one dials back to it.

use std::time::Duration;

use super::super::classify;
use super::super::tools::Tools;
use super::{
    DIAL_RESERVE, DIAL_RESERVE_OPEN, DIAL_TRIES, OTHER_PORT_TRIES, PAIRS_MAX, Pair, RESERVE, RING_WAIT,
    RTT_MAX, Run, What,
};
use crate::core::Now;

impl Run {
    /// As soon as enough have answered, the filter tests begin among them.
    pub(super) fn make_ring(&mut self, tools: &mut Tools<'_>, now: Now) {
        if self.rung || self.local.is_none() {
            return;
        }
        let seen = self.seen();
        let answered: Vec<usize> = (0..seen.len()).filter(|&p| seen[p] != [None, None]).collect();
        let all_done = self.requests.iter().all(|r| r.due.is_none());
        let waited = now.mono.since(self.started) >= self.ring_wait();
        let enough = answered.len() >= PAIRS_MAX.min(self.plan.points.len());
        if !(enough || all_done || waited) {
            return;
        }
        self.rung = true;
        // A responder that is alone with what it saw is not built upon.
        let mapping = classify::mapping(&seen);
        let mut ring: Vec<usize> = answered.iter().copied().filter(|&p| mapping.agrees[p]).collect();
        if ring.len() < 2 {
            ring = answered;
        }
        ring.truncate(PAIRS_MAX);
        // Round trips change from run to run. The same three must make the same
        // pairs: what stayed out counts by pair, and responders serve few.
        ring.sort_by_key(|&p| self.plan.points[p].peer);
        let len = ring.len();
        if len < 2 || (self.plan.glance && !self.plan.filter) {
            return;
        }
        let reserve = if self.plan.open { DIAL_RESERVE_OPEN } else { DIAL_RESERVE };
        let spare = |n: usize, tools: &mut Tools| {
            let dialler = self.plan.points[ring[(n + 1) % len]].peer;
            tools.budgets().has_dial_backs(dialler, reserve + 1.0, now.mono)
        };
        // A glance tests one pair only, another one each time.
        let turns = (0..len).map(|n| (n + self.plan.turn) % len);
        let glanced = turns.clone().find(|n| spare(*n, tools)).or(turns.clone().next());
        for n in 0..len {
            if self.plan.glance && Some(n) != glanced {
                continue;
            }
            let (contact, dialler) = (ring[n], ring[(n + 1) % len]);
            let points = &self.plan.points;
            if self.plan.glance && !tools.budgets().has_reflections(points[contact].peer, RESERVE, now.mono) {
                continue;
            }
            let silent = self.plan.silent.get(&(points[contact].peer, points[dialler].peer));
            let missing = DIAL_TRIES.saturating_sub(silent.copied().unwrap_or(0)).max(1);
            let spare = spare(n, tools);
            let socket = tools.open((points[contact].ip, points[contact].ports[0]).into());
            self.pairs.push(Pair {
                contact,
                dialler,
                socket,
                open: false,
                seen: None,
                nonces: Vec::new(),
                want: if self.plan.glance { u8::from(spare) } else { missing },
                next: None,
                answers_until: None,
                sent: 0,
                refusals: 0,
                refused: false,
                stranger: None,
                other_tries: 0,
                other_port: false,
            });
        }
    }

    pub(super) fn ring_wait(&self) -> Duration {
        RING_WAIT + self.plan.points.iter().map(|p| p.rtt.min(RTT_MAX)).max().unwrap_or_default()
    }

    /// A pair whose mapping is known goes on to what a filter may stop.
    pub(super) fn begin_other_ports(&mut self, tools: &mut Tools<'_>, now: Now) {
        for at in 0..self.pairs.len() {
            let begun = self.requests.iter().any(|r| r.what == What::OtherPort { pair: at });
            let pair = &mut self.pairs[at];
            if pair.seen.is_none() || begun {
                continue;
            }
            pair.next = Some(now.mono);
            let (contact, socket) = (pair.contact, pair.socket);
            let tries = match (self.plan.glance, self.plan.shut) {
                (false, _) => OTHER_PORT_TRIES,
                (true, false) => 2,
                (true, true) => 1,
            };
            self.request(What::OtherPort { pair: at }, contact, socket, tries, tools, now);
        }
    }
}
