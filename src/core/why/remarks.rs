//! What was measured of a link that stands and says more of it than that it does: a path
//! that loses much, a host that stood still, a clock that was set, a NAT that forgets soon.
//! The first of these is the verdict's cause.

use std::time::Duration;

use super::{Facts, Finding};
use crate::model::{CloseCode, NextAction, Path, Reason, Stamp, Sureness, WhyCause};

/// What happened longer ago says nothing of now.
const LATELY: Duration = Duration::from_secs(15 * 60);
/// From this loss on, by the lower end of its interval, it is felt.
const LOSS_FELT: f64 = 0.02;
/// A mapping that lives for less is one that heartbeats have to keep.
const FORGETS_SOON_S: u32 = 30;
/// A link that ended so soon after its host woke ended because of that.
const ENDED_BY_SLEEP: Duration = Duration::from_secs(60);

/// The verdict on a link that stands, with what was measured of it.
pub(super) fn with_remark(facts: &Facts<'_>, found: Finding) -> Finding {
    let Some(remark) =
        lossy(facts).or_else(|| slept(facts)).or_else(|| clock_set(facts)).or_else(|| forgets(facts))
    else {
        return found;
    };
    let Remark { cause, text, because, help, next } = remark;
    Finding {
        cause,
        verdict: format!("{} {text}", found.verdict),
        because,
        would_help: found.would_help.into_iter().chain(help.map(str::to_owned)).collect(),
        next: found.next.into_iter().chain(next).collect(),
        ..found
    }
}

/// What this host did, where it ended a link that is not back.
pub(super) fn ended_by_sleep(facts: &Facts<'_>) -> Option<Finding> {
    let text = slept_for(facts)?;
    Some(Finding {
        cause: WhyCause::Slept,
        verdict: format!("There is no link now: {text}, and the link ended meanwhile."),
        level: Sureness::High,
        because: "by the clocks of this host".to_owned(),
        would_help: vec![AWAKE.to_owned()],
        next: vec![NextAction::Connect],
    })
}

const AWAKE: &str = "a host that does not sleep while the link is wanted";

struct Remark {
    cause: WhyCause,
    text: String,
    because: String,
    help: Option<&'static str>,
    next: Option<NextAction>,
}

fn is_late(facts: &Facts<'_>, at: Stamp) -> bool {
    at.age_at(facts.now) > LATELY
}

/// The path lost much when it was tested.
fn lossy(facts: &Facts<'_>) -> Option<Remark> {
    let (tested, at) = facts.tested.as_ref().filter(|(_, at)| !is_late(facts, *at))?;
    let within = tested.loss_interval.filter(|within| within.lo >= LOSS_FELT)?;
    let (lost, sent) = tested.lost_of();
    let share = tested.loss()? * 100.0;
    Some(Remark {
        cause: WhyCause::LossyPath,
        text: format!(
            "The path loses much: {share:.1} % of a test's datagrams. The link stands that; what it carries \
             is slow."
        ),
        because: format!(
            "{lost} of {sent} datagrams were lost, {:.1} to {:.1} % of all that is sent there, tested {}",
            within.lo * 100.0,
            within.hi * 100.0,
            facts.ago(*at)
        ),
        help: Some("a wire, a radio or a provider that loses less: another test tells"),
        next: Some(NextAction::Test),
    })
}

/// "this node stood still for 30 s, until 12 s ago", where our last link to the peer ended
/// by that.
fn slept_for(facts: &Facts<'_>) -> Option<String> {
    let still = facts.stood_still.filter(|still| !is_late(facts, still.until))?;
    let (ended, reason) = facts.gone.as_ref()?;
    // Who woke ends its links by itself; others may have ended them before.
    let meanwhile = *ended >= still.until.before(still.lasted) && *ended <= still.until.after(ENDED_BY_SLEEP);
    let by_itself = matches!(
        reason,
        Reason::HeartbeatsMissed { .. }
            | Reason::ConnectionTimedOut
            | Reason::Closed { close: None | Some(CloseCode::Silent) }
    );
    (meanwhile && by_itself).then(|| {
        let (lasted, ago) = (still.lasted.as_secs(), facts.ago(still.until));
        format!("this node stood still for {lasted} s, until {ago}, as when a host sleeps")
    })
}

fn slept(facts: &Facts<'_>) -> Option<Remark> {
    let text = slept_for(facts)?;
    let (ended, _) = facts.gone.as_ref()?;
    // Of a link that ended before this one, and not of one in between.
    facts.link.filter(|link| link.since >= *ended)?;
    Some(Remark {
        cause: WhyCause::Slept,
        text: format!("It was made anew: {text}, and the one before ended meanwhile."),
        because: "the link stands; the rest by the clocks of this host".to_owned(),
        help: Some(AWAKE),
        next: None,
    })
}

fn clock_set(facts: &Facts<'_>) -> Option<Remark> {
    let set = facts.clock_set.filter(|set| !is_late(facts, set.at))?;
    let (seconds, way) = (set.by_ms.unsigned_abs() / 1_000, if set.by_ms > 0 { "ahead" } else { "back" });
    Some(Remark {
        cause: WhyCause::ClockSet,
        text: format!(
            "The clock of this host was set {} {way}, {}. Links do not go by it, and none ended; times of \
             day before that are off by as much.",
            span(seconds),
            facts.ago(set.at)
        ),
        because: "the link stands; the clock was compared with one that is never set".to_owned(),
        help: Some("a time service that keeps the clock right from the start"),
        next: None,
    })
}

/// Our NAT forgets what it is not reminded of, and this link needs it to remember.
fn forgets(facts: &Facts<'_>) -> Option<Remark> {
    facts.link.filter(|link| link.path == Path::Punched)?;
    let lifetime = facts.nat.lifetime.as_ref()?;
    lifetime.less_than_s.filter(|less| *less <= FORGETS_SOON_S)?;
    Some(Remark {
        cause: WhyCause::NatForgets,
        text: format!(
            "Our NAT forgets a silent mapping soon: it lives {lifetime}. Heartbeats keep this one open, and \
             cost their part in traffic."
        ),
        because: format!(
            "{} answered late, and its answer found no mapping, measured {}",
            lifetime.by.short(),
            facts.ago(lifetime.measured)
        ),
        help: Some("a longer UDP timeout on our router: two minutes at least, as RFC 4787 asks"),
        next: None,
    })
}

/// In the unit that suits it.
fn span(seconds: u64) -> String {
    match seconds {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}
