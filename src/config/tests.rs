use std::ffi::OsString;
use std::path::Path;

use super::*;

fn host() -> Host {
    Host { config_file: None, data_dir: Some("/home/op/data".into()), name: "host-1".into() }
}

fn sources(file: Option<&Path>, env: &[(&str, &str)], flags: &[(Key, &str)]) -> Sources {
    Sources {
        host: host(),
        file: file.map(Path::to_owned),
        env: env.iter().map(|(k, v)| (OsString::from(k), OsString::from(v))).collect(),
        flags: flags.iter().map(|(k, v)| (*k, Raw::Text((*v).to_owned()))).collect(),
    }
}

fn with_file(text: &str, env: &[(&str, &str)], flags: &[(Key, &str)]) -> Result<Resolved, ConfigErrors> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    resolve(&sources(Some(&path), env, flags))
}

/// The messages, without the directory of the file.
fn errors(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    let errors = with_file(text, env, &[]).unwrap_err().0;
    errors
        .iter()
        .map(|e| {
            let text = e.to_string();
            match (text.find('/'), text.find("config.toml")) {
                (Some(from), Some(to)) if from < to => format!("{}{}", &text[..from], &text[to..]),
                _ => text,
            }
        })
        .collect()
}

#[test]
fn the_example_file_equals_the_defaults() {
    let resolved = with_file(EXAMPLE, &[], &[]).unwrap();
    assert_eq!(resolved.config, Config::defaults(&host()));
    assert!(resolved.secret.is_none());
}

#[test]
fn every_key_stands_in_the_example_and_its_commented_lines_are_valid_too() {
    for key in Key::ALL {
        // A section's keys stand below its header.
        let name = key.name().rsplit('.').next().unwrap();
        let set = EXAMPLE.lines().any(|l| l.starts_with(&format!("{name} = ")));
        let commented = EXAMPLE.lines().any(|l| l.starts_with(&format!("# {name} = ")));
        assert!(set != commented, "{} stands once", key.name());
        let is_the_hosts = matches!(
            key,
            Key::DataDir
                | Key::Name
                | Key::NetworkSecretFile
                | Key::Socket
                | Key::ControlGroup
                | Key::RegistryUrl
                | Key::RegistryTokenFile
                | Key::MetricsListen
                | Key::MetricsTokenFile
        );
        assert_eq!(commented, is_the_hosts, "{}", key.name());
    }
    let uncommented = EXAMPLE.replace("# data_dir = ", "data_dir = ").replace("# name = ", "name = ");
    let resolved = with_file(&uncommented, &[], &[]).unwrap();
    assert_eq!(resolved.config.data_dir, Path::new("/var/lib/punchdeck"));
    assert_eq!(resolved.config.name, "node-1");
}

#[test]
fn the_example_holds_the_whole_map_of_keys_as_a_commented_table() {
    let (_, table) = EXAMPLE.split_once("\n[keys]\n").unwrap();
    assert_eq!(
        table,
        Keymap::example(),
        "put this at the end of config.example.toml:\n\n{}",
        Keymap::example()
    );
    let uncommented = format!("[keys]\n{}", table.replace("#   ", ""));
    let resolved = with_file(&uncommented, &[], &[]).unwrap();
    assert_eq!(resolved.config, Config::defaults(&host()), "they are the defaults");
}

#[test]
fn other_keys_hold_and_are_shown_with_where_they_stand() {
    let resolved =
        with_file("[keys]\nsync = \"ctrl-y\"\nfreeze = []\nup = [\"up\", \"ctrl-k\"]\n", &[], &[]).unwrap();
    let shown = resolved.show();
    for (line, at) in
        [("keys.sync = \"ctrl-y\"", 2), ("keys.up = [\"up\", \"ctrl-k\"]", 4), ("keys.freeze = []", 3)]
    {
        let found =
            shown.lines().find(|l| l.starts_with(line)).unwrap_or_else(|| panic!("{line} in {shown}"));
        assert!(found.ends_with(&format!("config.toml:{at}")), "{found}");
    }
    assert!(toml::from_str::<toml::Table>(&shown).is_ok(), "{shown}");
    let keys = resolved.changes(&with_file("", &[], &[]).unwrap());
    assert_eq!(keys.len(), 1);
    assert_eq!((keys[0].name, keys[0].live), ("keys", false), "keys need a restart");
}

#[test]
fn mistakes_among_the_keys_name_their_lines() {
    assert_eq!(
        errors("[keys]\nsnyc = \"y\"\nsync = 5\nfreeze = \"strg-f\"\n", &[])
            .iter()
            .map(|e| e.split(';').next().unwrap_or_default()[..50].to_owned())
            .collect::<Vec<_>>(),
        [
            "config.toml:3: [keys]: sync = 5: must be a key suc",
            "config.toml:2: [keys]: there is no action \"snyc\", ",
            "config.toml:4: [keys]: freeze = \"strg-f\" is no key",
        ]
    );
    assert_eq!(
        errors("[keys]\nfreeze = \"s\"\n", &[]),
        [
            "config.toml:2: [keys]: s would be both sync and freeze, in the panes: move one of them, or take its key \
          away with []"
        ]
    );
}

#[test]
fn how_long_an_escape_is_waited_for_has_bounds() {
    let r = with_file("escape_wait = \"300ms\"\n", &[], &[]).unwrap();
    assert_eq!(r.config.escape_wait, Duration::from_millis(300));
    let wrong = "escape_wait = \"5ms\" (config.toml:1): must be a time from 10ms to 2s, such as \"50ms\"";
    assert_eq!(errors("escape_wait = \"5ms\"", &[]), [wrong]);
}

#[test]
fn the_mouse_and_the_title_are_switched_by_file_variable_and_flag() {
    let r = with_file("mouse = false\ntitle = false\n", &[("PUNCHDECK_TITLE", "true")], &[]).unwrap();
    assert_eq!((r.config.mouse, r.config.title), (false, true));
    let r = with_file("mouse = true", &[], &[(Key::Mouse, "false")]).unwrap();
    assert_eq!((r.config.mouse, r.origin(Key::Mouse)), (false, Origin::Flag("--no-mouse")));
    let r = with_file("", &[("PUNCHDECK_TITLE", "0"), ("PUNCHDECK_MASK", "1")], &[]).unwrap();
    assert_eq!((r.config.title, r.config.mask), (false, true));
    assert_eq!(
        errors("mouse = \"on\"", &[]),
        ["mouse = \"on\" (config.toml:1): must be true, false, 1 or 0"]
    );
}

#[test]
fn flag_goes_before_environment_before_file_before_default() {
    let file = "name = \"file\"\nnetwork = \"file\"\nbind = \"127.0.0.1:5000\"\n";
    let env = [("PUNCHDECK_NAME", "env"), ("PUNCHDECK_NETWORK", "env"), ("HOME", "/root")];
    let r = with_file(file, &env, &[(Key::Name, "flag")]).unwrap();
    assert_eq!((r.config.name.as_str(), r.origin(Key::Name)), ("flag", Origin::Flag("--name")));
    assert_eq!(
        (r.config.network.as_str(), r.origin(Key::Network)),
        ("env", Origin::Env("PUNCHDECK_NETWORK"))
    );
    assert!(matches!(r.origin(Key::Bind), Origin::File { line: 3, .. }));
    assert_eq!(r.config.bind.port(), 5000);
    assert_eq!(r.origin(Key::Punch), Origin::Default);
}

#[test]
fn an_unknown_key_names_the_nearest_one_with_its_line() {
    assert_eq!(
        errors("# a comment\nboostrap = []\n", &[]),
        ["config.toml:2: unknown key \"boostrap\", the nearest is \"bootstrap\""]
    );
    assert_eq!(
        errors("network_secret = \"00\"", &[]),
        ["config.toml:1: unknown key \"network_secret\", the nearest is \"network_secret_file\""]
    );
    assert_eq!(
        errors("[key]\nsync = \"F\"", &[]),
        ["config.toml:1: unknown key \"key\", the nearest is \"keys\""]
    );
    let far = errors("[zzzzzzzzzz]\nx = 1", &[]);
    assert!(far[0].contains("unknown key \"zzzzzzzzzz\", the nearest is \""), "{far:?}");
    assert!(
        far[0].contains("; known are data_dir, name,") && far[0].ends_with(", keys, registry, metrics"),
        "{far:?}"
    );
}

#[test]
fn what_became_of_a_key_that_is_gone_is_said_with_its_place() {
    let became = "relay_egress is gone since 0.2: a node relays for linked peers of its own network only, \
                  and never to addresses of its host";
    assert_eq!(
        errors("name = \"a\"\nrelay_egress = \"require-closed\"\n", &[]),
        [format!("config.toml:2: {became}; remove the line")]
    );
    assert_eq!(
        errors("", &[("PUNCHDECK_RELAY_EGRESS", "warn")]),
        [format!("environment PUNCHDECK_RELAY_EGRESS: {became}; unset it")]
    );
}

#[test]
fn a_section_that_has_a_value_of_its_own_is_told_to_be_a_table() {
    assert_eq!(
        errors("keys = 3\nregistry = \"x\"\n", &[]),
        [
            "keys = 3 (config.toml:1): must be a table: the line [keys], and its keys below",
            "registry = \"x\" (config.toml:2): must be a table: the line [registry], and its keys below"
        ]
    );
}

#[test]
fn probe_ports_are_a_word_or_two_ports_other_than_the_nodes_own() {
    let ports = |text: &str| with_file(text, &[], &[]).unwrap().config.probe_ports;
    assert_eq!(ports(""), ProbePorts::Auto);
    assert_eq!(ports("probe_ports = \"off\""), ProbePorts::Off);
    assert_eq!(ports("probe_ports = [9100,\n  65535,\n]"), ProbePorts::Exactly([9100, 65_535]));
    let r = with_file("probe_ports = \"off\"", &[("PUNCHDECK_PROBE_PORTS", "9100, 9101")], &[]).unwrap();
    assert_eq!(r.config.probe_ports, ProbePorts::Exactly([9100, 9101]));
    assert!(r.show().contains("probe_ports = [9100, 9101]"), "{}", r.show());
    let r = with_file("", &[], &[(Key::ProbePorts, "auto")]).unwrap();
    assert_eq!(r.origin(Key::ProbePorts), Origin::Flag("--probe-ports"));

    let rule = "must be auto, off, or two different ports from 1024 to 65535 that are not the one in bind, \
                such as [9001, 9002]";
    for (text, why) in [
        ("\"on\"", ""),
        ("true", ""),
        ("[9001]", ""),
        ("[9001, 9002, 9003]", ""),
        ("[9001, 65536]", ""),
        ("[9001, 9001]", "; these are the same"),
        ("[1023, 9001]", "; other nodes drop addresses with lower ports"),
        ("[9001, 9000]", "; bind is [::]:9000"),
    ] {
        let said = errors(&format!("probe_ports = {text}"), &[]);
        assert_eq!(said, [format!("probe_ports = {text} (config.toml:1): {rule}{why}")]);
    }
}

#[test]
fn a_misspelt_variable_is_refused_before_it_opens_a_closed_fleet() {
    assert_eq!(
        errors("", &[("PUNCHDECK_NETWORK_SECRT", "00")]),
        ["unknown environment variable PUNCHDECK_NETWORK_SECRT, the nearest is \"PUNCHDECK_NETWORK_SECRET\""]
    );
}

#[test]
fn a_value_out_of_range_names_key_value_bounds_and_origin() {
    assert_eq!(
        errors("\ndirect_window = \"9s\"", &[]),
        [
            "direct_window = \"9s\" (config.toml:2): must be a time from 2s to 5s, such as \"2s\" or \"2500ms\""
        ]
    );
    assert_eq!(
        errors("", &[("PUNCHDECK_PUNCH", "maybe")]),
        ["punch = \"maybe\" (environment PUNCHDECK_PUNCH): must be any, known or never"]
    );
}

#[test]
fn every_mistake_is_reported_and_the_first_one_counts_the_rest() {
    let text = "bind = \"[::]:80\"\nrelay_after = 3\nbootstrap = \"198.18.0.1:9000\"\n";
    let all = errors(text, &[("PUNCHDECK_ASCII", "")]);
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all[0].ends_with("other nodes drop addresses with lower ports"), "{all:?}");
    assert!(all[1].starts_with("relay_after = 3 (config.toml:2)"), "{all:?}");
    assert!(all[2].contains("as a list such as"), "{all:?}");
    let summary = with_file(text, &[], &[]).unwrap_err().to_string();
    assert!(summary.ends_with("(and 2 more: punchdeck config check lists them)"), "{summary}");
}

#[test]
fn broken_toml_names_the_line() {
    let all = errors("name = \"a\"\nbind = [\n", &[]);
    assert!(all[0].starts_with("config.toml:") && all[0].contains("no valid TOML"), "{all:?}");
    assert_eq!(all[0].lines().count(), 1);
}

#[test]
fn a_file_that_was_asked_for_must_be_there_and_the_platforms_need_not() {
    let missing = Path::new("/no/such/config.toml");
    let error = resolve(&sources(Some(missing), &[], &[])).unwrap_err().to_string();
    assert!(error.contains("/no/such/config.toml") && error.contains("cannot be read"), "{error}");
    let mut platform = sources(None, &[], &[]);
    platform.host.config_file = Some(missing.to_owned());
    assert_eq!(resolve(&platform).unwrap().file, None);
}

#[test]
fn without_a_home_a_data_directory_must_be_named() {
    let mut s = sources(None, &[], &[]);
    s.host.data_dir = None;
    assert_eq!(
        resolve(&s).unwrap_err().to_string(),
        "no home directory is known (HOME must be an absolute path): set data_dir"
    );
    s.flags = vec![(Key::DataDir, Raw::Text("here".into()))];
    assert_eq!(resolve(&s).unwrap().config.data_dir, Path::new("here"));
}

#[test]
fn a_relative_path_in_the_file_starts_at_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, "data_dir = \"data\"").unwrap();
    let r = resolve(&sources(Some(&path), &[], &[])).unwrap();
    assert_eq!(r.config.data_dir, dir.path().join("data"));
}

#[test]
fn the_bounds_of_every_value_hold() {
    assert!(validate_direct_window("2s").is_ok() && validate_direct_window("5s").is_ok());
    for bad in ["1999ms", "5001ms", "2", "", "-3s", "two"] {
        assert!(validate_direct_window(bad).is_err(), "{bad}");
    }
    assert!(validate_relay_after("0s").is_ok() && validate_relay_after("30s").is_ok());
    assert!(validate_relay_after("30001ms").is_err());
    assert!(validate_name(&"x".repeat(64)).is_ok() && validate_name(&"x".repeat(65)).is_err());
    for bad in ["", "a\nb", "\x1b[31m", " padded", "a\u{202e}b"] {
        assert!(validate_name(bad).is_err(), "{bad:?}");
    }
    assert!(validate_network("a.b_c-9").is_ok() && validate_network(&"x".repeat(64)).is_ok());
    for bad in ["", "Upper", "a b", "ü", &"x".repeat(65)] {
        assert!(validate_network(bad).is_err(), "{bad:?}");
    }
    for good in ["[::]:0", "0.0.0.0:1024", "127.0.0.1:65535", "[::ffff:127.0.0.1]:9000"] {
        assert!(validate_bind(good).is_ok(), "{good}");
    }
    for bad in ["", "localhost:9000", "0.0.0.0", "0.0.0.0:1023", "224.0.0.1:9000", "[ff02::1]:9000"] {
        assert!(validate_bind(bad).is_err(), "{bad}");
    }
    for bad in ["198.18.0.1:0", "0.0.0.0:9000", "[::]:9000", "255.255.255.255:9000", "host:9000", ""] {
        assert!(validate_bootstrap([bad]).is_err(), "{bad}");
    }
    assert_eq!(validate_bootstrap(["198.18.0.1:9000", "[::ffff:198.18.0.1]:9000"]).unwrap().len(), 1);
    let many: Vec<String> = (1..=65).map(|n| format!("198.18.0.{n}:9000")).collect();
    assert!(validate_bootstrap(many.iter().map(String::as_str)).is_err());
    assert!(validate_bootstrap(many[1..].iter().map(String::as_str)).is_ok());
    assert!(validate_path("a/b").is_ok());
    for bad in ["", "~", "~/data", "a\0b"] {
        assert!(validate_path(bad).is_err(), "{bad:?}");
    }
    for good in ["info", "off", "info,punchdeck=debug", "WARN,ant_quic::silent_drop=trace"] {
        assert!(validate_log_filter(good).is_ok(), "{good}");
    }
    for bad in ["", "inof", "punchdeck=loud", "info,,", "info,punchdeck"] {
        assert!(validate_log_filter(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn show_is_valid_toml_that_means_the_same_and_names_every_origin() {
    let file = "bootstrap = [\"198.18.0.1:9000\"]\n";
    let r =
        with_file(file, &[("PUNCHDECK_RELAY_AFTER", "1500ms")], &[(Key::Name, "a \"quoted\" name")]).unwrap();
    let shown = r.show();
    for key in Key::ALL {
        assert!(shown.contains(&format!("{} ", key.name())), "{shown}");
    }
    for origin in ["# flag --name", "# environment PUNCHDECK_RELAY_AFTER", "config.toml:1", "# default\n"] {
        assert!(shown.contains(origin), "{origin} in {shown}");
    }
    assert_eq!(with_file(&shown, &[], &[]).unwrap().config, r.config);
}

#[test]
fn the_secret_is_shown_as_set_and_never_as_itself() {
    let digits = "0123456789abcdef".repeat(4);
    let r = with_file("", &[(SECRET_VARIABLE, &digits)], &[]).unwrap();
    assert!(r.show().contains("the network secret is set (environment PUNCHDECK_NETWORK_SECRET)"));
    assert!(!r.show().contains("0123") && !format!("{r:?}").contains("0123"));
    let bad = errors("", &[(SECRET_VARIABLE, "0123xyz")]);
    assert_eq!(
        bad,
        ["the network secret (environment PUNCHDECK_NETWORK_SECRET): it must be 32 bytes as 64 hex digits"]
    );
}

#[test]
fn the_secrets_variable_overrules_a_file_in_the_configuration_but_not_another_variable() {
    let digits = "0123456789abcdef".repeat(4);
    let file = "network_secret_file = \"missing\"";
    assert!(with_file(file, &[(SECRET_VARIABLE, &digits)], &[]).is_ok());
    let alone = errors(file, &[]);
    assert!(alone[0].starts_with("the network secret (config.toml:1): "), "{alone:?}");
    assert!(alone[0].contains("/missing: "), "{alone:?}");
    let both = errors("", &[(SECRET_VARIABLE, &digits), ("PUNCHDECK_NETWORK_SECRET_FILE", "x")]);
    assert!(both[0].contains("set one of the two"), "{both:?}");
}

#[test]
fn lists_in_the_environment_have_commas_or_spaces() {
    let r = with_file("", &[("PUNCHDECK_BOOTSTRAP", "198.18.0.1:9000, 198.18.0.2:9000")], &[]).unwrap();
    assert_eq!(r.config.bootstrap.len(), 2);
    let none = with_file("bootstrap = [\"198.18.0.1:9000\"]", &[("PUNCHDECK_BOOTSTRAP", "")], &[]).unwrap();
    assert!(none.config.bootstrap.is_empty());
}

#[test]
fn a_configured_bootstrap_list_replaces_that_of_a_named_network() {
    let keys = || crate::node::keys::KeyBytes { public: vec![], secret: Vec::new().into() };
    let named = with_file("network = \"saorsa\"", &[], &[]).unwrap();
    assert_eq!(named.node_options(keys()).bootstrap, bootstrap_of("saorsa"));
    let own = with_file("network = \"saorsa\"\nbootstrap = [\"198.18.0.1:9000\"]", &[], &[]).unwrap();
    assert_eq!(own.node_options(keys()).bootstrap, own.config.bootstrap);
    assert!(with_file("", &[], &[]).unwrap().node_options(keys()).bootstrap.is_empty());
}

#[test]
fn a_reload_names_every_difference_and_takes_on_only_what_a_running_node_can() {
    let digits = "0123456789abcdef".repeat(4);
    let flags = [(Key::Name, "from-flag")];
    let mut holds = with_file("name = \"a\"\nnetwork = \"saorsa\"\n", &[], &flags).unwrap();
    assert!(!holds.settings().bootstrap.is_empty(), "a named network brings its list");
    let text = "name = \"b\"\nnetwork = \"saorsa\"\npunch = \"never\"\nbind = \"[::]:9001\"\n\
                bootstrap = [\"198.18.0.1:9000\"]\ndirect_window = \"3s\"\nrelay_after = \"0s\"\n\
                log_filter = \"debug\"\nsocket = \"/run/x.sock\"\n";
    let newer = with_file(text, &[(SECRET_VARIABLE, &digits)], &flags).unwrap();
    let changes = holds.changes(&newer);
    let said: Vec<String> =
        changes.iter().map(|c| format!("{} {} {} {}", c.name, c.from, c.to, c.live)).collect();
    assert_eq!(
        said,
        [
            "bind \"[::]:9000\" \"[::]:9001\" false",
            "bootstrap [] [\"198.18.0.1:9000\"] true",
            "direct_window \"2s\" \"3s\" true",
            "relay_after \"1s\" \"0s\" true",
            "punch \"any\" \"never\" true",
            "socket unset \"/run/x.sock\" false",
            "log_filter \"info\" \"debug\" true",
            "the network secret unset set false",
        ],
        "the name is the flag's, whatever the file says"
    );
    holds.take_on(&newer);
    let left: Vec<&str> = holds.changes(&newer).iter().map(|c| c.name).collect();
    assert_eq!(left, ["bind", "socket", "the network secret"], "they are named until the restart");
    assert_eq!(holds.settings(), newer.settings());
    assert!(changes.iter().all(|c| !format!("{c:?}").contains(&digits)));

    let with = |name: &str, value: &str| with_file("", &[(name, value)], &[]).unwrap();
    for (variable, [one, other], name) in [
        (SECRET_VARIABLE, [digits.clone(), "f".repeat(64)], "the network secret"),
        ("PUNCHDECK_REGISTRY_TOKEN", ["a".repeat(16), "b".repeat(16)], "the registry's token"),
    ] {
        let (none, one, other) =
            (with_file("", &[], &[]).unwrap(), with(variable, &one), with(variable, &other));
        let said = |old: &Resolved, new: &Resolved| match &old.changes(new)[..] {
            [] => String::new(),
            [change] => format!("{}: {} to {}", change.name, change.from, change.to),
            more => panic!("{more:?}"),
        };
        assert_eq!(said(&one, &one), "");
        assert_eq!(said(&one, &other), format!("{name}: set to another one"));
        assert_eq!(said(&one, &none), format!("{name}: set to unset"));
    }
}

#[test]
fn the_registry_is_a_section_whose_keys_are_checked_like_all_others() {
    let r = with_file("[registry]\nurl = \"http://127.0.0.1:9080/fleet\"\n", &[], &[]).unwrap();
    assert_eq!(r.config.registry_url.as_ref().unwrap().to_string(), "http://127.0.0.1:9080/fleet");
    assert!(matches!(r.origin(Key::RegistryUrl), Origin::File { line: 2, .. }));
    assert!(r.show().contains("registry.url = \"http://127.0.0.1:9080/fleet\""), "{}", r.show());
    assert_eq!(
        errors("[registry]\nulr = \"x\"\n", &[]),
        ["config.toml:2: unknown key \"registry.ulr\", the nearest is \"registry.url\""]
    );
    for wrong in ["127.0.0.1:9080", "ftp://x", "https://user:pw@x", "https://x?a=b"] {
        let why = errors("", &[("PUNCHDECK_REGISTRY_URL", wrong)]);
        assert!(why[0].starts_with("registry.url = "), "{why:?}");
    }
}

#[test]
fn a_registry_s_token_goes_to_nobody_who_could_read_it_on_the_way() {
    let token = ("PUNCHDECK_REGISTRY_TOKEN", "0123456789abcdef");
    for fine in
        ["https://registry.example.org", "http://127.0.0.1:9080", "http://[::1]:9080", "http://localhost"]
    {
        let r = with_file("", &[token, ("PUNCHDECK_REGISTRY_URL", fine)], &[]).unwrap();
        assert!(r.registry_token.is_some(), "{fine}");
        assert!(!r.show().contains("0123"), "{}", r.show());
    }
    for exposed in ["http://registry.example.org", "http://198.18.0.1:9080", "http://127.0.0.1.example.org"] {
        let why = errors("", &[token, ("PUNCHDECK_REGISTRY_URL", exposed)]);
        assert!(why[0].contains("use https") && !why[0].contains("0123"), "{why:?}");
        assert!(
            with_file("", &[("PUNCHDECK_REGISTRY_URL", exposed)], &[]).is_ok(),
            "without one it is no secret"
        );
    }
    let why = errors("", &[("PUNCHDECK_REGISTRY_TOKEN", "short"), ("PUNCHDECK_REGISTRY_URL", "https://x")]);
    assert!(why[0].contains("16 to 256") && !why[0].contains("short"), "{why:?}");
}

#[test]
fn metrics_beyond_this_host_need_a_token() {
    for fine in ["127.0.0.1:9464", "[::1]:9464"] {
        let r = with_file(&format!("[metrics]\nlisten = \"{fine}\"\n"), &[], &[]).unwrap();
        assert_eq!(r.config.metrics.listen, Some(fine.parse().unwrap()));
    }
    for open in ["0.0.0.0:9464", "198.18.0.1:9464", "[::]:9464"] {
        let why = errors(&format!("[metrics]\nlisten = \"{open}\"\n"), &[]);
        assert!(why[0].contains("config.toml:2") && why[0].contains("metrics.token_file"), "{why:?}");
    }
    let why = errors("[metrics]\nlisten = \"9464\"\n", &[]);
    assert!(why[0].starts_with("metrics.listen = "), "{why:?}");
}
