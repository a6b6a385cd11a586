//! What happened, and what happens.

use std::path::Path;

use super::error::CtlError;
use super::{Out, json, text};
use crate::cli::print;
use crate::control::{Client, Told};
use crate::model::Event;
use crate::model::contract::EventLine;

pub(super) async fn execute(follow: bool, socket: &Path, out: Out<'_>) -> Result<(), CtlError> {
    let mut client = Client::connect(socket, true).await?;
    let mut last = None;
    for event in client.events(follow).await? {
        say(&event, &mut last, out)?;
    }
    if !follow {
        return Ok(());
    }
    // Once it has stopped, and said so, there is nothing more to follow.
    while let Some(told) = client.next().await? {
        if let Told::Event(event) = told {
            say(&event, &mut last, out)?;
        }
    }
    Ok(())
}

/// A line; where events are missing before it, that is said on standard error.
fn say(event: &Event, last: &mut Option<u64>, out: Out<'_>) -> Result<(), CtlError> {
    let missing = last.map_or(0, |last: u64| event.seq.saturating_sub(last + 1));
    *last = Some(event.seq);
    if missing > 0 {
        crate::cli::failure::say(&format_args!("{missing} events are missing here"));
    }
    let line = if out.json { json(EventLine::new(event))? } else { text::event(event) };
    Ok(print(line.as_bytes())?)
}
