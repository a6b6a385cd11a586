//! punchdeck: an operator console for a gossip-first, NAT-traversing
//! peer-to-peer node.
//!
//! One binary embeds a live node (ant-quic), shows what that node knows and
//! why each connection is what it is, and lets a person act on it.
//!
//! # Module map
//!
//! The arrows go one way; `tests/layers.rs` keeps them so.
//!
//! ```text
//! cli ─┬─> tui ──────┐
//!      ├─> lab ──────┼─> node ─> core ─> model
//!      └─> control ──┘
//! ```
//!
//! | module | what it is | what it never does |
//! |---|---|---|
//! | [`model`] | plain data: snapshot, events, commands, reasons | behaviour |
//! | [`core`] | state machines and codecs: input and now in, actions out | clock, tasks, disk, network |
//! | [`node`] | the runtime that feeds `core` and carries its actions out | decide |
//! | [`tui`] | the console: reads `model`, sends commands | network |
//! | [`registry`] | takes reports, counts them, shows the counts | tell anybody of a peer |
//! | [`lab`] | local fleets | |
//! | [`control`] | the control socket, both ends | |
//! | [`metrics`] | a snapshot as a page for Prometheus | decide what is true |
//! | [`cli`] | argument types and wiring | logic |
//! | [`config`], [`identity`], [`telemetry`] | files and logs | |
//! | [`files`] | files of this host, read bounded and written safely | know what is in them |

pub mod cli;
pub mod config;
pub mod control;
pub mod core;
pub mod files;
pub mod identity;
pub mod lab;
pub mod metrics;
pub mod model;
pub mod node;
pub mod registry;
pub mod telemetry;
pub mod tui;
