//! `punchdeck attach`: the console on a node that runs already, or on each of a fleet.

use super::ctl::socket_of;
use super::fleet_controller;
use super::session::{Around, Hangup, Log, Look, Screen, Session, no_terminal};
use super::{AttachArgs, Failure};
use crate::config::Config;
use crate::control::{self, FleetFile};
use crate::node::feed::Feed;

pub(super) fn execute(args: &AttachArgs) -> Result<(), Failure> {
    let resolved = args.target.resolve_for(&args.console)?;
    let whom = Whom::of(args, &resolved.config)?;
    if let Some(why) = no_terminal() {
        let error = anyhow::anyhow!("{why}, and a console needs one; `punchdeck ctl status` asks without");
        return Err(Failure::usage(error));
    }
    let session = Session::begin(
        Screen::Console,
        Look::of(&resolved.config),
        &Log::only(&resolved.config.log_filter),
        Hangup::Ends,
    )?;
    let ended = whom
        .attach(&session, args.read_only)
        .and_then(|(feed, around)| session.watch(feed, Around { read_only: args.read_only, ..around }));
    session.end();
    ended
}

/// On whom the console is.
enum Whom {
    Node(control::SocketPath),
    Fleet(FleetFile),
}

impl Whom {
    fn of(args: &AttachArgs, config: &Config) -> Result<Self, Failure> {
        match &args.fleet {
            Some(file) => FleetFile::read(file).map(Self::Fleet).map_err(Failure::usage),
            None => Ok(Self::Node(socket_of(config)?)),
        }
    }

    fn attach(self, session: &Session, read_only: bool) -> Result<(Feed, Around), Failure> {
        match self {
            Self::Node(socket) => {
                let feed = session.block_on(control::attach(socket.as_path(), read_only));
                Ok((feed.map_err(Failure::failed)?, Around::default()))
            }
            Self::Fleet(file) => {
                let first = session.block_on(fleet_controller::first_of(&file, read_only));
                let (name, feed) = first.map_err(Failure::failed)?;
                let fleet = fleet_controller::open(file, name, read_only, session.runtime());
                Ok((feed, Around { fleet: Some(fleet), fleet_first: true, ..Around::default() }))
            }
        }
    }
}
