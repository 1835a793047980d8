//! The headers that all answers of the API have beside their own, as a browser's SDK sees them, and
//! the preflight that a browser sends before a call.
//!
//! Which headers there are is the service model's, in its errors and in the answers of the batch
//! operations; what they say is not public. [inf]

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use std::time::SystemTime;

const SECURITY: [(HeaderName, &str); 7] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "x-amzn-errortype,x-amzn-requestid,date",
    ),
    (header::CACHE_CONTROL, "no-store, no-cache"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'self'"),
    // A browser takes no notice of it without TLS.
    (
        header::STRICT_TRANSPORT_SECURITY,
        "max-age=47304000; includeSubDomains",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
];

/// A call is signed, so that any page may make one.
///
/// The date is the clock's of now: hyper's own stands still for as long as the clock is set back, and the
/// SDKs sign by it.
pub(super) fn add(headers: &mut HeaderMap, now: SystemTime) {
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(now)) {
        headers.insert(header::DATE, date);
    }
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The answer to a browser that asks whether it may call; `None` for any other request.
pub(super) fn preflight(parts: &Parts) -> Option<Response<Full<Bytes>>> {
    let asked = &parts.headers;
    let is_preflight = parts.method == Method::OPTIONS
        && asked.contains_key(header::ORIGIN)
        && asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    say(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        "GET, POST, DELETE, OPTIONS",
    );
    say(header::ACCESS_CONTROL_MAX_AGE, "86400");
    // The SDKs' own headers differ from version to version.
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    if let Some(wanted) = wanted {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    Some(response)
}
