//! The NAT lab as a fleet that drills run on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::drill::{Arena, Baseline, FailRelay, Kill, Member, RelayFailure, Scenario, Start, Step, Suspend};
use super::error::LabError;
use super::fault::Fault;
use super::files;
use super::fleet::{LabOptions, NatLab, StockResult};
use super::ops::{Anew, Fleet, FleetOp, OpError};
use super::topology::{Host, Router, Topology};
use super::userns::Userns;
use crate::control;
use crate::model::{Cause, NatType, PeerId};
use crate::node::feed::Feed;
use crate::registry::{Overview, Registry};

/// Two hosts behind routers of their own: the types, and the names.
type PairHosts = (NatType, NatType, String, String);

/// How long a process may take until it answers.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a member is at the moment.
#[derive(Debug)]
enum State {
    Here(Feed),
    /// In a process of its own, seen through its control socket.
    Apart(Feed),
    Down,
}

/// Whom a node dials by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dials {
    /// Whom it thinks fit.
    Anybody,
    /// The public nodes.
    Public,
    /// The first of them.
    Bootstrap,
}

/// A lab with the hosts that a scenario needs; only those of its topology run
/// from the start.
#[derive(Debug)]
pub struct LabArena {
    lab: NatLab,
    /// In the order of their first start.
    order: Vec<String>,
    members: BTreeMap<String, (PeerId, State)>,
    /// Pairs of the matrix that were not used yet, by their NAT types.
    pairs: Vec<PairHosts>,
    /// The same for stock nodes, which have ports of their own there.
    stock_pairs: Vec<PairHosts>,
    /// Hosts that are killed and so run as processes of their own.
    apart: Vec<String>,
    program: PathBuf,
    /// Whom the nodes report to, where the scenario wants that.
    registry: Option<Registry>,
}

impl LabArena {
    /// Builds the lab with all that the scenario names, and starts the
    /// topology's own nodes.
    ///
    /// # Errors
    /// [`LabError`]; nothing is left behind.
    pub async fn start(
        userns: &Userns,
        mut topology: Topology,
        scenario: &Scenario,
        program: PathBuf,
    ) -> Result<Self, LabError> {
        let dials = |host: &Host| {
            // Where attempts are counted, the public ones make none of their own.
            let counts = scenario.reports_for().is_some();
            let passive = scenario.fleet.passive && (counts || !topology.is_public(host));
            if passive { Dials::Public } else { Dials::Anybody }
        };
        let run: Vec<(String, Dials)> = topology.host.iter().map(|h| (h.name.clone(), dials(h))).collect();
        let killed = scenario.all_steps().filter_map(|step| match step {
            Step::Kill(Kill { node }) | Step::Suspend(Suspend { node }) => Some(node.clone()),
            _ => None,
        });
        let mut apart: Vec<String> = killed.collect();
        let kills_relay =
            |step: &Step| matches!(step, Step::FailRelay(FailRelay { how: RelayFailure::Kill, .. }));
        if scenario.all_steps().any(kills_relay) {
            // Whoever is public may be the relay.
            let public = |host: &&Host| topology.region.iter().any(|r| r.name == host.upstream);
            apart.extend(topology.host.iter().filter(public).map(|h| h.name.clone()));
        }
        let pairs = extend(&mut topology, scenario);
        files::suffice_for(&topology, run.len() + further(scenario))?;
        let mut lab = NatLab::build(
            userns,
            LabOptions {
                name: scenario.name.clone(),
                hard_nat: scenario.fleet.hard_nat,
                ..LabOptions::new(topology)
            },
        )
        .await?;
        let registry = match scenario.reports_for() {
            Some(time) => Some(lab.start_registry(scenario.keep.as_deref(), time).await?),
            None => None,
        };
        let mut arena = Self {
            lab,
            order: Vec::new(),
            members: BTreeMap::new(),
            stock_pairs: pairs.clone(),
            pairs,
            apart,
            program,
            registry,
        };
        for (host, dials) in run {
            arena.launch(&host, dials).await?;
        }
        Ok(arena)
    }

    /// Ends everything.
    pub async fn stop(self) {
        // The nodes' last words are reports.
        self.lab.stop_nodes().await;
        if let Some(registry) = self.registry {
            registry.stop().await;
        }
        self.lab.stop().await;
    }

    async fn launch(&mut self, host: &str, dials: Dials) -> Result<(), LabError> {
        let id = self.lab.peer_id(host).await?;
        let state = if self.apart.iter().any(|h| h == host) {
            self.lab.start_process(host, &self.program).await?;
            State::Apart(self.attach(host).await?)
        } else {
            State::Here(match dials {
                Dials::Anybody => self.lab.start_node(host).await?,
                Dials::Public => self.lab.start_passive(host).await?,
                Dials::Bootstrap => self.lab.start_bootstrap_only(host).await?,
            })
        };
        if self.members.insert(host.to_owned(), (id, state)).is_none() {
            self.order.push(host.to_owned());
        }
        Ok(())
    }

    /// Attaches to a process that was just started.
    async fn attach(&self, host: &str) -> Result<Feed, LabError> {
        let socket = self.lab.control_socket(host).await?;
        let begun = Instant::now();
        loop {
            match control::attach(socket.as_path(), false).await {
                Ok(feed) => return Ok(feed),
                Err(error) if begun.elapsed() > STARTS_WITHIN => {
                    return Err(LabError::Silent { name: host.to_owned(), error });
                }
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    fn down(&mut self, host: &str) {
        if let Some((_, state)) = self.members.get_mut(host) {
            *state = State::Down;
        }
    }
}

/// Adds the hosts that a scenario starts or pairs.
fn extend(topology: &mut Topology, scenario: &Scenario) -> Vec<PairHosts> {
    let Some(region) = topology.region.first().map(|r| r.name.clone()) else { return Vec::new() };
    let mut pairs = Vec::new();
    for step in scenario.all_steps() {
        match step {
            Step::Start(Start { node, .. }) if !topology.host.iter().any(|h| h.name == *node) => {
                topology.host.push(Host::new(node.clone(), region.clone()));
            }
            Step::Matrix(matrix) => {
                let (here, there) = matrix.regions.clone().unwrap_or((region.clone(), region.clone()));
                for (from, to) in matrix.all() {
                    let n = pairs.len() + 1;
                    let (a, b) = (format!("a{n}"), format!("b{n}"));
                    for (name, nat, upstream) in [(&a, from, &here), (&b, to, &there)] {
                        let router = Router::new(format!("r{name}"), upstream.clone(), nat);
                        topology.host.push(Host::new(name.clone(), router.name.clone()));
                        topology.router.push(router);
                    }
                    pairs.push((from, to, a, b));
                }
            }
            _ => {}
        }
    }
    pairs
}

/// How many nodes run at one time beside those of the topology.
fn further(scenario: &Scenario) -> usize {
    let started = scenario.all_steps().filter(|step| matches!(step, Step::Start(_))).count();
    // The two of a pair, and the two of the same pair that the library connects.
    let paired = if scenario.has_pairs() { 4 } else { 0 };
    started + paired
}

fn take(pairs: &mut Vec<PairHosts>, from: NatType, to: NatType) -> Result<(String, String), OpError> {
    let at = pairs.iter().position(|(f, t, ..)| (*f, *t) == (from, to));
    let at = at.ok_or_else(|| OpError::Failed(format!("no fresh pair {from} to {to} is left")))?;
    let (.., a, b) = pairs.remove(at);
    Ok((a, b))
}

impl Fleet for LabArena {
    fn kind(&self) -> String {
        self.lab.kind()
    }

    fn nat_of(&self, host: &str) -> Option<NatType> {
        self.lab.nat_of(host)
    }

    async fn undoes(&self, fault: &Fault) -> Result<Option<Fault>, OpError> {
        Fleet::undoes(&self.lab, fault).await
    }

    async fn act(&mut self, op: FleetOp) -> Result<Anew, OpError> {
        match &op {
            FleetOp::Start { node, passive } => {
                if self.registry.is_some() {
                    self.lab.forget(node).await?;
                }
                let dials = match (passive, &self.registry) {
                    (false, _) => Dials::Anybody,
                    (true, None) => Dials::Bootstrap,
                    // As when it first came up.
                    (true, Some(_)) => Dials::Public,
                };
                self.launch(node, dials).await?;
                Ok(Vec::new())
            }
            FleetOp::Stop(node) | FleetOp::Kill(node) => {
                let node = node.clone();
                self.lab.act(op).await?;
                self.down(&node);
                Ok(Vec::new())
            }
            FleetOp::Fault(Fault::Twin { node, .. }) => {
                let node = node.clone();
                let anew = self.lab.act(op).await?;
                // It is somebody else from now on.
                self.members.remove(&node);
                self.order.retain(|name| *name != node);
                Ok(anew)
            }
            _ => self.lab.act(op).await,
        }
    }
}

impl Arena for LabArena {
    fn can_at_all(&self) -> Result<(), OpError> {
        if self.lab.lacks_ipv6() {
            return Err(OpError::Unsupported("have IPv6: this host's namespaces have none".into()));
        }
        Ok(())
    }

    fn members(&self) -> Vec<Member> {
        let member = |name: &String| {
            let (peer_id, state) = self.members.get(name)?;
            let feed = match state {
                State::Here(feed) | State::Apart(feed) => Some(feed.clone()),
                State::Down => None,
            };
            let running = !matches!(state, State::Down);
            Some(Member { name: name.clone(), peer_id: *peer_id, running, feed })
        };
        self.order.iter().filter_map(member).collect()
    }

    fn nat_seen_of(&self, host: &str) -> Option<NatType> {
        let topology = self.lab.topology();
        let host = topology.host.iter().find(|h| h.name == host)?;
        match *topology.chain(&host.upstream) {
            [] => Some(NatType::None),
            // What is behind a firewall, or behind two of them, has no name of its own.
            [router] if !router.firewall => Some(router.nat),
            _ => None,
        }
    }

    async fn reported(&self, window: Duration) -> Result<Arc<Overview>, OpError> {
        let none = || OpError::Unknown("registry".into());
        let registry = self.registry.as_ref().ok_or_else(none)?;
        registry.overview_of(window, Cause::Operator).await.map_err(|e| OpError::Failed(e.to_string()))
    }

    fn round_trip(&self, a: &str, b: &str) -> Option<Duration> {
        self.lab.topology().round_trip(a, b)
    }

    async fn mapped_port(&self, host: &str) -> Result<Option<u16>, OpError> {
        if self.nat_of(host).is_none() {
            return Err(OpError::Unknown("router before that host".into()));
        }
        Ok(self.lab.mapped_port(host).await?)
    }

    async fn pair(&mut self, from: NatType, to: NatType) -> Result<(String, String), OpError> {
        let (a, b) = take(&mut self.pairs, from, to)?;
        self.launch(&a, Dials::Public).await?;
        self.launch(&b, Dials::Public).await?;
        Ok((a, b))
    }

    async fn end_pair(&mut self, pair: (String, String)) {
        for node in [pair.0, pair.1] {
            let _ = self.lab.stop_node(&node).await;
            self.members.remove(&node);
            self.order.retain(|name| *name != node);
        }
    }

    async fn baseline(&mut self, pairs: &[(NatType, NatType)]) -> Result<Vec<Baseline>, OpError> {
        let take = |(from, to): &(NatType, NatType)| take(&mut self.stock_pairs, *from, *to);
        let hosts: Vec<(String, String)> = pairs.iter().map(take).collect::<Result<_, _>>()?;
        let results = self.lab.stock_ladder(&hosts).await?;
        let baseline = |r: StockResult| Baseline { connected: r.connected, elapsed: r.elapsed };
        Ok(results.into_iter().map(baseline).collect())
    }
}
