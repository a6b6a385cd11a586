//! Drills: what they do, measure and undo, on real nodes.

use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::lab::LoopbackFleet;
use punchdeck::lab::drill::{Arena, BUILT_IN, Report, Runner, Scenario, Verdict};
use tokio_util::sync::CancellationToken;

use super::support::trial;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_lost_delta_is_repaired_by_the_digest_alone", lost_delta),
        trial("a_drill_that_this_fleet_cannot_run_is_unsupported_and_says_why", unsupported),
        trial("a_drill_that_is_called_off_undoes_what_it_did", called_off),
        trial("a_check_that_does_not_hold_fails_the_drill", failing),
    ]
}

fn scenario(text: &str) -> Scenario {
    Scenario::parse("test", "test.toml", text).unwrap()
}

async fn run(fleet: &mut LoopbackFleet, scenario: &Scenario) -> Report {
    Runner::new(fleet, scenario, CancellationToken::new(), |_| {}).run().await
}

async fn lost_delta() {
    let mut fleet = LoopbackFleet::start(4).await.unwrap();
    let drill = scenario(
        r#"
        about = "lost delta"
        fleet = { loopback = true }
        steps = [
            { do = "wait", until = { what = "all-know-all" }, within = "20s", as = "known_ms" },
            { do = "lose-delta", node = "lab-1" },
            { do = "start", node = "late", passive = true },
            { do = "wait", until = { what = "all-know-all" }, within = "70s", as = "again_ms" },
        ]
        [[checks]]
        name = "known"
        value = "known_ms"
        max = 10000.0
        unit = "ms"
        [[checks]]
        name = "known again"
        value = "again_ms"
        max = 60000.0
        unit = "ms"
        "#,
    );
    let report = run(&mut fleet, &drill).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.text());
    let again = report.checks[1].value.unwrap();
    assert!(again > 1_000.0, "{again} ms: a delta came through");
    fleet.stop().await;
}

async fn unsupported() {
    let mut fleet = LoopbackFleet::start(2).await.unwrap();
    for name in ["nat_matrix", "chaos_nat_rebind", "cold_start_isolation"] {
        let (_, text) = BUILT_IN.iter().find(|(n, _)| *n == name).unwrap();
        let short = text.replace("\"30s\"", "\"100ms\"").replace("port-1", "lab-1").replace("pub-3", "lab-1");
        let report = run(&mut fleet, &scenario(&short)).await;
        assert_eq!(report.verdict, Verdict::Unsupported, "{name}: {}", report.text());
        assert!(report.reason.as_deref().unwrap().contains("loopback"), "{name}: {:?}", report.reason);
    }
    fleet.stop().await;
}

const STOP_AND_SLEEP: &str = r#"
    about = "stop"
    fleet = { loopback = true }
    steps = [
        { do = "stop", node = "lab-2" },
        { do = "sleep", for = "60s" },
    ]
    [[checks]]
    name = "n"
    value = "unreachable"
    max = 1000.0
    unit = "count"
"#;

async fn called_off() {
    let mut fleet = LoopbackFleet::start(3).await.unwrap();
    let drill = scenario(STOP_AND_SLEEP);
    let abort = CancellationToken::new();
    let told = abort.clone();
    let runner = Runner::new(&mut fleet, &drill, abort, move |progress| {
        if progress.step == 2 {
            told.cancel();
        }
    });
    let report = runner.run().await;
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(report.reason.as_deref(), Some("called off in step 2"));
    assert!(report.elapsed_s < 10.0);
    let names: Vec<String> = fleet.members().into_iter().map(|m| m.name).collect();
    assert_eq!(names, ["lab-1", "lab-2", "lab-3"], "the node it stopped runs again");
    fleet.stop().await;
}

async fn failing() {
    let mut fleet = LoopbackFleet::start(2).await.unwrap();
    let drill = scenario(&STOP_AND_SLEEP.replace("60s", "10ms").replace("max = 1000.0", "min = 5.0"));
    let report = run(&mut fleet, &drill).await;
    assert_eq!(report.verdict, Verdict::Fail);
    assert!(!report.checks[0].ok);
    tokio::time::sleep(Duration::from_millis(1)).await;
    fleet.stop().await;
}
