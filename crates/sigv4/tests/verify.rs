//! Requests signed with AWS's signer, then bent in one place at a time.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::too_many_lines, reason = "tables of cases")]

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use proptest::prelude::*;
use sigv4::{Error, MAX_SKEW, Request, Secret, Verified, verify};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2026-01-02T03:04:05Z.
const SIGNED_AT: u64 = 1_767_323_045;
/// 2015-08-30T12:36:00Z, of AWS's published test vectors.
const PUBLISHED_AT: u64 = 1_440_938_160;

/// A request that was or will be sent.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// How a request is signed; the defaults are those of an AWS SDK talking to IVS.
struct How {
    region: &'static str,
    service: &'static str,
    token: Option<&'static str>,
    content_sha256: bool,
    secret: &'static str,
}

const USUAL: How = How {
    region: "us-west-2",
    service: "ivs",
    token: None,
    content_sha256: false,
    secret: SECRET,
};

fn signed_at() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(SIGNED_AT)
}

fn unsigned(method: &str, uri: &str, body: &[u8]) -> Sent {
    Sent {
        method: method.into(),
        uri: uri.into(),
        headers: vec![
            ("host".into(), "127.0.0.1:4580".into()),
            ("content-type".into(), "application/json".into()),
            ("x-amz-user-agent".into(), "aws-sdk  rust".into()),
        ],
        body: body.into(),
    }
}

fn put_metadata() -> Sent {
    unsigned(
        "POST",
        "/PutMetadata?a=1&b=%20x",
        br#"{"channelArn":"arn:aws:ivs:us-west-2:123456789012:channel/abc","metadata":"{}"}"#,
    )
}

fn signed(mut sent: Sent, how: &How) -> Sent {
    let identity =
        Credentials::new(KEY, how.secret, how.token.map(Into::into), None, "test").into();
    let mut settings = SigningSettings::default();
    if how.content_sha256 {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(how.region)
        .name(how.service)
        .time(signed_at())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let signable = SignableRequest::new(
        &sent.method,
        &sent.uri,
        sent.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())),
        SignableBody::Bytes(&sent.body),
    )
    .unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let added: Vec<(String, String)> = instructions
        .headers()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    sent.headers.extend(added);
    sent
}

fn verified_at(sent: &Sent, now: SystemTime, secret: Option<Secret>) -> Result<Verified, Error> {
    let uri: Uri = sent.uri.parse().unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.headers {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    let request = Request {
        method: &sent.method,
        uri: &uri,
        headers: &headers,
        body: &sent.body,
    };
    verify(&request, "ivs", now, |id| secret.filter(|_| id == KEY))
}

/// `Ok(region)` or `Err((code, part of the message))`.
fn check(name: &str, sent: &Sent, now: SystemTime, secret: Secret, expected: Expected) {
    let got = verified_at(sent, now, Some(secret));
    match (&got, expected) {
        (Ok(verified), Ok(region)) => {
            assert_eq!(verified.region, region, "{name}");
            assert_eq!(verified.access_key_id, KEY, "{name}");
            assert_eq!(verified.signed_at, signed_at(), "{name}");
        }
        (Err(error), Err((code, part))) => {
            assert_eq!(error.code(), code, "{name}: {error}");
            assert_eq!(error.status(), 403, "{name}");
            assert!(error.to_string().contains(part), "{name}: {error}");
        }
        _ => panic!("{name}: {got:?}, expected {expected:?}"),
    }
}

type Expected = Result<&'static str, (&'static str, &'static str)>;

const INVALID: &str = "InvalidSignatureException";
const INCOMPLETE: &str = "IncompleteSignatureException";
const MISSING: &str = "MissingAuthenticationTokenException";
const UNRECOGNIZED: &str = "UnrecognizedClientException";
const DIFFERS: &str = "The request signature we calculated does not match";

impl Sent {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    fn replacing(mut self, name: &str, from: &str, to: &str) -> Self {
        let (_, value) = self.headers.iter_mut().find(|(n, _)| n == name).unwrap();
        assert!(value.contains(from), "{value} has no {from}");
        *value = value.replacen(from, to, 1);
        self
    }
}

#[test]
fn the_published_vector_get_vanilla_is_verified() {
    let mut sent = unsigned("GET", "/", b"");
    sent.headers = vec![
        ("host".into(), "example.amazonaws.com".into()),
        ("x-amz-date".into(), "20150830T123600Z".into()),
        (
            "authorization".into(),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
                .into(),
        ),
    ];
    let uri: Uri = sent.uri.parse().unwrap();
    let headers: HeaderMap = sent
        .headers
        .iter()
        .map(|(n, v)| {
            (
                HeaderName::from_bytes(n.as_bytes()).unwrap(),
                HeaderValue::from_str(v).unwrap(),
            )
        })
        .collect();
    let request = Request {
        method: "GET",
        uri: &uri,
        headers: &headers,
        body: b"",
    };
    let now = UNIX_EPOCH + Duration::from_secs(PUBLISHED_AT);
    let verified = verify(&request, "service", now, |_| Some(Secret::new(SECRET))).unwrap();
    assert_eq!(verified.region, "us-east-1");
}

/// Signed by botocore 1.43, whose rules for paths and queries are its own.
#[test]
fn what_botocore_signs_is_verified() {
    let tags = "/tags/arn%3Aaws%3Aivs%3Aus-west-2%3A123456789012%3Achannel%2Fabc";
    let query = format!("{tags}?tagKeys=b%20c&tagKeys=a&tagKeys=%C3%A9");
    #[rustfmt::skip]
    let cases = [
        ("POST", "/PutMetadata", r#"{"channelArn": "a", "metadata": "\u00e9"}"#, None, "3e5fd6e43f56aafb5123054f20c369629de756d08917bcb15a7af1c5d6169ee2"),
        ("GET", tags, "", None, "6214f2758c128e1b79d0a8d22890f7cac4e6b082a9a218fcbb35b2e30143fcb2"),
        ("DELETE", &query, "", None, "0700d43c09f5fa50ca335e33722b9e549f0aad1a334846f9c37b6c5d340d9876"),
        ("GET", "/a/./b//../c/", "", None, "b4db37b932ba5965ff3032019c9c27bfede9ca5cd6feeb762100912c87002ec5"),
        ("GET", "/a-._~!$&'()*+,;=:@/b", "", None, "93d292a8182ada435a46795847d755f81ab1c3b82cf798fe4be19274713bf390"),
        ("POST", "/PutMetadata", "{}", Some("tok+/=en"), "1ebce7e65c0df5164dac377d417a0baab8fe8eef9d752e4f29c5826bd658ee3d"),
    ];
    for (method, uri, body, token, signature) in cases {
        let mut sent = unsigned(method, uri, body.as_bytes())
            .without("x-amz-user-agent")
            .with("x-amz-date", "20260102T030405Z");
        let mut names = "content-type;host;x-amz-date".to_owned();
        let mut secret = Secret::new(SECRET);
        if let Some(token) = token {
            sent = sent.with("x-amz-security-token", token);
            names.push_str(";x-amz-security-token");
            secret = secret.with_session_token(token);
        }
        let sent = sent.with(
            "authorization",
            &format!(
                "AWS4-HMAC-SHA256 Credential={KEY}/20260102/us-west-2/ivs/aws4_request, SignedHeaders={names}, Signature={signature}"
            ),
        );
        check(uri, &sent, signed_at(), secret, Ok("us-west-2"));
    }
}

#[test]
fn good_signatures_are_accepted() {
    let arn = "/tags/arn%3Aaws%3Aivs%3Aus-west-2%3A123456789012%3Achannel%2Fabc";
    let cases = [
        ("PutMetadata", put_metadata(), USUAL),
        ("no body", unsigned("GET", "/tags/x", b""), USUAL),
        (
            "an encoded ARN in the path",
            unsigned("GET", arn, b""),
            USUAL,
        ),
        (
            "a bare ARN in the path",
            unsigned("GET", "/tags/arn:aws:ivs:a/b", b""),
            USUAL,
        ),
        (
            "repeated and unordered query",
            unsigned("DELETE", "/t?k=b&k=a&j=%C3%A9&e=", b""),
            USUAL,
        ),
        (
            "dots and slashes",
            unsigned("GET", "/a/./b//../c/", b""),
            USUAL,
        ),
        (
            "UTF-8 body",
            unsigned("POST", "/PutMetadata", "é\u{1F600}".as_bytes()),
            USUAL,
        ),
        (
            "the hash is stated",
            put_metadata(),
            How {
                content_sha256: true,
                ..USUAL
            },
        ),
        (
            "another region",
            put_metadata(),
            How {
                region: "eu-west-1",
                ..USUAL
            },
        ),
    ];
    for (name, sent, how) in cases {
        let sent = signed(sent, &how);
        check(
            name,
            &sent,
            signed_at(),
            Secret::new(SECRET),
            Ok(how.region),
        );
        check(
            name,
            &sent
                .with("x-forwarded-for", "10.0.0.1")
                .with("via", "1.1 proxy"),
            signed_at(),
            Secret::new(SECRET),
            Ok(how.region),
        );
    }
}

#[test]
fn the_hash_of_the_body_need_not_be_signed() {
    let sent = signed(put_metadata(), &USUAL).with("x-amz-content-sha256", "a");
    check(
        "an unsigned hash",
        &sent,
        signed_at(),
        Secret::new(SECRET),
        Ok("us-west-2"),
    );
}

#[test]
fn the_authority_stands_in_for_the_host() {
    let mut sent = signed(put_metadata(), &USUAL).without("host");
    check(
        "none",
        &sent,
        signed_at(),
        Secret::new(SECRET),
        Err((INVALID, "'host'")),
    );
    sent.uri = format!("http://127.0.0.1:4580{}", sent.uri);
    check(
        "absolute",
        &sent,
        signed_at(),
        Secret::new(SECRET),
        Ok("us-west-2"),
    );
}

#[test]
fn what_is_wrong_is_said_in_aws_words() {
    let good = || signed(put_metadata(), &USUAL);
    let hashed = || {
        signed(
            put_metadata(),
            &How {
                content_sha256: true,
                ..USUAL
            },
        )
    };
    let auth = "authorization";
    let cases: Vec<(&str, Sent, Expected)> = vec![
        (
            "unsigned",
            put_metadata(),
            Err((MISSING, "Missing Authentication Token")),
        ),
        (
            "presigned",
            {
                let mut sent = put_metadata();
                sent.uri = "/PutMetadata?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0".into();
                sent
            },
            Err((INCOMPLETE, "Presigned")),
        ),
        (
            "bearer",
            put_metadata().with(auth, "Bearer x"),
            Err((INCOMPLETE, "'Bearer'")),
        ),
        (
            "empty",
            put_metadata().with(auth, ""),
            Err((INCOMPLETE, "Unsupported")),
        ),
        (
            "twice",
            good().with(auth, "Bearer x"),
            Err((INCOMPLETE, "more than one")),
        ),
        (
            "not ASCII",
            put_metadata().with(auth, "é"),
            Err((INCOMPLETE, "visible ASCII")),
        ),
        (
            "no date",
            good().without("x-amz-date"),
            Err((INCOMPLETE, "'X-Amz-Date'")),
        ),
        (
            "bad date",
            good().replacing("x-amz-date", "T", " "),
            Err((INCOMPLETE, "basic format")),
        ),
        (
            "two dates",
            good().with("x-amz-date", "20260102T030405Z"),
            Err((INCOMPLETE, "more than")),
        ),
        (
            "unknown key",
            good().replacing(auth, KEY, "AKIDOTHER"),
            Err((UNRECOGNIZED, "security token")),
        ),
        (
            "other service",
            signed(
                put_metadata(),
                &How {
                    service: "s3",
                    ..USUAL
                },
            ),
            Err((INVALID, "scoped to correct service: 'ivs'")),
        ),
        (
            "terminator",
            good().replacing(auth, "aws4_request", "aws5_request"),
            Err((
                INVALID,
                "valid terminator: 'aws4_request', not 'aws5_request'",
            )),
        ),
        (
            "scope's day",
            good().replacing(auth, "/20260102/", "/20260103/"),
            Err((INVALID, "'20260103' != '20260102', from '20260102T030405Z'")),
        ),
        (
            "no region",
            good().replacing(auth, "us-west-2", ""),
            Err((INVALID, "valid region")),
        ),
        (
            "other region",
            good().replacing(auth, "us-west-2", "us-east-1"),
            Err((INVALID, DIFFERS)),
        ),
        (
            "host not signed",
            good().replacing(auth, "host;", ""),
            Err((INVALID, "'Host'")),
        ),
        (
            "x-amz header added",
            good().with("x-amz-target", "a"),
            Err((INVALID, "not signed: x-amz-target")),
        ),
        (
            "signed header gone",
            good().without("content-type"),
            Err((INVALID, "'content-type'")),
        ),
        (
            "signed header twice",
            good().with("content-type", "text/plain"),
            Err((INVALID, DIFFERS)),
        ),
        (
            "hash gone",
            hashed().without("x-amz-content-sha256"),
            Err((INVALID, "x-amz-content-sha256")),
        ),
        (
            "hash of another body",
            {
                let mut sent = hashed();
                sent.body.push(b' ');
                sent
            },
            Err((INVALID, "'x-amz-content-sha256' header does not match")),
        ),
        (
            "UNSIGNED-PAYLOAD",
            hashed()
                .without("x-amz-content-sha256")
                .with("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            Err((INVALID, "lower-case")),
        ),
        (
            "other secret",
            signed(
                put_metadata(),
                &How {
                    secret: "x",
                    ..USUAL
                },
            ),
            Err((INVALID, DIFFERS)),
        ),
        (
            "upper-case signature",
            {
                let mut sent = good();
                let (_, value) = sent.headers.iter_mut().find(|(n, _)| n == auth).unwrap();
                let at = value.find("Signature=").unwrap() + "Signature=".len();
                let upper = value[at..].to_uppercase();
                value.replace_range(at.., &upper);
                sent
            },
            Err((INVALID, DIFFERS)),
        ),
        (
            "short signature",
            {
                let mut sent = good();
                let (_, value) = sent.headers.iter_mut().find(|(n, _)| n == auth).unwrap();
                value.pop();
                sent
            },
            Err((INVALID, DIFFERS)),
        ),
        (
            "a query that is no UTF-8",
            {
                let mut sent = good();
                sent.uri = "/PutMetadata?a=%FF".into();
                sent
            },
            Err((INVALID, DIFFERS)),
        ),
    ];
    for (name, sent, expected) in cases {
        check(name, &sent, signed_at(), Secret::new(SECRET), expected);
    }
}

#[test]
fn the_clock_may_differ_by_a_quarter_of_an_hour() {
    let sent = signed(put_metadata(), &USUAL);
    let tick = Duration::from_micros(1);
    let cases: [(&str, SystemTime, Expected); 4] = [
        (
            "as late as allowed",
            signed_at() + MAX_SKEW,
            Ok("us-west-2"),
        ),
        (
            "as early as allowed",
            signed_at() - MAX_SKEW,
            Ok("us-west-2"),
        ),
        (
            "late",
            signed_at() + MAX_SKEW + tick,
            Err((
                INVALID,
                "Signature expired: 20260102T030405Z is now earlier than",
            )),
        ),
        (
            "early",
            signed_at() - MAX_SKEW - tick,
            Err((
                INVALID,
                "Signature not yet current: 20260102T030405Z is still later than",
            )),
        ),
    ];
    for (name, now, expected) in cases {
        check(name, &sent, now, Secret::new(SECRET), expected);
    }
}

#[test]
fn session_tokens_belong_to_their_key() {
    let with = || {
        signed(
            put_metadata(),
            &How {
                token: Some("tok+/=en"),
                ..USUAL
            },
        )
    };
    let temporary = || Secret::new(SECRET).with_session_token("tok+/=en");
    let other = || Secret::new(SECRET).with_session_token("tok+/=eN");
    let cases: [(&str, Sent, Secret, Expected); 5] = [
        ("right", with(), temporary(), Ok("us-west-2")),
        (
            "wrong",
            with(),
            other(),
            Err((UNRECOGNIZED, "security token")),
        ),
        (
            "missing",
            signed(put_metadata(), &USUAL),
            temporary(),
            Err((UNRECOGNIZED, "security")),
        ),
        (
            "on a long-term key",
            with(),
            Secret::new(SECRET),
            Err((UNRECOGNIZED, "security")),
        ),
        (
            "not signed",
            signed(put_metadata(), &USUAL).with("x-amz-security-token", "tok+/=en"),
            temporary(),
            Err((INVALID, "not signed: x-amz-security-token")),
        ),
    ];
    for (name, sent, secret, expected) in cases {
        check(name, &sent, signed_at(), secret, expected);
    }
}

#[test]
fn secrets_do_not_show() {
    let secret = Secret::new(SECRET).with_session_token("token");
    assert_eq!(format!("{secret:?}"), "Secret(** redacted **)");
}

/// Every byte that the signature covers, changed to another one of its kind.
#[test]
fn one_changed_byte_anywhere_is_refused() {
    let how = How {
        token: Some("token"),
        content_sha256: true,
        ..USUAL
    };
    let good = signed(put_metadata(), &how);
    let secret = || Secret::new(SECRET).with_session_token("token");
    check("good", &good, signed_at(), secret(), Ok("us-west-2"));

    let mut bent: Vec<(String, Sent)> = Vec::new();
    for at in 0..good.method.len() {
        let mut sent = good.clone();
        sent.method.replace_range(at..=at, "X");
        bent.push((format!("method {at}"), sent));
    }
    // From 1: the first byte of a path is always a slash.
    for at in 1..good.uri.len() {
        let mut sent = good.clone();
        let other = if &good.uri[at..=at] == "7" { "6" } else { "7" };
        sent.uri.replace_range(at..=at, other);
        bent.push((format!("URI {at}"), sent));
    }
    for at in 0..good.body.len() {
        let mut sent = good.clone();
        sent.body[at] ^= 1;
        bent.push((format!("body {at}"), sent));
    }
    for (index, (name, value)) in good.headers.iter().enumerate() {
        for at in 0..value.len() {
            let mut sent = good.clone();
            let other = if &value[at..=at] == "7" { "6" } else { "7" };
            sent.headers[index].1.replace_range(at..=at, other);
            // Blanks between the parts of `Authorization` are not covered, nor are runs of
            // blanks in any header.
            let canonical = |text: &str| text.split_whitespace().collect::<String>();
            if canonical(&sent.headers[index].1) != canonical(value) {
                bent.push((format!("{name} {at}"), sent));
            }
        }
    }
    assert!(bent.len() > 400, "{}", bent.len());
    for (name, sent) in bent {
        let got = verified_at(&sent, signed_at(), Some(secret()));
        assert!(got.is_err(), "{name}: {sent:?}");
    }
}

proptest! {
    /// Whatever was signed is verified; proptest prints the case and its seed.
    #[test]
    fn any_request_verifies_as_it_was_signed(
        path in "(/[a-zA-Z0-9._~:%-]{0,12}){1,4}",
        query in "([a-z]{1,3}=[a-zA-Z0-9._~+-]{0,8}&?){0,4}",
        value in "[ -~]{0,40}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let path = path.replace('%', "%2F");
        let uri = if query.is_empty() { path } else { format!("{path}?{query}") };
        let sent = signed(unsigned("POST", &uri, &body).with("x-amz-meta", &value), &USUAL);
        let got = verified_at(&sent, signed_at(), Some(Secret::new(SECRET)));
        prop_assert!(got.is_ok(), "{got:?} for {sent:?}");
    }

    #[test]
    fn arbitrary_headers_never_panic(
        authorization in "(AWS4-HMAC-SHA256 )?[ -~\u{e9}]{0,80}",
        names in "[a-zA-Z0-9;: é-]{0,40}",
        date in "([0-9TZ]{16}|[ -~]{0,20})",
        uri in "/[!-;=?-Z_a-z~]{0,40}",
    ) {
        let parts = format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/20260102/r/ivs/aws4_request, SignedHeaders=host;x-amz-date;{names}, Signature=0"
        );
        for header in [authorization.as_str(), parts.as_str()] {
            for date in [date.as_str(), "20260102T030405Z"] {
                let sent = unsigned("POST", "/", b"x")
                    .without("x-amz-user-agent")
                    .with("authorization", header)
                    .with("x-amz-date", date);
                let sent = Sent { uri: uri.clone(), ..sent };
                if sent.uri.parse::<Uri>().is_ok() {
                    prop_assert!(
                        verified_at(&sent, signed_at(), Some(Secret::new(SECRET))).is_err()
                    );
                }
            }
        }
    }
}
