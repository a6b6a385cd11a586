//! The steps of a drill: what can be done to a fleet, and waited for.

use std::time::Duration;

use serde::Deserialize;

use super::fault::{Net, fault_step};
use super::pathtest::AskedOfPath;
use crate::lab::conditions::WireSpec;
use crate::model::{NatType, Path, WhyCause};

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "do", deny_unknown_fields, rename_all = "kebab-case")]
pub enum Step {
    /// Starts a node that is stopped, or one more.
    Start {
        /// Which.
        node: String,
        /// Whether it dials its bootstrap only.
        #[serde(default)]
        passive: bool,
    },
    /// Stops a node politely.
    Stop {
        /// Which.
        node: String,
    },
    /// Kills a node: SIGKILL, no close frame leaves.
    Kill {
        /// Which.
        node: String,
    },
    /// Cuts hosts off: nothing passes, nobody is told.
    Cut {
        /// Which.
        hosts: Vec<String>,
    },
    /// Heals them; all that are cut if none is named.
    Heal {
        /// Which.
        #[serde(default)]
        hosts: Vec<String>,
    },
    /// Changes a router's NAT.
    SetNat {
        /// The host behind the router.
        host: String,
        /// To what.
        nat: NatType,
    },
    /// Forgets a router's mappings: every connection through it is rebound.
    Flush {
        /// The host behind the router.
        host: String,
    },
    /// Makes a router forget its mappings, and waits until data passes both ways
    /// again between the node behind it and another, through another mapping.
    Rebind {
        /// The host behind the router.
        host: String,
        /// Who exchanges records with it; the first exchange begins there.
        with: String,
        /// How long at most.
        #[serde(with = "humantime_serde")]
        within: Duration,
        /// Measured under this name: `NAME_ms` from the flush to both exchanges,
        /// and `NAME_mapping` 1 if the mapping is another one.
        #[serde(rename = "as")]
        name: String,
    },
    /// Exchanges records with every linked peer.
    Sync {
        /// Which node.
        node: String,
        /// Measured under this name: `NAME` is the share of peers that answered.
        #[serde(rename = "as")]
        name: String,
    },
    /// Runs steps over and over. The first round is the warm-up; what grew from
    /// its end to the last round's is measured. Of what each round measures, the
    /// worst counts.
    Soak {
        /// How long; the round under way is ended.
        #[serde(rename = "for", with = "humantime_serde")]
        time: Duration,
        /// What a round is.
        steps: Vec<Step>,
    },
    /// Has the relay under a link fail, and waits until the link runs over
    /// another one: `NAME_ms`. `NAME_closes` counts ends that a close frame told,
    /// `NAME_ladders` ladders that were run between both ends until the end of
    /// the drill.
    FailRelay {
        /// One end.
        a: String,
        /// The other.
        b: String,
        /// How.
        how: RelayFailure,
        /// How long the link has.
        #[serde(with = "humantime_serde")]
        within: Duration,
        /// What is measured.
        #[serde(rename = "as")]
        name: String,
    },
    /// Hands a node's relayed links over: `NAME_ms`, `NAME_gap_ms`, `NAME_lost`.
    Failover {
        /// Which.
        node: String,
        /// What is measured.
        #[serde(rename = "as")]
        name: String,
    },
    /// Sends numbered echoes while the further steps run: `NAME_sent`,
    /// `NAME_lost`, `NAME_repeated`, `NAME_reordered`, `NAME_gap_ms`, the longest
    /// time without an answer, `NAME_rtt_ms`, the round trip, and what of the gap
    /// lies beyond one of them and two: `NAME_past_one_ms`, `NAME_past_two_ms`.
    Echo {
        /// From which.
        from: String,
        /// To which.
        to: String,
        /// For how long.
        #[serde(rename = "for", with = "humantime_serde")]
        time: Duration,
        /// One so often.
        #[serde(with = "humantime_serde")]
        every: Duration,
        /// What is measured.
        #[serde(rename = "as")]
        name: String,
    },
    /// Tests the paths between two nodes. Of the path in use, beside what was asked of
    /// its wires: `NAME_rtt_ms`, `NAME_rtt_beyond_ms`, by how much it is off beyond a
    /// tenth and 2 ms; `NAME_loss_outside`, how far the loss that was asked for lies
    /// outside of the measured interval; `NAME_rate_off`, by which share the worse
    /// direction is off; `NAME_mtu`. And `NAME_paths` that were measured, and
    /// `NAME_missed`, times that a heartbeat was late meanwhile.
    PathTest {
        /// From which.
        from: String,
        /// To which.
        to: String,
        /// How long each path is tested.
        #[serde(rename = "for", with = "humantime_serde")]
        time: Duration,
        /// What its wires were asked to do.
        asked: AskedOfPath,
        /// What is measured.
        #[serde(rename = "as")]
        name: String,
    },
    /// Runs the ladder from one node to another.
    Connect {
        /// From which.
        from: String,
        /// To which.
        to: String,
        /// Measured under this name: `NAME_ms`, `NAME` 1 or 0, and the same for
        /// each path as `NAME_direct`, `NAME_punched` and `NAME_relayed`, and
        /// whether it runs over IPv6 as `NAME_ipv6`.
        #[serde(rename = "as")]
        name: String,
    },
    /// Every node of one crowd connects to so many of another at the same moment,
    /// all to as many different ones, and those that are relayed get time to leave the relay.
    /// Measured: `NAME_pairs`; `NAME_connected` and `NAME_lost`, by the first
    /// usable link `NAME_direct`, `NAME_punched`, `NAME_relayed`, `NAME_mean_ms`
    /// and `NAME_max_ms`; pairs of which an intermediary refused a punch by rate,
    /// `NAME_refused`, and how many of them were lost, `NAME_refused_lost`; pairs
    /// that every intermediary refused, `NAME_turned_away`, how many of them were
    /// not relayed at first, `NAME_turned_away_unrelayed`, and of the relayed how
    /// many left the relay, `NAME_moved`, and did not, `NAME_stuck`; and what the
    /// intermediaries counted as refused, punches and invitations,
    /// `NAME_refusals`.
    Storm {
        /// The nodes whose names begin so and go on with a dash.
        from: String,
        /// The same, to whom they connect.
        to: String,
        /// To how many each.
        #[serde(default = "once")]
        each: usize,
        /// How long relayed links have to leave the relay.
        #[serde(with = "humantime_serde")]
        within: Duration,
        /// What is measured.
        #[serde(rename = "as")]
        name: String,
    },
    /// Nodes come up and connect to one another, again and again, and report it
    /// to a registry in the lab. Its figures: `NAME_attempts` and what the
    /// specification's criteria are about, `NAME_connectivity`, `NAME_direct`,
    /// `NAME_punched`, `NAME_relayed`, `NAME_mean_ms` and `NAME_propagation`;
    /// `NAME_asked` connections in `NAME_sweeps` over all ordered pairs; and
    /// reports that were dropped or refused, `NAME_missing`.
    Campaign {
        /// How long; the sweep under way is ended.
        #[serde(rename = "for", with = "humantime_serde")]
        time: Duration,
        /// What is measured.
        #[serde(rename = "as")]
        name: String,
    },
    /// Disconnects two nodes and holds off automatic dials.
    Disconnect {
        /// From which.
        from: String,
        /// To which.
        to: String,
    },
    /// Lets a node lose its next delta before it is sent, so that only the
    /// digest can repair it.
    LoseDelta {
        /// Which.
        node: String,
    },
    /// Waits until something holds.
    Wait {
        /// What.
        until: Condition,
        /// How long at most.
        #[serde(with = "humantime_serde")]
        within: Duration,
        /// The time it took, in milliseconds, gets this name; a wait that runs
        /// out leaves it unmeasured.
        #[serde(rename = "as")]
        name: Option<String>,
    },
    /// Lets time pass.
    Sleep {
        /// How much.
        #[serde(rename = "for", with = "humantime_serde")]
        time: Duration,
    },
    /// Changes what the wire between two regions does.
    SetLink {
        /// Which.
        between: [String; 2],
        /// To what; the rest stays.
        to: WireSpec,
    },
    /// Changes what the uplink of a host or a router does.
    SetUplink {
        /// Whose.
        of: String,
        /// To what; the rest stays.
        to: WireSpec,
    },
    /// Changes how long a router remembers a mapping; those it has are gone.
    SetUdpTimeout {
        /// The host behind the router.
        host: String,
        /// To what.
        #[serde(with = "humantime_serde")]
        to: Duration,
    },
    /// Has a node's process stand still, as a machine that sleeps: it says nothing and
    /// hears nothing.
    Suspend {
        /// Which.
        node: String,
    },
    /// Has it go on.
    Wake {
        /// Which.
        node: String,
    },
    /// Gives a host another IPv4 address, in the same network.
    Readdress {
        /// Which.
        host: String,
    },
    /// Gives a host an interface that leads nowhere, as a bridge of containers or a
    /// tunnel is one.
    Plug {
        /// Which.
        host: String,
        /// Called so.
        interface: String,
        /// With this address.
        address: Net,
    },
    /// Has a node's clock jump.
    JumpClock {
        /// Which.
        node: String,
        /// By so many seconds; backwards below 0.
        by_s: i64,
    },
    /// Gives a node that does not run yet the key of another one.
    Twin {
        /// Which.
        node: String,
        /// Whose.
        of: String,
    },
    /// Asks a node why its link to another one is what it is: `NAME` is 1 if that is the
    /// cause, else 0.
    Why {
        /// Who is asked.
        node: String,
        /// About whom.
        about: String,
        /// What is to be said.
        cause: WhyCause,
        /// Whether it is to run the ladder before.
        #[serde(default)]
        tried: bool,
        /// For how long it is asked again until that is said; once if left out.
        #[serde(default, with = "humantime_serde")]
        within: Duration,
        /// What is measured.
        #[serde(rename = "as")]
        name: String,
    },
    /// Counts the addresses of a node that others know and that are in a network:
    /// `NAME`.
    Advertised {
        /// Whose.
        node: String,
        /// In which.
        within: Net,
        /// What is measured.
        #[serde(rename = "as")]
        name: String,
    },
    /// Pairs of NAT types, a fresh pair of hosts each: every ordered pair of
    /// `nats`, then `pairs`, and all of it `repeat` times.
    Matrix {
        /// Which types, each with each.
        #[serde(default)]
        nats: Vec<NatType>,
        /// Further pairs: the dialler's type, and the target's.
        #[serde(default)]
        pairs: Vec<(NatType, NatType)>,
        /// How often.
        #[serde(default = "once")]
        repeat: usize,
        /// The regions of dialler and target; both in the topology's first if
        /// left out.
        regions: Option<(String, String)>,
        /// A pair over a relay is watched for so long whether it leaves it, while
        /// echoes run.
        #[serde(default, with = "humantime_serde")]
        off_relay_within: Option<Duration>,
    },
}

fn once() -> usize {
    1
}

/// The pairs of a matrix in their order.
pub fn matrix_pairs(
    nats: &[NatType],
    pairs: &[(NatType, NatType)],
    repeat: usize,
) -> Vec<(NatType, NatType)> {
    let each = nats.iter().flat_map(|from| nats.iter().map(move |to| (*from, *to)));
    let all: Vec<_> = each.chain(pairs.iter().copied()).collect();
    all.repeat(repeat)
}

/// How a relay fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayFailure {
    /// SIGKILL: no close frame leaves.
    Kill,
    /// Nothing passes to or from its host.
    Cut,
    /// It takes everything and passes nothing on; its own link lives.
    Lie,
}

impl RelayFailure {
    /// As it stands in what is told.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Cut => "cut off",
            Self::Lie => "made to lie",
        }
    }
}

/// Something that can be waited for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what", deny_unknown_fields)]
pub enum Condition {
    /// Every running node knows every running node.
    AllKnowAll,
    /// Every running node has at least one link.
    AllJoined,
    /// Every running node has measured its NAT.
    AllMeasured,
    /// A node has measured that its NAT is of this type.
    Nat {
        /// Which node.
        node: String,
        /// Which type.
        nat: NatType,
    },
    /// A node knows that what it knew of its NAT holds no more.
    NatDoubted {
        /// Which node.
        node: String,
    },
    /// Every running node is linked to each of these.
    AllLinkedTo {
        /// Which.
        nodes: Vec<String>,
    },
    /// A node has no link and says that it is isolated.
    Isolated {
        /// Which.
        node: String,
    },
    /// A node has at least one link.
    Joined {
        /// Which.
        node: String,
    },
    /// Two nodes show a link to each other, of the same path.
    Linked {
        /// One.
        a: String,
        /// The other.
        b: String,
        /// Which path; any if left out.
        path: Option<Path>,
    },
    /// A node holds two reservations that answer, none on a relay that a step had
    /// fail.
    Standby {
        /// Which.
        node: String,
    },
    /// Neither shows a link to the other.
    Unlinked {
        /// One.
        a: String,
        /// The other.
        b: String,
    },
    /// A node has seen a digest repair something.
    Repaired {
        /// Which.
        node: String,
    },
}

/// How long a step takes at most, where it says so.
pub(super) fn limit(step: &Step) -> Option<Duration> {
    match step {
        Step::Wait { within, .. } => Some(*within),
        Step::Sleep { time } => Some(*time),
        _ => None,
    }
}

/// A step in words.
pub(super) fn describe(step: &Step) -> String {
    match step {
        Step::Start { node, .. } => format!("start {node}"),
        Step::Stop { node } => format!("stop {node}"),
        Step::Kill { node } => format!("kill {node}"),
        Step::Cut { hosts } => format!("cut {}", hosts.join(", ")),
        Step::Heal { hosts } if hosts.is_empty() => "heal everything".into(),
        Step::Heal { hosts } => format!("heal {}", hosts.join(", ")),
        Step::SetNat { host, nat } => format!("NAT before {host} becomes {nat}"),
        Step::Flush { host } => format!("forget the mappings before {host}"),
        Step::Rebind { host, with, .. } => {
            format!("forget the mappings before {host}, until it and {with} exchange records again")
        }
        Step::Sync { node, .. } => format!("{node} exchanges records with all it is linked to"),
        Step::Soak { time, .. } => format!("soak for {} s", time.as_secs()),
        Step::PathTest { from, to, .. } => format!("test the paths from {from} to {to}"),
        Step::Connect { from, to, .. } => format!("connect {from} to {to}"),
        Step::Storm { from, to, each, .. } => format!("every {from} connects to {each} {to} at once"),
        Step::Campaign { time, .. } => {
            format!("nodes come up, connect to one another and report it, for {} s", time.as_secs())
        }
        Step::Disconnect { from, to } => format!("disconnect {from} from {to}"),
        Step::FailRelay { a, b, how, .. } => format!("the relay under {a} and {b} is {}", how.word()),
        Step::Failover { node, .. } => format!("{node} hands its relayed links over"),
        Step::Echo { from, to, time, .. } => {
            format!("{from} sends echoes to {to} for {} s", time.as_secs())
        }
        fault_step!() => step.fault().map(|fault| fault.to_string()).unwrap_or_default(),
        Step::Why { node, about, .. } => format!("ask {node} why its link to {about} is what it is"),
        Step::Advertised { node, within, .. } => {
            format!("count the addresses of {node} in {within} that others know")
        }
        Step::LoseDelta { node } => format!("{node} loses its next delta"),
        Step::Wait { until, within, .. } => {
            format!("wait for {}, at most {} s", words(until), within.as_secs())
        }
        Step::Sleep { time } => format!("let {} s pass", time.as_secs()),
        Step::Matrix { nats, pairs, repeat, .. } => {
            format!("connect {} pairs", matrix_pairs(nats, pairs, *repeat).len())
        }
    }
}

fn words(condition: &Condition) -> String {
    match condition {
        Condition::AllKnowAll => "everybody to know everybody".into(),
        Condition::AllMeasured => "everybody to have measured its NAT".into(),
        Condition::Nat { node, nat } => format!("{node} to have measured a NAT of type {nat}"),
        Condition::NatDoubted { node } => format!("{node} to know that its NAT has changed"),
        Condition::AllJoined => "everybody to have a link".into(),
        Condition::AllLinkedTo { nodes } => format!("everybody to be linked to {}", nodes.join(", ")),
        Condition::Isolated { node } => format!("{node} to be isolated"),
        Condition::Joined { node } => format!("{node} to have a link"),
        Condition::Linked { a, b, path: Some(path) } => format!("{a} and {b} to be linked, {path}"),
        Condition::Linked { a, b, path: None } => format!("{a} and {b} to be linked"),
        Condition::Standby { node } => format!("{node} to hold two reservations"),
        Condition::Unlinked { a, b } => format!("{a} and {b} to lose their link"),
        Condition::Repaired { node } => format!("a repair at {node}"),
    }
}
