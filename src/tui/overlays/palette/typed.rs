//! Orders that are typed out, because they are about something that no list has: an
//! address, a file, a drill with its parameters.

use std::time::Duration;

use super::{Hit, What};
use crate::model::{Command, dialled_addr};
use crate::tui::bindings::Word;
use crate::tui::lab::DrillAsk;

/// The longest that a drill may be asked to run.
const DRILL_FOR_MAX: Duration = Duration::from_secs(24 * 3600);

/// An order that can be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
    /// For the node.
    Send(Command),
    /// What it dials when nobody is known.
    ShowBootstrap,
    /// Something that is shown, into a file.
    Export(Exported, String),
    /// For the lab.
    Drill(DrillAsk),
}

/// What is written into files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exported {
    /// What happened.
    Events,
    /// The cache.
    Peers,
    /// The explanation of a peer.
    Why,
    /// Attempts over time.
    Kpi,
}

impl Exported {
    const ALL: [Self; 4] = [Self::Events, Self::Peers, Self::Why, Self::Kpi];

    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Peers => "peers",
            Self::Why => "why",
            Self::Kpi => "kpi",
        }
    }
}

impl Order {
    /// What it does, in a sentence.
    pub(super) fn about(&self) -> String {
        match self {
            Self::Send(Command::Dial { peer: Some(_), .. }) => "dial it there, and nobody else".to_owned(),
            Self::Send(Command::Dial { .. }) => "dial that address, and say who answers".to_owned(),
            Self::Send(Command::AddBootstrap { .. }) => {
                "dial it too when nobody is known, until the node stops".to_owned()
            }
            Self::Send(_) => "do not dial it for that any more, until the node stops".to_owned(),
            Self::ShowBootstrap => "show what is dialled when nobody is known".to_owned(),
            Self::Export(what, file) => format!("write the {} to {file}", what.name()),
            Self::Drill(ask) => format!("run {} on a fleet of its own", ask.name),
        }
    }
}

/// What is typed, if it begins as an order does.
pub(super) fn read(text: &str) -> Option<Hit> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).map_or((text, ""), |(w, rest)| (w, rest.trim()));
    let (word, order) = match word {
        // A peer's name is no order, but an action on that peer.
        "connect" if rest.contains(':') => (Word::Connect, Command::dial(rest).map(Order::Send)),
        "bootstrap" if !rest.is_empty() => (Word::Bootstrap, bootstrap(rest)),
        "export" if !rest.is_empty() => (Word::Export, export(rest)),
        "drill" if !rest.is_empty() => (Word::Drill, drill(rest).map(Order::Drill)),
        _ => (Word::Connect, Ok(Order::Send(Command::dial(text).ok()?))),
    };
    let what = What::Order(word, Box::new(order));
    // Nothing else is meant by it.
    Some(Hit { what, title: text.to_owned(), marks: Vec::new(), score: i32::MAX })
}

fn bootstrap(rest: &str) -> Result<Order, String> {
    match rest.split_once(char::is_whitespace) {
        Some(("add", addr)) => Ok(Order::Send(Command::AddBootstrap { addr: dialled_addr(addr)? })),
        Some(("remove", addr)) => Ok(Order::Send(Command::RemoveBootstrap { addr: dialled_addr(addr)? })),
        None if rest == "list" => Ok(Order::ShowBootstrap),
        _ => Err("bootstrap add ADDR, bootstrap remove ADDR or bootstrap list".to_owned()),
    }
}

fn export(rest: &str) -> Result<Order, String> {
    let usage = || "export events|peers|why|kpi FILE; a name that ends in .csv makes a table".to_owned();
    let (what, file) = rest.split_once(char::is_whitespace).ok_or_else(usage)?;
    let what = Exported::ALL.into_iter().find(|known| known.name() == what).ok_or_else(usage)?;
    Ok(Order::Export(what, file.trim().to_owned()))
}

/// `NAME [for=10m] [nodes=16] [topology=NAME] [repeat=3]`
fn drill(rest: &str) -> Result<DrillAsk, String> {
    let mut words = rest.split_whitespace();
    let mut ask = DrillAsk::plain(words.next().unwrap_or_default());
    for word in words {
        let usage = || format!("{word:?}: only for=10m, nodes=16, topology=NAME and repeat=3 may follow");
        let (key, value) = word.split_once('=').ok_or_else(usage)?;
        match key {
            "for" => ask.time = Some(time(value)?),
            "nodes" => ask.nodes = Some(number(key, value, 64, 2)?),
            "topology" => ask.topology = Some(value.to_owned()),
            "repeat" => ask.repeat = number(key, value, 100, 1)?,
            _ => return Err(usage()),
        }
    }
    Ok(ask)
}

fn time(text: &str) -> Result<Duration, String> {
    let read = humantime_serde::re::humantime::parse_duration(text);
    let time = read.map_err(|_| format!("for={text}: a time is needed, such as 60s or 10m"))?;
    let fits = !time.is_zero() && time <= DRILL_FOR_MAX;
    if fits { Ok(time) } else { Err(format!("for={text}: it must be more than 0 and at most 24h")) }
}

fn number(key: &str, text: &str, most: usize, least: usize) -> Result<usize, String> {
    let read = text.parse().ok().filter(|n| (least..=most).contains(n));
    read.ok_or_else(|| format!("{key}={text}: it must be {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Option<Result<Order, String>> {
        match read(text)?.what {
            What::Order(_, order) => Some(*order),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_is_dialled_with_and_without_the_word_and_a_name_is_no_order() {
        let addr = "198.18.0.1:9000".parse().unwrap();
        let dial = Some(Ok(Order::Send(Command::Dial { addr, peer: None })));
        assert_eq!(order("connect 198.18.0.1:9000"), dial);
        assert_eq!(order(" 198.18.0.1:9000 "), dial);
        let id = "ab".repeat(32);
        let Some(Ok(Order::Send(Command::Dial { peer: Some(peer), .. }))) =
            order(&format!("{id}@198.18.0.1:9000"))
        else {
            panic!()
        };
        assert_eq!(peer.to_string(), id);
        assert!(order("connect home").is_none() && order("sync").is_none());
        assert!(order("connect 198.18.0.1:").unwrap().is_err());
        assert!(order("connect 0.0.0.0:9000").unwrap().is_err());
    }

    #[test]
    fn a_drill_has_its_parameters_and_says_which_it_does_not_know() {
        let ask = order("drill soak for=10m nodes=24 topology=wide repeat=2").unwrap().unwrap();
        let time = Some(Duration::from_secs(600));
        let topology = Some("wide".to_owned());
        let wanted = DrillAsk { name: "soak".to_owned(), time, nodes: Some(24), topology, repeat: 2 };
        assert_eq!(ask, Order::Drill(wanted));
        for wrong in ["drill soak nodes=65", "drill soak for=never", "drill soak size=3", "drill soak 3"] {
            assert!(order(wrong).unwrap().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_exported_and_where_to_is_read_and_a_file_may_have_spaces() {
        let wanted = Order::Export(Exported::Peers, "my peers.csv".to_owned());
        assert_eq!(order("export peers my peers.csv"), Some(Ok(wanted)));
        assert!(order("export links x").unwrap().is_err());
        assert_eq!(order("bootstrap list"), Some(Ok(Order::ShowBootstrap)));
        assert!(order("bootstrap add here").unwrap().is_err());
    }
}
