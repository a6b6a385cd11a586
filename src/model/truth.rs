//! What two nodes say of each other, against what the network between them knows:
//! the screen equals the network, at both ends. For tests and drills, which see both
//! ends and built the network; a node itself never can.
//!
//! Only what has had time to be noticed is compared: whoever compares waits for that
//! first, and says since when something is as it is.

use std::fmt;
use std::time::Duration;

use super::{
    Attempt, AttemptOutcome, LinkRow, NatType, Path, PeerId, PeerState, RelayRole, ReservationState,
    Snapshot, Stamp,
};

/// Until then every node has noticed that another one is gone, however many links
/// it watches.
pub const NOTICED_WITHIN: Duration = Duration::from_secs(20);
/// A stage has ended by then, and so has its attempt.
const ATTEMPT_OVER: Duration = Duration::from_secs(60);
/// Two clocks of one machine, and the time between two snapshots.
const CLOCKS: Duration = Duration::from_secs(1);

/// A connection between two ends, as the network sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The relay that carries it; `None`: it runs straight.
    pub via: Option<PeerId>,
    /// Which end dialled: 0 or 1.
    pub dialled_by: usize,
}

/// What the network knows of two ends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Truth {
    /// Since when nothing has passed between them, as an end is down or a wire cut;
    /// `None`: it passes.
    pub apart: Option<Stamp>,
    /// Which ends do not run: what those said last is not compared.
    pub down: [bool; 2],
    /// The connections that stand; `None` where the network cannot tell.
    pub ways: Option<Vec<Way>>,
    /// What the routers in front of them do, where the network knows it and it was
    /// so for long enough to be measured.
    pub nats: [Option<NatType>; 2],
}

/// Something that is said and not so.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// One end shows a link, the other does not.
    OneSided {
        /// Who shows it.
        by: PeerId,
        /// To whom.
        to: PeerId,
    },
    /// The ends give their link different paths.
    Paths {
        /// The ends.
        ends: [PeerId; 2],
        /// What each says.
        said: [Path; 2],
    },
    /// The ends name different relays under their link.
    Relays {
        /// The ends.
        ends: [PeerId; 2],
        /// What each says.
        said: [Option<PeerId>; 2],
    },
    /// Both ends say that they dialled, or neither does.
    Diallers {
        /// The ends.
        ends: [PeerId; 2],
        /// What each says.
        said: [bool; 2],
    },
    /// A link is shown where the network has no such connection.
    NoWay {
        /// Who shows it.
        by: PeerId,
        /// To whom.
        to: PeerId,
        /// As what.
        path: Path,
        /// Over which relay.
        via: Option<PeerId>,
    },
    /// A link is shown though nothing has passed for long.
    LinkOfTheDead {
        /// Who shows it.
        by: PeerId,
        /// To whom.
        to: PeerId,
    },
    /// A peer is said to have been seen after anything of it could come in.
    SeenTooLate {
        /// Who says so.
        by: PeerId,
        /// Of whom.
        of: PeerId,
        /// By how much.
        by_ms: u64,
    },
    /// The NAT is another one.
    Nat {
        /// Who says so.
        by: PeerId,
        /// Of whom; itself, or the other end.
        of: PeerId,
        /// What it says.
        said: NatType,
        /// What is so.
        is: NatType,
    },
    /// A reservation is shown at one end only: its holder's, or its relay's.
    Reservation {
        /// Who shows it.
        by: PeerId,
        /// Who should too.
        to: PeerId,
    },
    /// Two places of one end's screen contradict each other.
    Screen {
        /// Whose.
        of: PeerId,
        /// How.
        what: String,
    },
}

/// Everything that one of two ends, or both, say of the other and that is not so.
pub fn differences(ends: [&Snapshot; 2], truth: &Truth) -> Vec<Difference> {
    let mut found = Vec::new();
    let ids = ends.map(|end| end.node.peer_id);
    let rows: [Option<&LinkRow>; 2] = [ends[0].link(&ids[1]), ends[1].link(&ids[0])];
    for at in [0, 1].into_iter().filter(|at| !truth.down[*at]) {
        one_end(ends[at], (ids[at], ids[1 - at]), rows[at], truth, at, &mut found);
    }
    if truth.apart.is_some() || truth.down.contains(&true) {
        return found;
    }
    match rows {
        [Some(a), Some(b)] => {
            if a.path != b.path {
                found.push(Difference::Paths { ends: ids, said: [a.path, b.path] });
            }
            if a.via != b.via {
                found.push(Difference::Relays { ends: ids, said: [a.via, b.via] });
            }
            if a.outbound == b.outbound {
                found.push(Difference::Diallers { ends: ids, said: [a.outbound, b.outbound] });
            }
        }
        [Some(_), None] => found.push(Difference::OneSided { by: ids[0], to: ids[1] }),
        [None, Some(_)] => found.push(Difference::OneSided { by: ids[1], to: ids[0] }),
        [None, None] => {}
    }
    for (holder, relay) in [(0, 1), (1, 0)] {
        reservation(ends[holder], ends[relay], &mut found);
    }
    found
}

/// What one end says of the other.
fn one_end(
    end: &Snapshot,
    (me, peer): (PeerId, PeerId),
    row: Option<&LinkRow>,
    truth: &Truth,
    at: usize,
    found: &mut Vec<Difference>,
) {
    if let Some(since) = truth.apart {
        if row.is_some() && since.age_at(end.at) >= NOTICED_WITHIN {
            found.push(Difference::LinkOfTheDead { by: me, to: peer });
        }
        let seen = end.peer(&peer).and_then(|p| p.last_seen);
        // Somebody else may hear it still, unless it is down.
        if let Some(seen) = seen.filter(|seen| truth.down[1 - at] && *seen > since.after(CLOCKS)) {
            let by_ms = super::millis(since.age_at(seen));
            found.push(Difference::SeenTooLate { by: me, of: peer, by_ms });
        }
    } else if let (Some(row), Some(ways)) = (row, &truth.ways) {
        let via = row.via.filter(|_| row.path == Path::Relayed);
        let relayed = row.path == Path::Relayed;
        let is = |way: &&Way| if relayed { way.via == via } else { way.via.is_none() };
        let dialled = |way: &Way| row.outbound == (way.dialled_by == at);
        if !ways.iter().filter(is).any(dialled) {
            found.push(Difference::NoWay { by: me, to: peer, path: row.path, via });
        }
    }
    let said = [(me, end.nat.claim(), truth.nats[at])];
    let of_peer = end.peer(&peer).filter(|p| p.first_hand && row.is_some());
    let of_peer = of_peer.map(|p| (peer, p.nat_type, truth.nats[1 - at]));
    for (of, said, is) in said.into_iter().chain(of_peer) {
        if let Some(is) = is.filter(|is| said != NatType::Unknown && said != *is) {
            found.push(Difference::Nat { by: me, of, said, is });
        }
    }
}

/// A reservation stands at its holder's end and at its relay's.
fn reservation(holder: &Snapshot, relay: &Snapshot, found: &mut Vec<Difference>) {
    let (me, at) = (holder.node.peer_id, relay.node.peer_id);
    let held = holder.relays.reservations.iter().find(|r| r.relay == at);
    let held = held.filter(|r| r.state == ReservationState::Ready);
    let served = relay.relays.served.iter().find(|s| s.peer_id == me);
    match (held, served) {
        (Some(_), None) => found.push(Difference::Reservation { by: me, to: at }),
        (None, Some(_)) if holder.link(&at).is_some() => {
            found.push(Difference::Reservation { by: at, to: me });
        }
        _ => {}
    }
}

/// Where one end's own screen contradicts itself.
pub fn contradictions(end: &Snapshot) -> Vec<Difference> {
    let of = end.node.peer_id;
    let mut found = Vec::new();
    let mut say = |what: String| found.push(Difference::Screen { of, what });
    for row in end.peers.iter() {
        let whom = row.peer_id.short();
        let link = end.link(&row.peer_id);
        if row.path != link.map(|l| l.path) {
            let (a, b) = (word(row.path), word(link.map(|l| l.path)));
            say(format!("{whom} is {a} among the peers and {b} among the links"));
        }
        if row.state.is_up() != link.is_some() {
            say(format!("{whom} is {} and has {} link", row.state.name(), link.map_or("no", |_| "a")));
        }
        if link.is_some_and(|l| l.foreign) != (row.state == PeerState::Foreign) {
            say(format!("{whom} is foreign in one place and not in another"));
        }
        if row.last_seen.is_some_and(|seen| seen > end.at.after(CLOCKS)) {
            say(format!("{whom} was seen in the future"));
        }
        if link.is_some() && row.next_attempt.is_some() {
            say(format!("{whom} is linked and about to be dialled"));
        }
    }
    for link in end.links.iter().filter(|l| l.via.is_some() != (l.path == Path::Relayed)) {
        say(format!("the {} link to {} names a relay or lacks one", link.path, link.peer_id.short()));
    }
    for attempt in &end.attempts.live {
        if attempt.started.age_at(end.at) > ATTEMPT_OVER {
            say(format!("attempt {} has run for more than a minute", attempt.id.0));
        }
    }
    for attempt in end.attempts.live.iter().chain(&end.attempts.recent) {
        of_attempt(attempt, &mut say);
    }
    let active = end.relays.reservations.iter().filter(|r| r.role == RelayRole::Active).count();
    if active > 1 {
        say(format!("{active} reservations are the active one"));
    }
    let kpi = &end.kpi.figures;
    if kpi.connected + kpi.unreachable != kpi.attempts
        || kpi.direct + kpi.punched + kpi.relayed != kpi.connected
    {
        say("the attempts do not add up".to_owned());
    }
    found
}

/// An attempt's account against itself.
fn of_attempt(attempt: &Attempt, say: &mut impl FnMut(String)) {
    let id = attempt.id.0;
    if (attempt.outcome == Some(AttemptOutcome::Connected)) != attempt.path.is_some()
        && attempt.outcome != Some(AttemptOutcome::Abandoned)
    {
        say(format!("attempt {id} is {:?} over {:?}", attempt.outcome, attempt.path));
    }
    for stage in attempt.stages.iter().filter(|s| s.started < attempt.started) {
        say(format!("the {} stage of attempt {id} began before it", stage.stage));
    }
    for stage in &attempt.stages {
        if let (Some(super::Reason::TimedOut { after_ms }), Some(took)) = (&stage.reason, stage.elapsed_ms)
            && *after_ms != took
        {
            say(format!("the {} stage of attempt {id} took {took} ms and says {after_ms} ms", stage.stage));
        }
    }
}

fn word(path: Option<Path>) -> &'static str {
    path.map_or("not linked", Path::name)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relay = |via: &Option<PeerId>| via.map_or_else(|| "no relay".to_owned(), |via| via.short());
        match self {
            Self::OneSided { by, to } => {
                write!(f, "{} shows a link to {}, which shows none", by.short(), to.short())
            }
            Self::Paths { ends: [a, b], said } => {
                write!(
                    f,
                    "{} to {} is {} at one end and {} at the other",
                    a.short(),
                    b.short(),
                    said[0],
                    said[1]
                )
            }
            Self::Relays { ends: [a, b], said } => write!(
                f,
                "{} to {} runs over {} at one end and {} at the other",
                a.short(),
                b.short(),
                relay(&said[0]),
                relay(&said[1])
            ),
            Self::Diallers { ends: [a, b], said: [true, _] } => {
                write!(f, "{} and {} both say that they dialled", a.short(), b.short())
            }
            Self::Diallers { ends: [a, b], .. } => {
                write!(f, "{} and {} both say that the other one dialled", a.short(), b.short())
            }
            Self::NoWay { by, to, path, via } => {
                write!(f, "{} shows {} {path}", by.short(), to.short())?;
                via.map_or(Ok(()), |via| write!(f, " over {}", via.short()))?;
                f.write_str(", and no such connection stands")
            }
            Self::LinkOfTheDead { by, to } => {
                write!(f, "{} shows a link to {}, from which nothing can come", by.short(), to.short())
            }
            Self::SeenTooLate { by, of, by_ms } => write!(
                f,
                "{} says that it saw {} {by_ms} ms after the last it can have heard",
                by.short(),
                of.short()
            ),
            Self::Nat { by, of, said, is } => {
                write!(f, "{} says that the NAT of {} is {said}, and it is {is}", by.short(), of.short())
            }
            Self::Reservation { by, to } => {
                write!(f, "{} shows a reservation with {}, which shows none", by.short(), to.short())
            }
            Self::Screen { of, what } => write!(f, "{}: {what}", of.short()),
        }
    }
}

#[cfg(test)]
mod tests;
