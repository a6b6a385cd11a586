//! A fleet as somebody sees it who asks each of its nodes: who answers, what each says of
//! its links, and where two ends say something different of the same link.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Brief, Path, PeerId, Stamp, Trouble, printable};

/// Two ends that measure the same wire find times that differ by less than this factor...
const RTT_FACTOR: f64 = 2.0;
/// ... or by less than so many milliseconds: heartbeats of busy hosts vary by that.
const RTT_MARGIN_MS: f64 = 20.0;

/// A node of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// What the fleet's operator calls it.
    pub name: String,
    /// Whether it answers, and what.
    pub standing: Standing,
}

/// Whether a node answers, and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// It was asked and has not answered yet.
    Asked,
    /// It answers.
    Here {
        /// What it said last.
        brief: Arc<Brief>,
        /// When.
        at: Stamp,
    },
    /// It does not answer, and is asked again.
    Silent {
        /// Why not.
        why: Silence,
        /// Since when.
        since: Stamp,
        /// When it is asked again.
        again: Stamp,
        /// What it said before, if it ever said anything.
        last: Option<Arc<Brief>>,
    },
    /// Its program is too old to tell anything in brief.
    Older {
        /// The program's version.
        program: String,
    },
}

/// Why a node does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// What kind of silence it is.
    pub kind: SilenceKind,
    /// What the system or the way there said, if it said anything.
    pub detail: Option<String>,
}

/// How a node does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SilenceKind {
    /// Nobody listens there.
    NobodyThere,
    /// The connection was closed.
    HungUp,
    /// The connection is taken, and nothing is said.
    Mute,
    /// It does not want to.
    Refuses,
    /// What answers is no node.
    Strange,
    /// It was ended on purpose.
    Ended,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SilenceKind::NobodyThere => "nobody answers there",
            SilenceKind::HungUp => "the connection was closed",
            SilenceKind::Mute => "it takes the connection and says nothing",
            SilenceKind::Refuses => "it refuses",
            SilenceKind::Strange => "what answers there is no node",
            SilenceKind::Ended => "it does not run",
        })?;
        match &self.detail {
            Some(detail) => write!(f, ": {}", printable(detail)),
            None => Ok(()),
        }
    }
}

impl Member {
    /// What it says now.
    pub fn brief(&self) -> Option<&Arc<Brief>> {
        match &self.standing {
            Standing::Here { brief, .. } => Some(brief),
            _ => None,
        }
    }

    /// What it says now, or said last.
    pub fn last_brief(&self) -> Option<&Arc<Brief>> {
        match &self.standing {
            Standing::Here { brief, .. } | Standing::Silent { last: Some(brief), .. } => Some(brief),
            _ => None,
        }
    }

    /// Who it is, once it has said so.
    pub fn peer_id(&self) -> Option<PeerId> {
        self.last_brief().map(|brief| brief.peer_id)
    }

    /// How bad it is with it: the worst first, however many things are wrong.
    pub fn rank(&self) -> Rank {
        match &self.standing {
            Standing::Silent { .. } => Rank::Silent,
            Standing::Here { brief, .. } => match brief.wrong.first() {
                Some(Trouble::CacheSetAside | Trouble::NoProbePorts | Trouble::Other) => Rank::Slight,
                Some(Trouble::Unreachable { .. }) => Rank::Others,
                Some(_) => Rank::Troubled,
                None => Rank::Well,
            },
            Standing::Older { .. } => Rank::Older,
            Standing::Asked => Rank::Asked,
        }
    }

    /// What it says of its link to another.
    pub fn sight_of(&self, other: &Self) -> Sight {
        let (Some(brief), Some(id)) = (self.brief(), other.peer_id()) else { return Sight::Unknown };
        match brief.link(id) {
            _ if brief.peer_id == id => Sight::Itself,
            Some(link) => Sight::Link { path: link.path, rtt_ms: link.rtt_ms },
            None => Sight::NoLink,
        }
    }
}

/// How bad it is with a node, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It does not answer.
    Silent,
    /// Something is wrong with it.
    Troubled,
    /// It misses others.
    Others,
    /// It has less than it could have.
    Slight,
    /// It is too old to tell.
    Older,
    /// It has not answered yet.
    Asked,
    /// Nothing is wrong.
    Well,
}

/// What a node says of its link to another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sight {
    /// They are the same node.
    Itself,
    /// Nobody can tell: it does not answer, or the other never said who it is.
    Unknown,
    /// It shows none.
    NoLink,
    /// It shows one.
    Link {
        /// How its bytes travel.
        path: Path,
        /// Round trip in milliseconds.
        rtt_ms: Option<f64>,
    },
}

/// Two ends of a link that say something different of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// The names of the two.
    pub ends: [String; 2],
    /// About what.
    pub about: About,
}

/// What two ends disagree about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// Only the first shows a link.
    OneSided {
        /// As what.
        path: Path,
    },
    /// The path.
    Paths {
        /// What each says.
        said: [Path; 2],
    },
    /// The round trip.
    RoundTrips {
        /// What each measures, in milliseconds.
        said: [f64; 2],
    },
}

impl Disagreement {
    /// Whether another one is the same, though its figures differ.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_one = std::mem::discriminant(&self.about) == std::mem::discriminant(&other.about);
        self.ends == other.ends && is_one
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.ends;
        match self.about {
            About::OneSided { path } => {
                write!(f, "{a} shows a {path} link to {b}, and {b} shows none to {a}")
            }
            About::Paths { said: [of_a, of_b] } => {
                write!(f, "{a} calls its link to {b} {of_a}, and {b} calls it {of_b}")
            }
            About::RoundTrips { said: [of_a, of_b] } => {
                write!(f, "{a} measures {of_a:.0} ms to {b}, and {b} measures {of_b:.0} ms to {a}")
            }
        }
    }
}

/// What two nodes disagree about, if they do.
pub fn disagreement(a: &Member, b: &Member) -> Option<Disagreement> {
    let found = |one: &Member, other: &Member, about| {
        Some(Disagreement { ends: [one.name.clone(), other.name.clone()], about })
    };
    match (a.sight_of(b), b.sight_of(a)) {
        (Sight::Link { path, .. }, Sight::NoLink) => found(a, b, About::OneSided { path }),
        (Sight::NoLink, Sight::Link { path, .. }) => found(b, a, About::OneSided { path }),
        (Sight::Link { path: one, .. }, Sight::Link { path: other, .. }) if one != other => {
            found(a, b, About::Paths { said: [one, other] })
        }
        (Sight::Link { rtt_ms: Some(one), .. }, Sight::Link { rtt_ms: Some(other), .. })
            if one.max(other) - one.min(other) > RTT_MARGIN_MS
                && one.max(other) > RTT_FACTOR * one.min(other) =>
        {
            found(a, b, About::RoundTrips { said: [one, other] })
        }
        _ => None,
    }
}

/// Everything that two nodes of a fleet disagree about.
pub fn disagreements(members: &[Member]) -> Vec<Disagreement> {
    let pairs = members.iter().enumerate().flat_map(|(n, a)| members[n + 1..].iter().map(move |b| (a, b)));
    pairs.filter_map(|(a, b)| disagreement(a, b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BriefLink, NatType, PhaseKind};

    fn id(n: u8) -> PeerId {
        PeerId([n; 32])
    }

    fn member(n: u8, links: &[(u8, Path, f64)]) -> Member {
        let link = |(to, path, rtt): &(u8, Path, f64)| BriefLink {
            peer: id(*to).into(),
            path: *path,
            rtt_ms: Some(*rtt),
        };
        let brief = Brief {
            peer_id: id(n),
            name: format!("n{n}"),
            version: "1.0.0".to_owned(),
            network: "fleet".to_owned(),
            up_s: 60,
            phase: PhaseKind::Joined,
            nat: NatType::None,
            links: links.iter().map(link).collect(),
            foreign: 0,
            holds: Vec::new(),
            serves: 0,
            wrong: Vec::new(),
        };
        Member { name: format!("n{n}"), standing: Standing::Here { brief: Arc::new(brief), at: Stamp(0) } }
    }

    fn said(a: &Member, b: &Member) -> String {
        disagreement(a, b).map_or_else(|| "they agree".to_owned(), |d| d.to_string())
    }

    #[test]
    fn two_ends_that_say_different_things_of_their_link_are_a_finding_with_its_sentence() {
        let direct = |rtt| member(1, &[(2, Path::Direct, rtt)]);
        assert_eq!(said(&direct(30.0), &member(2, &[(1, Path::Direct, 45.0)])), "they agree");
        assert_eq!(said(&direct(1.0), &member(2, &[(1, Path::Direct, 9.0)])), "they agree", "both are short");
        assert_eq!(
            said(&direct(30.0), &member(2, &[(1, Path::Direct, 95.4)])),
            "n1 measures 30 ms to n2, and n2 measures 95 ms to n1"
        );
        assert_eq!(
            said(&direct(30.0), &member(2, &[(1, Path::Relayed, 30.0)])),
            "n1 calls its link to n2 direct, and n2 calls it relayed"
        );
        let none = member(2, &[]);
        let one_sided = "n1 shows a direct link to n2, and n2 shows none to n1";
        assert_eq!([said(&direct(30.0), &none), said(&none, &direct(30.0))], [one_sided; 2]);
    }

    #[test]
    fn who_does_not_answer_disagrees_with_nobody_and_comes_first() {
        let here = member(1, &[(2, Path::Direct, 30.0)]);
        let last = member(2, &[]).brief().cloned();
        let silent = Member {
            name: "n2".to_owned(),
            standing: Standing::Silent {
                why: Silence { kind: SilenceKind::NobodyThere, detail: Some("refused".to_owned()) },
                since: Stamp(0),
                again: Stamp(0),
                last,
            },
        };
        assert_eq!(disagreements(&[here.clone(), silent.clone()]), []);
        assert_eq!(silent.sight_of(&here), Sight::Unknown, "what it said is no longer known to be so");
        assert!(matches!(here.sight_of(&silent), Sight::Link { .. }));
        assert!(silent.rank() < here.rank());
    }
}
