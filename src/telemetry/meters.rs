//! What is counted where it happens: handles made once, so that counting is one atomic step.
//!
//! What the queues and schedulers already know is not counted again here: it comes with the
//! [`super::Snapshot`] of a scrape.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use engine::{Outcome, Span};
use metrics::{Counter, Gauge, Histogram};

use super::labels::{OTHER_ACCOUNTS, OTHER_ROUTES, OUTCOMES, Take, Transport};
use super::names;
use super::refusals::{self, RecentRefusal, RefusalSample};
use super::registry::Registry;
use super::warnings::Warnings;
use crate::refusal::Code;

/// Handles for everything that is counted where it happens.
pub struct Meters {
    off: bool,
    registry: Arc<Registry>,
    received: [Counter; Transport::ALL.len()],
    rejected: RwLock<HashMap<&'static str, Rejected>>,
    refusals: refusals::Recent,
    warnings: Warnings,
    connections: [Gauge; 2],
    requests: RwLock<Requests>,
    accounts: RwLock<HashMap<String, HashMap<String, AccountMeters>>>,
    other_accounts: AccountMeters,
    reload_successful: Gauge,
    certificate_expiry: Gauge,
    put_metadata_duration: Histogram,
    cluster_nodes: Gauge,
    takes: [Counter; Take::ALL.len()],
    fenced_commits: Counter,
    doubtful_commits: Counter,
    commit_duration: Histogram,
    forwarded: Counter,
    forward_duration: Histogram,
    webhook_duration: Histogram,
    payload_size: Histogram,
    payload_events: Histogram,
    delivery_latency: Histogram,
}

/// Events refused with one code: as a series, and as the number that it shows.
struct Rejected {
    series: Counter,
    events: AtomicU64,
}

impl Rejected {
    fn new(registry: &Registry, code: &str) -> Self {
        Self {
            series: registry.counter(&names::EVENTS_REJECTED, &[code]),
            events: AtomicU64::new(0),
        }
    }

    fn count(&self, n: u64) {
        self.series.increment(n);
        self.events.fetch_add(n, Ordering::Relaxed);
    }
}

/// Histograms by route and status. A handful of each: found by looking through them, which
/// is less than hashing a path.
type Requests = Vec<(String, Vec<(u16, Histogram)>)>;

/// The calls of one account in one region.
struct AccountMeters {
    /// By [`OUTCOMES`].
    calls: [Counter; OUTCOMES.len()],
}

impl AccountMeters {
    fn new(registry: &Registry, account: &str, region: &str) -> Self {
        let call = |outcome: Outcome| {
            registry.counter(
                &names::PUT_METADATA_CALLS,
                &[account, region, outcome.label()],
            )
        };
        Self {
            calls: OUTCOMES.map(call),
        }
    }

    fn count(&self, outcome: Outcome) {
        let same = |known: &Outcome| known.label() == outcome.label();
        if let Some(index) = OUTCOMES.iter().position(same) {
            self.calls[index].increment(1);
        }
    }
}

/// What is counted of one webhook.
pub struct WebhookMeters {
    delivered: Counter,
    dropped: Counter,
    failed: Counter,
}

impl WebhookMeters {
    /// Counts ends that its endpoint took.
    pub fn delivered(&self, ends: u64) {
        self.delivered.increment(ends);
    }

    /// Counts ends that it was not told.
    pub fn dropped(&self, ends: u64) {
        self.dropped.increment(ends);
    }

    /// Counts an attempt that failed.
    pub fn failed(&self) {
        self.failed.increment(1);
    }
}

impl Meters {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        let r = &*registry;
        let rejected = Code::OF_EVENTS.map(|code| (code.name(), Rejected::new(r, code.name())));
        let not_found = vec![(404, request(r, OTHER_ROUTES, 404))];
        Self {
            off: false,
            received: Transport::ALL.map(|t| r.counter(&names::EVENTS_RECEIVED, &[t.label()])),
            rejected: RwLock::new(rejected.into()),
            refusals: refusals::Recent::default(),
            warnings: Warnings::default(),
            connections: [Transport::Http, Transport::WebSocket]
                .map(|t| r.gauge(&names::CONNECTIONS, &[t.label()])),
            requests: RwLock::new(vec![(OTHER_ROUTES.to_owned(), not_found)]),
            accounts: RwLock::default(),
            other_accounts: AccountMeters::new(r, OTHER_ACCOUNTS, OTHER_ACCOUNTS),
            reload_successful: r.gauge(&names::CONFIG_LAST_RELOAD_SUCCESSFUL, &[]),
            certificate_expiry: r.gauge(&names::TLS_CERTIFICATE_EXPIRY, &[]),
            cluster_nodes: r.gauge(&names::CLUSTER_NODES, &[]),
            takes: Take::ALL.map(|take| r.counter(&names::CLUSTER_TAKES, &[take.label()])),
            fenced_commits: r.counter(&names::CLUSTER_FENCED_COMMITS, &[]),
            doubtful_commits: r.counter(&names::CLUSTER_DOUBTFUL_COMMITS, &[]),
            commit_duration: r.histogram(&names::CLUSTER_COMMIT_DURATION, &[]),
            forwarded: r.counter(&names::CLUSTER_FORWARDED, &[]),
            forward_duration: r.histogram(&names::CLUSTER_FORWARD_DURATION, &[]),
            webhook_duration: r.histogram(&names::WEBHOOK_DURATION, &[]),
            put_metadata_duration: r.histogram(&names::PUT_METADATA_DURATION, &[]),
            payload_size: r.histogram(&names::PAYLOAD_SIZE, &[]),
            payload_events: r.histogram(&names::PAYLOAD_EVENTS_COUNT, &[]),
            delivery_latency: r.histogram(&names::DELIVERY_LATENCY, &[]),
            registry,
        }
    }

    /// Meters that nothing is counted with, and that tell the producers' door to leave out ids,
    /// spans and times of requests: what the benches compare with.
    #[must_use]
    pub fn off() -> Self {
        Self {
            off: true,
            ..Self::new(Arc::new(Registry::new()))
        }
    }

    /// Whether they are [`Meters::off`].
    #[must_use]
    pub const fn are_off(&self) -> bool {
        self.off
    }

    /// Counts `n` events that arrived, before anything is decided about them.
    pub fn received(&self, transport: Transport, n: u64) {
        if !self.off {
            self.received[transport as usize].increment(n);
        }
    }

    /// Counts `n` events that were handed to another node.
    pub fn forwarded(&self, n: u64) {
        self.forwarded.increment(n);
    }

    /// Notes how long another node took to answer for events.
    pub fn forward_took(&self, time: Duration) {
        self.forward_duration.record(time.as_secs_f64());
    }

    /// What is counted of the webhook of that name.
    #[must_use]
    pub fn webhook(&self, name: &str) -> WebhookMeters {
        let counter = |metric| self.registry.counter(metric, &[name]);
        WebhookMeters {
            delivered: counter(&names::WEBHOOK_DELIVERED),
            dropped: counter(&names::WEBHOOK_DROPPED),
            failed: counter(&names::WEBHOOK_FAILED),
        }
    }

    /// Notes how long an attempt to tell a webhook took.
    pub fn webhook_took(&self, time: Duration) {
        self.webhook_duration.record(time.as_secs_f64());
    }

    /// Says how many nodes live.
    pub fn nodes(&self, living: usize) {
        self.cluster_nodes
            .set(u32::try_from(living).unwrap_or(u32::MAX));
    }

    /// Counts an account that this node took.
    pub fn take(&self, take: Take) {
        self.takes[take as usize].increment(1);
    }

    /// Counts a commit that wrote nothing, because another node owns the account.
    pub fn commit_fenced(&self) {
        self.fenced_commits.increment(1);
    }

    /// Counts a commit of which nobody knows yet whether it will last.
    pub fn commit_doubtful(&self) {
        self.doubtful_commits.increment(1);
    }

    /// Notes how long a commit in the database took.
    pub fn commit_took(&self, time: Duration) {
        self.commit_duration.record(time.as_secs_f64());
    }

    /// Counts `n` events refused with `code`.
    pub fn rejected(&self, code: &'static str, n: u64) {
        if let Some(counter) = read(&self.rejected).get(code) {
            return counter.count(n);
        }
        let make = || Rejected::new(&self.registry, code);
        write(&self.rejected)
            .entry(code)
            .or_insert_with(make)
            .count(n);
    }

    /// Counts events that were refused, and keeps why for people.
    pub fn refused(&self, refused: &RefusalSample<'_>) {
        self.rejected(refused.code, refused.events);
        self.refusals.add(refused);
    }

    /// Events refused since the start, by code.
    #[must_use]
    pub fn rejections(&self) -> BTreeMap<&'static str, u64> {
        let rejected = read(&self.rejected);
        let count = |(code, rejected): (&&'static str, &Rejected)| {
            (*code, rejected.events.load(Ordering::Relaxed))
        };
        rejected.iter().map(count).collect()
    }

    /// The refusals of late, the latest first.
    #[must_use]
    pub fn refusals(&self) -> Vec<RecentRefusal> {
        self.refusals.all()
    }

    /// What goes wrong often, to be counted for the log.
    #[must_use]
    pub const fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// The open connections of a transport, to be raised and lowered by one; those of
    /// `POST /PutMetadata` are HTTP's.
    pub const fn connections(&self, transport: Transport) -> &Gauge {
        match transport {
            Transport::Http | Transport::PutMetadata | Transport::Cluster => &self.connections[0],
            Transport::WebSocket => &self.connections[1],
        }
    }

    /// Makes the series of the routes that there are, for the statuses that each is documented to
    /// answer. Other statuses get theirs when they happen.
    pub fn list_routes(&self, routes: Vec<(String, Vec<u16>)>) {
        let mut requests = write(&self.requests);
        for (route, statuses) in routes {
            if requests.iter().any(|(listed, _)| *listed == route) {
                continue;
            }
            let histograms = statuses
                .into_iter()
                .map(|status| (status, request(&self.registry, &route, status)))
                .collect();
            requests.push((route, histograms));
        }
    }

    /// Records a request that was answered. `route` is the path that matched, as
    /// `/v1/channels/{channel}/events`; any that is not listed is `other`, so that no client can
    /// make series.
    pub fn http_request(&self, route: &str, status: u16, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(histogram) = find(&read(&self.requests), route, status) {
            return histogram.record(seconds);
        }
        let mut requests = write(&self.requests);
        let known = requests.iter().position(|(listed, _)| *listed == route);
        // The first is `other`.
        let (route, histograms) = &mut requests[known.unwrap_or(0)];
        if let Some((_, histogram)) = histograms.iter().find(|(has, _)| *has == status) {
            return histogram.record(seconds);
        }
        let histogram = request(&self.registry, route, status);
        histogram.record(seconds);
        histograms.push((status, histogram));
    }

    /// Makes the series of an account that the configuration names.
    pub fn list_account(&self, account: &str, region: &str) {
        let mut accounts = write(&self.accounts);
        let regions = accounts.entry(account.to_owned()).or_default();
        let make = || AccountMeters::new(&self.registry, account, region);
        regions.entry(region.to_owned()).or_insert_with(make);
    }

    /// Counts a call to the API that ended so, after this time: under its account if that is
    /// listed, else under all others together.
    pub fn call(&self, account: &str, region: &str, outcome: Outcome, took: Duration) {
        let accounts = read(&self.accounts);
        let listed = accounts
            .get(account)
            .and_then(|regions| regions.get(region));
        listed.unwrap_or(&self.other_accounts).count(outcome);
        self.put_metadata_duration.record(took.as_secs_f64());
    }

    /// Records a delivered payload: its bytes and, for each of its events, the time from
    /// accepted, or `at`, to delivered.
    pub fn payload(&self, bytes: usize, latencies: &[Span]) {
        self.payload_size.record(float(bytes));
        self.payload_events.record(float(latencies.len()));
        for latency in latencies {
            self.delivery_latency
                .record(latency.as_duration().as_secs_f64());
        }
    }

    /// Says whether the last load of the configuration was applied.
    pub fn reloaded(&self, successful: bool) {
        self.reload_successful.set(f64::from(u8::from(successful)));
    }

    /// Says when the certificate that producers are shown ends, in seconds since 1970.
    pub fn certificate_expires(&self, at_s: u32) {
        self.certificate_expiry.set(f64::from(at_s));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes and items of one payload: far below 2^53"
)]
const fn float(n: usize) -> f64 {
    n as f64
}

fn request(registry: &Registry, route: &str, status: u16) -> Histogram {
    registry.histogram(&names::HTTP_REQUEST_DURATION, &[route, &status.to_string()])
}

/// A panic elsewhere leaves a map of handles whole.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

fn find<'a>(requests: &'a Requests, route: &str, status: u16) -> Option<&'a Histogram> {
    let (_, histograms) = requests.iter().find(|(listed, _)| *listed == route)?;
    histograms
        .iter()
        .find(|(has, _)| *has == status)
        .map(|(_, histogram)| histogram)
}
