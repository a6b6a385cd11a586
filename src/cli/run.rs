//! `punchdeck run`: a node, with the console on it or without.

use super::prepare::{fits_host, warn_of_mode};
use super::reload::Reload;
use super::service::Service;
use super::session::{Around, Hangup, Log, Look, Screen, Session};
use super::{Failure, RunArgs, prepare};
use crate::config::Resolved;
use crate::control::{ControlSocket, Server};
use crate::lab;
use crate::metrics::{self, Metrics};
use crate::node::Node;
use crate::node::feed::{Feed, LogLines};

pub(super) fn execute(args: &RunArgs) -> Result<(), Failure> {
    if args.die_with_parent {
        lab::die_with_parent().map_err(Failure::failed)?;
    }
    let resolved = args.settings.resolve()?;
    let socket = fits_host(&resolved)?;
    let prepared = prepare(&resolved)?;
    let config = &resolved.config;
    let screen = Screen::choose(args.headless);
    let socket = ControlSocket::bind(&socket, config.control_group.as_deref())?;
    let lines = LogLines::default();
    let log = Log {
        filter: &config.log_filter,
        format: config.log_format,
        data_dir: Some(&config.data_dir),
        lines: Some(&lines),
    };
    let hangup = if screen == Screen::Console { Hangup::Ends } else { Hangup::Reloads };
    let mut session = Session::begin(screen, Look::of(config), &log, hangup)?;
    warn_of_mode(&config.data_dir);
    let Some(started) = session.unless_stopped(Node::start(prepared.options, prepared.lock)) else {
        session.end();
        return Ok(());
    };
    let (mut node, feed) = started.map_err(Failure::usage)?;
    let served = Feed { logs: Some(lines), ..node.first_feed() };
    let control = session.block_on(async { Server::start(socket, served) }).map_err(Failure::failed)?;
    let metrics = match metrics_options(&resolved) {
        Some(options) => session.block_on(Metrics::start(options, node.feed().snapshots)).map(Some),
        None => Ok(None),
    };
    let metrics = match metrics {
        Ok(metrics) => metrics,
        Err(error) => {
            session.block_on(node.stop());
            session.end();
            return Err(Failure::usage(error));
        }
    };
    let service = Service::find();
    service.ready();
    let hangups = session.take_hangups();
    let reload = Reload {
        args: args.settings.clone(),
        holds: resolved,
        filter: session.log_filter(),
        node: node.reloader(),
        service: service.clone(),
    };
    let (following, followed) = (service.clone(), node.feed());
    let ended = session.attend(feed, Around::default(), async move {
        tokio::spawn(following.follow(followed));
        if let Some(hangups) = hangups {
            reload.run(hangups).await;
        }
        Ok(())
    });
    service.stopping();
    drop(metrics);
    session.block_on(async {
        node.stop().await;
        control.finish().await;
    });
    session.end();
    ended
}

/// Where metrics are asked for, if anywhere.
fn metrics_options(resolved: &Resolved) -> Option<metrics::Options> {
    let config = &resolved.config.metrics;
    let token = resolved.metrics_token.as_ref().map(|(token, _)| token.clone());
    config.listen.map(|listen| metrics::Options { listen, token, peers: config.peers })
}
