//! What was asked of the node about the peer of the why view, and what came
//! back. The view shows what the console knows itself until the answer is there.

use std::time::Duration;

use super::{App, Effect, Overlay};
use crate::model::{Command, Done, Outcome, Path, PeerId, PeerState, Why};
use crate::node::feed::SendError;

/// A path or state that changes while the view is open is asked about again, but not
/// sooner than this: the other end answers only so often.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A question about a peer.
#[derive(Debug)]
pub(crate) struct Asked {
    peer: PeerId,
    at: Duration,
    /// How it stood with it when it was asked.
    stood: Option<(PeerState, Option<Path>)>,
    /// The newest answer.
    pub(crate) answer: Option<Box<Why>>,
    /// Why the newest question has none.
    pub(crate) failure: Option<String>,
}

impl App {
    /// The question about a peer, if it is the last one that was asked.
    pub(crate) fn asked(&self, peer: PeerId) -> Option<&Asked> {
        self.asked.as_ref().filter(|asked| asked.peer == peer)
    }

    /// Whether an answer about a peer is awaited.
    pub(crate) fn is_asking(&self, peer: PeerId) -> bool {
        self.commands.is_running(&Command::Why { peer })
    }

    /// Opens the view on a peer and asks the node about it.
    pub(super) fn open_why(&mut self, peer: PeerId) -> Vec<Effect> {
        self.overlays.push(Overlay::Why { peer, scroll: 0 });
        self.asked = None;
        // What the node would answer is about now.
        if self.of_this_moment().is_err() { Vec::new() } else { self.ask(peer) }
    }

    /// Asks again if that has changed and the last question is old enough.
    pub(super) fn ask_again(&mut self) -> Vec<Effect> {
        let Some(Overlay::Why { peer, .. }) = self.overlays.last() else { return Vec::new() };
        let peer = *peer;
        let Some(asked) = self.asked(peer).filter(|_| self.of_this_moment().is_ok()) else {
            return Vec::new();
        };
        let due = self.at.saturating_sub(asked.at) >= ASK_AGAIN_AFTER;
        if due && asked.stood != self.stands(peer) { self.ask(peer) } else { Vec::new() }
    }

    fn ask(&mut self, peer: PeerId) -> Vec<Effect> {
        let answer = self.asked.take().filter(|asked| asked.peer == peer).and_then(|asked| asked.answer);
        let failure = self.gone.as_ref().map(|gone| gone.reason().to_owned());
        self.asked = Some(Asked { peer, at: self.at, stood: self.stands(peer), answer, failure });
        // Somebody may have opened the view, closed it and opened it again.
        if self.gone.is_some() || self.is_asking(peer) {
            return Vec::new();
        }
        vec![Effect::Send(Command::Why { peer })]
    }

    /// How it stands with a peer now, whatever stands still on the screen.
    fn stands(&self, peer: PeerId) -> Option<(PeerState, Option<Path>)> {
        self.live().peer(&peer).map(|row| (row.state, row.path))
    }

    /// The question could not be sent.
    pub(super) fn not_asked(&mut self, about: PeerId, error: SendError) {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.peer == about) {
            asked.failure = Some(error.to_string());
        }
    }

    /// An answer came; whoever asked.
    pub(super) fn answered(&mut self, about: PeerId, outcome: &Outcome) {
        let Some(asked) = self.asked.as_mut().filter(|asked| asked.peer == about) else { return };
        match &outcome.result {
            Ok(Done::Explained(why)) => {
                asked.answer = Some(why.clone());
                asked.failure = None;
            }
            Ok(_) => {}
            Err(failure) => asked.failure = Some(failure.reason.to_string()),
        }
    }
}
