//! `punchdeck ctl`: one question to a running node, or one command.

mod ask;
mod bridge;
mod command;
mod error;
mod events;
mod peer;
mod table;
mod text;

use std::path::Path;

use serde::Serialize;

use self::error::CtlError;
use super::{BootstrapVerb, CtlArgs, Failure, RelaysVerb, Verb, print};
use crate::config::Config;
use crate::control::{SOCKET_FILE, SocketError, SocketPath};
use crate::model::Command;
use crate::model::contract::Printed;
use crate::tui::Keymap;

pub(super) fn execute(args: &CtlArgs) -> Result<(), Failure> {
    match run(args) {
        Ok(()) => Ok(()),
        Err(error) => Err(error.tell(args.json)),
    }
}

fn run(args: &CtlArgs) -> Result<(), CtlError> {
    let socket = match &args.target.socket {
        // Who names the socket needs no configuration, whatever is wrong with it.
        Some(path) => SocketPath::new(path.into())?,
        None => socket_of(&args.target.resolve()?.config)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Of the settings only the keys are told, and only by name of a step.
    let keys = args.target.resolve().map_or_else(|_| Keymap::default(), |resolved| resolved.config.keys);
    let out = Out { json: args.json, keys: &keys };
    let ended = runtime.block_on(verb(&args.verb, socket.as_path(), out));
    // Somebody may still be reading standard input, and would for ever.
    runtime.shutdown_background();
    ended
}

/// Where the node's socket is.
pub(super) fn socket_of(config: &Config) -> Result<SocketPath, SocketError> {
    SocketPath::new(config.socket.clone().unwrap_or_else(|| config.data_dir.join(SOCKET_FILE)))
}

async fn verb(verb: &Verb, socket: &Path, out: Out<'_>) -> Result<(), CtlError> {
    use command::{about, about_some, execute};
    match verb {
        Verb::Relays { command: Some(RelaysVerb::End { peer }) } => {
            execute(socket, out, about(peer, |peer| Command::EndServed { peer })).await
        }
        Verb::Log { details, time } if !details.is_empty() => {
            let command = command::of_log(details, *time)?;
            execute(socket, out, |_| Ok(command)).await
        }
        Verb::Status
        | Verb::Peers
        | Verb::Links
        | Verb::Relays { command: None }
        | Verb::Gossip
        | Verb::Nat
        | Verb::Log { .. }
        | Verb::Bootstrap { command: None }
        | Verb::Kpi => ask::execute(verb, socket, out).await,
        Verb::Metrics { peers } => ask::metrics(*peers, socket).await,
        Verb::Attempts { peer } => ask::attempts(peer.as_deref(), socket, out).await,
        Verb::Events { follow } => events::execute(*follow, socket, out).await,
        Verb::Bridge => bridge::execute(socket).await,
        Verb::Why { peer } => execute(socket, out, about(peer, |peer| Command::Why { peer })).await,
        Verb::Connect { peer } => match Command::dial(peer) {
            Ok(dial) => execute(socket, out, |_| Ok(dial)).await,
            Err(_) => execute(socket, out, about(peer, |peer| Command::Connect { peer })).await,
        },
        Verb::Bootstrap { command: Some(BootstrapVerb::Add { addr }) } => {
            execute(socket, out, |_| Ok(Command::AddBootstrap { addr: *addr })).await
        }
        Verb::Bootstrap { command: Some(BootstrapVerb::Remove { addr }) } => {
            execute(socket, out, |_| Ok(Command::RemoveBootstrap { addr: *addr })).await
        }
        Verb::Punch { peer } => execute(socket, out, about(peer, |peer| Command::Punch { peer })).await,
        Verb::Relay { peer } => execute(socket, out, about(peer, |peer| Command::Relay { peer })).await,
        Verb::Disconnect { peer } => {
            execute(socket, out, about(peer, |peer| Command::Disconnect { peer })).await
        }
        Verb::Sync { peer } => {
            execute(socket, out, about_some(peer.as_deref(), |peer| Command::Sync { peer })).await
        }
        Verb::Failover { peer } => {
            execute(socket, out, about_some(peer.as_deref(), |peer| Command::Failover { peer })).await
        }
        Verb::Test { peer, time } => {
            let for_ms = u32::try_from(crate::model::millis(*time)).unwrap_or(u32::MAX);
            let wanted = move |now: &crate::model::Snapshot| {
                peer::find(peer, now).map(|peer| Command::Test { peer, for_ms })
            };
            execute(socket, out, wanted).await
        }
        Verb::NatProbe => execute(socket, out, |_| Ok(Command::NatProbe)).await,
        Verb::Leave => execute(socket, out, |_| Ok(Command::Leave)).await,
    }
}

/// Where answers go, and for whom they are written.
#[derive(Debug, Clone, Copy)]
struct Out<'a> {
    json: bool,
    /// The console's keys.
    keys: &'a Keymap,
}

impl Out<'_> {
    /// An object for programs, or its text for people.
    fn say<T: Serialize>(self, object: T, text: impl FnOnce(&T) -> String) -> Result<(), CtlError> {
        let text = if self.json { json(object)? } else { text(&object) };
        print(text.as_bytes()).map_err(CtlError::from)
    }
}

fn json(object: impl Serialize) -> Result<String, CtlError> {
    Ok(serde_json::to_string(&Printed::new(object))? + "\n")
}
