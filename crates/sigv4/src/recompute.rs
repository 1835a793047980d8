//! The received request, signed once more with AWS's own signer.
//!
//! Everything that the signature covers goes through `aws-sigv4`; this file only hands it
//! the right parts. It decides nothing about who may do what.

use crate::Error;
use crate::authorization::Authorization;
use crate::request::{CONTENT_SHA256, DATE, Request, Secret};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use std::time::SystemTime;

/// The signature this request should have, and the body's hash if the request states one.
pub(crate) struct Recomputed {
    /// 64 lower-case hexadecimal digits.
    pub(crate) signature: String,
    /// `None` when the request has no `x-amz-content-sha256`.
    pub(crate) content_sha256: Option<String>,
}

/// Signs `request` with `secret` at the time `claimed`, over exactly the headers that
/// `authorization` lists.
///
/// # Errors
///
/// [`Error::HeaderMissing`] for a signed header that is not there, [`Error::Mismatch`] for
/// what no signer could have signed (a header value outside visible ASCII).
pub(crate) fn recompute(
    request: &Request<'_>,
    authorization: &Authorization<'_>,
    secret: &Secret,
    claimed: SystemTime,
) -> Result<Recomputed, Error> {
    let mut headers: Vec<(&str, &str)> = Vec::with_capacity(authorization.signed_headers.len());
    for &name in &authorization.signed_headers {
        // The signer writes these two itself, from the claimed time and from the body.
        if name == DATE || name == CONTENT_SHA256 {
            if !request.headers.contains_key(name) {
                return Err(Error::HeaderMissing(name.to_owned()));
            }
            continue;
        }
        let before = headers.len();
        for value in request.headers.get_all(name) {
            headers.push((name, value.to_str().map_err(|_| Error::Mismatch)?));
        }
        // HTTP/2 carries the host in `:authority`, and hyper puts that into the URI.
        if headers.len() == before
            && name == http::header::HOST
            && let Some(authority) = request.uri.authority()
        {
            headers.push((name, authority.as_str()));
        }
        if headers.len() == before {
            return Err(Error::HeaderMissing(name.to_owned()));
        }
    }

    let states_hash = authorization.signs(CONTENT_SHA256);
    // The defaults are those of every service but S3: the path is normalised and encoded
    // twice. Only the list of headers is the request's own, so nothing may be left out of it.
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None;
    settings.payload_checksum_kind = if states_hash {
        PayloadChecksumKind::XAmzSha256
    } else {
        PayloadChecksumKind::NoHeader
    };

    let identity = Credentials::new(
        authorization.access_key_id,
        secret.secret_access_key(),
        None, // a session token is among the headers, like any other
        None,
        "sigv4",
    )
    .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(authorization.region)
        .name(authorization.service)
        .time(claimed)
        .settings(settings)
        .build()
        .map_err(|_| Error::Mismatch)?
        .into();
    let path_and_query = request
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let signable = SignableRequest::new(
        request.method,
        path_and_query,
        headers.into_iter(),
        SignableBody::Bytes(request.body),
    )
    .map_err(|_| Error::Mismatch)?;
    let (instructions, signature) = sign(signable, &params)
        .map_err(|_| Error::Mismatch)?
        .into_parts();
    let content_sha256 = instructions
        .headers()
        .find(|(name, _)| *name == CONTENT_SHA256)
        .map(|(_, value)| value.to_owned());
    Ok(Recomputed {
        signature,
        content_sha256,
    })
}
