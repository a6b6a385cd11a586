//! Writing: line by line into a file of its own, which gets its name when it is
//! whole and never replaces another.

use std::fs::DirBuilder;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::tz::TimeZone;

use super::{Bundle, End, Line, Moment, PAGE};
use crate::model::{PeerId, PeerRow, Sections, Snapshot};
use crate::tui::lab::LabView;

/// Mode of the directory when we create it: its owner's alone, as its files are.
const DIR_MODE: u32 = 0o700;
/// Files of one second; more are not made.
const SAME_NAME_MAX: u32 = 100;

impl Bundle {
    /// Writes it into a directory, under a name made of its time, and gives the
    /// path and the size in bytes. Its owner alone can read it.
    ///
    /// # Errors
    /// What the system says; no file is left then.
    pub(crate) fn save(&self, dir: &Path, zone: &TimeZone) -> io::Result<(PathBuf, u64)> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)?;
        let mut file = tempfile::Builder::new().prefix(".snap-").tempfile_in(dir)?;
        self.write(BufWriter::new(file.as_file_mut()))?;
        file.as_file().sync_all()?;
        let bytes = file.as_file().metadata()?.len();
        let time = jiff::Timestamp::from_millisecond(self.about.made.0).map_or_else(
            |_| "-".to_owned(),
            |at| at.to_zoned(zone.clone()).strftime("%Y%m%d-%H%M%S").to_string(),
        );
        for n in 1..=SAME_NAME_MAX {
            let more = if n == 1 { String::new() } else { format!("-{n}") };
            let path = dir.join(format!("snap-{time}{more}.jsonl"));
            match file.persist_noclobber(&path) {
                Ok(_) => {
                    std::fs::File::open(dir)?.sync_all()?;
                    return Ok((path, bytes));
                }
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => file = error.file,
                Err(error) => return Err(error.error),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    pub(super) fn write(&self, out: impl Write) -> io::Result<()> {
        let mut mask = self.mask.clone();
        let mut lines = Lines { out, digest: digest::Context::new(&digest::SHA256), count: 0 };
        let about = match &mut mask {
            Some(mask) => {
                mask.meet_all(&self.record);
                self.about.masked(mask)
            }
            None => self.about.clone(),
        };
        lines.put(&Line::Snap(about))?;
        let mut before: Option<Snapshot> = None;
        for (rest, mut changes, telling) in self.record.moments() {
            let rest = match &mut mask {
                Some(mask) => {
                    changes = changes.iter().map(|change| mask.change(change)).collect();
                    mask.rest(rest)
                }
                None => rest.clone(),
            };
            lines.moment(before.as_ref(), &rest, changes, telling)?;
            before = Some(rest);
        }
        for entry in &self.entries {
            let masked = mask.as_mut().map(|mask| mask.entry(entry));
            lines.put(&Line::Entry(masked.unwrap_or_else(|| entry.clone())))?;
        }
        for line in &self.lines {
            let masked = mask.as_ref().map(|mask| mask.line(line));
            lines.put(&Line::Log(masked.unwrap_or_else(|| line.clone())))?;
        }
        if let Some(lab) = &self.lab {
            let masked = mask.as_mut().map(|mask| mask.lab(lab));
            lines.put(&Line::Lab(Box::new(LabView::clone(&masked.unwrap_or_else(|| Arc::clone(lab))))))?;
        }
        lines.end()
    }
}

struct Lines<W> {
    out: W,
    digest: digest::Context,
    count: u64,
}

impl<W: Write> Lines<W> {
    fn moment(
        &mut self,
        before: Option<&Snapshot>,
        rest: &Snapshot,
        changes: Vec<(PeerId, Option<Arc<PeerRow>>)>,
        telling: bool,
    ) -> io::Result<()> {
        // What is masked is made anew, though it says the same.
        let sections = Sections::between(before, rest, true);
        let mut moment = Moment { sections, telling, changed: Vec::new(), gone: Vec::new() };
        for (id, row) in changes {
            match row {
                Some(row) => moment.changed.push(row),
                None => moment.gone.push(id),
            }
        }
        while moment.changed.len() > PAGE {
            self.put(&Line::Rows(moment.changed.drain(..PAGE).collect()))?;
        }
        self.put(&Line::Moment(Box::new(moment)))
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.digest.update(&text);
        self.count += 1;
        self.out.write_all(&text)
    }

    fn end(mut self) -> io::Result<()> {
        let sha256 = hex::encode(self.digest.finish());
        serde_json::to_writer(&mut self.out, &Line::End(End { lines: self.count, sha256 }))?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}
