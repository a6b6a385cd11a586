//! The relay service, wired: what it must know of the links, and what its decisions
//! mean outside.

use std::net::{IpAddr, SocketAddr};

use super::{Action, Engine, Links};
use crate::core::gossip::rules::is_public;
use crate::core::link::ConnId;
use crate::core::serving::{Dropped, Input, Output, Refusal, Serving, Sight, Standing, Way};
use crate::core::wire::Capabilities;
use crate::core::{Mono, Now};
use crate::model::{Done, EventKind, Failure, Path, PeerId, RelayMode, ServedEnd, ServedRow, millis};

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

impl Engine {
    /// Something of the relay service happened outside.
    pub(super) fn on_serving(&mut self, mut input: Input, now: Now) {
        match &mut input {
            Input::Started { id, public_addr } => {
                *public_addr = self.reached_at(self.serving.holder(*id), *public_addr);
            }
            Input::Ended { why: ServedEnd::SocketFailed, .. } => {
                self.outbox.stopped(Refusal::NoSocket.counter());
            }
            _ => {}
        }
        self.with_serving(now, |serving, view| serving.handle(input, view, now));
    }

    /// After anything: the links may look different.
    pub(super) fn settle_serving(&mut self, now: Now) {
        self.with_serving(now, |serving, view| serving.timeout(view, now));
    }

    fn with_serving(&mut self, now: Now, f: impl FnOnce(&mut Serving, &dyn Fn(&PeerId, ConnId) -> Sight)) {
        let Self { serving, links, .. } = self;
        f(serving, &|peer, conn| sight(links, peer, conn));
        self.carry_serving(now);
    }

    fn carry_serving(&mut self, now: Now) {
        while let Some(output) = self.serving.poll() {
            match output {
                Output::Grant(id) => self.outbox.push(Action::ServeRelay { id }),
                Output::Refuse { id, peer, why } => {
                    self.outbox.stopped(why.counter());
                    // A limit that honest peers may meet is for the operator to see.
                    if matches!(why, Refusal::Full | Refusal::PerAddress) {
                        self.outbox.event(
                            Some(peer),
                            EventKind::LimitHit { limit: why.counter().into() },
                            now,
                        );
                    }
                    self.outbox.push(Action::RefuseRelay { id, why });
                }
                Output::End { id, why } => self.outbox.push(Action::EndRelay { id, why }),
                Output::Serving { peer, public_addr } => {
                    self.outbox.event(Some(peer), EventKind::RelayServing { public_addr }, now);
                }
                Output::Served { peer, why, traffic } => {
                    let (bytes_tx, bytes_rx) = (traffic.bytes_tx, traffic.bytes_rx);
                    let kind = EventKind::RelayServedEnded { reason: why, bytes_tx, bytes_rx };
                    self.outbox.event(Some(peer), kind, now);
                }
            }
        }
    }

    /// Where a reservation is reached: the holder puts the address at which it sees
    /// us in place of one that leads nowhere from outside, and so do we.
    fn reached_at(&self, holder: Option<PeerId>, at: SocketAddr) -> SocketAddr {
        let at = crate::model::plain_addr(at);
        let seen: Option<IpAddr> = holder.and_then(|peer| self.nat.seen_by(&peer)).map(|at| at.ip());
        match seen {
            Some(ip) if at.ip().is_unspecified() || (is_public(ip) && !is_public(at.ip())) => {
                SocketAddr::new(ip, at.port())
            }
            _ => at,
        }
    }

    pub(super) fn on_end_served(&mut self, peer: PeerId, now: Now) -> Result<Option<Done>, Failure> {
        let kept_off = self.serving.end_for(&peer, now.mono)?;
        self.carry_serving(now);
        Ok(Some(Done::EndedServed { peer_id: peer, kept_off_ms: millis(kept_off) }))
    }

    /// What our record says we do for others.
    pub(super) fn capabilities(&self) -> Capabilities {
        match self.serving.mode() {
            RelayMode::Network => Capabilities::COORDINATE.with(Capabilities::RELAY),
            RelayMode::Off => Capabilities::COORDINATE,
        }
    }

    /// The operator changed whom we serve.
    pub(super) fn set_relay_mode(&mut self, mode: RelayMode, now: Now) {
        if mode != self.serving.mode() {
            self.on_serving(Input::Mode(mode), now);
            self.republish(now);
        }
    }

    /// Whom we serve, and the bytes of all of them since the start.
    pub(super) fn served(&self) -> (Vec<ServedRow>, u64) {
        let traffic = self.serving.traffic();
        (self.serving.rows().collect(), traffic.bytes_tx + traffic.bytes_rx)
    }

    /// What did not pass through reservations that we serve, by reason.
    pub(super) fn serving_counters(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let drops = self.serving.traffic().drops;
        let counted = Dropped::ALL.into_iter().map(move |why| (why.counter(), drops.of(why)));
        counted.filter(|(_, count)| *count > 0)
    }
}
