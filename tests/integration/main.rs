//! Real nodes on loopback, speaking the real protocol.
//!
//! A harness of its own, so that a test can enter a user namespace before any
//! thread exists. What the host cannot run is reported as ignored with the
//! reason, never as passed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cache;
mod gossip;
mod hostile;
mod lab;
mod links;
mod process;
mod scripted;
mod start;
mod support;

use libtest_mimic::{Arguments, Trial};

fn main() {
    // Before anything here starts a thread.
    let userns = punchdeck::lab::enter();
    if std::env::var_os(lab::VICTIM).is_some() {
        return lab::victim(&userns.unwrap());
    }
    let args = Arguments::from_args();
    let trials: Vec<Trial> = [
        cache::trials(),
        gossip::trials(),
        hostile::trials(),
        lab::trials(userns),
        links::trials(),
        process::trials(),
        start::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&args, trials).exit();
}
