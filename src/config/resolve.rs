//! Flag before environment before file before default, each value with where
//! it came from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{
    Config, ConfigError, ConfigErrors, Host, Key, OTHER_VARIABLES, Origin, REGISTRY_TOKEN_VARIABLE, Refused,
    SECRET_VARIABLE, removed::Removed, secret,
};
use crate::core::token::Token;
use crate::files::{self, read};
use crate::model::ProbePorts;
use crate::node::options::NetworkSecret;
use crate::tui::Keymap;

const PREFIX: &str = "PUNCHDECK_";
/// The section with the console's keys.
const KEYS: &str = "keys";
/// The section about the registry.
const REGISTRY: &str = "registry";
/// The section about metrics.
const METRICS: &str = "metrics";

/// A value as it was written, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// One text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// Something of another type, as written.
    Other(String),
}

impl Raw {
    pub(super) fn text(&self) -> Result<&str, Refused> {
        match self {
            Self::Text(text) => Ok(text),
            Self::List(_) | Self::Other(_) => Err(Refused(Some("as one text in quotes".to_owned()))),
        }
    }

    pub(super) fn list(&self) -> Result<impl Iterator<Item = &str>, Refused> {
        match self {
            Self::List(list) => Ok(list.iter().map(String::as_str)),
            Self::Text(_) | Self::Other(_) => {
                Err(Refused(Some("as a list such as [\"198.18.0.1:9000\"]".to_owned())))
            }
        }
    }

    /// Its words or numbers, however they are written: one, or several in a list
    /// or with commas or spaces between.
    pub(super) fn words(&self) -> Vec<String> {
        let split = |text: &str| {
            text.split(|c: char| c == ',' || c.is_whitespace())
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        match self {
            Self::Text(text) => split(text),
            Self::List(list) => list.clone(),
            Self::Other(written) => split(written.trim_start_matches('[').trim_end_matches(']')),
        }
    }

    /// From a variable: a list has commas or spaces between.
    fn from_variable(key: Key, text: &str) -> Self {
        if key.is_list() {
            let items = text.split([',', ' ']).filter(|s| !s.is_empty());
            Self::List(items.map(str::to_owned).collect())
        } else {
            Self::Text(text.to_owned())
        }
    }

    fn from_toml(value: &DeValue<'_>, written: &str) -> Self {
        let text = |v: &DeValue<'_>| v.as_str().map(str::to_owned);
        match value {
            DeValue::String(s) => Self::Text(s.to_string()),
            DeValue::Array(items) => items
                .iter()
                .map(|v| text(v.get_ref()))
                .collect::<Option<_>>()
                .map_or_else(|| Self::Other(written.to_owned()), Self::List),
            _ => Self::Other(written.to_owned()),
        }
    }
}

impl std::fmt::Display for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(list) => write!(f, "{list:?}"),
            // A table or a long list may run over many lines; the message has one.
            Self::Other(written) => f.write_str(written.lines().next().unwrap_or_default()),
        }
    }
}

/// Everything a configuration is made from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The host's own defaults.
    pub host: Host,
    /// The file that was asked for. Without one the platform's is read, and
    /// need not be there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
    /// Values given by flags.
    pub flags: Vec<(Key, Raw)>,
}

impl Sources {
    /// The file that is read, whether it is there or not.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`] if none was asked for and there is no home
    /// directory.
    pub fn path(&self) -> Result<&Path, ConfigError> {
        self.file.as_deref().or(self.host.config_file.as_deref()).ok_or(ConfigError::NoHome("--config FILE"))
    }
}

/// A configuration, and where each value came from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The values.
    pub config: Config,
    /// The network secret, and where it came from.
    pub secret: Option<(NetworkSecret, Origin)>,
    /// The registry's token, and where it came from.
    pub registry_token: Option<(Token, Origin)>,
    /// The token that whoever asks for metrics must show, and where it came from.
    pub metrics_token: Option<(Token, Origin)>,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    pub(super) origins: BTreeMap<Key, Origin>,
    /// Where actions of the console got other keys, by name.
    pub(super) key_origins: BTreeMap<String, Origin>,
}

impl Resolved {
    /// Where a value came from.
    pub fn origin(&self, key: Key) -> Origin {
        self.origins.get(&key).cloned().unwrap_or(Origin::Default)
    }
}

/// Reads the file, checks every value of every source (also one that another
/// overrules: it is wrong all the same), and loads the network secret.
///
/// # Errors
/// All that is wrong, in the order file, environment, flags.
pub fn resolve(sources: &Sources) -> Result<Resolved, ConfigErrors> {
    let mut gather = Gather {
        config: Config::defaults(&sources.host),
        origins: BTreeMap::new(),
        key_origins: BTreeMap::new(),
        errors: Vec::new(),
    };
    let file = gather.read_file(sources);
    let Secrets { network, token } = gather.read_env(&sources.env);
    for (key, raw) in &sources.flags {
        gather.take(*key, raw, Origin::Flag(key.flag().unwrap_or_default()), Path::new(""));
    }
    gather.check_ports();
    let secret = gather.load_secret(network.as_deref());
    let registry_token = gather.load_token(token.as_deref());
    let metrics_token = gather.load_metrics_token();
    if gather.config.data_dir.as_os_str().is_empty() && gather.errors.is_empty() {
        gather.errors.push(ConfigError::NoHome(Key::DataDir.name()));
    }
    if gather.errors.is_empty() {
        let Gather { config, origins, key_origins, .. } = gather;
        Ok(Resolved { config, secret, registry_token, metrics_token, file, origins, key_origins })
    } else {
        Err(ConfigErrors(gather.errors))
    }
}

/// Texts of variables that hold secrets.
#[derive(Default)]
struct Secrets {
    network: Option<String>,
    token: Option<String>,
}

/// Whether settings stand below this name.
fn is_section(name: &str) -> bool {
    name == REGISTRY || name == METRICS
}

/// Every name that may stand in the file.
fn names() -> Vec<&'static str> {
    Key::ALL.map(Key::name).into_iter().chain([KEYS, REGISTRY, METRICS]).collect()
}

struct Gather {
    config: Config,
    origins: BTreeMap<Key, Origin>,
    key_origins: BTreeMap<String, Origin>,
    errors: Vec<ConfigError>,
}

impl Gather {
    fn take(&mut self, key: Key, raw: &Raw, at: Origin, base: &Path) {
        match key.set(&mut self.config, raw, base) {
            Ok(()) => drop(self.origins.insert(key, at)),
            Err(Refused(why)) => {
                let why = why.map(|w| format!("; {w}")).unwrap_or_default();
                self.errors.push(ConfigError::Invalid {
                    key: key.name(),
                    value: raw.to_string(),
                    at,
                    allowed: key.allowed() + &why,
                });
            }
        }
    }

    fn read_file(&mut self, sources: &Sources) -> Option<PathBuf> {
        let path = sources.path().ok()?;
        let text = match read::text(path, files::TEXT_MAX) {
            Ok(text) => text,
            // The platform's own file need not be there, nor its directory.
            Err(e) if e.kind() == ErrorKind::NotFound && sources.file.is_none() => return None,
            Err(source) => {
                self.errors.push(ConfigError::Read { path: path.to_owned(), source });
                return None;
            }
        };
        let at = |offset: usize| Origin::File {
            path: path.to_owned(),
            line: 1 + text.bytes().take(offset).filter(|b| *b == b'\n').count(),
        };
        let table = match DeTable::parse(&text) {
            Ok(table) => table,
            Err(e) => {
                let message = e.message().lines().collect::<Vec<_>>().join(", ");
                self.errors.push(ConfigError::Syntax { at: at(e.span().map_or(0, |s| s.start)), message });
                return Some(path.to_owned());
            }
        };
        let (mut entries, mut keys) = (Vec::new(), Vec::new());
        for (name, value) in table.get_ref() {
            match value.get_ref() {
                DeValue::Table(section) if name.get_ref() == KEYS => {
                    keys.extend(section.iter().map(|(n, v)| (n.get_ref().to_string(), n.span().start, v)));
                }
                // `[registry]` is a section: its keys bear its name.
                DeValue::Table(section) if is_section(name.get_ref()) => {
                    let key = |inner: &str| format!("{}.{inner}", name.get_ref());
                    entries.extend(section.iter().map(|(n, v)| (key(n.get_ref()), n.span().start, v)));
                }
                _ if name.get_ref() == KEYS || is_section(name.get_ref()) => {
                    let written = text.get(value.span()).unwrap_or_default();
                    self.no_table(name.get_ref(), value.get_ref(), written, at(name.span().start));
                }
                _ => entries.push((name.get_ref().to_string(), name.span().start, value)),
            }
        }
        entries.sort_by_key(|(_, start, _)| *start);
        keys.sort_by_key(|(_, start, _)| *start);
        let base = path.parent().unwrap_or(Path::new(""));
        for (name, start, value) in entries {
            let line = at(start);
            match Key::by_name(&name) {
                Some(key) => {
                    let raw = Raw::from_toml(value.get_ref(), text.get(value.span()).unwrap_or_default());
                    self.take(key, &raw, line, base);
                }
                None => self.errors.push(match Removed::by_key(&name) {
                    Some(removed) => ConfigError::Removed { at: line, became: removed.became() },
                    None => ConfigError::UnknownKey { hint: hint(&name, &names()), key: name, at: line },
                }),
            }
        }
        let keys = keys.into_iter().map(|(name, start, value)| {
            (name, at(start), Raw::from_toml(value.get_ref(), text.get(value.span()).unwrap_or_default()))
        });
        self.take_keys(keys.collect());
        Some(path.to_owned())
    }

    /// A name that keys stand below has a value of its own.
    fn no_table(&mut self, name: &str, value: &DeValue<'_>, written: &str, at: Origin) {
        let name = if name == KEYS { KEYS } else { REGISTRY };
        self.errors.push(ConfigError::Invalid {
            key: name,
            value: Raw::from_toml(value, written).to_string(),
            at,
            allowed: format!("a table: the line [{name}], and its keys below"),
        });
    }

    /// Takes the console's keys, all at once: whether two clash depends on both.
    fn take_keys(&mut self, keys: Vec<(String, Origin, Raw)>) {
        let mut changes = Vec::new();
        for (action, at, raw) in &keys {
            match raw {
                Raw::Text(text) => changes.push((action.as_str(), vec![text.as_str()])),
                Raw::List(list) => changes.push((action.as_str(), list.iter().map(String::as_str).collect())),
                Raw::Other(_) => self.errors.push(ConfigError::Keys {
                    at: at.clone(),
                    why: format!(
                        "{action} = {raw}: must be a key such as \"F\" or \"ctrl-f\", or a list of keys"
                    ),
                }),
            }
        }
        let place = |action: &str| keys.iter().find(|(name, ..)| name == action).map(|(_, at, _)| at.clone());
        match Keymap::with(changes) {
            Ok(map) => self.config.keys = map,
            Err(errors) => self.errors.extend(errors.into_iter().map(|error| ConfigError::Keys {
                at: place(&error.action).unwrap_or(Origin::Default),
                why: error.why,
            })),
        }
        self.key_origins = keys.into_iter().map(|(action, at, _)| (action, at)).collect();
    }

    /// No two sockets of a node have the same port.
    fn check_ports(&mut self) {
        let Config { bind, probe_ports, .. } = &self.config;
        let ProbePorts::Exactly(ports) = probe_ports else { return };
        if ports.contains(&bind.port()) {
            let at = self.origins.get(&Key::ProbePorts).cloned().unwrap_or(Origin::Default);
            let allowed = format!("{}; bind is {bind}", Key::ProbePorts.allowed());
            let (key, value) = (Key::ProbePorts.name(), probe_ports.to_string());
            self.errors.push(ConfigError::Invalid { key, value, at, allowed });
        }
    }

    /// Takes the keys' variables and gives back the secrets', unread.
    fn read_env(&mut self, env: &[(OsString, OsString)]) -> Secrets {
        let mut secrets = Secrets::default();
        for (name, value) in env {
            let name = name.to_string_lossy();
            if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&&*name) {
                continue;
            }
            if name == SECRET_VARIABLE {
                // What is no text is no hex either, and is refused as such.
                secrets.network = Some(value.to_string_lossy().into_owned());
                continue;
            }
            if name == REGISTRY_TOKEN_VARIABLE {
                secrets.token = Some(value.to_string_lossy().into_owned());
                continue;
            }
            if let Some(key) = Key::ALL.into_iter().find(|k| k.variable() == name) {
                let at = Origin::Env(key.variable());
                match value.to_str() {
                    Some(text) => self.take(key, &Raw::from_variable(key, text), at, Path::new("")),
                    None => self.errors.push(ConfigError::Invalid {
                        key: key.name(),
                        value: format!("{:?}", value.to_string_lossy()),
                        at,
                        allowed: "UTF-8".to_owned(),
                    }),
                }
            } else if let Some(removed) = Removed::by_variable(&name) {
                let at = Origin::Env(removed.variable());
                self.errors.push(ConfigError::Removed { at, became: removed.became() });
            } else {
                // Ignoring it would let a misspelt name of the secret open a
                // closed fleet.
                let mut known = Key::ALL.map(Key::variable).to_vec();
                known.extend([SECRET_VARIABLE, REGISTRY_TOKEN_VARIABLE]);
                known.extend(OTHER_VARIABLES);
                let hint = hint(&name, &known);
                self.errors.push(ConfigError::UnknownVariable { name: name.into_owned(), hint });
            }
        }
        secrets
    }

    /// The token, if it may go where it would.
    fn load_token(&mut self, variable: Option<&str>) -> Option<(Token, Origin)> {
        let file = self.config.registry_token_file.as_deref();
        let at = match (variable, self.origins.get(&Key::RegistryTokenFile)) {
            (Some(_), _) => Origin::Env(REGISTRY_TOKEN_VARIABLE),
            (None, at) => at?.clone(),
        };
        let result = match (variable, &at, self.origins.get(&Key::RegistryTokenFile)) {
            (Some(_), _, Some(Origin::Env(name))) => Err(format!("{name} is set too; set one of the two")),
            _ => secret::registry_token(file, variable),
        };
        let exposed = self.config.registry_url.as_ref().filter(|url| url.is_exposed());
        match (result, exposed) {
            (Ok(_), Some(url)) => {
                let why = format!("it would go to {url} for everybody on the way to read; use https");
                self.errors.push(ConfigError::Token { at, why });
                None
            }
            (Ok(token), None) => token.map(|token| (token, at)),
            (Err(why), _) => {
                self.errors.push(ConfigError::Token { at, why });
                None
            }
        }
    }

    /// The token for metrics, without which nobody but this host may ask.
    fn load_metrics_token(&mut self) -> Option<(Token, Origin)> {
        let metrics = &self.config.metrics;
        if let Some(at) = self.origins.get(&Key::MetricsTokenFile).cloned() {
            return match secret::registry_token(metrics.token_file.as_deref(), None) {
                Ok(token) => token.map(|token| (token, at)),
                Err(why) => {
                    self.errors.push(ConfigError::MetricsToken { at, why });
                    None
                }
            };
        }
        if let (Some(listen), Some(at)) = (metrics.listen, self.origins.get(&Key::MetricsListen).cloned())
            && !listen.ip().to_canonical().is_loopback()
        {
            let why = format!(
                "there is none, and everybody can reach {listen}: set metrics.token_file, or listen on 127.0.0.1"
            );
            self.errors.push(ConfigError::MetricsToken { at, why });
        }
        None
    }

    fn load_secret(&mut self, variable: Option<&str>) -> Option<(NetworkSecret, Origin)> {
        let file_at = self.origins.get(&Key::NetworkSecretFile).cloned();
        let (result, at) = match (variable, &self.config.network_secret_file, file_at) {
            // Neither of two variables is the stronger one.
            (Some(_), Some(_), Some(Origin::Env(name))) => {
                (Err(format!("{name} is set too; set one of the two")), Origin::Env(SECRET_VARIABLE))
            }
            (Some(text), _, _) => (secret::from_hex(text), Origin::Env(SECRET_VARIABLE)),
            (None, Some(path), Some(at)) => (secret::from_file(path), at),
            (None, _, _) => return None,
        };
        match result {
            Ok(secret) => Some((secret, at)),
            Err(why) => {
                self.errors.push(ConfigError::Secret { at, why });
                None
            }
        }
    }
}

/// Names the nearest of the known words, and all of them if none is near.
fn hint(word: &str, known: &[&str]) -> String {
    /// Below this two words have little more in common than letters.
    const NEAR: f64 = 0.5;
    let nearest = known
        .iter()
        .map(|k| (strsim::normalized_damerau_levenshtein(word, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, k)) if likeness >= NEAR => format!("the nearest is {k:?}"),
        Some((_, k)) => format!("the nearest is {k:?}; known are {}", known.join(", ")),
        None => "none is known".to_owned(),
    }
}
