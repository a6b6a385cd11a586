//! What an attempt of ours did and heard, step by step, as far as its stages do
//! not tell it: whom it dialled where, whom it asked and what they said.

use std::net::SocketAddr;

use crate::core::ladder::DialId;
use crate::model::{PeerId, Reason, Stamp, TraceEvent};

/// Steps kept of one attempt: the first ones tell most.
const STEPS_MAX: usize = 40;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When.
    pub at: Stamp,
    /// What.
    pub what: TraceEvent,
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
            Dial::Lane(relay, addr) => return self.add(TraceEvent::LaneDialled { relay, at: addr }, at),
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
        let noted = TraceEvent::ShortPassed { at: addr };
        if self.addresses().contains(&addr) && self.steps.iter().all(|step| step.what != noted) {
            self.add(noted, at);
        }
    }

    /// Where short datagrams pass and long ones do not.
    pub fn short_passed(&self) -> Option<SocketAddr> {
        self.steps.iter().find_map(|step| match step.what {
            TraceEvent::ShortPassed { at } => Some(at),
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
                TraceEvent::Has { who, .. } => has.push(who),
                TraceEvent::HasNot { who } => not.push(who),
                _ => {}
            }
        }
        (has, not)
    }

    /// Who was asked to help, the first asked first.
    pub fn helpers(&self) -> Vec<PeerId> {
        let mut all: Vec<PeerId> = Vec::new();
        for step in &self.steps {
            if let TraceEvent::Asked { via: peer, .. } | TraceEvent::Has { who: peer, .. } = step.what
                && !all.contains(&peer)
            {
                all.push(peer);
            }
        }
        all
    }
}
