//! The arguments. What a flag may hold is checked where the configuration is:
//! its message is the same whether a value came from a flag, a variable or the
//! file.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueHint};

use crate::config::{
    ConfigErrors, Host, Key, Raw, Resolved, SWITCH_WORDS, Sources, one_of, resolve, validate_switch,
};
use crate::core::limits::{TEST_FOR_MAX, TEST_FOR_MIN};
use crate::lab::Topology;

/// An operator console for a gossip-first, NAT-traversing peer-to-peer node.
///
/// Without a command it runs a node with its console. Every flag has an
/// environment variable; flags go before variables, those before the
/// configuration file.
#[derive(Debug, Parser)]
#[command(name = "punchdeck", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 it did not happen, 2 usage or configuration.")]
pub struct Cli {
    /// What to do; without one, `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The arguments of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The console on an embedded node (the default)
    Run(RunArgs),
    /// The same console on a node that runs already
    Attach(AttachArgs),
    /// The console on a file that `w` wrote in one, without a node
    Replay(ReplayArgs),
    /// Ask and command a node that runs already
    Ctl(CtlArgs),
    /// The console on one node of a local fleet
    Lab(LabArgs),
    /// The service that nodes report to, and its page
    Registry(RegistryArgs),
    /// The configuration: write, check, show it
    Config(ConfigArgs),
    /// List the console's keys that are in force
    Keys(FileArgs),
    /// Shell completions, to standard output
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// The manual page, to standard output
    Man {
        /// Write a page for every command into this directory instead
        #[arg(long, value_name = "DIR", env = "PUNCHDECK_MAN_DIR", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// Shells that completions are made for.
pub type Shell = clap_complete::Shell;

/// The arguments of `run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Where settings come from.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Run without a console; log lines go to standard error
    #[arg(long, env = "PUNCHDECK_HEADLESS", value_parser = switch)]
    pub headless: bool,
    /// End when the process that started it does; for the lab's own nodes
    #[arg(long, hide = true, env = "PUNCHDECK_DIE_WITH_PARENT", value_parser = switch)]
    pub die_with_parent: bool,
}

/// The arguments of `attach`.
#[derive(Debug, Clone, Args)]
pub struct AttachArgs {
    /// Which node.
    #[command(flatten)]
    pub target: TargetArgs,
    /// All nodes of a fleet and the consoles of each, by a TOML file that says where their
    /// control sockets are
    #[arg(
        long,
        value_name = "FILE",
        env = "PUNCHDECK_FLEET",
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["socket", "data_dir"]
    )]
    pub fleet: Option<PathBuf>,
    /// Only look; the node itself refuses everything else
    #[arg(long, env = "PUNCHDECK_READ_ONLY", value_parser = switch)]
    pub read_only: bool,
    /// How the console is to be.
    #[command(flatten)]
    pub console: ConsoleArgs,
}

/// The arguments of `replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// The file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The console's.
    #[command(flatten)]
    pub console: ConsoleArgs,
}

/// The arguments of `ctl`.
#[derive(Debug, Clone, Args)]
pub struct CtlArgs {
    /// Which node.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Print one JSON object instead of text
    #[arg(long, global = true, env = "PUNCHDECK_CTL_JSON", value_parser = switch)]
    pub json: bool,
    /// What to ask or do
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to ask of a node, or have it do. PEER is a unique prefix of an id, or a
/// name.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// The node at a glance
    Status,
    /// The peer cache
    Peers,
    /// The links
    Links,
    /// Live and recent attempts, stage by stage
    Attempts {
        /// Only towards this peer
        #[arg(value_hint = ValueHint::Other)]
        peer: Option<String>,
    },
    /// Why the link to a peer is what it is, from what both ends know
    Why {
        /// About whom
        #[arg(value_hint = ValueHint::Other)]
        peer: String,
    },
    /// Reservations on relays, and what is relayed for others
    Relays {
        /// What to do about them; they are shown if left out
        #[command(subcommand)]
        command: Option<RelaysVerb>,
    },
    /// Gossip counters
    Gossip,
    /// What our NAT does, and who saw it
    Nat,
    /// Rates and times of our attempts
    Kpi,
    /// The node's figures as text for Prometheus, for a collector that reads files
    Metrics {
        /// Linked peers are a label
        #[arg(long, env = "PUNCHDECK_CTL_PEERS", value_parser = switch)]
        peers: bool,
    },
    /// What happened lately; as JSON a line each
    Events {
        /// Go on with what happens
        #[arg(long, short, env = "PUNCHDECK_CTL_FOLLOW", value_parser = switch)]
        follow: bool,
    },
    /// Run the ladder towards a peer, and wait for a link
    Connect {
        /// Towards whom
        #[arg(value_hint = ValueHint::Other)]
        peer: String,
    },
    /// Run the punch only, and wait for its end
    Punch {
        /// Towards whom
        #[arg(value_hint = ValueHint::Other)]
        peer: String,
    },
    /// Connect through a relay only, and wait for its end
    Relay {
        /// Towards whom
        #[arg(value_hint = ValueHint::Other)]
        peer: String,
    },
    /// Close a link; no automatic dial for 60 s
    Disconnect {
        /// Whose
        #[arg(value_hint = ValueHint::Other)]
        peer: String,
    },
    /// Exchange records with a peer, or with everybody linked
    Sync {
        /// With whom
        #[arg(value_hint = ValueHint::Other)]
        peer: Option<String>,
    },
    /// Use the standby relay from now on
    Failover {
        /// Only for the link to this peer
        #[arg(value_hint = ValueHint::Other)]
        peer: Option<String>,
    },
    /// Test each path that stands to a peer: round trip, jitter, loss, rates, largest
    /// datagram
    Test {
        /// To whom
        #[arg(value_hint = ValueHint::Other)]
        peer: String,
        /// How long each path is tested: 1s to 60s
        #[arg(long = "for", value_name = "TIME", default_value = "5s", env = "PUNCHDECK_CTL_FOR", value_parser = test_time)]
        time: Duration,
    },
    /// Measure the NAT again
    NatProbe,
    /// Say goodbye to all peers and stop the node
    Leave,
    /// Carry the control protocol over standard input and output, for a program
    /// on another host: `ssh HOST punchdeck ctl bridge`
    Bridge,
}

/// What to do about relays.
#[derive(Debug, Clone, Subcommand)]
pub enum RelaysVerb {
    /// End the reservation that a peer holds on this node; it gets none for 10 min
    End {
        /// Whose
        #[arg(value_hint = ValueHint::Other)]
        peer: String,
    },
}

/// Which running node is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// The configuration file, instead of the platform's
    #[arg(long, global = true, value_name = "FILE", env = "PUNCHDECK_CONFIG", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// `socket`
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        help = help_of(Key::Socket),
        value_hint = ValueHint::FilePath
    )]
    pub socket: Option<String>,
    /// `data_dir`
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = help_of(Key::DataDir),
        value_hint = ValueHint::DirPath
    )]
    pub data_dir: Option<String>,
}

/// The arguments of `lab`.
#[derive(Debug, Clone, Args)]
pub struct LabArgs {
    /// What to do; the console on a fleet if left out
    #[command(subcommand)]
    pub command: Option<LabCommand>,
    /// Where the console's settings come from.
    #[command(flatten)]
    pub file: FileArgs,
    /// How many nodes the fleet has, 2 to 64; as many as the topology says, or 8
    #[arg(long, env = "PUNCHDECK_LAB_NODES", value_parser = clap::value_parser!(u8).range(2..=64))]
    pub nodes: Option<u8>,
    /// On 127.0.0.1, without NATs
    #[arg(long, env = "PUNCHDECK_LAB_LOOPBACK", value_parser = switch)]
    pub loopback: bool,
    /// `topology`
    #[arg(
        long,
        value_name = "FILE",
        help = topology_help(),
        env = "PUNCHDECK_LAB_TOPOLOGY",
        default_value = "default",
        conflicts_with = "loopback"
    )]
    pub topology: PathBuf,
    /// Put all regions next to each other
    #[arg(long, env = "PUNCHDECK_LAB_NO_LATENCY", value_parser = switch)]
    pub no_latency: bool,
    /// Build the network, print what was asked for and what was measured, and end
    #[arg(
        long,
        env = "PUNCHDECK_LAB_SELF_TEST",
        value_parser = switch,
        conflicts_with = "loopback"
    )]
    pub self_test: bool,
    /// How the console is to be.
    #[command(flatten)]
    pub console: ConsoleArgs,
}

/// What a lab does besides showing its fleet.
#[derive(Debug, Clone, Subcommand)]
pub enum LabCommand {
    /// List the built-in drills
    List,
    /// Run a drill and print its verdict
    Run(DrillArgs),
    /// Write a topology and a drill from an incident: a snap, or what ctl why --json printed
    From(FromArgs),
}

/// `punchdeck lab from`
#[derive(Debug, Clone, Args)]
pub struct FromArgs {
    /// A console's snap, or what `ctl why PEER --json` printed
    pub file: PathBuf,
    /// About which peer, by its name or the beginning of its id; of a snap the last one asked about
    #[arg(long, env = "PUNCHDECK_LAB_PEER")]
    pub peer: Option<String>,
    /// Where to write them; here if left out
    #[arg(long, value_name = "DIR", env = "PUNCHDECK_LAB_OUT")]
    pub out: Option<PathBuf>,
    /// Run the drill at once, and say whether the lab shows the same verdict
    #[arg(long, env = "PUNCHDECK_LAB_RUN", value_parser = switch)]
    pub run: bool,
    /// Print the drill's report as one JSON object
    #[arg(long, env = "PUNCHDECK_LAB_JSON", value_parser = switch, requires = "run")]
    pub json: bool,
}

/// `punchdeck lab run`
#[derive(Debug, Clone, Args)]
pub struct DrillArgs {
    /// Built-in drills by name, or files; several are run in turn
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Print one JSON object instead of text
    #[arg(long, env = "PUNCHDECK_LAB_JSON", value_parser = switch)]
    pub json: bool,
    /// How often to run it, 1 to 1000
    #[arg(long, env = "PUNCHDECK_LAB_REPEAT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub repeat: u16,
    /// On 127.0.0.1, without NATs
    #[arg(long, env = "PUNCHDECK_LAB_LOOPBACK", value_parser = switch)]
    pub loopback: bool,
    /// Another network than the drill's: a topology's name, or its file
    #[arg(long, value_name = "FILE", env = "PUNCHDECK_LAB_TOPOLOGY", conflicts_with = "loopback")]
    pub topology: Option<PathBuf>,
    /// A fleet of running nodes, by a TOML file that says where their control sockets are
    #[arg(long, value_name = "FILE", env = "PUNCHDECK_LAB_FLEET", conflicts_with_all = ["loopback", "topology"])]
    pub fleet: Option<PathBuf>,
    /// With the topology's delays between regions
    #[arg(long, env = "PUNCHDECK_LAB_LATENCY", value_parser = switch)]
    pub latency: bool,
    /// How long a soak runs, such as 60s or 10m
    #[arg(long = "for", value_name = "TIME", env = "PUNCHDECK_LAB_FOR", value_parser = time)]
    pub time: Option<Duration>,
    /// Write what happens at every node to a new file, a JSON object a line
    #[arg(long, value_name = "FILE", env = "PUNCHDECK_LAB_EVENTS")]
    pub events: Option<PathBuf>,
    /// Run ant-quic's own ladder on the same pairs too
    #[arg(long, env = "PUNCHDECK_LAB_BASELINE", value_parser = switch)]
    pub baseline: bool,
}

/// The arguments of `registry`.
#[derive(Debug, Clone, Args)]
pub struct RegistryArgs {
    /// Where to listen; more than this host only with a token
    #[arg(long, value_name = "ADDR", env = "PUNCHDECK_REGISTRY_LISTEN", default_value = "127.0.0.1:9080")]
    pub listen: SocketAddr,
    /// The database; registry.db in the data directory if left out
    #[arg(long, value_name = "FILE", env = "PUNCHDECK_REGISTRY_DB")]
    pub db: Option<PathBuf>,
    /// A file with the token that lets nodes and readers in; or set `PUNCHDECK_REGISTRY_TOKEN`
    #[arg(long, value_name = "FILE", env = "PUNCHDECK_REGISTRY_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Take an address's word (`X-Forwarded-For`) for where a request comes from: a
    /// proxy before the registry; several with commas
    #[arg(
        long,
        value_name = "IP",
        env = "PUNCHDECK_REGISTRY_TRUST_PROXY",
        value_delimiter = ',',
        action = clap::ArgAction::Append
    )]
    pub trust_proxy: Vec<IpAddr>,
    /// How long reports are kept, 1h to 10y
    #[arg(long, value_name = "TIME", env = "PUNCHDECK_REGISTRY_RETENTION", default_value = "31d", value_parser = retention)]
    pub retention: Duration,
}

/// The arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do with it
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write the commented default configuration; never over an existing file
    Init(FileArgs),
    /// Check every value of every source
    Check(SettingsArgs),
    /// Print every effective value and where it comes from
    Show(SettingsArgs),
    /// Print the path of the configuration file
    Path(FileArgs),
}

/// Which configuration file.
#[derive(Debug, Clone, Default, Args)]
pub struct FileArgs {
    /// The configuration file, instead of the platform's
    #[arg(long, value_name = "FILE", env = "PUNCHDECK_CONFIG", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

/// The flags that are keys of the configuration. Their variables are read with
/// the configuration, which knows where each value came from.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArgs {
    /// Which file.
    #[command(flatten)]
    pub file: FileArgs,
    /// `data_dir`
    #[arg(long, value_name = "DIR", help = help_of(Key::DataDir), value_hint = ValueHint::DirPath)]
    pub data_dir: Option<String>,
    /// `name`
    #[arg(long, help = help_of(Key::Name), value_hint = ValueHint::Other)]
    pub name: Option<String>,
    /// `bind`
    #[arg(long, value_name = "ADDR", help = help_of(Key::Bind), value_hint = ValueHint::Other)]
    pub bind: Option<String>,
    /// `probe_ports`
    #[arg(long, value_name = "PORTS", help = help_of(Key::ProbePorts), value_hint = ValueHint::Other)]
    pub probe_ports: Option<String>,
    /// `bootstrap`
    #[arg(long, value_name = "ADDR", num_args = 1.., value_delimiter = ',', help = help_of(Key::Bootstrap), value_hint = ValueHint::Other)]
    pub bootstrap: Vec<String>,
    /// `network`
    #[arg(long, value_name = "ID", help = help_of(Key::Network), value_hint = ValueHint::Other)]
    pub network: Option<String>,
    /// `socket`
    #[arg(long, value_name = "PATH", help = help_of(Key::Socket), value_hint = ValueHint::FilePath)]
    pub socket: Option<String>,
    /// `log_format`
    #[arg(long, value_name = "FORMAT", help = help_of(Key::LogFormat))]
    pub log_format: Option<String>,
    /// The console's.
    #[command(flatten)]
    pub console: ConsoleArgs,
}

/// How a console is to be.
#[derive(Debug, Clone, Default, Args)]
pub struct ConsoleArgs {
    /// `mouse`
    #[arg(long, help = format!("Leave the mouse to the terminal [env: {}]", Key::Mouse.variable()))]
    pub no_mouse: bool,
    /// `theme`
    #[arg(long, value_name = "NAME", help = help_of(Key::Theme))]
    pub theme: Option<String>,
    /// `mask`
    #[arg(long, help = help_of(Key::Mask))]
    pub mask: bool,
}

impl ConsoleArgs {
    fn flags(&self) -> impl Iterator<Item = (Key, Raw)> {
        let set = |given: bool, key, value: &str| given.then(|| (key, Raw::Text(value.to_owned())));
        let switches = [set(self.no_mouse, Key::Mouse, "false"), set(self.mask, Key::Mask, "true")];
        switches.into_iter().chain([text(Key::Theme, self.theme.as_ref())]).flatten()
    }
}

/// The variable of a flag that takes no value; the same words as for a key.
fn switch(text: &str) -> Result<bool, String> {
    validate_switch(text).map_err(|_| format!("must be {}", one_of(SWITCH_WORDS)))
}

fn time(text: &str) -> Result<Duration, String> {
    humantime_serde::re::humantime::parse_duration(text).map_err(|e| e.to_string())
}

fn test_time(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    let allowed = TEST_FOR_MIN..=TEST_FOR_MAX;
    if allowed.contains(&time) { Ok(time) } else { Err("it must be 1s to 60s".to_owned()) }
}

/// A quarter of a minute or a century is a slip.
fn retention(text: &str) -> Result<Duration, String> {
    const HOUR: Duration = Duration::from_secs(3600);
    const DECADE: Duration = Duration::from_secs(3653 * 24 * 3600);
    let time = time(text)?;
    if (HOUR..=DECADE).contains(&time) { Ok(time) } else { Err("it must be 1h to 10y".to_owned()) }
}

fn topology_help() -> String {
    let names: Vec<&str> = Topology::built_in_names().collect();
    format!("The network to build: a TOML file, or one of {}", names.join(", "))
}

/// What a key is for and its variable, as clap writes it for those it reads
/// itself.
fn help_of(key: Key) -> String {
    let mut purpose = key.purpose().chars();
    let first = purpose.next().map(|c| c.to_ascii_uppercase());
    format!("{}{} [env: {}]", first.unwrap_or_default(), purpose.as_str(), key.variable())
}

impl FileArgs {
    fn sources(&self, flags: Vec<(Key, Raw)>) -> Sources {
        Sources { host: Host::detect(), file: self.config.clone(), env: std::env::vars_os().collect(), flags }
    }

    /// The file as it would be read, without reading it.
    pub(super) fn path(&self) -> Result<PathBuf, ConfigErrors> {
        Ok(self.sources(Vec::new()).path()?.to_owned())
    }
}

/// A flag that was given, as a value of its key.
fn text(key: Key, value: Option<&String>) -> Option<(Key, Raw)> {
    value.map(|v| (key, Raw::Text(v.clone())))
}

impl TargetArgs {
    /// These flags, the environment and the file, checked.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn resolve(&self) -> Result<Resolved, ConfigErrors> {
        self.resolve_for(&ConsoleArgs::default())
    }

    /// The same with what a console was told.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn resolve_for(&self, console: &ConsoleArgs) -> Result<Resolved, ConfigErrors> {
        let flags = [text(Key::Socket, self.socket.as_ref()), text(Key::DataDir, self.data_dir.as_ref())];
        let file = FileArgs { config: self.config.clone() };
        resolve(&file.sources(flags.into_iter().flatten().chain(console.flags()).collect()))
    }
}

impl SettingsArgs {
    /// These flags, the environment and the file, checked.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn resolve(&self) -> Result<Resolved, ConfigErrors> {
        resolve(&self.file.sources(self.flags()))
    }

    /// Where the configuration is read from.
    pub(super) fn path(&self) -> Result<PathBuf, ConfigErrors> {
        self.file.path()
    }

    fn flags(&self) -> Vec<(Key, Raw)> {
        let list = (!self.bootstrap.is_empty()).then(|| (Key::Bootstrap, Raw::List(self.bootstrap.clone())));
        [
            text(Key::DataDir, self.data_dir.as_ref()),
            text(Key::Name, self.name.as_ref()),
            text(Key::Network, self.network.as_ref()),
            text(Key::Bind, self.bind.as_ref()),
            text(Key::ProbePorts, self.probe_ports.as_ref()),
            text(Key::Socket, self.socket.as_ref()),
            text(Key::LogFormat, self.log_format.as_ref()),
            list,
        ]
        .into_iter()
        .flatten()
        .chain(self.console.flags())
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::{OTHER_VARIABLES, SECRET_VARIABLE};

    #[test]
    fn the_argument_types_are_consistent() {
        Cli::command().debug_assert();
    }

    /// Every flag of every command, but the two that clap brings.
    fn flags(command: &clap::Command, out: &mut Vec<clap::Arg>) {
        out.extend(
            command
                .get_opts()
                .chain(command.get_arguments().filter(|a| a.get_long().is_some()))
                .filter(|a| !matches!(a.get_id().as_str(), "help" | "version"))
                .cloned(),
        );
        command.get_subcommands().for_each(|c| flags(c, out));
    }

    #[test]
    fn every_flag_has_a_variable_that_the_configuration_knows() {
        let mut all = Vec::new();
        flags(&Cli::command(), &mut all);
        assert!(all.len() > 10);
        for arg in all {
            let long = format!("--{}", arg.get_long().unwrap());
            let key = Key::ALL.into_iter().find(|k| k.flag() == Some(long.as_str()));
            match (key, arg.get_env()) {
                (Some(key), None) => {
                    let help = arg.get_help().unwrap().to_string();
                    assert!(help.contains(&format!("[env: {}]", key.variable())), "{long}: {help}");
                }
                (None, Some(env)) => {
                    // The registry and those who report to it share a token, and its variable.
                    let env = env.to_str().unwrap();
                    let is_a_key = Key::ALL.into_iter().any(|k| k.variable() == env);
                    assert!(is_a_key || OTHER_VARIABLES.contains(&env), "{long}");
                }
                (key, env) => panic!("{long} is {key:?} and reads {env:?}"),
            }
        }
    }

    #[test]
    fn every_key_that_names_a_flag_has_it() {
        let command = Cli::command();
        for flag in Key::ALL.into_iter().filter_map(Key::flag) {
            assert!(command.get_arguments().any(|a| a.get_long() == flag.strip_prefix("--")), "{flag}");
        }
        assert!(
            command.get_arguments().all(|a| !a.get_id().as_str().contains("secret")),
            "{SECRET_VARIABLE} only"
        );
    }

    #[test]
    fn no_command_is_run() {
        let cli = Cli::parse_from([
            "punchdeck",
            "--name",
            "x",
            "--bootstrap",
            "198.18.0.1:9000",
            "198.18.0.2:9000",
        ]);
        assert!(cli.command.is_none());
        assert_eq!(cli.run.settings.flags()[0], (Key::Name, Raw::Text("x".into())));
        assert_eq!(cli.run.settings.bootstrap.len(), 2);
        assert!(
            matches!(Cli::parse_from(["punchdeck", "run", "--headless"]).command, Some(Command::Run(r)) if r.headless)
        );
    }

    #[test]
    fn a_fleet_has_2_to_64_nodes() {
        for (nodes, ok) in [("1", false), ("2", true), ("64", true), ("65", false)] {
            assert_eq!(Cli::try_parse_from(["punchdeck", "lab", "--nodes", nodes]).is_ok(), ok, "{nodes}");
        }
    }
}
