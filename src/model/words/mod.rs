//! The words for what the core tells in types: made here and nowhere else, for the
//! console, `ctl`, logs and reports alike.

mod evidence;
mod known;
mod nat;
mod trace;
mod verdict;

use crate::model::{PeerId, Stamp};

/// An age in the unit that suits it.
fn ago(at: Stamp, now: Stamp) -> String {
    format!("{} ago", for_so_long(at, now))
}

fn for_so_long(since: Stamp, now: Stamp) -> String {
    match since.age_at(now).as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

/// Names, the first few of them.
fn names(peers: &[PeerId]) -> String {
    let mut names: Vec<String> = peers.iter().take(3).map(PeerId::short).collect();
    if peers.len() > names.len() {
        names.push(format!("{} more", peers.len() - names.len()));
    }
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "nobody".to_owned(),
    }
}

/// Values one after the other.
fn joined<T: ToString>(values: &[T], between: &str) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}
