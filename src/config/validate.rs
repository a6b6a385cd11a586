//! The bounds of every value. Pure: text in, value or reason out. Whoever calls
//! adds the key, what it must be, and where the text came from.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use humantime_serde::re::humantime;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{Ascii, LogFormat};
use crate::core::limits::{NAME_BYTES_MAX, NETWORK_BYTES_MAX, RECORD_PORT_MIN};
use crate::model::{
    HardNat, ProbePorts, PunchConsent, RelayMode, TestConsent, ThemeChoice, clean, plain_addr,
};
use crate::node::RegistryUrl;

/// Shorter, and a slow handshake is cut off; longer, and a peer that cannot be
/// reached directly makes everybody wait.
pub const DIRECT_WINDOW: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(5);
/// At 30 s, the whole time of a punch, the ladder is serial.
pub const RELAY_AFTER: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30);
/// Below, nothing is gained; above, the key that goes back feels broken.
pub const ESCAPE_WAITS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(2);
/// A bootstrap list is a way in; the cache knows the rest.
pub const BOOTSTRAP_MAX: usize = 64;
/// The lowest port to listen on: below, other nodes drop our address.
pub const BIND_PORT_MIN: u16 = RECORD_PORT_MIN;

/// A value is not allowed; says more than the rule where there is more to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Option<String>);

impl Refused {
    /// Against the rule as it stands.
    pub(super) const RULE: Self = Self(None);

    fn because(why: impl Into<String>) -> Self {
        Self(Some(why.into()))
    }
}

/// A path that is not empty and means what it says.
///
/// # Errors
/// [`Refused`] with the reason.
pub fn validate_path(text: &str) -> Result<PathBuf, Refused> {
    if text.is_empty() || text.contains('\0') || text == "~" || text.starts_with("~/") {
        return Err(Refused::RULE);
    }
    Ok(PathBuf::from(text))
}

/// A peer's name.
///
/// # Errors
/// [`Refused`] if it is too long, empty, or would not be shown as written.
pub fn validate_name(text: &str) -> Result<String, Refused> {
    if text.len() > NAME_BYTES_MAX {
        return Err(Refused::because(format!("it has {} bytes", text.len())));
    }
    // What peers show of a name is the cleaned one: let nobody be surprised.
    if text.is_empty() || clean(text) != text {
        return Err(Refused::RULE);
    }
    Ok(text.to_owned())
}

/// A network's name.
///
/// # Errors
/// [`Refused`] if it is too long, empty, or has other characters.
pub fn validate_network(text: &str) -> Result<String, Refused> {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    if (1..=NETWORK_BYTES_MAX).contains(&text.len()) && text.chars().all(ok) {
        Ok(text.to_owned())
    } else {
        Err(Refused::RULE)
    }
}

/// A socket address to listen on.
///
/// # Errors
/// [`Refused`] if it is none, no unicast address, or its port is one that
/// other nodes never dial.
pub fn validate_bind(text: &str) -> Result<SocketAddr, Refused> {
    let addr = plain_addr(text.parse::<SocketAddr>().map_err(|_| Refused::RULE)?);
    if !(addr.ip().is_unspecified() || is_unicast(addr.ip())) {
        return Err(Refused::because("this is no unicast address"));
    }
    if addr.port() != 0 && addr.port() < BIND_PORT_MIN {
        return Err(Refused::because("other nodes drop addresses with lower ports"));
    }
    Ok(addr)
}

/// At which ports the NAT probes of others are answered: words, or the two ports
/// one by one. Whether the node listens there itself is looked at when both are
/// known.
///
/// # Errors
/// [`Refused`] if these are no two ports that other nodes would send to.
pub fn validate_probe_ports(words: &[String]) -> Result<ProbePorts, Refused> {
    let port = |word: &String| word.parse::<u16>().map_err(|_| Refused::RULE);
    match words {
        [word] if word == "auto" => Ok(ProbePorts::Auto),
        [word] if word == "off" => Ok(ProbePorts::Off),
        [one, other] => match (port(one)?, port(other)?) {
            (one, other) if one == other => Err(Refused::because("these are the same")),
            (one, other) if one.min(other) < BIND_PORT_MIN => {
                Err(Refused::because("other nodes drop addresses with lower ports"))
            }
            (one, other) => Ok(ProbePorts::Exactly([one, other])),
        },
        _ => Err(Refused::RULE),
    }
}

/// Addresses to dial; twice the same counts once.
///
/// # Errors
/// [`Refused`] naming the first that is no unicast address with a port.
pub fn validate_bootstrap<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<SocketAddr>, Refused> {
    let mut list = Vec::new();
    for text in texts {
        let addr = text.parse::<SocketAddr>().ok().map(plain_addr);
        let addr = addr
            .filter(|a| a.port() != 0 && !a.ip().is_unspecified() && is_unicast(a.ip()))
            .ok_or_else(|| Refused::because(format!("{text:?} is none (host names are not resolved)")))?;
        if !list.contains(&addr) {
            list.push(addr);
        }
    }
    if list.len() > BOOTSTRAP_MAX {
        return Err(Refused::because(format!("these are {}", list.len())));
    }
    Ok(list)
}

fn is_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_multicast() || ip.is_broadcast()),
        IpAddr::V6(ip) => !ip.is_multicast(),
    }
}

/// The direct window, within [`DIRECT_WINDOW`].
///
/// # Errors
/// [`Refused`] if it is no time or out of bounds.
pub fn validate_direct_window(text: &str) -> Result<Duration, Refused> {
    validate_duration(text, &DIRECT_WINDOW)
}

/// When the relay takes over, within [`RELAY_AFTER`].
///
/// # Errors
/// [`Refused`] if it is no time or out of bounds.
pub fn validate_relay_after(text: &str) -> Result<Duration, Refused> {
    validate_duration(text, &RELAY_AFTER)
}

/// How long a lone escape is waited for, within [`ESCAPE_WAITS`].
///
/// # Errors
/// [`Refused`] if it is no time or out of bounds.
pub fn validate_escape_wait(text: &str) -> Result<Duration, Refused> {
    validate_duration(text, &ESCAPE_WAITS)
}

fn validate_duration(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, Refused> {
    humantime::parse_duration(text).ok().filter(|d| bounds.contains(d)).ok_or(Refused::RULE)
}

/// A time as it is written in the configuration.
pub(super) fn seconds(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// Whose punch requests are answered.
///
/// # Errors
/// [`Refused`] if it is none of the choices.
pub fn validate_punch(text: &str) -> Result<PunchConsent, Refused> {
    PunchConsent::ALL.into_iter().find(|c| c.name() == text).ok_or(Refused::RULE)
}

/// Whom to serve as a relay.
///
/// # Errors
/// [`Refused`] if it is none of the choices.
pub fn validate_relay(text: &str) -> Result<RelayMode, Refused> {
    RelayMode::ALL.into_iter().find(|c| c.name() == text).ok_or(Refused::RULE)
}

/// Whether ports are guessed.
///
/// # Errors
/// [`Refused`] if it is none of the choices.
pub fn validate_hard_nat(text: &str) -> Result<HardNat, Refused> {
    HardNat::ALL.into_iter().find(|c| c.name() == text).ok_or(Refused::RULE)
}

/// Which peers may test the path to this node.
///
/// # Errors
/// [`Refused`] if it is none of the choices.
pub fn validate_path_test(text: &str) -> Result<TestConsent, Refused> {
    TestConsent::ALL.into_iter().find(|c| c.name() == text).ok_or(Refused::RULE)
}

/// Log filter directives.
///
/// # Errors
/// [`Refused`] with what the parser says.
pub fn validate_log_filter(text: &str) -> Result<String, Refused> {
    // The parser takes a lone word that is no level for a target and turns
    // everything else off, and nothing at all for `error`: a slip would
    // silence the log.
    let slip = |d: &str| d.is_empty() || (!d.contains('=') && d.parse::<LevelFilter>().is_err());
    if text.split(',').any(slip) {
        return Err(Refused::RULE);
    }
    text.parse::<Targets>().map_err(|e| Refused::because(e.to_string()))?;
    Ok(text.to_owned())
}

/// How log lines are written.
///
/// # Errors
/// [`Refused`] if it is none of the choices.
pub fn validate_log_format(text: &str) -> Result<LogFormat, Refused> {
    LogFormat::ALL.into_iter().find(|c| c.name() == text).ok_or(Refused::RULE)
}

/// A group of the host.
///
/// # Errors
/// [`Refused`] if no group can have that name.
pub fn validate_group(text: &str) -> Result<String, Refused> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
    if text.is_empty() || text.len() > 32 || !text.chars().all(fits) {
        return Err(Refused::RULE);
    }
    Ok(text.to_owned())
}

/// Which characters the console draws with.
///
/// # Errors
/// [`Refused`] if it is none of the choices.
pub fn validate_ascii(text: &str) -> Result<Ascii, Refused> {
    Ascii::ALL.into_iter().find(|c| c.name() == text).ok_or(Refused::RULE)
}

/// What something that is so or not may be called, in a variable as in the file.
pub const SWITCH_WORDS: [&str; 4] = ["true", "false", "1", "0"];

/// Something that is so or not.
///
/// # Errors
/// [`Refused`] if it is none of [`SWITCH_WORDS`].
pub fn validate_switch(text: &str) -> Result<bool, Refused> {
    // A variable and a flag are texts; the file has a type for it.
    match text.trim_matches('"') {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Refused::RULE),
    }
}

/// Which colours the console has.
///
/// # Errors
/// [`Refused`] if it is none of the choices.
pub fn validate_theme(text: &str) -> Result<ThemeChoice, Refused> {
    ThemeChoice::ALL.into_iter().find(|c| c.name() == text).ok_or(Refused::RULE)
}

/// Where metrics are asked for. Whether a token is needed there is looked at when both
/// are known.
///
/// # Errors
/// [`Refused`] if it is no address.
pub fn validate_metrics_listen(text: &str) -> Result<SocketAddr, Refused> {
    text.parse().map_err(|_| Refused::RULE)
}

/// Where a registry is. Whether a token may go there is looked at when both are
/// known.
///
/// # Errors
/// [`Refused`] with what is wrong with it.
pub fn validate_registry_url(text: &str) -> Result<RegistryUrl, Refused> {
    RegistryUrl::parse(text).map_err(Refused::because)
}
