//! The `cuegate` program: arguments in, exit codes out.
//!
//! 0: all went well; 1: a failure at run time; 2: wrong usage or configuration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use cuegate::app::{self, Source};
use cuegate::cli::output::Stdout;
use cuegate::cli::{
    self, channels::Channels, cluster::Cluster, control, dead_letters::DeadLetters, doctor::Doctor,
    journal::Journal, key::Key, load::Load, pages, send::Send, status::Status, tail::Tail,
    top::Top, version,
};
use cuegate::config;
use cuegate::telemetry::Traces;
use cuegate::telemetry::logs::{self, LogFormat};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What this was built from, where the build was told. It is asked for here and not in the library,
/// so that another commit does not compile that again.
const COMMIT: Option<&str> = option_env!("CUEGATE_COMMIT");

const FAILURE: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// Merges events into timed metadata for Amazon IVS, within its limits.
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway (the default).
    #[command(after_long_help = config::help())]
    Serve(Serve),
    /// Check a configuration: every error at once, with its line.
    CheckConfig {
        /// The file; without one, what `serve` would use.
        file: Option<PathBuf>,
    },
    /// Send one event, or NDJSON from standard input.
    Send(Send),
    /// Print a channel's payloads as they are delivered.
    Tail(Tail),
    // Without a line here, so that their own texts are shown whole.
    Top(Top),
    Load(Load),
    Channels(Channels),
    Status(Status),
    /// Stop sending to channels; their events are still taken in, and expire as ever.
    Pause(control::Channels),
    /// Send to channels again.
    Resume(control::Channels),
    Purge(control::Purge),
    Cancel(control::Cancel),
    /// The events that could not be delivered.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    Doctor(Doctor),
    /// Several nodes that share a database.
    #[command(subcommand)]
    Cluster(Cluster),
    /// API keys.
    #[command(subcommand)]
    Key(Key),
    /// Look into a journal that no process holds.
    #[command(subcommand)]
    Journal(Journal),
    Completions(pages::Completions),
    Man(pages::Man),
    Version(version::Version),
}

#[derive(Args)]
struct Serve {
    /// The configuration; without it config/cuegate.toml if it is there, else the built-in
    /// defaults: local mode.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the log looks.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(arguments) => serve(&arguments),
        Command::CheckConfig { file } => check_config(file.as_deref()),
        Command::Send(arguments) => client(cli::send::run(arguments)),
        Command::Tail(arguments) => client(cli::tail::run(arguments)),
        Command::Top(arguments) => client(cli::top::run(arguments)),
        Command::Load(arguments) => client(cli::load::run(arguments)),
        Command::Channels(arguments) => client(cli::channels::run(arguments)),
        Command::Status(arguments) => client(cli::status::run(arguments)),
        Command::Pause(arguments) => client(control::pause(arguments)),
        Command::Resume(arguments) => client(control::resume(arguments)),
        Command::Purge(arguments) => client(control::purge(arguments)),
        Command::Cancel(arguments) => client(control::cancel(arguments)),
        Command::DeadLetters(command) => client(cli::dead_letters::run(command)),
        Command::Doctor(arguments) => doctor(arguments),
        Command::Cluster(command) => client(cli::cluster::run(command)),
        Command::Key(command) => written(cli::key::run(&command)),
        Command::Completions(arguments) => {
            written(pages::completions(&arguments, Arguments::command()))
        }
        Command::Version(arguments) => written(version::run(&arguments, COMMIT)),
        Command::Man(arguments) => written(pages::man(&arguments, Arguments::command())),
        Command::Journal(command) => match cli::journal::run(&command, &mut Stdout::default()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
            Err(error) => fail(FAILURE, &error),
        },
    }
}

fn serve(arguments: &Serve) -> ExitCode {
    // What it writes are events: its owner's alone, whatever the storage asks for.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    match try_serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => {
            logs::fail(arguments.log_format, &error);
            ExitCode::from(code)
        }
    }
}

fn try_serve(arguments: &Serve) -> Result<(), (u8, String)> {
    let source = Source {
        file: config::locate(arguments.config.as_deref()),
    };
    let wrong = |errors: config::Errors| (WRONG_USAGE, errors.to_string());
    let settings = source.load().map_err(wrong)?;
    let security = app::security(&settings).map_err(wrong)?;
    block_on(async {
        let endpoint = settings.tracing.otlp_endpoint.as_deref();
        let traces = endpoint.map(Traces::start).transpose();
        let traces = traces.map_err(|error| (WRONG_USAGE, error.to_string()))?;
        logs::init(arguments.log_format, traces.as_ref())
            .map_err(|error| (WRONG_USAGE, error.to_string()))?;
        let served = app::serve(source, settings, security, arguments.log_format).await;
        if let Some(traces) = traces {
            traces.close().await;
        }
        served.map_err(|error| (FAILURE, error.to_string()))
    })
}

fn check_config(file: Option<&Path>) -> ExitCode {
    let file = config::locate(file);
    match config::check_config(file.as_deref(), std::env::vars_os()) {
        Ok(report) => match app::security(&report.settings) {
            Ok(_) => written(cli::output::lines(&report.to_string()).map_err(cli::Error::from)),
            Err(errors) => fail(WRONG_USAGE, &errors),
        },
        Err(errors) => fail(WRONG_USAGE, &errors),
    }
}

fn doctor(arguments: Doctor) -> ExitCode {
    let file = config::locate(arguments.config.as_deref());
    let source = Source { file };
    match source.load() {
        Ok(settings) => {
            let secrets = app::security(&settings).err();
            let upstream = app::upstream(&settings);
            client(cli::doctor::run(arguments, settings, secrets, upstream))
        }
        Err(errors) => fail(WRONG_USAGE, &errors),
    }
}

fn client(work: impl Future<Output = Result<(), cli::Error>>) -> ExitCode {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => written(runtime.block_on(work)),
        Err(error) => fail(FAILURE, &error),
    }
}

/// The code of a command that has ended. Whoever closed the pipe has read enough.
fn written(ended: Result<(), cli::Error>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => fail(code_of(&error), &error),
    }
}

fn code_of(error: &cli::Error) -> u8 {
    if matches!(error, cli::Error::Usage(_)) {
        WRONG_USAGE
    } else {
        FAILURE
    }
}

fn block_on(work: impl Future<Output = Result<(), (u8, String)>>) -> Result<(), (u8, String)> {
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|error| (FAILURE, error.to_string()))?;
    let ended = runtime.block_on(work);
    // What still runs on a thread of its own is for somebody who is no longer there.
    runtime.shutdown_timeout(LEFT_BEHIND);
    ended
}

/// How long work on threads of its own may hold up the end.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    cli::output::error(&error.to_string());
    ExitCode::from(code)
}
