//! A drill as data: what is done to a fleet, what is waited for and measured,
//! and what the measurements must be.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::step::DrillStep as _;
use super::steps::{RelayFailure, Step};
use crate::model::HardNat;

/// A drill.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// Set from the file's name or the built-in's.
    #[serde(skip)]
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// On which fleet.
    pub fleet: FleetSpec,
    /// What is done, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// What must come of it.
    pub checks: Vec<Check>,
    /// Where reports are kept, so that an interrupted run can be resumed; they go
    /// with the lab if left out.
    #[serde(skip)]
    pub keep: Option<PathBuf>,
}

/// The fleet that a drill wants.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FleetSpec {
    /// The topology by name.
    #[serde(default = "default_topology")]
    pub topology: String,
    /// How many nodes; further ones are added behind the topology's routers in
    /// turn. The topology's own if left out.
    pub nodes: Option<usize>,
    /// Whether the wires between regions delay.
    #[serde(default)]
    pub latency: bool,
    /// Whether its nodes dial nobody by themselves but the public ones.
    #[serde(default)]
    pub passive: bool,
    /// Whether it makes sense on loopback too.
    #[serde(default)]
    pub loopback: bool,
    /// Whether its nodes guess ports; off if left out, for a drill that watches
    /// relays wants links that stay on them.
    #[serde(default = "off")]
    pub hard_nat: HardNat,
}

fn off() -> HardNat {
    HardNat::Off
}

fn default_topology() -> String {
    "default".into()
}

/// What is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It does not parse.
    #[error("{file}: {detail}")]
    Syntax {
        /// Where.
        file: String,
        /// What and on which line.
        detail: String,
    },
    /// It parses, but makes no sense.
    #[error("{file}: {detail}")]
    Sense {
        /// Where.
        file: String,
        /// What, and what is allowed.
        detail: String,
    },
}

impl Scenario {
    /// Whether nodes are killed in it: SIGKILL, without a goodbye.
    pub fn kills(&self) -> bool {
        let kills = |step: &Step| match step {
            Step::Kill(_) => true,
            Step::FailRelay(step) => step.how == RelayFailure::Kill,
            _ => false,
        };
        self.all_steps().any(kills)
    }

    /// Reads a scenario; `file` names it in messages.
    ///
    /// # Errors
    /// [`ScenarioError`], naming the file, the place and what is allowed.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, ScenarioError> {
        let mut scenario: Self = toml::from_str(text).map_err(|e| ScenarioError::Syntax {
            file: file.to_owned(),
            detail: e.to_string().trim().to_owned(),
        })?;
        name.clone_into(&mut scenario.name);
        scenario.validate().map_err(|detail| ScenarioError::Sense { file: file.to_owned(), detail })?;
        Ok(scenario)
    }

    /// Every step, those within others too.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().flat_map(|step| {
            let inner: &[Step] = if let Step::Soak(soak) = step { &soak.steps } else { &[] };
            std::iter::once(step).chain(inner)
        })
    }

    /// Sets how long its soak runs.
    ///
    /// # Errors
    /// [`ScenarioError::Sense`] if it has none, or the time is none.
    pub fn set_time(&mut self, time: Duration) -> Result<(), ScenarioError> {
        let mut soaks = false;
        for step in &mut self.steps {
            let asked = match step {
                Step::Soak(soak) => &mut soak.time,
                Step::Campaign(campaign) => &mut campaign.time,
                _ => continue,
            };
            (*asked, soaks) = (time, true);
        }
        let checked = if soaks { self.validate() } else { Err("no step of it runs for a while".into()) };
        checked.map_err(|detail| ScenarioError::Sense { file: self.name.clone(), detail })
    }

    fn validate(&self) -> Result<(), String> {
        if let Some(nodes) = self.fleet.nodes.filter(|n| !(2..=64).contains(n)) {
            return Err(format!("fleet.nodes is {nodes}; 2 to 64 are allowed"));
        }
        for (n, step) in self.all_steps().enumerate() {
            if let Some(flaw) = step.flaw() {
                return Err(format!("step {}: {flaw}", n + 1));
            }
        }
        let measured = self.measured();
        if self.checks.is_empty() {
            return Err("a drill without checks proves nothing".into());
        }
        for check in &self.checks {
            if check.max.is_none() && check.min.is_none() {
                return Err(format!("check {:?} has neither max nor min", check.name));
            }
            if !measured.contains(&check.value) {
                let known = measured.iter().cloned().collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "check {:?} is about {:?}, which no step measures; measured: {known}",
                    check.name, check.value
                ));
            }
        }
        Ok(())
    }

    /// How long its nodes report to a registry, if they do.
    pub fn reports_for(&self) -> Option<Duration> {
        self.steps.iter().find_map(|step| match step {
            Step::Campaign(campaign) => Some(campaign.time),
            _ => None,
        })
    }

    /// Whether it runs steps over and over.
    pub fn soaks(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Soak(_)))
    }

    /// Whether it connects pairs of NAT types, which the library's own ladder
    /// can do too.
    pub fn has_pairs(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Matrix(_)))
    }

    /// The names that its steps measure, and what every drill does.
    pub fn measured(&self) -> BTreeSet<String> {
        let always = ["gossip_repairs", "unreachable", "lost_attempts"].map(String::from);
        always.into_iter().chain(self.all_steps().flat_map(Step::measures)).collect()
    }
}

/// The drills that come with the program.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("gossip_discovery", include_str!("../../../assets/drills/gossip_discovery.toml")),
    ("nat_matrix", include_str!("../../../assets/drills/nat_matrix.toml")),
    ("hard_nat", include_str!("../../../assets/drills/hard_nat.toml")),
    ("path_test", include_str!("../../../assets/drills/path_test.toml")),
    ("hard_nat_sequential", include_str!("../../../assets/drills/hard_nat_sequential.toml")),
    ("nat_matrix_20ms", include_str!("../../../assets/drills/nat_matrix_20ms.toml")),
    ("nat_matrix_80ms", include_str!("../../../assets/drills/nat_matrix_80ms.toml")),
    ("nat_matrix_200ms", include_str!("../../../assets/drills/nat_matrix_200ms.toml")),
    ("punch_storm", include_str!("../../../assets/drills/punch_storm.toml")),
    ("cold_start_isolation", include_str!("../../../assets/drills/cold_start_isolation.toml")),
    ("chaos_kill_random", include_str!("../../../assets/drills/chaos_kill_random.toml")),
    ("chaos_relay_cut", include_str!("../../../assets/drills/chaos_relay_cut.toml")),
    ("chaos_relay_cut_20ms", include_str!("../../../assets/drills/chaos_relay_cut_20ms.toml")),
    ("chaos_relay_cut_80ms", include_str!("../../../assets/drills/chaos_relay_cut_80ms.toml")),
    ("chaos_relay_cut_200ms", include_str!("../../../assets/drills/chaos_relay_cut_200ms.toml")),
    ("chaos_relay_failover", include_str!("../../../assets/drills/chaos_relay_failover.toml")),
    ("chaos_relay_failover_20ms", include_str!("../../../assets/drills/chaos_relay_failover_20ms.toml")),
    ("chaos_relay_failover_80ms", include_str!("../../../assets/drills/chaos_relay_failover_80ms.toml")),
    ("chaos_relay_failover_200ms", include_str!("../../../assets/drills/chaos_relay_failover_200ms.toml")),
    ("chaos_relay_liar", include_str!("../../../assets/drills/chaos_relay_liar.toml")),
    ("chaos_relay_liar_20ms", include_str!("../../../assets/drills/chaos_relay_liar_20ms.toml")),
    ("chaos_relay_liar_80ms", include_str!("../../../assets/drills/chaos_relay_liar_80ms.toml")),
    ("chaos_relay_liar_200ms", include_str!("../../../assets/drills/chaos_relay_liar_200ms.toml")),
    ("relay_failover", include_str!("../../../assets/drills/relay_failover.toml")),
    ("relay_failover_20ms", include_str!("../../../assets/drills/relay_failover_20ms.toml")),
    ("relay_failover_80ms", include_str!("../../../assets/drills/relay_failover_80ms.toml")),
    ("relay_failover_200ms", include_str!("../../../assets/drills/relay_failover_200ms.toml")),
    ("upgrade", include_str!("../../../assets/drills/upgrade.toml")),
    ("reconnect", include_str!("../../../assets/drills/reconnect.toml")),
    ("chaos_partition", include_str!("../../../assets/drills/chaos_partition.toml")),
    ("chaos_nat_rebind", include_str!("../../../assets/drills/chaos_nat_rebind.toml")),
    ("same_nat", include_str!("../../../assets/drills/same_nat.toml")),
    ("cgnat", include_str!("../../../assets/drills/cgnat.toml")),
    ("double_nat", include_str!("../../../assets/drills/double_nat.toml")),
    ("dual_stack", include_str!("../../../assets/drills/dual_stack.toml")),
    ("ipv6_only", include_str!("../../../assets/drills/ipv6_only.toml")),
    ("firewalled", include_str!("../../../assets/drills/firewalled.toml")),
    ("nat_changes", include_str!("../../../assets/drills/nat_changes.toml")),
    ("mtu_black_hole", include_str!("../../../assets/drills/mtu_black_hole.toml")),
    ("mtu_shrinks", include_str!("../../../assets/drills/mtu_shrinks.toml")),
    ("nat_forgets", include_str!("../../../assets/drills/nat_forgets.toml")),
    ("udp_blocked", include_str!("../../../assets/drills/udp_blocked.toml")),
    ("loss_5", include_str!("../../../assets/drills/loss_5.toml")),
    ("loss_20", include_str!("../../../assets/drills/loss_20.toml")),
    ("reordering", include_str!("../../../assets/drills/reordering.toml")),
    ("laptop_sleep", include_str!("../../../assets/drills/laptop_sleep.toml")),
    ("clock_jump", include_str!("../../../assets/drills/clock_jump.toml")),
    ("twins", include_str!("../../../assets/drills/twins.toml")),
    ("public_moves", include_str!("../../../assets/drills/public_moves.toml")),
    ("tunnels", include_str!("../../../assets/drills/tunnels.toml")),
    ("kpi_validation", include_str!("../../../assets/drills/kpi_validation.toml")),
    ("soak", include_str!("../../../assets/drills/soak.toml")),
    ("fleet_check", include_str!("../../../assets/drills/fleet_check.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_drill_parses_and_checks_what_it_measures() {
        for (name, text) in BUILT_IN {
            let scenario = Scenario::parse(name, name, text).unwrap();
            assert!(!scenario.about.is_empty() && !scenario.steps.is_empty());
        }
    }

    fn error(text: &str) -> String {
        Scenario::parse("x", "x.toml", text).unwrap_err().to_string()
    }

    const HEAD: &str = "about = \"x\"\nfleet = {}\n";

    #[test]
    fn a_bad_scenario_names_the_file_the_place_and_what_is_allowed() {
        let cases = [
            ("about = 3", "invalid type"),
            ("about = \"x\"\nfleet = {}\nchecks = []\nspeed = 1", "unknown field `speed`"),
            ("about = \"x\"\nfleet = { nodes = 1 }\nchecks = []", "2 to 64"),
            ("about = \"x\"\nfleet = {}\nchecks = []", "proves nothing"),
        ];
        for (text, says) in cases {
            let error = error(text);
            assert!(error.starts_with("x.toml: ") && error.contains(says), "{error}");
        }
        let step = format!("{HEAD}steps = [{{ do = \"explode\" }}]\nchecks = []");
        assert!(error(&step).contains("explode"), "{}", error(&step));
    }

    #[test]
    fn a_check_must_be_about_something_that_is_measured_and_have_a_limit() {
        let wait = "steps = [{ do = \"wait\", until = { what = \"all-joined\" }, within = \"1s\", as = \"joined_ms\" }]";
        let check = |body: &str| format!("{HEAD}{wait}\n[[checks]]\nname = \"n\"\nunit = \"ms\"\n{body}");
        assert!(error(&check("value = \"other_ms\"\nmax = 1")).contains("joined_ms"));
        assert!(error(&check("value = \"joined_ms\"")).contains("neither max nor min"));
        assert!(Scenario::parse("x", "x.toml", &check("value = \"joined_ms\"\nmax = 1.0")).is_ok());
    }

    #[test]
    fn the_time_of_a_soak_can_be_set_and_of_nothing_else() {
        let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "soak").unwrap();
        let mut soak = Scenario::parse("soak", "soak", text).unwrap();
        soak.set_time(Duration::from_secs(600)).unwrap();
        assert!(soak.steps.iter().any(|s| matches!(s, Step::Soak(soak) if soak.time.as_secs() == 600)));
        assert!(soak.set_time(Duration::ZERO).unwrap_err().to_string().contains("more than 0"));
        let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "same_nat").unwrap();
        let mut other = Scenario::parse("same_nat", "same_nat", text).unwrap();
        assert!(other.set_time(Duration::from_secs(1)).unwrap_err().to_string().contains("no step"));
    }

    #[test]
    fn steps_without_sense_are_refused() {
        for (step, says) in [
            ("{ do = \"wait\", until = { what = \"all-joined\" }, within = \"0s\" }", "more than 0"),
            ("{ do = \"set-nat\", host = \"a\", nat = \"unknown\" }", "cannot be set to unknown"),
            ("{ do = \"matrix\" }", "0 pairs; 1 to 250"),
            ("{ do = \"matrix\", nats = [\"none\"], repeat = 251 }", "251 pairs; 1 to 250"),
            ("{ do = \"matrix\", pairs = [[\"none\", \"unknown\"]] }", "known types"),
            (
                "{ do = \"storm\", from = \"a\", to = \"b\", each = 0, within = \"1s\", as = \"x\" }",
                "connects nobody",
            ),
            ("{ do = \"sleep\", for = \"48h\" }", "24 hours"),
            ("{ do = \"set-uplink\", of = \"a\", to = { mtu = 100 } }", "mtu = 100; 576 to 1500"),
            ("{ do = \"set-link\", between = [\"a\", \"b\"], to = { loss = 101 } }", "loss = 101; 0 to 100"),
            ("{ do = \"set-udp-timeout\", host = \"a\", to = \"5s\" }", "10 to 3600"),
            ("{ do = \"jump-clock\", node = \"a\", by_s = 0 }", "-86400 to 86400"),
            (
                "{ do = \"plug\", host = \"a\", interface = \"a/b\", address = \"10.0.0.1/8\" }",
                "letters, digits",
            ),
            ("{ do = \"soak\", for = \"1s\", steps = [] }", "has no steps"),
            (
                "{ do = \"soak\", for = \"1s\", steps = [{ do = \"matrix\", nats = [\"none\"] }] }",
                "be soaked",
            ),
        ] {
            let text = format!("{HEAD}steps = [{step}]\nchecks = []");
            assert!(error(&text).contains(says), "{}", error(&text));
        }
    }
}
