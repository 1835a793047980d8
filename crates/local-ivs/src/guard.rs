//! What a browser's pages may not do below `/_local/`.
//!
//! These endpoints ask for no signature, and every page that a browser shows reaches loopback. So
//! a request that a page of another origin made is refused, and so is one for a name that is not
//! this machine's: whoever owns a name can point it at 127.0.0.1, and then their page is of the
//! same origin (DNS rebinding). Programs send no origin, and call the emulator by its address.

use http::request::Parts;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, header};
use std::net::IpAddr;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is refused; the text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Foreign {
    #[error(
        "this is not a name of this machine: {0}; use localhost or an address, or start local-ivs with --allow-host"
    )]
    Host(String),
    #[error("a page of another origin made this request")]
    Origin,
}

/// Longest part of a name in an answer.
const SHOWN: usize = 100;

/// Tells requests of pages and of names from others.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    /// The address that is listened on.
    bound: IpAddr,
    /// Names that are this machine's as well.
    allowed: Vec<String>,
}

impl Guard {
    pub(crate) const fn new(bound: IpAddr, allowed: Vec<String>) -> Self {
        Self { bound, allowed }
    }

    /// # Errors
    ///
    /// [`Foreign`]: the request is refused.
    pub(crate) fn check(&self, parts: &Parts) -> Result<(), Foreign> {
        let Some(host) = host(parts)? else {
            // A browser always says whom it asks.
            return Ok(());
        };
        if !self.is_ours(&host) {
            return Err(Foreign::Host(host.as_str().chars().take(SHOWN).collect()));
        }
        if is_cross_origin(parts, &host) {
            return Err(Foreign::Origin);
        }
        Ok(())
    }

    fn is_ours(&self, host: &Authority) -> bool {
        if host.as_str().contains('@') {
            return false;
        }
        let name = host.host();
        let mut allowed = self.allowed.iter();
        if name.eq_ignore_ascii_case("localhost")
            || allowed.any(|allowed| name.eq_ignore_ascii_case(allowed))
        {
            return true;
        }
        let address = name.trim_start_matches('[').trim_end_matches(']');
        // A name cannot be written as an address. Bound to all of the machine's addresses, any may
        // be meant.
        address.parse::<IpAddr>().is_ok_and(|ip| {
            let ip = ip.to_canonical();
            ip.is_loopback() || self.bound.is_unspecified() || ip == self.bound.to_canonical()
        })
    }
}

/// Whom the request is for; `None` if it does not say.
fn host(parts: &Parts) -> Result<Option<Authority>, Foreign> {
    let strange = |host: &[u8]| {
        let host = String::from_utf8_lossy(host);
        Foreign::Host(host.chars().take(SHOWN).collect())
    };
    let mut said = parts.uri.authority().cloned();
    for header in parts.headers.get_all(header::HOST) {
        let host =
            Authority::try_from(header.as_bytes()).map_err(|_| strange(header.as_bytes()))?;
        if said.as_ref().is_some_and(|said| *said != host) {
            return Err(strange(header.as_bytes()));
        }
        said = Some(host);
    }
    Ok(said)
}

/// Whether a browser says that a page of another origin asks. Another port is another origin.
fn is_cross_origin(parts: &Parts, host: &Authority) -> bool {
    let is_foreign = |origin: &HeaderValue| {
        let own = origin.to_str().ok().and_then(|origin| {
            let authority = origin.strip_prefix("http://");
            authority.or_else(|| origin.strip_prefix("https://"))
        });
        own.is_none_or(|own| !own.eq_ignore_ascii_case(host.as_str()))
    };
    let is_elsewhere = |site: &HeaderValue| site != "same-origin" && site != "none";
    let headers = &parts.headers;
    headers.get_all(header::ORIGIN).iter().any(is_foreign)
        || headers.get_all(&FETCH_SITE).iter().any(is_elsewhere)
}
