//! What is reported adds up to what is shown.

use super::relays::{outcome, relayed};
use super::secs;
use crate::core::kpi::Tally;
use crate::model::{Command, Fact, Figures, NatType, Path, PeerId};

/// What a registry would count of what a node reports.
fn counted(facts: &[Fact]) -> Figures {
    let mut tally = Tally::default();
    for fact in facts {
        match fact {
            Fact::Attempt(a) => match a.path {
                Some(path) => tally.connected(path, a.elapsed_ms, 1),
                None => tally.unreachable(1, a.again),
            },
            Fact::Moved(m) => tally.moved(m.to, u64::from(m.attempt.is_some())),
            Fact::Failover(_) | Fact::Node(_) => {}
        }
    }
    tally.view()
}

#[test]
fn who_is_told_the_reports_counts_what_the_node_counts() {
    let mut net = relayed(3);
    net.command(3, Command::Failover { peer: None });
    net.run(secs(5));
    net.set_nat(3, NatType::PortRestricted);
    net.set_nat(4, NatType::PortRestricted);
    net.run(secs(60));
    let command = net.command(3, Command::Connect { peer: PeerId([77; 32]) });
    net.run(secs(60));
    assert!(outcome(&net, 3, command).is_some());
    let now = net.now;
    for node in &mut net.nodes {
        let shown = node.engine.snapshot(now).kpi;
        let over_time: u64 = shown.series[2].points.iter().map(|p| p.attempts).sum();
        assert_eq!(over_time, shown.figures.attempts);
        assert_eq!(counted(&node.reports), shown.figures);
    }
    let reports = &net.nodes[3].reports;
    let attempt = reports.iter().find_map(|f| match f {
        Fact::Attempt(a) if a.path == Some(Path::Relayed) => Some(a),
        _ => None,
    });
    let attempt = attempt.expect("an attempt that ended relayed");
    assert_eq!((attempt.own_nat, attempt.peer_nat), (NatType::Symmetric, NatType::Symmetric));
    let off =
        |f: &Fact| matches!(f, Fact::Moved(m) if m.attempt == Some(attempt.attempt) && m.to.is_straight());
    assert!(reports.iter().any(off), "and left its relay: {reports:?}");
    assert!(reports.iter().any(|f| matches!(f, Fact::Failover(_))), "{reports:?}");
}
