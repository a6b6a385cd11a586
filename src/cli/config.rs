//! `punchdeck config`: init, check, show, path.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use anyhow::Context as _;

use super::args::{ConfigArgs, ConfigCommand, SettingsArgs};
use super::failure::say;
use super::{Failure, print};
use crate::config::EXAMPLE;

pub(super) fn execute(args: &ConfigArgs) -> Result<(), Failure> {
    match &args.command {
        ConfigCommand::Init(file) => init(&file.path()?),
        ConfigCommand::Check(settings) => check(settings),
        ConfigCommand::Show(settings) => print(settings.resolve()?.show().as_bytes()),
        ConfigCommand::Path(file) => print(format!("{}\n", file.path()?.display()).as_bytes()),
    }
}

fn init(path: &Path) -> Result<(), Failure> {
    write_example(path)
        .with_context(|| format!("the configuration {} was not written", path.display()))
        .map_err(Failure::failed)?;
    print(format!("{}\n", path.display()).as_bytes())
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

fn check(settings: &SettingsArgs) -> Result<(), Failure> {
    match settings.resolve() {
        Ok(resolved) => {
            let what = match resolved.file {
                Some(file) => format!("{}: no mistakes\n", file.display()),
                None => format!("{}: not there, the defaults hold\n", settings.path()?.display()),
            };
            print(what.as_bytes())
        }
        Err(mut errors) => {
            // All but the last one here; that one goes the way of every error.
            let last = errors.0.pop();
            errors.0.iter().for_each(|e| say(e));
            Err(last.map_or_else(|| Failure::from(errors), Failure::usage))
        }
    }
}
