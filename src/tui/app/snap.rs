//! Writing what the console remembers to a file, and looking at such a file.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::{App, Effect, Tone};
use crate::tui::fmt;
use crate::tui::history::{About, Bundle, RecordingBoundary};
use crate::tui::logs::Logs;
use crate::tui::theme::Theme;

/// What came of writing a file: where it is and how long, or why there is none.
pub(crate) type Snapped = Result<(PathBuf, u64), String>;

impl App {
    /// A console on a file; `None` if there is no moment in it.
    pub(crate) fn replay(bundle: Bundle, theme: Theme, zone: TimeZone) -> Option<Self> {
        let mut boundary = RecordingBoundary::on_file(bundle)?;
        let mut app = Self::new(boundary.live(), theme, zone, Logs::Here);
        app.boundary = boundary;
        app.recall_all();
        if let Some(lab) = app.boundary.lab() {
            app.take_lab(lab);
        }
        app.look_at(app.live.at);
        Some(app)
    }

    /// What is looked at, if it is a file.
    pub(crate) fn replayed(&self) -> Option<&About> {
        self.replay.as_ref()
    }

    /// Everything that is remembered, as it is now, ready to be written elsewhere.
    pub(crate) fn bundle(&mut self) -> Bundle {
        let now = self.node_now();
        self.boundary.bundle(now)
    }

    pub(super) fn snap(&mut self) -> Vec<Effect> {
        self.snapping = true;
        vec![Effect::Snap]
    }

    pub(super) fn snapped(&mut self, snapped: Snapped) {
        self.snapping = false;
        let now = self.node_now();
        match snapped {
            Ok((path, bytes)) => {
                let record = self.boundary.record();
                let reach = record.first().map(|first| first.age_at(record.last().unwrap_or(first)));
                let reach = fmt::exactly(reach.unwrap_or_default());
                let (path, bytes) = (path.display(), fmt::bytes(bytes));
                let text = format!("wrote the last {reach} to {path} ({bytes}): punchdeck replay opens it");
                self.commands.say(Tone::Good, text, now);
            }
            Err(why) => self.commands.say(Tone::Bad, format!("nothing was written: {why}"), now),
        }
    }
}
