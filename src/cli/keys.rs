//! `punchdeck keys`: the console's keys, from the one table that makes them.

use super::{Failure, print};
use crate::tui;

pub(super) fn execute() -> Result<(), Failure> {
    print(tui::keys_text().as_bytes())
}
