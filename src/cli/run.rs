//! `punchdeck run`: a node, with the console on it or without.

use super::session::{Screen, Session};
use super::{Failure, RunArgs, prepare};
use crate::lab;
use crate::node::Node;

pub(super) fn execute(args: &RunArgs) -> Result<(), Failure> {
    if args.die_with_parent {
        lab::die_with_parent().map_err(Failure::failed)?;
    }
    let resolved = args.settings.resolve()?;
    let prepared = prepare(&resolved)?;
    let config = &resolved.config;
    let screen = Screen::choose(args.headless);
    let session = Session::begin(screen, config.ascii, &config.log_filter, Some(&config.data_dir))?;
    let Some(started) = session.unless_stopped(Node::start(prepared.options, prepared.lock)) else {
        session.end();
        return Ok(());
    };
    let (node, feed) = started.map_err(Failure::usage)?;
    let ended = session.attend(feed, None, std::future::ready(()));
    session.block_on(node.stop());
    session.end();
    ended
}
