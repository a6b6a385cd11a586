use super::*;
use crate::tui::demo;

/// A mask that has met the demo's peers.
fn mask() -> Mask {
    let mut mask = Mask::with_key(&[7; 32]);
    mask.snapshot(&demo::busy());
    mask
}

#[test]
fn the_same_is_always_called_the_same_and_others_otherwise() {
    let mut m = mask();
    let (a, b) = (demo::id([1, 2, 3]), demo::id([1, 2, 4]));
    assert_eq!(m.id(a), m.id(a));
    assert_ne!(m.id(a), m.id(b));
    let masked = m.id(a);
    assert_eq!(m.real_id(masked), a);
    let ip = |text: &str| m.ip(text.parse().unwrap());
    assert_eq!(ip("198.51.100.7"), ip("::ffff:198.51.100.7"), "one address, however it is written");
    assert_ne!(ip("198.51.100.7"), ip("198.51.100.8"));
    assert!(
        ip("198.51.100.7").to_string().starts_with("24") || ip("198.51.100.7").to_string().starts_with("25")
    );
    assert!(ip("2a01:4f8::1").to_string().starts_with("2001:db8:"));
    assert_eq!(ip("127.0.0.1").to_string(), "127.0.0.1", "it identifies nobody");
    assert_eq!(m.port(9000), m.port(9000));
    assert_ne!(Mask::with_key(&[8; 32]).id(a), m.id(a), "another run has other pseudonyms");
}

#[test]
fn whoever_is_named_in_a_text_is_masked_and_the_rest_stays() {
    let mut m = mask();
    let nyc = demo::id([0x1b, 0x88, 0xf0]);
    let (short, whole) = (m.id(nyc).short(), m.id(nyc).to_string());
    let name = m.name(nyc, "vps-nyc");
    let addr = m.addr("198.18.0.103:46440".parse().unwrap());
    let ip = m.ip("198.18.0.103".parse().unwrap());
    let six = m.addr("[2a01:4f8::1]:9000".parse().unwrap());
    for (text, masked) in [
        ("via 1b88f0 vps-nyc", format!("via {short} {name}")),
        ("peer=1B88F0.", format!("peer={short}.")),
        (&nyc.to_string(), whole),
        ("target seen at 198.18.0.103:46440", format!("target seen at {addr}")),
        ("(198.18.0.103)", format!("({ip})")),
        ("198.18.0.103: refused", format!("{ip}: refused")),
        ("to [2a01:4f8::1]:9000.", format!("to {six}.")),
        ("VPS-NYC, vps-nyc's", format!("{name}, {name}'s")),
        ("vps-nyc2 is another", "vps-nyc2 is another".to_owned()),
        (
            "punchdeck::node::driver 14:02:08.114 took 2.00 s",
            "punchdeck::node::driver 14:02:08.114 took 2.00 s".to_owned(),
        ),
        (
            "912345 records in a decade, version 0.27.61",
            "912345 records in a decade, version 0.27.61".to_owned(),
        ),
        ("世界 \u{1b}[31m é", "世界 \u{1b}[31m é".to_owned()),
    ] {
        assert_eq!(m.text(text), masked, "{text}");
    }
    let stranger = m.text("told by d00d1e77");
    assert!(stranger.starts_with("told by ") && !stranger.contains("d00d1e"), "{stranger}");
}

#[test]
fn names_of_any_kind_are_found_and_none_makes_it_panic() {
    let mut m = mask();
    for (n, name) in
        ["my box", "é-世", "-", "", " ", "a", "🦀", "x.y.z", "\"quoted\"", "link"].iter().enumerate()
    {
        m.name(demo::id([9, 9, n as u8]), name);
    }
    let hidden = m.text("my box and é-世 and 🦀 and x.y.z and \"quoted\" said a");
    for name in ["my box", "é-世", "🦀", "x.y.z", "quoted"] {
        assert!(!hidden.contains(name), "{name}: {hidden}");
    }
    assert!(!m.text("MY BOX").contains("BOX"));
}

#[test]
fn rows_that_did_not_change_are_not_masked_again() {
    let mut m = Mask::new();
    let before = demo::large(1_000, 0);
    let first = m.snapshot(&before);
    let second = m.snapshot(&demo::next_round(&before, 1));
    let kept =
        second.peers.iter().filter(|row| first.peer(&row.peer_id).is_some_and(|old| Arc::ptr_eq(old, row)));
    assert_eq!(kept.count(), 900);
    assert!(second.peers.is_sorted_by_key(|row| row.peer_id), "peers are looked up by their pseudonyms");
}

#[test]
fn no_two_peers_have_the_same_pseudonymous_name_and_each_keeps_its_own() {
    let mut mask = Mask::with_key(&[7; 32]);
    let id = |n: u16| {
        let [a, b] = n.to_be_bytes();
        PeerId([
            a, b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
        ])
    };
    let named: Vec<String> = (0..3_000).map(|n| mask.name(id(n), &format!("host-{n}"))).collect();
    let different: std::collections::BTreeSet<&String> = named.iter().collect();
    assert_eq!(different.len(), named.len(), "so many ids have equal first digits");
    assert!((0..3_000).all(|n| mask.name(id(n), &format!("host-{n}")) == named[usize::from(n)]));
}

#[test]
fn a_peer_that_calls_itself_something_new_all_the_time_fills_no_memory() {
    let mut mask = Mask::with_key(&[7; 32]);
    for n in 0..5_000 {
        mask.name(PeerId([1; 32]), &format!("host {n}"));
    }
    let known: Vec<&String> = mask.names.values().flatten().map(|(name, _)| name).collect();
    assert_eq!(known.len(), NAMES_OF_ONE);
    assert!(known.iter().any(|name| *name == "host 4999"), "the last ones are known");
}

#[test]
fn of_a_crowd_that_comes_and_goes_only_who_is_there_is_remembered() {
    let mut mask = mask();
    let there = mask.rows.len();
    for n in 0..u32::try_from(MET_MAX).unwrap() + 10 {
        let mut id = [9; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        mask.name(PeerId(id), "guest");
    }
    assert!(mask.ids.len() <= MET_MAX && mask.owners.len() <= MET_MAX + there, "{}", mask.owners.len());
    let real = demo::busy().peers[0].peer_id;
    let pseudonym = mask.id(real);
    assert_eq!(mask.real_id(pseudonym), real, "who is there can still be meant");
}
