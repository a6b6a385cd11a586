//! `punchdeck attach`: the console on a node that runs already.

use super::ctl::socket_of;
use super::session::{Hangup, Log, Look, Screen, Session, no_terminal};
use super::{AttachArgs, Failure};
use crate::control;

pub(super) fn execute(args: &AttachArgs) -> Result<(), Failure> {
    let resolved = args.target.resolve_for(&args.console)?;
    let socket = socket_of(&resolved.config)?;
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
    let feed = match session.block_on(control::attach(socket.as_path(), args.read_only)) {
        Ok(feed) => feed,
        Err(error) => {
            session.end();
            return Err(Failure::failed(error));
        }
    };
    let ended = session.watch(feed, args.read_only);
    session.end();
    ended
}
