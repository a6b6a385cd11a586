//! Waiting until something holds.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::lab::drill::arena::{Arena, Member};
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, no_time};
use crate::lab::ops::OpError;
use crate::model::{NatType, Path, Phase, ReservationRow, ReservationState, Snapshot};

/// How often a condition is looked at. Snapshots come ten times a second.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until something holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// What.
    pub until: Condition,
    /// How long at most.
    #[serde(with = "humantime_serde")]
    pub within: Duration,
    /// The time it took, in milliseconds, gets this name; a wait that runs
    /// out leaves it unmeasured.
    #[serde(rename = "as")]
    pub name: Option<String>,
}

/// Something that can be waited for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what", deny_unknown_fields)]
pub enum Condition {
    /// Every running node knows every running node.
    AllKnowAll,
    /// Every running node has at least one link.
    AllJoined,
    /// Every running node has measured its NAT.
    AllMeasured,
    /// A node has measured that its NAT is of this type.
    Nat {
        /// Which node.
        node: String,
        /// Which type.
        nat: NatType,
    },
    /// A node knows that what it knew of its NAT holds no more.
    NatDoubted {
        /// Which node.
        node: String,
    },
    /// Every running node is linked to each of these.
    AllLinkedTo {
        /// Which.
        nodes: Vec<String>,
    },
    /// A node has no link and says that it is isolated.
    Isolated {
        /// Which.
        node: String,
    },
    /// A node has at least one link.
    Joined {
        /// Which.
        node: String,
    },
    /// Two nodes show a link to each other, of the same path.
    Linked {
        /// One.
        a: String,
        /// The other.
        b: String,
        /// Which path; any if left out.
        path: Option<Path>,
    },
    /// A node holds two reservations that answer, none on a relay that a step had
    /// fail.
    Standby {
        /// Which.
        node: String,
    },
    /// Neither shows a link to the other.
    Unlinked {
        /// One.
        a: String,
        /// The other.
        b: String,
    },
    /// A node has seen a digest repair something.
    Repaired {
        /// Which.
        node: String,
    },
}

impl DrillStep for Wait {
    fn words(&self) -> String {
        format!("wait for {}, at most {} s", words(&self.until), self.within.as_secs())
    }

    fn flaw(&self) -> Option<String> {
        no_time(self.within)
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.within)
    }

    fn measures(&self) -> Vec<String> {
        self.name.clone().into_iter().collect()
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let begun = Instant::now();
        while begun.elapsed() < self.within {
            if run.holds(&self.until)? {
                if let Some(name) = &self.name {
                    run.measure(name, begun.elapsed().as_secs_f64() * 1e3);
                }
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let lacking = run.lacking(&self.until)?;
        if !lacking.is_empty() {
            let after = self.within.as_secs();
            run.told.push(format!("after {after} s it still did not hold for {}", lacking.join(", ")));
            if matches!(self.until, Condition::AllMeasured) {
                run.explain_unmeasured(&lacking);
            }
        }
        Ok(())
    }
}

impl<A: Arena> Run<'_, A> {
    /// Why nodes have not measured their NAT.
    fn explain_unmeasured(&mut self, names: &[String]) {
        for member in self.arena.members().iter().filter(|m| names.contains(&m.name)) {
            let Some(feed) = &member.feed else { continue };
            let snapshot = feed.snapshots.borrow();
            let reason = snapshot.nat.reason.as_ref().map(ToString::to_string).unwrap_or_default();
            let evidence: Vec<String> = snapshot.nat.evidence.iter().map(ToString::to_string).collect();
            self.told.push(format!("{}: {reason}: {}", member.name, evidence.join("; ")));
        }
    }

    /// The nodes for which something does not hold that is asked of all.
    fn lacking(&self, condition: &Condition) -> Result<Vec<String>, OpError> {
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

    fn holds(&self, condition: &Condition) -> Result<bool, OpError> {
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
    fn shown(&self, a: &str, b: &str) -> Result<Vec<Option<Path>>, OpError> {
        let (a, b) = (self.member(a)?, self.member(b)?);
        let path = |from: &Member, to: &Member| {
            let snapshot = from.feed.as_ref().filter(|_| from.running)?.snapshots.borrow();
            Some(snapshot.link(&to.peer_id).map(|l| l.path))
        };
        Ok([path(&a, &b), path(&b, &a)].into_iter().flatten().collect())
    }
}

fn words(condition: &Condition) -> String {
    match condition {
        Condition::AllKnowAll => "everybody to know everybody".into(),
        Condition::AllMeasured => "everybody to have measured its NAT".into(),
        Condition::Nat { node, nat } => format!("{node} to have measured a NAT of type {nat}"),
        Condition::NatDoubted { node } => format!("{node} to know that its NAT has changed"),
        Condition::AllJoined => "everybody to have a link".into(),
        Condition::AllLinkedTo { nodes } => format!("everybody to be linked to {}", nodes.join(", ")),
        Condition::Isolated { node } => format!("{node} to be isolated"),
        Condition::Joined { node } => format!("{node} to have a link"),
        Condition::Linked { a, b, path: Some(path) } => format!("{a} and {b} to be linked, {path}"),
        Condition::Linked { a, b, path: None } => format!("{a} and {b} to be linked"),
        Condition::Standby { node } => format!("{node} to hold two reservations"),
        Condition::Unlinked { a, b } => format!("{a} and {b} to lose their link"),
        Condition::Repaired { node } => format!("a repair at {node}"),
    }
}
