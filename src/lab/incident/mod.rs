//! From an incident to the lab: what was measured when something went wrong, as a
//! topology and a drill that asks the same question. What was not measured is said in
//! a comment beside what is assumed instead. Peers are called by pseudonyms, and no
//! address is written.

mod recorded;
mod story;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::model::{NatType, WhyCause};

pub use story::Actors;

/// What was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The verdict of that time.
    pub cause: WhyCause,
    /// In words.
    pub verdict: String,
    /// The end that asked.
    pub here: End,
    /// The peer it asked about.
    pub there: End,
    /// The round trip of the link, if one stood.
    pub rtt_ms: Option<f64>,
    /// What happened, a line each, by pseudonym.
    pub story: Vec<String>,
}

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End {
    /// Its NAT; unknown where that was not measured.
    pub nat: NatType,
    /// Whether nothing is translated, and only answers come in.
    pub firewalled: bool,
    /// How long its NAT remembers a mapping, in seconds, as far as that is known.
    pub remembers_s: Option<u32>,
}

/// What stands in for a NAT that was not measured: the most common one.
const ASSUMED: NatType = NatType::PortRestricted;
/// What the lab's routers can remember a mapping for.
const REMEMBERS_S: std::ops::RangeInclusive<u32> = crate::lab::topology::REMEMBERS_S;
/// Longer round trips than the lab's wires have are none of the network.
const RTT_MS_MAX: f64 = 10_000.0;
/// What QUIC needs is more.
const TOO_NARROW: u16 = 1200;
/// Of a path that loses much, in percent.
const LOSS: u8 = 20;

impl Incident {
    /// The network that it happened in, as far as it is known.
    pub fn topology(&self) -> String {
        let mut out = head("The network of an incident, as far as it was measured.");
        let apart = self.cause == WhyCause::NoCommonFamily;
        for name in ["between", "here", "there"] {
            let _ = writeln!(out, "\n[[region]]\nname = \"{name}\"");
            if apart {
                out += "ipv6 = true\n";
            }
        }
        out += "\n[[link]]\nbetween = [\"here\", \"there\"]\n";
        match self.rtt_ms.filter(|ms| (0.0..=RTT_MS_MAX).contains(ms)) {
            Some(ms) => drop(writeln!(out, "rtt_ms = {ms:.1}")),
            None => out += "# Not measured: the round trip. None is assumed.\n",
        }
        if self.cause == WhyCause::PathTooNarrow {
            let _ = writeln!(
                out,
                "# Less than QUIC needs; how much passes was not measured.\nmtu = {TOO_NARROW}"
            );
        }
        if self.cause == WhyCause::LossyPath {
            let _ =
                writeln!(out, "# How much was lost is not in the record; that is assumed.\nloss = {LOSS}");
        }
        for (name, end) in [("here", &self.here), ("there", &self.there)] {
            out += &end.router(name);
        }
        out += "\n# Not measured: how many public nodes there are. Three are enough to measure a NAT.\n";
        for n in 1..=3 {
            let _ = writeln!(out, "[[host]]\nname = \"pub-{n}\"\nupstream = \"between\"\n");
        }
        for (name, end) in [("here", &self.here), ("there", &self.there)] {
            let upstream = if end.is_public() { name.to_owned() } else { format!("{name}-router") };
            let _ = writeln!(out, "[[host]]\nname = \"{name}-1\"\nupstream = \"{upstream}\"");
            if apart {
                let lacks = if name == "here" { "ipv4" } else { "ipv6" };
                let _ = writeln!(out, "# Which end has which is not in the record.\n{lacks} = false");
            }
            out += "\n";
        }
        out
    }

    /// What is done there, and what must be said then. `topology`: its file.
    pub fn drill(&self, topology: &str) -> String {
        let mut out = head("An incident, done again.");
        let _ = writeln!(out, "#\n# What was said then: {}", one_line(&self.verdict));
        if !self.story.is_empty() {
            out += "#\n# What was told of it, and by whom:\n";
        }
        for line in &self.story {
            let _ = writeln!(out, "# {}", one_line(line));
        }
        let cause = name_of(self.cause);
        let _ = writeln!(out, "\nabout = \"An incident, done again: whether the lab says {cause}, too\"\n");
        let _ = writeln!(out, "[fleet]\ntopology = {}\npassive = true", toml::Value::from(topology));
        let _ = writeln!(out, "latency = {}", self.rtt_ms.is_some());
        let _ = writeln!(out, "hard-nat = \"off\"\n");
        out += &step("wait", "until = { what = \"all-measured\" }\nwithin = \"30s\"");
        let (steps, tried) = self.steps();
        out += &steps;
        let within = if self.cause == WhyCause::UsedTwice { "20s" } else { "5s" };
        out += &step(
            "why",
            &format!(
                "node = \"here-1\"\nabout = \"there-1\"\ncause = \"{cause}\"\ntried = {tried}\nwithin = \
                 \"{within}\"\nas = \"same\""
            ),
        );
        let _ = writeln!(
            out,
            "[[checks]]\nname = \"the lab says {cause}, as was said then\"\nvalue = \"same\"\nmin = 1.0\nunit \
             = \"count\""
        );
        out
    }

    /// What is done until the question is asked, and whether the ladder is to be run
    /// once more before it.
    fn steps(&self) -> (String, bool) {
        let connect = step("connect", "from = \"here-1\"\nto = \"there-1\"\nas = \"first\"");
        let told = step("sleep", "for = \"4s\"");
        let gone = step(
            "wait",
            "until = { what = \"unlinked\", a = \"here-1\", b = \"there-1\" }\nwithin = \"30s\"",
        );
        let alone = step("wait", "until = { what = \"isolated\", node = \"here-1\" }\nwithin = \"40s\"");
        let uplink = |of: &str, to: &str| step("set-uplink", &format!("of = \"{of}\"\nto = {to}"));
        match self.cause {
            WhyCause::Direct
            | WhyCause::Punched
            | WhyCause::NoCommonFamily
            | WhyCause::Unpunchable
            | WhyCause::GuessablePort
            | WhyCause::PathTooNarrow => (connect + &told, false),
            WhyCause::LossyPath => {
                let test =
                    "from = \"here-1\"\nto = \"there-1\"\nfor = \"5s\"\nasked = { rtt_ms = 0.0, loss = ";
                (connect + &step("path-test", &format!("{test}{LOSS}.0 }}\nas = \"tested\"")), false)
            }
            WhyCause::Slept => {
                let sleeps = step("suspend", "node = \"here-1\"") + &step("sleep", "for = \"25s\"");
                let wakes = step("wake", "node = \"here-1\"") + &told;
                let again = step("connect", "from = \"here-1\"\nto = \"there-1\"\nas = \"again\"");
                (connect + &sleeps + &wakes + &again, false)
            }
            WhyCause::ClockSet => {
                (connect + &step("jump-clock", "node = \"here-1\"\nby_s = 3600") + &told, false)
            }
            WhyCause::NatForgets => (connect + &step("sleep", "for = \"45s\""), false),
            WhyCause::Left => (connect + &step("stop", "node = \"there-1\"") + &gone, true),
            WhyCause::FellSilent => (connect + &step("cut", "hosts = [\"there-1\"]") + &gone, true),
            WhyCause::NotRunning => (connect + &step("kill", "node = \"there-1\"") + &gone, true),
            WhyCause::UdpBlockedHere => (connect + &uplink("here-1", "{ udp = \"blocked\" }") + &alone, true),
            WhyCause::UdpBlockedThere => {
                (connect + &uplink("there-1", "{ udp = \"blocked\" }") + &gone, true)
            }
            WhyCause::NobodyAnswers => (connect + &step("cut", "hosts = [\"here-1\"]") + &alone, true),
            WhyCause::HeldOff => {
                (connect + &step("disconnect", "from = \"there-1\"\nto = \"here-1\"") + &gone, true)
            }
            WhyCause::DisconnectedHere => {
                (connect + &step("disconnect", "from = \"here-1\"\nto = \"there-1\"") + &gone, false)
            }
            WhyCause::UsedTwice => {
                let twin = step("twin", "node = \"second\"\nof = \"there-1\"");
                let comes = step("connect", "from = \"second\"\nto = \"here-1\"\nas = \"second\"");
                (connect + &twin + &step("start", "node = \"second\"") + &comes, false)
            }
            _ => {
                let unknown = "# Not known: how this came about. The ladder is run, and the same question \
                               asked; add the steps that you know of.\n";
                (unknown.to_owned() + &connect, true)
            }
        }
    }
}

impl End {
    fn is_public(&self) -> bool {
        self.nat == NatType::None && !self.firewalled
    }

    fn router(&self, name: &str) -> String {
        if self.is_public() {
            return String::new();
        }
        let mut out = format!("\n[[router]]\nname = \"{name}-router\"\nupstream = \"{name}\"\n");
        if self.nat == NatType::Unknown {
            let _ = writeln!(out, "# Not measured: this NAT. The most common one is assumed.");
        }
        let nat = if self.nat == NatType::Unknown { ASSUMED } else { self.nat };
        let _ = writeln!(out, "nat = \"{nat}\"");
        if self.firewalled {
            let _ = writeln!(out, "firewall = true");
        }
        match self.remembers_s {
            Some(seconds) => {
                let seconds = seconds.clamp(*REMEMBERS_S.start(), *REMEMBERS_S.end());
                let _ = writeln!(out, "udp_timeout = \"{seconds}s\"");
            }
            None => {
                let _ = writeln!(out, "# Not measured: how long it remembers a mapping.");
            }
        }
        out
    }
}

/// The name of a cause, as files have it.
pub fn name_of(cause: WhyCause) -> String {
    serde_json::to_value(cause).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn head(what: &str) -> String {
    format!(
        "# {what} Written by `punchdeck lab from`; peers are\n# called by pseudonyms, and no address is written.\n"
    )
}

fn step(verb: &str, body: &str) -> String {
    format!("[[steps]]\ndo = \"{verb}\"\n{body}\n\n")
}

/// A comment ends with its line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
