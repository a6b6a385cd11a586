//! The command line: argument types and one thin file per subcommand.
//!
//! Only wiring. What a command does lives in the modules it calls; nothing here
//! decides. One line on standard error and an exit code tell how it ended.

mod args;
mod attach;
mod completions;
mod config;
mod ctl;
mod drill;
mod failure;
mod fleet_controller;
mod from;
mod keys;
mod lab;
mod lab_controller;
mod man;
mod misuse;
mod open_files;
mod output;
mod prepare;
mod registry;
mod reload;
mod replay;
mod run;
mod service;
mod session;

use std::process::ExitCode;

use clap::Parser as _;

pub use args::{
    AttachArgs, Cli, Command, ConfigArgs, ConfigCommand, CtlArgs, DrillArgs, LabArgs, LabCommand,
    RegistryArgs, RelaysVerb, ReplayArgs, RunArgs, SettingsArgs, Shell, TargetArgs, Verb,
};
pub use failure::Failure;
pub use output::print;
pub use prepare::{Prepared, prepare};

/// Parses the arguments, runs the command, and turns its end into an exit
/// code: 0 done, 1 it did not happen, 2 usage or configuration.
pub fn main() -> ExitCode {
    // Where it cannot be done, whoever has a log tells.
    let _ = open_files::raise();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misuse::tell(&error, std::env::args_os()),
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run::execute(&args),
        Command::Lab(args) => match &args.command {
            None => lab::execute(&args),
            Some(LabCommand::List) => drill::list(),
            Some(LabCommand::From(from)) => {
                from::execute(from).map_err(|failure| if from.json { failure.print_json() } else { failure })
            }
            Some(LabCommand::Run(run)) => {
                drill::run(run).map_err(|failure| if run.json { failure.print_json() } else { failure })
            }
        },
        Command::Attach(args) => attach::execute(&args),
        Command::Replay(args) => replay::execute(&args),
        Command::Ctl(args) => ctl::execute(&args),
        Command::Registry(args) => registry::execute(&args),
        Command::Keys(file) => keys::execute(&SettingsArgs { file, ..SettingsArgs::default() }),
        Command::Config(args) => config::execute(&args),
        Command::Completions { shell } => completions::execute(shell),
        Command::Man { dir } => man::execute(dir.as_deref()),
    }
}
