//! The one entry: is this request signed by whom it says, for this service, about now?
//!
//! The order of the checks is AWS's: form, scope, what must be signed, time, key, signature.
//! Nothing here may tell a caller more about a secret than right or wrong.

use crate::authorization::Authorization;
use crate::recompute::recompute;
use crate::request::{CONTENT_SHA256, DATE, Request, Secret};
use crate::{Error, timestamp};
use http::{HeaderMap, Uri, header};
use std::time::{Duration, SystemTime};
use subtle::ConstantTimeEq;

/// How far the request's time may lie from the verifier's, either way; exactly this far is
/// still accepted.
pub const MAX_SKEW: Duration = Duration::from_mins(15);

const SECURITY_TOKEN: &str = "x-amz-security-token";
const TERMINATOR: &str = "aws4_request";

/// What a good signature proves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The key that signed.
    pub access_key_id: String,
    /// The region in the credential scope; any non-empty name the client chose.
    pub region: String,
    /// The time the request claims, within [`MAX_SKEW`] of the verifier's; whole seconds.
    pub signed_at: SystemTime,
}

/// Verifies the signature of `request` for `service` (the signing name: `ivs`) at the time
/// `now`; `lookup` gives the secret of an access key id, or `None` for an unknown one.
///
/// Every header may be signed; `host` and all `x-amz-*` headers but `x-amz-content-sha256` must
/// be. A signature is good for [`MAX_SKEW`] and can be sent again in that time, as with AWS itself.
///
/// # Errors
///
/// [`Error`], with AWS's code, status and message.
pub fn verify(
    request: &Request<'_>,
    service: &str,
    now: SystemTime,
    lookup: impl FnOnce(&str) -> Option<Secret>,
) -> Result<Verified, Error> {
    let Some(header) = single(request.headers, header::AUTHORIZATION.as_str())? else {
        return Err(if is_presigned(request.uri) {
            Error::Presigned
        } else {
            Error::MissingAuthentication
        });
    };
    let authorization = Authorization::parse(header)?;
    // aws-sigv4 always signs `x-amz-date`, and so has every AWS client for a decade; a
    // signature over the plain `Date` header alone could not be recomputed.
    let date = single(request.headers, DATE)?.ok_or_else(|| {
        Error::Incomplete(
            "Authorization header requires existence of a 'X-Amz-Date' header.".into(),
        )
    })?;
    let claimed = timestamp::parse(date).ok_or_else(|| {
        Error::Incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ))
    })?;

    check_scope(&authorization, service, date)?;
    check_coverage(request, &authorization)?;
    check_skew(claimed, now)?;

    let secret = lookup(authorization.access_key_id).ok_or(Error::UnknownKey)?;
    let token = single(request.headers, SECURITY_TOKEN)?;
    let same_token = match (token, secret.session_token()) {
        (None, None) => true,
        (Some(sent), Some(known)) => sent.as_bytes().ct_eq(known.as_bytes()).into(),
        _ => false,
    };
    if !same_token {
        return Err(Error::UnknownKey);
    }
    check_query(request.uri)?;

    let recomputed = recompute(request, &authorization, &secret, claimed)?;
    if let Some(hash) = &recomputed.content_sha256
        && single(request.headers, CONTENT_SHA256)? != Some(hash)
    {
        return Err(Error::PayloadHash);
    }
    let sent = authorization.signature.as_bytes();
    if !bool::from(sent.ct_eq(recomputed.signature.as_bytes())) {
        return Err(Error::Mismatch);
    }
    Ok(Verified {
        access_key_id: authorization.access_key_id.to_owned(),
        region: authorization.region.to_owned(),
        signed_at: claimed,
    })
}

/// The one value of a header; a second value would leave open which of them was meant.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::Incomplete(format!(
            "The request has more than one '{name}' header."
        )));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Error::Incomplete(format!("The '{name}' header is not visible ASCII.")))
}

/// Whether a request carries its signature in the query, as presigned URLs do.
#[must_use]
pub fn is_presigned(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .any(|name| {
            name.eq_ignore_ascii_case("X-Amz-Signature")
                || name.eq_ignore_ascii_case("X-Amz-Algorithm")
        })
}

fn check_scope(authorization: &Authorization<'_>, service: &str, date: &str) -> Result<(), Error> {
    let day = date.get(..8).unwrap_or_default();
    if authorization.terminator != TERMINATOR {
        return Err(Error::Scope(format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{}'.",
            authorization.terminator
        )));
    }
    if authorization.service != service {
        return Err(Error::Scope(format!(
            "Credential should be scoped to correct service: '{service}'."
        )));
    }
    if authorization.region.is_empty() {
        return Err(Error::Scope(
            "Credential should be scoped to a valid region.".into(),
        ));
    }
    if authorization.date != day {
        return Err(Error::Scope(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{day}', from '{date}'.",
            authorization.date
        )));
    }
    Ok(())
}

fn check_coverage(request: &Request<'_>, authorization: &Authorization<'_>) -> Result<(), Error> {
    if !authorization.signs(header::HOST.as_str()) {
        return Err(Error::HostNotSigned);
    }
    let unsigned: Vec<&str> = request
        .headers
        .keys()
        .map(header::HeaderName::as_str)
        // Some signers add the hash of the body after they signed. The signature covers the body
        // itself, so an unsigned hash proves nothing and is not looked at.
        .filter(|name| *name != CONTENT_SHA256)
        .filter(|name| name.starts_with("x-amz-") && !authorization.signs(name))
        .collect();
    if !unsigned.is_empty() {
        return Err(Error::HeaderNotSigned(unsigned.join(", ")));
    }
    Ok(())
}

fn check_skew(claimed: SystemTime, now: SystemTime) -> Result<(), Error> {
    // Both cannot overflow: `claimed` has a year of four digits, and a clock that is
    // `MAX_SKEW` from the end of time is nobody's.
    if claimed + MAX_SKEW < now {
        return Err(Error::Expired {
            claimed: timestamp::format(claimed),
            bound: timestamp::format(now - MAX_SKEW),
            now: timestamp::format(now),
        });
    }
    if claimed > now + MAX_SKEW {
        return Err(Error::NotYetCurrent {
            claimed: timestamp::format(claimed),
            bound: timestamp::format(now + MAX_SKEW),
            now: timestamp::format(now),
        });
    }
    Ok(())
}

/// The signer decodes the query and encodes it again. Bytes that are no UTF-8 would all
/// become U+FFFD on the way, so that one signature fitted many queries.
fn check_query(uri: &Uri) -> Result<(), Error> {
    let query = uri.query().unwrap_or_default();
    match percent_encoding::percent_decode_str(query).decode_utf8() {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Mismatch),
    }
}
