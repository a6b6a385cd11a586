//! The temporary directory of a lab, and sweeping those of labs whose process
//! was killed.
//!
//! A lab holds the lock in its directory as long as it lives, however it ends;
//! so what can be locked is nobody's.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::node::lock::{DataDirLock, LOCK_FILE, LockError};

/// What the directories of all our fleets begin with.
pub(super) const PREFIX: &str = "punchdeck-lab-";
/// Holds the name under which the namespaces' own files stand beside it.
const NAMESPACES_FILE: &str = "namespaces";

/// Removed, with all that is in it, when dropped.
#[derive(Debug)]
pub(super) struct LabDir {
    // The lock goes first, then the directory.
    _lock: DataDirLock,
    dir: TempDir,
}

impl LabDir {
    /// Makes one, after sweeping the dead ones beside it.
    pub(super) fn make() -> Result<Self, LockError> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let io = |source| LockError::Io { what: "directory", path: parent.clone(), source };
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent).map_err(io)?;
        Ok(Self { _lock: DataDirLock::acquire(dir.path())?, dir })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Notes what else is to be swept if this process is killed.
    pub(super) fn note_namespaces(&self, prefix: &str) -> io::Result<()> {
        std::fs::write(self.path().join(NAMESPACES_FILE), prefix)
    }
}

/// Removes what dead labs left in `parent`. What cannot be read or removed, as
/// it is somebody else's, stays.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        let ours = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PREFIX));
        // Without a lock file it was made a moment ago, or is no lab's.
        if !ours || !path.join(LOCK_FILE).is_file() {
            continue;
        }
        let Ok(lock) = DataDirLock::acquire(&path) else { continue };
        if let Some(files) = namespace_files(&path, parent) {
            let _ = std::fs::remove_dir_all(files);
        }
        match std::fs::remove_dir_all(&path) {
            Ok(()) => tracing::info!(dir = %path.display(), "removed what a killed lab left"),
            Err(error) => {
                tracing::debug!(dir = %path.display(), %error, "cannot remove what a killed lab left");
            }
        }
        drop(lock);
    }
}

/// The directory that the namespaces of a lab keep their hosts files in.
fn namespace_files(lab: &Path, parent: &Path) -> Option<PathBuf> {
    let prefix = std::fs::read_to_string(lab.join(NAMESPACES_FILE)).ok()?;
    let plain = !prefix.is_empty() && prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    plain.then(|| parent.join(format!("patchbay-{prefix}-hosts")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_lab_left_is_swept_and_what_lives_stays() {
        let parent = tempfile::tempdir().unwrap();
        let lab = |name: &str| {
            let dir = parent.path().join(format!("{PREFIX}{name}"));
            let lock = DataDirLock::acquire(&dir).unwrap();
            std::fs::write(dir.join(NAMESPACES_FILE), format!("lab-{name}")).unwrap();
            let files = parent.path().join(format!("patchbay-lab-{name}-hosts"));
            std::fs::create_dir(&files).unwrap();
            (dir, files, lock)
        };
        let (dead, dead_files, lock) = lab("dead");
        drop(lock);
        let (alive, alive_files, _lock) = lab("alive");
        let other = parent.path().join("something-else");
        std::fs::create_dir(&other).unwrap();
        sweep(parent.path());
        assert!(!dead.exists() && !dead_files.exists());
        assert!(alive.exists() && alive_files.exists() && other.exists());
    }

    #[test]
    fn a_note_that_leads_elsewhere_is_not_followed() {
        let lab = tempfile::tempdir().unwrap();
        for note in ["", "../../etc", "a/b"] {
            std::fs::write(lab.path().join(NAMESPACES_FILE), note).unwrap();
            assert_eq!(namespace_files(lab.path(), Path::new("/tmp")), None, "{note:?}");
        }
    }
}
