//! Which ports are probed, in which order, each once.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::StdRng;

use super::is_free_port;
use crate::core::limits::{GUESS_NEIGHBOURS, GUESS_PORT_MIN, GUESS_STEP_MAX};
use crate::core::wire::Near;

/// The port so many steps after the last one; `None` where there is none that may be
/// aimed at.
pub(super) fn neighbour(near: Near, steps: u16) -> Option<u16> {
    let far = i32::from(near.port) + i32::from(near.step) * i32::from(steps);
    u16::try_from(far).ok().filter(|port| is_free_port(*port))
}

/// What somebody says of its ports, if it makes sense.
pub(super) fn sensible(near: Option<Near>) -> Option<Near> {
    near.filter(|n| is_free_port(n.port) && n.step != 0 && n.step.unsigned_abs() <= GUESS_STEP_MAX)
}

/// Hands out ports.
#[derive(Debug)]
pub(super) struct Ports {
    near: Option<Near>,
    steps: u16,
    /// Whether others than the neighbours are of any use.
    any: bool,
    used: BTreeSet<u16>,
}

impl Ports {
    /// `near`: where the ports were last, and how they move; `any`: whether random
    /// ones follow.
    pub(super) fn new(near: Option<Near>, any: bool) -> Self {
        Self { near, steps: 0, any, used: BTreeSet::new() }
    }

    pub(super) fn next(&mut self, rng: &mut StdRng) -> Option<u16> {
        while let Some(near) = self.near.filter(|_| self.steps < GUESS_NEIGHBOURS) {
            self.steps += 1;
            if let Some(port) = neighbour(near, self.steps).filter(|port| self.used.insert(*port)) {
                return Some(port);
            }
        }
        if !self.any {
            return None;
        }
        // A run uses few of them, so that this ends soon.
        loop {
            let port = rng.random_range(GUESS_PORT_MIN..=u16::MAX);
            if self.used.insert(port) {
                return Some(port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::core::limits::GUESS_PROBES_MAX;

    fn all(mut ports: Ports) -> Vec<u16> {
        let mut rng = StdRng::seed_from_u64(7);
        (0..GUESS_PROBES_MAX).map_while(|_| ports.next(&mut rng)).collect()
    }

    #[test]
    fn no_port_is_probed_twice_and_none_below_1024() {
        for near in [None, Some(Near { port: 1030, step: -1 }), Some(Near { port: 65_500, step: 7 })] {
            let ports = all(Ports::new(near, true));
            assert_eq!(ports.len(), usize::from(GUESS_PROBES_MAX));
            assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
            assert!(ports.iter().all(|port| *port >= 1024));
        }
    }

    #[test]
    fn neighbours_come_first_and_alone_where_others_are_of_no_use() {
        let near = Some(Near { port: 5000, step: 2 });
        let ports = all(Ports::new(near, false));
        assert_eq!(ports.len(), usize::from(GUESS_NEIGHBOURS));
        assert_eq!(ports[..3], [5002, 5004, 5006]);
        assert_eq!(all(Ports::new(near, true))[..3], [5002, 5004, 5006]);
    }

    #[test]
    fn a_liar_about_its_steps_is_not_believed() {
        for (port, step) in [(80, 1), (5000, 0), (5000, 1000), (5000, i16::MIN)] {
            assert_eq!(sensible(Some(Near { port, step })), None, "{port} by {step}");
        }
    }
}
