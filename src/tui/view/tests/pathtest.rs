//! The test of the paths to a peer, as it is shown.

use super::*;
use crate::model::PathTest;

/// `T` pressed on the relayed peer, and what the node tells of it.
fn shot(size: (u16, u16), test: Option<PathTest>) -> Shot {
    let mut shot = Shot::busy(size).keys("jjjT");
    if let Some(test) = test {
        shot.input(Input::Snapshot(demo::with_test(test)));
    }
    shot
}

#[test]
fn a_test_while_it_runs_and_when_it_ended() {
    assert_snapshot!("pathtest_asked_80x24", shot(SMALL, None).text());
    assert_snapshot!("pathtest_running_80x24", shot(SMALL, Some(demo::path_test_running())).text());
    assert_snapshot!("pathtest_ended_80x24", shot(SMALL, Some(demo::path_test())).text());
    assert_snapshot!("pathtest_ended_140x40", shot(LARGE, Some(demo::path_test())).text());
    assert_snapshot!("pathtest_ended_40x10", shot((40, 10), Some(demo::path_test())).text());
}

#[test]
fn a_test_that_the_other_end_refuses_says_so() {
    let text = shot(SMALL, Some(demo::path_test_refused())).text();
    assert!(text.contains("it lets us test no path to it (its path_test setting)"), "{text}");
    assert_snapshot!("pathtest_refused_80x24", text);
}

#[test]
fn where_paths_do_not_fit_beside_each_other_they_stand_below() {
    let shot = shot((40, 60), Some(demo::path_test())).text();
    let at = |text: &str| shot.lines().position(|line| line.contains(text)).unwrap_or(usize::MAX);
    assert!(at("96 ms") < at("12 ms") && at("12 ms") < usize::MAX, "{shot}");
}

#[test]
fn in_ascii_a_test_needs_no_other_glyph() {
    let mut shot = Shot::with(demo::busy(), SMALL, None, GlyphChoice::Ascii).keys("jjjT");
    for (test, says) in [(demo::path_test_running(), "####"), (demo::path_test(), "> 1.53 Mbit/s")] {
        shot.input(Input::Snapshot(demo::with_test(test)));
        let text = shot.text_now();
        assert!(text.is_ascii() && text.contains(says), "{text}");
    }
}

#[test]
fn what_was_tested_has_columns_among_the_peers() {
    let shot = |size| Shot::of(demo::with_test(demo::path_test()), size).keys("1z").text();
    let wide = shot(LARGE);
    assert!(wide.contains("LOSS") && wide.contains("≥1.53M") && wide.contains("1.0%"), "{wide}");
    assert_snapshot!("peers_tested_140x40", wide);
    assert!(!shot((70, 24)).contains("LOSS"), "in few columns there is more to say");
}
