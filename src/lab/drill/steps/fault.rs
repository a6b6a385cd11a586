//! Steps that have something go wrong, or right again.

use std::time::Duration;

use serde::Deserialize;

use crate::lab::conditions::WireSpec;
use crate::lab::drill::arena::{Arena, Need};
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::DrillStep;
use crate::lab::fault::{Change, Fault, Net};
use crate::lab::ops::FleetOp;
use crate::lab::topology::REMEMBERS_S;

/// How far a clock may jump: a day.
const JUMP_S_MAX: i64 = 86_400;
/// An interface's name is no longer on Linux.
const INTERFACE_MAX: usize = 15;

/// Each of them does one fault, which the fleet knows how to undo.
macro_rules! fault_steps {
    ($($name:ty: |$step:ident| $fault:expr, $flaw:expr;)*) => {
        $(impl DrillStep for $name {
            fn words(&self) -> String {
                let $step = self;
                $fault.to_string()
            }

            fn flaw(&self) -> Option<String> {
                let flaw: fn(&Self) -> Option<String> = $flaw;
                flaw(self)
            }

            fn need(&self) -> Option<Need<'_>> {
                Some(Need::Faults)
            }

            async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
                let $step = self;
                Ok(run.act(FleetOp::Fault($fault)).await?)
            }
        })*
    };
}

fault_steps! {
    SetLink: |step| Fault::Link { between: step.between.clone(), to: Change::To(step.to) },
        |step| wire_flaw(&step.to);
    SetUplink: |step| Fault::Uplink { of: step.of.clone(), to: Change::To(step.to) },
        |step| wire_flaw(&step.to);
    SetUdpTimeout: |step| Fault::UdpTimeout {
            host: step.host.clone(),
            seconds: u32::try_from(step.to.as_secs()).unwrap_or(u32::MAX),
        },
        SetUdpTimeout::time_flaw;
    Suspend: |step| Fault::Suspend { node: step.node.clone() }, |_| None;
    Wake: |step| Fault::Wake { node: step.node.clone() }, |_| None;
    Readdress: |step| Fault::Readdress { host: step.host.clone() }, |_| None;
    Plug: |step| Fault::Plug {
            host: step.host.clone(),
            interface: step.interface.clone(),
            address: step.address,
        },
        Plug::name_flaw;
    JumpClock: |step| Fault::Clock { node: step.node.clone(), by_s: step.by_s }, JumpClock::jump_flaw;
    Twin: |step| Fault::Twin { node: step.node.clone(), of: step.of.clone() }, |_| None;
}

fn wire_flaw(to: &WireSpec) -> Option<String> {
    to.check().err().map(|(what, allowed)| format!("{what}; {allowed}"))
}

/// Changes what the wire between two regions does.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetLink {
    /// Which.
    pub between: [String; 2],
    /// To what; the rest stays.
    pub to: WireSpec,
}

/// Changes what the uplink of a host or a router does.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetUplink {
    /// Whose.
    pub of: String,
    /// To what; the rest stays.
    pub to: WireSpec,
}

/// Changes how long a router remembers a mapping; those it has are gone.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetUdpTimeout {
    /// The host behind the router.
    pub host: String,
    /// To what.
    #[serde(with = "humantime_serde")]
    pub to: Duration,
}

impl SetUdpTimeout {
    fn time_flaw(&self) -> Option<String> {
        let whole = self.to == Duration::from_secs(self.to.as_secs());
        let possible =
            whole && u32::try_from(self.to.as_secs()).is_ok_and(|seconds| REMEMBERS_S.contains(&seconds));
        let (least, most) = (REMEMBERS_S.start(), REMEMBERS_S.end());
        (!possible).then(|| format!("a UDP timeout of {:?}; whole seconds, {least} to {most}", self.to))
    }
}

/// Has a node's process stand still, as a machine that sleeps: it says nothing and
/// hears nothing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// Which.
    pub node: String,
}

/// Has it go on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wake {
    /// Which.
    pub node: String,
}

/// Gives a host another IPv4 address, in the same network.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readdress {
    /// Which.
    pub host: String,
}

/// Gives a host an interface that leads nowhere, as a bridge of containers or a
/// tunnel is one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plug {
    /// Which.
    pub host: String,
    /// Called so.
    pub interface: String,
    /// With this address.
    pub address: Net,
}

impl Plug {
    fn name_flaw(&self) -> Option<String> {
        let name = &self.interface;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let possible = (1..=INTERFACE_MAX).contains(&name.len()) && name.chars().all(plain);
        let allowed = format!("1 to {INTERFACE_MAX} letters, digits, - and _");
        (!possible).then(|| format!("interface {name:?}; {allowed}"))
    }
}

/// Has a node's clock jump.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JumpClock {
    /// Which.
    pub node: String,
    /// By so many seconds; backwards below 0.
    pub by_s: i64,
}

impl JumpClock {
    fn jump_flaw(&self) -> Option<String> {
        let by_s = self.by_s;
        let possible = by_s != 0 && (-JUMP_S_MAX..=JUMP_S_MAX).contains(&by_s);
        (!possible).then(|| format!("by_s = {by_s}; -{JUMP_S_MAX} to {JUMP_S_MAX} without 0"))
    }
}

/// Gives a node that does not run yet the key of another one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twin {
    /// Which.
    pub node: String,
    /// Whose.
    pub of: String,
}
