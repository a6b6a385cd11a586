//! `punchdeck keys`: the console's keys in force.

use super::{Failure, SettingsArgs, print};

pub(super) fn execute(settings: &SettingsArgs) -> Result<(), Failure> {
    print(settings.resolve()?.config.keys.text().as_bytes())
}
