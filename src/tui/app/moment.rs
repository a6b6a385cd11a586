//! Looking at another moment than now: one that was held, or one of the past.
//! What is shown stands still; the node goes on.

use std::sync::Arc;
use std::time::Duration;

use super::{App, Pane};
use crate::model::{Snapshot, Stamp};
use crate::tui::bindings::{Action, Scope};
use crate::tui::fmt;

/// How far `{` and `}` go.
const LEAP: Duration = Duration::from_secs(60);

/// The moment that is looked at.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(super) snapshot: Arc<Snapshot>,
    /// When it is.
    pub(crate) now: Stamp,
    /// The number after the last timeline entry that is shown.
    pub(crate) timeline_end: u64,
    /// The number after the last log line that is shown.
    pub(crate) lines_end: u64,
    /// Whether it is of the past; else it was now when somebody held it.
    pub(crate) past: bool,
    /// Snapshots that came since it was held.
    pub(crate) missed: u64,
    /// Since when it goes on as time did then, and the moment at which that began.
    playing: Option<(Duration, Stamp)>,
}

/// A way through the moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// To where something last changed.
    Back,
    /// To where something changes next.
    Forth,
    /// A minute back.
    LeapBack,
    /// A minute forth.
    LeapForth,
}

impl App {
    /// The moment that is looked at, if it is not now.
    pub(crate) fn moment(&self) -> Option<&Moment> {
        self.moment.as_ref()
    }

    /// Holds the screen still, or goes on; plays a file, or stops.
    pub(super) fn toggle_freeze(&mut self) {
        if self.replay.is_some() {
            self.toggle_play();
            return;
        }
        if self.moment.is_some() {
            self.back_to_now();
            return;
        }
        self.moment = Some(Moment {
            snapshot: Arc::clone(&self.live),
            now: self.node_now(),
            timeline_end: self.timeline.end(),
            lines_end: self.lines.end(),
            past: false,
            missed: 0,
            playing: None,
        });
        self.refresh();
    }

    fn toggle_play(&mut self) {
        let Some(moment) = &mut self.moment else { return };
        if moment.playing.take().is_some() {
            return;
        }
        // From the end there is only the beginning to go to.
        if self.boundary.record().last().is_none_or(|last| last <= moment.now)
            && let Some(first) = self.boundary.record().first()
        {
            self.look_at(first);
        }
        if let Some(moment) = &mut self.moment {
            moment.playing = Some((self.at, moment.now));
        }
    }

    /// Whether a file is being played.
    pub(crate) fn is_playing(&self) -> bool {
        self.moment.as_ref().is_some_and(|moment| moment.playing.is_some())
    }

    /// Goes on to where time is in a file that is played.
    pub(super) fn play_on(&mut self) {
        let Some(Moment { playing: Some(began), snapshot, .. }) = &self.moment else { return };
        let (began, shown) = (*began, snapshot.at);
        let now = began.1.after(self.at.saturating_sub(began.0));
        let Some(last) = self.boundary.record().last() else { return };
        if now >= last {
            self.look_at(last);
            return;
        }
        if self.boundary.record().moment_at(now).is_some_and(|at| at != shown) {
            self.look_at(now);
        }
        let (timeline_end, lines_end) = (self.timeline.end_at(now), self.lines.end_at(now));
        if let Some(moment) = &mut self.moment {
            (moment.now, moment.playing) = (now, Some(began));
            (moment.timeline_end, moment.lines_end) = (timeline_end, lines_end);
        }
    }

    /// How soon a file that is played shows something else.
    pub(crate) fn plays_on_in(&self) -> Option<Duration> {
        let moment = self.moment.as_ref().filter(|moment| moment.playing.is_some())?;
        let next = self.boundary.record().moment_from(moment.now.after(Duration::from_millis(1)))?;
        Some(moment.now.age_at(next).min(Duration::from_secs(1)))
    }

    /// Shows what is, again; of a file, its end.
    pub(super) fn back_to_now(&mut self) {
        if self.replay.is_some() {
            if let Some(last) = self.boundary.record().last() {
                self.look_at(last);
            }
            return;
        }
        self.moment = None;
        self.timeline.follow();
        self.lines.follow();
        self.refresh();
    }

    /// Why nothing can be asked of the node here, if it is for the moment.
    pub(super) fn of_this_moment(&self) -> Result<(), String> {
        match &self.moment {
            _ if self.replay.is_some() => Err("this is a replay, there is no node to ask".to_owned()),
            Some(moment) if moment.past => {
                let time = fmt::time_of_day(moment.now, &self.zone);
                let back = self.keys.key_of(Scope::Main, Action::Back);
                Err(format!("you are looking at {}; {back} comes back", &time[..time.len().min(8)]))
            }
            _ => Ok(()),
        }
    }

    /// Goes through the moments.
    pub(super) fn step(&mut self, step: Step) {
        match self.where_to(step) {
            Ok(Some(at)) => self.look_at(at),
            // After the last one comes now.
            Ok(None) => self.back_to_now(),
            Err(_) => {}
        }
    }

    /// Where a step leads; `None` is now. Or why it leads nowhere.
    pub(super) fn where_to(&self, step: Step) -> Result<Option<Stamp>, String> {
        let from = self.moment.as_ref().map_or_else(|| self.live.at, |moment| moment.now);
        let record = self.boundary.record();
        match step {
            Step::Back => record.change_before(from).map(Some).ok_or_else(|| self.how_far_back()),
            Step::LeapBack => {
                let there = record.moment_at(from.before(LEAP)).or_else(|| record.first());
                there.filter(|at| *at < from).map(Some).ok_or_else(|| self.how_far_back())
            }
            _ if self.moment.is_none() => Err("this is now".to_owned()),
            Step::Forth | Step::LeapForth if self.is_at_the_end() => {
                Err("this is the last moment of the file".to_owned())
            }
            Step::Forth => Ok(record.change_after(from)),
            Step::LeapForth => Ok(record.moment_from(from.after(LEAP))),
        }
    }

    /// When the newest moment that is kept was.
    pub(crate) fn last_moment(&self) -> Stamp {
        self.boundary.record().last().unwrap_or(self.live.at)
    }

    /// Whether it is a file, and its last moment is looked at.
    pub(super) fn is_at_the_end(&self) -> bool {
        let now = self.moment.as_ref().map(|moment| moment.now);
        self.replay.is_some() && now >= self.boundary.record().last()
    }

    fn how_far_back(&self) -> String {
        let time = self
            .boundary
            .record()
            .first()
            .map_or_else(|| "-".to_owned(), |at| fmt::time_of_day(at, &self.zone));
        format!("nothing older is kept than {}", &time[..time.len().min(8)])
    }

    /// Shows the moment of a kept time.
    pub(super) fn look_at(&mut self, at: Stamp) {
        let Some(snapshot) = self.boundary.at(at) else { return };
        let missed = self.moment.as_ref().map_or(0, |moment| moment.missed);
        if self.replay.is_some() {
            self.live = Arc::clone(&snapshot);
        }
        let timeline_end = self.timeline.end_at(at);
        let lines_end = self.lines.end_at(at);
        self.moment =
            Some(Moment { snapshot, now: at, timeline_end, lines_end, past: true, missed, playing: None });
        self.lines.follow();
        if self.focus != Pane::Events {
            self.timeline.follow();
        }
        self.refresh();
    }

    /// The number after the last timeline entry that is shown.
    pub(crate) fn timeline_end(&self) -> u64 {
        self.moment.as_ref().map_or(u64::MAX, |moment| moment.timeline_end)
    }

    /// Whether the moment of the chosen event can be gone to.
    pub(super) fn event_in_reach(&self) -> Result<Stamp, String> {
        let chosen = self.timeline.chosen(self.timeline_end()).ok_or("there is no event to go to")?;
        let first = self.boundary.record().first().filter(|first| *first <= chosen.at());
        first.map(|_| chosen.at()).ok_or_else(|| self.how_far_back())
    }

    /// Goes to the first moment that shows the chosen event.
    pub(super) fn go_to_event(&mut self) {
        let Ok(at) = self.event_in_reach() else { return };
        // The newest state may be the first that shows it, and is not kept yet.
        if self.boundary.record().moment_from(at).is_none() {
            self.boundary.keep();
        }
        match self.boundary.record().moment_from(at) {
            Some(moment) => self.look_at(moment),
            None => self.back_to_now(),
        }
    }
}
