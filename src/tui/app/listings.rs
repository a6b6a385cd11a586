//! The lists over the panes: opened, kept up to date, and where a row of them leads.

use super::App;
use crate::tui::message::Effect;
use crate::tui::overlays::{Facts, Failed, Go, Listing, Overlay, SPANS, Which};
use crate::tui::pane::Pane;

impl App {
    pub(super) fn open_warnings(&mut self) {
        let listing = self.warnings();
        self.overlays.push(Overlay::Listing(listing));
    }

    pub(super) fn open_failures(&mut self) {
        let listing = self.failures(0);
        self.overlays.push(Overlay::Listing(listing));
    }

    /// The next span of time, in the list of failures.
    pub(super) fn next_failures(&mut self) {
        let Some(Which::Failures(span)) = self.listed() else { return };
        let listing = self.failures((span + 1) % SPANS.len());
        if let Some(Overlay::Listing(old)) = self.overlays.top_mut() {
            old.renew(listing);
        }
    }

    /// The list on top is as things are now.
    pub(super) fn refresh_listing(&mut self) {
        let newer = match self.listed() {
            Some(Which::Warnings) => self.warnings(),
            Some(Which::Failures(span)) => self.failures(span),
            Some(Which::Bootstrap) => Listing::bootstrap(&self.shown().node.bootstrap),
            None => return,
        };
        if let Some(Overlay::Listing(old)) = self.overlays.top_mut() {
            old.renew(newer);
        }
    }

    /// Which list lies on top.
    pub(super) fn listed(&self) -> Option<Which> {
        match self.overlays.top() {
            Some(Overlay::Listing(listing)) => Some(listing.which()),
            _ => None,
        }
    }

    /// Whether the chosen row leads anywhere.
    pub(super) fn leads(&self) -> Result<Go, String> {
        let chosen = match self.overlays.top() {
            Some(Overlay::Listing(listing)) => listing.chosen(),
            _ => None,
        };
        match chosen.map(|item| item.go) {
            None => Err("nothing is chosen".to_owned()),
            Some(Go::Nowhere) => Err("there is no more to see of it".to_owned()),
            Some(Go::Why(peer)) => self.known(Some(peer)).map(|_| Go::Why(peer)),
            Some(go) => Ok(go),
        }
    }

    /// Goes where the chosen row leads.
    pub(super) fn follow_row(&mut self) -> Vec<Effect> {
        match self.leads() {
            Ok(Go::Why(peer)) => return self.open_why(peer),
            Ok(Go::Pane(pane)) => self.look_at_pane(pane),
            Ok(Go::Nowhere) | Err(_) => {}
        }
        Vec::new()
    }

    fn look_at_pane(&mut self, pane: Pane) {
        self.overlays.clear();
        self.panes.set_focus(pane);
    }

    fn warnings(&self) -> Listing {
        Listing::warnings(&Facts {
            live: self.live(),
            gone: self.gone(),
            stale: self.stale(),
            faults: self.faults(),
            events_dropped: self.events_dropped(),
            keys: &self.settings.keys,
            now: self.node_now(),
        })
    }

    fn failures(&self, span: usize) -> Listing {
        let now = self.moment().map_or_else(|| self.node_now(), |moment| moment.now);
        Listing::failures(&Failed { shown: self.shown(), events: self.panes.events.log(), now, span })
    }
}
