//! `punchdeck lab`: the console on one node of a fleet in this process.

use std::time::Instant;

use super::session::{Screen, Session};
use super::{Failure, LabArgs, print};
use crate::config::Ascii;
use crate::lab::LoopbackFleet;
use crate::node::Node;
use crate::node::feed::Feed;

/// What lab nodes log; there are many of them.
const LOG_FILTER: &str = "info";

pub(super) fn execute(args: &LabArgs) -> Result<(), Failure> {
    let session = Session::begin(Screen::choose(false), Ascii::Auto, LOG_FILTER, None)?;
    let begun = Instant::now();
    let mut fleet = LoopbackFleet::default();
    let ended = match session.unless_stopped(fleet.grow_to(args.nodes.into())) {
        None => Ok(()),
        Some(Err(error)) => Err(Failure::failed(error)),
        Some(Ok(())) => {
            let feeds = fleet.nodes().map(Node::feed).collect();
            match fleet.newest() {
                // The last one knows one address and has everything to learn.
                Some(shown) => session.attend(shown, tell_when_joined(feeds, begun)),
                None => Ok(()),
            }
        }
    };
    session.block_on(fleet.stop());
    session.end();
    ended
}

/// Without a console: says when every node knows every other.
async fn tell_when_joined(feeds: Vec<Feed>, begun: Instant) {
    let others = feeds.len().saturating_sub(1);
    for mut feed in feeds {
        if feed.snapshots.wait_for(|s| s.peers.len() >= others).await.is_err() {
            return;
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let _ = print(format!("{} nodes know each other after {took:.2} s\n", others + 1).as_bytes());
}
