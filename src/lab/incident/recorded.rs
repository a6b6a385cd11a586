//! What was recorded of an incident, read from where a node told it.

use serde::Deserialize;

use super::{Actors, End, Incident};
use crate::model::{NatType, NatView, PeerId, Snapshot, Why, WhyCause, WhyNats};

/// What `ctl why --json` prints, as far as it is of use.
#[derive(Debug, Deserialize)]
struct Report {
    peer_id: PeerId,
    cause: WhyCause,
    verdict: String,
    nats: WhyNats,
    timeline: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    at_ms: u64,
    who: PeerId,
    what: String,
}

impl Incident {
    /// Of an answer to why, and what the node showed at that moment. `me`: who was
    /// asked.
    pub fn of_why(why: &Why, me: PeerId, shown: Option<&Snapshot>) -> Self {
        let link = shown.and_then(|s| s.link(&why.peer_id));
        let lines = why.timeline.iter().map(|l| (l.at_ms, l.who, l.what.to_string()));
        let here = shown.map(|s| end_of(&s.nat));
        Self {
            rtt_ms: link.and_then(|link| link.rtt_ms),
            ..told(why.peer_id, Some(me), (why.cause(), &why.verdict_words()), why.nats, here, lines)
        }
    }

    /// Of what `ctl why --json` printed.
    ///
    /// # Errors
    /// What is missing in it, and where.
    pub fn of_report(text: &str) -> Result<Self, serde_json::Error> {
        let report: Report = serde_json::from_str(text)?;
        // Whoever did something first, and is not the peer, asked.
        let me = report.timeline.iter().map(|line| line.who).find(|who| *who != report.peer_id);
        let lines = report.timeline.into_iter().map(|l| (l.at_ms, l.who, l.what));
        Ok(told(report.peer_id, me, (report.cause, &report.verdict), report.nats, None, lines))
    }
}

fn told(
    peer: PeerId,
    me: Option<PeerId>,
    (cause, verdict): (WhyCause, &str),
    nats: WhyNats,
    here: Option<End>,
    lines: impl Iterator<Item = (u64, PeerId, String)>,
) -> Incident {
    let mut actors = Actors::new(me, peer);
    let story = lines.map(|(at_ms, who, what)| {
        let who = actors.call(who);
        format!("{at_ms} ms {who}: {}", actors.retell(&what))
    });
    let story = story.collect();
    let end = |nat: NatType| End { nat, ..End::default() };
    Incident {
        cause,
        verdict: actors.retell(verdict),
        here: here.unwrap_or(end(nats.ours)),
        there: end(nats.theirs),
        rtt_ms: None,
        story,
    }
}

fn end_of(nat: &NatView) -> End {
    // One died within that time, or one lived that long.
    let remembers_s = nat.lifetime.as_ref().and_then(|l| l.less_than_s.or(Some(l.at_least_s)));
    End { nat: nat.nat_type, firewalled: nat.is_firewalled(), remembers_s: remembers_s.filter(|s| *s > 0) }
}
