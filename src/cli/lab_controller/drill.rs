//! Drills that the console starts: each on a fleet of its own, in a thread of
//! its own, one at a time.

use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Shown, change, say};
use crate::lab::drill::{Arena, BUILT_IN, Checked, Progress, Report, Runner, Scenario, Verdict};
use crate::lab::{LabArena, LoopbackFleet, Topology, Userns};
use crate::tui::lab::{DrillCheck, DrillInfo, DrillStage, DrillView};

/// Nodes of a loopback fleet for a drill that does not say how many.
const LOOPBACK_NODES: usize = 8;

/// What drills run on.
#[derive(Debug, Clone)]
pub(in crate::cli) enum DrillGround {
    /// Real NATs, in this process's user namespace.
    Nat(Userns),
    /// 127.0.0.1.
    Loopback,
}

impl DrillGround {
    fn kind(&self) -> &'static str {
        if self.has_nats() { "nat lab" } else { "loopback fleet" }
    }

    fn has_nats(&self) -> bool {
        !matches!(self, Self::Loopback)
    }

    /// The drills that come with the program.
    pub(super) fn list(&self) -> Vec<DrillInfo> {
        let info = |(name, text): &(&str, &str)| match Scenario::parse(name, name, text) {
            Ok(scenario) => {
                let fits = scenario.fleet.loopback || self.has_nats();
                let unsupported = (!fits).then(|| "it needs NATs, and this fleet is on loopback".to_owned());
                let kills = scenario.kills();
                DrillInfo { name: scenario.name, about: scenario.about, unsupported, kills }
            }
            Err(error) => DrillInfo {
                name: (*name).to_owned(),
                about: String::new(),
                unsupported: Some(error.to_string()),
                kills: false,
            },
        };
        BUILT_IN.iter().map(info).collect()
    }
}

/// The drills of a controller.
pub(super) struct Drills {
    ground: DrillGround,
    runtime: Handle,
    quit: CancellationToken,
    running: Option<(JoinHandle<()>, CancellationToken)>,
}

impl Drills {
    pub(super) fn new(ground: DrillGround, runtime: Handle, quit: CancellationToken) -> Self {
        Self { ground, runtime, quit, running: None }
    }

    /// Starts one, unless one runs.
    pub(super) fn start(&mut self, name: &str, view: Shown) -> Result<String, String> {
        if self.running.as_ref().is_some_and(|(thread, _)| !thread.is_finished()) {
            return Err("one drill at a time".to_owned());
        }
        let found = BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
        let (name, text) = found.ok_or_else(|| format!("there is no drill {name}"))?;
        let scenario = Scenario::parse(name, name, text).map_err(|e| e.to_string())?;
        let abort = CancellationToken::new();
        let run = Run {
            scenario,
            ground: self.ground.clone(),
            abort: abort.clone(),
            quit: self.quit.clone(),
            view,
        };
        let runtime = self.runtime.clone();
        let spawned = std::thread::Builder::new()
            .name("drill".to_owned())
            .spawn(move || runtime.block_on(run.run()))
            .map_err(|e| e.to_string())?;
        self.running = Some((spawned, abort));
        Ok(format!("the drill {name} begins"))
    }

    /// Calls the running one off.
    pub(super) fn call_off(&mut self, view: &Shown) -> Result<String, String> {
        let running = self.running.as_ref().filter(|(thread, _)| !thread.is_finished());
        let (_, abort) = running.ok_or("no drill runs")?;
        abort.cancel();
        change(view, |view| {
            if let Some(drill) = view.drill.as_mut().filter(|drill| drill.is_running()) {
                drill.stage = DrillStage::Ending;
            }
        });
        Ok("the drill is called off".to_owned())
    }

    /// Waits for the end of a drill that was told to end.
    pub(super) fn join(&mut self) {
        if let Some((thread, _)) = self.running.take() {
            let _ = thread.join();
        }
    }
}

/// One run of a drill.
struct Run {
    scenario: Scenario,
    ground: DrillGround,
    abort: CancellationToken,
    quit: CancellationToken,
    view: Shown,
}

impl Run {
    async fn run(self) {
        change(&self.view, |view| {
            view.drill = Some(DrillView {
                name: self.scenario.name.clone(),
                fleet: self.ground.kind().to_owned(),
                stage: DrillStage::Building,
                checks: Vec::new(),
            });
        });
        let report = match &self.ground {
            DrillGround::Loopback => Box::pin(self.on_loopback()).await,
            DrillGround::Nat(userns) => Box::pin(self.in_nat_lab(userns)).await,
        };
        let name = &self.scenario.name;
        let (passed, text) = match &report {
            Ok(report) => (report.verdict == Verdict::Pass, format!("{name}: {}", report.verdict.name())),
            Err(why) => (false, format!("{name}: {why}")),
        };
        let called_off = self.abort.is_cancelled() && report.is_err();
        let (stage, checks) = match report {
            Err(why) if called_off => (called_off_early(why), Vec::new()),
            Ok(report) => (ended(&report), report.checks),
            Err(why) => (stopped(why), Vec::new()),
        };
        change(&self.view, |view| {
            if let Some(drill) = &mut view.drill {
                drill.stage = stage;
                drill.checks = checks.iter().map(check).collect();
            }
            say(view, passed, text);
        });
    }

    async fn on_loopback(&self) -> Result<Report, String> {
        let mut fleet = LoopbackFleet::default();
        let nodes = self.scenario.fleet.nodes.unwrap_or(LOOPBACK_NODES);
        let report = match self.unless_stopped(Box::pin(fleet.grow_to(nodes))).await {
            None => Err("called off before it began".to_owned()),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(())) => Box::pin(self.on(&mut fleet)).await,
        };
        fleet.stop().await;
        report
    }

    async fn in_nat_lab(&self, userns: &Userns) -> Result<Report, String> {
        let wanted = &self.scenario.fleet;
        let mut topology = Topology::built_in(&wanted.topology).map_err(|e| e.to_string())?;
        if let Some(nodes) = wanted.nodes {
            topology = topology.with_hosts(nodes);
        }
        if !wanted.latency {
            topology = topology.without_latency();
        }
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let start = LabArena::start(userns, topology, &self.scenario, program);
        match self.unless_stopped(start).await {
            None => Err("called off before it began".to_owned()),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(mut fleet)) => {
                let report = self.on(&mut fleet).await;
                fleet.stop().await;
                report
            }
        }
    }

    async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let either = async {
            tokio::select! {
                () = self.abort.cancelled() => {}
                () = self.quit.cancelled() => {}
            }
        };
        tokio::select! {
            biased;
            () = either => None,
            done = future => Some(done),
        }
    }

    /// Runs it on its fleet. What it did is undone at its end; when the console
    /// ends, its fleet goes as it is.
    async fn on<A: Arena>(&self, fleet: &mut A) -> Result<Report, String> {
        let tell = |progress: Progress| {
            change(&self.view, |view| {
                let Some(drill) = &mut view.drill else { return };
                drill.checks = progress.checks.iter().map(check).collect();
                if drill.stage != DrillStage::Ending {
                    let Progress { step, of, what, limit, .. } = progress;
                    drill.stage = DrillStage::Running { step, of, what, limit };
                }
            });
        };
        let runner = Runner::new(fleet, &self.scenario, self.abort.clone(), tell);
        let report = self.quit.run_until_cancelled(runner.run()).await;
        // Who called it off does not wait for its fleet to end.
        let over = report.as_ref().filter(|report| report.verdict == Verdict::CalledOff).map(ended);
        change(&self.view, |view| {
            if let Some(drill) = &mut view.drill {
                if over.is_some() {
                    drill.checks.clear();
                }
                drill.stage = over.unwrap_or(DrillStage::Ending);
            }
        });
        report.ok_or_else(|| "the console has ended".to_owned())
    }
}

fn ended(report: &Report) -> DrillStage {
    DrillStage::Ended {
        passed: report.verdict == Verdict::Pass,
        verdict: report.verdict.name().to_owned(),
        reason: report.reason.clone(),
        elapsed_s: report.elapsed_s,
    }
}

/// A drill that was called off before its fleet stood.
fn called_off_early(why: String) -> DrillStage {
    let verdict = Verdict::CalledOff.name().to_owned();
    DrillStage::Ended { passed: false, verdict, reason: Some(why), elapsed_s: 0.0 }
}

/// A drill that has no report: its fleet never stood.
fn stopped(why: String) -> DrillStage {
    DrillStage::Ended { passed: false, verdict: "not run".to_owned(), reason: Some(why), elapsed_s: 0.0 }
}

fn check(checked: &Checked) -> DrillCheck {
    DrillCheck {
        name: checked.name.clone(),
        holds: checked.ok,
        value: checked.value_text(),
        limit: checked.limit_text(),
    }
}
