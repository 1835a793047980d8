//! One fault rule: as it is written in JSON, and as it is checked and ready to draw from.
//!
//! No default is applied anywhere but in [`Rule::resolve`].

use super::rng::SplitMix64;
use super::{FaultAnswer, FaultError, Listed};
use crate::arn::ChannelArn;
use crate::input::{self, Member, Shape, Unknown, optional, required};
use crate::limits::MAX_LATENCY;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Any unsigned number of 64 bits.
const WHOLE: Shape = Shape::Whole(0, u64::MAX);

const LATENCY: &[Member] = &[
    optional("fixed_ms", Shape::Real),
    optional("uniform_ms", Shape::List(&Shape::Real, 2, 2)),
    optional(
        "heavy_tail",
        Shape::Structure(&[
            required("median_ms", Shape::Real),
            required("p_stall", Shape::Real),
            required("stall_ms", Shape::Real),
        ]),
    ),
];

const RULE: &[Member] = &[
    required("kind", Shape::Text(input::Rule::Any)),
    optional("probability", Shape::Real),
    optional("channel", Shape::Text(input::Rule::Any)),
    optional("duration_ms", WHOLE),
    optional("seed", WHOLE),
    optional("latency", Shape::Structure(LATENCY)),
    optional(
        "when",
        Shape::Text(input::Rule::OneOf(&["before", "after", "split"])),
    ),
    optional("status", Shape::Whole(0, 999)),
    optional("code", Shape::Text(input::Rule::Any)),
    optional("message", Shape::Text(input::Rule::Any)),
    optional("bare", Shape::Flag),
];

/// A rule as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Raw {
    kind: String,
    /// 0 to 1; 1 if left out.
    #[serde(default)]
    probability: Option<f64>,
    /// An ARN; every call if left out.
    #[serde(default)]
    channel: Option<String>,
    /// How long the rule holds, on the server's clock; until cleared if left out.
    #[serde(default)]
    duration_ms: Option<u64>,
    /// Of its own stream of draws; one is given if left out.
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency: Option<RawLatency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<When>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// No code and no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bare: Option<bool>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawLatency {
    FixedMs(f64),
    UniformMs(f64, f64),
    HeavyTail {
        median_ms: f64,
        p_stall: f64,
        stall_ms: f64,
    },
}

/// On which side of handling a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    Before,
    After,
    /// Latency: some of it before and the rest after, at random. Others: either, evenly.
    Split,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Latency(Latency),
    Throttle,
    Error(FaultError),
    Hang,
    Reset,
    ReplyLost,
}

impl Kind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Latency(_) => "latency",
            Self::Throttle => "throttle",
            Self::Error(error) if error.answer == FaultAnswer::CloudFront => "cloudfront",
            Self::Error(_) => "error",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::ReplyLost => "reply_lost",
        }
    }
}

/// Of the whole way, there and back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Latency {
    Fixed(Duration),
    Uniform(Duration, Duration),
    /// A stall with probability `p_stall`, else exponential with the given median.
    HeavyTail {
        median: Duration,
        p_stall: f64,
        stall: Duration,
    },
}

impl Latency {
    /// At most `MAX_LATENCY`.
    pub(crate) fn draw(&self, rng: &mut SplitMix64) -> Duration {
        match *self {
            Self::Fixed(latency) => latency,
            Self::Uniform(low, high) => low + high.saturating_sub(low).mul_f64(rng.unit()),
            Self::HeavyTail {
                median,
                p_stall,
                stall,
            } => {
                if rng.unit() < p_stall {
                    return stall;
                }
                // Exponential by inversion: -ln(u) / ln(2) medians, u in (0, 1]; u is at
                // least 2^-32, so this is at most 32 medians.
                let medians = -(1.0 - rng.unit()).log2();
                median.mul_f64(medians.max(0.0)).min(MAX_LATENCY)
            }
        }
    }
}

/// A rule in force.
#[derive(Debug)]
pub(crate) struct Rule {
    raw: Raw,
    pub(crate) kind: Kind,
    pub(crate) when: When,
    pub(crate) until_us: Option<u64>,
    pub(crate) rng: SplitMix64,
    probability: f64,
    tried: u64,
    hit: u64,
}

impl Raw {
    /// One rule or an array of them.
    pub(crate) fn read(json: &[u8]) -> Result<Vec<Self>, String> {
        let written = match input::parse(json).map_err(|error| error.to_string())? {
            Value::Array(rules) => rules,
            rule => vec![rule],
        };
        let rules = written.into_iter().enumerate();
        rules
            .map(|(index, rule)| {
                Self::read_one(rule).map_err(|error| format!("rule {index}: {error}"))
            })
            .collect()
    }

    fn read_one(rule: Value) -> Result<Self, String> {
        let read = input::check(rule, RULE, Unknown::Refused).map_err(|error| error.to_string())?;
        if let Some(latency) = read.get("latency").and_then(Value::as_object)
            && latency.len() != 1
        {
            return Err("latency must have one of fixed_ms, uniform_ms and heavy_tail".to_owned());
        }
        input::typed(&read)
    }
}

impl Rule {
    /// Checks a rule and fills in what it left out.
    pub(crate) fn resolve(
        mut raw: Raw,
        now_us: u64,
        seeds: &mut SplitMix64,
    ) -> Result<Self, String> {
        let probability = raw.probability.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!("probability must be 0 to 1, not {probability}"));
        }
        if let Some(channel) = &raw.channel
            && ChannelArn::parse(channel).is_none()
        {
            return Err(format!("channel '{channel}' is not a channel ARN"));
        }
        let kind = raw.kind()?;
        let when = match (&kind, raw.when) {
            (Kind::Latency(_), when) => when.unwrap_or(When::Split),
            (Kind::Error(_) | Kind::Hang, when) => when.unwrap_or(When::Before),
            (_, None) => When::Before,
            (kind, Some(_)) => {
                return Err(format!(
                    "'when' is of kinds latency, error and hang; {} has its own",
                    kind.name()
                ));
            }
        };
        let seed = raw.seed.unwrap_or_else(|| seeds.next_u64());
        raw.seed = Some(seed);
        raw.probability = Some(probability);
        let until_us = raw
            .duration_ms
            .map(|ms| now_us.saturating_add(ms.saturating_mul(1_000)));
        Ok(Self {
            raw,
            kind,
            when,
            until_us,
            rng: SplitMix64::new(seed),
            probability,
            tried: 0,
            hit: 0,
        })
    }

    pub(crate) fn concerns(&self, channel: Option<&str>) -> bool {
        self.raw.channel.is_none() || self.raw.channel.as_deref() == channel
    }

    /// Draws whether it strikes.
    pub(crate) fn hits(&mut self) -> bool {
        // Always one draw, so that the probability does not shift what comes after.
        let hit = self.rng.unit() < self.probability;
        self.tried += 1;
        self.hit += u64::from(hit);
        hit
    }

    /// Whether the call is handled before an error or a hang strikes.
    pub(crate) fn is_handled(&mut self) -> bool {
        match self.when {
            When::Before => false,
            When::After => true,
            When::Split => self.rng.unit() < 0.5,
        }
    }

    pub(crate) fn listed(&self) -> Listed {
        Listed {
            rule: self.raw.clone(),
            tried: self.tried,
            hit: self.hit,
        }
    }
}

impl Raw {
    fn kind(&self) -> Result<Kind, String> {
        let kind = match self.kind.as_str() {
            "latency" => Kind::Latency(resolve_latency(
                self.latency
                    .ok_or("kind latency needs 'latency', such as {\"fixed_ms\":20}")?,
            )?),
            "throttle" => Kind::Throttle,
            "error" => Kind::Error(self.error()?),
            "cloudfront" => Kind::Error(FaultError {
                status: error_status(self.status.unwrap_or(503))?,
                answer: FaultAnswer::CloudFront,
            }),
            "hang" => Kind::Hang,
            "reset" => Kind::Reset,
            "reply_lost" => Kind::ReplyLost,
            other => {
                return Err(format!(
                    "unknown kind '{other}': latency, throttle, error, cloudfront, hang, reset or reply_lost"
                ));
            }
        };
        if self.latency.is_some() && !matches!(kind, Kind::Latency(_)) {
            return Err("'latency' is of kind latency only".to_owned());
        }
        let has_status = matches!(kind, Kind::Error(_));
        if self.status.is_some() && !has_status {
            return Err("'status' is of kinds error and cloudfront only".to_owned());
        }
        let answers = self.code.is_some() || self.message.is_some() || self.bare.is_some();
        if answers && kind.name() != "error" {
            return Err("'code', 'message' and 'bare' are of kind error only".to_owned());
        }
        Ok(kind)
    }

    fn error(&self) -> Result<FaultError, String> {
        let status = self.status.ok_or("kind error needs 'status'")?;
        let status = error_status(status)?;
        if self.bare == Some(true) {
            if self.code.is_some() || self.message.is_some() {
                return Err("a bare error has neither 'code' nor 'message'".to_owned());
            }
            return Ok(FaultError {
                status,
                answer: FaultAnswer::Bare,
            });
        }
        let code = match (&self.code, status) {
            (Some(code), _) if is_code(code) => code,
            (Some(code), _) => return Err(format!("'{code}' cannot be an error code")),
            (None, 400) => "ValidationException",
            (None, 402) => "ServiceQuotaExceededException",
            (None, 403) => "AccessDeniedException",
            (None, 404) => "ResourceNotFoundException",
            (None, 409) => "ConflictException",
            (None, 429) => "ThrottlingException",
            (None, 500) => "InternalServerException",
            (None, 503) => "ServiceUnavailable",
            (None, _) => return Err(format!("status {status} needs a 'code', or 'bare'")),
        };
        let message = self.message.as_deref().unwrap_or("An injected fault");
        Ok(FaultError {
            status,
            answer: FaultAnswer::Api(code.to_owned(), message.to_owned()),
        })
    }
}

fn error_status(status: u16) -> Result<u16, String> {
    if (400..=599).contains(&status) {
        Ok(status)
    } else {
        Err(format!("status must be 400 to 599, not {status}"))
    }
}

/// Letters and digits: what every code of AWS is made of, and what fits a header.
fn is_code(code: &str) -> bool {
    (1..=128).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn resolve_latency(raw: RawLatency) -> Result<Latency, String> {
    match raw {
        RawLatency::FixedMs(ms) => Ok(Latency::Fixed(milliseconds(ms)?)),
        RawLatency::UniformMs(low, high) => {
            let (low, high) = (milliseconds(low)?, milliseconds(high)?);
            if low > high {
                return Err("uniform_ms must be [least, most]".to_owned());
            }
            Ok(Latency::Uniform(low, high))
        }
        RawLatency::HeavyTail {
            median_ms,
            p_stall,
            stall_ms,
        } => {
            if !(0.0..=1.0).contains(&p_stall) {
                return Err(format!("p_stall must be 0 to 1, not {p_stall}"));
            }
            Ok(Latency::HeavyTail {
                median: milliseconds(median_ms)?,
                p_stall,
                stall: milliseconds(stall_ms)?,
            })
        }
    }
}

fn milliseconds(ms: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(ms / 1_000.0)
        .ok()
        .filter(|latency| *latency <= MAX_LATENCY)
        .ok_or_else(|| {
            format!(
                "a latency must be 0 to {} ms, not {ms}",
                MAX_LATENCY.as_millis()
            )
        })
}

#[cfg(test)]
mod tests;
