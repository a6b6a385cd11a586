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
            Command::Connect { peer } => self.on_connect(id, peer, now),
            Command::Punch { peer } => self.on_stage(id, peer, Plan::PUNCH, now),
            Command::Relay { peer } => self.on_stage(id, peer, Plan::RELAY, now),
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

    fn on_connect(&mut self, id: CommandId, peer: PeerId, now: Now) -> Result<Option<Done>, Failure> {
        self.dialer.lift_hold_off(&peer);
        if let Some(path) = self.path_of(&peer) {
            return Ok(Some(Done::Connected(stands(peer, path))));
        }
        self.connect(id, peer, Plan::ALL, Cause::Operator, now).map(|()| None)
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
        let cause = match self.path_of(&peer) {
            // Who asks for a punch behind a relayed link wants the link to leave it.
            Some(Path::Relayed) if plan == Plan::PUNCH => {
                if self.is_guessable(&peer, now) {
                    return self.guess_by_hand(id, peer, now).map(|()| None);
                }
                Cause::Upgrade
            }
            Some(path) => {
                let remote = self.links.get(&peer).and_then(Link::status).map(|s| s.info.remote);
                let loopback = plan == Plan::PUNCH && remote.is_some_and(|at| at.ip().is_loopback());
                let note = loopback.then_some(Reason::LoopbackCannotBePunched);
                return Ok(Some(Done::NothingToDo(LinkReport { note, ..stands(peer, path) })));
            }
            None => Cause::Operator,
        };
        self.connect(id, peer, plan, cause, now).map(|()| None)
    }

    /// The path of the link to a peer, if it stands.
    pub(super) fn path_of(&self, peer: &PeerId) -> Option<Path> {
        self.links.get(peer).and_then(Link::status).map(|s| s.info.path)
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

/// The report on a link that stands already.
fn stands(peer_id: PeerId, path: Path) -> LinkReport {
    let path = Some(path);
    LinkReport { peer_id, before: path, path, elapsed_ms: 0, stages: Vec::new(), note: None }
}
