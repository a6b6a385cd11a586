//! One run: what it waits for, and what it has opened and sent.

use std::net::SocketAddr;
use std::time::Duration;

use super::evidence::Evidence;
use super::plan::Role;
use super::ports::{Ports, neighbour, sensible};
use super::types::{Out, RunId, Shown};
use crate::core::Mono;
use crate::core::limits::{GUESS_NEIGHBOURS, GUESS_PROBES_MAX, GUESS_SOCKETS_MAX};
use crate::core::wire::{GuessOffer, GuessOver, GuessYes, Message, Near};
use crate::model::PeerId;

/// How long an offer is waited on: an older version never answers.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long witnesses have.
pub(super) const WITNESS_WITHIN: Duration = Duration::from_secs(2);

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// We offered, and wait for the answer.
    Offered { until: Mono },
    /// We were offered one, and wait for witnesses before we answer.
    Judging { until: Mono },
    /// The other end agreed, and we wait for witnesses.
    Agreed { until: Mono },
    /// We open sockets.
    Opening { next: Mono },
    /// They are open.
    Opened { until: Mono },
    /// The other end opens sockets.
    Awaiting { until: Mono },
    /// We probe.
    Probing { next: Mono },
    /// Every probe is sent.
    Listening { until: Mono },
    /// A probe met a socket: a connection is to come.
    Meeting { until: Mono },
}

impl Phase {
    /// Whether a connection that comes now may be the run's.
    pub(super) fn may_meet(self) -> bool {
        matches!(
            self,
            Self::Opened { .. } | Self::Probing { .. } | Self::Listening { .. } | Self::Meeting { .. }
        )
    }

    fn at(self) -> Mono {
        match self {
            Self::Offered { until }
            | Self::Judging { until }
            | Self::Agreed { until }
            | Self::Opened { until }
            | Self::Awaiting { until }
            | Self::Listening { until }
            | Self::Meeting { until } => until,
            Self::Opening { next } | Self::Probing { next } => next,
        }
    }
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) peer: PeerId,
    pub(super) role: Role,
    pub(super) phase: Phase,
    pub(super) query: u32,
    pub(super) evidence: Evidence,
    /// What the other end says of itself.
    pub(super) theirs: Option<GuessYes>,
    /// Whether both NATs are symmetric: then only neighbours are of use.
    pub(super) both: bool,
    /// Sockets that we asked for.
    pub(super) asked: u16,
    /// Those that are open: ours, or what the other end says.
    pub(super) sockets: Option<u16>,
    /// Probes that we sent, or that the other end says it did.
    pub(super) probes: Option<u16>,
    pub(super) ports: Option<Ports>,
    /// Where we aim, once it is borne out.
    pub(super) aim: Option<SocketAddr>,
    pub(super) met: bool,
}

impl Run {
    pub(super) fn new(id: RunId, peer: PeerId, role: Role, query: u32, now: Mono) -> Self {
        Self {
            id,
            peer,
            role,
            phase: Phase::Offered { until: now + ANSWER_WITHIN },
            query,
            evidence: Evidence::default(),
            theirs: None,
            both: false,
            asked: 0,
            sockets: None,
            probes: (role == Role::Probe).then_some(0),
            ports: None,
            aim: None,
            met: false,
        }
    }

    pub(super) fn offer(&self, at: SocketAddr, near: Option<Near>) -> Out {
        let (run, opens) = (self.id.0, self.role == Role::Open);
        let offer = GuessOffer { run, opens, at, near: sensible(near) };
        Out::Say { peer: self.peer, message: Message::GuessOffer(offer) }
    }

    pub(super) fn over(&self, met: bool) -> Out {
        let probes = self.probes.unwrap_or_default();
        let message = Message::GuessOver(GuessOver { run: self.id.0, met, probes });
        Out::Say { peer: self.peer, message }
    }

    /// Whether the other end waits for us.
    pub(super) fn is_agreed(&self) -> bool {
        self.theirs.is_some() && !matches!(self.phase, Phase::Judging { .. })
    }

    pub(super) fn sockets_max(&self) -> u16 {
        if self.both { GUESS_NEIGHBOURS } else { GUESS_SOCKETS_MAX }
    }

    pub(super) fn probes_max(&self) -> u16 {
        if self.both { GUESS_NEIGHBOURS } else { GUESS_PROBES_MAX }
    }

    /// Where we are to aim by what the other end says, if witnesses bear it out. Of a
    /// mapping that is one for all the port is theirs too; of a symmetric NAT it is
    /// foretold, from the middle of the ports that come next.
    pub(super) fn borne_out(&self) -> Option<SocketAddr> {
        let theirs = self.theirs?;
        if self.role == Role::Open && !self.both {
            return Some(theirs.at).filter(|at| self.evidence.bears_out(*at));
        }
        let near = sensible(theirs.near).filter(|_| self.both);
        let port = match near {
            Some(near) => neighbour(near, GUESS_NEIGHBOURS / 2)?,
            None => theirs.at.port(),
        };
        Some(SocketAddr::new(theirs.at.ip(), port)).filter(|at| self.evidence.bears_out_host(at.ip()))
    }

    pub(super) fn next_timeout(&self) -> Mono {
        self.phase.at()
    }

    pub(super) fn shown(&self) -> Shown {
        Shown {
            opens: self.role == Role::Open,
            sockets: self.sockets,
            probes: self.probes,
            probes_of: self.probes_max(),
            met: self.met,
        }
    }
}
