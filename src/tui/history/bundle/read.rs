//! Reading: a file may be cut, changed, or no snap at all, and each is said.

use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde::Deserialize as _;

use super::{About, Bundle, End, FILE_MAX, FORMAT, LINE_MAX, Line, Moment};
use crate::files::{Unfit, read};
use crate::model::{PeerId, PeerRow, Sections, Snapshot};
use crate::tui::entry::{ENTRIES_KEPT, LINES_KEPT};
use crate::tui::history::record::Record;

/// Why a file cannot be reopened.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("this is no snap of a punchdeck console")]
    Foreign,
    /// It is of a version to come.
    #[error("it was written by punchdeck {program} in format {format}, and this one reads format {FORMAT}")]
    TooNew {
        /// Its form.
        format: u64,
        /// What wrote it.
        program: String,
    },
    /// It is longer than anything that we write.
    #[error("it has {bytes} bytes, and {FILE_MAX} are read at most")]
    TooLarge {
        /// How long it is.
        bytes: u64,
    },
    /// Its end is missing.
    #[error("its end is missing: it was cut after line {lines}")]
    Cut {
        /// How many lines there are.
        lines: u64,
    },
    /// It was changed since it was written.
    #[error("it is damaged in line {line}: {detail}")]
    Damaged {
        /// Where.
        line: u64,
        /// What is wrong.
        detail: String,
    },
}

impl Bundle {
    /// Reads a file whole.
    ///
    /// # Errors
    /// See [`BundleError`]; nothing of a file is shown that is not as it was
    /// written.
    pub fn load(path: &Path) -> Result<Self, BundleError> {
        let file = read::open(path, FILE_MAX).map_err(|error| match Unfit::of(&error) {
            Some(Unfit::TooLarge { bytes, .. }) => BundleError::TooLarge { bytes },
            _ => error.into(),
        })?;
        // It may grow while it is read.
        Self::read(BufReader::new(file).take(FILE_MAX))
    }

    pub(super) fn read(from: impl BufRead) -> Result<Self, BundleError> {
        let mut lines = Lines { from, digest: digest::Context::new(&digest::SHA256), count: 0 };
        let first = lines.next()?.ok_or(BundleError::Foreign)?;
        let about = about(&first)?;
        let mut bundle = Self {
            about,
            record: Record::default(),
            entries: Vec::new(),
            lines: Vec::new(),
            lab: None,
            mask: None,
        };
        let (mut before, mut rows): (Option<Snapshot>, Vec<Arc<PeerRow>>) = (None, Vec::new());
        loop {
            let sum = hex::encode(lines.digest.clone().finish());
            let Some(line) = lines.next()? else { return Err(BundleError::Cut { lines: lines.count }) };
            let at = lines.count;
            let damaged = |detail: String| BundleError::Damaged { line: at, detail };
            match serde_json::from_slice(&line) {
                Ok(Line::Rows(page)) => rows.extend(page),
                Ok(Line::Moment(moment)) => {
                    let Moment { sections, telling, changed, gone } = *moment;
                    rows.extend(changed);
                    let changes = changes(std::mem::take(&mut rows), gone);
                    let rest = whole(sections, before.as_ref()).map_err(damaged)?;
                    before = Some(rest.clone());
                    bundle.record.restore(rest, changes, telling);
                    if bundle.record.is_beyond_any() {
                        return Err(damaged("there is more in it than a console keeps".to_owned()));
                    }
                }
                Ok(Line::Entry(_)) if bundle.entries.len() >= ENTRIES_KEPT => {
                    return Err(damaged("there are more events in it than a console keeps".to_owned()));
                }
                Ok(Line::Log(_)) if bundle.lines.len() >= LINES_KEPT => {
                    return Err(damaged("there are more log lines in it than a console keeps".to_owned()));
                }
                Ok(Line::Entry(entry)) => bundle.entries.push(entry),
                Ok(Line::Log(line)) => bundle.lines.push(line),
                Ok(Line::Lab(lab)) => bundle.lab = Some(Arc::from(lab)),
                Ok(Line::End(end)) => {
                    if end != (End { lines: lines.count - 1, sha256: sum }) {
                        return Err(damaged("it was changed after it was written".to_owned()));
                    }
                    if lines.next()?.is_some() {
                        return Err(damaged("something follows its end".to_owned()));
                    }
                    if before.is_none() {
                        return Err(damaged("there is no moment in it".to_owned()));
                    }
                    return Ok(bundle);
                }
                Ok(Line::Snap(_)) => return Err(damaged("it begins a second time".to_owned())),
                // The last line of a file that was cut is seldom whole.
                Err(_) if !line.ends_with(b"\n") => return Err(BundleError::Cut { lines: lines.count - 1 }),
                Err(error) => return Err(damaged(error.to_string())),
            }
        }
    }
}

/// What the first line says; it alone is read of a file that is not ours to read.
fn about(line: &[u8]) -> Result<About, BundleError> {
    let value: serde_json::Value = serde_json::from_slice(line).map_err(|_| BundleError::Foreign)?;
    let snap = value.get("snap").ok_or(BundleError::Foreign)?;
    let format = snap.get("format").and_then(serde_json::Value::as_u64).ok_or(BundleError::Foreign)?;
    if format != u64::from(FORMAT) {
        let program = snap.get("program").and_then(|p| p.as_str()).unwrap_or("-");
        return Err(BundleError::TooNew { format, program: crate::model::clean(program) });
    }
    About::deserialize(snap).map_err(|error| BundleError::Damaged { line: 1, detail: error.to_string() })
}

fn changes(rows: Vec<Arc<PeerRow>>, gone: Vec<PeerId>) -> Vec<(PeerId, Option<Arc<PeerRow>>)> {
    let left = gone.into_iter().map(|id| (id, None));
    rows.into_iter().map(|row| (row.peer_id, Some(row))).chain(left).collect()
}

fn whole(sections: Sections, before: Option<&Snapshot>) -> Result<Snapshot, String> {
    if before.is_some_and(|before| sections.at.is_some_and(|at| at <= before.at)) {
        return Err("its moments are out of order".to_owned());
    }
    sections.upon(before, Arc::default()).ok_or_else(|| "the first moment is not whole".to_owned())
}

struct Lines<R> {
    from: R,
    digest: digest::Context,
    count: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line with its end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, BundleError> {
        let mut line = Vec::new();
        self.from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.count += 1;
        if line.len() as u64 == LINE_MAX && !line.ends_with(b"\n") {
            if self.count == 1 {
                return Err(BundleError::Foreign);
            }
            let detail = format!("a line of more than {LINE_MAX} bytes");
            return Err(BundleError::Damaged { line: self.count, detail });
        }
        self.digest.update(&line);
        Ok(Some(line))
    }
}
