//! Commands: what a person asks, and its one outcome.

use super::{Action, Engine, Link};
use crate::core::Now;
use crate::core::dialer::HOLD_OFF;
use crate::core::ladder::Plan;
use crate::core::wire::Message;
use crate::model::{
    Cause, CloseCode, Command, CommandId, Done, Failure, LinkReport, Outcome, Path, PeerId, Reason, millis,
};

impl Engine {
    pub(super) fn on_command(&mut self, id: CommandId, command: Command, now: Now) {
        self.commands.insert(id, command.clone());
        let done = match command {
            Command::Connect { peer } => self.on_connect(id, peer, Plan::ALL, now),
            Command::Punch { peer } => self.on_connect(id, peer, Plan::PUNCH, now),
            Command::Relay { peer } => self.on_connect(id, peer, Plan::RELAY, now),
            Command::Disconnect { peer } => self.on_disconnect(peer, now),
            Command::Sync { peer } => self.on_sync(id, peer, now).map(|()| None),
            Command::Failover { peer } => self.on_failover(id, peer, now).map(|()| None),
            Command::EndServed { peer } => self.on_end_served(peer, now),
            Command::Why { peer } => self.on_why(id, peer, now),
            Command::NatProbe => Ok(self.on_nat_probe(id, now)),
            Command::Echo { peer, count, every_ms } => {
                self.on_echo_command(id, peer, count, every_ms, now).map(|()| None)
            }
            Command::LoseNextDelta => {
                self.gossip.drop_next_delta();
                Ok(Some(Done::WillLose))
            }
            Command::Leave => Ok(Some(self.on_leave_command(now))),
        };
        match done {
            Ok(Some(done)) => self.answer(id, Ok(done)),
            Ok(None) => {}
            Err(failure) => self.answer(id, Err(failure)),
        }
    }

    /// Gives a command its outcome.
    pub(super) fn answer(&mut self, id: CommandId, result: Result<Done, Failure>) {
        if let Some(command) = self.commands.remove(&id) {
            self.outcome(Outcome { id, command, result });
        }
    }

    fn on_connect(
        &mut self,
        id: CommandId,
        peer: PeerId,
        plan: Plan,
        now: Now,
    ) -> Result<Option<Done>, Failure> {
        self.dialer.lift_hold_off(&peer);
        let status = self.links.get(&peer).and_then(Link::status);
        // Who asks for a punch behind a relayed link wants the link to leave it.
        if plan == Plan::PUNCH && status.as_ref().is_some_and(|s| s.info.path == Path::Relayed) {
            if self.is_guessable(&peer, now) {
                return self.guess_by_hand(id, peer, now).map(|()| None);
            }
            return self.connect(id, peer, Plan::UPGRADE, Cause::Upgrade, now).map(|()| None);
        }
        if let Some(status) = status {
            let loopback = plan == Plan::PUNCH && status.info.remote.ip().is_loopback();
            return Ok(Some(Done::Connected(LinkReport {
                peer_id: peer,
                path: Some(status.info.path),
                elapsed_ms: 0,
                stages: Vec::new(),
                note: loopback.then_some(Reason::LoopbackCannotBePunched),
            })));
        }
        self.connect(id, peer, plan, Cause::Operator, now).map(|()| None)
    }

    fn on_disconnect(&mut self, peer: PeerId, now: Now) -> Result<Option<Done>, Failure> {
        let link = self.links.get_mut(&peer).filter(|l| l.is_connected()).ok_or(Reason::NotLinked)?;
        let stood = link.is_up() || link.is_foreign();
        let mut out = Vec::new();
        let hold_ms = millis(HOLD_OFF);
        link.close(CloseCode::HoldOff, Reason::HeldOff { hold_ms }, &mut out);
        self.dialer.hold_off(peer, true, now.mono);
        self.carry_link(peer, out, now);
        // It is done when the link is down; one that never stood does not go down.
        Ok((!stood).then_some(Done::Disconnected { peer_id: peer }))
    }

    /// A link is down: whoever wanted that has it.
    pub(super) fn disconnected(&mut self, peer: PeerId) {
        let asked = |(id, c): (&CommandId, &Command)| (*c == Command::Disconnect { peer }).then_some(*id);
        let ids: Vec<CommandId> = self.commands.iter().filter_map(asked).collect();
        for id in ids {
            self.answer(id, Ok(Done::Disconnected { peer_id: peer }));
        }
    }

    fn on_leave_command(&mut self, now: Now) -> Done {
        let up: Vec<PeerId> = self.links.iter().filter(|(_, l)| l.is_up()).map(|(p, _)| *p).collect();
        for peer in up {
            self.send(&peer, &Message::Leave, now);
        }
        self.stop(now);
        self.out.push_back(Action::Stop);
        Done::Left
    }
}
