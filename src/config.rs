//! The configuration: one TOML file, environment variables and flags, each
//! value checked against its bounds and remembered with where it came from.
//!
//! It never acts on a value: it opens no socket and creates nothing. The only
//! files it reads are the configuration and the network secret, and the secret
//! is never shown.

mod error;
mod host;
mod key;
mod networks;
mod reload;
mod removed;
mod resolve;
mod secret;
mod show;
mod validate;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use error::{ConfigError, ConfigErrors, Origin};
pub use host::{Ascii, Host, LogFormat};
pub(crate) use key::one_of;
pub use key::{Key, OTHER_VARIABLES, REGISTRY_TOKEN_VARIABLE, SECRET_VARIABLE, reference_table};
pub use networks::bootstrap_of;
pub use reload::Change;
pub use resolve::{Raw, Resolved, Sources, resolve};
pub use secret::registry_token;
pub use validate::{
    BIND_PORT_MIN, BOOTSTRAP_MAX, DIRECT_WINDOW, ESCAPE_WAITS, RELAY_AFTER, Refused, SWITCH_WORDS,
    validate_ascii, validate_bind, validate_bootstrap, validate_direct_window, validate_escape_wait,
    validate_group, validate_hard_nat, validate_log_filter, validate_log_format, validate_metrics_listen,
    validate_name, validate_network, validate_path, validate_path_test, validate_probe_ports, validate_punch,
    validate_registry_url, validate_relay, validate_relay_after, validate_switch, validate_theme,
};

use crate::model::{ESCAPE_WAIT, HardNat, ProbePorts, PunchConsent, RelayMode, TestConsent, ThemeChoice};
use crate::node::keys::KeyBytes;
use crate::node::options::{NodeOptions, Settings};
use crate::node::{RegistryOptions, RegistryUrl};
use crate::tui::Keymap;

/// The commented file that `punchdeck config init` writes; it says the
/// defaults.
pub const EXAMPLE: &str = include_str!("../config.example.toml");

/// Every setting, valid and complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the key, the cache and the logs live.
    pub data_dir: PathBuf,
    /// The name we give ourselves.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// The file with the network's secret.
    pub network_secret_file: Option<PathBuf>,
    /// Where to listen.
    pub bind: SocketAddr,
    /// At which ports the NAT probes of others are answered.
    pub probe_ports: ProbePorts,
    /// Whom to dial first.
    pub bootstrap: Vec<SocketAddr>,
    /// How long a direct dial is waited for.
    pub direct_window: Duration,
    /// When the relay takes over from a punch.
    pub relay_after: Duration,
    /// Whose punch requests we answer.
    pub punch: PunchConsent,
    /// Whom we serve as a relay.
    pub relay: RelayMode,
    /// Whether ports are guessed.
    pub hard_nat: HardNat,
    /// Whose tests of a path are answered.
    pub path_test: TestConsent,
    /// Where the control socket is, if not in the data directory.
    pub socket: Option<PathBuf>,
    /// The group that may use it, too.
    pub control_group: Option<String>,
    /// Which log lines are kept.
    pub log_filter: String,
    /// How they are written where there is no console.
    pub log_format: LogFormat,
    /// Whether the console draws with ASCII only.
    pub ascii: Ascii,
    /// Which colours it has.
    pub theme: ThemeChoice,
    /// Whether the console takes the mouse.
    pub mouse: bool,
    /// Whether it shows pseudonyms.
    pub mask: bool,
    /// Whether the console sets the terminal's title.
    pub title: bool,
    /// Whether leaving the console is asked about where it ends links.
    pub quit_asks: bool,
    /// How long a lone escape may be the beginning of a key's sequence.
    pub escape_wait: Duration,
    /// The console's keys.
    pub keys: Keymap,
    /// Whom to tell what happened.
    pub registry_url: Option<RegistryUrl>,
    /// The file with what lets us in there.
    pub registry_token_file: Option<PathBuf>,
    /// What a Prometheus finds.
    pub metrics: MetricsConfig,
}

/// What a Prometheus finds, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Where it asks; nowhere if left out.
    pub listen: Option<SocketAddr>,
    /// The file with what it must show.
    pub token_file: Option<PathBuf>,
    /// Whether linked peers are a label.
    pub peers: bool,
}

impl Config {
    /// What holds where nobody says otherwise. Directory and name are the
    /// host's; a host without a home leaves the directory empty, which
    /// [`resolve`] refuses.
    pub fn defaults(host: &Host) -> Self {
        Self {
            data_dir: host.data_dir.clone().unwrap_or_default(),
            name: host.name.clone(),
            network: "punchdeck".to_owned(),
            network_secret_file: None,
            // One fixed port, on both families: the address that others list
            // as their bootstrap stays true over restarts, and an operator
            // opens one port. It is ant-quic's own, so one rule serves both.
            bind: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 9000)),
            probe_ports: ProbePorts::default(),
            bootstrap: Vec::new(),
            direct_window: *DIRECT_WINDOW.start(),
            relay_after: Duration::from_secs(1),
            punch: PunchConsent::default(),
            relay: RelayMode::default(),
            hard_nat: HardNat::default(),
            path_test: TestConsent::default(),
            socket: None,
            control_group: None,
            log_filter: "info".to_owned(),
            log_format: LogFormat::default(),
            ascii: Ascii::default(),
            theme: ThemeChoice::default(),
            mouse: true,
            mask: false,
            title: true,
            quit_asks: true,
            escape_wait: ESCAPE_WAIT,
            keys: Keymap::default(),
            registry_url: None,
            registry_token_file: None,
            metrics: MetricsConfig::default(),
        }
    }
}

impl Resolved {
    /// What a node is told before it starts.
    pub fn node_options(&self, keys: KeyBytes) -> NodeOptions {
        let config = self.config.clone();
        let Settings { bootstrap, direct_window, relay_after, punch, relay, hard_nat, path_test } =
            self.settings();
        NodeOptions {
            data_dir: config.data_dir,
            keys,
            name: config.name,
            network: config.network,
            secret: self.secret.as_ref().map(|(secret, _)| secret.clone()),
            bind: config.bind,
            bind_asked: self.origin(Key::Bind) != Origin::Default,
            probe_ports: config.probe_ports,
            bootstrap,
            passive: false,
            direct_window,
            relay_after,
            punch,
            relay,
            hard_nat,
            clock_off: std::sync::Arc::default(),
            path_test,
            log: None,
            registry: config.registry_url.map(|url| RegistryOptions {
                url,
                token: self.registry_token.as_ref().map(|(token, _)| token.clone()),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
