//! Real nodes on loopback, speaking the real protocol.
//!
//! A harness of its own, so that a test can enter a user namespace before any
//! thread exists. What the host cannot run is reported as ignored with the
//! reason, never as passed.

// What a long trial measured stands in its output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod binary;
mod cache;
mod control;
mod ctl;
mod drills;
mod dual_stack;
mod faults;
mod field;
mod full_disk;
mod gossip;
mod headless;
#[path = "../hostile/mod.rs"]
mod hostile;
mod kill;
mod lab;
mod lanes;
mod links;
mod moves;
mod nat;
mod nat_names;
mod pathtests;
mod process;
mod punch;
mod real_fleet;
mod relays;
mod scene;
mod start;
mod support;
mod why;

use libtest_mimic::{Arguments, Trial};

fn main() {
    // Before anything here starts a thread.
    let userns = punchdeck::lab::enter();
    if std::env::var_os(lab::VICTIM).is_some() {
        return lab::victim(&userns.unwrap());
    }
    let args = Arguments::from_args();
    let userns = userns.and_then(lab::works);
    let punch = punch::trials(userns.as_ref());
    let trials: Vec<Trial> = [
        cache::trials(),
        control::trials(),
        ctl::trials(),
        drills::trials(userns.clone()),
        dual_stack::trials(userns.clone()),
        full_disk::trials(),
        gossip::trials(),
        headless::trials(),
        hostile::trials(),
        kill::trials(),
        lab::trials(userns.clone()),
        lanes::trials(),
        links::trials(),
        faults::trials(userns.clone()),
        field::trials(userns.clone()),
        moves::trials(userns.clone()),
        nat::trials(),
        nat_names::trials(userns.clone()),
        pathtests::trials(),
        real_fleet::trials(userns.clone()),
        why::trials(userns),
        process::trials(),
        relays::trials(),
        punch,
        start::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&args, trials).exit();
}
