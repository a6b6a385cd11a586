//! Coordination: what an intermediary and a target do with requests for a punch
//! or an invitation. Nobody can aim our messages at a third party with them.

mod log;
mod part;
mod replay;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub use self::log::Noted;
pub(super) use self::part::{Coordinator, View};

use self::log::Log;
use self::replay::Nonces;
use super::Mono;
use super::bucket::Bucket;
use super::limits::{
    PUNCH_ADDRESSES_MAX, PUNCH_DIALS_MAX, PUNCH_IN_FLIGHT, PUNCH_METERS_MAX, PUNCH_PER_MINUTE,
    PUNCH_PER_PAIR, PUNCH_PER_REQUESTER_BURST, PUNCH_PER_REQUESTER_MINUTE, PUNCH_PER_TARGET_MINUTE,
    RECORD_PORT_MIN,
};
use super::wire::{
    CoordinationAnswer, Invite, InviteNotice, Message, NoticeAnswer, PunchNotice, PunchRequest, Refusal,
    RelayAddr,
};
use crate::model::{CoordinationStep as Step, Declined, DropReason, PeerId, PunchConsent, plain_addr};

/// How long a target has to answer the intermediary.
pub const TARGET_WAIT: Duration = Duration::from_secs(2);

/// What an intermediary must know of its links.
pub trait Links {
    /// Where a linked peer is, as we see it.
    fn observed(&self, peer: &PeerId) -> Option<SocketAddr>;
    /// Whether an address is a relay's to which we are linked ourselves.
    fn is_linked_relay(&self, relay: &PeerId, addr: &SocketAddr) -> bool;
    /// Whether we knew a peer before it asked.
    fn is_known(&self, peer: &PeerId) -> bool;
    /// Whether our own operator disconnected a peer a moment ago.
    fn is_refused(&self, peer: &PeerId) -> bool;
    /// Whether an address may be dialled on the word of a linked peer.
    fn may_dial(&self, on_word_of: &PeerId, addr: SocketAddr) -> bool;
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum CoordinationOut {
    /// Send this over a link.
    Send {
        /// To whom.
        peer: PeerId,
        /// What.
        message: Message,
    },
    /// We are the target of a punch and agreed to it: its requester is to be
    /// dialled, now that its NAT knows us.
    PunchComing {
        /// From whom.
        requester: PeerId,
        /// Where it can be hit.
        addresses: Vec<SocketAddr>,
    },
    /// We are invited to dial that peer at its reservation.
    Invited {
        /// By whom.
        requester: PeerId,
        /// Where.
        relay: RelayAddr,
    },
    /// A limit or rule stopped something.
    Stopped(DropReason),
}

/// A request that waits for its target.
#[derive(Debug)]
struct InFlight {
    requester: PeerId,
    request: u32,
    target: PeerId,
    invitation: bool,
    until: Mono,
}

/// The intermediary's and the target's side.
#[derive(Debug)]
pub struct Coordination {
    consent: PunchConsent,
    requesters: BTreeMap<PeerId, Bucket>,
    targets: BTreeMap<PeerId, Bucket>,
    /// By requester and target, punches (`false`) and invitations (`true`)
    /// apart: a punch that does not get through is followed by its invitation
    /// within a second.
    pairs: BTreeMap<(PeerId, PeerId, bool), Mono>,
    all: Bucket,
    in_flight: BTreeMap<[u8; 16], InFlight>,
    /// Nonces of requests, and of notices.
    asked: Nonces,
    noticed: Nonces,
    /// Notices that we follow: of punches and invitations together.
    notices: Bucket,
    log: Log,
}

impl Coordination {
    /// `consent`: whose punches we take.
    pub fn new(consent: PunchConsent, now: Mono) -> Self {
        Self {
            consent,
            requesters: BTreeMap::new(),
            targets: BTreeMap::new(),
            pairs: BTreeMap::new(),
            all: Bucket::new(PUNCH_PER_MINUTE, PUNCH_PER_MINUTE / 60.0, now),
            in_flight: BTreeMap::new(),
            asked: Nonces::default(),
            noticed: Nonces::default(),
            notices: Bucket::new(PUNCH_PER_TARGET_MINUTE, PUNCH_PER_TARGET_MINUTE / 60.0, now),
            log: Log::default(),
        }
    }

    /// What became of a requester's requests for that target, `None` for us.
    pub fn told(&self, requester: PeerId, target: Option<PeerId>) -> impl Iterator<Item = &Noted> {
        self.log.of(requester, target)
    }

    /// What we dial for a punch or an invitation that we follow is under way.
    pub fn on_dialled(&mut self, requester: PeerId, invitation: bool, at: SocketAddr, now: Mono) {
        let step = Step::Dialled(at);
        self.log.note(Noted { at: now, requester, target: None, invitation, step });
    }

    /// What we dialled for a punch that we follow came to nothing.
    pub fn on_heard_nothing(&mut self, requester: PeerId, at: SocketAddr, now: Mono) {
        let step = Step::HeardNothing(at);
        self.log.note(Noted { at: now, requester, target: None, invitation: false, step });
    }

    /// Whose punches we take.
    pub fn consent(&self) -> PunchConsent {
        self.consent
    }

    /// Whose punches we take from now on.
    pub fn set_consent(&mut self, consent: PunchConsent) {
        self.consent = consent;
    }

    /// A linked peer asks us to coordinate a punch.
    pub fn on_request(
        &mut self,
        from: PeerId,
        ask: &PunchRequest,
        links: &impl Links,
        now: Mono,
        out: &mut Vec<CoordinationOut>,
    ) {
        let mut addresses: Vec<SocketAddr> = ask.addresses.iter().copied().map(plain_addr).collect();
        let checked = check_addresses(&from, &addresses, links);
        if addresses.is_empty() {
            addresses.extend(links.observed(&from));
        }
        let notice = PunchNotice { nonce: ask.nonce, requester: from, addresses };
        let notice = Message::PunchNotice(notice);
        self.take(from, ask.request, ask.target, ask.nonce, checked, notice, links, now, out);
    }

    /// A linked peer asks us to pass an invitation on.
    pub fn on_invite(
        &mut self,
        from: PeerId,
        ask: &Invite,
        links: &impl Links,
        now: Mono,
        out: &mut Vec<CoordinationOut>,
    ) {
        let relay = RelayAddr { relay: ask.relay.relay, addr: plain_addr(ask.relay.addr) };
        // An invitation to a relay that nobody knows would aim the target at
        // whatever host the requester likes.
        let known = links.is_linked_relay(&relay.relay, &relay.addr) && relay.addr.port() >= RECORD_PORT_MIN;
        let checked =
            if known { Ok(()) } else { Err((DropReason::InvitationToUnknownRelay, Refusal::BadAddress)) };
        let notice = Message::InviteNotice(InviteNotice { nonce: ask.nonce, requester: from, relay });
        self.take(from, ask.request, ask.target, ask.nonce, checked, notice, links, now, out);
    }

    #[allow(clippy::too_many_arguments)] // the parts of one request
    fn take(
        &mut self,
        from: PeerId,
        request: u32,
        target: PeerId,
        nonce: [u8; 16],
        checked: Result<(), (DropReason, Refusal)>,
        notice: Message,
        links: &impl Links,
        now: Mono,
        out: &mut Vec<CoordinationOut>,
    ) {
        let invitation = matches!(notice, Message::InviteNotice(_));
        let admitted = checked.and_then(|()| {
            if links.observed(&target).is_none() || target == from {
                return Err((DropReason::PunchUnknownTarget, Refusal::UnknownTarget));
            }
            self.admit((from, target, invitation), nonce, now)
        });
        let step = match admitted {
            Ok(()) => Step::PassedOn,
            Err((rule, _)) => Step::Refused(rule),
        };
        self.log.note(Noted { at: now, requester: from, target: Some(target), invitation, step });
        match admitted {
            Ok(()) => {
                let until = now + TARGET_WAIT;
                let flight = InFlight { requester: from, request, target, invitation, until };
                self.in_flight.insert(nonce, flight);
                out.push(CoordinationOut::Send { peer: target, message: notice });
            }
            Err((counter, refusal)) => {
                out.push(CoordinationOut::Stopped(counter));
                out.push(answer(from, request, Err(refusal)));
            }
        }
    }

    /// Rates and replay. Who is refused has used up nothing.
    fn admit(
        &mut self,
        pair: (PeerId, PeerId, bool),
        nonce: [u8; 16],
        now: Mono,
    ) -> Result<(), (DropReason, Refusal)> {
        self.forget_old(now);
        if !self.asked.is_new(nonce, now) {
            return Err((DropReason::PunchReplayed, Refusal::Replayed));
        }
        if self.in_flight.len() >= PUNCH_IN_FLIGHT {
            return Err((DropReason::PunchesInFlight, Refusal::RateLimited));
        }
        if self.pairs.get(&pair).is_some_and(|last| now.since(*last) < PUNCH_PER_PAIR) {
            return Err((DropReason::PunchRateOfPair, Refusal::RateLimited));
        }
        let of_requester = self.requesters.entry(pair.0).or_insert_with(|| {
            Bucket::new(PUNCH_PER_REQUESTER_BURST, PUNCH_PER_REQUESTER_MINUTE / 60.0, now)
        });
        let of_target = self
            .targets
            .entry(pair.1)
            .or_insert_with(|| Bucket::new(PUNCH_PER_TARGET_MINUTE, PUNCH_PER_TARGET_MINUTE / 60.0, now));
        let mut rates = [
            (DropReason::PunchRateOfRequester, of_requester),
            (DropReason::PunchRateOfTarget, of_target),
            (DropReason::PunchRate, &mut self.all),
        ];
        for (counter, rate) in &mut rates {
            if !rate.has(now) {
                return Err((*counter, Refusal::RateLimited));
            }
        }
        for (_, rate) in rates {
            rate.take(now);
        }
        self.pairs.insert(pair, now);
        Ok(())
    }

    /// The target answered our notice.
    pub fn on_notice_answer(
        &mut self,
        from: PeerId,
        said: NoticeAnswer,
        links: &impl Links,
        now: Mono,
        out: &mut Vec<CoordinationOut>,
    ) {
        if self.in_flight.get(&said.nonce).is_none_or(|f| f.target != from) {
            out.push(CoordinationOut::Stopped(DropReason::AnswerToNoNotice));
            return;
        }
        let Some(flight) = self.in_flight.remove(&said.nonce) else { return };
        let result = match links.observed(&from) {
            Some(addr) if said.accepted => Ok(addr),
            Some(_) if said.busy => Err(Refusal::RateLimited),
            Some(_) if said.held_off => Err(Refusal::HeldOff),
            Some(_) => Err(Refusal::NoConsent),
            None => Err(Refusal::UnknownTarget),
        };
        let step = match result {
            Ok(addr) => Step::TargetAgreed(addr),
            Err(Refusal::RateLimited) => Step::TargetBusy,
            Err(Refusal::HeldOff) => Step::TargetHoldsOff,
            Err(_) => Step::TargetRefused,
        };
        let InFlight { requester, target, invitation, .. } = flight;
        self.log.note(Noted { at: now, requester, target: Some(target), invitation, step });
        out.push(answer(flight.requester, flight.request, result));
    }

    /// We are the target of a punch.
    pub fn on_punch_notice(
        &mut self,
        from: PeerId,
        notice: &PunchNotice,
        links: &impl Links,
        now: Mono,
        out: &mut Vec<CoordinationOut>,
    ) {
        // The intermediary checked them, but who says that it did?
        let own = |addr: &SocketAddr| links.may_dial(&from, *addr);
        let addresses: Vec<SocketAddr> =
            notice.addresses.iter().copied().map(plain_addr).filter(own).take(PUNCH_DIALS_MAX).collect();
        let agreed = self
            .consents(&notice.requester, notice.nonce, links, now, out)
            .and_then(|()| is_somewhere(&addresses, out))
            .and_then(|()| self.has_time(now, out));
        let answer = self.decide_notice(notice.requester, notice.nonce, false, agreed, now);
        // First what opens our NAT, then the answer that has the requester dial.
        if agreed.is_ok() {
            out.push(CoordinationOut::PunchComing { requester: notice.requester, addresses });
        }
        out.push(CoordinationOut::Send { peer: from, message: answer });
    }

    /// Notes what we decided about a notice, and says it.
    fn decide_notice(
        &mut self,
        requester: PeerId,
        nonce: [u8; 16],
        invitation: bool,
        agreed: Result<(), Declined>,
        now: Mono,
    ) -> Message {
        let step = agreed.map_or_else(Step::Declined, |()| Step::Taken);
        self.log.note(Noted { at: now, requester, target: None, invitation, step });
        Message::NoticeAnswer(NoticeAnswer {
            nonce,
            accepted: agreed.is_ok(),
            busy: agreed == Err(Declined::Busy),
            held_off: agreed == Err(Declined::HeldOff),
        })
    }

    /// Whether one more notice, of a punch or an invitation, is followed:
    /// dialling is not what somebody makes us do all the time.
    fn has_time(&mut self, now: Mono, out: &mut Vec<CoordinationOut>) -> Result<(), Declined> {
        if self.notices.take(now) {
            return Ok(());
        }
        out.push(CoordinationOut::Stopped(DropReason::PunchNoticeRate));
        Err(Declined::Busy)
    }

    /// We are invited.
    pub fn on_invite_notice(
        &mut self,
        from: PeerId,
        notice: &InviteNotice,
        links: &impl Links,
        now: Mono,
        out: &mut Vec<CoordinationOut>,
    ) {
        let relay = RelayAddr { relay: notice.relay.relay, addr: plain_addr(notice.relay.addr) };
        // The requester is a name that the intermediary may have made up: the
        // limit of a peer's handovers alone would be none.
        let there = if relay.addr.port() < RECORD_PORT_MIN { Err(Declined::Nowhere) } else { Ok(()) };
        let agreed = self
            .consents(&notice.requester, notice.nonce, links, now, out)
            .and(there)
            .and_then(|()| self.has_time(now, out));
        let answer = self.decide_notice(notice.requester, notice.nonce, true, agreed, now);
        out.push(CoordinationOut::Send { peer: from, message: answer });
        if agreed.is_ok() {
            out.push(CoordinationOut::Invited { requester: notice.requester, relay });
        }
    }

    fn consents(
        &mut self,
        requester: &PeerId,
        nonce: [u8; 16],
        links: &impl Links,
        now: Mono,
        out: &mut Vec<CoordinationOut>,
    ) -> Result<(), Declined> {
        if !self.noticed.is_new(nonce, now) {
            out.push(CoordinationOut::Stopped(DropReason::PunchReplayed));
            return Err(Declined::Unwanted);
        }
        // Our operator's word goes before any setting, and its reason is told.
        if links.is_refused(requester) {
            return Err(Declined::HeldOff);
        }
        let consents = match self.consent {
            PunchConsent::Any => true,
            PunchConsent::Known => links.is_known(requester),
            PunchConsent::Never => false,
        };
        if consents {
            return Ok(());
        }
        out.push(CoordinationOut::Stopped(DropReason::PunchWithoutConsent));
        Err(Declined::Unwanted)
    }

    /// Gives up on targets that do not answer.
    pub fn on_timeout(&mut self, now: Mono, out: &mut Vec<CoordinationOut>) {
        let late: Vec<[u8; 16]> =
            self.in_flight.iter().filter(|(_, f)| f.until <= now).map(|(nonce, _)| *nonce).collect();
        for nonce in late {
            if let Some(flight) = self.in_flight.remove(&nonce) {
                let InFlight { requester, target, invitation, .. } = flight;
                let step = Step::TargetSilent;
                self.log.note(Noted { at: now, requester, target: Some(target), invitation, step });
                out.push(answer(flight.requester, flight.request, Err(Refusal::NoAnswer)));
            }
        }
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Mono> {
        self.in_flight.values().map(|f| f.until).min()
    }

    /// Keeps the memory of rates bounded: what is full again says nothing.
    fn forget_old(&mut self, now: Mono) {
        self.pairs.retain(|_, at| now.since(*at) < PUNCH_PER_PAIR);
        for meters in [&mut self.requesters, &mut self.targets] {
            if meters.len() >= PUNCH_METERS_MAX {
                meters.retain(|_, bucket| !bucket.is_full(now));
            }
            while meters.len() >= PUNCH_METERS_MAX {
                meters.pop_first();
            }
        }
    }
}

fn answer(to: PeerId, request: u32, result: Result<SocketAddr, Refusal>) -> CoordinationOut {
    let message = Message::CoordinationAnswer(CoordinationAnswer { request, result });
    CoordinationOut::Send { peer: to, message }
}

/// Whether a notice says where to dial.
fn is_somewhere(addresses: &[SocketAddr], out: &mut Vec<CoordinationOut>) -> Result<(), Declined> {
    if !addresses.is_empty() {
        return Ok(());
    }
    out.push(CoordinationOut::Stopped(DropReason::PunchNoticeNowhere));
    Err(Declined::Nowhere)
}

/// Every address must be the requester's own, as we see it.
fn check_addresses(
    from: &PeerId,
    addresses: &[SocketAddr],
    links: &impl Links,
) -> Result<(), (DropReason, Refusal)> {
    let refused = Err((DropReason::PunchAtThirdParty, Refusal::BadAddress));
    let Some(observed) = links.observed(from) else { return refused };
    let own = |addr: &SocketAddr| addr.ip() == observed.ip() && addr.port() >= RECORD_PORT_MIN;
    if addresses.len() > PUNCH_ADDRESSES_MAX || !addresses.iter().all(own) { refused } else { Ok(()) }
}

#[cfg(test)]
mod tests;
