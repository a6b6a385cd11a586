//! `punchdeck man`: the manual pages.

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::{Cli, Failure, print};

/// Prints the page of the program, or writes one for every command.
pub(super) fn execute(dir: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = dir else {
        let mut out = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut out).map_err(Failure::failed)?;
        return print(&out);
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .with_context(|| format!("the manual pages were not written to {}", dir.display()))
        .map_err(Failure::failed)
}
