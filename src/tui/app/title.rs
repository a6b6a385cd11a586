//! What the terminal's title says: which console this is among many windows,
//! and whether it wants a look.

use super::App;
use crate::model::{Phase, SaveState, clean, ellipsize};
use crate::tui::message::Gone;

/// Titles are cut anyway; what matters stands first.
const LONGEST: usize = 80;

impl App {
    /// The title, one line without control characters.
    pub(crate) fn title(&self) -> String {
        let snapshot = self.live();
        let name = clean(&snapshot.node.name);
        let links = snapshot.links.iter().filter(|link| !link.foreign).count();
        let links = crate::tui::fmt::count(links as u64, "link");
        let text = match self.alarm() {
            Some(alarm) => format!("! {name}: {alarm}, {links}"),
            None => format!("{name}: {links}"),
        };
        ellipsize(&text, LONGEST, '…')
    }

    /// What is wrong, in a word or two; the worst of it.
    fn alarm(&self) -> Option<&'static str> {
        let node = &self.live().node;
        match self.gone() {
            Some(Gone::Stopped) => return Some("node stopped"),
            Some(Gone::Lost { .. }) => return Some("node lost"),
            None => {}
        }
        if self.stale().is_some() {
            return Some("stale");
        }
        if !self.faults.is_empty() {
            return Some("a task faulted");
        }
        if matches!(node.cache.save, SaveState::Failed { .. }) {
            return Some("cache not saved");
        }
        match node.phase {
            _ if !node.used_twice.is_empty() => Some("identity used twice"),
            Phase::Isolated { .. } => Some("isolated"),
            Phase::NoWay { why, .. } => Some(why.state()),
            Phase::NothingToDial => Some("alone"),
            _ => None,
        }
    }
}
