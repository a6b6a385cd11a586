//! What happened, line by line.

use std::fmt;

use crate::model::{CoordinationStep, Declined, DropReason, PeerId, Reason, StageOutcome, TraceEvent};

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = |reason: &Option<Reason>, via: Option<&str>| match reason {
            Some(reason) => format!(": {}", reason.text_via(via)),
            None => String::new(),
        };
        let times = |n: u32| if n > 1 { format!(", {n} times") } else { String::new() };
        match self {
            Self::StageSkipped { stage, reason } => write!(f, "{stage} skipped{}", why(reason, None)),
            Self::StageBegan { stage, via: None } => write!(f, "{stage}"),
            Self::StageBegan { stage, via: Some(via) } => write!(f, "{stage} via {}", via.short()),
            Self::StageEnded { stage, outcome, reason, via } => {
                let how = match outcome {
                    StageOutcome::Running => "runs",
                    StageOutcome::Ok => "ok",
                    StageOutcome::Failed => "failed",
                    StageOutcome::Skipped => "called off",
                };
                write!(f, "{stage} {how}{}", why(reason, via.as_ref().map(PeerId::short).as_deref()))
            }
            Self::LinkUp { path: None, ours } => {
                write!(f, "link up: {}", if *ours { "we dialled" } else { "it dialled" })
            }
            Self::LinkUp { path: Some(path), ours } => {
                write!(f, "link up, {path}: {}", if *ours { "we dialled" } else { "it dialled us" })
            }
            Self::Dialled { addr, punch: false, times: n } => write!(f, "dial {addr}{}", times(*n)),
            Self::Dialled { addr, punch: true, times: n } => {
                write!(f, "punch: dial {addr}, which opens our NAT{}", times(*n))
            }
            Self::DialFailed { addr, reason: Reason::NoAnswer { .. } | Reason::TimedOut { .. } } => {
                write!(f, "heard nothing from {addr}")
            }
            Self::DialFailed { addr, reason } => write!(f, "{addr}: {reason}"),
            Self::AskedWhoHas { linked: 0 } => f.write_str("nobody to ask who is connected to it"),
            Self::AskedWhoHas { linked } => write!(f, "who is connected to it? asked of {linked} linked"),
            Self::Has { who, at } => write!(f, "{} is, and sees it at {at}", who.short()),
            Self::HasNot { who } => write!(f, "{} is not", who.short()),
            Self::Asked { via, invitation: false } => {
                write!(f, "asked {} to coordinate a punch", via.short())
            }
            Self::Asked { via, invitation: true } => {
                write!(f, "asked {} to invite it to our relay", via.short())
            }
            Self::Agreed { via, at } => write!(f, "{}: it agreed, and is seen at {at}", via.short()),
            Self::TurnedDown { via, reason } => write!(f, "{} turned it down: {reason}", via.short()),
            Self::ShortPassed { at } => {
                write!(f, "a short datagram was answered by {at}, the long ones of a handshake are not")
            }
            Self::LaneDialled { relay, at } => write!(f, "dial its reservation on {}, {at}", relay.short()),
            Self::Coordinated { invitation, step } => coordinated(*invitation, *step, f),
            Self::Told { words } => write!(f, "“{words}”"),
            Self::Unread => f.write_str("something that this version cannot read"),
        }
    }
}

/// Short enough to be shown whole.
fn coordinated(invitation: bool, step: CoordinationStep, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let what = if invitation { "invitation" } else { "punch" };
    match step {
        CoordinationStep::PassedOn => write!(f, "{what} passed on to the target"),
        CoordinationStep::Refused(DropReason::PunchUnknownTarget) => {
            write!(f, "{what} refused: not connected to the target")
        }
        CoordinationStep::Refused(rate) if rate.is_punch_rate() => {
            write!(f, "{what} refused: too many, {rate}")
        }
        CoordinationStep::Refused(rule) => write!(f, "{what} refused: {rule}"),
        CoordinationStep::TargetAgreed(at) => write!(f, "the target agreed; it is seen at {at}"),
        CoordinationStep::TargetRefused => f.write_str("the target does not want to"),
        CoordinationStep::TargetBusy => f.write_str("the target follows too many just now"),
        CoordinationStep::TargetHoldsOff => {
            f.write_str("the target's operator holds links with the asker off")
        }
        CoordinationStep::TargetSilent => f.write_str("the target did not answer"),
        CoordinationStep::Taken => write!(f, "{what} taken"),
        CoordinationStep::Declined(why) => write!(f, "{what} not taken: {}", declined(why)),
        CoordinationStep::Dialled(at) if invitation => write!(f, "dialled {at}, the reservation"),
        CoordinationStep::Dialled(at) => write!(f, "dialled {at} for the punch"),
        CoordinationStep::HeardNothing(at) => write!(f, "heard nothing from {at}"),
    }
}

fn declined(why: Declined) -> &'static str {
    match why {
        Declined::HeldOff => "the operator here disconnected it",
        Declined::Busy => "too many just now",
        Declined::Unwanted => "without consent",
        Declined::Nowhere => "not to be dialled",
    }
}
