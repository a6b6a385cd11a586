//! The `punchdeck` binary: parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    punchdeck::cli::main()
}
