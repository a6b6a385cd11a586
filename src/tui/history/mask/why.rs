//! What a node concludes and tells of a peer: the same rule as in `parts`.

use std::net::SocketAddr;

use super::Mask;
use crate::model::{
    Because, CoordinationStep, Evidence, Help, Knock, Known, NatEvidence, PeerId, Reason, TraceEvent, Verdict,
};

impl Mask {
    fn all_ids(&mut self, ids: &mut [PeerId]) {
        for id in ids {
            *id = self.id(*id);
        }
    }

    fn all_addrs(&mut self, addrs: &mut [SocketAddr]) {
        for addr in addrs {
            *addr = self.addr(*addr);
        }
    }

    fn maybe_addr(&mut self, addr: &mut Option<SocketAddr>) {
        *addr = addr.map(|addr| self.addr(addr));
    }

    fn maybe_reason(&mut self, reason: &mut Option<Reason>) {
        *reason = reason.as_ref().map(|reason| self.reason(reason));
    }

    pub(super) fn verdict(&mut self, verdict: &Verdict) -> Verdict {
        let mut verdict = verdict.clone();
        match &mut verdict {
            Verdict::Relayed { via, because } => {
                *via = self.ids(*via);
                **because = self.verdict(because);
            }
            Verdict::NoRelayEither { punch, relay } => {
                **punch = self.verdict(punch);
                *relay = self.reason(relay);
            }
            Verdict::UsedTwice { addresses } => self.all_addrs(addresses),
            Verdict::UsedTwiceHere { identity, addresses } => {
                *identity = self.id(*identity);
                self.all_addrs(addresses);
            }
            Verdict::Idle { ended: Some((_, reason)), .. } | Verdict::PunchFailed { reason } => {
                *reason = self.reason(reason);
            }
            Verdict::RateLimited { by: ids, .. }
            | Verdict::LinkedToOthers { who: ids }
            | Verdict::Left { to: ids }
            | Verdict::FellSilent { others: ids, .. }
            | Verdict::Unseen { homes: ids, .. } => self.all_ids(ids),
            Verdict::PunchUnanswered { reason }
            | Verdict::NothingThrough { reason, .. }
            | Verdict::Failed { reason } => self.maybe_reason(reason),
            Verdict::PathTooNarrow { to, .. } => *to = self.addr(*to),
            Verdict::EndedByIt { network, .. } => *network = self.text(network),
            Verdict::OtherIdentity { who, at } => (*who, *at) = (self.id(*who), self.addr(*at)),
            Verdict::Moved { from, to } => {
                self.all_addrs(from);
                *to = self.addr(*to);
            }
            Verdict::Idle { ended: None, .. }
            | Verdict::Direct { .. }
            | Verdict::Punched { .. }
            | Verdict::NoWay { .. }
            | Verdict::Running { .. }
            | Verdict::NoIntermediary
            | Verdict::NoConsent
            | Verdict::NoCommonFamily { .. }
            | Verdict::Unpunchable { .. }
            | Verdict::GuessablePort { .. }
            | Verdict::PunchUntried { .. }
            | Verdict::UdpForbidden
            | Verdict::UdpBlockedHere
            | Verdict::UdpBlockedBetween
            | Verdict::UdpBlockedThere
            | Verdict::Offline
            | Verdict::NobodyAnswers
            | Verdict::AnswersNow
            | Verdict::NotRunning => {}
        }
        verdict
    }

    pub(super) fn because(&mut self, because: &Because) -> Because {
        let mut because = because.clone();
        match &mut because {
            Because::AllSaidSo { who } => self.all_ids(who),
            Because::SeenThere { by, .. } => *by = self.ids(*by),
            Because::LinkStands
            | Because::TakenInTurn
            | Because::NoRoute
            | Because::SendRefused
            | Because::NotEnded
            | Because::AskedForHere
            | Because::SeenToEnd
            | Because::NothingTried
            | Because::SaidToIntermediary
            | Because::IntermediarySaid
            | Because::ShortAnswered
            | Because::OtherFamilyOnly { .. }
            | Because::NobodyToAsk
            | Because::NoAnswer
            | Because::OtherKey
            | Because::Closed { .. }
            | Because::OneByTcp
            | Because::ManyByTcp { .. }
            | Because::HeardNow
            | Because::NeverLinked
            | Because::LinksFellSilent { .. }
            | Because::HostSaid { .. }
            | Because::OthersSay
            | Because::PeerSaid { .. }
            | Because::HeardByTcp { .. }
            | Because::SawSilence { .. }
            | Because::NotConnected { .. }
            | Because::OnlyThatAttempt
            | Because::Nats { .. } => {}
        }
        because
    }

    pub(super) fn help(&mut self, help: &Help) -> Help {
        let mut help = help.clone();
        match &mut help {
            Help::LinkTo(ids) => self.all_ids(ids),
            Help::SameNetwork(network) => *network = self.text(network),
            Help::StopOneOfTwo
            | Help::Network
            | Help::NetworkOrRoute
            | Help::UdpLetOut
            | Help::UdpOpenHere
            | Help::UdpOpenThere
            | Help::PunchSetting
            | Help::Mtu
            | Help::SecondFamily
            | Help::Ipv6
            | Help::PortForwarded(_)
            | Help::WaitForRate
            | Help::OtherIntermediary
            | Help::CommonPublicPeer
            | Help::CommonPeer
            | Help::MorePublicPeers
            | Help::PeerWithNewAddress
            | Help::NewerProgram
            | Help::WaitForHoldOff
            | Help::WaitForRoom
            | Help::ItsLog
            | Help::SecondPeer
            | Help::RunningPeer
            | Help::StartIt
            | Help::StartItAgain
            | Help::StartItOrUdp => {}
        }
        help
    }

    pub(super) fn evidence(&mut self, evidence: &Evidence) -> Evidence {
        let mut evidence = evidence.clone();
        match &mut evidence {
            Evidence::Answered { at, reason, .. } => {
                self.maybe_addr(at);
                *reason = self.reason(reason);
            }
            Evidence::OtherAnswered { who, at } => (*who, *at) = (self.id(*who), self.addr(*at)),
            Evidence::NothingBack { from: addrs, .. } | Evidence::NewAddresses(addrs) => {
                self.all_addrs(addrs);
            }
            Evidence::AskedWhoHas { yes, no } => {
                self.all_ids(yes);
                self.all_ids(no);
            }
            Evidence::NoAccount(who) => *who = self.id(*who),
            Evidence::Account { who, at, .. } => {
                *who = self.id(*who);
                self.maybe_addr(at);
            }
            Evidence::Knocked(Knock { addr, of, .. }) => (*addr, *of) = (self.addr(*addr), self.id(*of)),
            Evidence::LinkEnded { reason, .. } => *reason = self.reason(reason),
            Evidence::OurNat { reason, .. } => self.maybe_reason(reason),
            Evidence::Ours(seen) | Evidence::Theirs(seen) => *seen = self.seen(seen),
            Evidence::TheirWords(words) => *words = self.text(words),
            Evidence::NoLinkToAsk
            | Evidence::NoLinks { .. }
            | Evidence::LastHeard(_)
            | Evidence::TheirNat { .. }
            | Evidence::TheirsMeasured(_) => {}
        }
        evidence
    }

    /// What was seen of a NAT. A port is a part of an address.
    pub(super) fn seen(&mut self, seen: &NatEvidence) -> NatEvidence {
        let mut seen = seen.clone();
        match &mut seen {
            NatEvidence::OneAddress { local, external, .. } => {
                self.maybe_addr(local);
                *external = self.addr(*external);
            }
            NatEvidence::ManyPorts { local, ports, .. } => {
                self.maybe_addr(local);
                for port in ports.iter_mut() {
                    *port = self.port(*port);
                }
            }
            NatEvidence::Dissent { by, seen } | NatEvidence::Contradicted { by, seen } => {
                (*by, *seen) = (self.id(*by), self.addr(*seen));
            }
            NatEvidence::StrangerCameIn { from } | NatEvidence::OtherPortCameIn { from } => {
                *from = self.id(*from);
            }
            NatEvidence::Unanswered { .. }
            | NatEvidence::NothingTranslated
            | NatEvidence::StrangersStayedOut { .. }
            | NatEvidence::DialBacksNotSent
            | NatEvidence::OtherPortsStayedOut { .. }
            | NatEvidence::Firewall
            | NatEvidence::Hairpinning(_)
            | NatEvidence::AddressChanged => {}
        }
        seen
    }

    pub(super) fn trace(&mut self, event: &TraceEvent) -> TraceEvent {
        let mut event = event.clone();
        match &mut event {
            TraceEvent::StageSkipped { reason, .. } => self.maybe_reason(reason),
            TraceEvent::StageBegan { via, .. } => *via = self.ids(*via),
            TraceEvent::StageEnded { reason, via, .. } => {
                self.maybe_reason(reason);
                *via = self.ids(*via);
            }
            TraceEvent::Dialled { addr, .. } | TraceEvent::ShortPassed { at: addr } => {
                *addr = self.addr(*addr);
            }
            TraceEvent::DialFailed { addr, reason } => {
                (*addr, *reason) = (self.addr(*addr), self.reason(reason));
            }
            TraceEvent::Has { who, at }
            | TraceEvent::Agreed { via: who, at }
            | TraceEvent::LaneDialled { relay: who, at } => (*who, *at) = (self.id(*who), self.addr(*at)),
            TraceEvent::HasNot { who } | TraceEvent::Asked { via: who, .. } => *who = self.id(*who),
            TraceEvent::TurnedDown { via, reason } => {
                (*via, *reason) = (self.id(*via), self.reason(reason));
            }
            TraceEvent::Coordinated { step, .. } => match step {
                CoordinationStep::TargetAgreed(at)
                | CoordinationStep::Dialled(at)
                | CoordinationStep::HeardNothing(at) => *at = self.addr(*at),
                CoordinationStep::PassedOn
                | CoordinationStep::Refused(_)
                | CoordinationStep::TargetRefused
                | CoordinationStep::TargetBusy
                | CoordinationStep::TargetHoldsOff
                | CoordinationStep::TargetSilent
                | CoordinationStep::Taken
                | CoordinationStep::Declined(_) => {}
            },
            TraceEvent::Told { words } => *words = self.text(words),
            TraceEvent::LinkUp { .. } | TraceEvent::AskedWhoHas { .. } | TraceEvent::Unread => {}
        }
        event
    }

    pub(super) fn known(&mut self, known: &Known) -> Known {
        let mut known = known.clone();
        match &mut known {
            Known::Name(name) => *name = name.as_ref().map(|name| self.text(name)),
            Known::SameName(who) => *who = self.id(*who),
            Known::Guess { reason, .. } => self.maybe_reason(reason),
            Known::Test(path) => *path = self.tested(path),
            Known::Address { addr, .. } => self.maybe_addr(addr),
            Known::RelayAddress(at) => {
                *at = at.map(|(addr, relay)| (self.addr(addr), self.id(relay)));
            }
            Known::Standby(relay) => *relay = self.ids(*relay),
            Known::Nat(_)
            | Known::Public
            | Known::RoundTrip(_)
            | Known::Attempts(_)
            | Known::SuccessRate(_)
            | Known::LastSeen(_) => {}
        }
        known
    }
}
