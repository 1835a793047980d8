//! Where the database is: a URL as libpq has it, of which we read `sslmode` and `sslrootcert`
//! ourselves, because the driver knows other modes and no files.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{self, Host};

use super::Error;

/// A peer that answers no keepalive is given up after 2 s of silence and three probes a second apart.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(2);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_RETRIES: u32 = 3;

/// Bytes that were sent and not acknowledged for this long end the connection.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// For each session: how long a statement waits for another's lock, and how long a transaction may
/// stand open. We send none that stays open; this is for what a proxy in between makes of it.
const OPTIONS: &str = "-c lock_timeout=2000 -c idle_in_transaction_session_timeout=5000";

const PORT: u16 = 5432;

/// What is asked of the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS with any certificate; with `sslrootcert`, as [`Self::VerifyCa`].
    Require,
    /// A certificate of a known authority.
    VerifyCa,
    /// And with the name of the host.
    VerifyFull,
}

/// Where the database is and how to log in.
#[derive(Clone)]
pub struct Address {
    config: Config,
    servers: Vec<(Host, u16)>,
    pub(super) ssl: SslMode,
    pub(super) root: Option<PathBuf>,
}

impl Address {
    /// Reads a URL: `postgres://user@host1:5432,host2/db?target_session_attrs=read-write`. Beside
    /// the driver's parameters it takes `sslmode` (`disable`, `require`, `verify-ca`, `verify-full`)
    /// and `sslrootcert` (a PEM file). Without `sslmode` it is `verify-full`, and `disable` where
    /// all hosts are this machine.
    ///
    /// # Errors
    /// [`Error::Settings`], without any part of the URL that could be a secret.
    pub fn parse(url: &str) -> Result<Self, Error> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            let what = "the database's URL must begin with postgres:// or postgresql://";
            return Err(Error::Settings(what.to_owned()));
        }
        let (rest, ours) = split(url)?;
        // The driver's error names a parameter, never a value.
        let read = Config::from_str(&rest).map_err(|error| {
            let cause =
                std::error::Error::source(&error).map_or(String::new(), ToString::to_string);
            Error::Settings(format!("the database's URL cannot be read: {cause}"))
        })?;
        let servers = servers(&read)?;
        let ssl = match &ours.mode {
            Some(mode) => mode_of(mode)?,
            None if servers.iter().all(|(host, _)| is_here(host)) => SslMode::Disable,
            None => SslMode::VerifyFull,
        };
        let mut config = session_config(&read);
        config.ssl_mode(if ssl == SslMode::Disable {
            config::SslMode::Disable
        } else {
            config::SslMode::Require
        });
        Ok(Self {
            config,
            servers,
            ssl,
            root: ours.root,
        })
    }

    /// The password from a file, without the line's end.
    ///
    /// # Errors
    /// It cannot be read, or is empty.
    pub fn read_password(&mut self, file: &Path) -> Result<(), Error> {
        let what = |what: &dyn fmt::Display| {
            Error::Settings(format!("the password's file {}: {what}", file.display()))
        };
        let text = std::fs::read_to_string(file).map_err(|error| what(&error))?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err(what(&"it is empty"));
        }
        self.config.password(password);
        Ok(())
    }

    /// Sets how a session's commits are confirmed, before it says anything.
    #[must_use]
    pub fn without_waiting_for_commits(mut self) -> Self {
        self.config
            .options(format!("{OPTIONS} -c synchronous_commit=off"));
        self
    }

    /// Each server with what a session to it alone needs.
    pub(super) fn each(&self) -> impl Iterator<Item = (String, Config)> + '_ {
        self.servers.iter().map(|(host, port)| {
            let mut config = self.config.clone();
            config.port(*port);
            let name = match host {
                Host::Tcp(name) => {
                    config.host(name.as_str());
                    name.clone()
                }
                Host::Unix(path) => {
                    config.host_path(path);
                    // As libpq does: nobody is between.
                    config.ssl_mode(config::SslMode::Disable);
                    path.display().to_string()
                }
            };
            (format!("{name}:{port}"), config)
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (server, _) in self.each() {
            write!(f, "{comma}{server}")?;
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// The parameters that are ours.
#[derive(Default)]
struct Ours {
    mode: Option<String>,
    root: Option<PathBuf>,
}

/// A URL without the parameters that are ours.
fn split(url: &str) -> Result<(String, Ours), Error> {
    let mut ours = Ours::default();
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), ours));
    };
    let mut left = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
        let value = decoded
            .map_err(|_| Error::Settings(format!("the database's URL: {name} is not UTF-8")))?;
        match name {
            "sslmode" => ours.mode = Some(value.into_owned()),
            "sslrootcert" => ours.root = Some(PathBuf::from(value.into_owned())),
            _ => left.push(parameter),
        }
    }
    let rest = if left.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", left.join("&"))
    };
    Ok((rest, ours))
}

fn mode_of(text: &str) -> Result<SslMode, Error> {
    match text {
        "disable" => Ok(SslMode::Disable),
        "require" => Ok(SslMode::Require),
        "verify-ca" => Ok(SslMode::VerifyCa),
        "verify-full" => Ok(SslMode::VerifyFull),
        _ => Err(Error::Settings(
            "the database's URL: sslmode must be disable, require, verify-ca or verify-full".into(),
        )),
    }
}

fn servers(read: &Config) -> Result<Vec<(Host, u16)>, Error> {
    let hosts = read.get_hosts();
    if hosts.is_empty() || !read.get_hostaddrs().is_empty() {
        let what = "the database's URL must name its servers as hosts, and not with hostaddr";
        return Err(Error::Settings(what.to_owned()));
    }
    let port = |nth: usize| match read.get_ports() {
        [] => PORT,
        [one] => *one,
        ports => ports.get(nth).copied().unwrap_or(PORT),
    };
    let numbered = hosts.iter().cloned().enumerate();
    Ok(numbered.map(|(nth, host)| (host, port(nth))).collect())
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            let ip = name.parse::<IpAddr>();
            name == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
        }
        Host::Unix(_) => true,
    }
}

/// What was read but for the hosts, with our time-outs: one that is tried after another must not
/// wait for a host that hangs.
fn session_config(read: &Config) -> Config {
    let mut config = Config::new();
    if let Some(user) = read.get_user() {
        config.user(user);
    }
    if let Some(password) = read.get_password() {
        config.password(password);
    }
    if let Some(name) = read.get_dbname() {
        config.dbname(name);
    }
    config
        .application_name(read.get_application_name().unwrap_or("cuegate"))
        .options(OPTIONS)
        .target_session_attrs(read.get_target_session_attrs())
        .channel_binding(read.get_channel_binding())
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(TCP_USER_TIMEOUT);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: &Result<(&str, SslMode), &str>) {
        let read = Address::parse(url).map(|address| (address.to_string(), address.ssl));
        match (read, expected) {
            (Ok((servers, ssl)), Ok(expected)) => assert_eq!((servers.as_str(), ssl), *expected),
            (Err(error), Err(part)) => {
                let text = error.to_string();
                assert!(text.contains(part), "{text}");
                assert!(!text.contains("hunter2"), "{text}");
            }
            (read, expected) => panic!("{url}: {read:?}, not {expected:?}"),
        }
    }

    #[test]
    fn urls() {
        use SslMode::{Disable, Require, VerifyCa, VerifyFull};
        check("postgres://a@127.0.0.1/d", &Ok(("127.0.0.1:5432", Disable)));
        check(
            "postgresql://a:hunter2@db.example:6/d",
            &Ok(("db.example:6", VerifyFull)),
        );
        let two =
            "postgres://a:hunter2@one,two:7/d?target_session_attrs=read-write&sslmode=require";
        check(two, &Ok(("one:5432,two:7", Require)));
        check(
            "postgres://a@one/d?sslmode=verify-ca",
            &Ok(("one:5432", VerifyCa)),
        );
        check(
            "postgres://a@one,localhost/d",
            &Ok(("one:5432,localhost:5432", VerifyFull)),
        );
        check(
            "mysql://a:hunter2@one/d",
            &Err("must begin with postgres://"),
        );
        check(
            "postgres://a:hunter2@one/d?sslmode=prefer",
            &Err("sslmode must be"),
        );
        check(
            "postgres://a:hunter2@one/d?hunter=1",
            &Err("unknown option `hunter`"),
        );
        check("postgres://a:hunter2@one:port/d", &Err("port"));
        check("postgres:///d", &Err("name its servers"));
    }

    #[test]
    fn the_files_of_a_url() {
        let url = "postgres://a:hunter2@one/d?sslrootcert=%2Fetc%2Fca.pem";
        let address = Address::parse(url).expect("an address");
        assert_eq!(address.root.as_deref(), Some(Path::new("/etc/ca.pem")));
        assert!(!format!("{address:?} {address}").contains("hunter2"));
    }
}
