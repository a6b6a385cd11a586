//! What a wire does, as data.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

const TRIP_MS_MAX: f64 = 10_000.0;
const RATE_KBIT: RangeInclusive<u64> = 8..=10_000_000;
/// From what every host must take to what the lab's interfaces do.
const MTU: RangeInclusive<u16> = 576..=1500;
/// Above, what comes late is what comes in order.
const REORDER_MAX: f64 = 50.0;

/// What a wire does to each direction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conditions {
    /// One way; a round trip takes twice as long.
    pub delay: Duration,
    /// Each frame takes up to this much longer, evenly spread.
    pub jitter: Duration,
    /// The share of frames that get lost, 0 to 1.
    pub loss: f64,
    /// The share of frames that are held back until later ones have passed, 0 to 1.
    pub reorder: f64,
    /// Bits a second; `None` is as fast as the machine.
    pub rate: Option<u64>,
    /// Longer packets get lost, and nobody is told: bytes of IP.
    pub mtu: Option<u16>,
    /// UDP gets lost, all else passes.
    pub no_udp: bool,
    /// Nothing passes, and what is under way is lost.
    pub cut: bool,
}

impl Conditions {
    /// Half of a round trip each way, nothing else.
    pub fn round_trip(rtt: Duration) -> Self {
        Self { delay: rtt / 2, ..Self::default() }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cut {
            return f.write_str("cut");
        }
        write!(f, "{:.1} ms", 2000.0 * self.delay.as_secs_f64())?;
        if !self.jitter.is_zero() {
            write!(f, ", up to {:.1} ms more each way", 1000.0 * self.jitter.as_secs_f64())?;
        }
        self.faults().iter().try_for_each(|fault| write!(f, ", {fault}"))?;
        self.rate.map_or(Ok(()), |rate| write!(f, ", {:.0} kbit/s", rate as f64 / 1000.0))
    }
}

impl Conditions {
    /// What is wrong with it, a phrase each; time and rate are not.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.loss > 0.0 {
            faults.push(format!("{:.1} % lost each way", 100.0 * self.loss));
        }
        if self.reorder > 0.0 {
            faults.push(format!("{:.1} % overtaken each way", 100.0 * self.reorder));
        }
        faults.extend(self.mtu.map(|mtu| format!("at most {mtu} bytes")));
        if self.no_udp {
            faults.push("UDP blocked".to_owned());
        }
        faults
    }
}

/// What can go wrong with a wire by a key, one after the other: MTU, UDP blocked, loss,
/// reordering.
const BY_KEY: [(Option<u16>, bool, f64, f64); 6] = [
    (None, false, 0.0, 0.0),
    (Some(1200), false, 0.0, 0.0),
    (None, true, 0.0, 0.0),
    (None, false, 0.05, 0.0),
    (None, false, 0.2, 0.0),
    (None, false, 0.0, 0.1),
];

impl Conditions {
    /// The same with the next thing wrong, and in the end with nothing.
    #[must_use]
    pub fn next_fault(self) -> Self {
        let now = (self.mtu, self.no_udp, self.loss, self.reorder);
        let at = BY_KEY.iter().position(|fault| *fault == now).map_or(0, |at| at + 1);
        let (mtu, no_udp, loss, reorder) = BY_KEY[at % BY_KEY.len()];
        Self { loss, reorder, mtu, no_udp, ..self }
    }
}

/// Whether UDP passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Udp {
    /// As everything does.
    #[default]
    Passes,
    /// It gets lost, and nobody is told; TCP passes.
    Blocked,
}

/// What a wire is to do, as a file says it. What is left out stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireSpec {
    /// There and back, in milliseconds.
    pub rtt_ms: Option<f64>,
    /// Up to this much longer each way, in milliseconds.
    pub jitter_ms: Option<f64>,
    /// Packets lost each way, in percent.
    #[serde(alias = "loss_percent")]
    pub loss: Option<f64>,
    /// Packets that later ones overtake each way, in percent.
    pub reorder: Option<f64>,
    /// Kilobits a second each way.
    pub rate_kbit: Option<u64>,
    /// The longest packet that passes, in bytes of IP; 1500 is what the lab takes.
    pub mtu: Option<u16>,
    /// Whether UDP passes.
    pub udp: Option<Udp>,
}

impl WireSpec {
    /// What a wire does that did something else before.
    #[must_use]
    pub fn on(&self, before: Conditions) -> Conditions {
        let ms = |ms: f64| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
        Conditions {
            delay: self.rtt_ms.map_or(before.delay, |rtt| ms(rtt / 2.0)),
            jitter: self.jitter_ms.map_or(before.jitter, ms),
            loss: self.loss.map_or(before.loss, |percent| percent / 100.0),
            reorder: self.reorder.map_or(before.reorder, |percent| percent / 100.0),
            rate: self.rate_kbit.map(|kbit| kbit * 1000).or(before.rate),
            mtu: match self.mtu {
                Some(mtu) => Some(mtu).filter(|mtu| mtu != MTU.end()),
                None => before.mtu,
            },
            no_udp: self.udp.map_or(before.no_udp, |udp| udp == Udp::Blocked),
            cut: before.cut,
        }
    }

    /// Whether all of it is possible.
    ///
    /// # Errors
    /// What is not, and what is.
    pub fn check(&self) -> Result<(), (String, String)> {
        for (key, value, most) in [
            ("rtt_ms", self.rtt_ms, TRIP_MS_MAX),
            ("jitter_ms", self.jitter_ms, TRIP_MS_MAX),
            ("loss", self.loss, 100.0),
            ("reorder", self.reorder, REORDER_MAX),
        ] {
            if let Some(value) = value.filter(|value| !(0.0..=most).contains(value)) {
                return Err((format!("{key} = {value}"), format!("0 to {most}")));
            }
        }
        if let Some(rate) = self.rate_kbit.filter(|rate| !RATE_KBIT.contains(rate)) {
            let allowed = format!("{} to {}", RATE_KBIT.start(), RATE_KBIT.end());
            return Err((format!("rate_kbit = {rate}"), allowed));
        }
        if let Some(mtu) = self.mtu.filter(|mtu| !MTU.contains(mtu)) {
            return Err((format!("mtu = {mtu}"), format!("{} to {}", MTU.start(), MTU.end())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_change_does_not_name_stays_as_it_is() {
        let before = Conditions {
            cut: true,
            loss: 0.2,
            mtu: Some(1280),
            ..Conditions::round_trip(Duration::from_millis(80))
        };
        let lossless = WireSpec { loss: Some(0.0), udp: Some(Udp::Blocked), ..WireSpec::default() };
        assert_eq!(lossless.on(before), Conditions { loss: 0.0, no_udp: true, ..before });
        let wide = WireSpec { mtu: Some(1500), udp: Some(Udp::Passes), ..WireSpec::default() };
        assert_eq!(wide.on(lossless.on(before)), Conditions { loss: 0.0, mtu: None, ..before });
    }

    #[test]
    fn one_key_goes_through_all_faults_and_back_to_none() {
        let begun = Conditions::round_trip(Duration::from_millis(20));
        let mut all = vec![begun.next_fault()];
        while all.last() != Some(&begun) {
            assert!(all.len() < 10, "{all:?}");
            all.extend(all.last().map(|c| c.next_fault()));
        }
        let said: Vec<String> = all.iter().map(|c| c.faults().join(", ")).collect();
        let each = ["at most 1200 bytes", "UDP blocked", "5.0 % lost", "20.0 % lost", "10.0 % overtaken", ""];
        assert!(said.len() == each.len() && said.iter().zip(each).all(|(s, e)| s.starts_with(e)), "{said:?}");
        let odd = Conditions { mtu: Some(1300), ..begun };
        assert_eq!(odd.next_fault(), begun, "what no key made ends first");
    }

    #[test]
    fn a_wire_that_cannot_be_is_refused_with_what_is_possible() {
        let says = |spec: WireSpec| spec.check().map_err(|(what, allowed)| format!("{what}; {allowed}"));
        assert_eq!(says(WireSpec::default()), Ok(()));
        let refused = |spec, what: &str| assert_eq!(says(spec), Err(what.to_owned()));
        refused(WireSpec { mtu: Some(500), ..WireSpec::default() }, "mtu = 500; 576 to 1500");
        refused(WireSpec { reorder: Some(51.0), ..WireSpec::default() }, "reorder = 51; 0 to 50");
        refused(WireSpec { loss: Some(-1.0), ..WireSpec::default() }, "loss = -1; 0 to 100");
        refused(WireSpec { rate_kbit: Some(1), ..WireSpec::default() }, "rate_kbit = 1; 8 to 10000000");
    }
}
