//! Drills: what they do, measure and undo, on real nodes.

use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::lab::drill::{BUILT_IN, Report, Runner, Scenario, Verdict};
use punchdeck::lab::{LabArena, LoopbackFleet, Topology, Unsupported, Userns};
use tokio_util::sync::CancellationToken;

use super::support::{ignored, trial};

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let mut all = vec![
        trial("a_soak_tells_what_the_process_has_grown_by_and_the_worst_of_its_rounds", soak),
        trial("a_lost_delta_is_repaired_by_the_digest_alone", lost_delta),
        trial("a_drill_that_this_fleet_cannot_run_is_unsupported_and_says_why", unsupported),
        trial("a_drill_that_is_called_off_ends_at_once_and_says_in_which_step", called_off),
        trial("a_check_that_does_not_hold_fails_the_drill", failing),
    ];
    let beside = "the_librarys_own_ladder_runs_beside_ours_on_the_same_pairs";
    let rebound = "data_passes_again_through_another_mapping_when_a_nat_forgets";
    match userns {
        Ok(userns) => {
            let other = userns.clone();
            all.push(trial(beside, move || async move { baseline(&userns).await }));
            all.push(trial(rebound, move || async move { rebind(&other).await }));
        }
        Err(why) => all.extend([beside, rebound].map(|name| ignored(name, &why.to_string()))),
    }
    all
}

async fn in_lab(userns: &Userns, hosts: usize, drill: &Scenario) -> Report {
    let topology = Topology::built_in("default").unwrap().without_latency().with_hosts(hosts);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_punchdeck"));
    let mut fleet = LabArena::start(userns, topology, drill, program).await.unwrap();
    let runner = Runner::new(&mut fleet, drill, CancellationToken::new(), |_| {});
    let report = runner.with_baseline(true).run().await;
    fleet.stop().await;
    report
}

async fn baseline(userns: &Userns) {
    let drill = scenario(
        r#"
        about = "beside"
        fleet = {}
        steps = [{ do = "matrix", nats = ["none"], pairs = [["symmetric", "full-cone"]] }]
        [[checks]]
        name = "connected"
        value = "connected"
        min = 2.0
        unit = "count"
        "#,
    );
    let report = in_lab(userns, 3, &drill).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.text());
    for pair in &report.pairs {
        assert_eq!(pair.baseline_ok, Some(true), "{}", report.text());
        assert!(pair.baseline_ms.is_some_and(|ms| ms < 5_000), "both are direct: {}", report.text());
    }
    let compared = report.compared.unwrap();
    assert_eq!((compared.pairs, compared.both_connected), (2, 2));
}

async fn rebind(userns: &Userns) {
    let drill = |host: &str| {
        scenario(
            &r#"
            about = "rebind"
            fleet = {}
            steps = [
                { do = "wait", until = { what = "linked", a = "pub-1", b = "HOST" }, within = "30s" },
                { do = "rebind", host = "HOST", with = "pub-1", within = "30s", as = "rebind" },
            ]
            [[checks]]
            name = "mapping"
            value = "rebind_mapping"
            min = 1.0
            unit = "count"
            [[checks]]
            name = "data"
            value = "rebind_ms"
            max = 10000.0
            unit = "ms"
            "#
            .replace("HOST", host),
        )
    };
    let report = in_lab(userns, 7, &drill("port-1")).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.text());
    let report = in_lab(userns, 2, &drill("pub-2")).await;
    assert!(report.reason.as_deref().is_some_and(|r| r.contains("before")), "{}", report.text());
}

async fn soak() {
    let mut fleet = LoopbackFleet::start(3).await.unwrap();
    let mut drill = scenario(
        r#"
        about = "soak"
        fleet = { loopback = true }
        steps = [
            { do = "wait", until = { what = "all-know-all" }, within = "20s" },
            { do = "soak", for = "60s", steps = [
                { do = "wait", until = { what = "all-joined" }, within = "5s", as = "joined_ms" },
                { do = "sync", node = "lab-2", as = "synced" },
                { do = "sleep", for = "100ms" },
            ] },
        ]
        [[checks]]
        name = "rounds"
        value = "rounds"
        min = 2.0
        unit = "count"
        [[checks]]
        name = "synced"
        value = "synced"
        min = 1.0
        unit = "ratio"
        [[checks]]
        name = "joined"
        value = "joined_ms"
        max = 5000.0
        unit = "ms"
        [[checks]]
        name = "memory"
        value = "rss_growth_mib"
        max = 64.0
        unit = "mib"
        [[checks]]
        name = "files"
        value = "fds_growth"
        max = 1000.0
        unit = "count"
        "#,
    );
    drill.set_time(Duration::from_millis(300)).unwrap();
    let report = run(&mut fleet, &drill).await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.text());
    assert!(report.elapsed_s < 20.0, "not the 60 s of the drill: {}", report.text());
    let figure = |name: &str| report.figures.iter().find(|f| f.name == name).and_then(|f| f.value);
    assert!(figure("attempts").is_some_and(|n| n >= 2.0), "{}", report.text());
    assert!(
        figure("connected, where both ends were there").is_some_and(|share| share > 0.0 && share <= 1.0),
        "{}",
        report.text()
    );
    fleet.stop().await;
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
        let short = short.replace("pub-1", "lab-2").replace("\"15s\"", "\"100ms\"");
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
    assert_eq!(report.verdict, Verdict::CalledOff);
    assert_eq!(report.reason.as_deref(), Some("called off in step 2"));
    // A fleet that was built for the drill goes as it is; one that outlives it is mended.
    assert!(report.checks.is_empty() && report.elapsed_s < 10.0, "{report:?}");
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
