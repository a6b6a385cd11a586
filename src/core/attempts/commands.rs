//! What a person asks of attempts: a link, or one stage towards a peer.

use super::{Attempts, View, Waiting};
use crate::core::dialer::Start;
use crate::core::guessing;
use crate::core::ladder::{Ladder, Plan, Target};
use crate::core::outbox::{Outbox, Wanted};
use crate::model::{Cause, CommandId, Done, Failure, LinkReport, Path, PeerId, Reason};

/// The report on a link that stands already.
fn stands(peer_id: PeerId, path: Path) -> LinkReport {
    let path = Some(path);
    LinkReport { peer_id, before: path, path, elapsed_ms: 0, stages: Vec::new(), note: None }
}

impl Attempts {
    /// A command to connect to a peer, or to run one stage towards it. A link that stands
    /// answers the former; only the stage's own result answers the latter.
    pub(in crate::core) fn command(
        &mut self,
        id: CommandId,
        peer: PeerId,
        plan: Plan,
        view: View<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Done>, Failure> {
        let links = view.targets.peers.links;
        let cause = match links.path(&peer) {
            None => Cause::Operator,
            Some(path) if plan.only().is_none() => return Ok(Some(Done::Connected(stands(peer, path)))),
            // A punch behind a relayed link is asked for to have the link leave its relay.
            Some(Path::Relayed) if plan == Plan::PUNCH => {
                if view.guesses.could(&peer, &self.guess_view(view)) {
                    out.want(Wanted::Guesses(guessing::Input::Asked(id, peer)));
                    return Ok(None);
                }
                Cause::Upgrade
            }
            Some(path) => {
                let remote = links.status(&peer).map(|s| s.info.remote);
                let loopback = plan == Plan::PUNCH && remote.is_some_and(|at| at.ip().is_loopback());
                let note = loopback.then_some(Reason::LoopbackCannotBePunched);
                return Ok(Some(Done::NothingToDo(LinkReport { note, ..stands(peer, path) })));
            }
        };
        let target = view.targets.of(peer).ok_or(Reason::UnknownPeer)?;
        // It would say nothing of the peer, and be no news to anybody.
        view.ways.to(&target.addresses).map_err(|why| Reason::NoWay { why })?;
        self.connect(id, (peer, target), plan, cause, view, out);
        Ok(None)
    }

    fn guess_view<'a>(&'a self, view: View<'a>) -> guessing::View<'a> {
        guessing::View { targets: view.targets, consent: view.consent, dialer: view.dialer, attempts: self }
    }

    /// Joins the attempt that runs, or starts one.
    fn connect(
        &mut self,
        command: CommandId,
        (peer, target): (PeerId, Target),
        plan: Plan,
        cause: Cause,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let stage = plan.only();
        let joins = |l: &&Ladder| match stage {
            // One that has its outcome answers nobody any more.
            None => l.plan().direct && l.outcome().is_none(),
            Some(_) => self.waits_for(l.id(), stage),
        };
        let running = self.live().filter(|l| l.peer() == Some(peer)).find(joins).map(Ladder::id);
        if running.is_none() && stage.is_some() {
            self.make_way(peer, view, out);
        }
        // It may be over as soon as it begins.
        let attempt = running.unwrap_or_else(|| out.fresh_attempt());
        let before = view.targets.peers.links.path(&peer);
        self.waiting.push(Waiting { command, attempt, since: view.now().mono, stage, before });
        if running.is_none() {
            self.start(attempt, Start { target, cause, plan }, view, out);
        }
    }

    /// What goes on by itself behind a relayed link is called off where a person asks
    /// for it: it may have sent its packets in vain, and the rates are shared.
    fn make_way(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        for id in self.ids_towards(&peer) {
            let behind = |l: &Ladder| l.cause() == Cause::Upgrade || l.outcome().is_some();
            if self.live.get(&id).is_some_and(behind) {
                self.abandon(id, &Reason::AskedAnew, view, out);
            }
        }
    }
}
