//! A snap as an operator makes one and hands it on: the real binary, a living
//! node, a file, and the console on that file without any node.

mod pty;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use portable_pty::CommandBuilder;
use pty::{Console, END};
use tempfile::TempDir;

/// Quitting ends the node, too.
const QUIT: std::time::Duration = std::time::Duration::from_secs(3);

fn start(home: &Path, args: &[&str], cols: u16, rows: u16) -> Result<Console> {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_punchdeck"));
    command.args(args);
    command.env_clear();
    command.env("HOME", home);
    command.cwd(home);
    Console::start(command, cols, rows, true)
}

/// Runs a node, has its console write a snap, and ends it.
fn snap(home: &TempDir) -> Result<PathBuf> {
    let args = ["run", "--bind", "127.0.0.1:0", "--data-dir", "data", "--name", "snapper"];
    let mut console = start(home.path(), &args, 140, 40)?;
    console.wait_for("NOTHING TO DIAL")?;
    // So that something changes.
    console.press("n")?;
    console.wait_for("nat-probe:")?;
    console.press("w")?;
    console.wait_for("punchdeck replay opens it")?;
    console.press("q")?;
    console.wait_for_end(QUIT)?;
    let mut files = fs::read_dir(home.path().join("data/snaps"))?;
    let file = files.next().context("no file")??.path();
    ensure!(files.next().is_none(), "one file and nothing else");
    Ok(file)
}

/// The same without a terminal.
fn piped(home: &TempDir, args: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_punchdeck"));
    command.args(args).env_clear().env("HOME", home.path()).current_dir(home.path()).stdin(Stdio::null());
    Ok(command.output()?)
}

fn refused(home: &TempDir, file: &str) -> Result<String> {
    let output = piped(home, &["replay", file])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(2) && output.stdout.is_empty(), "{:?}: {said}", output.status);
    ensure!(said.lines().count() == 1, "{said}");
    Ok(said)
}

#[test]
fn a_snap_of_a_living_node_is_opened_again_without_one() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = snap(&home)?;
    ensure!(fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600, "others could read it");

    let name = file.to_str().context("a path")?;
    let mut console = start(home.path(), &["replay", name], 140, 40)?;
    console.wait_for("REPLAY")?;
    console.wait_for("of snapper")?;
    console.press("S")?;
    console.wait_for("S: this is a replay, there is no node to ask")?;
    console.press("7[")?;
    console.wait_for("before the end (space plays)")?;
    console.press("\x1b")?;
    console.wait_for("the end ([ back, space plays)")?;
    console.press("q")?;
    console.wait_for_end(END)?;
    console.is_given_back()
}

#[test]
fn without_a_terminal_a_replay_prints_what_the_file_holds() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = snap(&home)?;
    let output = piped(&home, &["replay", file.to_str().context("a path")?])?;
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success(), "{err}");
    ensure!(err.contains("no terminal here"), "{err}");
    for line in ["node      snapper ", "masked    no", "peers     0 at the last moment", "lab       no"] {
        ensure!(out.lines().any(|l| l.starts_with(line)), "{line}: {out}");
    }
    ensure!(out.contains(concat!("by punchdeck ", env!("CARGO_PKG_VERSION"), ", format 2")), "{out}");
    Ok(())
}

#[test]
fn what_cannot_be_opened_is_refused_with_its_reason_and_exits_2() -> Result<()> {
    let home = tempfile::tempdir()?;
    let whole = fs::read(snap(&home)?)?;
    let put = |name: &str, bytes: &[u8]| fs::write(home.path().join(name), bytes);
    put("cut", &whole[..whole.len() / 2])?;
    put("flipped", &String::from_utf8(whole.clone())?.replace("snapper", "sniffer").into_bytes())?;
    put("newer", b"{\"snap\":{\"format\":7,\"program\":\"3.0.0\"}}\n")?;
    let rude = "rude\x1b[2J";
    put(rude, b"{\"snap\":{\"format\":8,\"program\":\"\\u001b[2J3.0.0\"}}\n")?;
    put("foreign", b"PNG\r\n")?;
    put("empty", b"")?;
    fs::File::create(home.path().join("huge"))?.set_len(300 << 20)?;
    for (file, why) in [
        ("cut", "its end is missing: it was cut after line "),
        ("flipped", "it was changed after it was written"),
        ("newer", "it was written by punchdeck 3.0.0 in format 7, and this one reads format 2"),
        ("foreign", "this is no snap of a punchdeck console"),
        ("empty", "this is no snap of a punchdeck console"),
        ("huge", "it has 314572800 bytes, and 268435456 are read at most"),
        ("nowhere", "No such file or directory"),
        (".", "it is a directory, not a file"),
    ] {
        let said = refused(&home, file)?;
        ensure!(said.starts_with(&format!("punchdeck: {file}: ")) && said.contains(why), "{file}: {said}");
    }
    let said = refused(&home, rude)?;
    ensure!(said.contains("format 8") && !said.contains('\x1b'), "an escape reached the terminal: {said:?}");
    Ok(())
}
