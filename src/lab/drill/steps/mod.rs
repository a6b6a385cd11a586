//! The steps of a drill, a module each or a few that are alike, and the table of all.

mod advertised;
mod campaign;
mod connect;
mod echo;
mod fail_relay;
mod failover;
mod fault;
mod hosts;
mod matrix;
mod nat;
mod nodes;
mod path_test;
mod rebind;
mod sleep;
mod soak;
mod storm;
mod sync;
mod wait;
mod why;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde::Deserialize;

pub use advertised::Advertised;
pub use campaign::Campaign;
pub(in crate::lab) use campaign::was_interrupted;
pub use connect::{Connect, Disconnect};
pub use echo::Echo;
pub(super) use echo::end_all as end_echoes;
pub use fail_relay::{FailRelay, RelayFailure};
pub use failover::Failover;
pub use fault::{JumpClock, Plug, Readdress, SetLink, SetUdpTimeout, SetUplink, Suspend, Twin, Wake};
pub use hosts::{Cut, Heal};
pub use matrix::Matrix;
pub use nat::{Flush, SetNat};
pub use nodes::{Kill, LoseDelta, Start, Stop};
pub use path_test::{AskedOfPath, PathTest};
pub use rebind::Rebind;
pub use sleep::Sleep;
pub use soak::Soak;
pub use storm::Storm;
pub use sync::Sync;
pub use wait::{Condition, Wait};
pub use why::Why;

use super::arena::{Arena, Need};
use super::run::{self, Run};
use super::step::DrillStep;

/// The table of all steps: by its name in a file, `do = "NAME"`.
macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident($body:ty),)*) => {
        /// One thing that is done in a drill.
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        #[serde(tag = "do", rename_all = "kebab-case")]
        pub enum Step {
            $($(#[$doc])* $name($body),)*
        }

        impl DrillStep for Step {
            fn words(&self) -> String {
                match self { $(Self::$name(step) => step.words(),)* }
            }

            fn flaw(&self) -> Option<String> {
                match self { $(Self::$name(step) => step.flaw(),)* }
            }

            fn need(&self) -> Option<Need<'_>> {
                match self { $(Self::$name(step) => step.need(),)* }
            }

            fn limit(&self) -> Option<Duration> {
                match self { $(Self::$name(step) => step.limit(),)* }
            }

            fn measures(&self) -> Vec<String> {
                match self { $(Self::$name(step) => step.measures(),)* }
            }

            fn can_be_soaked(&self) -> bool {
                match self { $(Self::$name(step) => step.can_be_soaked(),)* }
            }

            async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
                // A soak has steps within it.
                let running: LocalBoxFuture<'_, _> =
                    match self { $(Self::$name(step) => Box::pin(step.run(run)),)* };
                running.await
            }
        }
    };
}

steps! {
    /// Starts a node that is stopped, or one more.
    Start(Start),
    /// Stops a node politely.
    Stop(Stop),
    /// Kills a node.
    Kill(Kill),
    /// Cuts hosts off.
    Cut(Cut),
    /// Heals them.
    Heal(Heal),
    /// Changes a router's NAT.
    SetNat(SetNat),
    /// Forgets a router's mappings.
    Flush(Flush),
    /// The same, until data passes again.
    Rebind(Rebind),
    /// Exchanges records.
    Sync(Sync),
    /// Runs steps over and over.
    Soak(Soak<Step>),
    /// Has the relay under a link fail.
    FailRelay(FailRelay),
    /// Hands relayed links over.
    Failover(Failover),
    /// Sends numbered echoes.
    Echo(Echo),
    /// Tests the paths between two nodes.
    PathTest(PathTest),
    /// Runs the ladder.
    Connect(Connect),
    /// Connects a crowd at once.
    Storm(Storm),
    /// Counts what a fleet reports.
    Campaign(Campaign),
    /// Disconnects two nodes.
    Disconnect(Disconnect),
    /// Lets a delta get lost.
    LoseDelta(LoseDelta),
    /// Waits until something holds.
    Wait(Wait),
    /// Lets time pass.
    Sleep(Sleep),
    /// Changes a wire.
    SetLink(SetLink),
    /// Changes an uplink.
    SetUplink(SetUplink),
    /// Changes how long a router remembers.
    SetUdpTimeout(SetUdpTimeout),
    /// Has a process stand still.
    Suspend(Suspend),
    /// Has it go on.
    Wake(Wake),
    /// Gives a host another address.
    Readdress(Readdress),
    /// Gives a host one more interface.
    Plug(Plug),
    /// Has a clock jump.
    JumpClock(JumpClock),
    /// Gives a node the key of another one.
    Twin(Twin),
    /// Asks why.
    Why(Why),
    /// Counts addresses that others know.
    Advertised(Advertised),
    /// Connects pairs of NAT types.
    Matrix(Matrix),
}
