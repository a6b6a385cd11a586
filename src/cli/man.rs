//! `punchdeck man`: the manual page.

use clap::CommandFactory as _;

use super::{Cli, Failure, print};

pub(super) fn execute() -> Result<(), Failure> {
    let mut out = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut out).map_err(Failure::failed)?;
    print(&out)
}
