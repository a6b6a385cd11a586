//! What is wrong now, over all panes: the worst first, each with what can be done.

use std::time::Duration;

use super::{Go, Grade, Item};
use crate::model::{
    NatType, PeerState, Phase, RelayRole, ReportingState, ReservationState, SaveState, Snapshot, Stamp,
    clean, printable, twice_at,
};
use crate::tui::bindings::{Action, Keymap, Scope};
use crate::tui::draw;
use crate::tui::fmt;
use crate::tui::message::Gone;
use crate::tui::pane::Pane;

/// Peers that are named one by one; of more their number is told.
const NAMED: usize = 3;
/// A clock that is off by more is worth a word.
const CLOCK_OFF: Duration = Duration::from_secs(5);

/// What it is told by.
pub(crate) struct Facts<'a> {
    /// The newest state.
    pub(crate) live: &'a Snapshot,
    pub(crate) gone: Option<&'a Gone>,
    /// How long no snapshot has come, if that is too long.
    pub(crate) stale: Option<Duration>,
    /// Threads that panicked.
    pub(crate) faults: &'a [String],
    /// Events that never came.
    pub(crate) events_dropped: u64,
    pub(crate) keys: &'a Keymap,
    pub(crate) now: Stamp,
}

/// All of it.
pub(super) fn items(facts: &Facts<'_>) -> Vec<Item> {
    let mut found = Found { facts, items: Vec::new() };
    found.console();
    found.node();
    found.links();
    found.relays();
    found.rest();
    // Stable: what is equally bad stays in this order.
    found.items.sort_by_key(|item| item.grade);
    found.items
}

struct Found<'a> {
    facts: &'a Facts<'a>,
    items: Vec<Item>,
}

impl Found<'_> {
    fn add(&mut self, grade: Grade, key: &str, text: String, next: String, go: Go) {
        self.items.push(Item { key: key.to_owned(), grade, text: printable(&text), next, go });
    }

    fn key(&self, action: Action) -> String {
        self.facts.keys.key_of(Scope::Main, action)
    }

    fn age(&self, since: Stamp) -> String {
        fmt::age(since, self.facts.now).text
    }

    fn console(&mut self) {
        match self.facts.gone {
            Some(Gone::Stopped) => {
                let next = format!("{} leaves; its log says why", self.key(Action::Leave));
                self.add(Grade::Bad, "gone", "the node has stopped".to_owned(), next, Go::Pane(Pane::Logs));
            }
            Some(Gone::Lost { detail }) => {
                let text = format!("the node does not answer: {detail}");
                let next = "it is tried again by itself; look at its host and its service".to_owned();
                self.add(Grade::Bad, "gone", text, next, Go::Nowhere);
            }
            None => {}
        }
        if let Some(age) = self.facts.stale {
            let text = format!("the node has sent nothing for {} s", age.as_secs());
            let next = "its host is busy, or the line to it is slow".to_owned();
            self.add(Grade::Bad, "stale", text, next, Go::Nowhere);
        }
        let snap = self.key(Action::Snap);
        for fault in self.facts.faults {
            let next = format!("{snap} writes a snap for a report; then start the node again");
            self.add(Grade::Bad, fault, format!("a task faulted: {fault}"), next, Go::Pane(Pane::Events));
        }
        if self.facts.events_dropped > 0 {
            let text =
                format!("{} never reached this console", fmt::count(self.facts.events_dropped, "event"));
            let next = "a faster line to the node, or a console on its own host".to_owned();
            self.add(Grade::Warn, "dropped", text, next, Go::Pane(Pane::Events));
        }
    }

    fn node(&mut self) {
        let live = self.facts.live;
        let add_bootstrap = ":bootstrap add ADDR or :connect ADDR names somebody".to_owned();
        match &live.node.phase {
            Phase::Isolated { rounds, .. } => {
                let text = format!("isolated: no links after {}", fmt::count(u64::from(*rounds), "round"));
                self.add(Grade::Bad, "phase", text, add_bootstrap, Go::Pane(Pane::Escalation));
            }
            Phase::NoWay { why, since } => {
                let text = format!("{} for {}: nothing is tried", why.state(), self.age(*since));
                let next = "look at this host's routes and at its firewall for UDP".to_owned();
                self.add(Grade::Bad, "phase", text, next, Go::Nowhere);
            }
            Phase::NothingToDial => {
                let text = "nothing to dial: no peer is cached, and there is no bootstrap address".to_owned();
                self.add(Grade::Bad, "phase", text, add_bootstrap, Go::Nowhere);
            }
            Phase::Starting | Phase::Joining | Phase::Joined | Phase::Leaving => {}
        }
        if let SaveState::Failed { detail, since } = &live.node.cache.save {
            let text = format!("the cache is not saved for {}: {detail}", self.age(*since));
            let next = "make room on the node's disk; it is tried again by itself".to_owned();
            self.add(Grade::Bad, "cache", text, next, Go::Nowhere);
        }
        if let Some(why) = &live.node.cache.set_aside {
            let next = "it was read at the start, and is kept beside the new one".to_owned();
            self.add(
                Grade::Warn,
                "set aside",
                format!("a damaged cache was set aside: {why}"),
                next,
                Go::Nowhere,
            );
        }
        for twice in &live.node.used_twice {
            let whose = if twice.peer_id == live.node.peer_id {
                "our own identity".to_owned()
            } else {
                format!("the identity of {}", draw::call(live, twice.peer_id))
            };
            let text = format!("{whose} is used twice, {}", twice_at(&twice.addresses));
            let next = "remove identity.key from one of the two, and start it again".to_owned();
            self.add(Grade::Bad, &twice.peer_id.to_string(), text, next, Go::Nowhere);
        }
    }

    fn links(&mut self) {
        let live = self.facts.live;
        let of = |state| live.peers.iter().filter(move |row| row.state == state);
        let why = self.key(Action::Why);
        for row in of(PeerState::Suspect).take(NAMED) {
            let text = format!("{} answers no heartbeat", draw::call(live, row.peer_id));
            let next = format!("{why} says why; its standby takes over by itself, where there is one");
            self.add(Grade::Warn, &row.peer_id.to_string(), text, next, Go::Why(row.peer_id));
        }
        let unreachable = of(PeerState::Unreachable).count();
        if unreachable > 0 {
            let text = format!("{} cannot be reached", fmt::count(unreachable as u64, "peer"));
            let next = format!("{} lists the failures and their reasons", self.key(Action::Failures));
            self.add(Grade::Warn, "unreachable", text, next, Go::Pane(Pane::Peers));
        }
        for link in live.links.iter() {
            let off = link.clock_skew_ms.map(|ms| Duration::from_millis(ms.unsigned_abs()));
            if let Some(off) = off.filter(|off| *off > CLOCK_OFF) {
                let text = format!(
                    "the clocks of {} and of this node are {} apart",
                    draw::call(live, link.peer_id),
                    fmt::exactly(off)
                );
                let next = "times of the two cannot be compared; set the clock that is wrong".to_owned();
                self.add(Grade::Warn, &format!("clock {}", link.peer_id), text, next, Go::Why(link.peer_id));
            }
        }
    }

    fn relays(&mut self) {
        let live = self.facts.live;
        for held in live.relays.reservations.iter().filter(|r| r.state == ReservationState::Suspect) {
            let text = format!("the relay {} does not answer in time", draw::call(live, held.relay));
            let next = format!("{} hands over to the standby now", self.key(failover()));
            self.add(Grade::Warn, &format!("relay {}", held.relay), text, next, Go::Pane(Pane::Relays));
        }
        let has = |role| live.relays.reservations.iter().any(|r| r.role == role);
        if has(RelayRole::Active) && !has(RelayRole::Standby) {
            let text = "there is a relay, and none stands by".to_owned();
            let next = "one more public peer in the network would be one".to_owned();
            self.add(Grade::Warn, "no standby", text, next, Go::Pane(Pane::Relays));
        }
    }

    fn rest(&mut self) {
        let live = self.facts.live;
        let probe = self.key(Action::Node(crate::tui::bindings::NodeCommand::NatProbe));
        if let Some(since) = live.nat.again_since {
            let text = format!("our NAT is being measured again since {} ago", self.age(since));
            let next = format!("{probe} measures it at once");
            self.add(Grade::Warn, "nat", text, next, Go::Pane(Pane::Nat));
        } else if live.nat.nat_type == NatType::Unknown && !live.links.is_empty() {
            let why = live.nat.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let next = format!("{probe} measures it; two public peers are needed");
            self.add(Grade::Warn, "nat", format!("our NAT is not known{why}"), next, Go::Pane(Pane::Nat));
        }
        if let ReportingState::Away { .. } = live.reporting.state {
            let trouble = live.reporting.trouble.as_deref().unwrap_or("it does not answer");
            let text = format!("the registry takes no reports: {}", clean(trouble));
            let next = format!("{} wait; they are sent again by themselves", live.reporting.queued);
            self.add(Grade::Warn, "registry", text, next, Go::Pane(Pane::Kpi));
        }
        for change in &live.log.changes {
            let text = format!("the log keeps {} until it ends by itself", change.what);
            let next = "the targets of the log (in the logs) take it back".to_owned();
            self.add(Grade::Plain, &change.what.target, text, next, Go::Pane(Pane::Logs));
        }
    }
}

fn failover() -> Action {
    Action::Node(crate::tui::bindings::NodeCommand::Failover)
}
