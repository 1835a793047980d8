//! The show: three nodes, their database with its standby, the API, and the ways between them, all of
//! which a fault may hit. Everything that a fault did is mended by [`Show::mend`].

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::conservation::judge::{Delivered, judge};
use crate::support::emulator::Emulator;
use crate::support::postgres::Cluster;
use crate::support::process::{ACCOUNT, Gateway, arn, command, run};
use crate::support::proxy::{Proxy, Way};
use crate::support::sql::Sql;
use crate::support::wall_clock::WallClock;
use crate::support::{http, within};

use super::pausing;
use super::producer::{Doors, Producer};

/// The shortest that there is.
pub const LEASE: Duration = Duration::from_secs(3);

/// Nodes of the cluster.
const NODES: usize = 3;

/// Each of its own producer.
const CHANNELS: usize = 4;

/// Less than the channels may do together: so both limits are looked at.
const ACCOUNT_TPS: u64 = 12;

/// No call is handled later than this after it was given up, which is what the limits rest on: faults hold
/// calls back for less.
pub const ABANDON_MS: u64 = 2000;

/// So many calls say that calls are made.
const SOME_CALLS: usize = 12;

/// How long anything may take that the table of faults has no time for, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A node, and its ways to the others.
pub struct Node {
    /// None: its process ended.
    pub gateway: Option<Gateway>,
    /// To each server of the database.
    databases: Vec<Proxy>,
    pub api: Proxy,
    pub clock: Option<WallClock>,
}

pub struct Show {
    pub random: fastrand::Rng,
    pub nodes: Vec<Node>,
    pub emulator: Emulator,
    pub database: Cluster,
    /// The standby's way to its primary.
    pub replication: Proxy,
    producers: Vec<Producer>,
    doors: Doors,
    /// What the API took of each channel, and the number of the last.
    taken: Vec<(u64, Delivered)>,
    /// When it took a payload, of whichever channel, in µs.
    moments: Vec<u64>,
    calls: Vec<(u64, String)>,
    home: tempfile::TempDir,
    /// Nodes are started as the program that stops itself once this file is there.
    stops_at: Option<PathBuf>,
}

/// What was found when all was still.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub events: usize,
    pub lost: usize,
    pub doubled: usize,
    pub most_of_a_channel: u64,
    pub most_of_all: u64,
    pub longest_gap: Duration,
    pub wrong: Vec<String>,
}

impl Show {
    /// None: there is no PostgreSQL for tests.
    pub fn start(seed: u64) -> Option<Self> {
        let mut replication = None;
        let database =
            Cluster::replicated_by(|primary| replication.insert(Proxy::start(primary)).address)?;
        let emulator = Emulator::start(&[]);
        let home = tempfile::tempdir().expect("a directory");
        let mut random = fastrand::Rng::with_seed(seed);
        let doors = Doors::default();
        let nodes = (0..NODES).map(|nth| Node {
            gateway: None,
            databases: servers(&database).map(Proxy::start).collect(),
            api: Proxy::start(emulator.api.0),
            clock: WallClock::new(home.path().join(format!("clock-{nth}"))),
        });
        let nodes = nodes.collect();
        let channels = (0..CHANNELS).map(|nth| format!("c{nth}"));
        let producers = channels.map(|channel| {
            emulator.api.stream(&arn(&channel), "live");
            Producer::start(channel, doors.clone(), random.fork())
        });
        let taken = |channel| Delivered {
            channel,
            payloads: Vec::new(),
        };
        let mut show = Self {
            producers: producers.collect(),
            random,
            nodes,
            emulator,
            database,
            replication: replication.expect("it has a standby"),
            doors,
            taken: (0..CHANNELS).map(|_| (0, taken(0))).collect(),
            moments: Vec::new(),
            calls: Vec::new(),
            home,
            stops_at: None,
        };
        show.make_tables();
        (0..NODES).for_each(|nth| show.start_node(nth));
        Some(show)
    }

    fn make_tables(&self) {
        let file = self.home.path().join("cuegate.toml");
        std::fs::write(&file, self.configuration(0)).expect("a file");
        let mut command = command();
        let made = run(command.args(["cluster", "init", "--config"]).arg(&file), "");
        assert_eq!(made.code, Some(0), "{made:?}");
    }

    fn configuration(&self, nth: usize) -> String {
        let node = &self.nodes[nth];
        let servers: Vec<_> = node
            .databases
            .iter()
            .map(|way| way.address.to_string())
            .collect();
        let (api, servers) = (node.api.address, servers.join(","));
        let lease = LEASE.as_millis();
        let mut text = format!(
            "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{api}\"\ncall_timeout_ms = 1000\n\
            [tuning]\nabandon_ms = {ABANDON_MS}\n[quota]\naccount_tps = {ACCOUNT_TPS}\n\
            [cluster]\nurl = \"postgres://cuegate@{servers}/postgres?target_session_attrs=read-write\"\n\
            node = \"n{nth}\"\nlease_ms = {lease}\nbeat_ms = 200\n\
            [channel_defaults]\nttl_ms = 3600000\n"
        );
        for nth in 0..CHANNELS {
            let name = format!("c{nth}");
            let arn = arn(&name);
            let _ = writeln!(text, "[[channel]]\nname = \"{name}\"\narn = \"{arn}\"");
        }
        text
    }

    /// Starts a node whose process ended.
    pub fn start_node(&mut self, nth: usize) {
        let clock = self.nodes[nth].clock.as_ref();
        let mut environment = clock.map(WallClock::environment).unwrap_or_default();
        let mut program = command();
        if let Some(moment) = &self.stops_at {
            environment.push((pausing::MOMENT, moment.to_str().expect("UTF-8")));
            program = pausing::program();
        }
        let mut gateway = Gateway::spawn_by(program, &self.configuration(nth), &environment, &[]);
        within(PATIENCE, "a node answers", || {
            let has_ended = gateway.process.has_ended();
            assert!(!has_ended, "n{nth}: {}", gateway.process.log());
            gateway.readiness()
        });
        self.doors.set(nth, Some(gateway.producers));
        self.nodes[nth].gateway = Some(gateway);
    }

    /// `kill -9`.
    pub fn kill(&mut self, nth: usize) {
        self.doors.set(nth, None);
        if let Some(mut gateway) = self.nodes[nth].gateway.take() {
            gateway.process.kill();
        }
    }

    /// Ends a node as its operator does.
    pub fn end(&mut self, nth: usize) {
        let gateway = self.nodes[nth].gateway.take();
        let mut gateway = gateway.expect("it runs");
        gateway.process.signal("TERM");
        let (status, log) = gateway.process.wait(PATIENCE);
        self.doors.set(nth, None);
        assert_eq!(status.code(), Some(0), "n{nth}: {log}");
    }

    /// Restarts all nodes, be it as the program that stops itself between a commit and its call.
    pub fn restart_as(&mut self, stops_itself: bool) {
        self.stops_at = stops_itself.then(|| self.home.path().join("moment"));
        for nth in 0..NODES {
            self.end(nth);
            self.start_node(nth);
        }
        self.owner();
    }

    /// Lets the owner stop itself. Returns it once it has.
    pub fn stop_at_call(&mut self) -> usize {
        let owner = self.owner();
        let moment = self.stops_at.as_ref().expect("it is that program");
        std::fs::write(moment, "").expect("a file");
        let stat = format!("/proc/{}/stat", self.gateway(owner).process.id());
        within(PATIENCE, "the owner stops", || {
            let stat = std::fs::read_to_string(&stat).expect("it lives");
            let state = stat.rsplit(')').next()?.trim_start();
            state.starts_with('T').then_some(())
        });
        std::fs::remove_file(moment).expect("removed");
        owner
    }

    pub fn signal(&self, nth: usize, name: &str) {
        self.gateway(nth).process.signal(name);
    }

    fn gateway(&self, nth: usize) -> &Gateway {
        self.nodes[nth].gateway.as_ref().expect("it runs")
    }

    /// Sets a node's ways to the database.
    pub fn database_way(&self, nth: usize, way: Way) {
        self.nodes[nth].databases.iter().for_each(|it| it.set(way));
    }

    /// A connection to the primary that does nothing. None: it takes none.
    pub fn session(&self) -> Option<Sql> {
        Sql::connect(self.database.primary.address)
    }

    /// A session with the server that takes writes, past all proxies.
    pub fn sql(&self) -> Sql {
        let sql = servers(&self.database).find_map(|server| {
            let sql = Sql::connect(server)?;
            let rows = sql.rows("SELECT pg_is_in_recovery()");
            (rows[0][0] == "f").then_some(sql)
        });
        sql.expect("a server that takes writes")
    }

    /// The node that owns the account, once it is one that lives.
    pub fn owner(&self) -> usize {
        self.owner_but(None)
    }

    /// The same where it may not be that one.
    pub fn owner_but(&self, not: Option<usize>) -> usize {
        let sql = self.sql();
        let question = format!(
            "SELECT n.name FROM cuegate_lease l JOIN cuegate_node n USING (cluster, node)
            WHERE l.account = '{ACCOUNT}'"
        );
        within(PATIENCE, "a node owns the account", || {
            let rows = sql.rows(&question);
            let name = rows.first()?.first()?;
            let owner: usize = name.strip_prefix('n')?.parse().ok()?;
            let lives = self.nodes.get(owner).is_some_and(|it| it.gateway.is_some());
            (lives && Some(owner) != not).then_some(owner)
        })
    }

    /// A node that does not own.
    pub fn other(&mut self) -> usize {
        let owner = self.owner();
        (owner + self.random.usize(1..NODES)) % NODES
    }

    /// A time within these, in ms, from the seed.
    pub fn span(&mut self, ms: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.u64(ms))
    }

    /// Producers produce, and calls are made. What happened before counts for nothing.
    pub fn begin(&mut self) {
        self.producers.iter().for_each(Producer::go);
        self.await_calls();
        let last = self.moments.last().copied();
        self.moments = last.into_iter().collect();
    }

    /// Waits until some calls more were made.
    pub fn await_calls(&mut self) {
        self.hear();
        let enough = self.moments.len() + SOME_CALLS;
        within(PATIENCE, "calls are made", || {
            // The emulator is asked rarely: it is the judge of times, and has one processor.
            std::thread::sleep(Duration::from_millis(100));
            self.hear();
            (self.moments.len() >= enough).then_some(())
        });
    }

    /// Reads what the API took since.
    fn hear(&mut self) {
        for (producer, (after, delivered)) in self.producers.iter().zip(&mut self.taken) {
            for taken in self
                .emulator
                .api
                .metadata_after(&arn(&producer.channel), after)
            {
                self.calls.push((taken.time_us, taken.text.clone()));
                delivered.payloads.push(taken.text);
                self.moments.push(taken.time_us);
            }
        }
        self.moments.sort_unstable();
    }

    /// Undoes what a fault did, but for a primary that is gone. All nodes run.
    pub fn mend(&mut self) {
        self.emulator.api.no_faults();
        self.replication.set(Way::Open);
        self.database.thaw_standby();
        for nth in 0..NODES {
            self.database_way(nth, Way::Open);
            self.nodes[nth].api.set(Way::Open);
            if let Some(clock) = &self.nodes[nth].clock {
                clock.set(0);
            }
            match &self.nodes[nth].gateway {
                Some(_) => self.signal(nth, "CONT"),
                None => self.start_node(nth),
            }
        }
    }

    /// Stops the producers, and waits until all that they sent has left. Then the books are closed.
    pub fn judge(&mut self) -> Findings {
        let gaps = self.moments.windows(2).map(|pair| pair[1] - pair[0]);
        let longest_gap = Duration::from_micros(gaps.max().unwrap_or(0));
        self.producers.iter().for_each(Producer::stop);
        self.producers.iter().for_each(|it| it.rest(|_| ()));
        let owner = self.owner();
        within(PATIENCE, "everything has left", || {
            let books = self.gateway(owner).scrape();
            (books.sum("cuegate_queue_events") < 0.5).then_some(())
        });
        self.hear();
        for nth in 0..NODES {
            self.gateway(nth).scrape().check_books(false);
        }
        let letters = dead_letters(self.gateway(owner).admin);
        let mut found = Findings {
            longest_gap,
            ..Findings::default()
        };
        for (producer, (_, delivered)) in self.producers.iter().zip(&self.taken) {
            let of_channel = letters
                .iter()
                .filter(|(channel, _)| *channel == producer.channel);
            let its: Vec<_> = of_channel.map(|(_, data)| (0, data.clone())).collect();
            let verdict = producer.rest(|book| judge(book, std::slice::from_ref(delivered), &its));
            found.events += verdict.promised;
            let count = |what: &str| verdict.wrong.iter().filter(|it| it.contains(what)).count();
            found.lost += count("promised and lost");
            found.doubled += count("delivered under two numbers");
            let channel = &producer.channel;
            let answers = producer.wrong();
            let wrong = verdict.wrong.iter().chain(&answers);
            found
                .wrong
                .extend(wrong.map(|what| format!("{channel}: {what}")));
        }
        let report = self.emulator.api.report();
        let most = |tally: &serde_json::Value| tally["max_calls_per_second"].as_u64();
        let channels = report["channels"].as_object().expect("channels").values();
        found.most_of_a_channel = channels.filter_map(most).max().unwrap_or(0);
        found.most_of_all = most(&report["all"]).unwrap_or(0);
        if found.most_of_a_channel > 5 || found.most_of_all > ACCOUNT_TPS {
            found.wrong.push(format!("too many calls: {report}"));
            found.wrong.push(self.densest_second());
        }
        found
    }

    /// The calls of the second with most of them, for people who look for a cause.
    fn densest_second(&self) -> String {
        let mut calls = self.calls.clone();
        calls.sort_unstable();
        let within = |nth: usize| {
            let end = calls[nth].0 + 1_000_000;
            calls[nth..].iter().take_while(|(at, _)| *at < end).count()
        };
        let densest = (0..calls.len()).max_by_key(|nth| within(*nth)).unwrap_or(0);
        let shown = calls.iter().skip(densest.saturating_sub(12)).take(40);
        let mut text = "the calls about the densest second, in us:".to_owned();
        for (at, payload) in shown {
            let at = i128::from(*at) - i128::from(calls[densest].0);
            let payload: String = payload.chars().take(40).collect();
            let _ = write!(text, " {at}: {payload} |");
        }
        text
    }

    /// What each node wrote, for people who look for a cause.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for (nth, node) in self.nodes.iter().enumerate() {
            let log = node.gateway.as_ref().map(|it| it.process.log());
            let _ = writeln!(text, "--- n{nth} ---\n{}", log.unwrap_or_default());
        }
        text
    }
}

/// The primary, and its standby.
fn servers(database: &Cluster) -> impl Iterator<Item = SocketAddr> {
    let standby = database.standby.as_ref().map(|server| server.address);
    std::iter::once(database.primary.address).chain(standby)
}

/// Every dead letter: its channel and its data.
fn dead_letters(operators: SocketAddr) -> Vec<(String, serde_json::Value)> {
    let mut letters = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/admin/dead-letters?limit=1000{after}");
        let page = http::send(operators, "GET", &path, &[], b"").json();
        for letter in page["dead_letters"].as_array().expect("a list") {
            let channel = letter["channel"].as_str().expect("a channel");
            let channel = channel.rsplit('/').next().unwrap_or(channel).to_owned();
            letters.push((channel, letter["event"]["data"].clone()));
        }
        match page["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => return letters,
        }
    }
}
