//! What reads alone tell of an account: whose credentials sign, what may be read, which channels
//! there are, and how far this machine's clock is from the API's.
//!
//! `PutMetadata` is never called here: it costs tokens that only the scheduler hands out.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_ivs::config::http::HttpResponse;
use aws_sdk_ivs::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_ivs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ivs::error::{BoxError, ProvideErrorMetadata, SdkError};

use super::{CallError, Connected, Kind, Upstream, client, reply};

/// Channels that one `BatchGetChannel` may name.
const BATCH: usize = 50;

/// Between two of them: an account may make 5 a second, and others may make them too.
const BATCH_EVERY: Duration = Duration::from_millis(500);

/// Most channels of an account that are looked for, so that this ends within 10 s.
const CHANNELS_MAX: usize = 20 * BATCH;

/// What was found out about an account in a region.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// Why there are no credentials; nothing else was asked then.
    pub no_credentials: Option<String>,
    /// The ARN and the account of whose credentials sign. None: STS was not asked, because calls
    /// go to an endpoint that is not AWS's.
    pub identity: Option<Result<(String, String), ReadFailure>>,
    /// The host that answers, or would.
    pub host: Option<String>,
    /// How long `ListStreams` took, or why it failed.
    pub streams: Option<Result<Duration, ReadFailure>>,
    /// The channels that there are not, or why they cannot be looked for.
    pub missing: Option<Result<Vec<String>, ReadFailure>>,
    /// The clock, by every answer that had a date.
    pub clock: Vec<ClockReading>,
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFailure {
    /// Where it ended.
    pub kind: Kind,
    /// What was said.
    pub error: CallError,
}

/// How far this machine's clock is from an API's, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Above 0: this machine is ahead.
    pub ahead_ms: i64,
    /// How much of that may be due to the reading: a date has whole seconds, and travels.
    pub within_ms: i64,
}

impl ClockReading {
    /// By the `Date` of an answer, and when its request left and it came.
    #[must_use]
    pub fn of(date: SystemTime, left: SystemTime, took: Duration) -> Self {
        // On average an answer was dated half a second after the second that it names.
        let dated = date + Duration::from_millis(500);
        let here = left + took / 2;
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self {
            ahead_ms: here
                .duration_since(dated)
                .map_or_else(|behind| -ms(behind.duration()), ms),
            within_ms: 500 + ms(took / 2),
        }
    }
}

impl Upstream {
    /// Finds out about an account by reads alone; whether `channels`, by their ARNs, are there.
    /// Every call ends after `call_timeout + abandon` at the latest.
    pub async fn examine(&self, account: &str, region: &str, channels: &[String]) -> Examined {
        if let Err(error) = self.check_credentials(account, region).await {
            return Examined {
                no_credentials: Some(error.message),
                ..Examined::default()
            };
        }
        let mut found = Examined::default();
        let Some(cell) = self.cell(account, region) else {
            return found;
        };
        let connected = self.connected(&cell, account, region).await;
        if let Some(base) = self.base.get()
            && self.may_ask_sts(base, account, region)
        {
            let told = self.identity(base, connected, &mut found.clock).await;
            found.identity = Some(told);
        }
        let seen = Seen::default();
        let asked = connected.client.list_streams().max_results(1).customize();
        let began = Instant::now();
        let answer = asked.interceptor(seen.clone()).send().await;
        let took = began.elapsed();
        found.streams = Some(answer.map(|_| took).map_err(|error| seen.failure(&error)));
        found.host = seen.host();
        found.clock.extend(seen.clock());
        // Where nothing answers, the rest would only wait for the same.
        if seen.answered() && !channels.is_empty() {
            found.missing = Some(missing(connected, channels).await);
        }
        found
    }

    /// Whether credentials that are meant for calls of this account may be shown to STS. Those of an
    /// emulator are nobody's business but the emulator's.
    fn may_ask_sts(&self, base: &SdkConfig, account: &str, region: &str) -> bool {
        let accounts = self.accounts();
        let own = accounts.iter().find(|own| own.is(account, region));
        let endpoint = own.and_then(|own| own.endpoint_url.as_deref());
        let endpoint = endpoint.or(self.options.endpoint_url.as_deref());
        let elsewhere = endpoint.is_some_and(|url| !is_of_aws(url));
        // A role is assumed by STS, so that it knows them already.
        !elsewhere
            || own.is_some_and(|own| own.role_arn.is_some())
            || base.endpoint_url().is_some()
            || std::env::var_os("AWS_ENDPOINT_URL_STS").is_some()
    }

    async fn identity(
        &self,
        base: &SdkConfig,
        connected: &Connected,
        clock: &mut Vec<ClockReading>,
    ) -> Result<(String, String), ReadFailure> {
        let sts = client::sts(base, &connected.config, &self.options);
        let seen = Seen::default();
        let asked = sts.get_caller_identity().customize();
        let answer = asked.interceptor(seen.clone()).send().await;
        clock.extend(seen.clock());
        let answer = answer.map_err(|error| seen.failure(&error))?;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Ok((text(answer.arn()), text(answer.account())))
    }
}

/// Which of these channels there are not.
async fn missing(connected: &Connected, channels: &[String]) -> Result<Vec<String>, ReadFailure> {
    let mut missing = Vec::new();
    for (nth, batch) in channels
        .chunks(BATCH)
        .take(CHANNELS_MAX / BATCH)
        .enumerate()
    {
        if nth > 0 {
            tokio::time::sleep(BATCH_EVERY).await;
        }
        let seen = Seen::default();
        let asked = connected.client.batch_get_channel();
        let asked = asked.set_arns(Some(batch.to_vec())).customize();
        let answer = asked.interceptor(seen.clone()).send().await;
        let answer = answer.map_err(|error| seen.failure(&error))?;
        let gone = answer.errors().iter().filter(|error| {
            let code = error.code().unwrap_or_default();
            code.contains("NotFound")
        });
        missing.extend(gone.filter_map(|error| error.arn().map(str::to_owned)));
    }
    Ok(missing)
}

/// Whether a URL leads to AWS.
fn is_of_aws(url: &str) -> bool {
    let host = url.parse::<http::Uri>();
    let host = host.ok().and_then(|url| url.host().map(str::to_owned));
    host.is_some_and(|host| {
        [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"]
            .iter()
            .any(|end| host.ends_with(end))
    })
}

/// What was seen of one request: where it went, and the date of its answer.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Sight>>);

#[derive(Debug, Default)]
struct Sight {
    host: Option<String>,
    left: Option<(SystemTime, Instant)>,
    answered: bool,
    clock: Option<ClockReading>,
}

impl Seen {
    fn with<T>(&self, work: impl FnOnce(&mut Sight) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn host(&self) -> Option<String> {
        self.with(|sight| sight.host.clone())
    }

    fn answered(&self) -> bool {
        self.with(|sight| sight.answered)
    }

    fn clock(&self) -> Option<ClockReading> {
        self.with(|sight| sight.clock)
    }

    fn failure<E>(&self, error: &SdkError<E, HttpResponse>) -> ReadFailure
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let (kind, error) = reply::of_read(error, self.with(|sight| sight.left.is_some()));
        ReadFailure { kind, error }
    }
}

impl Intercept for Seen {
    fn name(&self) -> &'static str {
        "Seen"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let uri = context.request().uri().parse::<http::Uri>().ok();
        self.with(|sight| {
            sight.host = uri.and_then(|uri| uri.authority().map(ToString::to_string));
            sight.left = Some((SystemTime::now(), Instant::now()));
        });
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        self.with(|sight| {
            sight.answered = true;
            sight.clock = date
                .zip(sight.left)
                .map(|(date, (left, began))| ClockReading::of(date, left, began.elapsed()));
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_by_a_date() {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let check = |left: SystemTime, took_ms, expected: (i64, i64)| {
            let reading = ClockReading::of(date, left, Duration::from_millis(took_ms));
            assert_eq!((reading.ahead_ms, reading.within_ms), expected);
        };
        let ms = Duration::from_millis;
        check(date + ms(400), 200, (0, 600));
        check(date + ms(10_400), 200, (10_000, 600));
        check(date - ms(9_600), 200, (-10_000, 600));
        check(date, 0, (-500, 500));
    }

    #[test]
    fn endpoints_of_aws() {
        for (url, is) in [
            ("https://ivs.us-west-2.amazonaws.com", true),
            ("https://vpce-1.ivs.us-west-2.vpce.amazonaws.com:443/", true),
            ("https://ivs.us-west-2.api.aws", true),
            ("http://127.0.0.1:4580", false),
            ("https://amazonaws.com.example.com", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_of_aws(url), is, "{url}");
        }
    }
}
