//! What lies over the panes, the last on top: each a component as a pane is.

mod help;
pub(crate) mod lab;
mod listing;
mod palette;
mod pathtest;
mod question;
mod targets;
mod why;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::lab::LabPanel;
use self::why::Asked;
use super::bindings::Scope;
use super::draw::{Drawn, Pen, Spot};
use super::line::TextLine;
use super::lists::Move;
use crate::model::{Outcome, PeerId, Snapshot};
use crate::node::feed::SendError;

pub(crate) use self::help::Help;
pub(crate) use self::listing::{Facts, Failed, Go, Listing, SPANS, Which};
pub(crate) use self::palette::{Exported, Order, Palette, What};
pub(crate) use self::pathtest::{FOR_MS, TestView};
pub(crate) use self::question::Question;
pub(crate) use self::targets::Targets;
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
    /// A test of the paths to a peer.
    Test(TestView),
    /// The lab's nodes and wires.
    Lab,
    /// The choice of the NAT before a node, by its host's name.
    Nat(String),
    /// The drills.
    Drills,
    /// What is wrong now, who failed most, or what is dialled when nobody is known.
    Listing(Listing),
    /// The targets of the log.
    Targets(Targets),
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
            Self::Test(_) => Scope::Test,
            Self::Lab => Scope::Lab,
            Self::Nat(_) => Scope::Nat,
            Self::Drills => Scope::Drills,
            Self::Targets(_) => Scope::Targets,
            Self::Listing(_) => Scope::Listing,
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
        (asked, lab): (Option<&Asked>, Option<&LabPanel>),
        body: Rect,
        buf: &mut Buffer,
    ) -> Drawn {
        match (self, lab) {
            (Self::Help(help), _) => help.draw(pen, body, buf),
            (Self::Palette(palette), _) => palette.draw(pen, body, buf),
            (Self::Why(view), _) => view.draw(pen, asked, body, buf),
            (Self::Test(view), _) => view.draw(pen, body, buf),
            (Self::Lab, Some(lab)) => lab.draw(pen, body, buf),
            (Self::Nat(host), Some(lab)) => lab.draw_nats(pen, host, body, buf),
            (Self::Drills, Some(lab)) => lab.draw_drills(pen, body, buf),
            (Self::Targets(targets), _) => targets.draw(pen, body, buf),
            (Self::Listing(listing), _) => listing.draw(pen, body, buf),
            (Self::Confirm(question), _) => question.draw(pen, body, buf),
            (Self::Lab | Self::Nat(_) | Self::Drills, None) => Drawn::default(),
        }
    }
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
            Overlay::Test(view) => Some(view.peer()),
            _ => None,
        })
    }

    /// Moves or scrolls what lies on top. Says whether something does.
    pub(crate) fn go(&mut self, step: Move, lab: Option<&mut LabPanel>) -> bool {
        match (self.stack.last_mut(), lab) {
            (None, _) => return false,
            (Some(Overlay::Help(help)), _) => help.go(step),
            (Some(Overlay::Why(view)), _) => view.go(step),
            (Some(Overlay::Test(view)), _) => view.go(step),
            (Some(Overlay::Palette(palette)), _) => palette.go(step),
            (Some(Overlay::Targets(targets)), _) => targets.go(step),
            (Some(Overlay::Listing(listing)), _) => listing.go(step),
            (Some(Overlay::Lab), Some(lab)) => lab.go(step),
            (Some(Overlay::Drills), Some(lab)) => lab.go_drills(step),
            (Some(_), _) => {}
        }
        true
    }

    /// Draws all of them, from the lowest.
    pub(crate) fn draw(
        &self,
        pen: &Pen<'_>,
        lab: Option<&LabPanel>,
        body: Rect,
        buf: &mut Buffer,
    ) -> Vec<Drawn> {
        let draw = |overlay: &Overlay| {
            // Nothing below it is clicked through it.
            pen.mark(body, Spot::Overlay);
            overlay.draw(pen, (self.asked.as_ref(), lab), body, buf)
        };
        self.stack.iter().map(draw).collect()
    }

    /// Takes in how they were drawn.
    pub(crate) fn on_drawn(&mut self, drawn: &[Drawn], mut lab: Option<&mut LabPanel>) {
        for (overlay, drawn) in self.stack.iter_mut().zip(drawn) {
            match overlay {
                Overlay::Help(help) => help.on_drawn(*drawn),
                Overlay::Palette(palette) => palette.on_drawn(*drawn),
                Overlay::Why(view) => view.on_drawn(*drawn),
                Overlay::Test(view) => view.on_drawn(*drawn),
                Overlay::Targets(targets) => targets.on_drawn(*drawn),
                Overlay::Listing(listing) => listing.on_drawn(*drawn),
                Overlay::Lab => {
                    if let Some(lab) = &mut lab {
                        lab.on_drawn(*drawn);
                    }
                }
                Overlay::Nat(_) | Overlay::Drills | Overlay::Confirm(_) => {}
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

    /// The test on top.
    pub(crate) fn test(&self) -> Option<&TestView> {
        match self.top() {
            Some(Overlay::Test(view)) => Some(view),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn test_mut(&mut self) -> Option<&mut TestView> {
        match self.top_mut() {
            Some(Overlay::Test(view)) => Some(view),
            _ => None,
        }
    }

    /// The views of tests, wherever they lie.
    fn tests(&mut self) -> impl Iterator<Item = &mut TestView> {
        self.stack.iter_mut().filter_map(|overlay| match overlay {
            Overlay::Test(view) => Some(view),
            _ => None,
        })
    }

    /// Takes in the node's newest state, whichever moment is shown.
    pub(crate) fn on_newest(&mut self, newest: &Snapshot) {
        self.tests().for_each(|view| view.on_snapshot(newest));
    }

    /// A test could not be asked for.
    pub(crate) fn on_test_refused(&mut self, peer: PeerId, error: SendError) {
        self.tests().filter(|view| view.peer() == peer).for_each(|view| view.on_failure(error.to_string()));
    }

    /// A test of a peer ended, or did not begin; whoever asked.
    pub(crate) fn on_tested(&mut self, peer: PeerId, outcome: &Outcome) {
        self.tests().filter(|view| view.peer() == peer).for_each(|view| view.on_outcome(outcome));
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
