//! Drills on nodes that run already, each a process of its own behind a real NAT
//! and reached through its control socket alone.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::lab::{LabOptions, NatLab, Topology, Unsupported, Userns};
use serde_json::Value;
use tempfile::tempdir;
use tokio::time::timeout;

use super::binary::punchdeck;
use super::support::{PATIENCE, ignored, trial};

const BINARY: &str = env!("CARGO_BIN_EXE_punchdeck");
/// Nobody's node dies twice in a drill that is over by then.
const DRILL: Duration = Duration::from_secs(240);

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let name = "drills_run_on_eight_running_nodes_and_what_those_cannot_do_is_unsupported";
    let mut all = vec![trial("a_fleet_whose_node_does_not_answer_is_named_with_exit_1", no_answer)];
    all.push(match userns {
        Ok(userns) => trial(name, move || async move { eight(&userns).await }),
        Err(why) => ignored(name, &why.to_string()),
    });
    all
}

async fn drill(home: &Path, fleet: &Path, name: &str) -> (Value, i32, String) {
    let mut command = punchdeck(home);
    command.args(["lab", "run", name, "--json", "--fleet"]).arg(fleet);
    let output = timeout(DRILL, command.output()).await.expect("the drill did not end").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (report, output.status.code().unwrap(), said)
}

async fn eight(userns: &Userns) {
    let topology = Topology::built_in("default").unwrap().without_latency();
    let names: Vec<String> = topology.host.iter().map(|h| h.name.clone()).collect();
    assert_eq!(names.len(), 8);
    let options = LabOptions { skip_self_test: true, ..LabOptions::new(topology) };
    let lab = NatLab::build(userns, options).await.unwrap();
    let home = tempdir().unwrap();
    let again = home.path().join("again");
    let mut file = String::new();
    for name in &names {
        let pid = lab.start_process(name, Path::new(BINARY)).await.unwrap();
        let socket = lab.control_socket(name).await.unwrap();
        let wait = async {
            while !socket.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{name} has no socket"));
        writeln!(file, "[[node]]\nname = \"{name}\"\nsocket = {:?}", socket.to_str().unwrap()).unwrap();
        if name == "pub-3" {
            // As if it were on another host.
            writeln!(file, "through = [\"env\"]\nprogram = {BINARY:?}").unwrap();
        }
        if name == "pub-2" {
            writeln!(file, "kill = [\"kill\", \"-9\", \"{pid}\"]").unwrap();
            writeln!(file, "start = [\"touch\", {:?}]", again.to_str().unwrap()).unwrap();
        }
    }
    let fleet = home.path().join("fleet.toml");
    std::fs::write(&fleet, file).unwrap();

    let (report, code, said) = drill(home.path(), &fleet, "fleet_check").await;
    assert_eq!((code, &report["verdict"]), (0, &"pass".into()), "{report:#} {said}");
    assert_eq!(report["checks"].as_array().unwrap().len(), 4);

    // SIGKILL by the command of the file; what starts it again is ours.
    let restart = async {
        while !again.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        lab.start_process("pub-2", Path::new(BINARY)).await.unwrap();
        std::future::pending::<()>().await;
    };
    let (report, code, said) = tokio::select! {
        ended = drill(home.path(), &fleet, "chaos_kill_random") => ended,
        () = restart => unreachable!(),
    };
    assert_eq!((code, &report["verdict"]), (0, &"pass".into()), "{report:#} {said}");

    for (name, why) in [
        ("nat_matrix", "fresh nodes behind NATs"),
        ("chaos_partition", "gives no command for that"),
        ("gossip_discovery", "losing a delta"),
        ("chaos_nat_rebind", ""),
    ] {
        let (report, code, said) = drill(home.path(), &fleet, name).await;
        assert_eq!((code, &report["verdict"]), (1, &"unsupported".into()), "{name}: {report:#} {said}");
        assert!(report.to_string().contains(why), "{name}: {report:#}");
    }
    lab.stop().await;
}

async fn no_answer() {
    let home = tempdir().unwrap();
    let fleet = home.path().join("fleet.toml");
    let node = |name: &str, rest: &str| format!("[[node]]\nname = \"{name}\"\nsocket = \"/none\"\n{rest}\n");
    std::fs::write(&fleet, node("a", "") + &node("b", "")).unwrap();
    let (_, code, said) = drill(home.path(), &fleet, "fleet_check").await;
    assert_eq!(code, 1);
    assert_eq!(said.trim_end(), "punchdeck: node a: no node answers at /none: there is no such socket");
    let through = "through = [\"sh\", \"-c\", \"echo the way is blocked >&2\"]";
    std::fs::write(&fleet, node("a", through) + &node("b", "")).unwrap();
    let (_, code, said) = drill(home.path(), &fleet, "fleet_check").await;
    assert!(code == 1 && said.contains("has hung up: the way is blocked"), "{said}");
    std::fs::write(&fleet, node("a", "")).unwrap();
    let (_, code, said) = drill(home.path(), &fleet, "fleet_check").await;
    assert!(code == 2 && said.contains("a fleet has 2 to 64"), "{said}");
}
