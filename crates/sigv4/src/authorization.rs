//! The `Authorization` header, taken apart:
//! `AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=hex`.
//!
//! Only form is judged here; whether the scope or the signature is right is `verify`'s.

use crate::Error;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Far above what any signer sends (hyper itself reads at most 100 headers): it bounds the
/// work of comparing the list with the request.
const MAX_SIGNED_HEADERS: usize = 128;

/// The parts of the header, as they were written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authorization<'a> {
    pub(crate) access_key_id: &'a str,
    /// `YYYYMMDD` in a proper request; not checked here.
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) terminator: &'a str,
    /// Lower case, none twice, at most `MAX_SIGNED_HEADERS`.
    pub(crate) signed_headers: Vec<&'a str>,
    pub(crate) signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// # Errors
    ///
    /// [`Error::Algorithm`] and [`Error::Incomplete`], in AWS's words.
    pub(crate) fn parse(header: &'a str) -> Result<Self, Error> {
        let header = header.trim();
        let (algorithm, parameters) = header.split_once(' ').unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            return Err(Error::Algorithm(algorithm.to_owned()));
        }

        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        // AWS takes commas with and without a blank after them, and so do clients.
        for parameter in parameters.split(',').map(str::trim) {
            if parameter.is_empty() {
                continue;
            }
            let Some((name, value)) = parameter.split_once('=') else {
                return Err(Error::Incomplete(format!(
                    "'{parameter}' not a valid key=value pair (missing equal-sign) in Authorization header."
                )));
            };
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(Error::Incomplete(format!(
                    "Authorization header has the '{name}' parameter more than once."
                )));
            }
        }
        let (Some(credential), Some(signed_headers), Some(signature)) = (
            filled(credential),
            filled(signed_headers),
            filled(signature),
        ) else {
            return Err(missing_parameters(&[
                ("Credential", credential),
                ("Signature", signature),
                ("SignedHeaders", signed_headers),
            ]));
        };

        let elements: Vec<&str> = credential.splitn(6, '/').collect();
        let [access_key_id, date, region, service, terminator] = elements[..] else {
            return Err(Error::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
            )));
        };

        Ok(Self {
            access_key_id,
            date,
            region,
            service,
            terminator,
            signed_headers: header_names(signed_headers)?,
            signature,
        })
    }

    pub(crate) fn signs(&self, header: &str) -> bool {
        self.signed_headers.contains(&header)
    }
}

fn filled(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

fn missing_parameters(parameters: &[(&str, Option<&str>)]) -> Error {
    let missing: Vec<String> = parameters
        .iter()
        .filter(|(_, value)| filled(*value).is_none())
        .map(|(name, _)| format!("Authorization header requires '{name}' parameter."))
        .collect();
    Error::Incomplete(missing.join(" "))
}

fn header_names(list: &str) -> Result<Vec<&str>, Error> {
    let names: Vec<&str> = list.splitn(MAX_SIGNED_HEADERS + 1, ';').collect();
    if names.len() > MAX_SIGNED_HEADERS {
        return Err(Error::Incomplete(format!(
            "SignedHeaders names more than {MAX_SIGNED_HEADERS} headers."
        )));
    }
    for (index, name) in names.iter().enumerate() {
        // Twice the same name would put its values into the canonical request twice.
        let usable = !name.is_empty()
            && !name.bytes().any(|byte| byte.is_ascii_uppercase())
            && !names[..index].contains(name);
        if !usable {
            return Err(Error::Incomplete(format!(
                "SignedHeaders must be distinct lower-case header names delimited by ';', got '{list}'"
            )));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::Authorization;

    /// `Ok` holds the signed headers, `Err` a part of the message.
    fn check(header: &str, expected: Result<&[&str], &str>) {
        match (Authorization::parse(header), expected) {
            (Ok(parsed), Ok(names)) => assert_eq!(parsed.signed_headers, names, "{header}"),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{header}: {error}");
            }
            (got, expected) => panic!("{header}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn headers_are_taken_apart() {
        let scope = "AKID/20260101/us-west-2/ivs/aws4_request";
        check(
            &format!(
                "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=00"
            ),
            Ok(&["host", "x-amz-date"]),
        );
        check(
            &format!("AWS4-HMAC-SHA256 Signature=00,SignedHeaders=host,Credential={scope}"),
            Ok(&["host"]),
        );
        check("", Err("Unsupported AWS 'algorithm': ''"));
        check("Bearer abc", Err("Unsupported AWS 'algorithm': 'Bearer'"));
        check("AWS4-ECDSA-P256-SHA256 Credential=a", Err("Unsupported"));
        check(
            "AWS4-HMAC-SHA256",
            Err("requires 'Credential' parameter. Authorization header requires 'Signature'"),
        );
        check(
            &format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=, Signature=00"),
            Err("Authorization header requires 'SignedHeaders' parameter."),
        );
        check("AWS4-HMAC-SHA256 Credential", Err("missing equal-sign"));
        check(
            "AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=00",
            Err("exactly 5 slash-delimited elements"),
        );
        check(
            &format!("AWS4-HMAC-SHA256 Credential={scope}/x, SignedHeaders=host, Signature=00"),
            Err("exactly 5 slash-delimited elements"),
        );
        check(
            "AWS4-HMAC-SHA256 Signature=00, Signature=01",
            Err("'Signature' parameter more than once"),
        );
        for names in ["host;host", "Host", "host;;date", ";", &"a;".repeat(200)] {
            check(
                &format!(
                    "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature=00"
                ),
                Err("SignedHeaders"),
            );
        }
    }
}
