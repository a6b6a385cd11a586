//! The fleet as it is drawn: its nodes, the matrix, two nodes compared.

use super::*;
use crate::model::truth::NOTICED_WITHIN;

fn in_fleet(size: (u16, u16), view: FleetView) -> Shot {
    let mut shot = Shot::busy(size);
    shot.input(Input::Fleet(Arc::new(view)));
    // What differs for so long is a finding.
    shot.at += NOTICED_WITHIN;
    shot.input(Input::Snapshot(demo::busy()));
    shot
}

#[test]
fn the_fleet_by_size() {
    for (size, name) in [((140, 40), "140x40"), ((100, 30), "100x30"), ((80, 24), "80x24")] {
        let shot = |keys: &str| in_fleet(size, demo::fleet()).keys(keys).text();
        assert_snapshot!(format!("fleet_{name}"), shot("F"));
        assert_snapshot!(format!("fleet_matrix_{name}"), shot("F\tlll"));
    }
}

#[test]
fn two_nodes_compared_by_size() {
    for (size, name) in [(LARGE, "140x40"), (SMALL, "80x24")] {
        let mut shot = in_fleet(size, demo::fleet()).keys("F");
        let compared = Some(Arc::new(demo::compared()));
        shot.input(Input::Fleet(Arc::new(FleetView { compared, ..demo::fleet() })));
        assert_snapshot!(format!("fleet_compared_{name}"), shot.text());
    }
}

#[test]
fn a_fleet_that_does_not_fit_is_scrolled_to_the_chosen_node_and_column() {
    let text = in_fleet(SMALL, demo::large_fleet(64)).keys("FG").text();
    assert!(text.contains("▶ ● node-63"), "{text}");
    assert!(text.contains("of 64"), "{text}");
    let text = in_fleet(SMALL, demo::large_fleet(64)).keys(&format!("F\tG{}", "l".repeat(30))).text();
    assert!(text.contains("▶ ● node-63") && text.contains("node-30"), "{text}");
    assert!(text.contains("columns 26-31 of 64"), "{text}");
    assert!(text.contains("node-63 shows a direct link to node-30"), "{text}");
}

#[test]
fn who_is_silent_older_or_not_yet_heard_of_says_so_in_a_sentence() {
    let text = in_fleet(LARGE, demo::fleet()).keys("Fg").text();
    for says in [
        "no answer for 3m: the connection was closed: ssh: connect to host ber: timed out; tried again in 16s",
        "punchdeck 0.2.0 is older and tells nothing in brief: upgrade it",
        "it has not answered yet",
        "isolated: 3 rounds of dials failed",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
}
