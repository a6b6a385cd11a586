//! `punchdeck run`: a node, with the console on it or without.

use super::ctl::socket_of;
use super::session::{Screen, Session};
use super::{Failure, RunArgs, prepare};
use crate::control::{ControlSocket, Server};
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
    let socket = ControlSocket::bind(&socket_of(config)?, config.control_group.as_deref())?;
    let session = Session::begin(screen, config.ascii, &config.log_filter, Some(&config.data_dir))?;
    let Some(started) = session.unless_stopped(Node::start(prepared.options, prepared.lock)) else {
        session.end();
        return Ok(());
    };
    let (mut node, feed) = started.map_err(Failure::usage)?;
    let control =
        session.block_on(async { Server::start(socket, node.first_feed()) }).map_err(Failure::failed)?;
    let ended = session.attend(feed, None, std::future::ready(()));
    session.block_on(async {
        node.stop().await;
        control.finish().await;
    });
    session.end();
    ended
}
