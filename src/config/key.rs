//! The table of keys: names, variables, flags, and what each is for. Errors,
//! `config show`, the help and docs/configuration.md are all made from it.

use std::fmt::Write as _;
use std::path::Path;

use super::validate::{self as check, DIRECT_WINDOW, ESCAPE_WAITS, RELAY_AFTER, Refused, seconds};
use super::{Ascii, BIND_PORT_MIN, BOOTSTRAP_MAX, Config, Host, LogFormat, Raw};
use crate::core::limits::{NAME_BYTES_MAX, NETWORK_BYTES_MAX};
use crate::core::token::TOKEN_LEN;
use crate::model::{HardNat, ProbePorts, PunchConsent, RelayMode, TestConsent, ThemeChoice};

/// The variable that holds the network secret itself. There is no such key and
/// no such flag: a secret belongs neither into a file that is shown around nor
/// into the process list.
pub const SECRET_VARIABLE: &str = "PUNCHDECK_NETWORK_SECRET";

/// The variable that holds a registry's token itself, for the same reason.
pub const REGISTRY_TOKEN_VARIABLE: &str = "PUNCHDECK_REGISTRY_TOKEN";

/// Variables of flags that are no keys.
pub const OTHER_VARIABLES: &[&str] = &[
    "PUNCHDECK_CONFIG",
    "PUNCHDECK_CTL_FOLLOW",
    "PUNCHDECK_CTL_FOR",
    "PUNCHDECK_CTL_LOG_FOR",
    "PUNCHDECK_CTL_PEERS",
    "PUNCHDECK_CTL_JSON",
    "PUNCHDECK_DIE_WITH_PARENT",
    "PUNCHDECK_HEADLESS",
    "PUNCHDECK_LAB_BASELINE",
    "PUNCHDECK_LAB_EVENTS",
    "PUNCHDECK_LAB_FLEET",
    "PUNCHDECK_LAB_FOR",
    "PUNCHDECK_LAB_JSON",
    "PUNCHDECK_LAB_LATENCY",
    "PUNCHDECK_LAB_LOOPBACK",
    "PUNCHDECK_LAB_NODES",
    "PUNCHDECK_LAB_NO_LATENCY",
    "PUNCHDECK_LAB_OUT",
    "PUNCHDECK_LAB_PEER",
    "PUNCHDECK_LAB_REPEAT",
    "PUNCHDECK_LAB_RUN",
    "PUNCHDECK_LAB_SELF_TEST",
    "PUNCHDECK_LAB_TOPOLOGY",
    "PUNCHDECK_MAN_DIR",
    "PUNCHDECK_READ_ONLY",
    "PUNCHDECK_REGISTRY_DB",
    "PUNCHDECK_REGISTRY_LISTEN",
    "PUNCHDECK_REGISTRY_RETENTION",
    "PUNCHDECK_REGISTRY_TRUST_PROXY",
];

/// A key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `data_dir`
    DataDir,
    /// `name`
    Name,
    /// `network`
    Network,
    /// `network_secret_file`
    NetworkSecretFile,
    /// `bind`
    Bind,
    /// `probe_ports`
    ProbePorts,
    /// `bootstrap`
    Bootstrap,
    /// `direct_window`
    DirectWindow,
    /// `relay_after`
    RelayAfter,
    /// `punch`
    Punch,
    /// `relay`
    Relay,
    /// `hard_nat`
    HardNat,
    /// `path_test`
    PathTest,
    /// `socket`
    Socket,
    /// `control_group`
    ControlGroup,
    /// `log_filter`
    LogFilter,
    /// `log_format`
    LogFormat,
    /// `ascii`
    Ascii,
    /// `theme`
    Theme,
    /// `mouse`
    Mouse,
    /// `mask`
    Mask,
    /// `quit_asks`
    QuitAsks,
    /// `title`
    Title,
    /// `escape_wait`
    EscapeWait,
    /// `registry.url`
    RegistryUrl,
    /// `registry.token_file`
    RegistryTokenFile,
    /// `metrics.listen`
    MetricsListen,
    /// `metrics.token_file`
    MetricsTokenFile,
    /// `metrics.peers`
    MetricsPeers,
}

impl Key {
    /// Every key, in the order in which they are shown.
    pub const ALL: [Self; 29] = [
        Self::DataDir,
        Self::Name,
        Self::Network,
        Self::NetworkSecretFile,
        Self::Bind,
        Self::ProbePorts,
        Self::Bootstrap,
        Self::DirectWindow,
        Self::RelayAfter,
        Self::Punch,
        Self::Relay,
        Self::HardNat,
        Self::PathTest,
        Self::Socket,
        Self::ControlGroup,
        Self::LogFilter,
        Self::LogFormat,
        Self::Ascii,
        Self::Theme,
        Self::Mouse,
        Self::Mask,
        Self::QuitAsks,
        Self::Title,
        Self::EscapeWait,
        Self::RegistryUrl,
        Self::RegistryTokenFile,
        Self::MetricsListen,
        Self::MetricsTokenFile,
        Self::MetricsPeers,
    ];

    /// Its name, its environment variable and its flag.
    const fn names(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::DataDir => ("data_dir", "PUNCHDECK_DATA_DIR", Some("--data-dir")),
            Self::Name => ("name", "PUNCHDECK_NAME", Some("--name")),
            Self::Network => ("network", "PUNCHDECK_NETWORK", Some("--network")),
            Self::NetworkSecretFile => ("network_secret_file", "PUNCHDECK_NETWORK_SECRET_FILE", None),
            Self::Bind => ("bind", "PUNCHDECK_BIND", Some("--bind")),
            Self::ProbePorts => ("probe_ports", "PUNCHDECK_PROBE_PORTS", Some("--probe-ports")),
            Self::Bootstrap => ("bootstrap", "PUNCHDECK_BOOTSTRAP", Some("--bootstrap")),
            Self::DirectWindow => ("direct_window", "PUNCHDECK_DIRECT_WINDOW", None),
            Self::RelayAfter => ("relay_after", "PUNCHDECK_RELAY_AFTER", None),
            Self::Punch => ("punch", "PUNCHDECK_PUNCH", None),
            Self::Relay => ("relay", "PUNCHDECK_RELAY", None),
            Self::HardNat => ("hard_nat", "PUNCHDECK_HARD_NAT", None),
            Self::PathTest => ("path_test", "PUNCHDECK_PATH_TEST", None),
            Self::Socket => ("socket", "PUNCHDECK_SOCKET", Some("--socket")),
            Self::ControlGroup => ("control_group", "PUNCHDECK_CONTROL_GROUP", None),
            Self::LogFilter => ("log_filter", "PUNCHDECK_LOG_FILTER", None),
            Self::LogFormat => ("log_format", "PUNCHDECK_LOG_FORMAT", Some("--log-format")),
            Self::Ascii => ("ascii", "PUNCHDECK_ASCII", None),
            Self::Theme => ("theme", "PUNCHDECK_THEME", Some("--theme")),
            Self::Mouse => ("mouse", "PUNCHDECK_MOUSE", Some("--no-mouse")),
            Self::Mask => ("mask", "PUNCHDECK_MASK", Some("--mask")),
            Self::QuitAsks => ("quit_asks", "PUNCHDECK_QUIT_ASKS", None),
            Self::Title => ("title", "PUNCHDECK_TITLE", None),
            Self::EscapeWait => ("escape_wait", "PUNCHDECK_ESCAPE_WAIT", None),
            Self::RegistryUrl => ("registry.url", "PUNCHDECK_REGISTRY_URL", None),
            Self::RegistryTokenFile => ("registry.token_file", "PUNCHDECK_REGISTRY_TOKEN_FILE", None),
            Self::MetricsListen => ("metrics.listen", "PUNCHDECK_METRICS_LISTEN", None),
            Self::MetricsTokenFile => ("metrics.token_file", "PUNCHDECK_METRICS_TOKEN_FILE", None),
            Self::MetricsPeers => ("metrics.peers", "PUNCHDECK_METRICS_PEERS", None),
        }
    }

    /// The name in the file.
    pub const fn name(self) -> &'static str {
        self.names().0
    }

    /// The environment variable.
    pub const fn variable(self) -> &'static str {
        self.names().1
    }

    /// The flag, if it has one.
    pub const fn flag(self) -> Option<&'static str> {
        self.names().2
    }

    /// The key of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }

    /// What it is for, in one line.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::DataDir => "where the identity, the peer cache and the logs live",
            Self::Name => "the name this node gives itself",
            Self::Network => "the network's name: it separates fleets, it authenticates nobody",
            Self::NetworkSecretFile => "a file with the secret of a closed fleet",
            Self::Bind => "where to listen",
            Self::ProbePorts => "at which two further ports the NAT probes of others are answered",
            Self::Bootstrap => "whom to dial when no peer is known",
            Self::DirectWindow => "how long a direct dial is waited for before the next stage",
            Self::RelayAfter => "how long after a punch began a relay takes over the link",
            Self::Punch => "whose coordinated punch requests are answered",
            Self::Relay => "whom this node serves as a relay",
            Self::HardNat => "whether ports of a symmetric NAT are guessed to leave a relay",
            Self::PathTest => "whose tests of a path are answered",
            Self::Socket => "where the control socket is",
            Self::ControlGroup => "the group that may use the control socket, too",
            Self::LogFilter => "which log lines are kept",
            Self::LogFormat => "how log lines are written, on standard error and in the log file",
            Self::Ascii => "whether the console draws with ASCII only",
            Self::Theme => "which colours the console has; none where `NO_COLOR` is set",
            Self::Mouse => "whether the console takes the mouse; the flag says no",
            Self::Mask => "whether the console shows pseudonyms for peers, addresses and names",
            Self::QuitAsks => "whether q asks first where it would end a node with links",
            Self::Title => "whether the console sets the terminal's title",
            Self::EscapeWait => {
                "how long a lone escape may be the beginning of a key that a slow line cut in two"
            }
            Self::RegistryUrl => "the registry that is told what happened",
            Self::RegistryTokenFile => "a file with the token that lets us in there",
            Self::MetricsListen => "where a Prometheus finds this node's metrics",
            Self::MetricsTokenFile => "a file with the token that it must show",
            Self::MetricsPeers => "whether linked peers are a label of the metrics",
        }
    }

    /// What its value must be.
    pub fn allowed(self) -> String {
        match self {
            Self::DataDir | Self::Socket => "a path (~ is not expanded)".to_owned(),
            Self::ControlGroup => "a group's name or number".to_owned(),
            Self::LogFormat => one_of(LogFormat::ALL.map(LogFormat::name)),
            Self::Name => format!("1 to {NAME_BYTES_MAX} bytes without control characters"),
            Self::Network => format!("1 to {NETWORK_BYTES_MAX} of the characters a-z 0-9 . _ -"),
            Self::NetworkSecretFile => {
                "the path of a file that only its owner can read, with 32 bytes raw or as 64 hex digits"
                    .to_owned()
            }
            Self::Bind => format!("an IP address and a port: 0 for any, or {BIND_PORT_MIN} to 65535"),
            Self::ProbePorts => format!(
                "auto, off, or two different ports from {BIND_PORT_MIN} to 65535 that are not the one in bind, \
                 such as [9001, 9002]"
            ),
            Self::Bootstrap => format!("at most {BOOTSTRAP_MAX} unicast IP addresses with their ports"),
            Self::DirectWindow => range(&DIRECT_WINDOW),
            Self::RelayAfter => range(&RELAY_AFTER),
            Self::EscapeWait => {
                let (least, most) = (seconds(*ESCAPE_WAITS.start()), seconds(*ESCAPE_WAITS.end()));
                format!("a time from {least} to {most}, such as \"50ms\"")
            }
            Self::Punch => one_of(PunchConsent::ALL.map(PunchConsent::name)),
            Self::Relay => one_of(RelayMode::ALL.map(RelayMode::name)),
            Self::HardNat => one_of(HardNat::ALL.map(HardNat::name)),
            Self::PathTest => one_of(TestConsent::ALL.map(TestConsent::name)),
            Self::LogFilter => {
                "off, error, warn, info, debug or trace, alone or as target=level with commas between"
                    .to_owned()
            }
            Self::Ascii => one_of(Ascii::ALL.map(Ascii::name)),
            Self::Theme => one_of(ThemeChoice::ALL.map(ThemeChoice::name)),
            Self::Mouse | Self::Mask | Self::QuitAsks | Self::Title | Self::MetricsPeers => {
                one_of(check::SWITCH_WORDS)
            }
            Self::MetricsListen => "an IP address and a port; beyond this host only with a token".to_owned(),
            Self::RegistryUrl => {
                "an https address, or http where no token is sent or it is this host".to_owned()
            }
            Self::RegistryTokenFile | Self::MetricsTokenFile => format!(
                "the path of a file that only its owner can read, with {} to {} characters",
                TOKEN_LEN.start(),
                TOKEN_LEN.end()
            ),
        }
    }

    /// The default in words where it is the host's, else as TOML.
    pub fn default_text(self) -> String {
        match self {
            Self::DataDir => "the platform's data directory".to_owned(),
            Self::Name => "the host's name".to_owned(),
            Self::NetworkSecretFile
            | Self::ControlGroup
            | Self::RegistryUrl
            | Self::RegistryTokenFile
            | Self::MetricsListen
            | Self::MetricsTokenFile => "none".to_owned(),
            Self::Socket => "`control.sock` in the data directory".to_owned(),
            _ => {
                let host = Host { config_file: None, data_dir: None, name: String::new() };
                self.toml(&Config::defaults(&host)).map(|v| format!("`{v}`")).unwrap_or_default()
            }
        }
    }

    /// Checks a value and puts it into the configuration. A relative path is
    /// taken from `base`.
    pub(super) fn set(self, config: &mut Config, raw: &Raw, base: &Path) -> Result<(), Refused> {
        match self {
            Self::DataDir => config.data_dir = base.join(check::validate_path(raw.text()?)?),
            Self::Name => config.name = check::validate_name(raw.text()?)?,
            Self::Network => config.network = check::validate_network(raw.text()?)?,
            Self::NetworkSecretFile => {
                config.network_secret_file = Some(base.join(check::validate_path(raw.text()?)?));
            }
            Self::Bind => config.bind = check::validate_bind(raw.text()?)?,
            Self::ProbePorts => config.probe_ports = check::validate_probe_ports(&raw.words())?,
            Self::Bootstrap => config.bootstrap = check::validate_bootstrap(raw.list()?)?,
            Self::DirectWindow => config.direct_window = check::validate_direct_window(raw.text()?)?,
            Self::RelayAfter => config.relay_after = check::validate_relay_after(raw.text()?)?,
            Self::Punch => config.punch = check::validate_punch(raw.text()?)?,
            Self::Relay => config.relay = check::validate_relay(raw.text()?)?,
            Self::HardNat => config.hard_nat = check::validate_hard_nat(raw.text()?)?,
            Self::PathTest => config.path_test = check::validate_path_test(raw.text()?)?,
            Self::Socket => config.socket = Some(base.join(check::validate_path(raw.text()?)?)),
            Self::ControlGroup => config.control_group = Some(check::validate_group(raw.text()?)?),
            Self::LogFilter => config.log_filter = check::validate_log_filter(raw.text()?)?,
            Self::LogFormat => config.log_format = check::validate_log_format(raw.text()?)?,
            Self::Ascii => config.ascii = check::validate_ascii(raw.text()?)?,
            Self::Theme => config.theme = check::validate_theme(raw.text()?)?,
            Self::Mouse => config.mouse = check::validate_switch(&raw.to_string())?,
            Self::Mask => config.mask = check::validate_switch(&raw.to_string())?,
            Self::QuitAsks => config.quit_asks = check::validate_switch(&raw.to_string())?,
            Self::Title => config.title = check::validate_switch(&raw.to_string())?,
            Self::EscapeWait => config.escape_wait = check::validate_escape_wait(raw.text()?)?,
            Self::RegistryUrl => config.registry_url = Some(check::validate_registry_url(raw.text()?)?),
            Self::RegistryTokenFile => {
                config.registry_token_file = Some(base.join(check::validate_path(raw.text()?)?));
            }
            Self::MetricsListen => {
                config.metrics.listen = Some(check::validate_metrics_listen(raw.text()?)?);
            }
            Self::MetricsTokenFile => {
                config.metrics.token_file = Some(base.join(check::validate_path(raw.text()?)?));
            }
            Self::MetricsPeers => config.metrics.peers = check::validate_switch(&raw.to_string())?,
        }
        Ok(())
    }

    /// Whether its value is a list of texts; all others are one text.
    pub(super) fn is_list(self) -> bool {
        self == Self::Bootstrap
    }

    /// The value in a configuration as TOML; `None` where there is none.
    pub fn toml(self, config: &Config) -> Option<String> {
        let text = |s: &str| Some(toml::Value::String(s.to_owned()).to_string());
        match self {
            Self::DataDir => text(&config.data_dir.to_string_lossy()),
            Self::Name => text(&config.name),
            Self::Network => text(&config.network),
            Self::NetworkSecretFile => text(&config.network_secret_file.as_ref()?.to_string_lossy()),
            Self::Bind => text(&config.bind.to_string()),
            Self::ProbePorts => match config.probe_ports {
                ports @ ProbePorts::Exactly(_) => Some(ports.to_string()),
                word => text(&word.to_string()),
            },
            Self::Bootstrap => {
                let list = config.bootstrap.iter().map(|a| toml::Value::String(a.to_string()));
                Some(toml::Value::Array(list.collect()).to_string())
            }
            Self::DirectWindow => text(&seconds(config.direct_window)),
            Self::RelayAfter => text(&seconds(config.relay_after)),
            Self::Punch => text(config.punch.name()),
            Self::Relay => text(config.relay.name()),
            Self::HardNat => text(config.hard_nat.name()),
            Self::PathTest => text(config.path_test.name()),
            Self::Socket => text(&config.socket.as_ref()?.to_string_lossy()),
            Self::ControlGroup => text(config.control_group.as_ref()?),
            Self::LogFilter => text(&config.log_filter),
            Self::LogFormat => text(config.log_format.name()),
            Self::Ascii => text(config.ascii.name()),
            Self::Theme => text(config.theme.name()),
            Self::Mouse => Some(config.mouse.to_string()),
            Self::Mask => Some(config.mask.to_string()),
            Self::QuitAsks => Some(config.quit_asks.to_string()),
            Self::Title => Some(config.title.to_string()),
            Self::EscapeWait => text(&seconds(config.escape_wait)),
            Self::RegistryUrl => text(&config.registry_url.as_ref()?.to_string()),
            Self::RegistryTokenFile => text(&config.registry_token_file.as_ref()?.to_string_lossy()),
            Self::MetricsListen => text(&config.metrics.listen?.to_string()),
            Self::MetricsTokenFile => text(&config.metrics.token_file.as_ref()?.to_string_lossy()),
            Self::MetricsPeers => Some(config.metrics.peers.to_string()),
        }
    }
}

fn range(range: &std::ops::RangeInclusive<std::time::Duration>) -> String {
    format!(
        "a time from {} to {}, such as \"2s\" or \"2500ms\"",
        seconds(*range.start()),
        seconds(*range.end())
    )
}

pub(crate) fn one_of<const N: usize>(names: [&str; N]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The table of all keys as Markdown, as it stands in docs/configuration.md.
pub fn reference_table() -> String {
    let mut out =
        String::from("| key | default | for | must be | flag | environment |\n|---|---|---|---|---|---|\n");
    for key in Key::ALL {
        let flag = key.flag().map(|f| format!("`{f}`")).unwrap_or_default();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {flag} | `{}` |",
            key.name(),
            key.default_text(),
            key.purpose(),
            key.allowed(),
            key.variable(),
        );
    }
    out
}
