//! Our part as intermediary and as target: what it needs of the rest of the node, and
//! the dials that meet punches.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Coordination, CoordinationOut, Links, Noted};
use crate::core::Mono;
use crate::core::bucket::Bucket;
use crate::core::dialer::Dialer;
use crate::core::gossip::LinkContext;
use crate::core::io::Action;
use crate::core::ladder::{DialId, PUNCH_WINDOW};
use crate::core::limits::WHO_HAS_PER_MINUTE;
use crate::core::outbox::{Outbox, Wanted};
use crate::core::relaying;
use crate::core::targets::Targets;
use crate::core::wire::{IHave, Message, WhoHas};
use crate::model::{DropReason, Path, PeerId, PunchConsent};

/// How long a target dials for a punch: QUIC sends its first packet four times
/// in it.
const PUNCH_DIAL: Duration = Duration::from_secs(10);

/// A punch that we agreed to.
#[derive(Debug)]
struct PunchComing {
    since: Mono,
    dials: Vec<(DialId, SocketAddr)>,
}

/// What must be known of the rest of the node.
#[derive(Clone, Copy)]
pub(in crate::core) struct View<'a> {
    pub(in crate::core) targets: Targets<'a>,
    pub(in crate::core) dialer: &'a Dialer,
}

impl View<'_> {
    fn now(&self) -> Mono {
        self.targets.peers.now.mono
    }
}

impl Links for View<'_> {
    fn observed(&self, peer: &PeerId) -> Option<SocketAddr> {
        // What is seen of a relayed peer is its relay's.
        let info = self.targets.peers.links.in_use(peer)?;
        info.path.is_straight().then_some(info.remote)
    }

    fn is_linked_relay(&self, relay: &PeerId, addr: &SocketAddr) -> bool {
        let ours = || self.targets.nat.own_addresses().iter().any(|own| own.ip() == addr.ip());
        self.observed(relay).is_some_and(|at| at.ip() == addr.ip())
            || *relay == self.targets.peers.me && ours()
    }

    fn is_known(&self, peer: &PeerId) -> bool {
        self.targets.peers.book.get(*peer).is_some()
    }

    fn is_refused(&self, peer: &PeerId) -> bool {
        self.dialer.is_refused(peer, self.now())
    }

    fn may_dial(&self, on_word_of: &PeerId, addr: SocketAddr) -> bool {
        let nat = self.targets.nat;
        let ours: Vec<_> = nat.seen_at().iter().map(SocketAddr::ip).collect();
        self.observed(on_word_of).is_some_and(|at| {
            LinkContext::new(nat.bound_to(), at.ip(), &ours, &[at.ip()], false).allows(addr)
        })
    }
}

/// All of it.
#[derive(Debug)]
pub(in crate::core) struct Coordinator {
    machine: Coordination,
    /// Punches that we agreed to.
    coming: BTreeMap<PeerId, PunchComing>,
    /// How often each peer asked who is linked to another.
    who_has: BTreeMap<PeerId, Bucket>,
}

impl Coordinator {
    pub(in crate::core) fn new(consent: PunchConsent, now: Mono) -> Self {
        let machine = Coordination::new(consent, now);
        Self { machine, coming: BTreeMap::new(), who_has: BTreeMap::new() }
    }

    /// Whose punches we take.
    pub(in crate::core) fn consent(&self) -> PunchConsent {
        self.machine.consent()
    }

    /// Whose punches we take from now on.
    pub(in crate::core) fn set_consent(&mut self, consent: PunchConsent) {
        self.machine.set_consent(consent);
    }

    /// What became of a requester's requests for that target, `None` for us.
    pub(in crate::core) fn told(
        &self,
        requester: PeerId,
        target: Option<PeerId>,
    ) -> impl Iterator<Item = &Noted> {
        self.machine.told(requester, target)
    }

    /// Whether we agreed to a punch of this peer.
    pub(in crate::core) fn expects(&self, peer: &PeerId) -> bool {
        self.coming.contains_key(peer)
    }

    /// Whether a connection to this peer that comes up now owes it to such a punch.
    pub(in crate::core) fn is_punching(&self, peer: &PeerId, now: Mono) -> bool {
        self.coming.get(peer).is_some_and(|punch| now.since(punch.since) < PUNCH_WINDOW)
    }

    pub(in crate::core) fn next_timeout(&self) -> Option<Mono> {
        self.machine.next_timeout()
    }

    /// A message about a punch, an invitation, or who is linked to whom.
    pub(in crate::core) fn handle(
        &mut self,
        from: PeerId,
        message: Message,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let (machine, now, mut told) = (&mut self.machine, view.now(), Vec::new());
        match message {
            Message::WhoHas(question) => return self.on_who_has(from, &question, view, out),
            Message::PunchRequest(ask) => machine.on_request(from, &ask, &view, now, &mut told),
            Message::Invite(ask) => machine.on_invite(from, &ask, &view, now, &mut told),
            Message::PunchNotice(notice) => machine.on_punch_notice(from, &notice, &view, now, &mut told),
            Message::InviteNotice(notice) => machine.on_invite_notice(from, &notice, &view, now, &mut told),
            Message::NoticeAnswer(said) => machine.on_notice_answer(from, said, &view, now, &mut told),
            _ => {}
        }
        self.carry(told, view, out);
    }

    /// What is due by now.
    pub(in crate::core) fn timeout(&mut self, view: View<'_>, out: &mut Outbox) {
        let (now, mut told) = (view.now(), Vec::new());
        self.machine.on_timeout(now, &mut told);
        self.coming.retain(|_, punch| now.since(punch.since) < PUNCH_WINDOW);
        self.who_has.retain(|_, meter| !meter.is_full(now));
        self.carry(told, view, out);
    }

    fn on_who_has(&mut self, from: PeerId, question: &WhoHas, view: View<'_>, out: &mut Outbox) {
        let full = || Bucket::new(WHO_HAS_PER_MINUTE, WHO_HAS_PER_MINUTE / 60.0, view.now());
        if !self.who_has.entry(from).or_insert_with(full).take(view.now()) {
            return out.stopped(DropReason::WhoHasRate);
        }
        // Nobody can aim at a peer that we see only through a relay.
        let status = view.targets.peers.links.status(&question.peer);
        let observed = status.map(|s| s.info).filter(|i| i.path.is_straight()).map(|i| i.remote);
        let answer = IHave { query: question.query, peer: question.peer, observed };
        out.send(from, Message::IHave(answer));
    }

    fn carry(&mut self, told: Vec<CoordinationOut>, view: View<'_>, out: &mut Outbox) {
        for wanted in told {
            match wanted {
                CoordinationOut::Send { peer, message } => out.send(peer, message),
                CoordinationOut::PunchComing { requester, addresses } => {
                    self.meet(requester, addresses, view, out);
                }
                CoordinationOut::Invited { requester, relay } => {
                    out.want(Wanted::Relaying(relaying::Input::Invited(requester, relay)));
                }
                CoordinationOut::Stopped(what) => out.stopped(what),
            }
        }
    }

    /// Dials somebody who punches towards us.
    fn meet(&mut self, requester: PeerId, addresses: Vec<SocketAddr>, view: View<'_>, out: &mut Outbox) {
        self.end_dials(&requester, out);
        // Whose operator disconnected us wants us again.
        out.want(Wanted::AskedBy(requester));
        let links = view.targets.peers.links;
        if links.is_up(&requester) && links.path(&requester).is_some_and(Path::is_straight) {
            return;
        }
        let mut dials = Vec::new();
        for addr in addresses {
            let dial = out.free_dial();
            out.push(Action::Dial { dial, addr, within: PUNCH_DIAL });
            dials.push((dial, addr));
        }
        self.coming.insert(requester, PunchComing { since: view.now(), dials });
    }

    /// Calls off what we dialled for a punch: it succeeded, or begins anew.
    pub(in crate::core) fn end_dials(&mut self, requester: &PeerId, out: &mut Outbox) {
        let Some(coming) = self.coming.get_mut(requester) else { return };
        for (dial, _) in std::mem::take(&mut coming.dials) {
            out.push(Action::Cancel { dial });
        }
    }

    /// What we dial for a punch was handed to the socket.
    pub(in crate::core) fn on_dial_sent(&mut self, dial: DialId, now: Mono) {
        let mut all = self.coming.iter();
        let found = all.find_map(|(peer, coming)| {
            coming.dials.iter().find(|(d, _)| *d == dial).map(|(_, addr)| (*peer, *addr))
        });
        if let Some((requester, addr)) = found {
            self.machine.on_dialled(requester, false, addr, now);
        }
    }

    /// The lane to which this peer invited us is being dialled.
    pub(in crate::core) fn on_lane_sent(&mut self, requester: PeerId, addr: SocketAddr, now: Mono) {
        self.machine.on_dialled(requester, true, addr, now);
    }

    /// What we dialled for a punch came to nothing.
    pub(in crate::core) fn on_dial_failed(&mut self, dial: DialId, now: Mono) {
        let found = self.coming.iter_mut().find_map(|(peer, coming)| {
            let at = coming.dials.iter().position(|(d, _)| *d == dial)?;
            Some((*peer, coming.dials.remove(at).1))
        });
        if let Some((requester, addr)) = found {
            self.machine.on_heard_nothing(requester, addr, now);
        }
    }
}
