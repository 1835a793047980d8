//! The local IVS as an observer of the run: what channels took and when, and how many calls.

use std::collections::BTreeMap;

use cuegate_client::{Client, Method, segment};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::event::Watch;
use super::judge::Calls;
use super::producers::Run;
use crate::arn::ChannelArn;
use crate::cli::Error;

/// Where it listens by default.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:4580";

/// `GET /_local/report`, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) limits: Limits,
    pub(super) all: Tally,
    pub(super) accounts: BTreeMap<String, Tally>,
    pub(super) channels: BTreeMap<String, Channel>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Limits {
    pub(super) channel_tps: u64,
    pub(super) account_tps: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) throttled: u64,
    pub(super) max_calls_per_second: u64,
}

impl Tally {
    /// Against the gateway's limit, or the emulator's if that is lower.
    pub(super) fn calls(self, gateway: u64, emulator: u64) -> Calls {
        Calls {
            made: self.calls,
            most: self.max_calls_per_second,
            limit: gateway.min(emulator),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Channel {
    #[serde(flatten)]
    pub(super) tally: Tally,
    pub(super) live: bool,
    pub(super) last_seq: u64,
}

#[derive(Deserialize)]
struct Page {
    metadata: Vec<Entry>,
    dropped_before: u64,
}

#[derive(Deserialize)]
struct Entry {
    seq: u64,
    time_us: u64,
    metadata: String,
}

/// The local IVS.
#[derive(Clone)]
pub(super) struct Emulator(Client);

impl Emulator {
    /// Looks whether it is there.
    pub(super) async fn find(url: &str) -> Result<Self, Error> {
        let emulator = Self(Client::new(url)?);
        emulator.report().await?;
        Ok(emulator)
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        self.0.url()
    }

    pub(super) async fn report(&self) -> Result<Report, Error> {
        self.get("/_local/report").await
    }

    /// Makes a channel live, and makes it if there is none.
    pub(super) async fn make_live(&self, arn: &str) -> Result<(), Error> {
        let path = format!("/_local/channels/{}/stream", segment(arn));
        self.post(&path, Some(r#"{"state":"live"}"#)).await
    }

    /// Clears the books of calls, so that earlier calls do not count. Channels and what they
    /// took stay.
    pub(super) async fn clear_books(&self) -> Result<(), Error> {
        self.post("/_local/reset", None).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let text = self.0.call(Method::GET, path, None).await?;
        serde_json::from_str(&text).map_err(|error| {
            let url = self.url();
            Error::Refused(format!(
                "{url}{path}: not an answer of the local IVS: {error}"
            ))
        })
    }

    async fn post(&self, path: &str, json: Option<&str>) -> Result<(), Error> {
        self.0.call(Method::POST, path, json).await?;
        Ok(())
    }
}

/// Reads what the run's channels take.
pub(super) struct Observer {
    pub(super) emulator: Emulator,
    channels: Vec<Watched>,
    /// Payloads that were forgotten before they were read.
    pub(super) forgotten: u64,
    /// Channels without a live stream at the start.
    pub(super) offline: usize,
}

/// A channel, and the last payload of it that was read.
struct Watched {
    arn: String,
    after: u64,
    watch: Watch,
}

impl Observer {
    /// Begins after what the channels took before the run. None if it does not know them all:
    /// then it is not where the gateway sends to.
    pub(super) async fn begin(emulator: Emulator, arns: &[String]) -> Result<Option<Self>, Error> {
        emulator.clear_books().await?;
        let report = emulator.report().await?;
        let mut offline = 0;
        let watched = arns.iter().map(|arn| {
            let known = report.channels.get(arn)?;
            offline += usize::from(!known.live);
            Some(Watched {
                arn: arn.clone(),
                after: known.last_seq,
                watch: Watch::default(),
            })
        });
        let watched: Option<Vec<Watched>> = watched.collect();
        Ok(watched.map(|channels| Self {
            emulator,
            channels,
            forgotten: 0,
            offline,
        }))
    }

    /// Reads what came since the last time; the answer is how the calls stand.
    pub(super) async fn sweep(&mut self, run: &Run, start_us: u64) -> Result<Report, Error> {
        let report = self.emulator.report().await?;
        for (place, watched) in self.channels.iter_mut().enumerate() {
            let known = report.channels.get(&watched.arn);
            let last = known.map_or(0, |channel| channel.last_seq);
            while watched.after < last {
                let arn = segment(&watched.arn);
                let path = format!("/_local/channels/{arn}/metadata?after={}", watched.after);
                let page: Page = self.emulator.get(&path).await?;
                self.forgotten += page.dropped_before.saturating_sub(watched.after + 1);
                for entry in &page.metadata {
                    // Read before the book is taken: producers wait for it too.
                    if let Some(payload) = watched.watch.read(&entry.metadata) {
                        run.book().taken(place, &payload, entry.time_us, start_us);
                    }
                }
                watched.after = page.metadata.last().map_or(last, |entry| entry.seq);
            }
        }
        Ok(report)
    }
}

/// The account and region of an ARN, as the report names them.
pub(super) fn home(arn: &str) -> Option<String> {
    let arn: ChannelArn = arn.parse().ok()?;
    Some(format!("arn:aws:ivs:{}:{}", arn.region(), arn.account()))
}
