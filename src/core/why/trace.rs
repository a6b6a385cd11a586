//! What an attempt of ours did and heard, step by step, as far as its stages do
//! not tell it: whom it dialled where, whom it asked and what they said.

use std::net::SocketAddr;

use crate::core::ladder::DialId;
use crate::model::{PeerId, Reason, Stamp};

/// Steps kept of one attempt: the first ones tell most.
const STEPS_MAX: usize = 40;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When it happened.
    pub at: Stamp,
    /// What happened.
    pub what: TraceEvent,
}

/// What was done or heard.
#[derive(Debug, Clone, PartialEq)]
pub enum TraceEvent {
    /// An address was dialled, so many times, for a punch or not.
    Dialled {
        /// The address that was dialled.
        addr: SocketAddr,
        /// As our half of a punch.
        punch: bool,
        /// How often.
        times: u32,
    },
    /// A dial came to nothing.
    DialFailed {
        /// The address that was dialled.
        addr: SocketAddr,
        /// The reason.
        reason: Reason,
    },
    /// So many linked peers were asked who is connected to it.
    AskedWhoHas(usize),
    /// One of them is: this is where it sees it.
    Has(PeerId, SocketAddr),
    /// One of them is not, or sees it only through a relay.
    HasNot(PeerId),
    /// An intermediary was asked for a punch, or (`true`) for an invitation.
    Asked(PeerId, bool),
    /// It had the target agree; this is where it sees it.
    Agreed(PeerId, SocketAddr),
    /// It did not.
    TurnedDown(PeerId, Reason),
    /// A short datagram was answered there, the long ones of the handshake were not.
    ShortPassed(SocketAddr),
    /// Its reservation on that relay was dialled.
    LaneDialled(PeerId, SocketAddr),
}

/// All steps of an attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    steps: Vec<Step>,
    /// Dials that are wanted, or have no result yet.
    dials: Vec<(DialId, Dial)>,
}

/// A dial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dial {
    /// To an address, as our half of a punch or not.
    To(SocketAddr, bool),
    /// To a reservation on that relay.
    Lane(PeerId, SocketAddr),
}

impl Trace {
    /// The steps, in their order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Takes a step in.
    pub fn add(&mut self, what: TraceEvent, at: Stamp) {
        if self.steps.len() < STEPS_MAX {
            self.steps.push(Step { at, what });
        }
    }

    /// Something is to be dialled; it is not yet.
    pub fn wanted(&mut self, dial: DialId, what: Dial) {
        self.dials.retain(|(d, _)| *d != dial);
        self.dials.push((dial, what));
    }

    /// A dial was handed to a socket; the same address again only counts.
    pub fn dialled(&mut self, dial: DialId, at: Stamp) {
        let Some(what) = self.dials.iter().find(|(d, _)| *d == dial).map(|(_, what)| *what) else { return };
        let (addr, punch) = match what {
            Dial::To(addr, punch) => (addr, punch),
            Dial::Lane(relay, addr) => return self.add(TraceEvent::LaneDialled(relay, addr), at),
        };
        let same = self.steps.iter_mut().find_map(|step| match &mut step.what {
            TraceEvent::Dialled { addr: a, punch: p, times } if (*a, *p) == (addr, punch) => Some(times),
            _ => None,
        });
        match same {
            Some(times) => *times += 1,
            None => self.add(TraceEvent::Dialled { addr, punch, times: 1 }, at),
        }
    }

    /// A dial came to nothing; the last reason of an address counts.
    pub fn dial_failed(&mut self, dial: DialId, reason: &Reason, at: Stamp) {
        let addr = self.dials.iter().find_map(|(d, what)| match what {
            Dial::To(addr, _) if *d == dial => Some(*addr),
            _ => None,
        });
        let Some(addr) = addr else { return };
        let of = |s: &Step| matches!(s.what, TraceEvent::DialFailed { addr: a, .. } if a == addr);
        self.steps.retain(|s| !of(s));
        self.add(TraceEvent::DialFailed { addr, reason: reason.clone() }, at);
    }

    /// Where it was dialled, each address once.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut all: Vec<SocketAddr> = Vec::new();
        for step in &self.steps {
            if let TraceEvent::Dialled { addr, .. } = step.what
                && !all.contains(&addr)
            {
                all.push(addr);
            }
        }
        all
    }

    /// Whether nobody answered anywhere: no dial ended otherwise than by silence.
    pub fn is_silent(&self) -> bool {
        let quiet = |reason: &Reason| matches!(reason, Reason::NoAnswer { .. } | Reason::TimedOut { .. });
        self.steps.iter().all(|s| !matches!(&s.what, TraceEvent::DialFailed { reason, .. } if !quiet(reason)))
    }

    /// A short datagram was answered at an address that was dialled.
    pub fn short_passed_at(&mut self, addr: SocketAddr, at: Stamp) {
        let noted = TraceEvent::ShortPassed(addr);
        if self.addresses().contains(&addr) && self.steps.iter().all(|step| step.what != noted) {
            self.add(noted, at);
        }
    }

    /// Where short datagrams pass and long ones do not.
    pub fn short_passed(&self) -> Option<SocketAddr> {
        self.steps.iter().find_map(|step| match step.what {
            TraceEvent::ShortPassed(addr) => Some(addr),
            _ => None,
        })
    }

    /// Somebody else who answered at an address of it.
    pub fn impostor(&self) -> Option<(SocketAddr, PeerId)> {
        self.steps.iter().find_map(|s| match s.what {
            TraceEvent::DialFailed { addr, reason: Reason::WrongIdentity { got } } => Some((addr, got)),
            _ => None,
        })
    }

    /// Who said what when asked who is connected to it: those that are, and
    /// those that are not.
    pub fn answers(&self) -> (Vec<PeerId>, Vec<PeerId>) {
        let (mut has, mut not) = (Vec::new(), Vec::new());
        for step in &self.steps {
            match step.what {
                TraceEvent::Has(peer, _) => has.push(peer),
                TraceEvent::HasNot(peer) => not.push(peer),
                _ => {}
            }
        }
        (has, not)
    }

    /// Who was asked to help, the first asked first.
    pub fn helpers(&self) -> Vec<PeerId> {
        let mut all: Vec<PeerId> = Vec::new();
        for step in &self.steps {
            if let TraceEvent::Asked(peer, _) | TraceEvent::Has(peer, _) = step.what
                && !all.contains(&peer)
            {
                all.push(peer);
            }
        }
        all
    }
}

impl TraceEvent {
    /// As it is told.
    pub fn text(&self) -> String {
        let times = |n: u32| if n > 1 { format!(", {n} times") } else { String::new() };
        match self {
            Self::Dialled { addr, punch: false, times: n } => format!("dial {addr}{}", times(*n)),
            Self::Dialled { addr, punch: true, times: n } => {
                format!("punch: dial {addr}, which opens our NAT{}", times(*n))
            }
            Self::DialFailed { addr, reason } => match reason {
                Reason::NoAnswer { .. } | Reason::TimedOut { .. } => format!("heard nothing from {addr}"),
                other => format!("{addr}: {other}"),
            },
            Self::AskedWhoHas(0) => "nobody to ask who is connected to it".to_owned(),
            Self::AskedWhoHas(n) => format!("who is connected to it? asked of {n} linked"),
            Self::Has(peer, at) => format!("{} is, and sees it at {at}", peer.short()),
            Self::HasNot(peer) => format!("{} is not", peer.short()),
            Self::Asked(via, false) => format!("asked {} to coordinate a punch", via.short()),
            Self::Asked(via, true) => format!("asked {} to invite it to our relay", via.short()),
            Self::Agreed(via, at) => format!("{}: it agreed, and is seen at {at}", via.short()),
            Self::TurnedDown(via, reason) => format!("{} turned it down: {reason}", via.short()),
            Self::ShortPassed(at) => {
                format!("a short datagram was answered by {at}, the long ones of a handshake are not")
            }
            Self::LaneDialled(relay, at) => format!("dial its reservation on {}, {at}", relay.short()),
        }
    }
}
