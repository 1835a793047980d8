//! `cuegate completions SHELL` and `cuegate man`: made from the arguments themselves.

use std::path::{Path, PathBuf};

use super::{Error, output};

/// Print the completions of a shell.
///
/// For bash: `cuegate completions bash > /etc/bash_completion.d/cuegate`
#[derive(clap::Args, Debug)]
pub struct Completions {
    /// Which shell.
    shell: clap_complete::Shell,
}

/// Print the manual page, in roff.
///
/// To read it: `cuegate man | man -l -`
#[derive(clap::Args, Debug)]
pub struct Man {
    /// The page of a command, as `send` or `dead-letters list`; without one, of the program.
    command: Vec<String>,
    /// Write the pages of all commands to files of this directory, as packages have them.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    to: Option<PathBuf>,
}

/// Prints the completions of these arguments.
///
/// # Errors
/// The output cannot be written.
pub fn completions(arguments: &Completions, mut program: clap::Command) -> Result<(), Error> {
    let name = program.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, name, &mut text);
    Ok(output::lines(&String::from_utf8_lossy(&text))?)
}

/// Prints a page of these arguments.
///
/// # Errors
/// There is no such command; the output cannot be written.
pub fn man(arguments: &Man, mut program: clap::Command) -> Result<(), Error> {
    // Gives the commands their whole names.
    program.build();
    if let Some(directory) = &arguments.to {
        std::fs::create_dir_all(directory)?;
        return write(&program, directory);
    }
    let mut command = &program;
    for name in &arguments.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            let known: Vec<_> = command
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            Error::Usage(format!(
                "{name:?} is no command; there are: {}",
                known.join(", ")
            ))
        })?;
    }
    Ok(output::lines(&String::from_utf8_lossy(&page(command)?))?)
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    Ok(text)
}

/// Writes the page of a command and those of its own commands, each to a file of its name.
fn write(command: &clap::Command, directory: &Path) -> Result<(), Error> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    std::fs::write(directory.join(format!("{name}.1")), page(command)?)?;
    // `help` repeats what the pages say.
    let own = command
        .get_subcommands()
        .filter(|own| own.get_name() != "help");
    own.into_iter().try_for_each(|own| write(own, directory))
}
