//! When the connection in use does not answer in time: what is under way is sent
//! over the standby too, at once, and the link moves if the silence lasts.
//!
//! Sending twice is cheap and undone by itself, for numbers make repetitions
//! harmless; so it is begun a moment after an answer is late. A move is told to
//! everybody who watches; so it waits until lateness cannot be meant any more.

use std::time::Duration;

use super::session::ACK_DELAY;
use super::{Conn, ConnId, Frame, Link, LinkOut};
use crate::core::Mono;
use crate::model::Path;

/// An acknowledgement that is later than a round trip and its own delay by this
/// much is late: long against what a busy host takes, short against what a person
/// notices. What the round trip varies by counts where that is more.
const HEDGE_AFTER: Duration = Duration::from_millis(50);
/// With more than this under way a late acknowledgement is that of a full path,
/// and only one that makes no progress is in doubt.
const UNDER_WAY_SMALL: usize = 8 * 1024;
/// A lane in doubt is left when it was silent for this long, or for twice the time
/// after which it was in doubt, while the other one answered.
const MOVE_AFTER: Duration = Duration::from_millis(400);
/// What the other end doubts counts again so many times that delay after our own
/// doubt ended: else two ends could keep each other in doubt for ever.
const CALM: u32 = 4;

/// The longest time in which nothing came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    last: Mono,
    longest: Option<Duration>,
}

impl Watch {
    pub(super) fn from(last: Mono) -> Self {
        Self { last, longest: None }
    }

    fn saw(&mut self, now: Mono) {
        self.longest = self.longest.max(Some(now.since(self.last)));
        self.last = now;
    }

    /// What it came to so far.
    pub(super) fn gap(&self, now: Mono) -> Duration {
        self.longest.unwrap_or_else(|| now.since(self.last))
    }
}

/// The connection in use is in doubt: everything goes over the standby too.
#[derive(Debug)]
pub(super) struct Doubt {
    since: Mono,
    /// The ping that it has to answer.
    token: u64,
    pub(super) watch: Watch,
}

/// The link is to move: everything goes over both until the other end agrees.
#[derive(Debug)]
pub(super) struct Move {
    pub(super) to: ConnId,
    pub(super) until: Mono,
    pub(super) watch: Watch,
}

impl Link {
    /// How much later than it was sent a message is late.
    pub(super) fn late_after(&self) -> Option<Duration> {
        let (round_trip, varies) = self.conn(self.active?)?.beat.round_trip()?;
        Some(round_trip + ACK_DELAY + varies.max(HEDGE_AFTER))
    }

    /// When what is under way will be late, if it is not in doubt already.
    fn hedge_due(&self) -> Option<Mono> {
        if self.doubt.is_some() || self.standby_id().is_none() {
            return None;
        }
        let mut from = self.session.oldest()?.max(self.carried_since);
        if self.session.kept_bytes() > UNDER_WAY_SMALL {
            from = from.max(self.progress);
        }
        Some(from + self.late_after()?)
    }

    /// When the silence has lasted long enough for a move. The opener decides.
    fn move_due(&self) -> Option<Mono> {
        let doubt = self.doubt.as_ref().filter(|_| self.is_opener() && self.moving.is_none())?;
        let standby = self.conn(self.standby_id()?)?;
        let lane = self.in_use().is_some_and(|info| info.path == Path::Relayed);
        let answers = standby.beat.heard_at() > doubt.since;
        let twice = self.late_after().map_or(MOVE_AFTER, |late| late * 2);
        (lane && answers).then(|| doubt.since + twice.max(MOVE_AFTER))
    }

    /// When [`Self::weigh`] will have something to do.
    pub(super) fn next_weighing(&self) -> Option<Mono> {
        let moving = self.moving.as_ref().map(|m| m.until);
        [moving, self.hedge_due(), self.move_due()].into_iter().flatten().min()
    }

    /// Looks whether anything is late.
    pub(super) fn weigh(&mut self, now: Mono, out: &mut Vec<LinkOut>) {
        if self.moving.as_ref().is_some_and(|m| m.until <= now) {
            self.give_up_move(out);
        }
        if self.hedge_due().is_some_and(|at| at <= now) {
            self.begin_doubt(self.due_since(), now, out);
        }
        if self.move_due().is_some_and(|at| at <= now)
            && let Some(to) = self.standby_id()
        {
            self.begin_move(to, now, out);
        }
    }

    /// Since when something is due from the other end: an acknowledgement, or the
    /// answer to a ping.
    pub(super) fn due_since(&self) -> Option<Mono> {
        let unanswered = self.active.and_then(|id| self.conn(id)).and_then(|c| c.beat.waiting_since());
        self.nothing_since(unanswered)
    }

    /// Since when nothing came though something was due. `unanswered`: since when
    /// a ping is.
    pub(super) fn nothing_since(&self, unanswered: Option<Mono>) -> Option<Mono> {
        let due = self.session.oldest().into_iter().chain(unanswered).min()?;
        Some(due.max(self.last_heard))
    }

    /// Sends everything that is under way over the standby too, and has both
    /// connections say whether they lead anywhere. `since`: since when nothing
    /// came.
    pub(super) fn begin_doubt(&mut self, since: Option<Mono>, now: Mono, out: &mut Vec<LinkOut>) {
        let (Some(active), Some(standby)) = (self.active, self.standby_id()) else { return };
        if self.doubt.is_some() {
            return;
        }
        let token = self.ping(active, now, out);
        self.ping(standby, now, out);
        self.doubt = Some(Doubt { since: now, token, watch: Watch::from(since.unwrap_or(now)) });
        self.pump(standby, out);
        self.acknowledge(now, out);
    }

    fn ping(&mut self, id: ConnId, now: Mono, out: &mut Vec<LinkOut>) -> u64 {
        let Some(conn) = self.conn_mut(id) else { return 0 };
        let token = conn.beat.ping(now);
        self.write_frame(id, &Frame::Ping { token }, out);
        token
    }

    /// Anything came over a connection that is up.
    pub(super) fn hear(&mut self, id: ConnId, now: Mono, out: &mut Vec<LinkOut>) {
        let in_use = self.active == Some(id);
        let Some(conn) = self.conn_mut(id) else { return };
        let before = conn.beat.heard_at();
        if conn.beat.on_heard(now) > 0 && in_use {
            out.push(LinkOut::Restored { gap: now.since(before) });
        }
        self.last_heard = now;
        let doubted = self.doubt.as_mut().map(|d| &mut d.watch);
        for watch in doubted.into_iter().chain(self.moving.as_mut().map(|m| &mut m.watch)) {
            watch.saw(now);
        }
    }

    /// An answer came. Behind everything that was sent before the doubt began, it
    /// says that all of it arrived.
    pub(super) fn on_pong(&mut self, id: ConnId, token: u64, now: Mono) {
        let waited = self.conn_mut(id).is_some_and(|c| c.beat.on_pong(token, now));
        let proves = |d: &Doubt| waited && token >= d.token;
        if self.active == Some(id) && self.doubt.as_ref().is_some_and(proves) {
            self.doubt = None;
            self.carried_since = now;
            self.calm_down(now);
        }
    }

    /// For a while only our own doubt counts.
    pub(super) fn calm_down(&mut self, now: Mono) {
        self.calm_until = now + self.late_after().unwrap_or(MOVE_AFTER) * CALM;
    }

    /// A number came; whether it is the next one. One that comes first over what
    /// only stands by says that the other end doubts what is in use.
    pub(super) fn on_number(
        &mut self,
        id: ConnId,
        (session, seq): (u64, u64),
        heard_before: Mono,
        now: Mono,
        out: &mut Vec<LinkOut>,
    ) -> bool {
        let new = self.session.on_number(session, seq, now);
        if let Some(Conn { owes_ack, .. }) = self.conn_mut(id) {
            *owes_ack = true;
        }
        let stands_by = self.active.is_some() && self.active != Some(id) && self.moving.is_none();
        if new && stands_by && now >= self.calm_until {
            self.begin_doubt(Some(heard_before), now, out);
        }
        new
    }
}
