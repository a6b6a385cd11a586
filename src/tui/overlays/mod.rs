//! What lies over the panes, the last on top: each a component as a pane is.

pub(crate) mod fleet;
mod help;
pub(crate) mod lab;
mod palette;
mod question;
mod why;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::fleet::FleetPanel;
use self::lab::LabPanel;
use self::why::Asked;
use super::bindings::Scope;
use super::draw::{Drawn, Pen, Spot};
use super::line::TextLine;
use super::lists::Move;
use crate::model::{Outcome, PeerId, Snapshot};
use crate::node::feed::SendError;

pub(crate) use self::help::Help;
pub(crate) use self::palette::{Palette, What};
pub(crate) use self::question::Question;
pub(crate) use self::why::WhyView;

/// One of them.
#[derive(Debug, Clone)]
pub(crate) enum Overlay {
    /// Every key.
    Help(Help),
    /// Actions and peers, by a few letters.
    Palette(Palette),
    /// Why a peer is what it is.
    Why(WhyView),
    /// The lab's nodes and wires.
    Lab,
    /// The choice of the NAT before a node, by its host's name.
    Nat(String),
    /// The drills.
    Drills,
    /// The fleet.
    Fleet,
    /// Two nodes of the fleet beside each other.
    Compared,
    /// A question before something that cannot simply be taken back.
    Confirm(Question),
}

impl Overlay {
    /// What the keys mean in it.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Help(help) => help.scope(),
            Self::Palette(_) => Scope::Palette,
            Self::Why(_) => Scope::Why,
            Self::Lab => Scope::Lab,
            Self::Nat(_) => Scope::Nat,
            Self::Drills => Scope::Drills,
            Self::Fleet => Scope::Fleet,
            Self::Compared => Scope::Compared,
            Self::Confirm(question) => question.scope(),
        }
    }

    /// What is typed, to be changed.
    pub(crate) fn line_mut(&mut self) -> Option<&mut TextLine> {
        match self {
            Self::Help(help) => help.line_mut(),
            Self::Palette(palette) => Some(palette.line_mut()),
            Self::Confirm(question) => question.line_mut(),
            _ => None,
        }
    }

    fn draw(
        &self,
        pen: &Pen<'_>,
        (asked, panels): (Option<&Asked>, &Panels),
        body: Rect,
        buf: &mut Buffer,
    ) -> Drawn {
        let Panels { lab, fleet } = panels;
        let drawn = match self {
            Self::Help(help) => Some(help.draw(pen, body, buf)),
            Self::Palette(palette) => Some(palette.draw(pen, body, buf)),
            Self::Why(view) => Some(view.draw(pen, asked, body, buf)),
            Self::Lab => lab.as_ref().map(|lab| lab.draw(pen, body, buf)),
            Self::Nat(host) => lab.as_ref().map(|lab| lab.draw_nats(pen, host, body, buf)),
            Self::Drills => lab.as_ref().map(|lab| lab.draw_drills(pen, body, buf)),
            Self::Fleet => fleet.as_ref().map(|fleet| fleet.draw(pen, body, buf)),
            Self::Compared => fleet.as_ref().map(|fleet| fleet.draw_compared(pen, body, buf)),
            Self::Confirm(question) => Some(question.draw(pen, body, buf)),
        };
        drawn.unwrap_or_default()
    }
}

/// What overlays show that is there whether they are open or not.
#[derive(Debug, Default)]
pub(crate) struct Panels {
    /// The lab that the node is in, if it is in one of ours.
    pub(crate) lab: Option<LabPanel>,
    /// The fleet that the node is one of, if it is looked at.
    pub(crate) fleet: Option<FleetPanel>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Overlays {
    stack: Vec<Overlay>,
    /// The last question about a peer; its answer outlives its view.
    asked: Option<Asked>,
}

impl Overlays {
    /// The one on top.
    pub(crate) fn top(&self) -> Option<&Overlay> {
        self.stack.last()
    }

    /// The same, to be changed.
    pub(crate) fn top_mut(&mut self) -> Option<&mut Overlay> {
        self.stack.last_mut()
    }

    /// All of them, the last on top.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Overlay> {
        self.stack.iter()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.stack.len()
    }

    /// Whether the panes are all there is.
    pub(crate) fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }

    /// Puts one on top.
    pub(crate) fn push(&mut self, overlay: Overlay) {
        self.stack.push(overlay);
    }

    /// Takes the one on top away.
    pub(crate) fn pop(&mut self) -> Option<Overlay> {
        self.stack.pop()
    }

    /// Takes all of them away.
    pub(crate) fn clear(&mut self) {
        self.stack.clear();
    }

    /// Takes away which are not for keeping.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Overlay) -> bool) {
        self.stack.retain(keep);
    }

    /// The peer of the uppermost view of one.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        self.iter().rev().find_map(|overlay| match overlay {
            Overlay::Why(view) => Some(view.peer()),
            _ => None,
        })
    }

    /// Moves or scrolls what lies on top. Says whether something does.
    pub(crate) fn go(&mut self, step: Move, panels: &mut Panels) -> bool {
        let Some(overlay) = self.stack.last_mut() else { return false };
        match (overlay, &mut panels.lab, &mut panels.fleet) {
            (Overlay::Help(help), ..) => help.go(step),
            (Overlay::Why(view), ..) => view.go(step),
            (Overlay::Palette(palette), ..) => palette.go(step),
            (Overlay::Lab, Some(lab), _) => lab.go(step),
            (Overlay::Drills, Some(lab), _) => lab.go_drills(step),
            (Overlay::Fleet, _, Some(fleet)) => fleet.go(step),
            (Overlay::Compared, _, Some(fleet)) => fleet.go_compared(step),
            _ => {}
        }
        true
    }

    /// Draws all of them, from the lowest.
    pub(crate) fn draw(&self, pen: &Pen<'_>, panels: &Panels, body: Rect, buf: &mut Buffer) -> Vec<Drawn> {
        let draw = |overlay: &Overlay| {
            // Nothing below it is clicked through it.
            pen.mark(body, Spot::Overlay);
            overlay.draw(pen, (self.asked.as_ref(), panels), body, buf)
        };
        self.stack.iter().map(draw).collect()
    }

    /// Takes in how they were drawn.
    pub(crate) fn on_drawn(&mut self, drawn: &[Drawn], panels: &mut Panels) {
        for (overlay, drawn) in self.stack.iter_mut().zip(drawn) {
            match (overlay, &mut panels.lab, &mut panels.fleet) {
                (Overlay::Help(help), ..) => help.on_drawn(*drawn),
                (Overlay::Palette(palette), ..) => palette.on_drawn(*drawn),
                (Overlay::Why(view), ..) => view.on_drawn(*drawn),
                (Overlay::Lab, Some(lab), _) => lab.on_drawn(*drawn),
                (Overlay::Fleet, _, Some(fleet)) => fleet.on_drawn(*drawn),
                (Overlay::Compared, _, Some(fleet)) => fleet.on_compared_drawn(*drawn),
                _ => {}
            }
        }
    }

    /// The question about a peer, if it is the last one that was asked.
    pub(crate) fn asked(&self, peer: PeerId) -> Option<&Asked> {
        self.asked.as_ref().filter(|asked| asked.peer() == peer)
    }

    /// Whom the view on top is to ask about again.
    pub(crate) fn outdated(&self, newest: &Snapshot, at: Duration) -> Option<PeerId> {
        let Some(Overlay::Why(view)) = self.top() else { return None };
        let asked = self.asked(view.peer())?;
        asked.is_outdated(newest, at).then(|| view.peer())
    }

    /// A question about a peer is asked now; or would be, but for that `failure`.
    pub(crate) fn ask(&mut self, peer: PeerId, newest: &Snapshot, at: Duration, failure: Option<String>) {
        self.asked = Some(Asked::anew(self.asked.take(), peer, newest, at, failure));
    }

    /// Forgets what was asked.
    pub(crate) fn forget_answers(&mut self) {
        self.asked = None;
    }

    /// A question could not be sent.
    pub(crate) fn on_refused(&mut self, peer: PeerId, error: SendError) {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.peer() == peer) {
            asked.on_refused(error);
        }
    }

    /// An answer came; whoever asked.
    pub(crate) fn on_outcome(&mut self, peer: PeerId, outcome: &Outcome) {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.peer() == peer) {
            asked.on_outcome(outcome);
        }
    }
}
