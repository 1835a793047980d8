//! `cuegate completions SHELL` and `cuegate man`: made from the arguments themselves.

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
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    Ok(output::lines(&String::from_utf8_lossy(&text))?)
}
