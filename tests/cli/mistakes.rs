//! Mistakes, and how they are told: to a program as an object, to a person with
//! their place.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{Home, Run};

impl Run {
    /// The one object on standard output.
    #[track_caller]
    fn object(&self, code: i32) -> Value {
        let out = self.out();
        assert_eq!((self.code(), out.lines().count()), (code, 1), "{out}{}", self.err());
        let object: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(object["schema"], 1, "{out}");
        object
    }

    /// Its error: code and sentence.
    #[track_caller]
    fn error(&self, code: i32) -> (String, String) {
        let object = self.object(code);
        let text = |name: &str| object["error"][name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("message"))
    }
}

#[test]
fn a_drill_that_is_refused_is_an_object_for_a_program_that_wants_one() {
    let home = Home::new();
    home.file("nodrill.toml", "about = 3\n");
    for (args, said) in [
        (&["nosuch"][..], "nosuch: No such file or directory"),
        (&["nodrill.toml"], "nodrill.toml"),
        (&["same_nat", "--repeat", "0"], "invalid value '0' for '--repeat <REPEAT>'"),
        (&["same_nat", "--topology", "nosuch"], "nosuch cannot be read"),
        (&["same_nat", "--for", "10s"], "no step of it runs for a while"),
        (&["same_nat", "--baseline"], "--baseline compares pairs of NAT types"),
        (&["same_nat", "--fleet", "nosuch"], "nosuch"),
        (
            &["same_nat", "--fleet", "nosuch", "--loopback"],
            "'--fleet <FILE>' cannot be used with '--loopback'",
        ),
        (&[], "the following required arguments were not provided: <SCENARIO>..."),
    ] {
        let run = home.run(&[&["lab", "run", "--json"], args].concat(), &[]);
        let (code, message) = run.error(2);
        assert_eq!(code, "usage", "{args:?}");
        assert!(message.contains(said), "{args:?}: {message}");
        assert!(run.err().starts_with("punchdeck: "), "people are told, too: {}", run.err());
        // The variable asks as the flag does.
        let run = home.run(&[&["lab", "run"], args].concat(), &[("PUNCHDECK_LAB_JSON", "1")]);
        assert_eq!(run.error(2), (code, message), "{args:?}");
    }
}

#[test]
fn what_ctl_misses_is_named_in_the_object() {
    let home = Home::new();
    let (code, message) = home.run(&["ctl", "--json", "why"], &[]).error(2);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("usage", "the following required arguments were not provided: <PEER>")
    );
    let (_, message) = home.run(&["ctl", "--json"], &[]).error(2);
    assert!(message.contains("requires a subcommand but one was not provided"), "{message}");
    let (_, message) = home.run(&["ctl", "connct", "x"], &[("PUNCHDECK_CTL_JSON", "true")]).error(2);
    assert!(message.contains("unrecognized subcommand 'connct'"), "{message}");
}

#[test]
fn check_finds_what_a_node_would_stumble_on_with_its_place() {
    let home = Home::new();
    let long = format!("/tmp/{}", "x".repeat(115));
    let text = format!("control_group = \"no-such-group\"\nsocket = \"{long}\"\n");
    let file = home.file("c.toml", &text);
    let check = home.run(&["config", "check", "--config", &file], &[]);
    let err = check.err();
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!((check.code(), lines.len()), (2, 2), "{err}");
    assert!(
        lines[0].contains(&format!("({file}:2): must be ")) && lines[0].contains("of 120 bytes"),
        "{err}"
    );
    assert!(
        lines[1].contains(&format!("control_group = \"no-such-group\" ({file}:1): must be a group")),
        "{err}"
    );
    // The node says the same, and has made nothing.
    let err = home.run(&["run", "--headless", "--config", &file, "--data-dir", "data"], &[]).fails(2);
    assert!(err.contains(&format!("({file}:2): must be ")), "{err}");
    assert!(!home.path("data").exists());
    // It may be the data directory that is too deep.
    let err = home.run(&["config", "check", "--data-dir", &long], &[]).fails(2);
    assert!(err.contains("(flag --data-dir): ") && err.contains("/control.sock has a path of"), "{err}");
}

#[test]
fn check_finds_mistakes_in_the_variables_of_all_flags() {
    let home = Home::new();
    let env =
        [("PUNCHDECK_LAB_NODES", "1"), ("PUNCHDECK_CTL_JSON", "maybe"), ("PUNCHDECK_REGISTRY_LISTEN", "x")];
    let check = home.run(&["config", "check"], &env);
    let err = check.err();
    assert_eq!((check.code(), err.lines().count()), (2, 3), "{err}");
    for (name, value) in env {
        let told =
            |l: &str| l.contains(&format!("'{value}'")) && l.ends_with(&format!("(environment {name})"));
        assert!(err.lines().any(told), "{name}: {err}");
    }
}

#[test]
fn every_switch_takes_the_same_words_and_no_others() {
    let home = Home::new();
    for word in ["true", "false", "1", "0"] {
        for name in ["PUNCHDECK_HEADLESS", "PUNCHDECK_CTL_JSON", "PUNCHDECK_MASK", "PUNCHDECK_READ_ONLY"] {
            assert_eq!(home.run(&["config", "check"], &[(name, word)]).code(), 0, "{name}={word}");
        }
    }
    for (name, args) in [
        ("PUNCHDECK_CTL_JSON", &["ctl", "status"][..]),
        ("PUNCHDECK_HEADLESS", &["run"]),
        ("PUNCHDECK_HEADLESS", &["config", "check"]),
        ("PUNCHDECK_MASK", &["config", "show"]),
        ("PUNCHDECK_READ_ONLY", &["attach"]),
    ] {
        for word in ["maybe", "", "2"] {
            let err = home.run(args, &[(name, word)]).fails(2);
            assert!(err.contains("must be true, false, 1 or 0"), "{name}={word}: {err}");
            assert!(err.contains(&format!("environment {name}")), "{name}={word}: {err}");
        }
    }
}

#[test]
fn a_cache_that_cannot_be_had_is_named() {
    let home = Home::new();
    fs::create_dir(home.path("data")).unwrap();
    fs::set_permissions(home.path("data"), fs::Permissions::from_mode(0o700)).unwrap();
    home.file("data/cache", "no directory");
    let args = ["run", "--headless", "--bind", "127.0.0.1:0", "--data-dir", "data"];
    let err = home.run(&args, &[("PUNCHDECK_LOG_FILTER", "error")]).fails(2);
    assert!(err.contains("the peer cache data/cache cannot be opened: "), "{err}");
}

#[test]
fn a_data_directory_that_others_reach_is_used_and_said_so() {
    let home = Home::new();
    fs::create_dir(home.path("data")).unwrap();
    fs::set_permissions(home.path("data"), fs::Permissions::from_mode(0o755)).unwrap();
    // What ends it again is another matter.
    home.file("data/cache", "no directory");
    let args = ["run", "--headless", "--bind", "127.0.0.1:0", "--data-dir", "data"];
    let run = home.run(&args, &[("PUNCHDECK_LOG_FILTER", "warn")]);
    assert!(
        run.err().contains("the data directory data has mode 0755, others reach it; chmod 700 data"),
        "{}",
        run.err()
    );
    let mode = fs::metadata(home.path("data")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755, "it stays as it is");
}

#[test]
fn a_relative_home_is_none() {
    let home = Home::new();
    for (args, fix) in [
        (&["config", "path"][..], "set --config FILE"),
        (&["config", "show"], "set data_dir"),
        (&["run", "--headless", "--bind", "127.0.0.1:0"], "set data_dir"),
        (&["registry", "--listen", "127.0.0.1:0"], "set --db"),
    ] {
        let err = home.run(args, &[("HOME", "relative")]).fails(2);
        assert!(err.contains("HOME must be an absolute path") && err.contains(fix), "{args:?}: {err}");
    }
    assert!(!home.path("relative").exists());
}

#[test]
fn a_console_without_a_terminal_says_what_to_do_instead() {
    let err = Home::new().run(&["attach"], &[]).fails(2);
    assert!(err.contains("no terminal here, and a console needs one; `punchdeck ctl status`"), "{err}");
}
