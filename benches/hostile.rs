//! What peers gone bad cost a node: `cargo bench --bench hostile`, some three
//! minutes. The node is the real binary as a process; everything stays on
//! 127.0.0.0/8.
//!
//! `costs`: for each surface what a stranger and what a member make it hold, send and
//! compute, and what is left of it, beside the limit (docs/security.md has the table).
//! `flood`: what floods from forged addresses do to a link and a newcomer.
//! Either alone: `cargo bench --bench hostile -- costs`. With `costs WORD` only rows
//! whose surface has that word.

#![allow(clippy::print_stdout)]

#[path = "hostile/cost.rs"]
mod cost;
#[path = "hostile/flood.rs"]
mod flood;
#[path = "hub/mod.rs"]
mod hub;
#[path = "hostile/members.rs"]
mod members;
#[path = "../tests/hostile/peer/mod.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod peer;
#[path = "hostile/strangers.rs"]
mod strangers;

use anyhow::Result;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let (what, word) = (args.first().map(String::as_str), args.get(1).map_or("", String::as_str));
    let mut failed = false;
    if what.is_none_or(|what| what == "costs") {
        let rows: Vec<cost::Surface> = [strangers::surfaces(), members::surfaces()].concat();
        failed = !cost::table(&rows, word)?;
    }
    if what.is_none_or(|what| what == "flood") {
        flood::flood()?;
    }
    anyhow::ensure!(!failed, "a limit was passed");
    Ok(())
}
