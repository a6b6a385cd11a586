//! What goes wrong with a network, a host or a clock. Each is undone by another one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

use super::conditions::{Conditions, WireSpec};

/// Something that goes wrong, or right again.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The wire between two regions.
    Link {
        /// Which.
        between: [String; 2],
        /// What it does then.
        to: Change,
    },
    /// The uplink of a host, or of a router.
    Uplink {
        /// Whose.
        of: String,
        /// What it does then.
        to: Change,
    },
    /// How long the router in front of a host remembers a mapping.
    UdpTimeout {
        /// The host behind the router.
        host: String,
        /// Seconds.
        seconds: u32,
    },
    /// A node's process stands still.
    Suspend {
        /// Which.
        node: String,
    },
    /// It goes on.
    Wake {
        /// Which.
        node: String,
    },
    /// A host gets another IPv4 address, in the same network.
    Readdress {
        /// Which.
        host: String,
    },
    /// A host gets an interface that leads nowhere.
    Plug {
        /// Which.
        host: String,
        /// Called so, for example `docker0`.
        interface: String,
        /// With this address.
        address: Net,
    },
    /// It is gone.
    Unplug {
        /// Which host's.
        host: String,
        /// Called so.
        interface: String,
    },
    /// A node's clock jumps.
    Clock {
        /// Whose.
        node: String,
        /// Seconds; backwards below 0.
        by_s: i64,
    },
    /// A node that does not run takes the key of another one.
    Twin {
        /// Which.
        node: String,
        /// Whose.
        of: String,
    },
}

/// What a wire is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// What is named; the rest as before.
    To(WireSpec),
    /// All of it.
    Back(Conditions),
}

impl Change {
    /// What it does then.
    pub fn on(&self, before: Conditions) -> Conditions {
        match self {
            Self::To(spec) => spec.on(before),
            Self::Back(conditions) => *conditions,
        }
    }
}

/// An address, and how long the prefix of its network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Net {
    /// The address.
    pub ip: IpAddr,
    /// The prefix.
    pub prefix: u8,
}

impl Net {
    /// Whether an address is in that network.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, true),
            IpAddr::V6(ip) => (u128::from(ip), false),
        };
        let ((own, fourth), (other, also)) = (bits(self.ip), bits(ip));
        let host = 128 - u32::from(self.prefix);
        fourth == also && own.checked_shr(host) == other.checked_shr(host)
    }
}

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let none = || format!("{text:?} is no network; one is 172.17.0.1/16 or fd00::1/64");
        let (ip, prefix) = text.split_once('/').ok_or_else(none)?;
        let (ip, prefix): (IpAddr, u8) =
            (ip.parse().map_err(|_| none())?, prefix.parse().map_err(|_| none())?);
        let most = if ip.is_ipv4() { 32 } else { 128 };
        if (1..=most).contains(&prefix) { Ok(Self { ip, prefix }) } else { Err(none()) }
    }
}

impl TryFrom<String> for Net {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = |to: &Change| to.on(Conditions::default());
        match self {
            Self::Link { between: [a, b], to } => write!(f, "the wire {a}-{b}: {}", change(to)),
            Self::Uplink { of, to } => write!(f, "the uplink of {of}: {}", change(to)),
            Self::UdpTimeout { host, seconds } => {
                write!(f, "the router before {host} forgets UDP after {seconds} s")
            }
            Self::Suspend { node } => write!(f, "{node} falls asleep"),
            Self::Wake { node } => write!(f, "{node} wakes up"),
            Self::Readdress { host } => write!(f, "{host} gets another address"),
            Self::Plug { host, interface, address } => {
                write!(f, "{host} gets the interface {interface} with {address}")
            }
            Self::Unplug { host, interface } => write!(f, "{host} loses the interface {interface}"),
            Self::Clock { node, by_s } if *by_s < 0 => write!(f, "the clock of {node} goes back {} s", -by_s),
            Self::Clock { node, by_s } => write!(f, "the clock of {node} goes forward {by_s} s"),
            Self::Twin { node, of } => write!(f, "{node} gets the key of {of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_what_begins_as_it_does() {
        let net: Net = "172.17.0.1/16".parse().unwrap();
        let contains = |ip: &str| net.contains(ip.parse().unwrap());
        assert!(contains("172.17.200.3") && !contains("172.18.0.1") && !contains("::ac11:1"));
        let sixth: Net = "fd00::1/64".parse().unwrap();
        assert!(sixth.contains("fd00::9".parse().unwrap()) && !sixth.contains("fd01::9".parse().unwrap()));
        for bad in ["", "172.17.0.1", "172.17.0.1/33", "172.17.0.1/0", "x/8"] {
            assert!(bad.parse::<Net>().is_err(), "{bad}");
        }
    }
}
