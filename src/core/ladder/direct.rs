//! The direct stage: every known address at once, but for a family that is to
//! wait for the other.

use std::net::SocketAddr;
use std::time::Duration;

use super::{DialId, LadderOut};
use crate::core::Mono;
use crate::core::nat::Family;
use crate::model::Reason;

/// A dial that failed fast is repeated after this long: the other end may just
/// be starting, or its own dial opens the way.
const REDIAL_AFTER: Duration = Duration::from_millis(500);
/// The family that is wanted has this start before the other (RFC 8305, 8).
const LEAD: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Again { at: Mono },
    Failed,
}

#[derive(Debug)]
struct Dial {
    id: DialId,
    addr: SocketAddr,
    state: State,
    /// Why it failed the last time.
    last: Option<Reason>,
}

/// Dials that run.
#[derive(Debug)]
pub(super) struct Direct {
    until: Mono,
    dials: Vec<Dial>,
}

impl Direct {
    pub(super) fn start(
        dials: Vec<(DialId, SocketAddr)>,
        window: Duration,
        now: Mono,
        out: &mut Vec<LadderOut>,
    ) -> Self {
        let begun =
            dials.iter().map(|(dial, addr)| LadderOut::Dial { dial: *dial, addr: *addr, within: window });
        out.extend(begun);
        let dials = dials
            .into_iter()
            .map(|(id, addr)| Dial { id, addr, state: State::Running, last: None })
            .collect();
        Self { until: now + window, dials }
    }

    /// The same, where some addresses are of this family and others not: those
    /// wait a moment.
    pub(super) fn start_with(
        first: Option<Family>,
        dials: Vec<(DialId, SocketAddr)>,
        window: Duration,
        now: Mono,
        out: &mut Vec<LadderOut>,
    ) -> Self {
        let leads = |(_, addr): &(DialId, SocketAddr)| first.is_none_or(|f| f == Family::of(addr.ip()));
        let (leading, late): (Vec<_>, Vec<_>) = dials.into_iter().partition(leads);
        if leading.is_empty() {
            return Self::start(late, window, now, out);
        }
        let mut direct = Self::start(leading, window, now, out);
        let state = State::Again { at: now + LEAD };
        direct.dials.extend(late.into_iter().map(|(id, addr)| Dial { id, addr, state, last: None }));
        direct
    }

    /// Goes on with the dials of another one too.
    pub(super) fn join(&mut self, other: Self) {
        self.until = self.until.max(other.until);
        self.dials.extend(other.dials);
    }

    /// Takes a failure; whether it was one of ours.
    pub(super) fn on_failed(&mut self, dial: DialId, reason: &Reason, now: Mono) -> bool {
        let at = now + REDIAL_AFTER;
        let until = self.until;
        let Some(entry) = self.dials.iter_mut().find(|d| d.id == dial) else { return false };
        entry.last = Some(reason.clone());
        entry.state = if reason.is_final() || at >= until { State::Failed } else { State::Again { at } };
        if self.dials.iter().all(|d| d.state != State::Running) {
            // Who waits for nobody need not wait.
            for late in self.dials.iter_mut().filter(|d| d.last.is_none()) {
                late.state = State::Again { at: now };
            }
        }
        true
    }

    /// The dials that got through lost against another connection.
    pub(super) fn on_lost(&mut self, reason: &Reason, now: Mono) {
        let at = now + REDIAL_AFTER;
        for dial in self.dials.iter_mut().filter(|d| d.state == State::Running) {
            dial.last = Some(reason.clone());
            dial.state = if at < self.until { State::Again { at } } else { State::Failed };
        }
    }

    pub(super) fn on_timeout(&mut self, now: Mono, out: &mut Vec<LadderOut>) {
        let left = self.until.since(now);
        for dial in &mut self.dials {
            if matches!(dial.state, State::Again { at } if at <= now) && !left.is_zero() {
                dial.state = State::Running;
                out.push(LadderOut::Dial { dial: dial.id, addr: dial.addr, within: left });
            }
        }
    }

    /// Why the stage is over, if it is.
    pub(super) fn over(&self, now: Mono) -> Option<Reason> {
        let open = self.dials.iter().any(|d| d.state != State::Failed);
        (!open || now >= self.until).then(|| self.reason())
    }

    /// One reason for the whole stage: the most telling of its dials'.
    fn reason(&self) -> Reason {
        let silent = |r: &&Reason| matches!(r, Reason::NoAnswer { .. } | Reason::TimedOut { .. });
        match self.dials.iter().filter_map(|d| d.last.as_ref()).find(|r| !silent(r)) {
            Some(telling) => telling.clone(),
            None => Reason::NoAnswer { addresses: u32::try_from(self.dials.len()).unwrap_or(u32::MAX) },
        }
    }

    /// Whether that address is being dialled.
    pub(super) fn is_dialling(&self, addr: SocketAddr) -> bool {
        self.dials.iter().any(|d| d.addr == addr && d.state == State::Running)
    }

    /// Calls the dials of an address off: somebody else dials it now.
    pub(super) fn give_way(&mut self, addr: SocketAddr, out: &mut Vec<LadderOut>) {
        let running = self.dials.iter().filter(|d| d.addr == addr && d.state == State::Running);
        out.extend(running.map(|d| LadderOut::Cancel(d.id)));
        self.dials.retain(|d| d.addr != addr);
    }

    pub(super) fn cancel(&self, out: &mut Vec<LadderOut>) {
        let running = self.dials.iter().filter(|d| d.state == State::Running);
        out.extend(running.map(|d| LadderOut::Cancel(d.id)));
    }

    pub(super) fn next_timeout(&self) -> Mono {
        let again = self.dials.iter().filter_map(|d| match d.state {
            State::Again { at } => Some(at),
            _ => None,
        });
        again.chain([self.until]).min().unwrap_or(self.until)
    }
}
