//! The answer of a channel, as bytes: `{"v":1,"n":N0,"s":[entry,…],"since":[[n,"text"],…]}`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use engine::ToldState;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::refusal::problem::push_string;

/// What is shorter fits one packet as it is.
const GZIP_MIN_BYTES: usize = 1000;

pub(super) struct Page {
    etag: HeaderValue,
    plain: Bytes,
    /// Made when somebody first asks for it.
    gzip: OnceLock<Bytes>,
}

impl Page {
    pub(super) fn new(told: &ToldState) -> Self {
        let last = told.since.last().map(|(n, _)| *n);
        let last = last.unwrap_or(told.n.saturating_sub(1));
        let etag = format!("W/\"{}-{last}\"", told.n);
        Self {
            etag: HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("W/\"0-0\"")),
            plain: body(told).into(),
            gzip: OnceLock::new(),
        }
    }

    /// As another node made it.
    pub(super) const fn told(etag: HeaderValue, plain: Bytes) -> Self {
        Self {
            etag,
            plain,
            gzip: OnceLock::new(),
        }
    }

    /// Bytes of memory, about: the compressed one is shorter.
    pub(super) fn bytes(&self) -> usize {
        2 * self.plain.len()
    }

    pub(super) fn answer(&self, asked: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(ETAG, self.etag.clone());
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if self.is_known(asked) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = if self.plain.len() >= GZIP_MIN_BYTES && takes_gzip(asked) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            self.gzip.get_or_init(|| compressed(&self.plain))
        } else {
            &self.plain
        };
        *response.body_mut() = Body::from(body.clone());
        response
    }

    fn is_known(&self, asked: &HeaderMap) -> bool {
        let own = self.etag.to_str().unwrap_or_default();
        let own = own.trim_start_matches("W/");
        // Weak comparison (RFC 9110, 8.8.3.2): a cache may have made it a strong one.
        list(asked, &IF_NONE_MATCH)
            .any(|known| known == "*" || known.trim_start_matches("W/") == own)
    }
}

fn body(told: &ToldState) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, r#"{{"v":1,"n":{},"s":["#, told.n);
    for (index, entry) in told.entries.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { "," });
        text.push_str(&entry.text());
    }
    text.push_str(r#"],"since":["#);
    for (index, (n, sent)) in told.since.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(text, "{comma}[{n},");
        push_string(&mut text, sent);
        text.push(']');
    }
    text.push_str("]}");
    text
}

/// Fast, because a page lives for a second: 300 KB take 2 ms.
fn compressed(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory cannot fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default().into()
}

/// Whether the answer may be compressed (RFC 9110, 12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    list(asked, &ACCEPT_ENCODING).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=");
        let refused = weight.is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty());
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// The members of a header that is a list.
fn list<'h>(
    headers: &'h HeaderMap,
    name: &axum::http::HeaderName,
) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).into_iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{Merge, StateEntry};
    use http_body_util::BodyExt as _;

    use super::*;

    fn page(values: usize) -> Page {
        let entry = |key: usize| StateEntry {
            key: format!("key \"{key}\"").into(),
            data: r#"{"home":1}"#.into(),
            kind: Some("score".into()),
            merge: Merge::Patch,
        };
        Page::new(&ToldState {
            n: 17,
            entries: (0..values).map(entry).collect(),
            since: vec![(17, Arc::from(r#"{"v":1}"#)), (19, Arc::from("~0é\\"))],
        })
    }

    fn asked(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )])
    }

    #[tokio::test]
    async fn it_is_what_players_read() {
        let answer = page(2).answer(&HeaderMap::new());
        assert_eq!(answer.headers()[ETAG], "W/\"17-19\"");
        let body = answer.into_body().collect().await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
        let expected = serde_json::json!({
            "v": 1,
            "n": 17,
            "s": [
                {"k": "key \"0\"", "d": {"home": 1}, "t": "score", "m": "patch"},
                {"k": "key \"1\"", "d": {"home": 1}, "t": "score", "m": "patch"},
            ],
            "since": [[17, "{\"v\":1}"], [19, "~0é\\"]],
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn who_has_it_is_told_so() {
        let page = page(0);
        for (known, status) in [
            ("W/\"17-19\"", 304),
            ("\"17-19\"", 304),
            ("\"a\", W/\"17-19\"", 304),
            ("*", 304),
            ("W/\"17-18\"", 200),
            ("17-19", 200),
            ("", 200),
        ] {
            let answer = page.answer(&asked("if-none-match", known));
            assert_eq!(answer.status(), status, "{known}");
            assert_eq!(answer.headers()[ETAG], "W/\"17-19\"");
        }
    }

    #[test]
    fn it_is_compressed_for_those_who_take_that() {
        let (short, long) = (page(0), page(100));
        for (codings, is_compressed) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("deflate", false),
            ("", false),
        ] {
            let asked = asked("accept-encoding", codings);
            let coding = |page: &Page| page.answer(&asked).headers().contains_key(CONTENT_ENCODING);
            assert_eq!((coding(&short), coding(&long)), (false, is_compressed));
        }
    }
}
