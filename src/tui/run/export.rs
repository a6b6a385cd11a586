//! Writing what the console exports: a file of its own, which gets its name when it is
//! whole, and takes the place of another one only where somebody said so.

use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use crate::tui::message::{Export, ExportEnd};

/// Writes it, on whatever thread: a disk may take its time.
pub(super) fn write(export: &Export) -> ExportEnd {
    match save(export) {
        Ok(bytes) => ExportEnd::Done(bytes),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => ExportEnd::IsThere,
        Err(error) => ExportEnd::Failed(error.to_string()),
    }
}

fn save(export: &Export) -> io::Result<u64> {
    let path = &export.path;
    // What is no file is never replaced.
    if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "what is there is no plain file"));
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".export-").tempfile_in(dir)?;
    file.write_all(export.text.as_bytes())?;
    file.as_file().sync_all()?;
    let kept = if export.over { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map_err(|error| error.error)?;
    Ok(export.text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_stays_as_it_is_until_somebody_says_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peers.jsonl");
        let export = |text: &str, over| Export { path: path.clone(), text: text.to_owned(), rows: 1, over };
        assert_eq!(write(&export("one\n", false)), ExportEnd::Done(4));
        assert_eq!(write(&export("two\n", false)), ExportEnd::IsThere);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        assert_eq!(write(&export("two\n", true)), ExportEnd::Done(4));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
        let nowhere = Export { path: dir.path().join("none/x"), ..export("", false) };
        assert!(matches!(write(&nowhere), ExportEnd::Failed(_)));
        let directory = Export { path: dir.path().to_owned(), ..export("", true) };
        assert!(matches!(write(&directory), ExportEnd::Failed(_)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
