//! Open files: a lab holds many in one process, so it says how many before
//! anything of it is built.

use rustix::process::{Resource, getrlimit};

use super::{LabError, Topology};

/// What a process holds whatever its lab is: logs, a terminal, temporary files,
/// sockets of the tests that a network passes before it is believed.
const BASE: u64 = 64;
/// A region, router or host: its namespace, its runtime, and its ends of wires.
/// Of 19, 58 and 119 such places each held 9 at most (`ls /proc/PID/fd` of
/// `punchdeck lab --self-test --nodes 8`, the same with 32, and `nat_matrix`).
const PER_PLACE: u64 = 11;
/// A node that runs, linked to everybody and measuring its NAT, with a socket for
/// each reservation that it serves. Of 8 and 32 behind NATs each held 14 in the
/// mean (`ls /proc/PID/fd` of `punchdeck lab --no-latency --nodes 32` with a
/// development build, less its places), and 7 on loopback.
const PER_NODE: u64 = 20;

/// Whether as many files can be opened as nodes on loopback need.
pub(super) fn suffice_on_loopback(nodes: usize) -> Result<(), LabError> {
    suffice(BASE + PER_NODE * nodes as u64)
}

/// Whether as many can be opened as a network needs, and so many nodes in it that
/// run at one time.
pub(super) fn suffice_for(topology: &Topology, nodes: usize) -> Result<(), LabError> {
    suffice(needed(topology, nodes))
}

fn needed(topology: &Topology, nodes: usize) -> u64 {
    // The regions are connected by a place of its own.
    let places = 1 + topology.region.len() + topology.router.len() + topology.host.len();
    BASE + PER_PLACE * places as u64 + PER_NODE * nodes as u64
}

/// The program has raised what it may open to what the host lets it, if it could.
fn suffice(needs: u64) -> Result<(), LabError> {
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) => fits(needs, open_now(), limit),
        None => Ok(()),
    }
}

fn fits(needs: u64, open: u64, limit: u64) -> Result<(), LabError> {
    if needs.saturating_add(open) <= limit { Ok(()) } else { Err(LabError::OpenFiles { needs, open, limit }) }
}

/// What this process has open: another lab, perhaps. None where the system does
/// not tell.
fn open_now() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_larger_lab_needs_more_and_idle_hosts_less_than_running_ones() {
        let default = Topology::find(Path::new("default")).unwrap();
        let (small, large) = (default.clone().with_hosts(8), default.with_hosts(32));
        assert!(needed(&small, 8) < needed(&large, 8) && needed(&large, 8) < needed(&large, 32));
        // What was measured fits in.
        assert!(needed(&small, 8) >= 287 && needed(&large, 32) >= 958, "{}", needed(&small, 8));
        assert!(needed(&small, 8) < 1024, "a small one is for everybody");
    }

    #[test]
    fn what_is_open_already_counts() {
        assert!(fits(100, 20, 120).is_ok());
        let refused = fits(100, 21, 120).unwrap_err().to_string();
        assert!(
            refused.contains("100") && refused.contains("120") && refused.contains("ulimit -Hn"),
            "{refused}"
        );
        assert!(open_now() < 100_000);
    }
}
