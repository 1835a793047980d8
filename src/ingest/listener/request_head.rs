//! What every head of a request must be, whatever it asks for (RFC 9112).
//!
//! hyper has read it by then, and is laxer: a front that reads it otherwise could be made to take one
//! request for another.

use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue, Request, Response, Version};

use crate::refusal::Refusal;
use crate::telemetry::RequestId;

/// Whether the head is in order.
///
/// # Errors
/// `malformed`.
pub fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    let hosts = headers.get_all(HOST).iter().take(2).count();
    // Section 3.2: of HTTP/1.1 one, of HTTP/1.0 none either; HTTP/2 has a field of its own.
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(Refusal::malformed("a request has exactly one Host"));
    }
    // Section 6.1: the last one is chunked, or hyper would have refused it, but others may come
    // before it, which nobody here undoes.
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if is_chunked(coding) => Ok(()),
        _ => Err(Refusal::malformed(
            "of transfer codings only chunked is taken, once; a compressed body has Content-Encoding: gzip",
        )),
    }
}

fn is_chunked(coding: &HeaderValue) -> bool {
    let coding = coding.as_bytes().trim_ascii();
    coding.eq_ignore_ascii_case(b"chunked")
}

/// The answer to a request whose head is not. Where its body ends is not known, so the connection
/// ends with it.
#[must_use]
pub fn refuse(refusal: &Refusal, headers: &HeaderMap) -> Response<axum::body::Body> {
    let mut response = refusal.problem("");
    RequestId::of(headers).put(response.headers_mut());
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip] // a table
    fn heads() {
        for (version, headers, is_fine) in [
            (Version::HTTP_11, &[("host", "x")][..], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &[("host", "x"), ("host", "x")], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_10, &[("host", "x"), ("host", "y")], false),
            (Version::HTTP_2, &[], true),
            (Version::HTTP_11, &[("host", "x"), ("transfer-encoding", " Chunked ")], true),
            (Version::HTTP_11, &[("host", "x"), ("transfer-encoding", "gzip, chunked")], false),
            (Version::HTTP_11, &[("host", "x"), ("transfer-encoding", "chunked, chunked")], false),
            (Version::HTTP_11, &[("host", "x"), ("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")], false),
        ] {
            let mut request = Request::builder().version(version);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            assert_eq!(check(&request.body(()).unwrap()).is_ok(), is_fine, "{version:?} {headers:?}");
        }
    }
}
