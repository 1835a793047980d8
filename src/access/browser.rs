//! What a browser's pages may not do.
//!
//! A browser reaches this machine, and so does every page it shows. Two checks keep other pages
//! out: a request that a page of another origin made is refused, and where nothing else keeps
//! strangers out the `Host` must be this machine's (a name that an attacker points at 127.0.0.1
//! is not, which ends DNS rebinding). `curl` and SDKs send none of the headers in question.

use crate::refusal::{Code, Refusal};
use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It is for a host that is not this one.
    Host,
    /// A page of another origin made it.
    Origin,
}

/// For a listener that people and their browsers use: the host is always looked at. `bound` is
/// the address it listens on.
///
/// # Errors
/// [`Foreign`].
pub fn check_operator(uri: &Uri, headers: &HeaderMap, bound: IpAddr) -> Result<(), Foreign> {
    let host = host(uri, headers)
        .filter(|host| is_ours(host, bound))
        .ok_or(Foreign::Host)?;
    if is_cross_origin(headers, &host) {
        return Err(Foreign::Origin);
    }
    Ok(())
}

/// Whether a browser sent it for a page: programs say nothing of origins.
fn is_from_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key(&FETCH_SITE)
}

/// For a listener that programs use: what comes from no page passes. Pages of the `allowed`
/// origins may, and those of the listener's own, if there were any.
///
/// `unguarded` is the address of a listener that asks nobody for a key and is meant for this
/// machine alone. There the host is looked at too: of a page's request it must be this machine's; of
/// any other it must not be a name that could be anybody's, because a browser says of a page's
/// reading from its own origin no more than the host.
///
/// # Errors
/// [`Foreign`].
pub fn check_producer(
    uri: &Uri,
    headers: &HeaderMap,
    allowed: &[String],
    unguarded: Option<IpAddr>,
) -> Result<(), Foreign> {
    if unguarded.is_none() && !is_from_page(headers) {
        // Nearly every request: nothing of it is looked at.
        return Ok(());
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    if let (Some(origin), None) = (origins.next(), origins.next())
        && allowed.iter().any(|allowed| origin == allowed.as_str())
    {
        return Ok(());
    }
    let host = host(uri, headers);
    let is_strange = |bound: IpAddr| match &host {
        Some(host) if is_from_page(headers) => !is_ours(host, bound),
        Some(host) => is_public(host) && !is_ours(host, bound),
        None => is_from_page(headers),
    };
    if unguarded.is_some_and(is_strange) {
        return Err(Foreign::Host);
    }
    if !is_from_page(headers) {
        return Ok(());
    }
    let host = host.ok_or(Foreign::Host)?;
    if is_cross_origin(headers, &host) {
        return Err(Foreign::Origin);
    }
    Ok(())
}

/// Whether a host is a name that the network's names could hold: those of one label are this
/// network's own.
fn is_public(host: &Authority) -> bool {
    let name = host.host();
    name.contains('.') && name.parse::<IpAddr>().is_err()
}

/// Whom the request is for: one authority, wherever it is said (HTTP/2 says it in the URI).
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut said = headers.get_all(HOST).iter();
    let header = said.next().map(|host| Authority::try_from(host.as_bytes()));
    match (uri.authority(), header, said.next()) {
        (_, _, Some(_)) | (_, Some(Err(_)), _) | (None, None, None) => None,
        (Some(uri), None, None) => Some(uri.clone()),
        (None, Some(Ok(header)), None) => Some(header),
        (Some(uri), Some(Ok(header)), None) => (*uri == header).then_some(header),
    }
}

fn is_ours(host: &Authority, bound: IpAddr) -> bool {
    if host.as_str().contains('@') {
        return false;
    }
    let name = host.host();
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = name.trim_start_matches('[').trim_end_matches(']');
    // No rebinding gives an attacker an address for a name: bound to all of the machine's
    // addresses, any may be meant.
    address.parse::<IpAddr>().is_ok_and(|ip| {
        let ip = ip.to_canonical();
        ip.is_loopback() || bound.is_unspecified() || ip == bound.to_canonical()
    })
}

/// Whether a browser says that a page of another origin asks. Another port is another origin,
/// though the same site: whatever else runs on this machine must not steer the gateway.
fn is_cross_origin(headers: &HeaderMap, host: &Authority) -> bool {
    let is_foreign = |origin: &HeaderValue| {
        let own = origin.to_str().ok().and_then(|origin| {
            let authority = origin.strip_prefix("http://");
            authority.or_else(|| origin.strip_prefix("https://"))
        });
        own.is_none_or(|own| !own.eq_ignore_ascii_case(host.as_str()))
    };
    let is_elsewhere = |site: &HeaderValue| site != "same-origin" && site != "none";
    headers.get_all(ORIGIN).iter().any(is_foreign)
        || headers.get_all(&FETCH_SITE).iter().any(is_elsewhere)
}

impl From<Foreign> for Refusal {
    fn from(foreign: Foreign) -> Self {
        let detail = match foreign {
            Foreign::Host => {
                "without keys Host must be localhost, or an address of this machine: behind a proxy set server.auth, or have keys"
            }
            Foreign::Origin => {
                "a page of another origin made this request: name it in server.allowed_origins if it may"
            }
        };
        Self::new(Code::Forbidden, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(bound: &str, uri: &str, headers: &[(&'static str, &'static str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let uri: Uri = uri.parse().expect("a URI");
        match check_operator(&uri, &map, bound.parse().expect("an address")) {
            Ok(()) => 200,
            Err(Foreign::Host) => 421,
            Err(Foreign::Origin) => 403,
        }
    }

    #[test]
    fn hosts() {
        for (bound, host, expected) in [
            ("127.0.0.1", "localhost", 200),
            ("127.0.0.1", "LOCALHOST:8081", 200),
            ("127.0.0.1", "127.0.0.1:8081", 200),
            ("127.0.0.1", "127.9.9.9", 200),
            ("127.0.0.1", "[::1]:8081", 200),
            ("127.0.0.1", "[::ffff:127.0.0.1]", 200),
            ("127.0.0.1", "10.0.0.7", 421),
            ("10.0.0.7", "10.0.0.7:8081", 200),
            ("10.0.0.7", "10.0.0.8:8081", 421),
            ("10.0.0.7", "localhost", 200),
            ("0.0.0.0", "10.0.0.7:8081", 200),
            ("::", "[fd00::7]:8081", 200),
            ("0.0.0.0", "evil.example", 421),
            ("127.0.0.1", "evil.example:8081", 421),
            ("127.0.0.1", "localhost.evil.example", 421),
            ("127.0.0.1", "127.0.0.1.evil.example", 421),
            ("127.0.0.1", "evil.example@127.0.0.1", 421),
            ("127.0.0.1", "127.1", 421),
            ("127.0.0.1", "2130706433", 421),
            ("127.0.0.1", "localhost.", 421),
            ("127.0.0.1", "", 421),
        ] {
            assert_eq!(
                status(bound, "/", &[("host", host)]),
                expected,
                "{host:?} at {bound}"
            );
        }
        assert_eq!(status("127.0.0.1", "/", &[]), 421, "none at all");
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(status("127.0.0.1", "/", &two), 421, "two of them");
        // As HTTP/2 and proxies say it.
        for (uri, host, expected) in [
            ("http://localhost:8081/", None, 200),
            ("http://evil.example/", None, 421),
            ("http://evil.example/", Some(("host", "localhost")), 421),
            ("http://localhost/", Some(("host", "localhost")), 200),
        ] {
            let headers: Vec<_> = host.into_iter().collect();
            assert_eq!(status("127.0.0.1", uri, &headers), expected, "{uri}");
        }
    }

    #[test]
    fn origins() {
        for (header, value, expected) in [
            ("origin", "http://localhost:8081", 200),
            ("origin", "https://localhost:8081", 200),
            ("origin", "http://localhost:3000", 403),
            ("origin", "http://localhost", 403),
            ("origin", "http://127.0.0.1:8081", 403),
            ("origin", "http://evil.example", 403),
            ("origin", "http://localhost:8081.evil.example", 403),
            ("origin", "null", 403),
            ("origin", "", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("sec-fetch-mode", "cors", 200),
        ] {
            let headers = [("host", "localhost:8081"), (header, value)];
            assert_eq!(
                status("127.0.0.1", "/", &headers),
                expected,
                "{header}: {value}"
            );
        }
    }
}
