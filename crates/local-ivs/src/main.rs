//! The emulator as a program: arguments, signals, exit codes. Everything else is the
//! library's.
//!
//! Exit codes: 0 clean, 1 failure at run time, 2 wrong usage, credentials file or data
//! directory.

use clap::{Parser, ValueEnum};
use local_ivs::{
    BindError, DEMO_CHANNEL, EventsTarget, Keys, Measure, Options, PlaybackUrl, Rates, Server,
};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// A strict local emulator of the Amazon IVS API: all 46 operations
///
/// Beside the API, at the same address and without credentials: `GET /_local/report`,
/// `POST /_local/reset`, `POST /_local/limits`, `GET|POST|DELETE /_local/faults`,
/// `GET|POST|DELETE /_local/events`, `POST /_local/ingest` `{"streamKey": "sk_..."}`,
/// `GET|POST|DELETE /_local/life`, `POST /_local/channels/{arn}/events`,
/// `POST /_local/channels/{arn}/stream` `{"state": "live"|"offline"}`,
/// `GET /_local/channels/{arn}/revocations`,
/// `GET /_local/channels/{arn}/playback.m3u8` and
/// `GET /_local/channels/{arn}/metadata?after=SEQ`, as JSON or as server-sent events.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; its /_local/ endpoints ask for no credentials
    #[arg(long, default_value = "127.0.0.1:4580")]
    listen: String,

    /// TOML file with a `[[key]]` for each access key
    ///
    /// A key has `access_key_id`, `secret_access_key`, `account`, and may have
    /// `session_token` and `operations`, such as `["ivs:PutMetadata"]`. Without a file the
    /// access key `test` with secret `test` belongs to account 000000000000.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// Directory to keep resources, tags and sessions in
    ///
    /// Without it everything is in memory only. What the API answered is there after a
    /// restart, even after a kill. Live streams end with the server, and the next start
    /// tells so. One process at a time.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// How calls per second are measured
    #[arg(long, value_enum, default_value_t = MeasureArgument::Sliding)]
    measure: MeasureArgument,

    /// The longest metadata, in bytes of UTF-8, 1 to 1024
    #[arg(long, value_name = "BYTES", default_value_t = Rates::default().payload_max_bytes)]
    payload_max_bytes: usize,

    /// Makes identifiers and faults repeatable; without it both differ every time
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// A name that requests below /_local/ may be for, beside localhost and this machine's
    /// addresses; may be given several times
    ///
    /// Without it they are refused, so that no page in a browser steers the emulator by a name
    /// that it points here. The API itself is signed and takes every name.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// Address that encoders stream to, by RTMP: ffmpeg or OBS, with the stream key of a channel; off by default
    ///
    /// The server is `rtmp://ADDRESS/app`. Viewers then see what the encoder sends, H.264 and AAC, in place of the test
    /// picture.
    #[arg(long, value_name = "ADDRESS")]
    ingest: Option<String>,

    /// Where the playback URLs of channels lead
    ///
    /// Every live channel can be played here, as HLS with its metadata in it: a test picture, or what an encoder sends.
    #[arg(long, value_enum, default_value_t = PlaybackArgument::Emulator)]
    playback_url: PlaybackArgument,

    /// Where events of channels are posted as an API destination of `EventBridge` would get
    /// them: `http://HOST[:PORT][/PATH]`, without TLS
    #[arg(long, value_name = "URL")]
    events_url: Option<String>,

    /// Sent with every event, as an API destination sends its API key
    #[arg(long, value_name = "SECRET", requires = "events_url")]
    events_secret: Option<String>,

    /// The header that carries the secret [default: X-Cuegate-Secret]
    #[arg(long, value_name = "NAME", requires = "events_secret")]
    events_header: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MeasureArgument {
    /// No second, wherever it begins, holds more calls than the limit
    Sliding,
    /// A token bucket that holds one second's calls
    Bucket,
    /// Whole seconds of the server's clock
    Fixed,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PlaybackArgument {
    /// To the emulator
    Emulator,
    /// Nowhere; they have the form of the real ones
    Real,
}

impl From<PlaybackArgument> for PlaybackUrl {
    fn from(argument: PlaybackArgument) -> Self {
        match argument {
            PlaybackArgument::Emulator => Self::Emulator,
            PlaybackArgument::Real => Self::Real,
        }
    }
}

impl From<MeasureArgument> for Measure {
    fn from(argument: MeasureArgument) -> Self {
        match argument {
            MeasureArgument::Sliding => Self::Sliding,
            MeasureArgument::Bucket => Self::Bucket,
            MeasureArgument::Fixed => Self::Fixed,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();

    let keys = match arguments.credentials.as_deref().map(read_keys).transpose() {
        Ok(keys) => keys.unwrap_or_default(),
        Err(error) => {
            tell(&format!("error: {error}"));
            return ExitCode::from(2);
        }
    };
    let options = Options {
        keys,
        rates: Rates {
            measure: arguments.measure.into(),
            payload_max_bytes: arguments.payload_max_bytes,
            ..Rates::default()
        },
        live_channels: vec![DEMO_CHANNEL.to_owned()],
        data_dir: arguments.data_dir,
        seed: arguments.seed.unwrap_or_else(random_seed),
        events: arguments.events_url.map(|url| EventsTarget {
            url,
            header: arguments.events_header,
            secret: arguments.events_secret,
        }),
        allow_hosts: arguments.allow_host,
        ingest: arguments.ingest,
        playback_url: arguments.playback_url.into(),
        ..Options::default()
    };
    let server = match Server::bind(&arguments.listen, options).await {
        Ok(server) => server,
        Err(error @ (BindError::Rates(_) | BindError::Events(_) | BindError::Data(_))) => {
            tell(&format!("error: {error}"));
            return ExitCode::from(2);
        }
        Err(error @ BindError::Ingest(..)) => {
            tell(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
        Err(error) => {
            tell(&format!("error: {}: {error}", arguments.listen));
            return ExitCode::FAILURE;
        }
    };
    let stopped = match stop_signal() {
        Ok(stopped) => stopped,
        Err(error) => {
            tell(&format!("error: cannot listen for signals: {error}"));
            return ExitCode::FAILURE;
        }
    };

    let address = server.local_addr();
    let example = if arguments.credentials.is_none() {
        format!(
            "try: AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws ivs put-metadata --region us-west-2 --endpoint-url http://{address} --channel-arn {DEMO_CHANNEL} --metadata hello\n"
        )
    } else {
        String::new()
    };
    let ingest = server.ingest_addr().map_or_else(String::new, |address| {
        format!("stream to: rtmp://{address}/app/STREAM_KEY\n")
    });
    let hints = format!(
        "local IVS on http://{address}, live channel {DEMO_CHANNEL}\n{example}{ingest}see: curl http://{address}/_local/report\n"
    );
    // Whoever started it may have closed its output, which is no reason to stop.
    let _ = std::io::stdout().write_all(hints.as_bytes());
    match server.serve(stopped).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells why it ends. Where nobody can be told, that is no reason to panic.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What the standard library keys its hash maps with: different every time.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn read_keys(path: &Path) -> Result<Keys, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Keys::from_toml(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Ready at the first SIGINT or SIGTERM.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ready at the first Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
