//! What was done to a lab, and when.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::lab::{Behaves, Conditions};

/// Something that was done to a lab.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// Since the lab began to start.
    pub at: Duration,
    /// What.
    pub what: Happening,
}

/// What can be done to a lab.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// The network stands, measured or not.
    Built,
    /// A node began to run.
    Started {
        /// Its host.
        host: String,
        /// The process, if it has one of its own.
        pid: Option<u32>,
    },
    /// A node ended with a goodbye.
    Stopped {
        /// Its host.
        host: String,
    },
    /// A node ended without a word.
    Killed {
        /// Its host.
        host: String,
    },
    /// A host was cut off.
    Cut {
        /// Which.
        host: String,
    },
    /// A host's cut was undone.
    Healed {
        /// Which.
        host: String,
    },
    /// A host relays for others, or only says so.
    Liar {
        /// Which.
        host: String,
        /// Whether it drops what it should relay.
        lies: bool,
    },
    /// A router behaves otherwise, and forgot all mappings.
    NatChanged {
        /// Which.
        router: String,
        /// What it was.
        from: Behaves,
        /// What it is.
        to: Behaves,
    },
    /// A router forgot all mappings.
    Flushed {
        /// Which.
        router: String,
    },
    /// A node's process stands still, or goes on.
    Slept {
        /// Its host.
        host: String,
        /// Whether it stands still.
        asleep: bool,
    },
    /// A host has another address.
    Readdressed {
        /// Which.
        host: String,
        /// The new one.
        ip: Ipv4Addr,
    },
    /// A host has one more interface, or one less.
    Plugged {
        /// Which.
        host: String,
        /// Called so.
        interface: String,
        /// Whether it is there.
        there: bool,
    },
    /// A node's clock jumped.
    ClockJumped {
        /// Its host.
        host: String,
        /// Seconds; backwards below 0.
        by_s: i64,
    },
    /// A node has the key of another one.
    Twinned {
        /// Its host.
        host: String,
        /// Whose.
        of: String,
    },
    /// The uplink of a host or a router was set.
    UplinkSet {
        /// Whose.
        host: String,
        /// To what.
        conditions: Conditions,
    },
    /// A wire between regions was set.
    LinkSet {
        /// Which.
        between: [String; 2],
        /// To what.
        conditions: Conditions,
    },
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Built => f.write_str("the network stands"),
            Self::Started { host, pid: None } => write!(f, "{host} started"),
            Self::Started { host, pid: Some(pid) } => write!(f, "{host} started as process {pid}"),
            Self::Stopped { host } => write!(f, "{host} stopped"),
            Self::Killed { host } => write!(f, "{host} killed"),
            Self::Liar { host, lies: true } => write!(f, "{host} relays nothing that it is given"),
            Self::Liar { host, lies: false } => write!(f, "{host} relays again"),
            Self::Cut { host } => write!(f, "{host} cut off"),
            Self::Healed { host } => write!(f, "{host} healed"),
            Self::NatChanged { router, from, to } => {
                write!(f, "router {router} is {} instead of {}, its mappings are gone", to.nat, from.nat)
            }
            Self::Flushed { router } => write!(f, "router {router}: its mappings are gone"),
            Self::Slept { host, asleep: true } => write!(f, "{host} asleep"),
            Self::Slept { host, asleep: false } => write!(f, "{host} awake"),
            Self::Readdressed { host, ip } => write!(f, "{host} is at {ip}"),
            Self::Plugged { host, interface, there } => {
                let word = if *there { "has" } else { "lost" };
                write!(f, "{host} {word} the interface {interface}")
            }
            Self::ClockJumped { host, by_s } => write!(f, "the clock of {host} jumped by {by_s} s"),
            Self::Twinned { host, of } => write!(f, "{host} has the key of {of}"),
            Self::UplinkSet { host, conditions } => write!(f, "uplink of {host}: {conditions}"),
            Self::LinkSet { between: [a, b], conditions } => write!(f, "wire {a}-{b}: {conditions}"),
        }
    }
}
