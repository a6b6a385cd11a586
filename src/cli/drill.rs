//! `punchdeck lab list` and `punchdeck lab run`: drills with a verdict.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::args::DrillArgs;
use super::failure::say;
use super::session::{Hangup, Log, Look, Screen, Session};
use super::{Failure, print};
use crate::config::Host;
use crate::control::FleetFile;
use crate::files::{self, read};
use crate::lab::drill::{Arena, BUILT_IN, Entry, Journal, Progress, Report, Runner, Scenario, Verdict};
use crate::lab::{self, LabArena, LoopbackFleet, RealFleet, Topology, Unsupported, Userns};
use crate::node::disk::create_private_dir;

/// Nodes of a loopback fleet for a drill that does not say how many.
const LOOPBACK_NODES: usize = 8;
/// Lab nodes are many, and what they do is in the report.
const LOG_FILTER: &str = "off";

pub(super) fn list() -> Result<(), Failure> {
    let mut out = String::new();
    for (name, text) in BUILT_IN {
        let scenario = Scenario::parse(name, name, text).map_err(Failure::failed)?;
        let _ = writeln!(out, "{name:<22} {}", scenario.about);
    }
    print(out.as_bytes())
}

pub(super) fn run(args: &DrillArgs) -> Result<(), Failure> {
    let mut scenarios = args.scenarios.iter().map(|name| load(name)).collect::<Result<Vec<_>, _>>()?;
    if let Some(time) = args.time {
        for scenario in &mut scenarios {
            scenario.set_time(time).map_err(Failure::usage)?;
        }
    }
    for scenario in &mut scenarios {
        scenario.keep = keep(scenario)?;
    }
    if args.baseline && !scenarios.iter().any(Scenario::has_pairs) {
        let names = args.scenarios.join(", ");
        return Err(Failure::usage(anyhow::anyhow!(
            "--baseline compares pairs of NAT types; {names} has none"
        )));
    }
    // Before anything starts a thread.
    let userns = (!args.loopback && args.fleet.is_none()).then(lab::enter);
    let grounds =
        scenarios.iter().map(|s| Ground::choose(s, args, userns.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let session = Session::begin(Screen::Headless, Look::default(), &Log::only(LOG_FILTER), Hangup::Ends)?;
    let abort = session.stopped();
    let events = args.events.as_deref().map(new_file).transpose()?;
    let (mut reports, begun) = (Vec::new(), Instant::now());
    for (scenario, ground) in scenarios.iter().zip(&grounds) {
        for n in 1..=args.repeat {
            if abort.is_cancelled() {
                break;
            }
            let run = once(ground, scenario, args, events.as_ref(), abort.clone());
            let Some(report) = session.block_on(within_reason(run, &abort)) else {
                // Its fleet takes its time to end; what is left of it goes with us.
                let when = "called off while its fleet began or ended".to_owned();
                reports.push(Report::called_off(&scenario.name, "no fleet", when, begun.elapsed()));
                break;
            };
            let report = report?;
            if !args.json {
                let head =
                    if args.repeat > 1 { format!("run {n} of {}\n", args.repeat) } else { String::new() };
                print(format!("{head}{}", report.text()).as_bytes())?;
            }
            reports.push(report);
        }
    }
    session.end();
    finish(args, reports)
}

/// Where a drill's events go; never over a file that is there.
fn new_file(path: &Path) -> Result<File, Failure> {
    let made = File::create_new(path);
    made.map_err(|e| Failure::usage(anyhow::anyhow!("--events {}: {e}", path.display())))
}

/// Writes what a journal says to a file, until all who write to it have ended.
fn write_events(file: &File, mut entries: mpsc::Receiver<Entry>) -> io::Result<()> {
    let mut out = io::BufWriter::new(file);
    while let Some(entry) = entries.blocking_recv() {
        serde_json::to_writer(&mut out, &entry)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Where a drill's reports are kept that is so long that an interruption would be
/// a pity: begun again with the same time it goes on with them.
fn keep(scenario: &Scenario) -> Result<Option<PathBuf>, Failure> {
    const LONG: Duration = Duration::from_secs(600);
    let (Some(_), Some(data)) =
        (scenario.reports_for().filter(|time| *time >= LONG), Host::detect().data_dir)
    else {
        return Ok(None);
    };
    let dir = data.join("drills");
    create_private_dir(&dir).map_err(Failure::failed)?;
    Ok(Some(dir.join(format!("{}.db", scenario.name))))
}

/// Where a drill runs.
enum Ground {
    /// On nodes that run already.
    Real(FleetFile),
    Lab(Userns, Topology),
    Loopback,
    /// Nowhere on this host.
    Nowhere(String),
}

impl Ground {
    /// NATs where the host allows; loopback where the drill makes sense there.
    fn choose(
        scenario: &Scenario,
        args: &DrillArgs,
        userns: Option<&Result<Userns, Unsupported>>,
    ) -> Result<Self, Failure> {
        if let Some(file) = &args.fleet {
            return FleetFile::read(file).map(Self::Real).map_err(Failure::usage);
        }
        let Some(userns) = userns else {
            let none = || Self::Nowhere("it needs NATs, and --loopback has none".into());
            return Ok(if scenario.fleet.loopback { Self::Loopback } else { none() });
        };
        let named = args.topology.as_deref().unwrap_or(Path::new(&scenario.fleet.topology));
        let topology = Topology::find(named).map_err(Failure::usage)?;
        let topology = match scenario.fleet.nodes {
            Some(nodes) => topology.with_hosts(nodes),
            None => topology,
        };
        let latency = scenario.fleet.latency || args.latency;
        let topology = if latency { topology } else { topology.without_latency() };
        Ok(match userns {
            Ok(userns) => Self::Lab(userns.clone(), topology),
            Err(why) if scenario.fleet.loopback => {
                say(&format_args!("{why}; on loopback instead, without NATs"));
                Self::Loopback
            }
            Err(why) => Self::Nowhere(why.to_string()),
        })
    }
}

/// A scenario by its name, else from a file.
fn load(name: &str) -> Result<Scenario, Failure> {
    if let Some((name, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        return Scenario::parse(name, name, text).map_err(Failure::usage);
    }
    let path = Path::new(name);
    let text = read::text(path, files::TEXT_MAX).map_err(|e| {
        let known = BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        Failure::usage(anyhow::anyhow!("{name}: {e}; the built-in drills are {known}"))
    })?;
    let stem = path.file_stem().map_or(name.to_owned(), |s| s.to_string_lossy().into_owned());
    Scenario::parse(&stem, name, &text).map_err(Failure::usage)
}

/// Who calls a drill off does not wait for its fleet.
const CALLED_OFF_WITHIN: Duration = Duration::from_millis(1500);

/// What a run comes to; nothing where it was called off and does not end.
async fn within_reason<T>(run: impl Future<Output = T>, abort: &CancellationToken) -> Option<T> {
    let late = async {
        abort.cancelled().await;
        tokio::time::sleep(CALLED_OFF_WITHIN).await;
    };
    tokio::select! {
        biased;
        ended = run => Some(ended),
        () = late => None,
    }
}

async fn once(
    ground: &Ground,
    scenario: &Scenario,
    args: &DrillArgs,
    events: Option<&File>,
    abort: CancellationToken,
) -> Result<Report, Failure> {
    let Some(events) = events else { return run_once(ground, scenario, args, None, abort).await };
    let (journal, entries) = Journal::channel();
    let file = events.try_clone().map_err(Failure::failed)?;
    let writer = tokio::task::spawn_blocking(move || write_events(&file, entries));
    let report = run_once(ground, scenario, args, Some(journal), abort).await;
    // The fleet is gone, and its feeds with it.
    match writer.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => say(&format_args!("the events were not all written: {error}")),
        Err(error) => say(&format_args!("the events were not all written: {error}")),
    }
    report
}

async fn run_once(
    ground: &Ground,
    scenario: &Scenario,
    args: &DrillArgs,
    journal: Option<Journal>,
    abort: CancellationToken,
) -> Result<Report, Failure> {
    match ground {
        Ground::Nowhere(why) => Ok(Report::unsupported(&scenario.name, "no fleet", why.clone())),
        Ground::Real(file) => {
            let attached = RealFleet::attach(file.clone()).await;
            let mut fleet = attached.map_err(Failure::failed)?;
            Ok(on(&mut fleet, scenario, args, journal, abort).await)
        }
        Ground::Loopback => {
            let nodes = scenario.fleet.nodes.unwrap_or(LOOPBACK_NODES);
            let mut fleet = LoopbackFleet::start(nodes).await.map_err(Failure::failed)?;
            let report = on(&mut fleet, scenario, args, journal, abort).await;
            fleet.stop().await;
            Ok(report)
        }
        Ground::Lab(userns, topology) => {
            let program = std::env::current_exe().map_err(Failure::failed)?;
            let started = LabArena::start(userns, topology.clone(), scenario, program).await;
            let mut fleet = started.map_err(Failure::failed)?;
            let report = on(&mut fleet, scenario, args, journal, abort).await;
            fleet.stop().await;
            Ok(report)
        }
    }
}

async fn on<A: Arena>(
    fleet: &mut A,
    scenario: &Scenario,
    args: &DrillArgs,
    journal: Option<Journal>,
    abort: CancellationToken,
) -> Report {
    let quiet = args.json;
    let tell = move |p: Progress| {
        if !quiet {
            say(&format_args!("step {} of {}: {}", p.step, p.of, p.what));
        }
    };
    let baseline = args.baseline && scenario.has_pairs();
    Runner::new(fleet, scenario, abort, tell).with_baseline(baseline).with_journal(journal).run().await
}

/// Several runs as one object: the worst verdict, and each run.
#[derive(Serialize)]
struct Runs {
    #[serde(flatten)]
    worst: Report,
    runs: Vec<Report>,
}

fn finish(args: &DrillArgs, mut reports: Vec<Report>) -> Result<(), Failure> {
    let rank = |v: Verdict| match v {
        Verdict::Pass => 0,
        Verdict::Unsupported => 1,
        Verdict::Fail => 2,
        Verdict::CalledOff => 3,
    };
    let Some(worst) = reports.iter().max_by_key(|r| rank(r.verdict)).cloned() else {
        return Err(Failure::failed(anyhow::anyhow!("it was called off before it began")));
    };
    let verdict = worst.verdict;
    if args.json {
        let json = if args.repeat > 1 || args.scenarios.len() > 1 {
            serde_json::to_string(&Runs { worst, runs: std::mem::take(&mut reports) })
        } else {
            serde_json::to_string(&worst)
        };
        print(format!("{}\n", json.map_err(Failure::failed)?).as_bytes())?;
    }
    match verdict {
        Verdict::Pass => Ok(()),
        Verdict::Fail | Verdict::Unsupported | Verdict::CalledOff => Err(Failure::told()),
    }
}
