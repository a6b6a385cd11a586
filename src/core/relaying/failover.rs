//! Changes of relay: because one died, or because an operator says so. What is
//! told of one is what links were seen to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{RelayState, View};
use crate::core::io::Action;
use crate::core::link::ConnInfo;
use crate::core::outbox::{Outbox, Wanted};
use crate::core::peers::came_over;
use crate::core::{Mono, Now};
use crate::model::{CommandId, Done, Fact, Failover, FailoverFact, Failure, Path, PeerId, Reason, millis};

/// How long links have to come back over another relay.
const COME_BACK: Duration = Duration::from_secs(30);
/// The same when somebody waits for it.
const HAND_OVER: Duration = Duration::from_secs(5);
/// A standby that is being reserved is there by then: it takes a round trip or two.
const STANDBY_SOON: Duration = Duration::from_secs(1);

/// A change of relay, until every link that ran over the old one runs again.
#[derive(Debug)]
pub(super) struct Over {
    at: Now,
    until: Mono,
    from: PeerId,
    to: Option<PeerId>,
    /// Links that are to move, and over whom they run.
    waiting: BTreeMap<PeerId, PeerId>,
    /// Whether a link was seen to run again.
    back: bool,
    /// The path of a link that left relays instead.
    left: Option<Path>,
    gap: Option<Duration>,
    lost: u64,
    /// The command that asked for it, if one did.
    forced: Option<Forced>,
}

/// What belongs to a change that somebody asked for.
#[derive(Debug)]
struct Forced {
    command: CommandId,
    /// Our reservation that stands first now, if we changed their order.
    swapped: Option<(PeerId, PeerId)>,
    /// What was shown before.
    before: Option<Failover>,
}

impl Over {
    pub(super) fn until(&self) -> Mono {
        self.until
    }

    /// Whether somebody asked for it.
    pub(super) fn is_forced(&self) -> bool {
        self.forced.is_some()
    }

    /// As it is shown while links are still to come back.
    fn shown(&self) -> Failover {
        Failover { at: self.at.stamp, from: self.from, to: self.to, gap_ms: self.gap.map(millis), lost: None }
    }

    /// As it ended. Without a link that came back nobody knows what is lost.
    fn ended(&self, now: Now) -> Failover {
        Failover { at: now.stamp, lost: self.back.then_some(self.lost), ..self.shown() }
    }

    /// A link runs again, over this relay if over any. Says whether that ends
    /// the wait for it.
    fn on_link(&mut self, peer: PeerId, path: Path, via: Option<PeerId>) -> bool {
        let Some(from) = self.waiting.get(&peer).copied() else { return false };
        if self.is_forced() && path.is_straight() {
            self.waiting.remove(&peer);
            self.left = Some(path);
            return false;
        }
        if self.is_forced() && via == Some(from) {
            return false;
        }
        self.waiting.remove(&peer);
        let to = via.filter(|to| path == Path::Relayed && *to != from);
        if let Some(to) = to.filter(|_| !self.back) {
            (self.from, self.to) = (from, Some(to));
        }
        self.back = true;
        true
    }
}

impl RelayState {
    /// Hands links over to other relays, and lets go of the old ones then.
    pub(in crate::core) fn fail_over(
        &mut self,
        command: CommandId,
        peer: Option<PeerId>,
        view: View<'_>,
        out: &mut Outbox,
    ) -> Result<(), Failure> {
        if let Some(over) = self.over.as_ref().filter(|o| o.is_forced()) {
            return Err(Reason::too_soon(over.until.since(view.mono())).into());
        }
        let links = view.peers().links;
        let relayed: Vec<(PeerId, ConnInfo)> = links
            .iter()
            .filter(|(p, _)| peer.is_none_or(|wanted| wanted == **p))
            .filter_map(|(p, link)| Some((*p, link.in_use()?.clone())))
            .filter(|(_, info)| info.path == Path::Relayed)
            .collect();
        if peer.is_some() && relayed.is_empty() {
            return Err(Reason::NoRelayInUse.into());
        }
        let active = self.relays.active().map(|a| a.relay);
        let ours = relayed.iter().any(|(_, info)| active.is_some() && came_over(info) == active);
        // A peer that came over another relay than the active one chose it.
        let chosen = relayed.iter().any(|(_, info)| !info.outbound);
        let none = if chosen { Reason::ChosenByPeer } else { Reason::NoRelayInUse };
        let mut change: Result<(PeerId, Option<PeerId>), Reason> = Err(none);
        let (mut waiting, mut swapped) = (BTreeMap::new(), None);
        if ours || relayed.is_empty() {
            let moving = active.map(|from| view.peers().linked_over(from)).unwrap_or_default();
            // Half of it done would be told as all of it.
            let (from, to) = self.swap_relays(&moving, view, out)?;
            swapped = Some((from, to));
            waiting.extend(moving.iter().map(|peer| (*peer, from)));
            change = Ok((from, Some(to)));
        }
        for (peer, info) in relayed.iter().filter(|(_, info)| info.outbound) {
            let options = view.peers().other_relays(peer, info.via);
            let (Some(from), Some(to)) = (info.via, options.first()) else {
                change = change.or(Err(Reason::NoStandby));
                continue;
            };
            change = change.or(Ok((from, Some(to.relay))));
            waiting.insert(*peer, from);
            self.move_link(*peer, options, view, out);
        }
        let (from, to) = change?;
        let forced = Forced { command, swapped, before: self.last.clone() };
        self.begin_over(from, to, waiting, Some(forced), view, out);
        Ok(())
    }

    /// Makes our standby the active one, if these peers may be told to follow
    /// once more: they follow only so often.
    fn swap_relays(
        &mut self,
        moving: &BTreeSet<PeerId>,
        view: View<'_>,
        out: &mut Outbox,
    ) -> Result<(PeerId, PeerId), Reason> {
        let wait = moving.iter().map(|peer| self.follows_in(*peer, view)).max().unwrap_or_default();
        let mut told = Vec::new();
        let asking = self.relays.asking().is_some();
        let swapped = self.relays.fail_over(&mut told).map_err(|reason| match reason {
            Reason::NoStandby if asking => Reason::too_soon(STANDBY_SOON),
            reason => reason,
        })?;
        if !wait.is_zero() {
            // Nobody has heard of it yet.
            drop(self.relays.fail_over(&mut told));
            return Err(Reason::too_soon(wait));
        }
        for peer in moving {
            self.note_followed(*peer, view);
        }
        self.carry_relays(told, view, out);
        // They hear of it in our record; where a lane stands by nobody waits for
        // that.
        for peer in moving {
            out.want(Wanted::CarryOver(*peer, swapped.1));
        }
        Ok(swapped)
    }

    /// The active relay is gone.
    pub(super) fn relay_died(
        &mut self,
        relay: PeerId,
        successor: Option<PeerId>,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let waiting: BTreeMap<PeerId, PeerId> =
            view.peers().linked_over(relay).into_iter().map(|peer| (peer, relay)).collect();
        for peer in waiting.keys() {
            self.note_followed(*peer, view);
        }
        self.end_over(&Reason::RelayLost, view, out);
        // The links may have noticed before we did.
        let moved = |f: &Failover| f.from == relay && f.at.age_at(view.now().stamp) < COME_BACK;
        if waiting.is_empty() && self.last.as_ref().is_some_and(moved) {
            return;
        }
        self.begin_over(relay, successor, waiting, None, view, out);
    }

    fn begin_over(
        &mut self,
        from: PeerId,
        to: Option<PeerId>,
        waiting: BTreeMap<PeerId, PeerId>,
        forced: Option<Forced>,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let late = Reason::timed_out(COME_BACK);
        self.end_over(&late, view, out);
        let until = view.mono() + if forced.is_some() { HAND_OVER } else { COME_BACK };
        let over = Over {
            at: view.now(),
            until,
            from,
            to,
            waiting,
            back: false,
            left: None,
            gap: None,
            lost: 0,
            forced,
        };
        self.last = Some(over.shown());
        self.over = Some(over);
        self.settle_over(view, out);
    }

    /// A link runs again, over whatever. `via`: the relay that it left.
    pub(super) fn path_changed(
        &mut self,
        peer: PeerId,
        via: Option<PeerId>,
        gap: Option<Duration>,
        lost: u64,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        self.doubt_relay(peer, via, view, out);
        let Some(info) = view.peers().links.in_use(&peer) else { return };
        let (path, to) = (info.path, info.via.filter(|_| info.path == Path::Relayed));
        if path.is_straight() {
            // A lane that is being dialled is not wanted any more.
            self.restored_relay(&peer, view, out);
        }
        if let Some(over) = self.over.as_mut().filter(|o| o.waiting.contains_key(&peer)) {
            if over.on_link(peer, path, to) {
                over.gap = over.gap.max(gap);
                over.lost += lost;
                self.last = Some(over.shown());
            }
            return self.settle_over(view, out);
        }
        if let (Some(from), Some(to)) = (via, to)
            && from != to
        {
            let gap_ms = gap.map(millis);
            let failover = Failover { at: view.now().stamp, from, to: Some(to), gap_ms, lost: Some(lost) };
            report_failover(&failover, out);
            self.last = Some(failover);
        }
    }

    /// A link left a relay of ours for another one, and not because we asked:
    /// perhaps it only says that it relays.
    fn doubt_relay(&self, peer: PeerId, via: Option<PeerId>, view: View<'_>, out: &mut Outbox) {
        let Some(relay) = via.filter(|relay| self.relays.is_relay(relay)) else { return };
        let relayed = view.peers().links.lane(&peer).is_some();
        let asked = self.over.as_ref().is_some_and(Over::is_forced);
        if relayed && !asked {
            out.push(Action::TryReservation { relay });
        }
    }

    /// Ends the change if nothing is waited for.
    fn settle_over(&mut self, view: View<'_>, out: &mut Outbox) {
        if self.over.as_ref().is_some_and(|o| o.waiting.is_empty()) {
            self.end_over(&Reason::timed_out(HAND_OVER), view, out);
        }
    }

    /// Every link runs again, or will not be waited for any longer: then `late`
    /// says why.
    fn end_over(&mut self, late: &Reason, view: View<'_>, out: &mut Outbox) {
        let Some(over) = self.over.take() else { return };
        let failover = over.ended(view.now());
        let missing = !over.waiting.is_empty();
        let Some(forced) = over.forced else {
            report_failover(&failover, out);
            if !missing {
                self.last = Some(failover);
            }
            return;
        };
        let left = over.left.filter(|_| !over.back);
        let failed = if missing { Some(late.clone()) } else { left.map(|path| Reason::LeftRelay { path }) };
        if failed.is_some() && !over.back {
            // No link runs over the other relay: it is as it was before.
            self.last = forced.before;
            self.swap_back(forced.swapped, view, out);
        } else {
            report_failover(&failover, out);
            self.last = Some(failover.clone());
        }
        let result = match failed {
            Some(reason) => Err(Failure::from(reason)),
            None => {
                if let Some((from, _)) = forced.swapped {
                    self.let_go(from, view, out);
                }
                Ok(Done::FailedOver(failover))
            }
        };
        out.answer(forced.command, result);
    }

    /// The links did not follow: our record says again where they are.
    fn swap_back(&mut self, swapped: Option<(PeerId, PeerId)>, view: View<'_>, out: &mut Outbox) {
        let active = self.relays.active().map(|a| a.relay);
        if swapped.is_some_and(|(_, to)| active == Some(to)) {
            let mut told = Vec::new();
            // Without the other one there is nothing to go back to.
            drop(self.relays.fail_over(&mut told));
            self.carry_relays(told, view, out);
        }
    }

    /// Gives back what was handed over, where somebody else can stand by.
    fn let_go(&mut self, relay: PeerId, view: View<'_>, out: &mut Outbox) {
        let relays = &self.relays;
        let others =
            Self::candidates(view).iter().any(|peer| !relays.is_relay(peer) && !relays.is_refused(peer));
        let mut told = Vec::new();
        self.relays.let_go(relay, others, view.mono(), &mut told);
        self.carry_relays(told, view, out);
    }

    pub(super) fn relays_timeout(&mut self, view: View<'_>, out: &mut Outbox) {
        if self.over.as_ref().is_some_and(|o| o.until <= view.mono()) {
            self.end_over(&Reason::timed_out(HAND_OVER), view, out);
        }
    }
}

fn report_failover(failover: &Failover, out: &mut Outbox) {
    let Failover { from, to, gap_ms, lost, .. } = *failover;
    out.report(Fact::Failover(FailoverFact { from, to, gap_ms, lost }));
}
