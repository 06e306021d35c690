//! `portcullis completions`: scripts for shells.

use std::io::Write;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Ended;

/// Print a script that completes commands and options in a shell.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  portcullis completions bash > /etc/bash_completion.d/portcullis
  portcullis completions fish > ~/.config/fish/completions/portcullis.fish
  portcullis completions zsh > ~/.zfunc/_portcullis    # a folder of $fpath")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ended> {
    // Generated into memory first: the generator panics when a pipe closes.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "portcullis", &mut script);
    out.write_all(&script)?;
    Ok(Ended::Well)
}
