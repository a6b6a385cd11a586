//! How a connection becomes the one that carries the link: which is opened,
//! what both ends say first, and who is refused.

use std::time::Duration;

use super::session::{Joined, Resume};
use super::{Greeting, Heartbeat, LATE_FOR, Link, LinkOut, Pace, Phase};
use crate::core::limits::HELLO_TIMEOUT;
use crate::core::link::{Conn, ConnId, ConnInfo, SPARE_KEPT};
use crate::core::wire::{Frame, Hello, PROTOCOL_LOW, WARM_LANES_SINCE};
use crate::core::{Mono, Now};
use crate::model::{CloseCode, DropReason, Path, Reason, clean};

impl Link {
    /// Opens a control stream on the best connection that is better than the
    /// one in use, or on a lane that is to stand by. One handshake at a time, so
    /// that no two make a session.
    pub(super) fn open_best(&mut self, now: Mono, out: &mut Vec<LinkOut>) {
        // What the peer says on another connection may overtake our word on the first one.
        // It would name no session there, both would begin anew, and the first connection
        // would be closed while the peer still takes it for the only one.
        if !self.is_opener() || self.active.is_some() && !self.agreed {
            return;
        }
        // Direct before punched before relayed; among equals the newest.
        let Some(best) = (0..self.conns.len()).min_by_key(|&i| (self.conns[i].info.path, usize::MAX - i))
        else {
            return;
        };
        // Two lanes are as good as each other: the second one stands by.
        let stands_by = self.active.is_some() && self.keeps_standbys();
        let wanted = |c: &Conn| matches!(c.phase, Phase::Waiting { .. }) && c.refused.is_none();
        let is_lane = |c: &Conn| c.info.path == Path::Relayed;
        let carries = wanted(&self.conns[best]) && !(stands_by && is_lane(&self.conns[best]));
        let lane = self.conns.iter().rposition(|c| stands_by && is_lane(c) && wanted(c));
        let Some(best) = Some(best).filter(|_| carries).or(lane) else { return };
        let busy = |c: &Conn| matches!(c.phase, Phase::Opening { .. } | Phase::Shaking { .. });
        if let Some(busy) = self.conns.iter_mut().find(|c| busy(c)) {
            // When both dialled at once, the peer may know the newer connection
            // only. As long as it has not answered on the older one it is not
            // up there, and what it says there later is not heard any more.
            // What is only to stand by has time.
            if !carries || !matches!(busy.phase, Phase::Shaking { said: None, .. }) {
                return;
            }
            busy.phase = Phase::Waiting { until: None };
        }
        let conn = &mut self.conns[best];
        conn.phase = Phase::Opening { until: now + HELLO_TIMEOUT };
        out.push(LinkOut::OpenControl(conn.info.id));
    }

    /// Says who we are.
    pub(super) fn say_hello(&mut self, id: ConnId, mut hello: Hello, out: &mut Vec<LinkOut>) {
        let Some(conn) = self.conn(id) else { return };
        let info = &conn.info;
        hello.observed = info.remote;
        hello.channel = info.channel;
        hello.outbound = info.outbound;
        hello.path = (info.outbound || info.path != Path::Direct).then_some(info.path);
        self.write_frame(id, &Frame::Hello(Box::new(hello)), out);
    }

    /// The peer's Hello. Only to one that is as it should be we say what we
    /// remember, so a link is never up for an end that the other refuses.
    pub(super) fn on_hello(
        &mut self,
        id: ConnId,
        theirs: Hello,
        ours: &dyn Fn() -> Hello,
        now: Now,
        out: &mut Vec<LinkOut>,
    ) {
        if let Err((code, counter)) = self.check(id, &theirs) {
            if code == CloseCode::Version {
                return self.on_other_version(id, &theirs, &ours(), counter, out);
            }
            return self.refuse(id, code, counter, out);
        }
        let greeting = Greeting {
            name: Some(clean(&theirs.name)).filter(|n| !n.is_empty()),
            version: theirs.version_with_us().unwrap_or_default(),
            agent: clean(&theirs.agent),
            nat: theirs.nat,
            probe_ports: theirs.probe_ports,
            observed: crate::model::plain_addr(theirs.observed),
            clock_skew_ms: theirs.wall_ms.saturating_sub(now.wall.0),
        };
        let resume = self.session.resume();
        let Some(conn) = self.conn_mut(id) else { return };
        // The dialler knows how it got through; the label is the worse of both.
        conn.info.path = conn.info.path.max(theirs.path.unwrap_or(Path::Direct));
        let Phase::Shaking { said: said @ None, hello, .. } = &mut conn.phase else {
            return out.push(LinkOut::Stopped(DropReason::SecondHello));
        };
        (*said, *hello) = (Some(resume), Some(greeting));
        if !self.is_opener() {
            self.say_hello(id, ours(), out);
        }
        self.write_frame(id, &Frame::Resume { session: resume.session, next: resume.next }, out);
    }

    /// The other end speaks no version that we do. Both ends are to know which versions
    /// they are, so the end that has not said its own yet says it first, and the opener
    /// closes.
    fn on_other_version(
        &mut self,
        id: ConnId,
        theirs: &Hello,
        ours: &Hello,
        counter: DropReason,
        out: &mut Vec<LinkOut>,
    ) {
        let waits = !self.is_opener() && self.may_say_hello(id, theirs).is_ok();
        let Some(conn) = self.conn_mut(id) else { return };
        let again = conn.mismatch.is_some();
        conn.mismatch = Some(Reason::OtherVersion {
            theirs: clean(&theirs.agent),
            ours: ours.agent.clone(),
            theirs_is_older: theirs.high < PROTOCOL_LOW || !waits && theirs.proof.is_some(),
        });
        if waits && !again {
            out.push(LinkOut::Stopped(counter));
            self.say_hello(id, ours.clone(), out);
        } else {
            self.refuse(id, CloseCode::Version, counter, out);
        }
    }

    /// Whether a Hello is one of ours.
    fn check(&self, id: ConnId, theirs: &Hello) -> Result<(), (CloseCode, DropReason)> {
        let Some(conn) = self.conn(id) else { return Ok(()) };
        self.may_say_hello(id, theirs)?;
        if theirs.network != self.config.network {
            return Err((CloseCode::Network, DropReason::OtherNetwork));
        }
        if theirs.version_with_us().is_none() {
            return Err((CloseCode::Version, DropReason::NoCommonVersion));
        }
        if theirs.channel != conn.info.channel {
            return Err((CloseCode::Malformed, DropReason::HelloOfOther));
        }
        Ok(())
    }

    pub(super) fn on_resume(&mut self, id: ConnId, heard: Resume, now: Now, out: &mut Vec<LinkOut>) {
        let Some(conn) = self.conn_mut(id) else { return };
        let Phase::Shaking { said: Some(said), hello, .. } = &mut conn.phase else {
            out.push(LinkOut::Stopped(DropReason::ResumeBeforeHello));
            return;
        };
        let (said, Some(greeting)) = (*said, hello.take()) else {
            out.push(LinkOut::Stopped(DropReason::ResumeBeforeHello));
            return;
        };
        conn.phase = Phase::Up;
        let (channel, to) = (conn.info.channel, conn.info.path);
        let unacknowledged = self.session.unacknowledged();
        let Ok(joined) = self.session.join(said, heard, &channel) else {
            self.refuse(id, CloseCode::Malformed, DropReason::BadResume, out);
            return;
        };
        out.push(LinkOut::Widen(id));
        // The opener resumes on one connection only. Which of its streams came
        // first says nothing, so until now each was answered.
        for conn in &mut self.conns {
            if matches!(conn.phase, Phase::Shaking { .. }) {
                conn.phase = Phase::Waiting { until: None };
            }
        }
        let before = self.conn(self.active.unwrap_or(id)).and_then(|c| c.beat.rtt_guess_ms());
        let before = before.or(self.rtt_before.map(|(ms, _)| ms));
        if let Some(conn) = self.conn_mut(id) {
            (conn.beat, conn.next) = (Heartbeat::new(Pace::Standby, before, now.mono), 0);
        }
        let resumed = joined == Joined::Resumed;
        self.agreed = resumed;
        let warm = greeting.version >= WARM_LANES_SINCE;
        if resumed && warm && to == Path::Relayed && self.active.is_some_and(|active| active != id) {
            self.adopt(id, now.mono, out);
            return self.open_best(now.mono, out);
        }
        self.version = greeting.version;
        self.greeting = Some(greeting);
        if !resumed {
            self.begin_anew(id, out);
        }
        self.carry_anew(id, resumed, now.mono, out);
        let was_broken = self.broken_since.take();
        if !resumed || was_broken.is_some() {
            let gap = (self.bytes_rx > 0).then(|| now.mono.since(self.last_heard));
            let lost = if resumed { 0 } else { unacknowledged };
            out.push(LinkOut::Up { fresh: !resumed, gap, lost });
        }
        if resumed {
            self.late = Some((now.mono.since(self.last_heard), now.mono + LATE_FOR));
        }
        self.last_heard = now.mono;
        self.open_best(now.mono, out);
    }

    /// One end remembered nothing: what stood before belongs to nobody.
    fn begin_anew(&mut self, id: ConnId, out: &mut Vec<LinkOut>) {
        self.turn = 0;
        for conn in &mut self.conns {
            conn.next = 0;
        }
        let active = self.active;
        if self.is_opener() {
            let old = self.up().map(|c| c.info.id).filter(|old| *old != id && active != Some(*old));
            out.extend(old.map(|old| LinkOut::Close(old, CloseCode::Replaced)));
        } else {
            // The opener waits for a sign that we have the session, too.
            let Resume { session, next } = self.session.resume();
            self.write_frame(id, &Frame::Ack { session, next }, out);
        }
    }

    /// A connection whose handshake is done carries the link from now on.
    fn carry_anew(&mut self, id: ConnId, resumed: bool, now: Mono, out: &mut Vec<LinkOut>) {
        let Some(to) = self.conn(id).map(|c| c.info.path) else { return };
        let left = self.active.replace(id).and_then(|old| self.conn(old)).map(|c| c.info.clone());
        let usurped = left.clone().filter(|old| !resumed && old.id != id);
        let before = left.or(self.following.take());
        let unanswered =
            before.as_ref().and_then(|old| self.conn(old.id)).and_then(|c| c.beat.waiting_since());
        let since = self.nothing_since(unanswered);
        (self.doubt, self.moving) = (None, None);
        self.carried_since = now;
        self.calm_down(now);
        self.spare = self.spare.filter(|(spare, _)| *spare != id);
        self.pace_all(now);
        // The other end may take it for one that stands by.
        if resumed && to == Path::Relayed && self.keeps_standbys() && self.is_opener() {
            self.say_carry(id, out);
        }
        self.pump(id, out);
        self.close_leftovers(id, out);
        match before {
            Some(old) if old.id != id => {
                self.leave(&old, to, resumed, now, out);
                if resumed {
                    let gap = since.map_or(Duration::ZERO, |since| now.since(since));
                    out.push(LinkOut::Moved { from: old.path, to, via: old.via, gap });
                }
            }
            _ => self.since = now,
        }
        if let Some(old) = usurped {
            // Whoever is at its other end has no part in this session. Where we do not
            // open, nobody else would tell it.
            if !self.is_opener() {
                out.push(LinkOut::Close(old.id, CloseCode::Replaced));
            }
            out.push(LinkOut::Usurped(old));
        }
    }

    /// Connections over our own socket that are no better than the one that carries
    /// now, and that nobody opened, are of no use to anybody: both ends dialled at
    /// once, or one dialled again. The opener closes them. Lanes may be warm.
    fn close_leftovers(&mut self, carrier: ConnId, out: &mut Vec<LinkOut>) {
        let Some(at) = self.conns.iter().position(|c| c.info.id == carrier).filter(|_| self.is_opener())
        else {
            return;
        };
        let to = self.conns[at].info.path;
        let idle = |c: &Conn| matches!(c.phase, Phase::Waiting { .. } | Phase::Foreign);
        let left = self.conns.iter().enumerate().filter(|(n, c)| {
            idle(c) && c.info.path.is_straight() && (c.info.path > to || c.info.path == to && *n < at)
        });
        out.extend(left.map(|(_, c)| LinkOut::Close(c.info.id, CloseCode::Replaced)));
    }

    /// Leaves a connection for another one. The opener closes it, for only it
    /// knows that both ends have moved; a lane is kept for a while beside a
    /// better path.
    fn leave(&mut self, old: &ConnInfo, to: Path, resumed: bool, now: Mono, out: &mut Vec<LinkOut>) {
        let keep = resumed && old.path == Path::Relayed && to < Path::Relayed;
        let warm = self.keeps_standbys();
        if let Some(conn) = self.conn_mut(old.id).filter(|_| keep && !warm) {
            conn.phase = Phase::Waiting { until: None };
        }
        match self.is_opener() {
            true if keep => {
                self.trim(out);
                let kept = self.standby_id().unwrap_or(old.id);
                self.spare = Some((kept, now + SPARE_KEPT));
            }
            true => out.push(LinkOut::Close(old.id, CloseCode::Replaced)),
            false => {}
        }
    }

    pub(super) fn refuse(
        &mut self,
        id: ConnId,
        code: CloseCode,
        counter: DropReason,
        out: &mut Vec<LinkOut>,
    ) {
        out.push(LinkOut::Stopped(counter));
        out.push(LinkOut::Close(id, code));
        if let Some(conn) = self.conn_mut(id) {
            conn.refused = Some(code);
            conn.phase = Phase::Foreign;
        }
    }

    pub(super) fn expire_handshakes(&mut self, now: Mono, out: &mut Vec<LinkOut>) {
        let opener = self.is_opener();
        let had_foreign = self.is_foreign();
        let (mut silent, mut silent_lanes) = (Vec::new(), Vec::new());
        for conn in &mut self.conns {
            match &conn.phase {
                Phase::Waiting { until: Some(until) } if *until <= now => {
                    // Beside a link that works, a connection may wait for ever.
                    conn.phase =
                        if self.active.is_some() { Phase::Waiting { until: None } } else { Phase::Foreign };
                }
                // It was to stand by, or nothing better is to be had on it.
                Phase::Opening { until } | Phase::Shaking { until, .. }
                    if *until <= now
                        && opener
                        && conn.info.path == Path::Relayed
                        && self.active.is_some() =>
                {
                    silent_lanes.push(conn.info.id);
                    conn.phase = Phase::Foreign;
                }
                Phase::Opening { until } if *until <= now => conn.phase = Phase::Foreign,
                // Whom we asked and who does not answer speaks another
                // protocol; who opened a stream and is silent wastes our time.
                Phase::Shaking { until, .. } if *until <= now && opener => conn.phase = Phase::Foreign,
                Phase::Shaking { until, .. } if *until <= now => silent.push(conn.info.id),
                _ => {}
            }
        }
        for id in silent {
            // One of another version was to close it by itself.
            if self.conn(id).is_some_and(|c| c.mismatch.is_some()) {
                self.refuse(id, CloseCode::Version, DropReason::NoCommonVersion, out);
            } else {
                self.refuse(id, CloseCode::Limit, DropReason::NoHelloInTime, out);
            }
        }
        out.extend(silent_lanes.into_iter().map(|id| LinkOut::Close(id, CloseCode::Replaced)));
        self.stop_following(now, out);
        if self.is_foreign() && !had_foreign {
            self.since = now;
            self.broken_since = None;
            out.push(LinkOut::Foreign);
        }
        self.open_best(now, out);
    }
}
