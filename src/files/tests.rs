use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rustix::fs::{FileType, Mode};

use super::ours::For;
use super::*;

fn dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    chmod(dir.path(), 0o700);
    dir
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn file(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    chmod(&path, mode);
    path
}

#[cfg(target_os = "linux")]
fn pipe(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[track_caller]
fn unfit<T>(result: io::Result<T>) -> Unfit {
    let error = result.map(|_| ()).unwrap_err();
    Unfit::of(&error).unwrap_or_else(|| panic!("{error:?}"))
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_no_file_of_that_size_is_refused_at_once_and_told() {
    let dir = dir();
    pipe(&dir.path().join("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let large = file(dir.path(), "large", b"", 0o600);
    fs::File::options().write(true).open(&large).unwrap().set_len(100 * 1024 * 1024).unwrap();
    let begun = Instant::now();
    for (path, why) in [
        (dir.path().to_owned(), Unfit::NoFile("a directory")),
        (dir.path().join("pipe"), Unfit::NoFile("a pipe")),
        (dir.path().join("socket"), Unfit::NoFile("a socket")),
        (PathBuf::from("/dev/zero"), Unfit::NoFile("a device")),
        (large, Unfit::TooLarge { bytes: 100 * 1024 * 1024, max: 10 }),
    ] {
        assert_eq!(unfit(read::bytes(&path, 10)), why, "{}", path.display());
        assert_eq!(unfit(read::text(&path, 10)), why);
        assert_eq!(unfit(read::private(&path, 10)), why);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let fit = file(dir.path(), "fit", b"0123456789", 0o600);
    assert_eq!(read::text(&fit, 10).unwrap(), "0123456789");
    assert_eq!(unfit(read::bytes(&fit, 9)), Unfit::TooLarge { bytes: 10, max: 9 });
    symlink(&fit, dir.path().join("link")).unwrap();
    assert_eq!(read::bytes(&dir.path().join("link"), 10).unwrap(), b"0123456789", "people link files");
}

#[test]
fn a_secret_is_its_owners_alone() {
    let dir = dir();
    for mode in [0o640, 0o604, 0o601] {
        let path = file(dir.path(), "secret", b"x", mode);
        assert_eq!(unfit(read::private(&path, 10)), Unfit::ReadableByOthers { mode });
        assert_eq!(read::bytes(&path, 10).unwrap(), b"x");
    }
    assert_eq!(read::private(&file(dir.path(), "secret", b"x", 0o400), 10).unwrap().as_slice(), b"x");
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_written_through_a_link_or_into_what_is_not_ours_alone() {
    let dir = dir();
    let victim = file(dir.path(), "victim", b"precious", 0o600);
    symlink(&victim, dir.path().join("link")).unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    pipe(&dir.path().join("pipe"));
    let loose = file(dir.path(), "loose", b"precious", 0o666);
    for how in [For::Holding, For::Appending] {
        assert_eq!(unfit(ours::open(&dir.path().join("link"), how)), Unfit::Link);
        assert_eq!(unfit(ours::open(&dir.path().join("dangling"), how)), Unfit::Link);
        assert_eq!(unfit(ours::open(&dir.path().join("pipe"), how)), Unfit::NoFile("a pipe"));
        assert_eq!(unfit(ours::open(dir.path(), how)), Unfit::NoFile("a directory"));
        assert_eq!(unfit(ours::open(&loose, how)), Unfit::WritableByOthers { mode: 0o666 });
    }
    assert!(!dir.path().join("nowhere").exists());
    fs::hard_link(&victim, dir.path().join("second")).unwrap();
    assert_eq!(unfit(ours::open(&dir.path().join("second"), For::Holding)), Unfit::Names { names: 2 });
    // What a kill left under a name of ours is replaced, not followed.
    ours::fresh(&dir.path().join("link"), 0o600).unwrap();
    assert!(dir.path().join("link").symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert_eq!(fs::read(&loose).unwrap(), b"precious");
}

#[test]
#[cfg(target_os = "linux")]
fn what_belongs_to_another_user_is_not_ours() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a file away.
        return;
    }
    let dir = dir();
    let theirs = file(dir.path(), "theirs", b"precious", 0o600);
    std::os::unix::fs::chown(&theirs, Some(12_345), None).unwrap();
    let foreign = Unfit::Foreign { owner: 12_345, us: 0 };
    assert_eq!(unfit(ours::open(&theirs, For::Holding)), foreign);
    std::os::unix::fs::chown(dir.path(), Some(12_345), None).unwrap();
    assert_eq!(unfit(ours::check_dir(dir.path())), foreign);
}

#[test]
fn a_directory_that_others_may_write_is_not_ours_and_a_link_to_ours_is() {
    let dir = dir();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    for (mode, fit) in [(0o700, true), (0o755, true), (0o770, false), (0o1777, false), (0o702, false)] {
        chmod(&inner, mode);
        assert_eq!(ours::check_dir(&inner).is_ok(), fit, "{mode:o}");
    }
    chmod(&inner, 0o700);
    symlink(&inner, dir.path().join("link")).unwrap();
    ours::check_dir(&dir.path().join("link")).unwrap();
    assert!(ours::check_dir(&file(dir.path(), "file", b"", 0o600)).is_err());
}

proptest! {
    #[test]
    fn a_seal_finds_every_change_of_its_content_and_of_itself(
        content in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        change in 1u8..,
    ) {
        let mut bytes = sealed::seal(&content);
        prop_assert_eq!(sealed::open(&bytes), sealed::Found::Whole(&content));
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(!matches!(sealed::open(&bytes), sealed::Found::Whole(_)));
    }

    #[test]
    fn a_seal_finds_every_cut(content in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>()) {
        let bytes = sealed::seal(&content);
        let at = at.index(bytes.len());
        prop_assert!(!matches!(sealed::open(&bytes[..at]), sealed::Found::Whole(_)));
    }
}
