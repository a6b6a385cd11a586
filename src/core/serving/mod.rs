//! The relay service: who gets a reservation here, until when, and what passes
//! through it.
//!
//! A reservation is an address of this host for a linked peer that cannot be
//! reached otherwise. [`Serving`] decides who holds one; [`Gate`] decides, datagram
//! by datagram, what goes through it. It never reaches further than its link: who
//! is no member gets none, and who ceases to be one loses it.

mod gate;
mod ground;
mod part;
mod speed;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use gate::{Dropped, Drops, Gate, Traffic};
pub use ground::Ground;
pub(super) use part::RelayService;
pub use types::{Ask, Input, Output, Refusal, ServeId, Sight, Standing, Way};

use self::speed::Speed;
use super::bucket::Bucket;
use super::limits::{
    SERVED_ASK_WAIT, SERVED_ASKERS_MAX, SERVED_ASKS_BURST, SERVED_ASKS_PER_MINUTE, SERVED_ASKS_WAITING_MAX,
    SERVED_IDLE, SERVED_KEPT_OFF, SERVED_KEPT_OFF_MAX, SERVED_LINK_GRACE, SERVED_MAX, SERVED_PER_IP_MAX,
};
use super::{Mono, Now};
use crate::model::{PeerId, Reason, RelayMode, ServedEnd, ServedRow};

/// What the links say of a peer and one of its connections.
pub type View<'a> = &'a dyn Fn(&PeerId, super::link::ConnId) -> Sight;

/// A reservation.
#[derive(Debug)]
struct Row {
    ask: Ask,
    ip: IpAddr,
    since: Now,
    /// Once it stands.
    public_addr: Option<SocketAddr>,
    traffic: Traffic,
    speed: Speed,
    /// Since when its link is down.
    down: Option<Mono>,
    /// When its holder last gave a sign of life, on the link or through it.
    alive: Mono,
    /// Why it is to end: it counts no more, and is only waited for.
    ending: Option<ServedEnd>,
}

/// Who is served.
#[derive(Debug)]
pub struct Serving {
    mode: RelayMode,
    /// Whether we listen on loopback, where one address is everybody's.
    loopback: bool,
    stopping: bool,
    rows: BTreeMap<ServeId, Row>,
    /// Requests of peers whose link is about to be up, and until when.
    waiting: Vec<(Ask, Mono)>,
    kept_off: BTreeMap<PeerId, Mono>,
    askers: BTreeMap<PeerId, Bucket>,
    /// What went through those that ended.
    past: Traffic,
}

impl Serving {
    /// Nobody yet. `bind`: where we listen.
    pub fn new(mode: RelayMode, bind: IpAddr) -> Self {
        Self {
            mode,
            loopback: bind.to_canonical().is_loopback(),
            stopping: false,
            rows: BTreeMap::new(),
            waiting: Vec::new(),
            kept_off: BTreeMap::new(),
            askers: BTreeMap::new(),
            past: Traffic::default(),
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, input: Input, view: View<'_>, now: Now, out: &mut Vec<Output>) {
        match input {
            Input::Asked(ask) => self.asked(ask, view, now, out),
            Input::Started { id, public_addr } => self.started(id, public_addr, now.mono, out),
            Input::Ended { id, why, traffic } => self.ended(id, why, &traffic, out),
            Input::Traffic(all) => self.counted(&all, now.mono),
            Input::Mode(mode) => {
                self.mode = mode;
                if mode == RelayMode::Off {
                    self.end_all(ServedEnd::SwitchedOff, out);
                }
            }
            Input::Stop => {
                self.stopping = true;
                self.end_all(ServedEnd::Stopping, out);
            }
        }
    }

    /// Looks at the links anew: whoever lost his loses what he holds, and whoever
    /// waits for his has it or not.
    pub fn timeout(&mut self, view: View<'_>, now: Now, out: &mut Vec<Output>) {
        self.kept_off.retain(|_, until| *until > now.mono);
        for (ask, until) in std::mem::take(&mut self.waiting) {
            self.decide(ask, until, view, now, out);
        }
        let mut over = Vec::new();
        for (id, row) in self.rows.iter_mut().filter(|(_, row)| row.ending.is_none()) {
            if let Some(why) = row.is_over(&view(&row.ask.peer, row.ask.conn), now.mono) {
                over.push((*id, why));
            }
        }
        for (id, why) in over {
            self.end(id, why, out);
        }
    }

    /// When [`Self::timeout`] has something to do by the clock alone.
    pub fn next_timeout(&self) -> Option<Mono> {
        let rows = self.rows.values().filter(|row| row.ending.is_none());
        let rows = rows.map(|row| row.down.map_or(row.alive + SERVED_IDLE, |at| at + SERVED_LINK_GRACE));
        rows.chain(self.waiting.iter().map(|(_, until)| *until)).min()
    }

    /// The operator ends what a peer holds, and keeps it off for so long.
    ///
    /// # Errors
    /// [`Reason::NotServed`] if it holds nothing.
    pub fn end_for(&mut self, peer: &PeerId, now: Mono, out: &mut Vec<Output>) -> Result<Duration, Reason> {
        let held: Vec<ServeId> = self.held_by(peer).collect();
        if held.is_empty() {
            return Err(Reason::NotServed);
        }
        for id in held {
            self.end(id, ServedEnd::ByOperator, out);
        }
        if self.kept_off.len() >= SERVED_KEPT_OFF_MAX {
            let first = self.kept_off.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            first.and_then(|peer| self.kept_off.remove(&peer));
        }
        self.kept_off.insert(*peer, now + SERVED_KEPT_OFF);
        Ok(SERVED_KEPT_OFF)
    }

    /// Whose request a reservation came of.
    pub fn holder(&self, id: ServeId) -> Option<PeerId> {
        self.rows.get(&id).map(|row| row.ask.peer)
    }

    /// Whom we serve at all.
    pub fn mode(&self) -> RelayMode {
        self.mode
    }

    /// Whom we serve, the longest first.
    pub fn rows(&self) -> impl Iterator<Item = ServedRow> {
        self.rows.values().filter(|row| row.ending.is_none()).filter_map(Row::shown)
    }

    /// What went through all of them since the start.
    pub fn traffic(&self) -> Traffic {
        let mut all = self.past;
        self.rows.values().for_each(|row| all.add(&row.traffic));
        all
    }

    // ---- requests ----------------------------------------------------------

    fn asked(&mut self, ask: Ask, view: View<'_>, now: Now, out: &mut Vec<Output>) {
        // A newer request is the one that counts.
        if let Some(at) = self.waiting.iter().position(|(other, _)| other.peer == ask.peer) {
            let (older, _) = self.waiting.remove(at);
            refuse(older, Refusal::TooOften, out);
        }
        self.decide(ask, now.mono + SERVED_ASK_WAIT, view, now, out);
    }

    /// Grants a request, refuses it, or lets it wait until then.
    fn decide(&mut self, ask: Ask, until: Mono, view: View<'_>, now: Now, out: &mut Vec<Output>) {
        let sight = view(&ask.peer, ask.conn);
        match self.judge(&ask, &sight, now.mono) {
            Err(Refusal::NotLinked) if self.may_wait(&sight) && now.mono < until => {
                self.waiting.push((ask, until));
            }
            Err(why) => refuse(ask, why, out),
            // Only what would be granted uses up anything: it costs us a socket.
            Ok(_) if !self.may_ask(&ask.peer, now.mono) => refuse(ask, Refusal::TooOften, out),
            Ok(way) => self.grant(ask, way, now, out),
        }
    }

    fn may_wait(&self, sight: &Sight) -> bool {
        sight.standing == Standing::Coming
            && sight.way.is_some()
            && self.waiting.len() < SERVED_ASKS_WAITING_MAX
    }

    /// Whether a request is granted, and at which end.
    fn judge(&self, ask: &Ask, sight: &Sight, now: Mono) -> Result<Way, Refusal> {
        if !ask.bind {
            return Err(Refusal::NotABind);
        }
        if self.mode == RelayMode::Off || self.stopping {
            return Err(Refusal::Off);
        }
        let way = sight.way.filter(|_| sight.standing == Standing::Linked).ok_or(Refusal::NotLinked)?;
        if way.lane {
            return Err(Refusal::OverLane);
        }
        if self.kept_off.get(&ask.peer).is_some_and(|until| *until > now) {
            return Err(Refusal::KeptOff);
        }
        // Its own older one gives way to it.
        let others = || self.rows.values().filter(|row| row.ending.is_none() && row.ask.peer != ask.peer);
        if others().count() >= SERVED_MAX {
            return Err(Refusal::Full);
        }
        let exempt = self.loopback && way.ip.is_loopback();
        if others().filter(|row| row.ip == way.ip).count() >= SERVED_PER_IP_MAX && !exempt {
            return Err(Refusal::PerAddress);
        }
        Ok(way)
    }

    fn may_ask(&mut self, peer: &PeerId, now: Mono) -> bool {
        if !self.askers.contains_key(peer) && self.askers.len() >= SERVED_ASKERS_MAX {
            self.askers.retain(|_, meter| !meter.is_full(now));
            // More members than there are links, in half a minute: they are made up.
            if self.askers.len() >= SERVED_ASKERS_MAX {
                return false;
            }
        }
        let full = || Bucket::new(SERVED_ASKS_BURST, SERVED_ASKS_PER_MINUTE / 60.0, now);
        self.askers.entry(*peer).or_insert_with(full).take(now)
    }

    fn grant(&mut self, ask: Ask, way: Way, now: Now, out: &mut Vec<Output>) {
        for older in self.held_by(&ask.peer).collect::<Vec<_>>() {
            self.end(older, ServedEnd::Replaced, out);
        }
        let row = Row {
            ask,
            ip: way.ip,
            since: now,
            public_addr: None,
            traffic: Traffic::default(),
            speed: Speed::default(),
            down: None,
            alive: now.mono,
            ending: None,
        };
        self.rows.insert(ask.id, row);
        out.push(Output::Grant(ask.id));
    }

    // ---- reservations ------------------------------------------------------

    fn held_by(&self, peer: &PeerId) -> impl Iterator<Item = ServeId> {
        let held =
            |(id, row): (&ServeId, &Row)| (row.ask.peer == *peer && row.ending.is_none()).then_some(*id);
        self.rows.iter().filter_map(held)
    }

    fn started(&mut self, id: ServeId, public_addr: SocketAddr, now: Mono, out: &mut Vec<Output>) {
        let Some(row) = self.rows.get_mut(&id).filter(|row| row.ending.is_none()) else { return };
        row.public_addr = Some(public_addr);
        row.speed.count([0, 0], now);
        out.push(Output::Serving { peer: row.ask.peer, public_addr });
    }

    fn counted(&mut self, all: &[(ServeId, Traffic)], now: Mono) {
        for (id, traffic) in all {
            let Some(row) = self.rows.get_mut(id) else { continue };
            let moved = (row.traffic.bytes_tx, row.traffic.bytes_rx) != (traffic.bytes_tx, traffic.bytes_rx);
            if moved {
                row.alive = now;
            }
            row.traffic = *traffic;
            row.speed.count([traffic.bytes_tx, traffic.bytes_rx], now);
        }
    }

    fn end(&mut self, id: ServeId, why: ServedEnd, out: &mut Vec<Output>) {
        let Some(row) = self.rows.get_mut(&id).filter(|row| row.ending.is_none()) else { return };
        row.ending = Some(why);
        out.push(Output::End { id, why });
    }

    fn end_all(&mut self, why: ServedEnd, out: &mut Vec<Output>) {
        for id in self.rows.keys().copied().collect::<Vec<_>>() {
            self.end(id, why, out);
        }
        for (ask, _) in std::mem::take(&mut self.waiting) {
            refuse(ask, Refusal::Off, out);
        }
    }

    fn ended(&mut self, id: ServeId, why: ServedEnd, traffic: &Traffic, out: &mut Vec<Output>) {
        let Some(row) = self.rows.remove(&id) else { return };
        self.past.add(traffic);
        // One that never stood was never told of.
        if row.public_addr.is_some() {
            let why = row.ending.unwrap_or(why);
            out.push(Output::Served { peer: row.ask.peer, why, traffic: *traffic });
        }
    }
}

fn refuse(ask: Ask, why: Refusal, out: &mut Vec<Output>) {
    out.push(Output::Refuse { id: ask.id, peer: ask.peer, why });
}

impl Row {
    /// Why it is over, if it is, by what its link looks like now.
    fn is_over(&mut self, sight: &Sight, now: Mono) -> Option<ServedEnd> {
        if sight.way.is_none() {
            return Some(ServedEnd::ConnectionClosed);
        }
        if sight.standing != Standing::Linked {
            let since = *self.down.get_or_insert(now);
            return (now.since(since) >= SERVED_LINK_GRACE).then_some(ServedEnd::LinkDown);
        }
        self.down = None;
        self.alive = self.alive.max(sight.heard);
        (now.since(self.alive) >= SERVED_IDLE).then_some(ServedEnd::Idle)
    }

    fn shown(&self) -> Option<ServedRow> {
        let speed = self.speed.per_second();
        Some(ServedRow {
            peer_id: self.ask.peer,
            public_addr: self.public_addr?,
            since: self.since.stamp,
            bytes_tx: self.traffic.bytes_tx,
            bytes_rx: self.traffic.bytes_rx,
            tx_per_s: speed.map(|both| both[0]),
            rx_per_s: speed.map(|both| both[1]),
            dropped: self.traffic.drops.total(),
        })
    }
}
