//! The `punchdeck` binary: parse, dispatch, exit code.

fn main() {}
