//! The relay service of a node: what it must know of the links, and what its decisions
//! mean outside.

use std::net::{IpAddr, SocketAddr};

use super::{Dropped, Input, Output, Refusal, Serving, Sight, Standing, Way};
use crate::core::Mono;
use crate::core::gossip::rules::is_public;
use crate::core::io::Action;
use crate::core::link::ConnId;
use crate::core::links::Links;
use crate::core::outbox::{Outbox, Wanted};
use crate::core::targets::Targets;
use crate::core::wire::Capabilities;
use crate::model::{
    Done, DropReason, EventKind, Failure, Path, PeerId, RelayMode, ServedEnd, ServedRow, millis, plain_addr,
};

/// What the links say of a peer and one of its connections.
fn sight(links: &Links, peer: &PeerId, conn: ConnId) -> Sight {
    let Some(link) = links.get(peer) else {
        return Sight { standing: Standing::Stranger, way: None, heard: Mono::default() };
    };
    let standing = match link {
        link if link.is_up() => Standing::Linked,
        link if link.is_connected() && !link.is_foreign() => Standing::Coming,
        _ => Standing::Stranger,
    };
    let info = link.conns().find(|info| info.id == conn);
    let way = info.map(|info| Way { ip: info.remote.ip(), lane: info.path == Path::Relayed });
    Sight { standing, way, heard: link.last_heard() }
}

/// All of it.
#[derive(Debug)]
pub(in crate::core) struct RelayService {
    machine: Serving,
}

impl RelayService {
    /// `bind`: the IP at which we listen.
    pub(in crate::core) fn new(mode: RelayMode, bind: IpAddr) -> Self {
        Self { machine: Serving::new(mode, bind) }
    }

    /// Whom we serve.
    pub(in crate::core) fn mode(&self) -> RelayMode {
        self.machine.mode()
    }

    /// What our record says we do for others.
    pub(in crate::core) fn capabilities(&self) -> Capabilities {
        match self.machine.mode() {
            RelayMode::Network => Capabilities::COORDINATE.with(Capabilities::RELAY),
            RelayMode::Off => Capabilities::COORDINATE,
        }
    }

    /// Whom we serve, and the bytes of all of them since the start.
    pub(in crate::core) fn served(&self) -> (Vec<ServedRow>, u64) {
        let traffic = self.machine.traffic();
        (self.machine.rows().collect(), traffic.bytes_tx + traffic.bytes_rx)
    }

    /// What did not pass through reservations that we serve, by reason.
    pub(in crate::core) fn counters(&self) -> impl Iterator<Item = (DropReason, u64)> + use<> {
        let drops = self.machine.traffic().drops;
        let counted = Dropped::ALL.into_iter().map(move |why| (why.counted_as(), drops.of(why)));
        counted.filter(|(_, count)| *count > 0)
    }

    pub(in crate::core) fn next_timeout(&self) -> Option<Mono> {
        self.machine.next_timeout()
    }

    /// Takes what happened outside, or what the operator changed.
    pub(in crate::core) fn handle(&mut self, mut input: Input, targets: &Targets<'_>, out: &mut Outbox) {
        let mode = self.machine.mode();
        match &mut input {
            Input::Started { id, public_addr } => {
                *public_addr = reached_at(self.machine.holder(*id), *public_addr, targets);
            }
            Input::Ended { why: ServedEnd::SocketFailed, .. } => out.stopped(Refusal::NoSocket.counted_as()),
            _ => {}
        }
        let peers = targets.peers;
        self.machine.handle(input, &|peer, conn| sight(peers.links, peer, conn), peers.now);
        if mode != self.machine.mode() {
            out.want(Wanted::Republish);
        }
        self.carry(targets, out);
    }

    /// After anything: the links may look different.
    pub(in crate::core) fn timeout(&mut self, targets: &Targets<'_>, out: &mut Outbox) {
        let peers = targets.peers;
        self.machine.timeout(&|peer, conn| sight(peers.links, peer, conn), peers.now);
        self.carry(targets, out);
    }

    /// A command to serve a peer no longer.
    pub(in crate::core) fn end_for(
        &mut self,
        peer: PeerId,
        targets: &Targets<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Done>, Failure> {
        let kept_off = self.machine.end_for(&peer, targets.peers.now.mono)?;
        self.carry(targets, out);
        Ok(Some(Done::EndedServed { peer_id: peer, kept_off_ms: millis(kept_off) }))
    }

    fn carry(&mut self, targets: &Targets<'_>, out: &mut Outbox) {
        let now = targets.peers.now;
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Grant(id) => out.push(Action::ServeRelay { id }),
                Output::Refuse { id, peer, why } => {
                    out.stopped(why.counted_as());
                    // A limit that honest peers may meet is for the operator to see.
                    if matches!(why, Refusal::Full | Refusal::PerAddress) {
                        out.event(Some(peer), EventKind::LimitHit { limit: why.counted_as() }, now);
                    }
                    out.push(Action::RefuseRelay { id, why });
                }
                Output::End { id, why } => out.push(Action::EndRelay { id, why }),
                Output::Serving { peer, public_addr } => {
                    out.event(Some(peer), EventKind::RelayServing { public_addr }, now);
                }
                Output::Served { peer, why, traffic } => {
                    let (bytes_tx, bytes_rx) = (traffic.bytes_tx, traffic.bytes_rx);
                    let kind = EventKind::RelayServedEnded { reason: why, bytes_tx, bytes_rx };
                    out.event(Some(peer), kind, now);
                }
            }
        }
    }
}

/// Where a reservation is reached: the holder puts the address at which it sees us in
/// place of one that leads nowhere from outside, and so do we.
fn reached_at(holder: Option<PeerId>, at: SocketAddr, targets: &Targets<'_>) -> SocketAddr {
    let at = plain_addr(at);
    let seen: Option<IpAddr> = holder.and_then(|peer| targets.nat.seen_by(&peer)).map(|at| at.ip());
    match seen {
        Some(ip) if at.ip().is_unspecified() || (is_public(ip) && !is_public(at.ip())) => {
            SocketAddr::new(ip, at.port())
        }
        _ => at,
    }
}
