//! What speaks for a verdict, a sentence each.

use super::{ago, for_so_long, joined, names};
use crate::model::{Evidence, Heard, Knock, Knocked, PeerId, PeerLinkStatus, Stamp, Why, nat_summary};

impl Why {
    /// Its evidence, a sentence each, what decides first.
    pub fn evidence_words(&self) -> Vec<String> {
        self.evidence.iter().map(|evidence| words(evidence, self.peer_id, self.at)).collect()
    }
}

fn words(evidence: &Evidence, peer: PeerId, now: Stamp) -> String {
    let ago = |at: Stamp| ago(at, now);
    match evidence {
        Evidence::Answered { at, when, reason } => {
            let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
            format!("it answered{at} {}, and ended it: {reason}", ago(*when))
        }
        Evidence::OtherAnswered { who, at } => {
            format!("{} answered at {at}: its key is another one", who.short())
        }
        Evidence::NothingBack { from, dialled } => {
            format!("nothing came back from {}, dialled {}", joined(from, ", "), ago(*dialled))
        }
        Evidence::NewAddresses(at) => {
            format!("its record says {} since, which that attempt did not dial", joined(at, ", "))
        }
        Evidence::AskedWhoHas { yes, no } => {
            let yes = if yes.is_empty() { String::new() } else { format!("{} said yes and ", names(yes)) };
            format!("asked who is connected to it, {yes}{} said no", names(no))
        }
        Evidence::NoAccount(who) => format!("no account from {}: it did not answer", who.short()),
        Evidence::NoLinkToAsk => format!("no account from {}: there is no link to ask over", peer.short()),
        Evidence::Account { who, status, at, since } => {
            let ended = since.map(|since| format!(", {}", ago(since))).unwrap_or_default();
            let stands = since.map_or_else(|| "-".to_owned(), |since| for_so_long(since, now));
            let at = at.map(|at| format!(", at {at}")).unwrap_or_default();
            let what = match status {
                PeerLinkStatus::Never => "not connected to it, and remembers no link".to_owned(),
                PeerLinkStatus::Linked => format!("connected to it{at}, for {stands}"),
                PeerLinkStatus::Relayed => format!("connected to it over a relay, for {stands}"),
                PeerLinkStatus::Left => format!("it said goodbye{ended}"),
                PeerLinkStatus::Silent => format!("its link to it fell silent{ended}"),
                PeerLinkStatus::Ended => format!("its link to it ended{ended}"),
            };
            format!("{}, by its account: {what}", who.short())
        }
        Evidence::Knocked(knock) => knocked(knock),
        Evidence::NoLinks { silent: 0, .. } => "we have no link to anybody".to_owned(),
        Evidence::NoLinks { silent, last } => {
            format!("we have no link to anybody; {silent} fell silent, the last {}", ago(last.unwrap_or(now)))
        }
        Evidence::LinkEnded { at, reason } => format!("our last link to it ended {}: {reason}", ago(*at)),
        Evidence::LastHeard(at) => format!("last heard by us or others {}", ago(*at)),
        Evidence::OurNat { nat, firewalled, reason, measured } => {
            let measured = measured.map(|at| format!(", measured {}", ago(at))).unwrap_or_default();
            format!("our NAT: {}{measured}", nat_summary(*nat, *firewalled, reason.as_ref()))
        }
        Evidence::Ours(seen) => format!("ours: {seen}"),
        Evidence::TheirNat { nat, first_hand } => {
            format!("their NAT: {nat}, {}", if *first_hand { "as the peer says" } else { "hearsay" })
        }
        Evidence::TheirsMeasured(at) => format!("theirs was measured {}, it says", ago(*at)),
        Evidence::Theirs(seen) => format!("theirs: {seen}"),
        Evidence::TheirWords(words) => format!("theirs: “{words}”"),
    }
}

fn knocked(knock: &Knock) -> String {
    let Heard { udp, short, tcp } = knock.heard;
    let heard = udp.is_heard() || tcp.is_heard() || short.is_heard();
    let narrow = if knock.is_narrow() { ", a short datagram is answered" } else { "" };
    let so = match (heard, knock.own) {
        (true, true) => ", so its host is up",
        (true, false) => ", by its host or the router in front",
        _ => "",
    };
    format!("knocked at {}: UDP {}{narrow}, TCP {}{so}", knock.addr, came(udp), came(tcp))
}

fn came(knocked: Knocked) -> &'static str {
    match knocked {
        Knocked::Answered => "answers",
        Knocked::Refused => "is refused",
        Knocked::Silent => "stays silent",
        Knocked::Forbidden => "is not let out by our own host",
        Knocked::NoRoute => "finds no way there",
    }
}
