//! What a console remembers, as one file: the moments, what happened, the log,
//! and the lab. It can be reopened elsewhere, without a node.
//!
//! The file is text, one JSON object a line, each with one key that says what it
//! is: `snap` first, then `rows`, `moment`, `entry`, `log` and `lab`, and `end`
//! last, with a checksum of all before it. Of a moment only the sections stand
//! there that are others than in the moment before. A few dozen peers for ten
//! minutes take about a MiB, so nothing is compressed, and `grep` and `jq` work.

mod read;
mod write;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::mask::Mask;
use super::record::Record;
use crate::model::{Done, LogLine, PeerId, PeerRow, Sections, Snapshot, Stamp, Why, clean};
use crate::tui::entry::Entry;
use crate::tui::fmt;
use crate::tui::lab::LabView;

pub use read::BundleError;

/// The form of the file. Of the first one events and states had parts that no node
/// has any more.
pub(crate) const FORMAT: u32 = 3;
/// Most peers in a line.
const PAGE: usize = 1_000;
/// The longest line that is read: a page of rows with eight addresses each takes
/// half of it.
const LINE_MAX: u64 = 4 * 1024 * 1024;
/// The longest file that is read: the memory for moments holds a fourth of it.
const FILE_MAX: u64 = 256 * 1024 * 1024;

/// What a console remembers.
#[derive(Debug)]
pub struct Bundle {
    pub(crate) about: About,
    pub(crate) record: Record,
    pub(crate) entries: Vec<Entry>,
    pub(crate) lines: Vec<LogLine>,
    pub(crate) lab: Option<Arc<LabView>>,
    /// What is written instead of what is here, if that is to be hidden.
    pub(crate) mask: Option<Mask>,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The version of the program that wrote it.
    pub(crate) program: String,
    /// When.
    pub(crate) made: Stamp,
    /// Whether ids, addresses and names are pseudonyms.
    pub(crate) masked: bool,
    /// Whose console it was.
    pub(crate) peer_id: PeerId,
    /// What that node called itself.
    pub(crate) name: String,
    /// Its network.
    pub(crate) network: String,
    /// What is in it.
    pub(crate) holds: Holds,
}

impl Bundle {
    /// Every answer to why in it, the newest first.
    pub fn explained(&self) -> impl Iterator<Item = &Why> {
        self.entries.iter().rev().filter_map(|entry| match entry {
            Entry::Outcome { outcome, .. } => match &outcome.result {
                Ok(Done::Explained(why)) => Some(&**why),
                _ => None,
            },
            _ => None,
        })
    }

    /// Its last moment.
    pub fn last(&self) -> Option<Arc<Snapshot>> {
        self.record.at(self.record.last()?)
    }

    /// Whose console it was.
    pub fn peer_id(&self) -> PeerId {
        self.about.peer_id
    }

    /// What is in it, in words, for whoever has no terminal.
    pub fn summary(&self, masked: bool) -> String {
        let about = if masked { &self.about.masked(&mut Mask::new()) } else { &self.about };
        let date = |at: Stamp| {
            jiff::Timestamp::from_millisecond(at.0)
                .map_or_else(|_| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
        };
        let (first, last) =
            (self.record.first().unwrap_or(about.made), self.record.last().unwrap_or(about.made));
        let peers = self.record.at(last).map_or(0, |snapshot| snapshot.peers.len());
        let yes = |b: bool| if b { "yes" } else { "no" };
        format!(
            "node      {} {}, network {}\n\
             written   {} by punchdeck {}, format {}\n\
             masked    {}\n\
             moments   {} from {} on, over {}\n\
             peers     {peers} at the last moment\n\
             events    {}\n\
             log lines {}\n\
             lab       {}\n",
            clean(&about.name),
            about.peer_id,
            clean(&about.network),
            date(about.made),
            clean(&about.program),
            about.format,
            yes(about.masked),
            self.record.len(),
            date(first),
            fmt::exactly(first.age_at(last)),
            self.entries.len(),
            self.lines.len(),
            yes(self.lab.is_some()),
        )
    }
}

impl About {
    /// The same about a pseudonym.
    pub(super) fn masked(&self, mask: &mut Mask) -> Self {
        Self {
            masked: true,
            peer_id: mask.id(self.peer_id),
            name: mask.name(self.peer_id, &self.name),
            network: mask.network(&self.network),
            ..self.clone()
        }
    }
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Holds {
    pub(crate) moments: u64,
    pub(crate) entries: u64,
    pub(crate) log_lines: u64,
    pub(crate) lab: bool,
}

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// First of all.
    Snap(About),
    /// Rows that changed until the next moment, where they are many.
    Rows(Vec<Arc<PeerRow>>),
    Moment(Box<Moment>),
    Entry(Entry),
    Log(LogLine),
    Lab(Box<LabView>),
    /// Last of all.
    End(End),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    /// How many lines stand before it.
    lines: u64,
    /// Of all bytes before it.
    sha256: String,
}

/// A moment: what differs from the one before.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Moment {
    #[serde(flatten)]
    sections: Sections,
    telling: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changed: Vec<Arc<PeerRow>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<PeerId>,
}

#[cfg(test)]
mod tests;
