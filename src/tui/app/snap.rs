//! Writing what the console remembers to a file, and looking at such a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::{App, Effect, Input, Tone};
use crate::model::{Snapshot, clean};
use crate::tui::fmt;
use crate::tui::logs::Logs;
use crate::tui::past::{About, Bundle, FORMAT, Holds};
use crate::tui::theme::Theme;

/// What came of writing a file: where it is and how long, or why there is none.
pub(crate) type Snapped = Result<(PathBuf, u64), String>;

impl App {
    /// A console on a file; `None` if there is no moment in it.
    pub(crate) fn replay(bundle: Bundle, theme: Theme, zone: TimeZone) -> Option<Self> {
        let last = bundle.record.last()?;
        let snapshot: Arc<Snapshot> = bundle.record.at(last)?;
        let mut app = Self::new(snapshot, theme, zone, Logs::Here);
        app.record = bundle.record;
        app.replay = Some(bundle.about);
        for entry in bundle.entries {
            app.note(entry);
        }
        app.take_lines(bundle.lines, 0);
        if let Some(lab) = bundle.lab {
            app.update(Input::Lab(lab), Duration::ZERO);
        }
        app.look_at(last);
        Some(app)
    }

    /// What is looked at, if it is a file.
    pub(crate) fn replayed(&self) -> Option<&About> {
        self.replay.as_ref()
    }

    /// Everything that is remembered, as it is now. It shares what it holds with
    /// the console, so that it can be written elsewhere.
    pub(crate) fn bundle(&mut self) -> Bundle {
        if self.replay.is_none() {
            let live = Arc::clone(&self.live);
            self.record.take_anyway(&live);
        }
        let node = &self.live.node;
        let lab = self.lab.as_ref().map(|lab| Arc::clone(&lab.view));
        let holds = Holds {
            moments: self.record.len() as u64,
            entries: self.timeline.all().len() as u64,
            log_lines: self.lines.all().len() as u64,
            lab: lab.is_some(),
        };
        Bundle {
            about: About {
                format: FORMAT,
                program: env!("CARGO_PKG_VERSION").to_owned(),
                made: self.replay.as_ref().map_or_else(|| self.node_now(), |about| about.made),
                masked: false,
                peer_id: node.peer_id,
                name: clean(&node.name),
                network: clean(&node.network),
                holds,
            },
            record: self.record.clone(),
            entries: self.timeline.all().cloned().collect(),
            lines: self.lines.all().cloned().collect(),
            lab,
        }
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
                let text =
                    format!("wrote {} ({}): punchdeck replay opens it", path.display(), fmt::bytes(bytes));
                self.commands.say(Tone::Good, text, now);
            }
            Err(why) => self.commands.say(Tone::Bad, format!("nothing was written: {why}"), now),
        }
    }
}
