//! Why a peer is what it is: what was asked of the node about it, and what came back. The
//! view shows what the console knows itself until the answer is there.

mod draw;
mod explained;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::{Done, Outcome, Path, PeerId, PeerState, Snapshot, Why};
use crate::node::feed::SendError;
use crate::tui::draw::{Drawn, Pen};
use crate::tui::lists::Move;

/// A path or state that changes while the view is open is asked about again, but not
/// sooner than this: the other end answers only so often.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The view of a peer.
#[derive(Debug, Clone)]
pub(crate) struct WhyView {
    peer: PeerId,
    /// The first line on the screen.
    top: usize,
}

impl WhyView {
    /// Of that peer.
    pub(crate) fn of(peer: PeerId) -> Self {
        Self { peer, top: 0 }
    }

    /// Whom it is about.
    pub(crate) fn peer(&self) -> PeerId {
        self.peer
    }

    /// Scrolls; drawing cuts it to what there is.
    pub(super) fn go(&mut self, step: Move) {
        self.top = step.apply(self.top, usize::MAX);
    }

    /// Takes in how it was drawn.
    pub(super) fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }

    /// Draws it with what was answered.
    pub(super) fn draw(&self, pen: &Pen<'_>, asked: Option<&Asked>, body: Rect, buf: &mut Buffer) -> Drawn {
        let asked = asked.filter(|asked| asked.peer == self.peer);
        draw::draw((self.peer, self.top), pen, asked, body, buf)
    }
}

/// How it stands with a peer.
type Standing = Option<(PeerState, Option<Path>)>;

/// A question about a peer.
#[derive(Debug)]
pub(crate) struct Asked {
    peer: PeerId,
    at: Duration,
    /// How it stood with it when it was asked.
    stood: Standing,
    /// The newest answer.
    pub(crate) answer: Option<Box<Why>>,
    /// Why the newest question has none.
    pub(crate) failure: Option<String>,
}

impl Asked {
    /// A question that is asked now; of the one before it keeps the answer. `failure`: why
    /// there will be no other.
    pub(super) fn anew(
        before: Option<Self>,
        peer: PeerId,
        newest: &Snapshot,
        at: Duration,
        failure: Option<String>,
    ) -> Self {
        let answer = before.filter(|asked| asked.peer == peer).and_then(|asked| asked.answer);
        Self { peer, at, stood: stands(newest, peer), answer, failure }
    }

    /// Whom it is about.
    pub(crate) fn peer(&self) -> PeerId {
        self.peer
    }

    /// Whether it is to be asked again: how it stands has changed, and the last time is
    /// long enough ago.
    pub(super) fn is_outdated(&self, newest: &Snapshot, at: Duration) -> bool {
        at.saturating_sub(self.at) >= ASK_AGAIN_AFTER && self.stood != stands(newest, self.peer)
    }

    /// The question could not be sent.
    pub(super) fn on_refused(&mut self, error: SendError) {
        self.failure = Some(error.to_string());
    }

    /// An answer came; whoever asked.
    pub(super) fn on_outcome(&mut self, outcome: &Outcome) {
        match &outcome.result {
            Ok(Done::Explained(why)) => {
                self.answer = Some(why.clone());
                self.failure = None;
            }
            Ok(_) => {}
            Err(failure) => self.failure = Some(failure.reason.to_string()),
        }
    }
}

fn stands(newest: &Snapshot, peer: PeerId) -> Standing {
    newest.peer(&peer).map(|row| (row.state, row.path))
}
