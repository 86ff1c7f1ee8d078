//! `weir completions`: a script that lets a shell complete commands and flags.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::output::print;
use super::{CliError, DONE};

/// The arguments of `weir completions`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    weir completions bash > ~/.local/share/bash-completion/completions/weir\n  \
    weir completions zsh > ~/.zfunc/_weir      # a folder of $fpath\n  \
    weir completions fish > ~/.config/fish/completions/weir.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, weir: Command) -> Result<ExitCode, CliError> {
    print(script(args.shell, weir))?;
    Ok(ExitCode::from(DONE))
}

fn script(shell: Shell, mut weir: Command) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut weir, "weir", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in Shell::value_variants() {
            let script = script(*shell, Cli::command());
            for command in Cli::command().get_subcommands() {
                let name = command.get_name();
                assert!(script.contains(name), "{shell}: {name}");
            }
            assert!(script.contains("admin-token-file"), "{shell}");
        }
    }
}
