//! What is concluded, in a sentence or two.

use super::{ago, joined, names};
use crate::model::{
    Because, CloseCode, End, Help, NatType, OurNat, PeerId, Reason, Stamp, TheirNat, Verdict, Why, twice_at,
};

/// What a handshake's datagrams measure as packets: UDP and IP before 1 200 bytes.
const NEEDED: &str = "1 228 bytes by IPv4, 1 248 by IPv6";

impl Why {
    /// The verdict in a sentence or two.
    pub fn verdict_words(&self) -> String {
        verdict(&self.verdict, self.peer_id, self.at)
    }

    /// By what it is as sure as it is.
    pub fn because_words(&self) -> String {
        because(&self.confidence.because, self.at)
    }

    /// What would help, a phrase each.
    pub fn help_words(&self) -> Vec<String> {
        self.would_help.iter().map(help).collect()
    }
}

/// What a NAT does, in words that say why it matters.
fn what_it_does(nat: NatType) -> &'static str {
    match nat {
        NatType::None => "has no NAT",
        NatType::FullCone => "lets anybody in at its mapped port (full-cone)",
        NatType::AddressRestricted => "lets in only hosts that it has sent to (address-restricted)",
        NatType::PortRestricted => {
            "lets in only the exact address and port that it has sent to (port-restricted)"
        }
        NatType::Symmetric => "maps per destination, so its port is another one for everybody (symmetric)",
        NatType::Unknown => "is not measured",
    }
}

fn both(ours: NatType, theirs: NatType) -> String {
    if ours == theirs {
        return format!("Each {}.", what_it_does(ours));
    }
    format!("Theirs {}; ours {}.", what_it_does(theirs), what_it_does(ours))
}

fn in_brackets(reason: Option<&Reason>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}

fn verdict(of: &Verdict, peer: PeerId, now: Stamp) -> String {
    match of {
        Verdict::Relayed { via, because } => {
            let over = via.map(|via| format!(" over {}", via.short())).unwrap_or_default();
            format!("It is relayed{over}. {}", verdict(because, peer, now))
        }
        Verdict::NoRelayEither { punch, relay } => {
            format!("{} No relay carried it either: {relay}.", verdict(punch, peer, now))
        }
        Verdict::Direct { theirs: Some(theirs) } => {
            format!("It is reached directly: it {}.", what_it_does(*theirs))
        }
        Verdict::Direct { theirs: None } => {
            "Its address, or ours, answers a plain dial; no help was needed.".to_owned()
        }
        Verdict::Punched { ours, theirs } => {
            format!("A coordinated punch opened both NATs. {}", both(*ours, *theirs))
        }
        Verdict::UsedTwice { addresses } => twice("Its identity", peer, addresses),
        Verdict::UsedTwiceHere { identity, addresses } => twice("Our identity", *identity, addresses),
        Verdict::NoWay { why } => {
            format!("It is us: {}. Nothing is tried until that ends, and then at once.", why.there())
        }
        Verdict::Running { stage } => {
            let stage = stage.map(|stage| format!(": its {stage} stage")).unwrap_or_default();
            format!("An attempt is running{stage}.")
        }
        Verdict::Idle { ended, attempted, held_off } => {
            idle(ended.as_ref(), *attempted, now) + &held(*held_off, now)
        }
        Verdict::RateLimited { by, runs } => {
            let again = if *runs { " It is asked again by itself for half a minute." } else { "" };
            format!(
                "{} coordinates no further punch for us just now: a rate limit was reached. The NATs do not \
                 stand in the way.{again}",
                names(by)
            )
        }
        Verdict::NoIntermediary => {
            "No intermediary is connected to it straight: nobody can tell it to punch \
                                    with us. The NATs do not stand in the way."
                .to_owned()
        }
        Verdict::NoConsent => "It takes no punches: its configuration says whose it follows.".to_owned(),
        Verdict::Unpunchable { ours, theirs } => {
            format!("Both NATs are known and cannot be punched. {}", both(*ours, *theirs))
        }
        Verdict::GuessablePort { ours, theirs } => format!(
            "Both NATs are known and no plain punch opens them; a port can be guessed. {}",
            both(*ours, *theirs)
        ),
        Verdict::PunchFailed { reason } => format!("The punch has not succeeded: {reason}."),
        Verdict::PunchUntried { runs: true } => "A punch is under way behind it.".to_owned(),
        Verdict::PunchUntried { runs: false } => {
            "No punch of ours has been tried yet; by what is measured one can succeed.".to_owned()
        }
        Verdict::PunchUnanswered { reason } => format!(
            "The punch was not agreed to in time{}: the intermediary or it is silent.",
            in_brackets(reason.as_ref())
        ),
        Verdict::NothingThrough { reason, ours, theirs } => format!(
            "Both ends dialled and nothing came through{}: {}.",
            in_brackets(reason.as_ref()),
            two_causes(*ours, *theirs)
        ),
        Verdict::NoCommonFamily { they_have_ipv4 } => {
            let (ours, theirs) = if *they_have_ipv4 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
            format!(
                "The two have no address family in common: it has {theirs} alone, and this host sends by \
                 {ours} alone. Only a relay that has both leads from one to the other."
            )
        }
        Verdict::PathTooNarrow { to, relayed } => {
            let now = if *relayed {
                "The relay's path has room."
            } else {
                "A relay whose path has room could carry the link."
            };
            format!(
                "The path to {to} is too narrow: short datagrams pass, and those of a handshake get lost. \
                 QUIC needs paths that take packets of {NEEDED}. {now}"
            )
        }
        Verdict::EndedByIt { code, network } => ended_by_it(*code, network),
        Verdict::OtherIdentity { who, at } => format!(
            "The address that we have of it is out of date: {} answers at {at} now, not it.",
            who.short()
        ),
        Verdict::Moved { from, to } => {
            format!(
                "It has moved: we dialled {}, which is out of date; it is at {to} now.",
                joined(from, " and ")
            )
        }
        Verdict::LinkedToOthers { who } => format!(
            "{} is connected to it now; at our last attempt it did not answer, or nobody was.",
            names(who)
        ),
        Verdict::Left { to } => {
            let who = if to.is_empty() { "us".to_owned() } else { names(to) };
            format!("It is offline: it said goodbye to {who}.")
        }
        Verdict::FellSilent { us, others } => {
            let mut who: Vec<String> = us.then(|| "we".to_owned()).into_iter().collect();
            if !others.is_empty() {
                who.push(names(others));
            }
            format!(
                "It is offline, most likely: {} lost it without a goodbye, and nobody we are linked to is \
                 connected to it. Cut off from the network, or with its UDP blocked, it would look the same \
                 from here; a look at its host tells them apart.",
                who.join(" and ")
            )
        }
        Verdict::Unseen { dialable, homes } => unseen(*dialable, homes),
        Verdict::Failed { reason } => {
            let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("No stage of the last attempt got through{why}.")
        }
        Verdict::UdpForbidden => {
            "UDP is blocked on our side: this host's own firewall lets none out.".to_owned()
        }
        Verdict::UdpBlockedHere => {
            "UDP is blocked on our side: hosts that have nothing to do with each other answer over TCP, and \
             none of them over UDP."
                .to_owned()
        }
        Verdict::UdpBlockedBetween => {
            "UDP is blocked between us and its host, which answers over TCP. On whose side cannot be said by \
             one host: if another one that is known to run stays silent too, it is ours."
                .to_owned()
        }
        Verdict::UdpBlockedThere => {
            "UDP is blocked on its side: its host answers over TCP and not over UDP, while others answer us \
             over UDP."
                .to_owned()
        }
        Verdict::Offline => "This host has no way to any network: it is offline itself.".to_owned(),
        Verdict::NobodyAnswers => {
            "Nobody answers us, over UDP or TCP. Either this host is cut off from the network, or everybody \
             we know is offline. Whether another program here reaches the network tells them apart."
                .to_owned()
        }
        Verdict::AnswersNow => "It was silent at our last attempt, and answers now.".to_owned(),
        Verdict::NotRunning => {
            "Its host is up, and nothing listens at its port: its node is offline, or has another port now. \
             A newer record of it would tell them apart."
                .to_owned()
        }
    }
}

fn twice(whose: &str, identity: PeerId, addresses: &[std::net::SocketAddr]) -> String {
    format!(
        "{whose} ({}) is used twice, {}: a link goes to one of the two, and each takes it from the other.",
        identity.short(),
        twice_at(addresses)
    )
}

fn idle(ended: Option<&(Stamp, Reason)>, attempted: bool, now: Stamp) -> String {
    match ended {
        Some((at, Reason::HeldOff { .. })) => {
            format!("There is no link: the operator here disconnected it {}.", ago(*at, now))
        }
        Some((at, reason)) => {
            format!("There is no link now: the last one ended {}, {reason}.", ago(*at, now))
        }
        None if attempted => "There is no link now; the last attempt of ours got through.".to_owned(),
        None => "There is no link, and no attempt of ours is remembered.".to_owned(),
    }
}

fn held(until: Option<Stamp>, now: Stamp) -> String {
    let Some(until) = until else { return String::new() };
    let left = now.age_at(until).as_secs();
    format!(" Automatic dials to and from it are held off for another {left} s; connecting lifts that.")
}

fn two_causes(ours: NatType, theirs: NatType) -> String {
    let whose = match (ours, theirs) {
        (NatType::Unknown, NatType::Unknown) => "neither NAT is measured",
        (NatType::Unknown, _) => "our NAT is not measured",
        (_, NatType::Unknown) => "its NAT is not measured",
        _ => {
            return "by what is measured it should have: a NAT has changed since, or a firewall drops UDP \
                    between us. Measuring again tells them apart"
                .to_owned();
        }
    };
    format!(
        "{whose}, so either that pair cannot be punched, or a firewall drops UDP between us. Measuring the \
         NAT tells them apart"
    )
}

fn ended_by_it(code: CloseCode, network: &str) -> String {
    match code {
        CloseCode::Network => format!(
            "It is there, and belongs to another network: its network id, or its network secret, is not \
             ours. We are in {network:?}."
        ),
        CloseCode::Version => "It is there, and speaks no protocol version that we do.".to_owned(),
        CloseCode::HoldOff => {
            "It is there; its operator disconnected us, and it takes no dial for a minute.".to_owned()
        }
        CloseCode::Limit => {
            "It is there, and takes no more links: a limit of its own was reached.".to_owned()
        }
        CloseCode::Leave => "It was about to end: it said goodbye.".to_owned(),
        other => format!("It is there, and ended the connection: {other}."),
    }
}

fn unseen(dialable: Option<bool>, homes: &[PeerId]) -> String {
    let direct = match dialable {
        Some(true) => "a dial of ours to its address stayed without an answer",
        Some(false) => "its NAT lets nobody in whom it has not sent to",
        None => "a dial of ours to its address stayed without an answer, and its NAT is not known",
    };
    let homes = if homes.is_empty() {
        "who else is linked to it is not known".to_owned()
    } else {
        format!("its record names {}, to whom we are not linked", names(homes))
    };
    format!(
        "No intermediary: nobody we are linked to is connected to it, so nobody can coordinate a punch or \
         pass an invitation on; and {direct}. It is offline, or linked to others only: {homes}. A link to \
         one of those tells them apart."
    )
}

fn because(of: &Because, now: Stamp) -> String {
    let last = |seen: &Option<Stamp>| {
        seen.map(|at| format!("; it was last seen {}", ago(at, now))).unwrap_or_default()
    };
    match of {
        Because::LinkStands => "the link stands, and its heartbeats are answered".to_owned(),
        Because::TakenInTurn => {
            "links were taken over in turn by two that know nothing of each other".to_owned()
        }
        Because::NoRoute => "the system knows no route".to_owned(),
        Because::SendRefused => "the system refused to send the datagram".to_owned(),
        Because::NotEnded => "it has not ended".to_owned(),
        Because::AskedForHere => "it was asked for here".to_owned(),
        Because::SeenToEnd => "we saw it end".to_owned(),
        Because::NothingTried => "nothing was tried".to_owned(),
        Because::SaidToIntermediary => "it said so itself, to the intermediary".to_owned(),
        Because::IntermediarySaid => "the intermediary said so in its answer".to_owned(),
        Because::ShortAnswered => {
            "a datagram of 64 bytes was answered there while the handshake's 1 200 were not".to_owned()
        }
        Because::OtherFamilyOnly { they_have_ipv4 } => {
            let theirs = if *they_have_ipv4 { "IPv4" } else { "IPv6" };
            format!("its record names no other address, and no route of ours leads out by {theirs}")
        }
        Because::NobodyToAsk => "nobody was there to be asked".to_owned(),
        Because::AllSaidSo { who } => {
            let n = who.len();
            format!("{n} of {n} asked said so: {}", names(who))
        }
        Because::NoAnswer => "no answer to our request came back".to_owned(),
        Because::OtherKey => "the handshake there proved another key".to_owned(),
        Because::Closed { at } => {
            let at = at.map(|at| format!(" {}", ago(at, now))).unwrap_or_default();
            format!("it proved its key and the connection was closed with that code{at}")
        }
        Because::OneByTcp => "one host was heard over TCP and not over UDP".to_owned(),
        Because::ManyByTcp { hosts } => {
            format!("{hosts} of {hosts} hosts were heard over TCP and not over UDP, just now")
        }
        Because::HeardNow => "it was heard just now".to_owned(),
        Because::NeverLinked => "we never had a link to compare with".to_owned(),
        Because::LinksFellSilent { links } => format!("{links} links of ours fell silent"),
        Because::HostSaid { seen } => format!("its host said so, just now{}", last(seen)),
        Because::SeenThere { by: Some(by), record: Some(_) } => {
            format!("{} is connected to it there, and its record says so", by.short())
        }
        Because::SeenThere { by: Some(by), record: None } => {
            format!("{} is connected to it there, by its account", by.short())
        }
        Because::SeenThere { by: None, record } => {
            format!("its record says so{}", if *record == Some(true) { "" } else { ", by hearsay" })
        }
        Because::OthersSay => "by its account; our attempt is older".to_owned(),
        Because::PeerSaid { seen } => format!("the peer said so itself{}", last(seen)),
        Because::HeardByTcp { links } => {
            format!("its host was heard over TCP just now; we have {links} links")
        }
        Because::SawSilence { witnesses, never: 0, seen } => {
            format!("{witnesses} saw its link fall silent{}", last(seen))
        }
        Because::SawSilence { witnesses, never, seen } => {
            format!("{witnesses} saw its link fall silent{}; {never} never knew it", last(seen))
        }
        Because::NotConnected { asked, seen } => {
            format!("{asked} of {asked} asked are not connected to it{}", last(seen))
        }
        Because::OnlyThatAttempt => "nothing but that attempt is known".to_owned(),
        Because::Nats { ours, theirs } => {
            let ours = match ours {
                Some(OurNat { observers, nat, measured }) => {
                    format!(
                        "ours: {observers} observers, same verdict: {nat}, measured {}",
                        ago(*measured, now)
                    )
                }
                None => "ours is not measured".to_owned(),
            };
            let theirs = match theirs {
                TheirNat::Unknown => "theirs is not known".to_owned(),
                TheirNat::Measured(at) => format!("theirs: as the peer says, measured {}", ago(*at, now)),
                TheirNat::Said => "theirs: as the peer says".to_owned(),
                TheirNat::Hearsay => "theirs: hearsay".to_owned(),
            };
            format!("{ours}; {theirs}")
        }
    }
}

fn help(of: &Help) -> String {
    match of {
        Help::PortForwarded(whose) => {
            let whose = match whose {
                End::Ours => "our",
                End::Theirs => "their",
            };
            return format!("a port forwarded on {whose} router, or one that maps the same for everybody");
        }
        Help::SecondFamily => "IPv6 at the end that has IPv4 alone".to_owned(),
        Help::Mtu => {
            return format!(
                "an MTU of at least {NEEDED} on every link between: tunnels and PPPoE take some of it"
            );
        }
        Help::LinkTo(peers) => return format!("a link to {}", names(peers)),
        Help::SameNetwork(ours) => {
            return format!(
                "the same network and network_secret in both configurations; here it is {ours:?}"
            );
        }
        Help::StopOneOfTwo => {
            "stopping one of the two, removing the key from its data directory and starting it again"
        }
        Help::Network => "a network for this host",
        Help::NetworkOrRoute => "a network for this host, or a route there",
        Help::UdpLetOut => {
            "UDP let out by this host: its firewall, its routes (blackhole, prohibit), its service's unit"
        }
        Help::UdpOpenHere => {
            "UDP let out and its answers let in, by the firewall of this host and its network"
        }
        Help::UdpOpenThere => "UDP let in at its port, by the firewall of its host or network",
        Help::PunchSetting => "punch = \"any\" or \"known\" in its configuration",
        Help::Ipv6 => "IPv6 at both ends",
        Help::WaitForRate => {
            "waiting: requests are taken again after 4 s for the same peer, after 10 s for any"
        }
        Help::OtherIntermediary => "another public peer that is linked to both",
        Help::CommonPublicPeer => "a public peer that both ends are linked to",
        Help::CommonPeer => "a peer that both ends are linked to",
        Help::MorePublicPeers => "more public peers to measure the NATs with",
        Help::PeerWithNewAddress => "a peer that is linked to it: its record has the new address",
        Help::NewerProgram => "the newer program at the older end",
        Help::WaitForHoldOff => "waiting a minute, or a connect from its end",
        Help::WaitForRoom => "waiting until links of its end are free",
        Help::ItsLog => "its log",
        Help::SecondPeer => "a second peer to compare with",
        Help::RunningPeer => "a peer that is known to run",
        Help::StartIt => "starting its node",
        Help::StartItAgain => "starting its node again",
        Help::StartItOrUdp => "starting its node, or letting its UDP out and in",
    }
    .to_owned()
}
