//! The id of a request: the producer's own where it can be kept, else a fresh one. It is in the
//! answer, in the logs and in the trace.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// The header of requests and answers.
pub static HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over: room for any common form, and no more in logs than that.
const LENGTH_MAX: usize = 128;

/// Digits of the part that differs between processes, and of the one that counts.
const DIGITS: usize = 12;

/// The id of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The request's own if it is 1 to 128 visible ASCII characters, else a fresh one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let own = headers.get(&HEADER).filter(|value| is_fit(value));
        own.map_or_else(Self::fresh, |value| Self(value.clone()))
    }

    /// One that no other request has.
    #[must_use]
    pub fn fresh() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| fastrand::u64(..));
        static REQUESTS: AtomicU64 = AtomicU64::new(0);
        let mut id = [0; 2 * DIGITS];
        write_hex(&mut id[..DIGITS], *PROCESS);
        write_hex(
            &mut id[DIGITS..],
            REQUESTS.fetch_add(1, Ordering::Relaxed) + 1,
        );
        let value = HeaderValue::from_bytes(&id);
        Self(value.unwrap_or_else(|_| HeaderValue::from_static("0")))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Puts it into an answer.
    pub fn put(self, headers: &mut HeaderMap) {
        headers.insert(HEADER.clone(), self.0);
    }
}

/// For the operators' listeners, where nothing is hot.
pub async fn answer(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    id.put(response.headers_mut());
    response
}

fn is_fit(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=LENGTH_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// The last digits of a number: formatting costs several times as much.
fn write_hex(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_ids_are_kept_where_they_can_be() {
        let long = "x".repeat(LENGTH_MAX);
        for (own, kept) in [
            ("a", true),
            ("4bf92f35/~!\"", true),
            (long.as_str(), true),
            ("", false),
            ("a b", false),
            ("a\tb", false),
            ("é", false),
            (&format!("{long}x"), false),
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_bytes(own.as_bytes());
            headers.insert(HEADER.clone(), value.expect("a value"));
            let id = RequestId::of(&headers);
            assert_eq!(id.as_str() == own, kept, "{own:?}");
            assert!(!id.as_str().is_empty());
        }
    }

    #[test]
    fn fresh_ids_differ() {
        let (a, b) = (RequestId::fresh(), RequestId::of(&HeaderMap::new()));
        assert_ne!(a, b);
        for id in [a, b] {
            assert_eq!(id.as_str().len(), 2 * DIGITS);
            assert!(id.as_str().bytes().all(|c| c.is_ascii_hexdigit()));
        }
    }
}
