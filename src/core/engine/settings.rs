//! Settings that a running node takes on.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Engine, relay_service};
use crate::core::{Now, ladder};
use crate::model::{HardNat, PunchConsent, RelayMode, TestConsent, plain_addr};

/// What can be changed while a node runs. The values have been validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whom to dial when nobody is known, and when alone.
    pub bootstrap: Vec<SocketAddr>,
    /// How long a direct dial is waited for before the next stage begins.
    pub direct_window: Duration,
    /// How long after a punch began the warmed relay takes over the link.
    pub relay_after: Duration,
    /// Whose punch requests we answer.
    pub punch: PunchConsent,
    /// Whom we serve as a relay.
    pub relay: RelayMode,
    /// Whether ports are guessed.
    pub hard_nat: HardNat,
    /// Whose tests of a path we answer.
    pub path_test: TestConsent,
}

impl Engine {
    /// They hold from now on. What runs already ends as it began.
    pub(super) fn on_settings(&mut self, settings: Settings, now: Now) {
        let Settings { bootstrap, direct_window, relay_after, punch, relay, hard_nat, path_test } = settings;
        self.attempts.set_settings(ladder::Settings { window: direct_window, relay_after });
        self.coordination.set_consent(punch);
        if relay != self.serving.mode() {
            self.tell_serving(relay_service::Input::Mode(relay), now);
        }
        self.with_guesses(now, |guesses, view, out| guesses.set_mode(hard_nat, view, out));
        self.path_tests.set_consent(path_test);
        self.tests_timeout(now);
        self.dialer.set_bootstrap(bootstrap.into_iter().map(plain_addr), now.mono);
    }
}
