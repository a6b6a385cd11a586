//! Why a link is what it is: the story of both ends, and a verdict.

use std::time::Duration;

use super::ladder::Terrain;
use crate::model::{
    Attempt, AttemptOutcome, NatType, NatView, NextAction, Path, PeerId, Reason, StageKind, StageOutcome,
    Stamp, Why, WhyLine,
};

/// What one end knows of it.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Who asks.
    pub me: PeerId,
    /// About whom.
    pub peer: PeerId,
    /// Now.
    pub now: Stamp,
    /// The path of the link, and its relay, if it stands.
    pub link: Option<(Path, Option<PeerId>)>,
    /// Our own NAT.
    pub nat: &'a NatView,
    /// What is measured of both ends.
    pub terrain: Terrain,
    /// Whether the peer's NAT type is its own word.
    pub first_hand: bool,
    /// The latest attempt of ours.
    pub attempt: Option<&'a Attempt>,
    /// The peer's half.
    pub theirs: Theirs,
}

/// The other half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Theirs {
    /// There is no link to ask over.
    NotAsked,
    /// It did not answer.
    Silent,
    /// As it told it: when it measured its NAT, what it saw of it, and what it
    /// did.
    Told {
        /// When it measured its NAT.
        measured: Option<Stamp>,
        /// What it saw of it.
        evidence: Vec<String>,
        /// What it did about us, and when.
        notes: Vec<(Stamp, String)>,
    },
}

/// An attempt as notes: when, and what.
pub fn notes(attempt: &Attempt) -> Vec<(Stamp, String)> {
    let mut notes = Vec::new();
    for stage in &attempt.stages {
        let kind = stage.stage;
        let via = stage.via.map(|via| format!(" via {}", via.short())).unwrap_or_default();
        let why = stage.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        let ended = |word| {
            let took = Duration::from_millis(stage.elapsed_ms.unwrap_or(0));
            (stage.started.after(took), format!("{kind} {word}{why}"))
        };
        if stage.outcome == StageOutcome::Skipped && stage.elapsed_ms == Some(0) {
            notes.push((stage.started, format!("{kind} skipped{why}")));
            continue;
        }
        notes.push((stage.started, format!("{kind}{via}")));
        match stage.outcome {
            StageOutcome::Running => {}
            StageOutcome::Ok => notes.push(ended("ok")),
            StageOutcome::Failed => notes.push(ended("failed")),
            StageOutcome::Skipped => notes.push(ended("called off")),
        }
    }
    notes
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

/// Tells it.
pub fn explain(facts: &Facts<'_>) -> Why {
    let mut timeline: Vec<(Stamp, PeerId, String)> = Vec::new();
    if let Some(attempt) = facts.attempt {
        timeline.extend(notes(attempt).into_iter().map(|(at, what)| (at, facts.me, what)));
    }
    if let Theirs::Told { notes, .. } = &facts.theirs {
        timeline.extend(notes.iter().map(|(at, what)| (*at, facts.peer, what.clone())));
    }
    timeline.sort_by_key(|(at, ..)| *at);
    let begun = facts.attempt.map(|a| a.started).or(timeline.first().map(|(at, ..)| *at));
    let line = |(at, who, what): (Stamp, PeerId, String)| {
        let at_ms = begun.map_or(0, |begun| begun.age_at(at).as_millis());
        WhyLine { at_ms: u64::try_from(at_ms).unwrap_or(u64::MAX), who, what }
    };
    Why {
        peer_id: facts.peer,
        path: facts.link.map(|(path, _)| path),
        verdict: verdict(facts),
        timeline: timeline.into_iter().map(line).collect(),
        evidence: evidence(facts),
        would_help: would_help(facts),
        next: next(facts),
    }
}

fn verdict(facts: &Facts<'_>) -> String {
    let Terrain { ours, theirs, .. } = facts.terrain;
    let both = format!("Theirs {}; ours {}.", what_it_does(theirs), what_it_does(ours));
    match facts.link {
        Some((Path::Direct, _)) if facts.terrain.can_dial() == Some(true) => {
            format!("It is reached directly: it {}.", what_it_does(theirs))
        }
        Some((Path::Direct, _)) => {
            "Its address, or ours, answers a plain dial; no help was needed.".to_owned()
        }
        Some((Path::Punched, _)) => format!("A coordinated punch opened both NATs. {both}"),
        Some((Path::Relayed, via)) => {
            let over = via.map(|via| format!(" over {}", via.short())).unwrap_or_default();
            if facts.terrain.can_punch() {
                let why = failed(facts, StageKind::Punch);
                let why = why.map_or_else(
                    || "No punch of ours has been tried yet".to_owned(),
                    |reason| format!("The punch has not succeeded: {reason}"),
                );
                format!("It is relayed{over}. {why}.")
            } else {
                format!("It is relayed{over}: both NATs are known and cannot be punched. {both}")
            }
        }
        None => match facts.attempt {
            Some(attempt) if attempt.outcome.is_none() => "An attempt is running.".to_owned(),
            Some(attempt) if attempt.outcome == Some(AttemptOutcome::Unreachable) => {
                let why = super::ladder::telling_reason(&attempt.stages);
                let why = why.map_or_else(String::new, |reason| format!(": {reason}"));
                format!("No stage of the last attempt got through{why}.")
            }
            Some(_) => "There is no link now; the last attempt of ours got through.".to_owned(),
            None => "There is no link, and no attempt of ours is remembered.".to_owned(),
        },
    }
}

/// Why a stage did not bring the link.
fn failed<'a>(facts: &Facts<'a>, stage: StageKind) -> Option<&'a Reason> {
    let stages = &facts.attempt?.stages;
    stages.iter().rev().find(|s| s.stage == stage).and_then(|s| s.reason.as_ref())
}

fn evidence(facts: &Facts<'_>) -> Vec<String> {
    let age = |at: Stamp| format!("{} s ago", at.age_at(facts.now).as_secs());
    let mut lines = Vec::new();
    let measured = facts.nat.measured.map(|at| format!(", measured {}", age(at))).unwrap_or_default();
    lines.push(format!("our NAT: {}{measured}", facts.nat.summary()));
    lines.extend(facts.nat.evidence.iter().map(|e| format!("ours: {e}")));
    let word = if facts.first_hand { "its own word" } else { "hearsay" };
    lines.push(format!("their NAT: {}, {word}", facts.terrain.theirs));
    match &facts.theirs {
        Theirs::NotAsked => lines.push("their half is not known: there is no link to ask over".to_owned()),
        Theirs::Silent => lines.push("their half is not known: it did not answer".to_owned()),
        Theirs::Told { measured, evidence, .. } => {
            lines.extend(measured.map(|at| format!("theirs was measured {}, by their account", age(at))));
            lines.extend(evidence.iter().map(|e| format!("theirs: {e}")));
        }
    }
    lines
}

fn would_help(facts: &Facts<'_>) -> Vec<String> {
    let Terrain { ours, theirs, .. } = facts.terrain;
    let relayed = matches!(facts.link, Some((Path::Relayed, _)));
    let mut help = Vec::new();
    if facts.link.is_some() && !relayed {
        return help;
    }
    if ours == NatType::Unknown || theirs == NatType::Unknown {
        help.push("more public peers to measure the NATs with".to_owned());
    }
    if !facts.terrain.can_punch() {
        help.push("IPv6 at both ends".to_owned());
        for (nat, whose) in [(ours, "our"), (theirs, "their")] {
            if nat == NatType::Symmetric {
                help.push(format!(
                    "a port forwarded on {whose} router, or one that maps the same for everybody"
                ));
            }
        }
    }
    if failed(facts, StageKind::Relay).is_some_and(|r| matches!(r, Reason::NoRelay | Reason::NobodyToInvite))
    {
        help.push("a public peer that both ends are linked to".to_owned());
    }
    help
}

fn next(facts: &Facts<'_>) -> Vec<NextAction> {
    match facts.link.map(|(path, _)| path) {
        Some(Path::Relayed) => vec![NextAction::Punch, NextAction::Failover, NextAction::NatProbe],
        Some(_) => Vec::new(),
        None => vec![NextAction::Connect, NextAction::Punch, NextAction::Relay, NextAction::NatProbe],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptId, Cause, StageReport};

    const ME: PeerId = PeerId([1; 32]);
    const PEER: PeerId = PeerId([2; 32]);
    const RELAY: PeerId = PeerId([3; 32]);

    fn at(ms: u64) -> Stamp {
        Stamp(1_800_000_000_000).after(Duration::from_millis(ms))
    }

    fn stage(
        stage: StageKind,
        outcome: StageOutcome,
        ms: u64,
        took: u64,
        reason: Option<Reason>,
    ) -> StageReport {
        StageReport { stage, outcome, reason, started: at(ms), elapsed_ms: Some(took), via: Some(RELAY) }
    }

    fn attempt(stages: Vec<StageReport>, outcome: AttemptOutcome) -> Attempt {
        Attempt {
            id: AttemptId(1),
            peer_id: Some(PEER),
            target: None,
            cause: Cause::Operator,
            started: at(0),
            outcome: Some(outcome),
            path: None,
            elapsed_ms: Some(970),
            stages,
            next: None,
        }
    }

    fn facts<'a>(nat: &'a NatView, attempt: Option<&'a Attempt>) -> Facts<'a> {
        Facts {
            me: ME,
            peer: PEER,
            now: at(60_000),
            link: Some((Path::Relayed, Some(RELAY))),
            nat,
            terrain: Terrain {
                ours: NatType::PortRestricted,
                theirs: NatType::Symmetric,
                ..Terrain::default()
            },
            first_hand: true,
            attempt,
            theirs: Theirs::NotAsked,
        }
    }

    #[test]
    fn two_nats_that_cannot_be_punched_are_the_verdict_and_what_would_help_follows() {
        let nat = NatView { nat_type: NatType::PortRestricted, measured: Some(at(0)), ..NatView::default() };
        let why = explain(&facts(&nat, None));
        assert!(why.verdict.contains("cannot be punched"), "{}", why.verdict);
        assert!(
            why.verdict.contains("maps per destination") && why.verdict.contains("exact address and port")
        );
        assert!(
            why.evidence.contains(&"our NAT: port-restricted, measured 60 s ago".to_owned()),
            "{:?}",
            why.evidence
        );
        assert!(why.would_help.iter().any(|h| h.contains("their router")));
        assert_eq!(why.next, [NextAction::Punch, NextAction::Failover, NextAction::NatProbe]);
    }

    #[test]
    fn a_punch_that_could_have_succeeded_is_named_with_its_reason() {
        let nat = NatView::default();
        let failed = Some(Reason::TimedOut { after_ms: 30_000 });
        let told = attempt(
            vec![stage(StageKind::Punch, StageOutcome::Failed, 10, 900, failed)],
            AttemptOutcome::Connected,
        );
        let terrain =
            Terrain { ours: NatType::PortRestricted, theirs: NatType::PortRestricted, ..Terrain::default() };
        let why = explain(&Facts { terrain, ..facts(&nat, Some(&told)) });
        assert!(why.verdict.contains("no result after 30.0 s"), "{}", why.verdict);
    }

    #[test]
    fn what_both_ends_did_stands_in_the_order_in_which_it_happened() {
        let nat = NatView::default();
        let told = attempt(
            vec![
                stage(StageKind::Direct, StageOutcome::Skipped, 0, 0, Some(Reason::NoAddress)),
                stage(StageKind::Relay, StageOutcome::Ok, 910, 60, None),
            ],
            AttemptOutcome::Connected,
        );
        let notes = vec![(at(168), "agreed to a punch".to_owned())];
        let theirs = Theirs::Told { measured: None, evidence: vec!["seen at two ports".into()], notes };
        let why = explain(&Facts { theirs, ..facts(&nat, Some(&told)) });
        let lines: Vec<_> = why.timeline.iter().map(|l| (l.at_ms, l.who, l.what.as_str())).collect();
        assert_eq!(
            lines,
            [
                (0, ME, "direct skipped: no address known"),
                (168, PEER, "agreed to a punch"),
                (910, ME, "relay via 030303"),
                (970, ME, "relay ok"),
            ]
        );
        assert!(why.evidence.contains(&"theirs: seen at two ports".to_owned()));
    }

    #[test]
    fn without_a_link_the_last_reason_is_the_verdict_and_everything_can_be_tried() {
        let nat = NatView::default();
        let told = attempt(
            vec![stage(StageKind::Relay, StageOutcome::Failed, 0, 10, Some(Reason::NobodyToInvite))],
            AttemptOutcome::Unreachable,
        );
        let why = explain(&Facts { link: None, ..facts(&nat, Some(&told)) });
        assert!(why.verdict.contains("nobody to pass an invitation on"), "{}", why.verdict);
        assert!(why.next.contains(&NextAction::Connect));
        assert!(why.evidence.iter().any(|e| e.contains("no link to ask over")));
    }
}
