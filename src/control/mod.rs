//! The control socket: a running node for whoever may read and command it.
//!
//! A Unix socket in the data directory carries JSON lines. The server's end
//! hands out what the node's own feed gives; the client's end makes a feed of it
//! again, so a console cannot tell whether its node runs in this process. What
//! travels is the model, nothing else.
//!
//! A client can do to the node what a person at its console can, and no more:
//! what only drills ask for is refused. A slow one loses events, which are
//! counted, and old snapshots; one that does not read at all is let go. None of
//! them ever holds the node up.

mod attached;
mod briefs;
mod client;
mod fleet_file;
mod history;
mod lines;
mod paging;
mod protocol;
mod server;
mod session;
mod socket;
mod target;

pub use attached::attach;
pub use briefs::watch_in_brief;
pub use client::{Client, ClientError, Told};
pub use fleet_file::{FLEET_NODES, FleetError, FleetFile, FleetNode};
pub use protocol::{Ask, CLIENT_LINE_MAX, Greeting, Refusal, SERVER_LINE_MAX, Tell, VERSION};
pub use server::{CLIENTS_MAX, Server};
pub use socket::{ControlSocket, SocketError, SocketPath, group_id};
pub use target::{Target, bridge};

/// The socket's file name in the data directory.
pub const SOCKET_FILE: &str = "control.sock";
