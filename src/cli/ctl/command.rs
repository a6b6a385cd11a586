//! Commands: sent, watched until their real end, and what came of them.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CtlError;
use super::{Out, peer, text};
use crate::control::{Client, ClientError, Told};
use crate::model::contract::{
    Bootstrap, Connected, Disconnected, EndedServed, FailedOver, Left, Log, NatWithVantages, StageResult,
    Staged, TestReport, WhyReport,
};
use crate::model::{
    Command, Done, Event, EventKind, Outcome, PeerId, Snapshot, TargetDetail, millis, printable,
};

/// How long a node may take from its goodbye to its end.
const STOP_TIME: Duration = Duration::from_secs(5);
/// How long automatic dials wait after a disconnect; the node keeps to it.
const HELD_OFF: Duration = crate::core::dialer::HOLD_OFF;

/// A command, made once it is known who is meant.
pub(super) async fn execute(
    socket: &Path,
    out: Out<'_>,
    command: impl FnOnce(&Snapshot) -> Result<Command, CtlError>,
) -> Result<(), CtlError> {
    let mut client = Client::connect(socket, false).await?;
    let now = client.snapshot().await?;
    let command = command(&now)?;
    finish(client, now, out, command).await
}

/// A command about one peer.
pub(super) fn about(
    wanted: &str,
    command: fn(PeerId) -> Command,
) -> impl FnOnce(&Snapshot) -> Result<Command, CtlError> {
    move |now| peer::find(wanted, now).map(command)
}

/// A command about one peer, or about all.
pub(super) fn about_some(
    wanted: Option<&str>,
    command: fn(Option<PeerId>) -> Command,
) -> impl FnOnce(&Snapshot) -> Result<Command, CtlError> {
    move |now| wanted.map(|wanted| peer::find(wanted, now)).transpose().map(command)
}

/// A command about the log.
pub(super) fn of_log(details: &[String], time: Duration) -> Result<Command, CtlError> {
    if let [word] = details
        && word == "reset"
    {
        return Ok(Command::LogReset);
    }
    let read = |text: &String| {
        TargetDetail::parse(text).ok_or_else(|| {
            let text = printable(text);
            CtlError::usage(&format!(
                "{text:?} is not TARGET=LEVEL, such as punchdeck::core=debug, nor reset"
            ))
        })
    };
    let details = details.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Command::Log { details, for_ms: millis(time) })
}

async fn finish(mut client: Client, now: Snapshot, out: Out<'_>, command: Command) -> Result<(), CtlError> {
    // Whoever looks on is shown how far it is.
    let shows_progress = !out.json && !command.is_question() && std::io::stderr().is_terminal();
    if shows_progress {
        client.events(true).await?;
    }
    let verb = command.verb();
    let id = client.send(command.clone()).await?;
    let mut called_off = CalledOff::of(&command)?;
    let outcome = loop {
        let told = tokio::select! {
            told = client.next() => told,
            peer = called_off.asked() => {
                // The node says what was measured until then.
                client.send(Command::EndTest { peer }).await?;
                continue;
            }
        };
        match told {
            Ok(Some(Told::Outcome(outcome))) if outcome.id == id => break outcome,
            Ok(Some(Told::Event(event))) => progress(&event, command.peer()),
            Ok(Some(Told::Outcome(_))) => {}
            Ok(None) | Err(ClientError::Lost { .. }) => return Err(CtlError::lost(verb)),
            Err(error) => return Err(error.into()),
        }
    };
    if command == Command::Leave && outcome.result.is_ok() {
        // It has stopped when it hangs up.
        let stopped = async { while let Ok(Some(_)) = client.next().await {} };
        if tokio::time::timeout(STOP_TIME, stopped).await.is_err() {
            return Err(CtlError::refused(verb, &crate::model::Reason::timed_out(STOP_TIME)));
        }
    }
    tell(&outcome, &now, out)?;
    if called_off.was_asked { Err(CtlError::told()) } else { Ok(()) }
}

/// What ends at the node when whoever asked for it wants it no more: a test. Other
/// commands are as short as they are.
struct CalledOff {
    signals: Option<(PeerId, Signal, Signal)>,
    was_asked: bool,
}

impl CalledOff {
    fn of(command: &Command) -> std::io::Result<Self> {
        let signals = match command {
            Command::Test { peer, .. } => {
                Some((*peer, signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
            }
            _ => None,
        };
        Ok(Self { signals, was_asked: false })
    }

    /// Waits until somebody wants it ended: once, as a second time is meant for us.
    async fn asked(&mut self) -> PeerId {
        let Some((peer, interrupt, terminate)) = &mut self.signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if self.was_asked {
            std::process::exit(130);
        }
        self.was_asked = true;
        *peer
    }
}

/// What an attempt towards the peer is doing, on standard error.
fn progress(event: &Arc<Event>, about: Option<PeerId>) {
    let of_interest = matches!(
        event.kind,
        EventKind::StageStarted { .. }
            | EventKind::StageEnded { .. }
            | EventKind::LinkMoved { .. }
            | EventKind::TestStarted { .. }
            | EventKind::TestStage { .. }
    );
    if of_interest && about.is_some() && event.peer_id == about {
        // Nobody to tell is no reason to stop.
        let _ = writeln!(std::io::stderr(), "  {}", event.kind);
    }
}

fn tell(outcome: &Outcome, now: &Snapshot, out: Out<'_>) -> Result<(), CtlError> {
    let done = match &outcome.result {
        Ok(done) => done,
        Err(failure) => {
            let Some(report) = &failure.report else {
                return Err(CtlError::refused(outcome.command.verb(), &failure.reason));
            };
            match outcome.command.stage() {
                Some(_) => {
                    let told = Staged::new(report, Err(&failure.reason));
                    out.say(told, |staged| text::staged(staged, outcome, now))?;
                }
                None => {
                    out.say(Connected::new(report, Some(&failure.reason)), |c| text::connected(c, now))?;
                }
            }
            return Err(CtlError::told());
        }
    };
    let line = |_: &_| format!("{outcome}\n");
    match done {
        Done::Connected(report) => out.say(Connected::new(report, None), |c| text::connected(c, now)),
        Done::Staged(report) => {
            let punch = matches!(outcome.command, Command::Punch { .. });
            let did = if punch { StageResult::Punched } else { StageResult::Relayed };
            out.say(Staged::new(report, Ok(did)), |staged| text::staged(staged, outcome, now))
        }
        Done::NothingToDo(report) => {
            let told = Staged::new(report, Ok(StageResult::NothingToDo));
            out.say(told, |staged| text::staged(staged, outcome, now))
        }
        Done::Bootstrap { addresses } => {
            out.say(Bootstrap { bootstrap: addresses.clone() }, |_| format!("{outcome}\n"))
        }
        Done::Disconnected { peer_id } => {
            let what = Disconnected { peer_id: *peer_id, held_off_s: HELD_OFF.as_secs() };
            out.say(what, |_| format!("{outcome}\n"))
        }
        Done::EndedServed { peer_id, kept_off_ms } => {
            let what = EndedServed { peer_id: *peer_id, kept_off_s: kept_off_ms / 1000 };
            out.say(what, |_| format!("{outcome}\n"))
        }
        Done::Synced(report) => out.say(*report, line),
        // The beginning of the command is the moment that was seen.
        Done::Logged(view) => out.say(Log::new(view, now.at), |_| format!("{outcome}\n")),
        Done::Probed(view) => out.say(NatWithVantages::new(view, now), |nat| text::nat(nat, now)),
        Done::FailedOver(over) => out.say(FailedOver::from(over), |_| format!("{outcome}\n")),
        Done::Explained(why) => out
            .say(WhyReport::new(why, now.at, |step| out.keys.key_of_next(step)), |report| {
                text::why(report, now)
            }),
        Done::Tested(test) => out.say(TestReport::new(test, now.at), |_| text::tested(test, now)),
        Done::Left => out.say(Left {}, |_| format!("{outcome}\n")),
        // Nobody can ask for these here.
        Done::EndedTest { .. } | Done::Echoed(_) | Done::WillLose => Ok(()),
    }
}
