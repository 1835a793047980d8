//! Where events are posted and how badly: as it is written, and as it is checked and ready.
//!
//! No default is applied anywhere but in [`Settings::resolve`].

use crate::input::{self, Member, Rule, Shape, optional};
use crate::limits::{MAX_EVENT_DELAY, MAX_EVENTS_SECRET, MAX_EVENTS_URL};
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Uri};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The header of an API destination's API key, as Cuegate's `EventBridge` door wants it.
const DEFAULT_HEADER: &str = "X-Cuegate-Secret";

/// Headers that the request has anyway.
const TAKEN_HEADERS: [&str; 7] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "user-agent",
    "expect",
];

/// Where stream state changes are posted from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsTarget {
    /// `http://HOST[:PORT][/PATH]`. TLS is not spoken.
    pub url: String,
    /// The header that carries the secret; `X-Cuegate-Secret` by default.
    pub header: Option<String>,
    /// 1 to 1,024 visible ASCII characters; no header by default.
    pub secret: Option<String>,
}

/// What is wrong with a place for events; the text says what it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EventsError(String);

/// Any unsigned number of 64 bits.
const WHOLE: Shape = Shape::Whole(0, u64::MAX);

const SETTINGS: &[Member] = &[
    optional("url", Shape::Text(Rule::Any)),
    optional("header", Shape::Text(Rule::Any)),
    optional("secret", Shape::Text(Rule::Any)),
    optional("delay_ms", Shape::List(&WHOLE, 2, 2)),
    optional("drop", Shape::Real),
    optional("repeat", Shape::Real),
    optional("reorder", Shape::Real),
    optional("seed", WHOLE),
];

/// Settings as they are written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct Raw {
    url: Option<String>,
    header: Option<String>,
    secret: Option<String>,
    delay_ms: Option<[u64; 2]>,
    drop: Option<f64>,
    repeat: Option<f64>,
    reorder: Option<f64>,
    seed: Option<u64>,
}

/// Settings as they hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) destination: Destination,
    pub(super) mishaps: Mishaps,
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) url: Uri,
    /// As a socket wants it: without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) secret: Option<(HeaderName, HeaderValue)>,
}

/// How badly. Each is a probability from 0 to 1, but the delay, which is drawn evenly.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Mishaps {
    pub(super) delay: (Duration, Duration),
    pub(super) drop: f64,
    pub(super) repeat: f64,
    pub(super) reorder: f64,
    pub(super) seed: u64,
}

/// Settings as they are shown: everything but the secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Listed {
    url: String,
    header: Option<String>,
    delay_ms: [u128; 2],
    drop: f64,
    repeat: f64,
    reorder: f64,
    seed: u64,
}

fn wrong<T>(what: impl Into<String>) -> Result<T, EventsError> {
    Err(EventsError(what.into()))
}

impl Raw {
    pub(crate) fn read(json: &[u8]) -> Result<Self, EventsError> {
        input::own(json, SETTINGS).map_err(EventsError)
    }
}

impl Settings {
    pub(super) fn of_target(target: &EventsTarget) -> Result<Self, EventsError> {
        Self::resolve(Raw {
            url: Some(target.url.clone()),
            header: target.header.clone(),
            secret: target.secret.clone(),
            ..Raw::default()
        })
    }

    pub(super) fn resolve(raw: Raw) -> Result<Self, EventsError> {
        let Some(url) = raw.url else {
            return wrong("url is missing");
        };
        for (name, probability) in [
            ("drop", raw.drop),
            ("repeat", raw.repeat),
            ("reorder", raw.reorder),
        ] {
            if probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
                return wrong(format!("{name} must be 0 to 1"));
            }
        }
        let [least, most] = raw.delay_ms.unwrap_or_default().map(Duration::from_millis);
        if least > most || most > MAX_EVENT_DELAY {
            return wrong(format!(
                "delay_ms must be [least, most], at most {}",
                MAX_EVENT_DELAY.as_millis()
            ));
        }
        Ok(Self {
            destination: Destination::read(&url, raw.header, raw.secret)?,
            mishaps: Mishaps {
                delay: (least, most),
                drop: raw.drop.unwrap_or(0.0),
                repeat: raw.repeat.unwrap_or(0.0),
                reorder: raw.reorder.unwrap_or(0.0),
                seed: raw.seed.unwrap_or(0),
            },
        })
    }

    pub(super) fn listed(&self) -> Listed {
        let Mishaps {
            delay,
            drop,
            repeat,
            reorder,
            seed,
        } = self.mishaps;
        let secret = self.destination.secret.as_ref();
        Listed {
            url: self.destination.url.to_string(),
            header: secret.map(|(name, _)| name.as_str().to_owned()),
            delay_ms: [delay.0.as_millis(), delay.1.as_millis()],
            drop,
            repeat,
            reorder,
            seed,
        }
    }
}

impl Destination {
    fn read(
        text: &str,
        header: Option<String>,
        secret: Option<String>,
    ) -> Result<Self, EventsError> {
        if text.len() > MAX_EVENTS_URL {
            return wrong(format!("url may have {MAX_EVENTS_URL} characters"));
        }
        let url: Uri = match text.parse() {
            Ok(url) => url,
            Err(error) => return wrong(format!("url '{text}': {error}")),
        };
        if url.scheme() != Some(&Scheme::HTTP) {
            return wrong(format!(
                "url '{text}' must begin with http://: events are posted without TLS, https:// is not spoken"
            ));
        }
        let Some(authority) = url.authority().filter(|it| !it.as_str().contains('@')) else {
            return wrong("url must have a host, and no user name before it");
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if host.is_empty() {
            return wrong("url must have a host");
        }
        let (host, port) = (host.to_owned(), authority.port_u16().unwrap_or(80));
        if secret.is_none() && header.is_some() {
            return wrong("there is a header but no secret to send in it");
        }
        let secret = secret.map(|secret| api_key(header, &secret)).transpose()?;
        Ok(Self {
            url,
            host,
            port,
            secret,
        })
    }
}

fn api_key(header: Option<String>, secret: &str) -> Result<(HeaderName, HeaderValue), EventsError> {
    let header = header.unwrap_or_else(|| DEFAULT_HEADER.to_owned());
    let Ok(name) = HeaderName::from_bytes(header.as_bytes()) else {
        return wrong(format!("'{header}' is no name of a header"));
    };
    if TAKEN_HEADERS.contains(&name.as_str()) {
        return wrong(format!("the header {name} cannot carry the secret"));
    }
    let visible = secret.bytes().all(|byte| byte.is_ascii_graphic());
    if secret.is_empty() || secret.len() > MAX_EVENTS_SECRET || !visible {
        return wrong(format!(
            "secret must be 1 to {MAX_EVENTS_SECRET} visible ASCII characters"
        ));
    }
    let Ok(mut value) = HeaderValue::from_str(secret) else {
        return wrong("secret does not fit a header");
    };
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::{Raw, Settings};

    fn check(json: &str, expected: Result<&str, &str>) {
        let resolved = Raw::read(json.as_bytes()).and_then(Settings::resolve);
        match (resolved, expected) {
            (Ok(settings), Ok(listed)) => {
                let shown = serde_json::to_string(&settings.listed()).expect("JSON");
                assert_eq!(shown, listed, "{json}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{json}: {error}"),
            (got, _) => panic!("{json}: {got:?}"),
        }
    }

    #[test]
    fn settings_are_checked() {
        let plain = r#""delay_ms":[0,0],"drop":0.0,"repeat":0.0,"reorder":0.0,"seed":0}"#;
        check(
            r#"{"url":"http://127.0.0.1:9/v1/eventbridge"}"#,
            Ok(&format!(
                r#"{{"url":"http://127.0.0.1:9/v1/eventbridge","header":null,{plain}"#
            )),
        );
        check(
            r#"{"url":"http://[::1]:9","secret":"s3cret"}"#,
            Ok(&format!(
                r#"{{"url":"http://[::1]:9/","header":"x-cuegate-secret",{plain}"#
            )),
        );
        check(
            r#"{"url":"http://h","secret":"s","header":"X-Key","delay_ms":[1,20],"drop":0.5,"repeat":1,"reorder":0,"seed":7}"#,
            Ok(
                r#"{"url":"http://h/","header":"x-key","delay_ms":[1,20],"drop":0.5,"repeat":1.0,"reorder":0.0,"seed":7}"#,
            ),
        );
        for (json, part) in [
            ("", "url is missing"),
            ("[]", "the body must be an object, not an array"),
            ("{", "the body is not JSON"),
            ("{}", "url is missing"),
            (r#"{"url":"https://h/"}"#, "https:// is not spoken"),
            (r#"{"url":"h:80"}"#, "http://"),
            (r#"{"url":"/path"}"#, "http://"),
            (r#"{"url":"http://"}"#, "url"),
            (r#"{"url":"http://me@h/"}"#, "no user name"),
            (r#"{"url":"http://h","header":"X-Key"}"#, "no secret"),
            (
                r#"{"url":"http://h","header":"Host","secret":"s"}"#,
                "header host",
            ),
            (r#"{"url":"http://h","header":"a b","secret":"s"}"#, "'a b'"),
            (r#"{"url":"http://h","secret":""}"#, "visible"),
            (r#"{"url":"http://h","secret":"a b"}"#, "visible"),
            (r#"{"url":"http://h","drop":1.5}"#, "drop must be 0 to 1"),
            (r#"{"url":"http://h","repeat":-0.1}"#, "repeat must be"),
            (r#"{"url":"http://h","delay_ms":[2,1]}"#, "[least, most]"),
            (r#"{"url":"http://h","delay_ms":[0,600001]}"#, "600000"),
            (
                r#"{"url":"http://h","late":1}"#,
                "no member 'late', only url, header",
            ),
        ] {
            check(json, Err(part));
        }
    }
}
