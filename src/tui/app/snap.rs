//! Writing what the console remembers to a file, and looking at such a file.

use jiff::tz::TimeZone;

use super::App;
use crate::tui::commands::Tone;
use crate::tui::fmt;
use crate::tui::history::{Bundle, History};
use crate::tui::logs::LogSource;
use crate::tui::message::{Effect, Snapped};
use crate::tui::theme::Theme;

impl App {
    /// A console on a file; `None` if there is no moment in it.
    pub(crate) fn replay(bundle: Bundle, theme: Theme, zone: TimeZone) -> Option<Self> {
        let mut history = History::on_file(bundle)?;
        let mut app = Self::new(history.boundary_mut().live(), theme, zone, LogSource::Here);
        app.history = history;
        app.recall_all();
        if let Some(lab) = app.history.boundary_mut().lab() {
            app.take_lab(lab);
        }
        app.look_at(app.live().at);
        Some(app)
    }

    /// Everything that is remembered, as it is now, ready to be written elsewhere.
    pub(crate) fn bundle(&mut self) -> Bundle {
        let now = self.node_now();
        self.history.boundary_mut().bundle(now)
    }

    pub(super) fn snap(&mut self) -> Vec<Effect> {
        self.history.writing = true;
        vec![Effect::Snap]
    }

    pub(super) fn snapped(&mut self, snapped: Snapped) {
        self.history.writing = false;
        match snapped {
            Ok((path, bytes)) => {
                let (first, last) = self.history.reach();
                let reach = first.map(|first| first.age_at(last.unwrap_or(first)));
                let reach = fmt::exactly(reach.unwrap_or_default());
                let (path, bytes) = (path.display(), fmt::bytes(bytes));
                let text = format!("wrote the last {reach} to {path} ({bytes}): punchdeck replay opens it");
                self.say(Tone::Good, text);
            }
            Err(why) => self.say(Tone::Bad, format!("nothing was written: {why}")),
        }
    }
}
