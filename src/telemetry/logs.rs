//! Logs: tracing events to standard error, for people or as JSON lines.
//!
//! Standard output stays free for what a command prints. Set up once, by `main`.

use std::io::{IsTerminal as _, Write as _, stderr};

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use super::Traces;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// The variables that choose what is logged, the first that is set wins.
const VARIABLES: [&str; 2] = ["CUEGATE_LOG", "RUST_LOG"];

/// Without them. The SDK's HTTP client warns of every connection error it does not know; each
/// is reported as the outcome of its call anyway.
const DEFAULT_FILTER: &str = "info,aws_smithy_http_client=error";

/// Logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A variable does not hold a filter.
    #[error("{variable} is not a log filter such as `info` or `warn,cuegate=debug`: {reason}")]
    Filter {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        reason: tracing_subscriber::filter::ParseError,
    },
    /// A log is set up already.
    #[error("logs are set up already")]
    Already(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Sends the log of this process to standard error, and its spans to the collector of `traces`.
///
/// # Errors
/// A filter that does not parse, or a second call.
pub fn init(format: LogFormat, traces: Option<&Traces>) -> Result<(), LogError> {
    let filter = filter(|name| std::env::var(name).ok())?;
    match traces {
        None => tracing::subscriber::set_global_default(registry().with(lines(format, filter)))?,
        // The filter is the log's alone: spans are exported whatever the log shows.
        Some(traces) => tracing::subscriber::set_global_default(
            registry().with(traces.layer()).with(lines(format, filter)),
        )?,
    }
    if format == LogFormat::Json {
        log_panics();
    }
    Ok(())
}

/// Logs why the program ends before, or instead of, [`init`]: a line each in `lines`. For people it
/// is the bare text, as every command ends.
pub fn fail(format: LogFormat, lines_of: &str) {
    match format {
        LogFormat::Human => {
            // There is no place to tell that this failed.
            let _ = writeln!(stderr(), "{lines_of}");
        }
        LogFormat::Json => {
            let filter = EnvFilter::new("error");
            let once = registry().with(lines(format, filter));
            tracing::subscriber::with_default(once, || {
                for line in lines_of.lines().filter(|line| !line.is_empty()) {
                    tracing::error!("{line}");
                }
            });
        }
    }
}

/// Makes a panic a line of the log, where lines are JSON: the standard library's own is plain text.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(thread, place, "panic: {message}");
    }));
}

fn lines<S>(format: LogFormat, filter: EnvFilter) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let layer = fmt::layer()
        // Colours are for terminals; a file or a collector gets plain text.
        .with_ansi(stderr().is_terminal())
        // It would be told by `eprintln!`, which panics where standard error is full.
        .log_internal_errors(false)
        .with_writer(stderr);
    let layer: Box<dyn Layer<S> + Send + Sync> = match format {
        LogFormat::Human => layer.boxed(),
        LogFormat::Json => layer.json().boxed(),
    };
    layer.with_filter(filter)
}

fn filter(variable: impl Fn(&str) -> Option<String>) -> Result<EnvFilter, LogError> {
    for name in VARIABLES {
        if let Some(text) = variable(name).filter(|text| !text.is_empty()) {
            let parsed = EnvFilter::builder().parse(text);
            return parsed.map_err(|reason| LogError::Filter {
                variable: name,
                reason,
            });
        }
    }
    Ok(EnvFilter::new(DEFAULT_FILTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is set, by name.
    type Variables<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn chooses_the_filter() {
        let cases: &[(Variables, Result<&str, &str>)] = &[
            (&[], Ok("aws_smithy_http_client=error,info")),
            (&[("RUST_LOG", "warn")], Ok("warn")),
            (
                &[("RUST_LOG", "warn"), ("CUEGATE_LOG", "debug")],
                Ok("debug"),
            ),
            (&[("CUEGATE_LOG", ""), ("RUST_LOG", "warn")], Ok("warn")),
            (&[("CUEGATE_LOG", "cuegate=loud")], Err("CUEGATE_LOG")),
        ];
        for (set, expected) in cases {
            let value = |name: &str| {
                let found = set.iter().find(|(set, _)| *set == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            match (filter(value), expected) {
                (Ok(filter), Ok(text)) => assert_eq!(filter.to_string(), *text, "{set:?}"),
                (Err(error), Err(name)) => assert!(error.to_string().starts_with(name), "{error}"),
                (got, _) => panic!("{set:?}: {got:?}"),
            }
        }
    }
}
