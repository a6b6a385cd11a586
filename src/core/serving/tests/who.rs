use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::super::{Ask, Input, Output, Refusal, ServeId, Serving, Sight, Standing, Traffic, Way};
use super::later;
use crate::core::limits::{
    SERVED_ASK_WAIT, SERVED_ASKS_BURST, SERVED_IDLE, SERVED_KEPT_OFF, SERVED_LINK_GRACE, SERVED_MAX,
    SERVED_PER_IP_MAX,
};
use crate::core::link::ConnId;
use crate::core::{Mono, Now};
use crate::model::{PeerId, Reason, RelayMode, ServedEnd};

fn peer(n: usize) -> PeerId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    PeerId(id)
}

fn public(n: usize) -> SocketAddr {
    ([198, 18, 0, 1], 40_000 + u16::try_from(n).unwrap()).into()
}

/// A relay, and what its links look like. Peer `n` asks over connection `n`.
struct Bench {
    serving: Serving,
    sights: RefCell<BTreeMap<usize, Sight>>,
    now: Now,
    next: u64,
}

impl Bench {
    fn new() -> Self {
        Self::on("198.18.0.1")
    }

    fn on(bind: &str) -> Self {
        let serving = Serving::new(RelayMode::Network, bind.parse().unwrap());
        Self { serving, sights: RefCell::default(), now: Now::START, next: 1 }
    }

    /// A link to a peer looks like this from now on.
    fn sees(&mut self, n: usize, standing: Standing, ip: [u8; 4], lane: bool) {
        let way = Some(Way { ip: IpAddr::from(ip), lane });
        self.sights.get_mut().insert(n, Sight { standing, way, heard: self.now.mono });
    }

    fn link(&mut self, n: usize) {
        let [.., a, b] = (n as u64).to_be_bytes();
        self.sees(n, Standing::Linked, [198, 18, 100 + a, b], false);
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        let view = |asked: &PeerId, conn: ConnId| {
            let n = usize::try_from(conn.0).unwrap();
            let known = self.sights.borrow().get(&n).copied().filter(|_| peer(n) == *asked);
            known.unwrap_or(Sight { standing: Standing::Stranger, way: None, heard: Mono::default() })
        };
        let mut out = Vec::new();
        self.serving.handle(input, &view, self.now, &mut out);
        out
    }

    fn ask(&mut self, n: usize) -> (ServeId, Vec<Output>) {
        let id = ServeId(self.next);
        self.next += 1;
        let out = self.handle(Input::Asked(Ask { id, peer: peer(n), conn: ConnId(n as u64), bind: true }));
        (id, out)
    }

    /// Asks and has it stand, where it is granted; else says why not.
    fn reserve(&mut self, n: usize) -> Result<ServeId, Refusal> {
        let (id, out) = self.ask(n);
        for output in out {
            match output {
                Output::Grant(granted) if granted == id => {
                    self.handle(Input::Started { id, public_addr: public(n) });
                    return Ok(id);
                }
                Output::Refuse { why, .. } => return Err(why),
                Output::End { id, why } => drop(self.gone(id, why)),
                _ => {}
            }
        }
        panic!("no answer");
    }

    fn gone(&mut self, id: ServeId, why: ServedEnd) -> Vec<Output> {
        self.handle(Input::Ended { id, why, traffic: Traffic::default() })
    }

    /// Looks at the links so many milliseconds later.
    fn after(&mut self, passed: u64) -> Vec<Output> {
        self.now = self.now.plus(std::time::Duration::from_millis(passed));
        let view = |_: &PeerId, conn: ConnId| {
            let sights = self.sights.borrow();
            let known = sights.get(&usize::try_from(conn.0).unwrap()).copied();
            known.unwrap_or(Sight { standing: Standing::Stranger, way: None, heard: Mono::default() })
        };
        let mut out = Vec::new();
        self.serving.timeout(&view, self.now, &mut out);
        out
    }

    fn served(&self) -> Vec<PeerId> {
        self.serving.rows().map(|row| row.peer_id).collect()
    }
}

#[test]
fn a_linked_peer_is_served_and_shown_from_when_its_address_stands() {
    let mut b = Bench::new();
    b.link(1);
    let (id, out) = b.ask(1);
    assert_eq!(out, [Output::Grant(id)]);
    assert!(b.served().is_empty());
    let out = b.handle(Input::Started { id, public_addr: public(1) });
    assert_eq!(out, [Output::Serving { peer: peer(1), public_addr: public(1) }]);
    let rows: Vec<_> = b.serving.rows().collect();
    assert_eq!((rows[0].peer_id, rows[0].public_addr, rows[0].tx_per_s), (peer(1), public(1), None));
}

#[test]
fn nobody_but_a_linked_member_is_served() {
    let mut b = Bench::new();
    assert_eq!(b.reserve(1), Err(Refusal::NotLinked), "nobody ever heard of it");
    b.sees(2, Standing::Stranger, [198, 18, 1, 2], false);
    assert_eq!(b.reserve(2), Err(Refusal::NotLinked), "a foreign one");
    b.link(3);
    b.sights.get_mut().get_mut(&3).unwrap().way = None;
    assert_eq!(b.reserve(3), Err(Refusal::NotLinked), "linked over another connection, and this one is gone");
    assert_eq!(Refusal::NotLinked.status(), 403);
}

#[test]
fn a_request_that_overtook_its_handshake_waits_for_it_a_second_and_no_longer() {
    let mut b = Bench::new();
    b.sees(1, Standing::Coming, [198, 18, 1, 1], false);
    let (id, out) = b.ask(1);
    assert_eq!(out, []);
    assert_eq!(b.serving.next_timeout(), Some(b.now.mono + SERVED_ASK_WAIT));
    b.link(1);
    assert_eq!(b.after(10), [Output::Grant(id)]);

    b.sees(2, Standing::Coming, [198, 18, 1, 2], false);
    let (id, _) = b.ask(2);
    assert_eq!(b.after(999), []);
    assert_eq!(b.after(1), [Output::Refuse { id, peer: peer(2), why: Refusal::NotLinked }]);
}

#[test]
fn strangers_who_may_still_prove_to_be_members_wait_in_a_short_queue() {
    let mut b = Bench::new();
    for n in 0..100 {
        b.sees(n, Standing::Coming, [198, 18, 1, u8::try_from(n).unwrap()], false);
    }
    let refused = (0..100).filter(|n| !b.ask(*n).1.is_empty()).count();
    assert_eq!(refused, 100 - crate::core::limits::SERVED_ASKS_WAITING_MAX);
    assert_eq!(b.ask(0).1.len(), 1, "a second one of the same peer takes the place of its first");
}

#[test]
fn who_asks_over_a_relay_or_to_send_somewhere_is_refused() {
    let mut b = Bench::new();
    b.sees(1, Standing::Linked, [198, 18, 1, 1], true);
    assert_eq!(b.reserve(1), Err(Refusal::OverLane));
    b.link(2);
    let ask = Ask { id: ServeId(99), peer: peer(2), conn: ConnId(2), bind: false };
    let out = b.handle(Input::Asked(ask));
    assert_eq!(out, [Output::Refuse { id: ServeId(99), peer: peer(2), why: Refusal::NotABind }]);
}

#[test]
fn a_newer_request_of_the_same_peer_ends_the_older_one_at_once() {
    let mut b = Bench::new();
    b.link(1);
    let old = b.reserve(1).unwrap();
    let (new, out) = b.ask(1);
    assert_eq!(out, [Output::End { id: old, why: ServedEnd::Replaced }, Output::Grant(new)]);
    b.handle(Input::Started { id: new, public_addr: public(2) });
    assert_eq!(b.served().len(), 1, "one for each peer");
    let out = b.gone(old, ServedEnd::ClosedByPeer);
    let why = ServedEnd::Replaced;
    assert_eq!(out, [Output::Served { peer: peer(1), why, traffic: Traffic::default() }]);
}

#[test]
fn the_sixty_fifth_is_refused_and_one_that_ended_makes_room() {
    let mut b = Bench::new();
    let ids: Vec<_> = (0..SERVED_MAX)
        .map(|n| {
            b.link(n);
            b.reserve(n).unwrap()
        })
        .collect();
    assert_eq!(ids.len(), 64);
    b.link(1_000);
    assert_eq!(b.reserve(1_000), Err(Refusal::Full));
    assert_eq!(Refusal::Full.status(), 503);
    b.reserve(5).expect("its own older one makes room for a newer one");
    b.gone(ids[7], ServedEnd::ClosedByPeer);
    b.reserve(1_000).unwrap();
}

#[test]
fn a_thousand_peers_that_ask_get_sixty_four_reservations() {
    let mut b = Bench::new();
    let granted = (0..1_000)
        .filter(|n| {
            b.link(*n);
            b.reserve(*n).is_ok()
        })
        .count();
    assert_eq!((granted, b.served().len()), (SERVED_MAX, SERVED_MAX));
}

#[test]
fn one_address_gets_four_but_on_loopback_where_everybody_has_the_same() {
    let granted = |bind: &str, ip: [u8; 4]| {
        let mut b = Bench::on(bind);
        (0..8)
            .filter(|n| {
                b.sees(*n, Standing::Linked, ip, false);
                b.reserve(*n) != Err(Refusal::PerAddress)
            })
            .count()
    };
    assert_eq!(granted("198.18.0.1", [198, 18, 7, 7]), SERVED_PER_IP_MAX);
    assert_eq!(granted("127.0.0.1", [127, 0, 0, 1]), 8);
    assert_eq!(granted("198.18.0.1", [127, 0, 0, 1]), SERVED_PER_IP_MAX, "only if we listen there");
}

#[test]
fn whom_the_operator_ended_is_kept_off_for_ten_minutes() {
    let mut b = Bench::new();
    b.link(1);
    let mut out = Vec::new();
    assert_eq!(b.serving.end_for(&peer(1), b.now.mono, &mut out), Err(Reason::NotServed));
    let id = b.reserve(1).unwrap();
    assert_eq!(b.serving.end_for(&peer(1), b.now.mono, &mut out), Ok(SERVED_KEPT_OFF));
    assert_eq!(out, [Output::End { id, why: ServedEnd::ByOperator }]);
    assert!(b.served().is_empty(), "at once");
    b.gone(id, ServedEnd::ByOperator);
    assert_eq!(b.reserve(1), Err(Refusal::KeptOff));
    assert_eq!(Refusal::KeptOff.status(), 429);
    b.after(599_999);
    b.link(1);
    assert_eq!(b.reserve(1), Err(Refusal::KeptOff));
    b.link(2);
    b.reserve(2).expect("nobody else is");
    b.after(1);
    b.link(1);
    b.reserve(1).unwrap();
}

#[test]
fn a_reservation_does_not_outlive_the_connection_it_was_asked_on() {
    let mut b = Bench::new();
    b.link(1);
    let id = b.reserve(1).unwrap();
    b.sights.get_mut().get_mut(&1).unwrap().way = None;
    assert_eq!(b.after(1), [Output::End { id, why: ServedEnd::ConnectionClosed }]);
}

#[test]
fn a_reservation_outlives_its_link_by_five_seconds_at_most() {
    let mut b = Bench::new();
    b.link(1);
    let id = b.reserve(1).unwrap();
    b.sees(1, Standing::Coming, [198, 18, 1, 1], false);
    assert_eq!(b.after(1), []);
    assert_eq!(b.serving.next_timeout(), Some(b.now.mono + SERVED_LINK_GRACE));
    b.after(4_000);
    b.link(1);
    assert_eq!(b.after(1), [], "it came back in time");
    b.sees(1, Standing::Coming, [198, 18, 1, 1], false);
    assert_eq!(b.after(0), []);
    assert_eq!(b.after(4_999), [], "and the time begins anew");
    assert_eq!(b.after(1), [Output::End { id, why: ServedEnd::LinkDown }]);
    assert!(b.served().is_empty());
}

#[test]
fn who_is_silent_on_the_link_and_through_it_is_idle_and_either_is_a_sign_of_life() {
    let idle = u64::try_from(SERVED_IDLE.as_millis()).unwrap();
    let mut b = Bench::new();
    b.link(1);
    let id = b.reserve(1).unwrap();
    b.after(idle - 1);
    b.link(1);
    assert_eq!(b.after(idle - 1), [], "a word on the link");
    let traffic = Traffic { bytes_rx: 1, ..Traffic::default() };
    b.handle(Input::Traffic(vec![(id, traffic)]));
    assert_eq!(b.after(idle - 1), [], "a datagram through it");
    b.handle(Input::Traffic(vec![(id, traffic)]));
    assert_eq!(b.after(1), [Output::End { id, why: ServedEnd::Idle }], "the same count is no sign");
}

#[test]
fn switched_off_it_ends_all_and_serves_nobody_until_it_is_on_again() {
    let mut b = Bench::new();
    b.link(1);
    b.sees(2, Standing::Coming, [198, 18, 1, 2], false);
    let id = b.reserve(1).unwrap();
    let (waiting, _) = b.ask(2);
    let out = b.handle(Input::Mode(RelayMode::Off));
    let refused = Output::Refuse { id: waiting, peer: peer(2), why: Refusal::Off };
    assert_eq!(out, [Output::End { id, why: ServedEnd::SwitchedOff }, refused]);
    b.gone(id, ServedEnd::SwitchedOff);
    assert_eq!(b.reserve(1), Err(Refusal::Off));
    assert_eq!(Refusal::Off.status(), 501);
    b.handle(Input::Mode(RelayMode::Network));
    b.reserve(1).unwrap();
}

#[test]
fn a_node_that_stops_ends_all() {
    let mut b = Bench::new();
    b.link(1);
    let id = b.reserve(1).unwrap();
    assert_eq!(b.handle(Input::Stop), [Output::End { id, why: ServedEnd::Stopping }]);
    b.link(2);
    assert_eq!(b.reserve(2), Err(Refusal::Off));
}

#[test]
fn a_peer_that_asks_and_asks_is_refused_and_gets_its_turn_later() {
    let mut b = Bench::new();
    b.link(1);
    let asked = (0..20).filter(|_| b.reserve(1).is_ok()).count();
    assert_eq!(asked, SERVED_ASKS_BURST as usize);
    b.link(2);
    b.reserve(2).expect("nobody else pays for it");
    b.after(5_000);
    b.link(1);
    b.reserve(1).unwrap();
}

#[test]
fn who_is_refused_for_another_reason_uses_up_nothing() {
    let mut b = Bench::new();
    for _ in 0..50 {
        assert_eq!(b.reserve(1), Err(Refusal::NotLinked));
    }
    b.link(1);
    b.reserve(1).unwrap();
}

#[test]
fn what_went_through_is_kept_over_the_end_and_told_with_it() {
    let mut b = Bench::new();
    b.link(1);
    let id = b.reserve(1).unwrap();
    let traffic = Traffic { bytes_tx: 3_000, bytes_rx: 500, ..Traffic::default() };
    b.now = later(2);
    b.handle(Input::Traffic(vec![(id, traffic)]));
    let row = b.serving.rows().next().unwrap();
    assert_eq!(
        (row.bytes_tx, row.bytes_rx, row.tx_per_s, row.rx_per_s),
        (3_000, 500, Some(1_500), Some(250))
    );
    let more = Traffic { bytes_tx: 4_000, ..traffic };
    let out = b.handle(Input::Ended { id, why: ServedEnd::ClosedByPeer, traffic: more });
    assert_eq!(out, [Output::Served { peer: peer(1), why: ServedEnd::ClosedByPeer, traffic: more }]);
    assert_eq!(b.serving.traffic(), more);
}

#[test]
fn a_reservation_that_never_stood_is_not_told_of() {
    let mut b = Bench::new();
    b.link(1);
    let (id, _) = b.ask(1);
    assert_eq!(b.gone(id, ServedEnd::SocketFailed), []);
    assert_eq!(b.serving.next_timeout(), None);
    assert_eq!(b.gone(id, ServedEnd::SocketFailed), [], "nor twice");
}
