//! The lane that stands by, and how a link moves between connections that are both
//! up. The opener decides which carries; the other end may wish.

use std::time::Duration;

use super::doubt::{Move, Watch};
use super::{Conn, ConnId, ConnInfo, Frame, Link, LinkOut, Phase, SPARE_KEPT};
use crate::core::Mono;
use crate::core::wire::WARM_LANES_SINCE;
use crate::model::{CloseCode, DropReason, Path, PeerId};

/// How long the other end has to agree to a move over a lane that answers, and no
/// less than four times what is late on it.
const MOVE_WITHIN: Duration = Duration::from_secs(1);

impl Link {
    /// Whether the peer knows lanes that stand by.
    pub fn keeps_standbys(&self) -> bool {
        self.version >= WARM_LANES_SINCE
    }

    /// Connections whose handshake is done.
    pub(super) fn up(&self) -> impl Iterator<Item = &Conn> {
        self.conns.iter().filter(|c| matches!(c.phase, Phase::Up) && c.refused.is_none())
    }

    /// Every connection that carries or could: the one in use first.
    pub fn usable(&self) -> impl Iterator<Item = &ConnInfo> {
        let in_use = self.in_use();
        let others = self.up().map(|c| &c.info).filter(|info| self.active != Some(info.id));
        in_use.into_iter().chain(others)
    }

    /// The lane that stands by: one that answers before one that does not, one
    /// over another relay than the link's before one over the same, the newest.
    pub(super) fn standby_id(&self) -> Option<ConnId> {
        if !self.keeps_standbys() {
            return None;
        }
        let via = self.in_use().and_then(|info| info.via);
        let lanes = self.up().filter(|c| c.info.path == Path::Relayed && self.active != Some(c.info.id));
        let worth = |c: &&Conn| (c.beat.missed() == 0, via.is_none() || c.info.via != via);
        lanes.max_by_key(worth).map(|c| c.info.id)
    }

    /// The lane that stands by for the one in use, if it answers.
    pub fn standby(&self) -> Option<&ConnInfo> {
        let conn = self.conn(self.standby_id()?)?;
        (conn.beat.missed() == 0).then_some(&conn.info)
    }

    /// Writes to a connection what it was not given yet of what the peer does not
    /// have. What goes over one is so always without a hole.
    pub(super) fn pump(&mut self, id: ConnId, out: &mut Vec<LinkOut>) {
        let Some(conn) = self.conns.iter_mut().find(|c| c.info.id == id) else { return };
        for frame in self.session.from(conn.next) {
            conn.bytes_tx += frame.len() as u64;
            out.push(LinkOut::Write(id, frame.clone()));
        }
        conn.next = self.session.next();
    }

    /// The same for every connection that carries now.
    pub(super) fn pump_all(&mut self, out: &mut Vec<LinkOut>) {
        let Some(active) = self.active else { return };
        self.pump(active, out);
        if let Some(standby) = self.standby_id().filter(|_| self.doubt.is_some()) {
            self.pump(standby, out);
        }
        if let Some(to) = self.moving.as_ref().map(|m| m.to).filter(|_| self.is_opener()) {
            self.pump(to, out);
        }
    }

    /// A lane's handshake is done beside the connection in use.
    pub(super) fn adopt(&mut self, id: ConnId, now: Mono, out: &mut Vec<LinkOut>) {
        let on_lane = self.in_use().is_some_and(|info| info.path == Path::Relayed);
        if self.is_opener() && !on_lane {
            self.spare = Some((id, now + SPARE_KEPT));
        }
        self.trim(out);
        out.push(LinkOut::StandsBy);
        // Perhaps it came just in time.
        if self.active.and_then(|id| self.conn(id)).is_some_and(|c| c.beat.missed() > 0) {
            self.begin_doubt(self.due_since(), now, out);
        }
    }

    /// Of lanes that stand by, one is enough. The opener closes the others.
    pub(super) fn trim(&mut self, out: &mut Vec<LinkOut>) {
        let Some(standby) = self.standby_id().filter(|_| self.is_opener()) else { return };
        let keeps = |id: ConnId| {
            id == standby || self.active == Some(id) || self.moving.as_ref().is_some_and(|m| m.to == id)
        };
        let more = self.up().map(|c| &c.info).filter(|i| i.path == Path::Relayed && !keeps(i.id));
        out.extend(more.map(|info| LinkOut::Close(info.id, CloseCode::Replaced)));
    }

    /// Closes a lane that was kept beside a better path long enough, unless that
    /// path is in trouble now.
    pub(super) fn expire_spare(&mut self, now: Mono, out: &mut Vec<LinkOut>) {
        let Some((spare, _)) = self.spare.take_if(|(_, until)| *until <= now) else { return };
        if self.active.and_then(|id| self.conn(id)).is_some_and(|c| c.beat.missed() > 0) {
            self.spare = Some((spare, now + SPARE_KEPT));
        } else {
            out.push(LinkOut::Close(spare, CloseCode::Replaced));
        }
    }

    /// A connection is gone.
    pub(super) fn forget_lane(&mut self, id: ConnId) {
        self.moving.take_if(|m| m.to == id);
        if self.active != Some(id) && self.standby_id().is_none() {
            self.doubt = None;
        }
    }

    /// Whether [`Self::carry_over`] would find a lane over this relay.
    pub fn can_carry_over(&self, via: PeerId) -> bool {
        let on_lane = self.in_use().is_some_and(|info| info.path == Path::Relayed);
        on_lane && self.standby().is_some_and(|lane| lane.via == Some(via))
    }

    /// Hands a link over a lane to the one that stands by over this relay. Says
    /// whether there is one that answers.
    pub fn carry_over(&mut self, via: PeerId, now: Mono, out: &mut Vec<LinkOut>) -> bool {
        let on_lane = self.in_use().is_some_and(|info| info.path == Path::Relayed);
        let Some(to) = self.standby().filter(|i| on_lane && i.via == Some(via)).map(|i| i.id) else {
            return false;
        };
        if self.moving.is_some() {
            return true;
        }
        if self.is_opener() {
            self.begin_move(to, now, out);
        } else {
            self.write_frame(to, &Frame::Carry { turn: self.turn.wrapping_add(1) }, out);
            self.await_move(to, now);
        }
        true
    }

    /// The opener decides that this lane carries; the other end has to agree.
    pub(super) fn begin_move(&mut self, to: ConnId, now: Mono, out: &mut Vec<LinkOut>) {
        self.say_carry(to, out);
        self.await_move(to, now);
        self.pump(to, out);
    }

    fn await_move(&mut self, to: ConnId, now: Mono) {
        let within = self.late_after().map_or(MOVE_WITHIN, |late| (late * 4).max(MOVE_WITHIN));
        self.moving = Some(Move { to, until: now + within, watch: Watch::from(now) });
    }

    pub(super) fn say_carry(&mut self, id: ConnId, out: &mut Vec<LinkOut>) {
        self.turn = self.turn.wrapping_add(1);
        self.write_frame(id, &Frame::Carry { turn: self.turn }, out);
    }

    /// The other end did not agree in time. It may have, and its answer be lost.
    pub(super) fn give_up_move(&mut self, out: &mut Vec<LinkOut>) {
        self.moving = None;
        if let Some(active) = self.active.filter(|_| self.is_opener()) {
            self.say_carry(active, out);
        }
    }

    /// The peer says, or wishes, that this connection carries.
    pub(super) fn on_carry(&mut self, id: ConnId, turn: u64, now: Mono, out: &mut Vec<LinkOut>) {
        let Some(active) = self.active else { return };
        if self.is_opener() {
            if turn == self.turn {
                if self.moving.as_ref().is_some_and(|m| m.to == id) {
                    self.move_to(id, now, out);
                }
            } else if turn != self.turn.wrapping_add(1) {
                // It was wished before we decided otherwise.
            } else if !self.moves.take(now) {
                out.push(LinkOut::Stopped(DropReason::MovesOfPeer));
            } else if id == active {
                self.say_carry(id, out);
            } else if self.moving.is_none() && self.standby_id() == Some(id) {
                self.begin_move(id, now, out);
            }
            return;
        }
        if turn <= self.turn {
            return;
        }
        if !self.moves.take(now) {
            return self.refuse(id, CloseCode::Limit, DropReason::MovesOfPeer, out);
        }
        self.turn = turn;
        self.write_frame(id, &Frame::Carry { turn }, out);
        if id != active {
            self.move_to(id, now, out);
        }
    }

    /// Both ends agree.
    fn move_to(&mut self, id: ConnId, now: Mono, out: &mut Vec<LinkOut>) {
        let Some(old) = self.in_use().cloned() else { return };
        let watch = self.doubt.take().map(|d| d.watch).or(self.moving.take().map(|m| m.watch));
        let idle = self.due_since().map_or(Duration::ZERO, |since| now.since(since));
        let gap = watch.map_or(idle, |watch| watch.gap(now));
        self.take_over(id, &old, gap, now, out);
    }

    /// The connection in use is gone: the standby carries, if there is one.
    pub(super) fn promote(&mut self, old: &Conn, now: Mono, out: &mut Vec<LinkOut>) -> bool {
        let Some(id) = self.standby_id() else { return false };
        let due = self.nothing_since(old.beat.waiting_since());
        let watch = self.doubt.take().map(|d| d.watch).or(due.map(Watch::from));
        let gap = watch.map_or(Duration::ZERO, |watch| watch.gap(now));
        if self.is_opener() {
            self.say_carry(id, out);
        }
        self.take_over(id, &old.info, gap, now, out);
        true
    }

    fn take_over(&mut self, id: ConnId, old: &ConnInfo, gap: Duration, now: Mono, out: &mut Vec<LinkOut>) {
        self.active = Some(id);
        (self.doubt, self.moving) = (None, None);
        self.spare = self.spare.filter(|(spare, _)| *spare != id);
        self.carried_since = now;
        self.calm_down(now);
        self.pace_all(now);
        self.pump(id, out);
        let Some(to) = self.in_use().map(|info| info.path) else { return };
        out.push(LinkOut::Moved { from: old.path, to, via: old.via, gap });
        self.trim(out);
    }
}
