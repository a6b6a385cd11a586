//! At the end of a test the screens of all nodes equal the network, at both ends of
//! every link: whatever a test was about.

use std::time::Duration;

use super::{Net, id};
use crate::model::truth::{Difference, NOTICED_WITHIN, Truth, Way, contradictions, differences};
use crate::model::{PeerId, Snapshot, Stamp};

/// A link comes up, moves or ends within this: what differs longer is a lie.
const MOMENT: Duration = Duration::from_secs(1);
/// How many moments a difference has to last.
const MOMENTS: u32 = 12;

impl Net {
    /// What the screens say that is not so, once everything had time to be noticed.
    pub(in crate::core) fn not_so(&mut self) -> Vec<String> {
        let all_up = self.cut.is_empty() && self.nodes.iter().all(|n| n.up);
        self.run(if all_up { MOMENT } else { NOTICED_WITHIN + MOMENT });
        let mut last = self.compare();
        for _ in 0..MOMENTS {
            if last.is_empty() {
                break;
            }
            self.run(MOMENT);
            let now = self.compare();
            last.retain(|lie| now.contains(lie));
        }
        last.iter().map(ToString::to_string).collect()
    }

    fn compare(&mut self) -> Vec<Difference> {
        let now = self.now;
        let shots: Vec<Snapshot> = self.nodes.iter_mut().map(|node| node.engine.snapshot(now)).collect();
        let mut found = Vec::new();
        // A node that is down says nothing; what is said of it counts.
        let up = |n: usize| self.nodes[n].up;
        for (n, shot) in shots.iter().enumerate() {
            if up(n) {
                found.extend(contradictions(shot));
            }
            for (other, theirs) in
                shots.iter().enumerate().skip(n + 1).filter(|(other, _)| up(n) || up(*other))
            {
                found.extend(differences([shot, theirs], &self.truth(n, other)));
            }
        }
        found
    }

    fn truth(&self, a: usize, b: usize) -> Truth {
        let down = [!self.nodes[a].up, !self.nodes[b].up];
        let apart: Option<Stamp> =
            [a, b].into_iter().filter(|n| !self.nodes[*n].up).map(|n| self.nodes[n].alive_at).min();
        let between = self.conns.values().filter(|c| c.ends == [a, b] || c.ends == [b, a]);
        let passing = between.filter(|c| match c.via {
            None => self.passes(a, b),
            Some(relay) => self.passes(a, relay) && self.passes(relay, b),
        });
        let way = |c: &super::Conn| {
            let via: Option<PeerId> = c.via.map(id);
            Way { via, dialled_by: usize::from(c.ends[0] == b) }
        };
        Truth { apart, down, ways: Some(passing.map(way).collect()), nats: [None; 2] }
    }
}
