//! What happened, and what happens.

use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::CtlError;
use super::{Out, json, text};
use crate::cli::print;
use crate::control::{Client, Told};
use crate::model::Event;
use crate::model::contract::EventLine;

/// How soon a reader that has gone is noticed.
const LOOK_FOR_READER: Duration = Duration::from_millis(500);

pub(super) async fn execute(follow: bool, socket: &Path, out: Out<'_>) -> Result<(), CtlError> {
    let mut client = Client::connect(socket, true).await?;
    let mut last = None;
    for event in client.events(follow).await? {
        say(&event, &mut last, out)?;
    }
    if !follow {
        return Ok(());
    }
    loop {
        let told = tokio::select! {
            told = client.next() => told?,
            () = nobody_reads() => return Ok(()),
        };
        match told {
            Some(Told::Event(event)) => say(&event, &mut last, out)?,
            Some(Told::Outcome(_)) => {}
            // Once it has stopped, and said so, there is nothing more to follow.
            None => return Ok(()),
        }
    }
}

/// Ends when whoever read our output has gone: on a quiet node no write would
/// tell us.
async fn nobody_reads() {
    let mut looks = tokio::time::interval(LOOK_FOR_READER);
    loop {
        looks.tick().await;
        let out = std::io::stdout();
        // Errors and hang-ups are told without being asked for.
        let mut polled = [PollFd::new(&out, PollFlags::empty())];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().intersects(gone) {
            return;
        }
    }
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
