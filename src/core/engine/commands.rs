//! Commands: what a person asks, and its one outcome.

use std::net::SocketAddr;

use super::{Action, Engine};
use crate::core::Now;
use crate::core::dialer::HOLD_OFF;
use crate::core::ladder::{Plan, Target};
use crate::core::wire::Message;
use crate::model::{
    Cause, CloseCode, Command, CommandId, Done, Failure, LinkReport, Path, PeerId, Reason, is_dialled,
    millis, plain_addr,
};

impl Engine {
    pub(super) fn on_command(&mut self, id: CommandId, command: Command, now: Now) {
        self.outbox.asked(id, command.clone());
        let done = match command {
            Command::Connect { peer } => self.on_connect(id, peer, now),
            Command::Dial { addr, peer } => self.on_dial(id, plain_addr(addr), peer, now),
            Command::AddBootstrap { addr } => self.on_bootstrap(plain_addr(addr), true, now),
            Command::RemoveBootstrap { addr } => self.on_bootstrap(plain_addr(addr), false, now),
            Command::Punch { peer } => self.on_stage(id, peer, Plan::PUNCH, now),
            Command::Relay { peer } => self.on_stage(id, peer, Plan::RELAY, now),
            Command::Disconnect { peer } => self.on_disconnect(peer, now),
            Command::Sync { peer } => self.on_sync(id, peer, now).map(|()| None),
            Command::Failover { peer } => {
                self.with_relaying(now, |part, view, out| part.fail_over(id, peer, view, out)).map(|()| None)
            }
            Command::EndServed { peer } => {
                self.with_serving(now, |part, targets, out| part.end_for(peer, targets, out))
            }
            Command::Why { peer } => self.with_why(now, |why, view, out| why.ask(id, peer, view, out)),
            Command::Test { peer, for_ms } => self.on_test(id, peer, for_ms, now),
            Command::EndTest { peer } => self.on_end_test(peer, now),
            // Whoever runs the engine has the log, if anybody does.
            Command::Log { .. } | Command::LogReset => Err(Reason::NoLog.into()),
            Command::NatProbe => Ok(self.nat.measure(id, now)),
            Command::Echo { peer, count, every_ms } => {
                let Self { echoes, links, outbox, .. } = self;
                echoes.run(id, peer, (count, every_ms), links, now.mono, outbox).map(|()| None)
            }
            Command::LoseNextDelta => {
                self.gossip.drop_next_delta();
                Ok(Some(Done::WillLose))
            }
            Command::Leave => Ok(Some(self.on_leave_command(now))),
        };
        match done {
            Ok(Some(done)) => self.outbox.answer(id, Ok(done)),
            Ok(None) => {}
            Err(failure) => self.outbox.answer(id, Err(failure)),
        }
    }

    fn on_connect(&mut self, id: CommandId, peer: PeerId, now: Now) -> Result<Option<Done>, Failure> {
        self.dialer.lift_hold_off(&peer);
        if let Some(path) = self.links.path(&peer) {
            return Ok(Some(Done::Connected(stands(peer, path))));
        }
        self.connect(id, peer, Plan::ALL, Cause::Operator, now)
    }

    /// An address instead of somebody who is known: who is linked there already, or who
    /// answers, is told.
    fn on_dial(
        &mut self,
        id: CommandId,
        addr: SocketAddr,
        peer: Option<PeerId>,
        now: Now,
    ) -> Result<Option<Done>, Failure> {
        if peer == Some(self.config.me) {
            return Err(Reason::OwnAddress.into());
        }
        if !is_dialled(&addr) {
            return Err(Reason::NoAddress.into());
        }
        if let Some(peer) = &peer {
            self.dialer.lift_hold_off(peer);
        }
        let there = self.links.iter().find_map(|(linked, link)| {
            let info = link.status()?.info;
            (info.path.is_straight() && info.remote == addr).then_some((*linked, info.path))
        });
        let known = peer.and_then(|peer| Some((peer, self.links.path(&peer)?)));
        if let Some((peer, path)) = known.or(there.filter(|_| peer.is_none())) {
            return Ok(Some(Done::Connected(stands(peer, path))));
        }
        self.config.ways.to(&[addr]).map_err(|why| Reason::NoWay { why })?;
        let target = Target { peer, addresses: vec![addr], ..Target::default() };
        self.with_attempts(now, |attempts, view, out| attempts.dial(id, target, view, out));
        Ok(None)
    }

    fn on_bootstrap(&mut self, addr: SocketAddr, add: bool, now: Now) -> Result<Option<Done>, Failure> {
        if !is_dialled(&addr) {
            return Err(Reason::NoAddress.into());
        }
        self.dialer.change_bootstrap(addr, add, now.mono)?;
        Ok(Some(Done::Bootstrap { addresses: self.dialer.bootstrap().collect() }))
    }

    /// A single stage, whatever link there is: only its own result is an answer.
    fn on_stage(
        &mut self,
        id: CommandId,
        peer: PeerId,
        plan: Plan,
        now: Now,
    ) -> Result<Option<Done>, Failure> {
        self.dialer.lift_hold_off(&peer);
        let cause = match self.links.path(&peer) {
            // Who asks for a punch behind a relayed link wants the link to leave it.
            Some(Path::Relayed) if plan == Plan::PUNCH => {
                if self.is_guessable(&peer, now) {
                    let asked = self.with_guesses(now, |guesses, view, out| guesses.ask(id, peer, view, out));
                    return asked.map(|()| None);
                }
                Cause::Upgrade
            }
            Some(path) => {
                let remote = self.links.status(&peer).map(|s| s.info.remote);
                let loopback = plan == Plan::PUNCH && remote.is_some_and(|at| at.ip().is_loopback());
                let note = loopback.then_some(Reason::LoopbackCannotBePunched);
                return Ok(Some(Done::NothingToDo(LinkReport { note, ..stands(peer, path) })));
            }
            None => Cause::Operator,
        };
        self.connect(id, peer, plan, cause, now)
    }

    /// A command to connect, or for one stage.
    fn connect(
        &mut self,
        id: CommandId,
        peer: PeerId,
        plan: Plan,
        cause: Cause,
        now: Now,
    ) -> Result<Option<Done>, Failure> {
        let target = self.targets(now).of(peer).ok_or(Reason::UnknownPeer)?;
        // It would say nothing of the peer, and be no news to anybody.
        self.config.ways.to(&target.addresses).map_err(|why| Reason::NoWay { why })?;
        self.with_attempts(now, |attempts, view, out| {
            attempts.connect(id, (peer, target), plan, cause, view, out);
        });
        Ok(None)
    }

    fn on_disconnect(&mut self, peer: PeerId, now: Now) -> Result<Option<Done>, Failure> {
        let link = self.links.get(&peer).filter(|l| l.is_connected()).ok_or(Reason::NotLinked)?;
        let stood = link.is_up() || link.is_foreign();
        let why = Reason::HeldOff { hold_ms: millis(HOLD_OFF) };
        self.dialer.hold_off(peer, true, now.mono);
        self.links.close(peer, CloseCode::HoldOff, why, now, &mut self.outbox);
        self.route(now);
        // It is done when the link is down; one that never stood does not go down.
        Ok((!stood).then_some(Done::Disconnected { peer_id: peer }))
    }

    fn on_leave_command(&mut self, now: Now) -> Done {
        for peer in self.links.up() {
            self.links.send(&peer, &Message::Leave, now, &mut self.outbox);
        }
        self.stop(now);
        self.outbox.push(Action::Stop);
        Done::Left
    }
}

/// The report on a link that stands already.
fn stands(peer_id: PeerId, path: Path) -> LinkReport {
    let path = Some(path);
    LinkReport { peer_id, before: path, path, elapsed_ms: 0, stages: Vec::new(), note: None }
}
