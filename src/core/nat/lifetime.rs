//! How long a mapping lives without traffic (RFC 4787, 4.3; RFC 5780, 4.6).
//!
//! Some sockets ask one responder to answer late, each after another time, and
//! are silent until then. An answer that comes in was let in by a mapping that
//! still lived; one that does not come, while one that was asked for last did,
//! found none. Each is asked for twice, a second apart: datagrams get lost, and
//! mostly several at once. Before a silence counts the responder is asked for an
//! answer at once: it may be gone, or it is we who were not there to listen.
//! Nothing is sent that was not asked for, and one for one.

use std::net::SocketAddr;
use std::time::Duration;

use super::datagram::Datagram;
use super::tools::Tools;
use super::{Nonce, SocketId, VantagePoint};
use crate::core::{Mono, Now};
use crate::model::{MappingLifetime, PeerId};

/// After how many seconds answers are asked for: below what routers are mostly
/// set to, which is 30, 60, 120, 180 and 300.
const WAITS: [u16; 5] = [25, 55, 115, 175, 295];
/// Asked for last, and soon: if it comes, the others were taken as well.
const CONTROL: u16 = 2;
/// Each answer is asked for so many times.
const TIMES: usize = 2;
/// An answer that is later than this does not come.
const GRACE: Duration = Duration::from_secs(3);
/// An answer that was asked for at once is waited for so long.
const CHECK_WAIT: Duration = Duration::from_secs(2);
/// An answer that is sooner than this was not late: that one cannot.
const EARLY: Duration = Duration::from_secs(1);
/// From one measurement to the next.
const AGAIN: Duration = Duration::from_secs(6 * 3600);
/// The same after one that came to nothing.
const RETRY: Duration = Duration::from_secs(5 * 60);
/// Reflections that are left to the measurement of the type.
const RESERVE: f64 = 6.0;

/// A socket that is silent.
#[derive(Debug)]
struct Idle {
    wait_s: u16,
    socket: SocketId,
    nonces: [Nonce; TIMES],
    asked: Option<Mono>,
    answered: bool,
}

#[derive(Debug)]
struct Test {
    point: VantagePoint,
    /// The control is the last.
    idle: Vec<Idle>,
    begun: Mono,
    /// What is asked before a silence counts, and until when it is waited for.
    check: Option<(Nonce, Mono)>,
    /// When it was last looked who is silent.
    looked: Mono,
}

/// The measurement and what came of it.
#[derive(Debug, Default)]
pub(super) struct Lifetime {
    known: Option<MappingLifetime>,
    test: Option<Test>,
    /// Not before.
    due: Option<Mono>,
    /// Responders that cannot answer late.
    unable: Vec<PeerId>,
}

impl Lifetime {
    pub(super) fn known(&self) -> Option<MappingLifetime> {
        self.known
    }

    /// Whether a responder is wanted now.
    pub(super) fn wants(&self, now: Now) -> bool {
        self.test.is_none() && self.due.is_none_or(|at| at <= now.mono)
    }

    /// Begins with the first of these that can, if one can.
    pub(super) fn begin(&mut self, points: &[VantagePoint], tools: &mut Tools<'_>, now: Now) {
        let count = (TIMES * (WAITS.len() + 1)) as f64;
        let able = |p: &&VantagePoint| !self.unable.contains(&p.peer);
        let Some(point) = points
            .iter()
            .filter(able)
            .find(|p| tools.budgets().has_reflections(p.peer, RESERVE + count, now.mono))
        else {
            self.due = Some(now.mono + RETRY);
            return;
        };
        let towards = (point.ip, point.ports[0]).into();
        let idle = WAITS.into_iter().chain([CONTROL]).map(|wait_s| Idle {
            wait_s,
            socket: tools.open(towards),
            nonces: [tools.nonce(), tools.nonce()],
            asked: None,
            answered: false,
        });
        self.test = Some(Test {
            idle: idle.collect(),
            point: point.clone(),
            begun: now.mono,
            check: None,
            looked: now.mono,
        });
        if let Some(known) = &mut self.known {
            known.under_way = true;
        }
    }

    /// A socket is there, or cannot be had. The control is asked for when all
    /// others were.
    pub(super) fn on_socket(
        &mut self,
        socket: SocketId,
        local: &Result<SocketAddr, String>,
        tools: &mut Tools<'_>,
        now: Now,
    ) {
        let Some(test) = &mut self.test else { return };
        let Some(idle) = test.idle.iter_mut().find(|i| i.socket == socket && i.asked.is_none()) else {
            return;
        };
        let Ok(local) = local else { return self.end(RETRY, tools, now) };
        // A later measurement of the filter must not meet this mapping.
        tools.is_used(local.port());
        idle.asked = Some(now.mono);
        let (token, to) = (test.point.token, (test.point.ip, test.point.ports[0]).into());
        for (nonce, later) in idle.nonces.into_iter().zip(0..) {
            // `begin` saw that there are enough; what is spent since is not ours.
            tools.budgets().take_reflection(test.point.peer, now.mono);
            let wait_s = idle.wait_s + later;
            let ask = Datagram::Reflect { nonce, token, other_port: false, wait_s };
            tools.send(socket, to, ask.encode());
        }
    }

    /// A datagram came in. Whether it is ours.
    pub(super) fn on_datagram(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        datagram: Datagram,
        tools: &mut Tools<'_>,
        now: Now,
    ) -> bool {
        let (Some(test), Datagram::Reflection { nonce, .. }) = (&mut self.test, datagram) else {
            return false;
        };
        let asked = (test.point.ip, test.point.ports[0]) == (from.ip(), from.port());
        if asked && test.check.is_some_and(|(check, _)| check == nonce) {
            test.check = None;
            self.conclude(true, tools, now);
            return true;
        }
        let ours = |i: &&mut Idle| i.socket == socket && asked && i.nonces.contains(&nonce);
        let Some(idle) = test.idle.iter_mut().find(ours) else { return false };
        let wait = Duration::from_secs(idle.wait_s.into());
        if idle.asked.is_some_and(|at| now.mono.since(at) + EARLY < wait) {
            self.unable.push(test.point.peer);
            self.end(Duration::ZERO, tools, now);
            return true;
        }
        idle.answered = true;
        self.conclude(false, tools, now);
        true
    }

    pub(super) fn on_timeout(&mut self, tools: &mut Tools<'_>, now: Now) {
        let check = self.test.as_ref().map(|test| test.check);
        match check {
            Some(Some((_, until))) if until <= now.mono => self.end(RETRY, tools, now),
            Some(None) => self.conclude(false, tools, now),
            _ => {}
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        let test = self.test.as_ref()?;
        if let Some((_, until)) = test.check {
            return Some(until);
        }
        // What is silent already was looked at.
        let open = test.idle.iter().filter(|i| !i.answered).map(|i| i.given_up(test.begun));
        open.filter(|at| *at > test.looked).min()
    }

    /// The responder is gone, and with it what it was to send.
    pub(super) fn vantage_down(&mut self, peer: &PeerId, tools: &mut Tools<'_>, now: Now) {
        self.unable.retain(|unable| unable != peer);
        if self.test.as_ref().is_some_and(|test| test.point.peer == *peer) {
            self.end(RETRY, tools, now);
        }
    }

    /// Another NAT: nothing holds of it.
    pub(super) fn forget(&mut self, tools: &mut Tools<'_>, now: Now) {
        self.end(Duration::ZERO, tools, now);
        self.known = None;
    }

    /// Says what is certain by now, and ends what needs no more waiting. `alive`:
    /// the responder answered just now, and whatever was there before it was read.
    fn conclude(&mut self, alive: bool, tools: &mut Tools<'_>, now: Now) {
        let Some(test) = &mut self.test else { return };
        test.looked = now.mono;
        let Some((control, waits)) = test.idle.split_last() else { return };
        let silent = |i: &Idle| !i.answered && i.given_up(test.begun) <= now.mono;
        if silent(control) {
            // Nobody knows whether the others were taken.
            return self.end(RETRY, tools, now);
        }
        let lived = waits.iter().filter(|i| i.answered).map(|i| i.wait_s).max();
        let died = waits.iter().filter(|i| silent(i)).map(|i| i.wait_s).min();
        // One that came in later than one that did not: that one was lost.
        let died = died.filter(|died| lived.is_none_or(|lived| lived < *died));
        if died.is_some() && !alive {
            if test.check.is_none() {
                let (nonce, token) = (tools.nonce(), test.point.token);
                let to = (test.point.ip, test.point.ports[0]).into();
                tools.budgets().take_reflection(test.point.peer, now.mono);
                let ask = Datagram::Reflect { nonce, token, other_port: false, wait_s: 0 };
                tools.send(control.socket, to, ask.encode());
                test.check = Some((nonce, now.mono + CHECK_WAIT));
            }
            return;
        }
        let over = died.is_some() || waits.iter().all(|i| i.answered || silent(i));
        if lived.is_some() || died.is_some() {
            let at_least_s = lived.unwrap_or(0).into();
            self.known = Some(MappingLifetime {
                at_least_s,
                less_than_s: died.map(u32::from),
                by: test.point.peer,
                measured: now.stamp,
                under_way: !over,
            });
        }
        if over {
            self.end(AGAIN, tools, now);
        }
    }

    fn end(&mut self, next: Duration, tools: &mut Tools<'_>, now: Now) {
        if let Some(test) = self.test.take() {
            for idle in test.idle {
                tools.close(idle.socket);
            }
        }
        if let Some(known) = &mut self.known {
            known.under_way = false;
        }
        self.due = Some(now.mono + next);
    }
}

impl Idle {
    /// When its answer does not come any more.
    fn given_up(&self, begun: Mono) -> Mono {
        self.asked.unwrap_or(begun) + Duration::from_secs(self.wait_s.into()) + GRACE
    }
}
