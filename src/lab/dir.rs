//! The temporary directory of a lab, and sweeping those of labs whose process
//! was killed.
//!
//! A lab holds the lock in its directory as long as it lives, however it ends;
//! so what can be locked is nobody's. The directory has a random name and is its
//! owner's alone. None is ever joined, and none is touched that somebody else made.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::files::{Unfit, ours, read};
use crate::node::lock::{DataDirLock, LOCK_FILE, LockError};

/// What the directories of all our fleets begin with.
pub(super) const PREFIX: &str = "punchdeck-lab-";
/// Holds the name under which the namespaces' own files stand beside it.
const NAMESPACES_FILE: &str = "namespaces";
/// What the directories begin with that the namespaces' library makes, before a number
/// made of the process id.
const HOSTS: &str = "patchbay-lab-p";
/// A longer note is none of ours.
const NOTE_MAX: u64 = 64;
/// The namespaces' own files are made and noted within this time.
const NOTED_WITHIN: Duration = Duration::from_secs(60);

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
        // The namespaces take what is there under a name that anybody can tell before.
        foreign_hosts(&parent).map_err(io)?;
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(io)?;
        Ok(Self { _lock: DataDirLock::acquire(dir.path())?, dir })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Notes what else is to be swept if this process is killed.
    pub(super) fn note_namespaces(&self, prefix: &str) -> io::Result<()> {
        fs::write(self.path().join(NAMESPACES_FILE), prefix)
    }
}

/// Removes what dead labs left in `parent`. What cannot be read or removed, or is
/// somebody else's, stays.
fn sweep(parent: &Path) {
    let mut alive = BTreeSet::new();
    for path in entries(parent) {
        let named = name_of(&path).starts_with(PREFIX);
        // Without a lock file it was made a moment ago, or is no lab's.
        if !named || !is_ours(&path) || !path.join(LOCK_FILE).is_file() {
            continue;
        }
        let files = namespace_files(&path, parent);
        let Ok(lock) = DataDirLock::acquire(&path) else {
            alive.extend(files);
            continue;
        };
        if let Some(files) = files.filter(|files| is_ours(files)) {
            let _ = fs::remove_dir_all(files);
        }
        match fs::remove_dir_all(&path) {
            Ok(()) => tracing::info!(dir = %path.display(), "removed what a killed lab left"),
            Err(error) => {
                tracing::debug!(dir = %path.display(), %error, "cannot remove what a killed lab left");
            }
        }
        drop(lock);
    }
    sweep_hosts(parent, &alive, NOTED_WITHIN);
}

/// The namespaces' files of labs that were killed before they noted them, or whose own
/// directory is gone: those that no living lab notes, nobody has mounted, and that are
/// older than a lab that is being built.
fn sweep_hosts(parent: &Path, alive: &BTreeSet<PathBuf>, age: Duration) {
    let is_old = |path: &Path| {
        let made = fs::symlink_metadata(path).and_then(|meta| meta.modified()).ok();
        made.and_then(|at| at.elapsed().ok()).is_some_and(|old| old >= age)
    };
    let left = entries(parent)
        .filter(|path| is_hosts(path) && is_ours(path) && !alive.contains(path) && is_old(path));
    let left: Vec<PathBuf> = left.collect();
    if left.is_empty() {
        return;
    }
    let mounts = mounts();
    for path in left {
        let name = name_of(&path);
        if mounts.iter().any(|table| table.contains(&name)) {
            continue;
        }
        if fs::remove_dir_all(&path).is_ok() {
            tracing::info!(dir = %path.display(), "removed what a killed lab left");
        }
    }
}

/// What every thread of this host has mounted, as far as we may look: the namespaces'
/// files stand over `/etc/hosts` in threads of a living lab.
fn mounts() -> BTreeSet<String> {
    let tasks = entries(Path::new("/proc")).flat_map(|process| entries(&process.join("task")));
    tasks.filter_map(|task| fs::read_to_string(task.join("mountinfo")).ok()).collect()
}

/// That nobody else has made what the namespaces of this process would take for theirs.
fn foreign_hosts(parent: &Path) -> io::Result<()> {
    let tag = format!("{HOSTS}{}", std::process::id() % 9_999 + 1);
    let could_be_taken = |path: &PathBuf| is_hosts(path) && name_of(path).starts_with(&tag);
    for path in entries(parent).filter(could_be_taken) {
        let is_link = fs::symlink_metadata(&path)?.is_symlink();
        let checked = if is_link { Err(Unfit::Link.into()) } else { ours::check_dir(&path) };
        checked.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    }
    Ok(())
}

fn is_hosts(path: &Path) -> bool {
    let name = name_of(path);
    name.starts_with(HOSTS) && name.ends_with("-hosts")
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A directory, no link to one, that nobody else decides about.
fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) && ours::check_dir(path).is_ok()
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The directory that the namespaces of a lab keep their hosts files in.
fn namespace_files(lab: &Path, parent: &Path) -> Option<PathBuf> {
    let prefix = read::text(&lab.join(NAMESPACES_FILE), NOTE_MAX).ok()?;
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
    fn a_link_that_somebody_laid_as_a_dead_lab_is_neither_followed_nor_swept() {
        let parent = tempfile::tempdir().unwrap();
        let victim = parent.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let trap = parent.path().join(format!("{PREFIX}trap"));
        fs::create_dir(&trap).unwrap();
        std::os::unix::fs::symlink(&victim, trap.join(LOCK_FILE)).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        drop(DataDirLock::acquire(elsewhere.path()).unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), parent.path().join(format!("{PREFIX}link"))).unwrap();
        let open = parent.path().join(format!("{PREFIX}open"));
        drop(DataDirLock::acquire(&open).unwrap());
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        sweep(parent.path());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(trap.exists() && open.exists() && elsewhere.path().join(LOCK_FILE).exists());
    }

    #[test]
    fn files_of_namespaces_that_no_lab_notes_are_swept_once_no_lab_can_be_at_making_them() {
        let parent = tempfile::tempdir().unwrap();
        let hosts = |name: &str| {
            let path = parent.path().join(format!("patchbay-{name}-hosts"));
            fs::create_dir(&path).unwrap();
            path
        };
        let (left, noted, other) = (hosts("lab-p70010"), hosts("lab-p70011"), hosts("something"));
        let alive = BTreeSet::from([noted.clone()]);
        sweep_hosts(parent.path(), &alive, NOTED_WITHIN);
        assert!(left.exists(), "a lab may be at making it");
        sweep_hosts(parent.path(), &alive, Duration::ZERO);
        assert!(!left.exists() && noted.exists() && other.exists());
    }

    #[test]
    fn what_somebody_laid_where_the_namespaces_will_write_keeps_a_lab_from_starting() {
        let parent = tempfile::tempdir().unwrap();
        let name = format!("patchbay-lab-p{}0-hosts", std::process::id() % 9_999 + 1);
        std::os::unix::fs::symlink("/nowhere", parent.path().join(&name)).unwrap();
        let why = foreign_hosts(parent.path()).unwrap_err().to_string();
        assert!(why.contains(&name) && why.contains("symbolic link"), "{why}");
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
