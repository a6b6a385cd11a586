//! `punchdeck lab`: the console on one node of a fleet in this process, behind
//! real NATs where the host allows it, and a controller that changes the fleet.

use std::time::Instant;

use super::failure::say;
use super::lab_controller::{DrillGround, LabController};
use super::session::{Around, Hangup, Log, Look, Screen, Session};
use super::{Failure, LabArgs, SettingsArgs, print};
use crate::lab::drill::Arena as _;
use crate::lab::{
    self, Ground, LabError, LabOptions, LoopbackFleet, NatLab, NetworkError, Topology, TopologyError,
    Unsupported, Userns,
};
use crate::model::HardNat;
use crate::node::feed::Feed;

/// What lab nodes log; there are many of them.
const LOG_FILTER: &str = "info,patchbay=warn";
/// The fleet's size where no topology says it.
const NODES: u8 = 8;

pub(super) fn execute(args: &LabArgs) -> Result<(), Failure> {
    if args.loopback {
        return attend_loopback(begin(args)?, args);
    }
    let topology = topology(args).map_err(Failure::usage)?;
    // Before anything starts a thread.
    let userns = match lab::enter() {
        Ok(userns) => userns,
        Err(why) => return fall_back(args, &why),
    };
    if args.self_test {
        return self_test(&userns, topology);
    }
    let session = begin(args)?;
    let begun = Instant::now();
    let started = session
        .unless_stopped(NatLab::start(&userns, LabOptions::new(topology).with_hard_nat(HardNat::Auto)));
    let Some(started) = started else {
        session.end();
        return Ok(());
    };
    let mut fleet = match started {
        Ok(fleet) => fleet,
        Err(LabError::Network(NetworkError::Unsupported(why))) => {
            say_instead(&why);
            // The console shows log lines, and covers what was said.
            tracing::warn!("{why}; a fleet on loopback instead, without NATs");
            return attend_loopback(session, args);
        }
        Err(other) => return Err(refused(other)?),
    };
    let feeds = fleet.take_feeds();
    let (ground, drills) = grounds(fleet, userns);
    let ended = attend(&session, ground, drills, feeds, begun);
    session.end();
    ended
}

#[cfg(target_os = "linux")]
fn grounds(fleet: NatLab, userns: Userns) -> (Ground, DrillGround) {
    (Ground::Nat(Box::new(fleet)), DrillGround::Nat(userns))
}

/// There is no such fleet.
#[cfg(not(target_os = "linux"))]
fn grounds(fleet: NatLab, _: Userns) -> (Ground, DrillGround) {
    match fleet {}
}

fn topology(args: &LabArgs) -> Result<Topology, TopologyError> {
    let mut topology = Topology::find(&args.topology)?;
    if let Some(nodes) = args.nodes {
        topology = topology.with_hosts(nodes.into());
    }
    Ok(if args.no_latency { topology.without_latency() } else { topology })
}

/// Without NATs there is nothing to test; a console is still of use.
fn fall_back(args: &LabArgs, why: &Unsupported) -> Result<(), Failure> {
    if args.self_test {
        return Err(Failure::failed(why.clone()));
    }
    say_instead(why);
    let session = begin(args)?;
    tracing::warn!("{why}; a fleet on loopback instead, without NATs");
    attend_loopback(session, args)
}

fn say_instead(why: &Unsupported) {
    say(&format_args!("{why}; a fleet on loopback instead, without NATs"));
}

fn begin(args: &LabArgs) -> Result<Session, Failure> {
    // Of the settings it is the console's own that concern whoever looks.
    let settings =
        SettingsArgs { file: args.file.clone(), console: args.console.clone(), ..SettingsArgs::default() };
    let look = Look::of(&settings.resolve()?.config);
    Session::begin(Screen::choose(false), look, &Log::only(LOG_FILTER), Hangup::Ends)
}

/// Prints the table; what is not as it claims is a failure.
fn self_test(userns: &Userns, topology: Topology) -> Result<(), Failure> {
    let session = Session::begin(Screen::Headless, Look::default(), &Log::only("warn"), Hangup::Ends)?;
    let built = session.block_on(NatLab::build(userns, LabOptions::new(topology)));
    session.end();
    let lab = match built {
        Ok(lab) => lab,
        Err(error) => return Err(refused(error)?),
    };
    let Some(test) = lab.self_test() else { return Ok(()) };
    print(format!("{test}\n").as_bytes())?;
    if test.rows.is_empty() {
        let why = "this topology has no NAT and no wire: there was nothing to measure";
        return Err(Failure::failed(anyhow::anyhow!(why)));
    }
    Ok(())
}

/// A failed self-test is a table, which does not fit on the line of a failure.
fn refused(error: LabError) -> Result<Failure, Failure> {
    let LabError::SelfTest(test) = error else { return Ok(Failure::failed(error)) };
    print(format!("{test}\n").as_bytes())?;
    Ok(Failure::failed(anyhow::anyhow!("the lab is not what its topology says, and does not start")))
}

fn attend_loopback(session: Session, args: &LabArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let nodes = args.nodes.unwrap_or(NODES).into();
    let mut fleet = LoopbackFleet::default();
    let ended = match session.unless_stopped(fleet.grow_to(nodes)) {
        Some(Ok(())) => {
            let members = fleet.members();
            let mut feeds: Vec<_> =
                members.into_iter().filter_map(|m| m.feed.map(|feed| (m.name, feed))).collect();
            if let (Some((_, last)), Some(newest)) = (feeds.last_mut(), fleet.newest()) {
                *last = newest;
            }
            attend(&session, Ground::Loopback(fleet), DrillGround::Loopback, feeds, begun)
        }
        begun => {
            session.block_on(fleet.stop());
            begun.map_or(Ok(()), |begun| begun.map_err(Failure::failed))
        }
    };
    session.end();
    ended
}

/// Shows the console on the last node, which knows one address and has
/// everything to learn; ends the fleet with it.
fn attend(
    session: &Session,
    ground: Ground,
    drills: DrillGround,
    feeds: Vec<(String, Feed)>,
    begun: Instant,
) -> Result<(), Failure> {
    let Some((name, shown)) = feeds.last().cloned() else { return Ok(()) };
    let (ended, ground) = if session.has_console() {
        let (controller, lab, fleet) =
            LabController::open(ground, name, drills, session.runtime()).map_err(Failure::failed)?;
        let ended = {
            let around = Around { lab: Some(lab), fleet: Some(fleet), ..Around::default() };
            session.attend(shown, around, std::future::ready(Ok(())))
        };
        (ended, controller.close())
    } else {
        let feeds = feeds.into_iter().map(|(_, feed)| feed).collect();
        (session.attend(shown, Around::default(), tell_when_joined(feeds, begun)), Some(ground))
    };
    if let Some(ground) = ground {
        session.block_on(ground.stop());
    }
    ended
}

/// Without a console: says when every node knows every other.
async fn tell_when_joined(feeds: Vec<Feed>, begun: Instant) -> Result<(), Failure> {
    let others = feeds.len().saturating_sub(1);
    for mut feed in feeds {
        if feed.snapshots.wait_for(|s| s.peers.len() >= others).await.is_err() {
            return Ok(());
        }
    }
    let took = begun.elapsed().as_secs_f64();
    print(format!("{} nodes know each other after {took:.2} s\n", others + 1).as_bytes())
}
