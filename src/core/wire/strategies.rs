//! Arbitrary wire values for property tests.

use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::{
    CoordinationStep, Evidence, NatEvidence, NatType, Path, PeerId, PeerLinkStatus, Reason, TraceEvent,
};

pub(crate) fn peer_id() -> impl Strategy<Value = PeerId> {
    any::<[u8; 32]>().prop_map(PeerId)
}

pub(crate) fn addr() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

pub(crate) fn nat() -> impl Strategy<Value = NatType> {
    prop_oneof![
        Just(NatType::None),
        Just(NatType::FullCone),
        Just(NatType::AddressRestricted),
        Just(NatType::PortRestricted),
        Just(NatType::Symmetric),
        Just(NatType::Unknown),
    ]
}

/// What is told, of each kind one that has what the kind can have.
fn note() -> impl Strategy<Value = WhyNote> {
    let event = prop_oneof![
        (addr(), any::<bool>(), any::<u32>()).prop_map(|(addr, punch, times)| TraceEvent::Dialled {
            addr,
            punch,
            times
        }),
        (peer_id(), addr()).prop_map(|(who, at)| TraceEvent::Has { who, at }),
        peer_id().prop_map(|via| TraceEvent::TurnedDown { via, reason: Reason::RateLimited }),
        (any::<bool>(), addr()).prop_map(|(invitation, at)| TraceEvent::Coordinated {
            invitation,
            step: CoordinationStep::TargetAgreed(at)
        }),
        Just(TraceEvent::LinkUp { path: Some(Path::Punched), ours: true }),
    ];
    (any::<u32>(), event).prop_map(|(age_ms, what)| WhyNote { age_ms, what })
}

fn seen() -> impl Strategy<Value = Evidence> {
    let seen = prop_oneof![
        (peer_id(), addr()).prop_map(|(by, seen)| NatEvidence::Dissent { by, seen }),
        any::<bool>().prop_map(NatEvidence::Hairpinning),
    ];
    seen.prop_map(Evidence::Theirs)
}

fn standing() -> impl Strategy<Value = PeerLinkStatus> {
    prop_oneof![
        Just(PeerLinkStatus::Never),
        Just(PeerLinkStatus::Linked),
        Just(PeerLinkStatus::Relayed),
        Just(PeerLinkStatus::Left),
        Just(PeerLinkStatus::Silent),
        Just(PeerLinkStatus::Ended),
    ]
}

pub(crate) fn proof() -> impl Strategy<Value = Proof> {
    any::<([u8; 32], [u8; 32], [u8; 32])>()
        .prop_filter_map("a signature", |(key, a, b)| Proof::new(key, &[a, b].concat()))
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    (
        (peer_id(), any::<u64>(), ".{0,16}", nat(), any::<u32>()),
        (vec(addr(), 0..8), vec((peer_id(), addr()), 0..4), vec(peer_id(), 0..3), any::<u32>()),
        proptest::option::of(proof()),
    )
        .prop_map(
            |((peer, version, name, nat, capabilities), (addresses, relays, homes, age_s), proof)| Record {
                peer,
                version,
                name,
                nat,
                capabilities: Capabilities(capabilities),
                addresses,
                relays: relays.into_iter().map(|(relay, addr)| RelayAddr { relay, addr }).collect(),
                homes,
                age_s,
                proof,
            },
        )
}

fn near() -> impl Strategy<Value = Option<Near>> {
    proptest::option::of((any::<u16>(), any::<i16>()).prop_map(|(port, step)| Near { port, step }))
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let prefix = || any::<[u8; 8]>().prop_map(PeerPrefix);
    let entry = (prefix(), any::<u64>()).prop_map(|(peer, version)| DigestEntry { peer, version });
    let echo = || (any::<u64>(), vec(any::<u8>(), 0..64)).prop_map(|(id, payload)| Echo { id, payload });
    prop_oneof![
        Just(Message::Leave),
        addr().prop_map(|addr| Message::Observed(Observed { addr })),
        (any::<u32>(), any::<u16>())
            .prop_map(|(sync, retry_s)| Message::SyncRefused(SyncRefused { sync, retry_s })),
        addr().prop_map(|other| Message::UsedTwice(UsedTwice { other })),
        any::<u32>().prop_map(|query| Message::WhyAsk(WhyAsk { query })),
        (
            any::<u32>(),
            nat(),
            any::<Option<u32>>(),
            vec(".{0,64}", 0..6),
            vec((any::<u32>(), ".{0,64}"), 0..12)
        )
            .prop_map(|(query, nat, measured_s, evidence, notes)| {
                Message::PeerWords(PeerWords { query, nat, measured_s, evidence, notes })
            }),
        (any::<u32>(), nat(), any::<Option<u32>>(), vec(seen(), 0..6), vec(note(), 0..12)).prop_map(
            |(query, nat, measured_s, evidence, notes)| {
                Message::PeerReply(PeerReply { query, nat, measured_s, evidence, notes })
            }
        ),
        (any::<u32>(), peer_id()).prop_map(|(query, about)| Message::WitnessAsk(WitnessAsk { query, about })),
        (
            any::<u32>(),
            standing(),
            any::<Option<u32>>(),
            proptest::option::of(addr()),
            vec((any::<u32>(), ".{0,64}"), 0..12)
        )
            .prop_map(|(query, standing, since_s, seen_at, notes)| {
                Message::WitnessWords(WitnessWords { query, standing, since_s, seen_at, notes })
            }),
        (any::<u32>(), standing(), any::<Option<u32>>(), proptest::option::of(addr()), vec(note(), 0..12))
            .prop_map(|(query, standing, since_s, seen_at, notes)| {
                Message::WitnessReply(WitnessReply { query, standing, since_s, seen_at, notes })
            }),
        (any::<u32>(), any::<u32>(), any::<bool>(), vec(record(), 0..4)).prop_map(
            |(sync, page, last, records)| Message::FullSync(FullSync { sync, page, last, records })
        ),
        (vec(record(), 0..4), vec(peer_id(), 0..4))
            .prop_map(|(added, removed)| Message::Delta(Delta { added, removed })),
        (any::<u32>(), proptest::option::of(vec(prefix(), 0..8))).prop_map(|(sync, prefixes)| {
            Message::Request(Request { sync, want: prefixes.map_or(Want::All, Want::Prefixes) })
        }),
        (any::<u32>(), any::<u32>(), any::<[u8; 16]>())
            .prop_map(|(round, count, hash)| Message::Digest(Digest { round, count, hash })),
        (any::<u32>(), any::<u32>(), any::<bool>(), vec(entry, 0..16)).prop_map(
            |(round, page, last, entries)| { Message::DigestPage(DigestPage { round, page, last, entries }) }
        ),
        (any::<u32>(), peer_id()).prop_map(|(query, peer)| Message::WhoHas(WhoHas { query, peer })),
        (any::<u32>(), peer_id(), proptest::option::of(addr()))
            .prop_map(|(query, peer, observed)| Message::IHave(IHave { query, peer, observed })),
        (any::<u32>(), peer_id(), any::<[u8; 16]>(), vec(addr(), 0..8)).prop_map(
            |(request, target, nonce, addresses)| {
                Message::PunchRequest(PunchRequest { request, target, nonce, addresses })
            }
        ),
        (any::<u32>(), proptest::option::of(addr()), any::<u8>()).prop_map(|(request, addr, reason)| {
            let result = addr.ok_or(Refusal::from(reason));
            Message::CoordinationAnswer(CoordinationAnswer { request, result })
        }),
        (any::<[u8; 16]>(), peer_id(), vec(addr(), 0..8)).prop_map(|(nonce, requester, addresses)| {
            Message::PunchNotice(PunchNotice { nonce, requester, addresses })
        }),
        (any::<[u8; 16]>(), any::<[bool; 3]>()).prop_map(|(nonce, [accepted, busy, held_off])| {
            Message::NoticeAnswer(NoticeAnswer { nonce, accepted, busy, held_off })
        }),
        (any::<u32>(), peer_id(), any::<[u8; 16]>(), peer_id(), addr()).prop_map(
            |(request, target, nonce, relay, addr)| {
                Message::Invite(Invite { request, target, nonce, relay: RelayAddr { relay, addr } })
            }
        ),
        (any::<[u8; 16]>(), peer_id(), peer_id(), addr()).prop_map(|(nonce, requester, relay, addr)| {
            Message::InviteNotice(InviteNotice { nonce, requester, relay: RelayAddr { relay, addr } })
        }),
        any::<[u8; 16]>().prop_map(|token| Message::ProbeToken(ProbeToken { token })),
        (any::<[u8; 16]>(), addr()).prop_map(|(nonce, target)| Message::DialBack(DialBack { nonce, target })),
        (any::<[u8; 16]>(), any::<bool>())
            .prop_map(|(nonce, sent)| Message::DialBackAnswer(DialBackAnswer { nonce, sent })),
        (any::<[u8; 16]>(), any::<bool>(), addr(), near())
            .prop_map(|(run, opens, at, near)| Message::GuessOffer(GuessOffer { run, opens, at, near })),
        (any::<[u8; 16]>(), any::<Option<u8>>(), addr(), near()).prop_map(|(run, no, at, near)| {
            let result = no.map_or(Ok(GuessYes { at, near }), |no| Err(NoGuess::from(no)));
            Message::GuessAnswer(GuessAnswer { run, result })
        }),
        (any::<[u8; 16]>(), any::<u16>())
            .prop_map(|(run, sockets)| Message::GuessOpened(GuessOpened { run, sockets })),
        (any::<[u8; 16]>(), any::<bool>(), any::<u16>())
            .prop_map(|(run, met, probes)| Message::GuessOver(GuessOver { run, met, probes })),
        (any::<[u8; 16]>(), any::<[u8; 16]>(), terms())
            .prop_map(|(run, channel, terms)| Message::TestOffer(TestOffer { run, channel, terms })),
        (any::<[u8; 16]>(), any::<Option<u8>>(), terms()).prop_map(|(run, no, terms)| {
            let result = no.map_or(Ok(terms), |no| Err(NoTest::from(no)));
            Message::TestAnswer(TestAnswer { run, result })
        }),
        any::<[u8; 16]>().prop_map(|run| Message::TestOver(TestOver { run })),
        echo().prop_map(Message::Echo),
        echo().prop_map(Message::EchoReply),
    ]
}

fn terms() -> impl Strategy<Value = TestTerms> {
    any::<[u32; 3]>().prop_map(|[for_ms, rate, bytes]| TestTerms { for_ms, rate, bytes })
}

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
    let path = prop_oneof![
        Just(None),
        Just(Some(Path::Direct)),
        Just(Some(Path::Punched)),
        Just(Some(Path::Relayed))
    ];
    (
        (any::<u16>(), any::<u16>(), ".{0,16}", ".{0,16}", ".{0,16}", nat(), addr()),
        (
            vec(any::<u16>(), 0..=2),
            any::<i64>(),
            any::<[u8; 16]>(),
            path,
            any::<bool>(),
            proptest::option::of(any::<[u8; 32]>()),
        ),
    )
        .prop_map(
            |(
                (low, high, network, name, agent, nat, observed),
                (probe_ports, wall_ms, channel, path, outbound, proof),
            )| {
                Hello {
                    low,
                    high,
                    network,
                    name,
                    agent,
                    nat,
                    observed,
                    probe_ports,
                    wall_ms,
                    channel,
                    path,
                    outbound,
                    proof,
                }
            },
        )
}

pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        hello().prop_map(|h| Frame::Hello(Box::new(h))),
        (any::<u64>(), any::<u64>()).prop_map(|(session, next)| Frame::Resume { session, next }),
        any::<u64>().prop_map(|token| Frame::Ping { token }),
        any::<u64>().prop_map(|token| Frame::Pong { token }),
        (any::<u64>(), any::<u64>()).prop_map(|(session, next)| Frame::Ack { session, next }),
        any::<u64>().prop_map(|turn| Frame::Carry { turn }),
        any::<[u8; 32]>().prop_map(|nonce| Frame::Nonce { nonce }),
        any::<[u8; 32]>().prop_map(|proof| Frame::Proof { proof }),
        (any::<u64>(), any::<u64>(), message()).prop_map(|(session, seq, message)| Frame::Message {
            session,
            seq,
            message
        }),
    ]
}
