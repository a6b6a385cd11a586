//! `punchdeck completions`: for the shell that is named. What the parser knows
//! comes from it; the peers come from the running node.

use clap::{Command, CommandFactory as _};

use super::{Cli, Failure, Shell, print};

/// What shells ask for the peers: the beginnings of their ids. Not their names:
/// those are chosen by strangers, and shells expand what they are given.
const PEERS: &str = r#"ctl --json peers 2>/dev/null | grep -o '"peer_id":"[0-9a-f]\{12\}' | cut -d '"' -f 4"#;

pub(super) fn execute(shell: Shell) -> Result<(), Failure> {
    let mut out = Vec::new();
    let mut cli = Cli::command();
    let verbs = verbs_about_peers(&cli);
    clap_complete::generate(shell, &mut cli, "punchdeck", &mut out);
    let script = String::from_utf8(out).map_err(Failure::failed)?;
    print(with_peers(shell, script, &verbs).as_bytes())
}

/// The verbs of `ctl` that name a peer.
fn verbs_about_peers(cli: &Command) -> Vec<String> {
    let ctl = cli.get_subcommands().filter(|c| c.get_name() == "ctl");
    ctl.flat_map(Command::get_subcommands)
        .filter(|verb| verb.get_positionals().any(|arg| arg.get_id() == "peer"))
        .map(|verb| verb.get_name().to_owned())
        .collect()
}

fn with_peers(shell: Shell, script: String, verbs: &[String]) -> String {
    match shell {
        Shell::Bash => {
            let verbs = verbs.join("|");
            script
                + &format!(
                    r#"
_punchdeck_or_peers() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}"
    _punchdeck "$@"
    if [[ "${{COMP_WORDS[1]}}" == ctl && "${{cur}}" != -* ]]; then
        case "${{COMP_WORDS[COMP_CWORD-1]}}" in
            {verbs})
                COMPREPLY=( $(compgen -W "$("$1" {PEERS})" -- "${{cur}}") )
                ;;
        esac
    fi
}}
complete -F _punchdeck_or_peers -o bashdefault -o default punchdeck
"#
                )
        }
        Shell::Zsh => {
            let peers = format!(
                "_punchdeck_peers() {{\n    local -a peers\n    peers=(${{(f)\"$(punchdeck {PEERS})\"}})\n    \
                 compadd -a peers\n}}\n\n"
            );
            let script = script
                .lines()
                .map(|line| {
                    let is_peer = line.starts_with("':peer -- ") || line.starts_with("'::peer -- ");
                    let line =
                        if is_peer { line.replace(":'", ":_punchdeck_peers'") } else { line.to_owned() };
                    line + "\n"
                })
                .collect::<String>();
            // Before what runs when the script is loaded.
            match script.rfind("if [ \"$funcstack[1]\"") {
                Some(at) => format!("{}{peers}{}", &script[..at], &script[at..]),
                None => script + &peers,
            }
        }
        Shell::Fish => {
            let verbs = verbs.join(" ");
            script
                + &format!(
                    "function __punchdeck_peers\n    punchdeck {PEERS}\nend\n\
                     complete -c punchdeck -n \"__fish_punchdeck_using_subcommand ctl; \
                     and __fish_seen_subcommand_from {verbs}\" -f -a \"(__punchdeck_peers)\"\n"
                )
        }
        _ => script,
    }
}
