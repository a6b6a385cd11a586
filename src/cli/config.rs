//! `punchdeck config`: init, check, show, path.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::Context as _;

use super::args::{ConfigArgs, ConfigCommand, SettingsArgs};
use super::failure::say;
use super::prepare::fits_host;
use super::{Failure, misuse, print};
use crate::config::EXAMPLE;
use crate::model::printable;

pub(super) fn execute(args: &ConfigArgs) -> Result<(), Failure> {
    match &args.command {
        ConfigCommand::Init(file) => init(&file.path()?),
        ConfigCommand::Check(settings) => check(settings),
        ConfigCommand::Show(settings) => print(settings.resolve()?.show().as_bytes()),
        ConfigCommand::Path(file) => print(&line_of(&file.path()?)),
    }
}

fn init(path: &Path) -> Result<(), Failure> {
    write_example(path)
        .with_context(|| format!("the configuration {} was not written", path.display()))
        .map_err(Failure::failed)?;
    print(&line_of(path))
}

/// A path on a line: byte for byte for a program, and for a person nothing in it that
/// a terminal would obey.
fn line_of(path: &Path) -> Vec<u8> {
    let line = if io::stdout().is_terminal() {
        printable(&path.display().to_string()).into_bytes()
    } else {
        path.as_os_str().as_bytes().to_vec()
    };
    [line, b"\n".to_vec()].concat()
}

fn write_example(path: &Path) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| {
        if e.kind() == ErrorKind::AlreadyExists { io::Error::new(e.kind(), "it is there already") } else { e }
    })?;
    // Ours since a moment ago: half of it must not pass for a configuration.
    file.write_all(EXAMPLE.as_bytes())
        .and_then(|()| file.sync_all())
        .inspect_err(|_| drop(fs::remove_file(path)))
}

/// Every value of every source, and what a node would stumble on when it starts.
fn check(settings: &SettingsArgs) -> Result<(), Failure> {
    let (resolved, errors) = match settings.resolve() {
        Ok(resolved) => {
            let errors = fits_host(&resolved).map_or_else(|errors| errors.0, |_| Vec::new());
            (Some(resolved), errors)
        }
        Err(errors) => (None, errors.0),
    };
    let of_keys = errors.iter().map(ToString::to_string);
    let mut mistakes: Vec<String> = of_keys.chain(misuse::of_variables()).collect();
    // All but the last one here; that one goes the way of every error.
    if let Some(last) = mistakes.pop() {
        for mistake in &mistakes {
            say(mistake);
        }
        return Err(Failure::usage(anyhow::anyhow!(last)));
    }
    let what = match resolved.and_then(|resolved| resolved.file) {
        Some(file) => format!("{}: no mistakes", file.display()),
        None => format!("{}: not there, the defaults hold", settings.path()?.display()),
    };
    print(format!("{}\n", printable(&what)).as_bytes())
}
