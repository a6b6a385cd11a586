//! What the screens of a fleet say at the end of a drill, against each other and what
//! the lab knows of it: whatever the drill was about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::arena::{Arena, Member};
use super::check::Unit;
use super::report::{Bound, Checked};
use crate::lab::fault::Fault;
use crate::lab::ops::FleetOp;
use crate::model::truth::{Difference, Truth, contradictions, differences};
use crate::model::{NatType, Snapshot, Stamp};

/// What differs that long is a lie: links come up, move and end within it, and a node
/// that is gone is noticed.
const LASTS: Duration = Duration::from_secs(25);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Differences that are told in words.
const TOLD_MAX: usize = 8;

/// Who is away, and since when.
#[derive(Debug, Default)]
pub(super) struct Away {
    down: BTreeMap<String, Stamp>,
    cut: BTreeMap<String, Stamp>,
    /// What the NAT in front of a host was changed to.
    nats: BTreeMap<String, NatType>,
}

impl Away {
    /// Something was done to the fleet.
    pub(super) fn note(&mut self, op: &FleetOp) {
        let now = super::tried::moment();
        match op {
            FleetOp::Stop(node) | FleetOp::Kill(node) => drop(self.down.insert(node.clone(), now)),
            FleetOp::Start { node, .. } => drop(self.down.remove(node)),
            FleetOp::Cut(host) => drop(self.cut.insert(host.clone(), now)),
            FleetOp::Heal(host) => drop(self.cut.remove(host)),
            FleetOp::Fault(Fault::Suspend { node }) => drop(self.cut.insert(node.clone(), now)),
            FleetOp::Fault(Fault::Wake { node }) => drop(self.cut.remove(node)),
            FleetOp::SetNat(host, nat) => drop(self.nats.insert(host.clone(), *nat)),
            FleetOp::Fault(_)
            | FleetOp::Blackhole { .. }
            | FleetOp::Flush(_)
            | FleetOp::CutWire { .. }
            | FleetOp::Spoil(_) => {}
        }
    }

    fn of<A: Arena>(&self, arena: &A, a: &Member, b: &Member) -> Truth {
        let since = |m: &Member| self.down.get(&m.name).or_else(|| self.cut.get(&m.name)).copied();
        // Where its connections run only the kernel knows.
        Truth {
            apart: since(a).into_iter().chain(since(b)).min(),
            down: [a, b].map(|m| !m.running),
            ways: None,
            nats: [a, b].map(|m| {
                let built = arena.nat_seen_of(&m.name);
                built.map(|built| self.nats.get(&m.name).copied().unwrap_or(built))
            }),
        }
    }
}

/// Waits until the screens agree, and tells what goes on differing.
pub(super) async fn check<A: Arena>(arena: &A, away: &Away) -> (Checked, Vec<String>) {
    let begun = Instant::now();
    let mut last = compare(arena, away);
    while !last.is_empty() && begun.elapsed() < LASTS {
        sleep(LOOK_EVERY).await;
        let now = compare(arena, away);
        // Of what differed at first only what still does.
        last.retain(|lie| now.contains(lie));
        if last.is_empty() {
            last = now;
        }
    }
    let told = last.iter().take(TOLD_MAX).map(|lie| format!("not so: {lie}")).collect();
    let checked = Checked {
        name: "the screens at both ends of every link agree: differences".to_owned(),
        ok: last.is_empty(),
        value: Some(last.len() as f64),
        limit: 0.0,
        bound: Bound::AtMost,
        unit: Unit::Count.name(),
    };
    (checked, told)
}

fn compare<A: Arena>(arena: &A, away: &Away) -> Vec<Difference> {
    let members = arena.members();
    let shown: Vec<(&Member, Arc<Snapshot>)> =
        members.iter().filter_map(|m| Some((m, Arc::clone(&*m.feed.as_ref()?.snapshots.borrow())))).collect();
    let mut found = Vec::new();
    for (at, (member, shot)) in shown.iter().enumerate() {
        if member.running {
            found.extend(contradictions(shot));
        }
        for (other, theirs) in &shown[at + 1..] {
            found.extend(differences([shot, theirs], &away.of(arena, member, other)));
        }
    }
    found
}
