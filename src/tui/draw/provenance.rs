//! Where numbers are from: in a line under the peers, and value by value in the
//! why view. Measured by us, claimed by somebody, or derived; nothing is shown
//! as known that is not.

use ratatui::text::{Line, Span};

use super::Pen;
use crate::model::{LinkRow, PeerRow, Provenance, Stamp, Why, WhyFact, clean};
use crate::tui::fmt;

/// Who else was linked under a peer's name lately.
pub(crate) fn also(pen: &Pen<'_>, row: &PeerRow) -> Option<String> {
    let also = row.also.as_deref()?;
    Some(format!("also {} until {}", also.peer_id.short(), fmt::until(also.until, pen.now, pen.zone)))
}

/// Of a row of the table, as much as fits.
pub(crate) fn of_row(pen: &Pen<'_>, row: &PeerRow, room: usize) -> String {
    let word = if row.first_hand { "as it says" } else { "hearsay" };
    let rtt = match (row.rtt_ms, row.state.is_up()) {
        (None, _) => "never measured",
        (_, true) => "measured now",
        (_, false) => "~ last value before the link ended",
    };
    // What may be somebody else comes before everything else.
    let mut parts: Vec<String> = also(pen, row).map(|also| format!("name {also}")).into_iter().collect();
    parts.extend([format!("NAT: {word}"), format!("RTT {rtt}"), "OK counted by us".to_owned()]);
    if let Some(tested) = &row.tested {
        parts.insert(parts.len() - 1, format!("path tested {} ago", pen.age(tested.at)));
    }
    if !row.addresses.is_empty() {
        parts.push(format!("address {word}"));
    }
    let mut text = String::new();
    for part in parts {
        let more = if text.is_empty() { part } else { format!(" ─ {part}") };
        if text.chars().count() + more.chars().count() > room {
            break;
        }
        text += &more;
    }
    text
}

/// A value and where it is from.
pub(crate) struct Fact {
    name: String,
    value: Option<String>,
    from: String,
}

impl Fact {
    pub(crate) fn new(name: &str, value: impl Into<Option<String>>, from: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into(), from: from.into() }
    }

    pub(crate) fn line(self, pen: &Pen<'_>, room: usize) -> Line<'static> {
        let value = self.value.unwrap_or_else(|| "-".to_owned());
        Line::from(vec![
            Span::styled(format!("  {:<14}", self.name), pen.theme.dim),
            Span::raw(format!("{value:<room$} ")),
            Span::styled(self.from, pen.theme.dim),
        ])
    }
}

/// What the node says is known of the peer.
pub(crate) fn told(pen: &Pen<'_>, peer: &PeerRow, why: &Why) -> Vec<Fact> {
    let mut before = "";
    let mut out = Vec::new();
    for fact in &why.facts {
        let (name, value) = (fact.known.name(), fact.known.value(why.at));
        let from = source(pen, peer, fact, value.is_some());
        out.push(Fact::new(if name == before { "" } else { name }, value.as_deref().map(clean), from));
        before = name;
    }
    out
}

fn source(pen: &Pen<'_>, peer: &PeerRow, fact: &WhyFact, is_known: bool) -> String {
    let age = |at: Option<Stamp>| at.map_or_else(String::new, |at| format!(", {} ago", pen.age(at)));
    let word = match (fact.provenance, fact.by) {
        // What nobody knows is from nobody.
        _ if !is_known => return "not known".to_owned(),
        (Provenance::Measured, _) => "measured".to_owned(),
        (Provenance::Derived, _) => "derived".to_owned(),
        (Provenance::Claimed, Some(by)) if by == peer.peer_id => "claimed by itself".to_owned(),
        (Provenance::Claimed, Some(by)) => format!("claimed by {}", by.short()),
        (Provenance::Claimed, None) => "hearsay".to_owned(),
    };
    word + &age(fact.at)
}

/// What the console itself knows as long as the node has not told.
pub(crate) fn shown(pen: &Pen<'_>, peer: &PeerRow) -> Vec<Fact> {
    let claimed = if peer.first_hand { "claimed by itself" } else { "hearsay" };
    let nat = Some(peer.nat_type).filter(|nat| *nat != crate::model::NatType::Unknown);
    let mut facts = vec![
        Fact::new("name", peer.name.as_deref().map(clean), claimed),
        Fact::new("NAT type", nat.map(|nat| nat.name().to_owned()), claimed),
    ];
    if let Some(also) = also(pen, peer) {
        facts.insert(1, Fact::new("", also, "measured: who was linked under it"));
    }
    if peer.addresses.is_empty() {
        facts.push(Fact::new("address", None, "not known"));
    }
    for (i, addr) in peer.addresses.iter().enumerate() {
        facts.push(Fact::new(if i == 0 { "address" } else { "" }, addr.to_string(), claimed));
    }
    let rtt = if peer.state.is_up() { "measured by heartbeat" } else { "as last measured" };
    facts.push(Fact::new("round trip", peer.rtt_ms.map(|ms| fmt::millis(Some(ms))), rtt));
    let tries = (peer.attempts > 0).then(|| format!("{} of {} connected", peer.successes, peer.attempts));
    facts.push(Fact::new("attempts", tries, "measured, over restarts"));
    let seen = peer.last_seen.map(|at| format!("{} ago", pen.age(at)));
    let from = if peer.state.is_up() { "measured" } else { "ours, or hearsay if newer" };
    facts.push(Fact::new("last seen", seen, from));
    facts
}

/// What belongs to the row and the link, whoever told the rest.
pub(crate) fn of_link(peer: &PeerRow, link: Option<&LinkRow>) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("record", format!("version {}", peer.version), "claimed, in its record"),
        Fact::new("learned from", peer.source.name().to_owned(), "our own note"),
    ];
    if let Some(link) = link {
        let via = link.via.map_or_else(String::new, |via| format!(", relay {}", via.short()));
        facts.push(Fact::new("remote", format!("{}{via}", link.remote_addr), "measured: where its bytes go"));
        let bytes = format!("{} sent, {} received", fmt::bytes(link.bytes_tx), fmt::bytes(link.bytes_rx));
        facts.push(Fact::new("control bytes", bytes, "measured"));
        facts.push(Fact::new(
            "missed",
            fmt::count(u64::from(link.missed), "heartbeat"),
            "measured, in a row",
        ));
        facts.push(Fact::new("sees us at", link.observed.map(|a| a.to_string()), "claimed by itself"));
        let skew = link.clock_skew_ms.map(|ms| format!("{ms:+} ms"));
        facts.push(Fact::new("its clock", skew, "claimed by itself, against ours"));
    }
    facts.push(Fact::new(
        "peer id",
        format!("{}…", &peer.peer_id.to_string()[..32]),
        "verified by handshake if linked",
    ));
    facts
}
