//! What is remembered, and which moment of it is looked at: now, one that was held, or one
//! of the past. What is shown stands still then; the node goes on.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::{About, Bundle, RecordingBoundary};
use crate::model::{Snapshot, Stamp};
use crate::tui::bindings::Step;
use crate::tui::fmt;

/// How far `{` and `}` go.
const LEAP: Duration = Duration::from_secs(60);

/// The moment that is looked at.
#[derive(Debug)]
pub(crate) struct Moment {
    snapshot: Arc<Snapshot>,
    /// When it is.
    pub(crate) now: Stamp,
    /// Whether it is of the past; else it was now when somebody held it.
    pub(crate) past: bool,
    /// Snapshots that came since it was held.
    pub(crate) missed: u64,
    /// Since when it goes on as time did then, and the moment at which that began.
    playing: Option<(Duration, Stamp)>,
}

/// Where a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// To the moment of that time.
    Then(Stamp),
    /// To now.
    Now,
}

/// Everything that is remembered, and the moment that is looked at.
#[derive(Debug)]
pub(crate) struct History {
    /// What everything passes that comes in; it records it as it was.
    boundary: RecordingBoundary,
    /// The moment that is looked at, if it is not now.
    moment: Option<Moment>,
    /// What is looked at, if it is a file and not a node.
    replay: Option<About>,
    /// Whether a file is being written.
    pub(crate) writing: bool,
}

impl History {
    /// Of a node whose state is that.
    pub(crate) fn new(live: Arc<Snapshot>) -> Self {
        Self { boundary: RecordingBoundary::new(live), moment: None, replay: None, writing: false }
    }

    /// Of a file; `None` if there is no moment in it.
    pub(crate) fn on_file(bundle: Bundle) -> Option<Self> {
        let boundary = RecordingBoundary::on_file(bundle)?;
        Some(Self { boundary, moment: None, replay: None, writing: false })
    }

    /// What everything passes.
    pub(crate) fn boundary(&self) -> &RecordingBoundary {
        &self.boundary
    }

    /// The same, for what comes in.
    pub(crate) fn boundary_mut(&mut self) -> &mut RecordingBoundary {
        &mut self.boundary
    }

    /// The moment that is looked at, if it is not now.
    pub(crate) fn moment(&self) -> Option<&Moment> {
        self.moment.as_ref()
    }

    /// Its snapshot.
    pub(crate) fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.moment.as_ref().map(|moment| &moment.snapshot)
    }

    /// What is looked at, if it is a file.
    pub(crate) fn replayed(&self) -> Option<&About> {
        self.replay.as_ref()
    }

    /// Reads again what the file says of itself.
    pub(crate) fn recall_about(&mut self) {
        self.replay = self.boundary.about();
    }

    /// Whether pseudonyms stand for peers, addresses and names.
    pub(crate) fn is_masked(&self) -> bool {
        self.boundary.is_masked() || self.replay.as_ref().is_some_and(|about| about.masked)
    }

    /// A snapshot came. Says whether it is shown.
    pub(crate) fn on_snapshot(&mut self) -> bool {
        match &mut self.moment {
            Some(moment) => {
                moment.missed += 1;
                false
            }
            None => true,
        }
    }

    /// Holds what is now.
    pub(crate) fn hold(&mut self, snapshot: Arc<Snapshot>, now: Stamp) {
        self.moment = Some(Moment { snapshot, now, past: false, missed: 0, playing: None });
    }

    /// Shows what is now.
    pub(crate) fn release(&mut self) {
        self.moment = None;
    }

    /// Looks away from the past, to look at the same time again later: that time.
    pub(crate) fn leave_past(&mut self) -> Option<Stamp> {
        self.moment.take().filter(|moment| moment.past).map(|moment| moment.now)
    }

    /// Looks at the moment of a time; its snapshot, if one is kept.
    pub(crate) fn look_at(&mut self, at: Stamp) -> Option<Arc<Snapshot>> {
        let snapshot = self.boundary.at(at)?;
        let missed = self.moment.as_ref().map_or(0, |moment| moment.missed);
        self.moment =
            Some(Moment { snapshot: Arc::clone(&snapshot), now: at, past: true, missed, playing: None });
        Some(snapshot)
    }

    /// Whether a file is being played.
    pub(crate) fn is_playing(&self) -> bool {
        self.moment.as_ref().is_some_and(|moment| moment.playing.is_some())
    }

    /// Plays the file from the moment that is looked at. `at`: the console's time.
    pub(crate) fn play(&mut self, at: Duration) {
        if let Some(moment) = &mut self.moment {
            moment.playing = Some((at, moment.now));
        }
    }

    /// Stops. Says whether it played.
    pub(crate) fn stop(&mut self) -> bool {
        self.moment.as_mut().is_some_and(|moment| moment.playing.take().is_some())
    }

    /// Where time is in a file that is played, and whether another moment is to be shown
    /// there than is.
    pub(crate) fn played_to(&self, at: Duration) -> Option<(Stamp, bool)> {
        let Some(Moment { playing: Some((began, from)), snapshot, .. }) = &self.moment else { return None };
        let record = self.boundary.record();
        let now = from.after(at.saturating_sub(*began)).min(record.last()?);
        Some((now, record.moment_at(now).is_some_and(|at| at != snapshot.at)))
    }

    /// Goes on to that time in a file that is played; to the next moment where there is
    /// `another` there. At the end it stops.
    pub(crate) fn play_on(&mut self, now: Stamp, another: bool) -> Option<Arc<Snapshot>> {
        let playing = self.moment.as_ref().and_then(|moment| moment.playing);
        let at_the_end = self.boundary.record().last() == Some(now);
        let shown = if another || at_the_end { self.look_at(now) } else { None };
        if let Some(moment) = self.moment.as_mut().filter(|_| !at_the_end) {
            (moment.now, moment.playing) = (now, playing);
        }
        shown
    }

    /// How soon a file that is played shows something else.
    pub(crate) fn plays_on_in(&self) -> Option<Duration> {
        let moment = self.moment.as_ref().filter(|moment| moment.playing.is_some())?;
        let next = self.boundary.record().moment_from(moment.now.after(Duration::from_millis(1)))?;
        Some(moment.now.age_at(next).min(Duration::from_secs(1)))
    }

    /// When the oldest and the newest moment were that are kept.
    pub(crate) fn reach(&self) -> (Option<Stamp>, Option<Stamp>) {
        (self.boundary.record().first(), self.boundary.record().last())
    }

    /// Whether it is a file, and its last moment is looked at.
    pub(crate) fn is_at_the_end(&self) -> bool {
        let now = self.moment.as_ref().map(|moment| moment.now);
        self.replay.is_some() && now >= self.boundary.record().last()
    }

    /// Where a step leads from the moment that is looked at, or from now. Or why it leads
    /// nowhere.
    pub(crate) fn where_to(&self, step: Step, now: Stamp, zone: &TimeZone) -> Result<Place, String> {
        let from = self.moment.as_ref().map_or(now, |moment| moment.now);
        let record = self.boundary.record();
        let too_far = || self.how_far_back(zone);
        match step {
            Step::Back => record.change_before(from).map(Place::Then).ok_or_else(too_far),
            Step::LeapBack => {
                let there = record.moment_at(from.before(LEAP)).or_else(|| record.first());
                there.filter(|at| *at < from).map(Place::Then).ok_or_else(too_far)
            }
            _ if self.moment.is_none() => Err("this is now".to_owned()),
            Step::Forth | Step::LeapForth if self.is_at_the_end() => {
                Err("this is the last moment of the file".to_owned())
            }
            // After the last one comes now.
            Step::Forth => Ok(record.change_after(from).map_or(Place::Now, Place::Then)),
            Step::LeapForth => Ok(record.moment_from(from.after(LEAP)).map_or(Place::Now, Place::Then)),
        }
    }

    /// Whether the moment of something that happened then is kept; if not, why.
    pub(crate) fn in_reach(&self, at: Stamp, zone: &TimeZone) -> Result<(), String> {
        let first = self.boundary.record().first().filter(|first| *first <= at);
        first.map(|_| ()).ok_or_else(|| self.how_far_back(zone))
    }

    /// The first moment that shows what happened then.
    pub(crate) fn moment_of(&mut self, at: Stamp) -> Place {
        // The newest state may be the first that shows it, and is not kept yet.
        if self.boundary.record().moment_from(at).is_none() {
            self.boundary.keep();
        }
        self.boundary.record().moment_from(at).map_or(Place::Now, Place::Then)
    }

    fn how_far_back(&self, zone: &TimeZone) -> String {
        let first = self.boundary.record().first();
        let time = first.map_or_else(|| "-".to_owned(), |at| fmt::time_of_day(at, zone));
        format!("nothing older is kept than {}", &time[..time.len().min(8)])
    }
}
