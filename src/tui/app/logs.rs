//! The targets of the log: what is shown of them is ours, what is kept of them the node's.

use super::App;
use crate::model::{Command, LOG_FOR, LogDetail, Reason, TargetDetail, millis};
use crate::tui::bindings::Way;
use crate::tui::message::Effect;
use crate::tui::overlays::{Overlay, Targets};
use crate::tui::panes::TargetRow;

impl App {
    pub(super) fn open_targets(&mut self) {
        let rows = self.panes.logs.targets(&self.shown().log);
        self.overlays.push(Overlay::Targets(Targets::of(rows)));
    }

    /// The list of targets is as the log and the moment are now.
    pub(super) fn refresh_targets(&mut self) {
        if !self.overlays.iter().any(|overlay| matches!(overlay, Overlay::Targets(_))) {
            return;
        }
        let rows = self.panes.logs.targets(&self.shown().log);
        if let Some(Overlay::Targets(targets)) = self.overlays.top_mut() {
            targets.on_rows(rows);
        }
    }

    pub(super) fn show_target(&mut self, way: Way) {
        if let Ok((target, detail)) = self.shown_otherwise(way) {
            self.panes.logs.show(&target, detail);
            self.refresh_targets();
        }
    }

    pub(super) fn keep_target(&mut self, way: Way) -> Vec<Effect> {
        let Ok((target, detail)) = self.kept_otherwise(way) else { return Vec::new() };
        self.send(Command::Log { details: vec![TargetDetail { target, detail }], for_ms: millis(LOG_FOR) })
    }

    /// The chosen target, and what would be shown of it then.
    pub(super) fn shown_otherwise(&self, way: Way) -> Result<(String, LogDetail), String> {
        let row = self.chosen_target()?;
        let detail = step(row.shown, way, "hidden", "shown")?;
        Ok((row.target.clone(), detail))
    }

    /// The chosen target, and what the node's log would keep of it then.
    pub(super) fn kept_otherwise(&self, way: Way) -> Result<(String, LogDetail), String> {
        let row = self.chosen_target()?;
        let kept = row.kept.ok_or_else(|| Reason::NoLog.to_string())?;
        Ok((row.target.clone(), step(kept, way, "left out", "kept")?))
    }

    fn chosen_target(&self) -> Result<&TargetRow, String> {
        let Some(Overlay::Targets(targets)) = self.overlays.top() else {
            return Err("no target is chosen".to_owned());
        };
        targets.chosen().ok_or_else(|| "nothing was logged yet".to_owned())
    }
}

fn step(from: LogDetail, way: Way, none: &str, all: &str) -> Result<LogDetail, String> {
    match way {
        Way::Less => from.coarser().ok_or_else(|| format!("all of it is {none} already")),
        Way::More => from.finer().ok_or_else(|| format!("all of it is {all} already")),
    }
}
