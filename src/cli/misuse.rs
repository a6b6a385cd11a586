//! What the parser says of wrong arguments: for people as it says it, and as an
//! object for a program that asked for one. What is wrong with a variable is
//! said with its name: nobody finds it on the command line.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory as _};

use super::output::unprinted;
use super::{Cli, Failure};
use crate::config::validate_switch;

/// The exit code of an error of the parser, which has been told. Help and
/// version are none.
pub(super) fn tell(error: &clap::Error, args: impl Iterator<Item = OsString>) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match error.print().and_then(|()| io::stdout().flush()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => unprinted(why).map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS),
        };
    }
    let args: Vec<OsString> = args.collect();
    let variable = variable_of(error, &args);
    let message = match &variable {
        Some(variable) => format!("{} (environment {variable})", sentence(error)),
        None => sentence(error),
    };
    let failure = Failure::usage(anyhow::anyhow!(message));
    if wants_json(&args) {
        return failure.print_json().report();
    }
    if variable.is_some() {
        return failure.report();
    }
    error.exit()
}

/// What is wrong with variables of flags, whatever command has the flag.
pub(super) fn of_variables() -> Vec<String> {
    let mut all = Vec::new();
    flags(&Cli::command(), &mut all);
    let mut wrong = Vec::new();
    for (arg, variable) in
        all.iter().filter_map(|arg| Some((arg, arg.get_env()?.to_str()?))).filter(|(_, v)| is_set(v))
    {
        // Alone, so that each is told of, and none in place of another.
        let alone = Arg::new(arg.get_id().clone())
            .long(arg.get_long().unwrap_or_default().to_owned())
            .env(variable.to_owned())
            .action(arg.get_action().clone())
            .value_parser(arg.get_value_parser().clone());
        let parsed = Command::new("punchdeck").no_binary_name(true).arg(alone).try_get_matches_from([""; 0]);
        if let Err(error) = parsed {
            wrong.push(format!("{} (environment {variable})", sentence(&error)));
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some()
}

/// Every flag of every command.
fn flags(command: &Command, out: &mut Vec<Arg>) {
    out.extend(command.get_arguments().filter(|a| a.get_long().is_some()).cloned());
    command.get_subcommands().for_each(|c| flags(c, out));
}

/// The variable that a refused value is from, if it is from one.
fn variable_of(error: &clap::Error, args: &[OsString]) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (flag, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let long = flag.split([' ', '=']).next()?.strip_prefix("--")?;
    let given = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        arg.strip_prefix("--").is_some_and(|arg| arg.split('=').next() == Some(long))
    };
    if args.iter().any(given) {
        return None;
    }
    let mut all = Vec::new();
    flags(&Cli::command(), &mut all);
    let mut of_flag = all.iter().filter(|arg| arg.get_long() == Some(long)).filter_map(Arg::get_env);
    of_flag
        .find(|variable| std::env::var_os(variable).is_some_and(|set| set == OsStr::new(value)))
        .map(|variable| variable.to_string_lossy().into_owned())
}

/// What is wrong, without the usage and the tips that follow it.
fn sentence(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command is named; --help lists them".to_owned();
    }
    let text = error.render().to_string();
    let lines = text.trim_start_matches("error: ").lines().map(str::trim);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether the command, as far as it can be told, was to print objects.
fn wants_json(args: &[OsString]) -> bool {
    let has = |what: &str| args.iter().any(|arg| arg == what);
    let set = |variable| std::env::var(variable).is_ok_and(|text| validate_switch(&text) == Ok(true));
    has("--json")
        || (has("ctl") && set("PUNCHDECK_CTL_JSON"))
        || (has("lab") && has("run") && set("PUNCHDECK_LAB_JSON"))
}
