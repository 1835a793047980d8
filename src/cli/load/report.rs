//! The report: figures with stable names, as JSON or for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use super::histogram::Histogram;
use super::judge::Ended;

/// What a run came to. In JSON every member is always there; `null` is what could not be known.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    /// Nothing was lost, duplicated, out of order or over a limit, as far as it was observed.
    pub(super) ok: bool,
    /// What was, in words.
    pub(super) faults: Vec<String>,
    /// What limits what these figures say, in words.
    pub(super) notes: Vec<String>,
    pub(super) url: String,
    /// `http` or `websocket`.
    pub(super) transport: &'static str,
    /// In the data of every event of this run.
    pub(super) run: String,
    pub(super) channels: usize,
    pub(super) connections: usize,
    /// Events a second that were asked for.
    pub(super) rate: u64,
    pub(super) batch: usize,
    /// Bytes of data of an event.
    pub(super) size: usize,
    /// How long it sent.
    pub(super) seconds: f64,
    /// Ended early by a signal.
    pub(super) interrupted: bool,
    /// Events that were due in that time.
    pub(super) planned: u64,
    pub(super) sent: u64,
    /// Events a second that were sent.
    pub(super) rate_reached: f64,
    /// Whether 99 % of what was due was sent.
    pub(super) kept_pace: bool,
    pub(super) accepted: u64,
    pub(super) refused: BTreeMap<String, u64>,
    /// Sent, and no answer came.
    pub(super) unanswered: u64,
    /// From the moment an event was due to its answer.
    pub(super) ack_ms: Times,
    /// From the moment an event was due to its sending.
    pub(super) late_ms: Times,
    /// How the gateway says that events of these channels ended meanwhile.
    pub(super) gateway: Ended,
    /// The local IVS that observed what follows.
    pub(super) local_ivs: Option<String>,
    /// Accepted events that came out.
    pub(super) delivered: Option<u64>,
    /// Events that came out though they were refused or never answered.
    pub(super) delivered_unacknowledged: Option<u64>,
    pub(super) lost: Option<u64>,
    pub(super) duplicated: Option<u64>,
    pub(super) out_of_order: Option<u64>,
    /// From the moment an event was due to the local IVS's time of its payload.
    pub(super) delivery_ms: Times,
    pub(super) payloads: Option<u64>,
    /// Payloads that were sent again under their number, which players drop.
    pub(super) payloads_repeated: Option<u64>,
    /// Mean size of a payload, as a share of the largest allowed.
    pub(super) payload_fill: Option<f64>,
    /// Calls that the local IVS throttled.
    pub(super) throttled: Option<u64>,
    /// Calls as a share of what the limits allow in that time: of the busiest channel, and of the
    /// busiest account.
    pub(super) quota_used: Shares,
    /// The most calls in any second: of a channel, of an account, and in all.
    pub(super) max_calls_per_second: Most,
    /// What is allowed: the lowest limits of these channels.
    pub(super) limits: Allowed,
}

/// Percentiles in milliseconds; each within 1 %.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Times {
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) max: Option<f64>,
}

impl Times {
    pub(super) fn of(histogram: &Histogram) -> Self {
        let ms = |micros: Option<u64>| micros.map(|micros| float(micros) / 1000.0);
        Self {
            p50: ms(histogram.permille(500)),
            p99: ms(histogram.permille(990)),
            max: ms(histogram.max()),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Shares {
    pub(super) channel: Option<f64>,
    pub(super) account: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Most {
    pub(super) channel: Option<u64>,
    pub(super) account: Option<u64>,
    pub(super) all: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Allowed {
    pub(super) channel: u64,
    pub(super) account: u64,
}

/// For people.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_sent(f)?;
        self.write_delivered(f)?;
        if self.interrupted {
            writeln!(f, "ended early")?;
        }
        if !self.kept_pace {
            writeln!(
                f,
                "DID NOT KEEP PACE: {} of {} events sent; slow answers, too few connections or this machine",
                self.sent, self.planned
            )?;
        }
        if !self.ok {
            return write!(f, "NOT WELL: {}", self.faults.join(", "));
        }
        f.write_str(match self.local_ivs {
            Some(_) => "all is well: nothing lost, duplicated, out of order or over a limit",
            None => "what was delivered was not observed",
        })
    }
}

impl Figures {
    fn write_sent(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ended { queued, .. } = self.gateway;
        let mut refused = String::new();
        for (code, count) in &self.refused {
            let _ = write!(refused, "  {code} {count}");
        }
        let in_all: u64 = self.refused.values().sum();
        writeln!(
            f,
            "sent          {} in {:.1} s: {:.1}/s of {}/s asked for, on {} channels over {} connections ({})",
            self.sent,
            self.seconds,
            self.rate_reached,
            self.rate,
            self.channels,
            self.connections,
            self.transport
        )?;
        writeln!(f, "accepted      {}", self.accepted)?;
        writeln!(f, "refused       {in_all}{refused}")?;
        writeln!(f, "unanswered    {}", self.unanswered)?;
        writeln!(f, "ack           {}, from due to answered", self.ack_ms)?;
        writeln!(f, "late          {}, from due to sent", self.late_ms)?;
        writeln!(
            f,
            "gateway says  delivered {}  expired {}  evicted {}  dead-lettered {}  cancelled {}  merged {}  queued {queued}",
            self.gateway.delivered,
            self.gateway.expired,
            self.gateway.evicted,
            self.gateway.dead_lettered,
            self.gateway.cancelled,
            self.gateway.merged
        )
    }

    fn write_delivered(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(url) = &self.local_ivs else {
            return Ok(());
        };
        let count = |number: Option<u64>| number.unwrap_or_default();
        let percent = |share: Option<f64>| share.unwrap_or_default() * 100.0;
        writeln!(f, "local IVS     {url}")?;
        writeln!(
            f,
            "delivered     {}  lost {}  duplicated {}  out of order {}",
            count(self.delivered),
            count(self.lost),
            count(self.duplicated),
            count(self.out_of_order)
        )?;
        writeln!(f, "delivery      {}, from due to taken", self.delivery_ms)?;
        writeln!(
            f,
            "payloads      {}  {:.1} % full  sent again {}  throttled {}",
            count(self.payloads),
            percent(self.payload_fill),
            count(self.payloads_repeated),
            count(self.throttled)
        )?;
        writeln!(
            f,
            "quota used    channel {:.1} % of {}/s (the busiest)  account {:.1} % of {}/s",
            percent(self.quota_used.channel),
            self.limits.channel,
            percent(self.quota_used.account),
            self.limits.account
        )?;
        writeln!(
            f,
            "most calls    in any second: of a channel {}, of an account {}, in all {}",
            count(self.max_calls_per_second.channel),
            count(self.max_calls_per_second.account),
            count(self.max_calls_per_second.all)
        )
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.p50, self.p99, self.max) {
            (Some(p50), Some(p99), Some(max)) => {
                write!(f, "p50 {p50:.1} ms  p99 {p99:.1} ms  max {max:.1} ms")
            }
            _ => f.write_str("none"),
        }
    }
}

/// A count as a number to divide.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and microseconds of a run: far below 2^53"
)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
