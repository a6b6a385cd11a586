//! `punchdeck lab from`: an incident, from a snap or from `ctl why --json`, as a
//! topology and a drill.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::args::{DrillArgs, FromArgs};
use super::{Failure, drill, print};
use crate::files::{self, read};
use crate::lab::incident::Incident;
use crate::model::Why;
use crate::tui::{Bundle, BundleError};

pub(super) fn execute(args: &FromArgs) -> Result<(), Failure> {
    let incident = recorded(args).map_err(Failure::usage)?;
    let stem = args.file.file_stem().map_or("incident".into(), |stem| stem.to_string_lossy().into_owned());
    let dir = args.out.clone().unwrap_or_default();
    let topology = dir.join(format!("{stem}.topology.toml"));
    let scenario = dir.join(format!("{stem}.drill.toml"));
    // Absolute, so that the drill can be run from anywhere.
    let named = std::path::absolute(&topology).unwrap_or_else(|_| topology.clone());
    write(&topology, &incident.topology())?;
    write(&scenario, &incident.drill(&named.to_string_lossy()))?;
    let told = format!("wrote {} and {}\n", topology.display(), scenario.display());
    if !args.run {
        return if args.json { Ok(()) } else { print(told.as_bytes()) };
    }
    if !args.json {
        print(told.as_bytes())?;
    }
    let scenarios = vec![scenario.to_string_lossy().into_owned()];
    drill::run(&DrillArgs {
        scenarios,
        json: args.json,
        repeat: 1,
        loopback: false,
        topology: None,
        fleet: None,
        latency: false,
        time: None,
        events: None,
        baseline: false,
    })
}

/// Never over a file that is there.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let made = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    made.map_err(|e| Failure::usage(anyhow::anyhow!("{}: {e}", path.display())))
}

/// Reads an incident from a snap or from what `ctl why --json` printed.
fn recorded(args: &FromArgs) -> anyhow::Result<Incident> {
    let at = args.file.display();
    match Bundle::load(&args.file) {
        Ok(bundle) => of_snap(&bundle, args.peer.as_deref()).map_err(|e| anyhow::anyhow!("{at}: {e}")),
        Err(BundleError::Foreign) => {
            let text = read::text(&args.file, files::TEXT_MAX).map_err(|e| anyhow::anyhow!("{at}: {e}"))?;
            Incident::of_report(&text).map_err(|e| {
                anyhow::anyhow!("{at}: {e}; it is neither a snap nor what ctl why --json prints")
            })
        }
        Err(error) => Err(anyhow::anyhow!("{at}: {error}")),
    }
}

/// The newest answer to why in a snap, or the one about a peer.
fn of_snap(bundle: &Bundle, peer: Option<&str>) -> anyhow::Result<Incident> {
    let answers = bundle.explained();
    let last = bundle.last();
    let name = |why: &Why| last.as_ref().and_then(|s| s.peer(&why.peer_id).and_then(|row| row.name.clone()));
    let about = |why: &&Why| {
        peer.is_none_or(|peer| {
            why.peer_id.to_string().starts_with(peer) || name(why).as_deref() == Some(peer)
        })
    };
    let mut answers = answers.peekable();
    if answers.peek().is_none() {
        anyhow::bail!("nobody asked why in it; the why view asks, and a snap taken then holds the answer");
    }
    let Some(why) = answers.find(about) else {
        anyhow::bail!("no answer to why in it is about {}", peer.unwrap_or_default());
    };
    Ok(Incident::of_why(why, bundle.peer_id(), last.as_deref()))
}
