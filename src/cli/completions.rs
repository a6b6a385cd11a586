//! `punchdeck completions`: for the shell that is named.

use clap::CommandFactory as _;

use super::{Cli, Failure, Shell, print};

pub(super) fn execute(shell: Shell) -> Result<(), Failure> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "punchdeck", &mut out);
    print(&out)
}
