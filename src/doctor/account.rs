//! What answers of the API say of an account, as findings. Pure.

use std::time::Duration;

use engine::{Outcome, Rejection};

use super::Finding;
use crate::upstream::{Answer, ClockReading, Examined, Kind, ReadFailure};

/// How far a clock may be off before it is told, beside what the reading itself may be off: `at`
/// moves by as much. Clocks that are kept are within some milliseconds.
const CLOCK_OFF_MS: i64 = 1000;

/// From here on AWS refuses signatures.
const SIGNATURES_OFF_MS: i64 = 5 * 60 * 1000;

/// ARNs that are named; what is beyond is counted.
const NAMED: usize = 5;

/// What was found out about an account in a region with this many listed channels.
#[must_use]
pub fn judge(account: &str, region: &str, channels: usize, examined: &Examined) -> Vec<Finding> {
    let about = format!("{account} {region}");
    if let Some(reason) = &examined.no_credentials {
        return vec![
            Finding::action("credentials", &about, reason)
                .advise("give this process credentials by the AWS chain; nothing else was asked"),
        ];
    }
    let mut found = vec![identity(&about, account, examined.identity.as_ref())];
    if let Some(streams) = &examined.streams {
        found.push(network(&about, examined.host.as_deref(), streams));
        found.extend(permission(&about, streams));
    }
    if let Some(missing) = &examined.missing {
        found.push(listed(&about, channels, missing));
    }
    found.extend(clock(&about, &examined.clock));
    found
}

/// What an account was told whose gateway called `PutMetadata` for a channel that does not exist. None:
/// what else is looked at says more.
#[must_use]
pub fn permitted(account: &str, region: &str, answer: &Answer) -> Option<Finding> {
    let (check, about) = ("PutMetadata", format!("{account} {region}"));
    let said = answer.error.as_ref().map_or("", |error| &error.message);
    match answer.outcome {
        _ if answer.account_trouble => None,
        Outcome::Rejected(Rejection::AccessDenied) => {
            let text = format!("not allowed for a channel that does not exist: {said}");
            Some(Finding::action(check, &about, text).advise(format!(
                "allow ivs:PutMetadata on arn:aws:ivs:{region}:{account}:channel/*, or see that the policy names each channel of yours"
            )))
        }
        Outcome::Rejected(Rejection::NoSuchChannel) | Outcome::Offline | Outcome::Delivered => {
            Some(Finding::ok(check, &about, "ivs:PutMetadata is allowed"))
        }
        Outcome::Throttled(_) => {
            let text = "throttled at the first call: other programs call it for this account";
            Some(Finding::action(check, &about, text).advise(
                "let all events of the account go through one gateway, or lower quota.account_tps by what others need",
            ))
        }
        Outcome::Rejected(Rejection::Validation)
        | Outcome::TooLarge
        | Outcome::Failed
        | Outcome::Refused
        | Outcome::Unknown => {
            let text = format!("one call was tried and told nothing: {said}");
            Some(Finding::note(check, &about, text))
        }
    }
}

/// An account whose examination did not end.
#[must_use]
pub fn no_end(account: &str, region: &str, within: Duration) -> Finding {
    let text = format!("nothing was found out within {} s", within.as_secs());
    Finding::action("network", &format!("{account} {region}"), text)
        .advise("look at what AWS credentials come from, and whether this machine reaches it")
}

fn identity(
    about: &str,
    account: &str,
    identity: Option<&Result<(String, String), ReadFailure>>,
) -> Finding {
    let check = "credentials";
    match identity {
        None => Finding::note(
            check,
            about,
            "there are credentials; STS is not asked whose, because calls go to an endpoint that is not AWS's",
        ),
        Some(Ok((arn, owner))) if owner == account => Finding::ok(check, about, arn),
        Some(Ok((arn, owner))) => {
            let text = format!("{arn}, of the account {owner}: not that of the channels");
            Finding::action(check, about, text).advise(format!(
                "set role_arn in the [[account]] table of {account}, or give this process credentials of {account}"
            ))
        }
        Some(Err(failure)) if failure.kind == Kind::Answered => {
            let text = format!("STS refuses them: {}", words(failure));
            Finding::action(check, about, text).advise(
                "renew them: `aws sts get-caller-identity` with the same environment must succeed",
            )
        }
        Some(Err(failure)) => {
            let text = format!("STS was asked whose they are: {}", words(failure));
            Finding::note(check, about, text)
                .advise("let this machine reach sts.REGION.amazonaws.com; roles are assumed there")
        }
    }
}

fn network(about: &str, host: Option<&str>, streams: &Result<Duration, ReadFailure>) -> Finding {
    let host = host.unwrap_or("the API");
    match streams {
        Ok(took) => {
            let text = format!("{host} answers in {} ms", took.as_millis());
            Finding::ok("network", about, text)
        }
        Err(failure) if failure.kind == Kind::Answered => {
            Finding::ok("network", about, format!("{host} answers"))
        }
        Err(failure) => {
            let text = format!("{host}: {}", words(failure));
            Finding::action("network", about, text).advise(
                "let this machine reach it: its name, port 443, HTTPS_PROXY, upstream.endpoint_url",
            )
        }
    }
}

/// None where nobody answered.
fn permission(about: &str, streams: &Result<Duration, ReadFailure>) -> Option<Finding> {
    let check = "permissions";
    match streams {
        Ok(_) => Some(Finding::ok(check, about, "ivs:ListStreams is allowed")),
        Err(failure) if failure.kind != Kind::Answered => None,
        Err(failure) if is_denied(failure) => {
            let text = "ivs:ListStreams is not allowed: offline channels come back by notices and probes alone";
            Some(
                Finding::note(check, about, text)
                    .advise("allow it, if you like; Cuegate works without"),
            )
        }
        Err(failure) if matches!(failure.error.status, Some(401 | 403)) => {
            let text = format!("the API refuses these credentials: {}", words(failure));
            Some(
                Finding::action(check, about, text).advise(
                    "renew the credentials; if they are good, set this machine's clock right",
                ),
            )
        }
        Err(failure) => {
            let text = format!("ListStreams was answered by {}", words(failure));
            Some(Finding::note(check, about, text).advise("ask again in a minute"))
        }
    }
}

fn listed(about: &str, channels: usize, missing: &Result<Vec<String>, ReadFailure>) -> Finding {
    let check = "channels";
    match missing {
        Ok(missing) if missing.is_empty() => {
            Finding::ok(check, about, format!("all {channels} of them exist"))
        }
        Ok(missing) => {
            let mut named: Vec<_> = missing.iter().take(NAMED).map(String::as_str).collect();
            let more = missing.len() - named.len();
            let more = format!("and {more} more");
            if missing.len() > NAMED {
                named.push(&more);
            }
            let text = format!(
                "{} of {channels} do not exist: {}",
                missing.len(),
                named.join(", ")
            );
            Finding::action(check, about, text)
                .advise("correct their ARNs: their events would become dead letters")
        }
        Err(failure) if is_denied(failure) => Finding::note(
            check,
            about,
            "ivs:BatchGetChannel is not allowed, so whether the channels exist is not known",
        )
        .advise("allow it, if you like; Cuegate works without"),
        Err(failure) => {
            let text = format!("BatchGetChannel was answered by {}", words(failure));
            Finding::note(check, about, text).advise("ask again in a minute")
        }
    }
}

/// By the answer that shows the most; none where no answer had a date.
fn clock(about: &str, readings: &[ClockReading]) -> Option<Finding> {
    let off = |reading: &&ClockReading| reading.ahead_ms.saturating_abs() - reading.within_ms;
    let reading = readings.iter().max_by_key(off)?;
    let (off_ms, within_s) = (off(&reading), reading.within_ms.div_euclid(1000) + 1);
    if off_ms <= CLOCK_OFF_MS {
        let text = format!("within {within_s} s of AWS's");
        return Some(Finding::ok("clock", about, text));
    }
    let side = if reading.ahead_ms > 0 {
        "ahead of"
    } else {
        "behind"
    };
    let s = reading.ahead_ms.saturating_abs() / 1000;
    let so = if off_ms >= SIGNATURES_OFF_MS {
        "; AWS refuses signatures from 5 minutes on"
    } else {
        ""
    };
    let text = format!("{s} s {side} AWS's: every `at` is as far off{so}");
    Some(Finding::action("clock", about, text).advise(
        "keep the clock by NTP: `timedatectl` shows whether it is, chrony or systemd-timesyncd does it",
    ))
}

fn is_denied(failure: &ReadFailure) -> bool {
    let code = failure.error.code.as_deref().unwrap_or_default();
    failure.error.status == Some(403) && code.starts_with("AccessDenied")
}

fn words(failure: &ReadFailure) -> String {
    let error = &failure.error;
    error.code.as_ref().map_or_else(
        || error.message.clone(),
        |code| format!("{code}: {}", error.message),
    )
}
