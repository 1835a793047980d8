//! `cuegate cluster check`: whether the database keeps what nodes rely on, and what that costs.

use std::fmt::{self, Write as _};
use std::time::{Duration, Instant, SystemTime};

use super::{Configuration, connect, refused};
use crate::cli::{Error, output};
use crate::cluster::rows::Appended;
use crate::cluster::trial::{self, Trial};
use crate::cluster::{self, Durability};
use crate::postgres::Session;

/// Commits of a check, one after another.
const COMMITS: usize = 200;

/// Takes of a check.
const TAKES: usize = 20;

/// Looks at the server's clock, of which the quickest counts.
const LOOKS: usize = 10;

/// From here on a clock is told to be off: events' times and signatures go by it.
const CLOCK_OFF: Duration = Duration::from_secs(1);

/// From here on a commit is told to be slow. A call waits for one, and is to leave five times a second.
const SLOW: Duration = Duration::from_millis(100);

/// Sessions of a node beside one for each account that it owns.
const SESSIONS: u64 = 2;

/// Carries it out.
pub(super) async fn check(configuration: &Configuration) -> Result<(), Error> {
    let (settings, address) = configuration.read()?;
    let mut session = connect(&address).await?;
    cluster::check_version(&mut session)
        .await
        .map_err(refused)?;
    let durability = cluster::durability(&mut session).await.map_err(refused)?;
    let server = trial::settings(&mut session).await.map_err(refused)?;
    let offset = clock(&mut session).await?;
    let costs = Costs::measure(&mut session, &settings.cluster.name).await?;
    let findings = Findings {
        server: session.server().to_owned(),
        durability,
        settings: server,
        offset,
        costs,
    };
    Ok(output::line(&findings.to_string())?)
}

/// How far the server's clock is ahead of this machine's, in ms.
async fn clock(session: &mut Session) -> Result<i64, Error> {
    let mut best: Option<(Duration, i64)> = None;
    for _ in 0..LOOKS {
        let (asked, wall) = (Instant::now(), SystemTime::now());
        let theirs = trial::clock(session).await.map_err(refused)?;
        let took = asked.elapsed();
        let ours = wall.duration_since(SystemTime::UNIX_EPOCH);
        let ours = (ours.unwrap_or_default() + took / 2).as_micros();
        let ahead = (i128::from(theirs) - i128::try_from(ours).unwrap_or(i128::MAX)) / 1000;
        if best.is_none_or(|(quickest, _)| took < quickest) {
            best = Some((took, i64::try_from(ahead).unwrap_or(i64::MAX)));
        }
    }
    Ok(best.map_or(0, |(_, ahead)| ahead))
}

/// How long things took, in order.
struct Costs {
    takes: Vec<Duration>,
    commits: Vec<Duration>,
}

impl Costs {
    async fn measure(session: &mut Session, cluster: &str) -> Result<Self, Error> {
        let mut trial = Trial::begin(session, cluster).await.map_err(refused)?;
        let mut costs = Self {
            takes: Vec::with_capacity(TAKES),
            commits: Vec::with_capacity(COMMITS),
        };
        for _ in 0..TAKES {
            let begun = Instant::now();
            let taken = trial.take(session).await.map_err(refused)?;
            costs.takes.push(begun.elapsed());
            if !taken {
                return Err(disturbed());
            }
        }
        for _ in 0..COMMITS {
            let begun = Instant::now();
            let appended = trial.commit(session).await.map_err(refused)?;
            costs.commits.push(begun.elapsed());
            match appended {
                Appended::Durable => {}
                Appended::Unconfirmed => {
                    let what = "a commit was not confirmed by the standby: somebody ended its wait";
                    return Err(Error::Refused(what.to_owned()));
                }
                Appended::Fenced => return Err(disturbed()),
            }
        }
        let late = trial.commit_late(session).await.map_err(refused)?;
        if late != Appended::Fenced {
            let what =
                "the database wrote a commit of an owner that was replaced: it does not fence";
            return Err(Error::Refused(what.to_owned()));
        }
        trial.end(session).await.map_err(refused)?;
        costs.takes.sort_unstable();
        costs.commits.sort_unstable();
        Ok(costs)
    }
}

fn disturbed() -> Error {
    let what = "another check of this cluster is under way; run this one again";
    Error::Refused(what.to_owned())
}

struct Findings {
    server: String,
    durability: Durability,
    settings: trial::Settings,
    offset: i64,
    costs: Costs,
}

impl Findings {
    fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self
            .durability
            .warning()
            .map(Into::into)
            .into_iter()
            .collect();
        let settings = &self.settings;
        if settings.fsync != "on" {
            warnings.push(
                "fsync is off: a machine that loses its power loses what it confirmed".into(),
            );
        }
        if settings.isolation != "read committed" {
            warnings.push(format!(
                "transactions are {} by default: set default_transaction_isolation to read committed for this role, as statements are sent again for nothing",
                settings.isolation
            ));
        }
        if Duration::from_millis(self.offset.unsigned_abs()) >= CLOCK_OFF {
            warnings.push("the clocks differ: keep both by NTP, as AWS refuses signatures of a clock that is minutes off".into());
        }
        let slow = percentile(&self.costs.commits, 99);
        if slow >= SLOW {
            warnings.push(format!(
                "commits are slow: each call waits for one, and {} ms is much of the 200 ms between two calls",
                slow.as_millis()
            ));
        }
        let (sessions, most) = settings.sessions;
        if most.saturating_sub(sessions) < 3 * (SESSIONS + 1) {
            warnings.push(format!(
                "{sessions} of max_connections = {most} sessions are taken: three nodes need {SESSIONS} each, and one for each account"
            ));
        }
        warnings
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            durability,
            settings,
            offset,
            costs,
        } = self;
        let trial::Settings {
            version,
            fsync,
            isolation,
            sessions: (sessions, most),
        } = settings;
        let Durability {
            synchronous_commit,
            standbys,
        } = durability;
        writeln!(f, "server    {server}  PostgreSQL {version}  {isolation}")?;
        writeln!(
            f,
            "settings  synchronous_commit = {synchronous_commit}  synchronous_standby_names = '{standbys}'  fsync = {fsync}"
        )?;
        writeln!(f, "sessions  {sessions} of {most}")?;
        writeln!(f, "clock     {offset:+} ms from this machine's")?;
        writeln!(f, "commit    {}", Times(&costs.commits))?;
        writeln!(f, "take      {}", Times(&costs.takes))?;
        write!(
            f,
            "fence     a commit of an owner that was replaced wrote nothing"
        )?;
        for warning in self.warnings() {
            write!(f, "\nwarning   {warning}")?;
        }
        Ok(())
    }
}

/// Sorted times, as people read them.
struct Times<'a>(&'a [Duration]);

impl fmt::Display for Times<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |percent| percentile(self.0, percent).as_secs_f64() * 1000.0;
        let mut text = String::new();
        write!(
            text,
            "p50 {:.2} ms  p99 {:.2} ms  of {}",
            ms(50),
            ms(99),
            self.0.len()
        )?;
        f.write_str(&text)
    }
}

/// The time that so many percent of them do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let nth = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(nth).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        Findings {
            server: "db:5432".into(),
            durability: Durability {
                synchronous_commit: "on".into(),
                standbys: "FIRST 1 (b, c)".into(),
            },
            settings: trial::Settings {
                version: "15.14".into(),
                fsync: "on".into(),
                isolation: "read committed".into(),
                sessions: (10, 100),
            },
            offset: -3,
            costs: Costs {
                takes: vec![Duration::from_millis(2); TAKES],
                commits: vec![Duration::from_millis(1); COMMITS],
            },
        }
    }

    fn check(change: impl FnOnce(&mut Findings), expected: &[&str]) {
        let mut findings = findings();
        change(&mut findings);
        let warnings = findings.warnings();
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        for (warning, part) in warnings.iter().zip(expected) {
            assert!(warning.contains(part), "{warning}, not {part}");
        }
        let lines = findings.to_string().lines().count();
        assert_eq!(lines, 7 + expected.len());
    }

    #[test]
    fn what_is_warned_of() {
        check(|_| {}, &[]);
        check(
            |it| it.durability.standbys.clear(),
            &["synchronous_standby_names"],
        );
        check(
            |it| it.durability.synchronous_commit = "local".into(),
            &["local"],
        );
        check(|it| it.settings.fsync = "off".into(), &["fsync"]);
        check(
            |it| it.settings.isolation = "serializable".into(),
            &["read committed"],
        );
        check(|it| it.settings.sessions.0 = 95, &["max_connections"]);
        check(|it| it.offset = -3_600_000, &["NTP"]);
        let slow = |it: &mut Findings| it.costs.commits[COMMITS - 3..].fill(SLOW);
        check(slow, &["slow"]);
    }

    #[test]
    fn percentiles() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
