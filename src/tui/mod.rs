//! The console: shows a node's snapshots and events, sends it commands. It
//! never waits for the node, and knows no network.
//!
//! ```text
//! run ── input (reads keys) ── app (state: pure) ── view (draws: pure) ── terminal (writes)
//! ```
//!
//! `app` turns input and the time of it into state and effects; `view` turns
//! state into cells; both are tested without a terminal. `run` is the only
//! loop, `terminal` the only code that writes, `bindings` the only table of
//! keys.

mod app;
mod bindings;
mod commands;
mod draw;
mod entry;
mod faults;
mod filter;
pub mod fleet;
pub(crate) mod fmt;
mod fuzzy;
mod history;
mod input;
pub mod lab;
mod line;
mod lists;
mod logs;
mod message;
mod overlays;
mod pane;
mod panes;
#[cfg(test)]
mod property;
mod run;
mod terminal;
mod theme;
mod view;

#[cfg(any(test, feature = "test-support"))]
#[doc(hidden)]
pub mod demo;

pub use bindings::{Keymap, KeymapError};
pub use history::{Bundle, BundleError};
pub use logs::log_layer;
pub use run::{ConsoleError, Options, replay, run};
pub use theme::GlyphChoice;
