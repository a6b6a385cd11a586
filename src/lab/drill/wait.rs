//! Waiting until something holds.

use std::time::{Duration, Instant};

use super::arena::{Arena, ArenaError, Member};
use super::runner::{Runner, Stop};
use super::step::Condition;
use crate::model::{Path, Phase, ReservationRow, ReservationState, Snapshot};

/// How often a condition is looked at. Snapshots come ten times a second.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl<A: Arena> Runner<'_, A> {
    pub(super) async fn wait(
        &mut self,
        until: &Condition,
        within: Duration,
        name: Option<&str>,
    ) -> Result<(), Stop> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            if self.holds(until)? {
                if let Some(name) = name {
                    self.measured.insert(name.to_owned(), begun.elapsed().as_secs_f64() * 1e3);
                }
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let lacking = self.lacking(until)?;
        if !lacking.is_empty() {
            let after = within.as_secs();
            self.told.push(format!("after {after} s it still did not hold for {}", lacking.join(", ")));
            if matches!(until, Condition::AllMeasured) {
                self.explain_unmeasured(&lacking);
            }
        }
        Ok(())
    }

    /// Why nodes have not measured their NAT.
    fn explain_unmeasured(&mut self, names: &[String]) {
        for member in self.arena.members().iter().filter(|m| names.contains(&m.name)) {
            let Some(feed) = &member.feed else { continue };
            let snapshot = feed.snapshots.borrow();
            let reason = snapshot.nat.reason.as_ref().map(ToString::to_string).unwrap_or_default();
            let evidence = snapshot.nat.evidence.join("; ");
            self.told.push(format!("{}: {reason}: {evidence}", member.name));
        }
    }

    /// The nodes for which something does not hold that is asked of all.
    fn lacking(&self, condition: &Condition) -> Result<Vec<String>, ArenaError> {
        let members = self.arena.members();
        let running: Vec<&Member> = members.iter().filter(|m| m.running).collect();
        let hubs: Vec<Member> = match condition {
            Condition::AllLinkedTo { nodes } => {
                nodes.iter().map(|n| self.member(n)).collect::<Result<_, _>>()?
            }
            _ => Vec::new(),
        };
        let lacks = |m: &Member, s: &Snapshot| match condition {
            Condition::AllKnowAll => {
                running.iter().any(|other| other.peer_id != m.peer_id && s.peer(&other.peer_id).is_none())
            }
            Condition::AllJoined => s.links.iter().all(|l| l.foreign),
            Condition::AllMeasured => s.nat.measured.is_none(),
            Condition::AllLinkedTo { .. } => {
                hubs.iter().any(|hub| hub.peer_id != m.peer_id && s.link(&hub.peer_id).is_none())
            }
            _ => false,
        };
        let lacks = |m: &Member| m.feed.as_ref().is_some_and(|feed| lacks(m, &feed.snapshots.borrow()));
        Ok(running.iter().filter(|m| lacks(m)).map(|m| m.name.clone()).collect())
    }

    fn holds(&self, condition: &Condition) -> Result<bool, ArenaError> {
        Ok(match condition {
            Condition::AllKnowAll
            | Condition::AllJoined
            | Condition::AllMeasured
            | Condition::AllLinkedTo { .. } => self.lacking(condition)?.is_empty(),
            Condition::Nat { node, nat } => {
                let feed = self.feed(node)?;
                let shown = &feed.snapshots.borrow().nat;
                shown.measured.is_some() && shown.nat_type == *nat
            }
            Condition::NatDoubted { node } => self.feed(node)?.snapshots.borrow().nat.again_since.is_some(),
            Condition::Isolated { node } => {
                matches!(self.feed(node)?.snapshots.borrow().node.phase, Phase::Isolated { .. })
            }
            Condition::Joined { node } => !self.feed(node)?.snapshots.borrow().links.is_empty(),
            Condition::Linked { a, b, path } => {
                let shown = self.shown(a, b)?;
                let wanted = |shown: &Option<Path>| path.is_none_or(|path| *shown == Some(path));
                !shown.is_empty()
                    && shown.iter().all(|path| path.is_some() && *path == shown[0] && wanted(path))
            }
            Condition::Standby { node } => {
                let feed = self.feed(node)?;
                let snapshot = feed.snapshots.borrow();
                let held = &snapshot.relays.reservations;
                let works =
                    |r: &ReservationRow| r.state == ReservationState::Ready && !self.has_failed(&r.relay);
                held.len() == 2 && held.iter().all(works)
            }
            Condition::Unlinked { a, b } => {
                let shown = self.shown(a, b)?;
                !shown.is_empty() && shown.iter().all(Option::is_none)
            }
            Condition::Repaired { node } => self.feed(node)?.snapshots.borrow().gossip.repairs > 0,
        })
    }

    /// How each of two nodes that runs and can be asked shows its link to the other.
    fn shown(&self, a: &str, b: &str) -> Result<Vec<Option<Path>>, ArenaError> {
        let (a, b) = (self.member(a)?, self.member(b)?);
        let path = |from: &Member, to: &Member| {
            let snapshot = from.feed.as_ref().filter(|_| from.running)?.snapshots.borrow();
            Some(snapshot.link(&to.peer_id).map(|l| l.path))
        };
        Ok([path(&a, &b), path(&b, &a)].into_iter().flatten().collect())
    }
}
