use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_write_replaces_the_file_and_leaves_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache");
    fs::write(&path, "old and longer").unwrap();
    write_atomic(&path, b"new", FILE_MODE).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(names(dir.path()), ["cache"]);
}

#[test]
fn a_write_that_fails_leaves_the_old_content_and_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), "kept").unwrap();
    write_atomic(&path, b"new", FILE_MODE).unwrap_err();
    assert_eq!(names(dir.path()), ["cache"]);
    assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
}

#[test]
fn what_a_killed_write_left_behind_is_taken_over_with_our_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache");
    let left = dir.path().join(".cache.tmp");
    fs::write(&left, "half of somethi").unwrap();
    fs::set_permissions(&left, Permissions::from_mode(0o644)).unwrap();
    write_atomic(&path, b"new", FILE_MODE).unwrap();
    assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"new"[..], 0o600));
    assert_eq!(names(dir.path()), ["cache"]);
}

#[test]
fn a_new_file_never_replaces_one_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    write_new(&path, b"first", FILE_MODE).unwrap();
    assert_eq!(write_new(&path, b"second", FILE_MODE).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names(dir.path()), ["key"]);
}

#[test]
fn damaged_files_are_set_aside_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache");
    for content in ["one", "two"] {
        fs::write(&path, content).unwrap();
        set_aside(&path, "test").unwrap();
    }
    assert_eq!(names(dir.path()), ["cache.damaged-1", "cache.damaged-2"]);
    assert_eq!(fs::read(dir.path().join("cache.damaged-1")).unwrap(), b"one");
    assert_eq!(set_aside(&path, "test").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn directories_are_set_aside_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache");
    fs::create_dir(&path).unwrap();
    assert_eq!(set_aside(&path, "test").unwrap(), dir.path().join("cache.damaged-1"));
}

#[test]
fn a_data_directory_is_its_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    create_private_dir(&path).unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
    create_private_dir(&path).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    create_private_dir(&dir.path().join("file")).unwrap_err();
}

/// Runs one test of this binary again as a process of its own, as a role.
fn again(program: &mut Command, test: &str, role: &str, dir: &Path) -> Child {
    program
        .args(["--exact", "--nocapture", &format!("node::disk::tests::{test}")])
        .env("PUNCHDECK_TEST_ROLE", role)
        .env("PUNCHDECK_TEST_DIR", dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var("PUNCHDECK_TEST_ROLE").ok()?, std::env::var_os("PUNCHDECK_TEST_DIR")?.into()))
}

#[test]
fn a_kill_in_the_middle_of_saves_leaves_a_whole_file() {
    const LEN: usize = 512 * 1024;
    if let Some((_, dir)) = role() {
        for byte in (0..=u8::MAX).cycle() {
            write_atomic(&dir.join("cache"), &vec![byte; LEN], FILE_MODE).unwrap();
            println!("\nsaved");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for saves in 1..=20 {
        let exe = std::env::current_exe().unwrap();
        let mut child = again(
            &mut Command::new(exe),
            "a_kill_in_the_middle_of_saves_leaves_a_whole_file",
            "save",
            dir.path(),
        );
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seen = lines.map_while(Result::ok).filter(|l| l == "saved").take(saves).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen, saves);
        let bytes = fs::read(dir.path().join("cache")).unwrap();
        assert_eq!(bytes.len(), LEN);
        assert!(bytes.iter().all(|b| *b == bytes[0]), "two saves in one file");
        assert!(names(dir.path()).len() <= 2, "at most one temporary file is left");
    }
}

#[test]
fn a_disk_without_room_costs_the_save_and_not_the_file() {
    const TEST: &str = "a_disk_without_room_costs_the_save_and_not_the_file";
    if let Some((_, dir)) = role() {
        write_atomic(&dir.join("cache"), &vec![b'x'; 1 << 20], FILE_MODE).unwrap_err();
        println!("\nrefused");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cache"), "old").unwrap();
    // A limit on the size of files stands in for a full disk: it needs no
    // privileges, and the write fails in the middle in the same way.
    let exe = std::env::current_exe().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]).arg(exe);
    let output = again(&mut shell, TEST, "fill", dir.path()).wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("refused"), "{output:?}");
    assert_eq!(names(dir.path()), ["cache"]);
    assert_eq!(fs::read(dir.path().join("cache")).unwrap(), b"old");
}
