//! The texts that keys take: what each must look like, and what to write instead.
//!
//! A message repeats the text it refuses, except where that may be a secret.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::Uri;

use super::glob::Glob;
use super::types::Secret;
use crate::arn;

/// The label of all unlisted channels together, so no alias.
const OTHER: &str = "_other";

/// Characters of a secret: fewer than 16 can be guessed; headers end at 8 KiB.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=1024;

/// Longest alias, in characters: it is a label of every series of its channel.
const ALIAS_MAX_CHARS: usize = 64;

/// An address and port. `localhost` is the one host name that is worth knowing without
/// asking a name server.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        format!("{text:?} is not an address and port, as 127.0.0.1:8080 or [::1]:8080")
    })
}

pub(super) fn alias(text: &str) -> Result<String, String> {
    if text.starts_with("arn:") {
        return Err(format!("{text:?} looks like an ARN: choose a short alias"));
    }
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    let valid = (1..=ALIAS_MAX_CHARS).contains(&text.len()) && text.bytes().all(fits);
    // Clients resolve the first two out of a path before they send it.
    if !valid || [".", "..", OTHER].contains(&text) {
        return Err(format!(
            "{text:?} is not an alias: 1-64 letters, digits and . _ -, not {OTHER:?}"
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn account_id(text: &str) -> Result<String, String> {
    let valid = text.len() == 12 && text.bytes().all(|c| c.is_ascii_digit());
    valid
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} is not an account: 12 digits, in quotes"))
}

pub(super) fn region(text: &str) -> Result<String, String> {
    arn::is_region(text)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("{text:?} is not a region, as us-west-2"))
}

pub(super) fn role_arn(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let valid = matches!(parts[..], ["arn", _, "iam", "", account, role]
        if account_id(account).is_ok() && role.starts_with("role/") && role.len() > 5);
    valid.then(|| text.to_owned()).ok_or_else(|| {
        format!("{text:?} is not the ARN of a role, as arn:aws:iam::123456789012:role/NAME")
    })
}

/// A URL of scheme and host. The message does not repeat it: it may carry a password.
pub(super) fn url(text: &str) -> Result<String, String> {
    let uri: Option<Uri> = text.parse().ok();
    let valid = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && !text.contains('@')
    });
    valid
        .then(|| text.to_owned())
        .ok_or_else(|| "not a URL, as https://host:port, without a user or password".to_owned())
}

/// An origin as a browser writes it: scheme, host and port, nothing after them.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let wrong =
        || format!("{text:?} is not an origin, as https://studio.example or http://localhost:3000");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let scheme = uri
        .scheme_str()
        .filter(|it| matches!(*it, "http" | "https"));
    let authority = uri.authority().filter(|it| !it.as_str().contains('@'));
    let (scheme, authority) = scheme.zip(authority).ok_or_else(wrong)?;
    // A path would never match; upper case neither.
    let origin = format!("{scheme}://{authority}").to_ascii_lowercase();
    (origin == text).then_some(origin).ok_or_else(wrong)
}

/// A URL of a collector, over plain HTTP. Traces hold no data of events; where they must not be
/// read on their way, a collector on this machine passes them on over TLS.
pub(super) fn collector(text: &str) -> Result<String, String> {
    let url = url(text).map_err(|_| {
        "not a URL, as http://127.0.0.1:4318, without a user or password".to_owned()
    })?;
    let uri: Option<Uri> = url.parse().ok();
    if uri.is_none_or(|uri| uri.scheme_str() != Some("http")) {
        return Err(
            "must begin with http://: for TLS let a collector on this machine pass traces on"
                .to_owned(),
        );
    }
    if text.contains(['?', '#']) {
        return Err(
            "must not have a query: headers come from OTEL_EXPORTER_OTLP_HEADERS".to_owned(),
        );
    }
    Ok(url)
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        Err("empty: name a path".to_owned())
    } else {
        Ok(text.into())
    }
}

/// A text without white space or control characters, such as an id.
pub(super) fn word(text: &str) -> Result<String, String> {
    let valid = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    valid
        .then(|| text.to_owned())
        .ok_or_else(|| "must not contain white space".to_owned())
}

/// The name of an environment variable. Not repeated: it may be the secret itself, pasted in the
/// wrong place.
pub(super) fn variable(text: &str) -> Result<String, String> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let valid = text.bytes().all(fits) && !text.starts_with(|c: char| c.is_ascii_digit());
    valid
        .then(|| text.to_owned())
        .ok_or_else(|| "not the name of a variable: letters, digits and _".to_owned())
}

pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':');
    let valid = parts.is_some_and(|(host, port)| {
        !host.is_empty() && !text.contains("//") && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    valid
        .then(|| text.to_owned())
        .ok_or_else(|| "not a host and port, as node-1.internal:8082".to_owned())
}

pub(super) fn database(text: &str) -> Result<String, String> {
    let valid = text.starts_with("postgres://") || text.starts_with("postgresql://");
    valid
        .then(|| text.to_owned())
        .ok_or_else(|| "not a URL that begins with postgres://".to_owned())
}

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    let valid = SECRET_CHARS.contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic());
    let (least, most) = (SECRET_CHARS.start(), SECRET_CHARS.end());
    valid
        .then(|| Secret::new(text.to_owned()))
        .ok_or_else(|| format!("must have {least} to {most} visible ASCII characters"))
}

/// Never repeats the text: it may be the key itself, pasted in the wrong place.
pub(super) fn sha256(text: &str) -> Result<[u8; 32], String> {
    let wrong =
        || "not a SHA-256: 64 hexadecimal digits, as `cuegate key new` prints them".to_owned();
    if text.len() != 64 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut hash = [0; 32];
    for (i, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

/// A pattern of channel names.
pub(super) fn glob(text: &str) -> Result<Glob, String> {
    text.parse()
        .map_err(|error: super::glob::InvalidGlob| format!("{text:?} is {error}"))
}
