//! The pure core: state machines and codecs in the sans-IO manner.
//!
//! Everything here takes typed inputs and a [`Now`] and returns actions. There
//! is no clock, no task, no environment, no disk and no global state, so every
//! rule of the protocol is tested in virtual time.

mod attempts;
pub mod backoff;
pub mod book;
pub mod bucket;
pub mod config;
pub mod coordination;
pub mod dialer;
pub mod door;
pub mod engine;
pub mod gossip;
pub mod guessing;
pub mod host;
mod io;
pub mod kpi;
pub mod ladder;
pub mod limits;
pub mod link;
mod links;
pub mod nat;
mod outbox;
pub mod pathtest;
mod peers;
pub mod proof;
pub mod pulse;
mod relaying;
pub mod relays;
pub mod reporting;
mod reports;
pub mod room;
pub mod serving;
#[cfg(test)]
mod sim;
pub mod sounding;
mod targets;
mod time;
mod timers;
pub mod token;
pub mod why;
pub mod wire;

pub use time::{Mono, Now};
