//! `punchdeck replay`: the console on a file that one wrote, without a node.

use super::session::{Hangup, Log, Look, Screen, Session, no_terminal};
use super::{Failure, ReplayArgs, SettingsArgs, print};
use crate::tui::Bundle;

pub(super) fn execute(args: &ReplayArgs) -> Result<(), Failure> {
    let bundle = Bundle::load(&args.file).map_err(|error| {
        Failure::usage(anyhow::Error::new(error).context(args.file.display().to_string()))
    })?;
    if let Some(why) = no_terminal() {
        super::failure::say(&format_args!("{why} to show a console on; this is what the file holds"));
        return print(bundle.summary(args.console.mask).as_bytes());
    }
    // Of the settings it is how to draw and to listen that concerns whoever looks.
    let settings = SettingsArgs { console: args.console.clone(), ..SettingsArgs::default() };
    let look = Look::of(&settings.resolve()?.config);
    let session = Session::begin(Screen::Console, look, &Log::only("off"), Hangup::Ends)?;
    let ended = session.replay(bundle);
    session.end();
    ended
}
