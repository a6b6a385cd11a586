//! How likely it is that a probe meets a socket.

use crate::core::limits::GUESS_PORT_MIN;

/// Ports that a NAT hands out.
const PORTS: f64 = (u16::MAX - GUESS_PORT_MIN) as f64 + 1.0;

/// How likely `probes` at random meet one of `sockets`: 1 - (1 - N/64512)^M.
pub fn odds(sockets: u16, probes: u16) -> f64 {
    1.0 - (1.0 - f64::from(sockets) / PORTS).powi(i32::from(probes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limits::{GUESS_PROBES_MAX, GUESS_SOCKETS_MAX};

    #[test]
    fn a_full_run_meets_98_times_in_100() {
        let full = odds(GUESS_SOCKETS_MAX, GUESS_PROBES_MAX);
        assert!((full - 0.983).abs() < 0.001, "{full}");
        assert!((odds(128, 512) - 0.638).abs() < 0.001);
    }

    #[test]
    fn nothing_sent_and_nothing_open_meets_nobody() {
        assert!(odds(256, 0).abs() < f64::EPSILON && odds(0, 1024).abs() < f64::EPSILON);
    }
}
