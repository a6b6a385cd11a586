//! An incident becomes a topology and a drill, in files of their own.

use std::fs;

use super::Home;

fn told(cause: &str) -> String {
    let (me, peer) = ("11".repeat(32), "ab".repeat(32));
    format!(
        r#"{{"schema": 1, "peer_id": "{peer}", "path": null, "cause": "{cause}", "verdict": "So at 198.18.0.7:4000.",
            "nats": {{"ours": "port-restricted", "theirs": "symmetric"}},
            "timeline": [{{"at_ms": 7, "who": "{me}", "what": "dial 198.18.0.7:4000"}}], "next": []}}"#
    )
}

#[test]
fn what_why_told_a_program_becomes_a_topology_and_a_drill_and_nothing_is_overwritten() {
    let home = Home::new();
    home.file("night.json", &told("unpunchable"));
    let args = ["lab", "from", "night.json"];
    let out = home.run(&args, &[]).succeeds();
    assert!(out.contains("night.topology.toml") && out.contains("night.drill.toml"), "{out}");
    let read = |name: &str| fs::read_to_string(home.path(name)).unwrap();
    let (topology, drill) = (read("night.topology.toml"), read("night.drill.toml"));
    assert!(topology.contains("nat = \"symmetric\"") && topology.contains("Not measured"), "{topology}");
    assert!(
        drill.contains("cause = \"unpunchable\"") && drill.contains("7 ms here: dial address-1"),
        "{drill}"
    );
    assert!(!drill.contains("198.18") && !topology.contains("198.18"));
    let again = home.run(&args, &[]);
    assert_eq!(again.code(), 2);
    assert!(again.err().contains("night.topology.toml"), "{}", again.err());
    assert_eq!(read("night.topology.toml"), topology);
}

#[test]
fn what_is_no_incident_is_refused_with_what_it_should_be() {
    let home = Home::new();
    home.file("other.json", "{\"schema\": 1}\n");
    home.file("odd.json", &told("bad-weather"));
    for (file, says) in [
        ("other.json", "neither a snap nor what ctl why --json prints"),
        ("odd.json", "bad-weather"),
        ("none.json", "none.json"),
    ] {
        let run = home.run(&["lab", "from", file], &[]);
        assert_eq!(run.code(), 2, "{file}");
        assert!(run.err().contains(says), "{file}: {}", run.err());
    }
}
