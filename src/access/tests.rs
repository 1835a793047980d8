//! Keys, tokens and limits as the doors meet them. What becomes of a refusal is the doors'.

use axum::http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use std::time::Duration;

use super::*;
use crate::config::Scope;

const NOW: u64 = 1_795_000_000;
const KEY: &str = "the-key";
/// Of [`KEY`].
const HASH: &str = "d7a64e9eba9a9b5e0a9b8d9bdb3e4cd2ba8ab38aef5d4a0a4f0d5bb7b6d5a6b9";

/// `upstream.mode = "local"` and these lines.
fn settings(lines: &str) -> Settings {
    let hash = keys::hex(&keys::hash(KEY));
    let file = format!("upstream.mode = \"local\"\n{lines}").replace(HASH, &hash);
    let none: [(String, String); 0] = [];
    crate::config::parse(Some(("test", &file)), none).unwrap_or_else(|errors| panic!("{errors}"))
}

fn key(lines: &str) -> String {
    format!("[[api_key]]\nname = \"quiz\"\nsha256 = \"{HASH}\"\n{lines}\n")
}

fn access(lines: &str) -> Access {
    Access::build(&settings(lines), &|_| None, None).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Who sends these `Authorization` headers; else why nobody.
fn who(access: &Access, authorization: &[&str], now_s: u64) -> Result<String, String> {
    identified(access, authorization, now_s).map(|caller| caller.name().to_owned())
}

fn identified(access: &Access, authorization: &[&str], now_s: u64) -> Result<Arc<Caller>, String> {
    let mut headers = HeaderMap::new();
    for value in authorization {
        let value = HeaderValue::from_str(value).expect("a value");
        headers.append(AUTHORIZATION, value);
    }
    let caller = access.identify(&headers, &Extensions::new(), now_s);
    caller.map_err(|denied| denied.detail().to_owned())
}

fn check(access: &Access, authorization: &[&str], expected: Result<&str, &str>) {
    let got = who(access, authorization, NOW);
    match (&got, expected) {
        (Ok(name), Ok(expected)) => assert_eq!(name, expected, "{authorization:?}"),
        (Err(why), Err(part)) => assert!(why.contains(part), "{authorization:?}: {why}"),
        _ => panic!("{authorization:?}: {got:?}, expected {expected:?}"),
    }
}

#[test]
fn without_keys_anyone_is_let_in() {
    let access = access("");
    assert!(access.is_open());
    for headers in [&[][..], &["Bearer whatever"], &["Basic x"]] {
        check(&access, headers, Ok("anyone"));
    }
    let anyone = identified(&access, &[], NOW).expect("anyone");
    assert!(anyone.may_use("whatever") && anyone.limits().is_none());
    assert_eq!(anyone.producer(), None);
    for scope in Scope::ALL {
        assert_eq!(anyone.may(scope), Ok(()));
    }
}

#[test]
fn keys_are_found_by_what_they_hash_to() {
    let access = access(&key(
        "channels = [\"quiz\", \"show-*\"]\nscopes = [\"publish\", \"read\"]",
    ));
    let whole = format!("Bearer {KEY}");
    for (headers, expected) in [
        (&[whole.as_str()][..], Ok("quiz")),
        (&["bearer the-key"], Ok("quiz")),
        (&["BEARER   the-key  "], Ok("quiz")),
        (&[], Err("a key is needed")),
        (&["Bearer the-kex"], Err("not known")),
        (&["Bearer the-key2"], Err("not known")),
        (&["Bearer "], Err("not known")),
        (&["Bearer"], Err("one Authorization header")),
        (&["the-key"], Err("one Authorization header")),
        (&["Basic dGhlLWtleQ=="], Err("one Authorization header")),
        (&["AWS4-HMAC-SHA256 x"], Err("one Authorization header")),
        (&[&whole, &whole], Err("one Authorization header")),
        // Its hash is no key.
        (&[&format!("Bearer {HASH}")], Err("not known")),
        (&["Bearer a.b.c"], Err("not known")),
    ] {
        check(&access, headers, expected);
    }
    let caller = identified(&access, &[&whole], NOW).expect("known");
    for (name, may) in [
        ("quiz", true),
        ("show-7", true),
        ("quiz2", false),
        ("", false),
    ] {
        assert_eq!(caller.may_use(name), may, "{name}");
    }
    let may = Scope::ALL.map(|scope| caller.may(scope).is_ok());
    assert_eq!(may, [true, true, false, false]);
    assert_eq!(
        caller
            .may(Scope::Admin)
            .map_err(|denied| denied.detail().to_owned()),
        Err("quiz has not the scope admin".to_owned())
    );
    assert!(caller.as_operator().is_err());
    assert_eq!(caller.producer().map(|producer| producer.percent), Some(50));
}

#[test]
fn operators_may_everything() {
    let access = access(&key("scopes = [\"admin\"]"));
    let caller = identified(&access, &["Bearer the-key"], NOW).expect("known");
    assert!(caller.may(Scope::Publish).is_err() && !caller.may_use("quiz"));
    let operator = caller.as_operator().expect("an operator");
    assert!(operator.may(Scope::Control).is_ok() && operator.may_use("quiz"));
}

#[test]
fn certificates_are_keys_by_name() {
    let tls = "[server]\ntls_cert = \"a\"\ntls_key = \"b\"\ntls_client_ca = \"c\"\n";
    let access =
        access(&(tls.to_owned() + "[[api_key]]\nname = \"encoder\"\nchannels = [\"*\"]\n"));
    let mut extensions = Extensions::new();
    let ask = |extensions: &Extensions| {
        let caller = access.identify(&HeaderMap::new(), extensions, NOW);
        caller.map(|caller| caller.name().to_owned())
    };
    assert_eq!(ask(&extensions), Err(Denied::NOTHING_SHOWN));
    extensions.insert(Certificate("encoder".into()));
    assert_eq!(ask(&extensions), Ok("encoder".to_owned()));
    extensions.insert(Certificate("encoder2".into()));
    assert_eq!(ask(&extensions), Err(Denied::UNKNOWN_CERTIFICATE));
}

/// A way to sign tokens: its name, a key file, and what signs.
struct Signer {
    algorithm: Algorithm,
    file: tempfile::NamedTempFile,
    key: EncodingKey,
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

impl Signer {
    fn new(algorithm: Algorithm) -> Self {
        let pair = |kind| KeyPair::generate_for(kind).expect("a key pair");
        let (public, key) = match algorithm {
            Algorithm::HS256 => (
                SECRET.to_owned(),
                EncodingKey::from_secret(SECRET.as_bytes()),
            ),
            Algorithm::RS256 => {
                let pair = pair(&PKCS_RSA_SHA256);
                let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes());
                (pair.public_key_pem(), key.expect("a key"))
            }
            Algorithm::ES256 => {
                let pair = pair(&PKCS_ECDSA_P256_SHA256);
                let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes());
                (pair.public_key_pem(), key.expect("a key"))
            }
            _ => {
                let pair = pair(&PKCS_ED25519);
                let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes());
                (pair.public_key_pem(), key.expect("a key"))
            }
        };
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, public).expect("a file");
        Self {
            algorithm,
            file,
            key,
        }
    }

    fn lines(&self, more: &str) -> String {
        let (name, path) = (self.algorithm, self.file.path().display());
        format!("[jwt]\nalgorithm = \"{name:?}\"\nkey_file = \"{path}\"\n{more}\n")
    }

    fn token(&self, claims: &Value) -> String {
        let token = encode(&Header::new(self.algorithm), claims, &self.key).expect("a token");
        format!("Bearer {token}")
    }
}

fn claims(change: &Value) -> Value {
    let mut claims = json!({
        "sub": "studio", "exp": NOW + 60, "channels": ["show-*"], "scopes": ["read", "publish"],
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        match value {
            Value::Null => {
                claims.as_object_mut().expect("an object").remove(name);
            }
            value => claims[name] = value.clone(),
        }
    }
    claims
}

#[test]
fn tokens_of_every_algorithm() {
    let algorithms = [
        Algorithm::HS256,
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ];
    let signers = algorithms.map(Signer::new);
    for signer in &signers {
        let access = access(&signer.lines(""));
        let token = signer.token(&claims(&json!({})));
        check(&access, &[&token], Ok("studio"));
        let caller = identified(&access, &[&token], NOW).expect("known");
        assert!(caller.may_use("show-1") && !caller.may_use("quiz"));
        let may = Scope::ALL.map(|scope| caller.may(scope).is_ok());
        assert_eq!(may, [true, true, false, false]);
        assert_eq!(caller.expires_s(), Some(NOW + 60));
        for other in &signers {
            if other.algorithm != signer.algorithm {
                let token = other.token(&claims(&json!({})));
                check(&access, &[&token], Err("another algorithm"));
            }
        }
        // The same algorithm with another key.
        let stranger = match signer.algorithm {
            Algorithm::HS256 => Signer {
                key: EncodingKey::from_secret(b"another secret of thirty-two byte"),
                ..Signer::new(Algorithm::HS256)
            },
            algorithm => Signer::new(algorithm),
        };
        let token = stranger.token(&claims(&json!({})));
        check(&access, &[&token], Err("signature"));
    }
    // A public key must not be taken for a shared secret, nor no signature for a good one.
    let rsa = &signers[1];
    let access = access(&rsa.lines(""));
    let public = std::fs::read(&rsa.file).expect("a key");
    let confused = encode(
        &Header::new(Algorithm::HS256),
        &claims(&json!({})),
        &EncodingKey::from_secret(&public),
    );
    let confused = format!("Bearer {}", confused.expect("a token"));
    check(&access, &[&confused], Err("another algorithm"));
    let none = format!(
        "Bearer eyJhbGciOiJub25lIn0.{}.",
        rsa.token(&claims(&json!({})))
            .split('.')
            .nth(1)
            .expect("claims")
    );
    check(&access, &[&none], Err("neither a key nor a token"));
}

#[test]
fn what_a_token_must_say() {
    let signer = Signer::new(Algorithm::HS256);
    let plain = access(&signer.lines(""));
    let strict = access(&signer.lines("issuer = \"us\"\naudience = \"cuegate\""));
    let ours = json!({"iss": "us", "aud": ["others", "cuegate"]});
    for (access, change, expected) in [
        (&plain, json!({"exp": NOW + 1}), Ok("studio")),
        (&plain, json!({"exp": NOW}), Err("expired")),
        (&plain, json!({"exp": NOW - 1}), Err("expired")),
        (&plain, json!({"exp": 1.5e9}), Err("expired")),
        (&plain, json!({"exp": 1e300}), Ok("studio")),
        (&plain, json!({"exp": null}), Err("exp is needed")),
        (&plain, json!({"exp": "soon"}), Err("exp is needed")),
        (&plain, json!({"nbf": NOW - 9}), Ok("studio")),
        (&plain, json!({"nbf": NOW + 5}), Ok("studio")),
        (&plain, json!({"nbf": NOW + 6}), Err("not valid yet")),
        (&plain, json!({"sub": null}), Ok("a token's bearer")),
        (&plain, json!({"sub": "a\nb"}), Ok("a token's bearer")),
        (&plain, json!({"channels": ["a?"]}), Err("no pattern")),
        (&plain, json!({"channels": "quiz"}), Err("types")),
        (&plain, json!({"scopes": ["write", "read"]}), Ok("studio")),
        (
            &plain,
            json!({"iss": "anyone", "aud": "anyone"}),
            Ok("studio"),
        ),
        (&strict, ours.clone(), Ok("studio")),
        (&strict, json!({}), Err("iss, aud and exp")),
        (&strict, json!({"iss": "us"}), Err("iss, aud and exp")),
        (
            &strict,
            json!({"iss": "them", "aud": "cuegate"}),
            Err("another issuer"),
        ),
        (
            &strict,
            json!({"iss": "us", "aud": "others"}),
            Err("another audience"),
        ),
    ] {
        check(access, &[&signer.token(&claims(&change))], expected);
    }
    // What must be understood and is not (RFC 7515, section 4.1.11).
    let mut header = Header::new(signer.algorithm);
    header.crit = Some(vec!["b64".to_owned()]);
    let critical = encode(&header, &claims(&json!({})), &signer.key).expect("a token");
    check(
        &plain,
        &[&format!("Bearer {critical}")],
        Err("must be understood"),
    );
    // Nothing of it may be changed, and what was good once ends too.
    let token = signer.token(&claims(&json!({})));
    check(&plain, &[&token], Ok("studio"));
    assert!(who(&plain, &[&token], NOW + 59).is_ok());
    assert!(who(&plain, &[&token], NOW + 60).is_err());
    let at = token.rfind('.').expect("a signature") + 10;
    let mut bent = token.clone();
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    bent.replace_range(at..=at, other);
    check(&plain, &[&bent], Err("signature"));
    let (head, signature) = token.rsplit_once('.').expect("a signature");
    let (head, _) = head.rsplit_once('.').expect("claims");
    check(
        &plain,
        &[&format!("{head}.e30.{signature}")],
        Err("signature"),
    );
}

#[test]
fn sets_of_keys() {
    let ed = Signer::new(Algorithm::EdDSA);
    let pair = |kid: &str| {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key pair");
        let raw = pair.public_key_raw();
        let x = base64_url(raw);
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).expect("a key");
        (
            json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x, "alg": "EdDSA"}),
            key,
        )
    };
    let ((one, one_key), (two, two_key)) = (pair("one"), pair("two"));
    let other = json!({"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256",
        "x": base64_url(&[1; 32]), "y": base64_url(&[2; 32])});
    std::fs::write(&ed.file, json!({"keys": [other, one, two]}).to_string()).expect("a file");
    let access = access(&ed.lines(""));
    let token = |kid: Option<&str>, key: &EncodingKey| {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = kid.map(str::to_owned);
        let token = encode(&header, &claims(&json!({})), key).expect("a token");
        format!("Bearer {token}")
    };
    check(&access, &[&token(Some("one"), &one_key)], Ok("studio"));
    check(&access, &[&token(Some("two"), &two_key)], Ok("studio"));
    check(&access, &[&token(None, &two_key)], Ok("studio"));
    check(&access, &[&token(Some("one"), &two_key)], Err("signature"));
    check(&access, &[&token(Some("ec"), &one_key)], Err("names a key"));
    check(
        &access,
        &[&token(Some("three"), &one_key)],
        Err("names a key"),
    );
    let wrong = |text: &str, part: &str| {
        std::fs::write(&ed.file, text).expect("a file");
        let built = Access::build(&settings(&ed.lines("")), &|_| None, None);
        let errors = built.expect_err("a fault").to_string();
        assert!(
            errors.starts_with("jwt.key_file: ") && errors.contains(part),
            "{errors}"
        );
    };
    wrong("{\"keys\": []}", "no key for EdDSA");
    wrong("{\"keys\": 1}", "not a JWKS");
    wrong("", "not a public key for EdDSA as PEM");
    let hmac = Signer::new(Algorithm::HS256);
    for (text, part) in [
        (r#"{"keys":[{"kty":"oct","k":""}]}"#, "at least 32 bytes"),
        (
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA0000000000000000000000000000\n",
            "no shared secret",
        ),
    ] {
        std::fs::write(&hmac.file, text).expect("a file");
        let built = Access::build(&settings(&hmac.lines("")), &|_| None, None);
        let errors = built.expect_err("a fault").to_string();
        assert!(errors.contains(part), "{errors}");
    }
    wrong(
        &format!("{{\"keys\": [{}]}}", vec![one.to_string(); 17].join(",")),
        "17 keys",
    );
}

/// Without padding, as JWKs have it.
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk
            .iter()
            .fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let number = number << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let index = (number >> (18 - 6 * digit)) & 63;
            text.push(char::from(DIGITS[index as usize]));
        }
    }
    text
}

#[test]
fn secrets_that_are_not_there() {
    let aws = |source: &str| {
        format!("[[api_key]]\nname = \"k\"\naws_access_key_id = \"AKID\"\n{source}\n")
    };
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let short = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&short, "hunter2").expect("a file");
    let file = |key: &str, path: &std::path::Path| format!("{key} = \"{}\"", path.display());
    for (lines, part) in [
        (
            aws("aws_secret_env = \"NOWHERE\""),
            "api_key.aws_secret_env: of k: the environment variable NOWHERE is not set",
        ),
        (
            aws("aws_secret_file = \"/nowhere/at/all\""),
            "api_key.aws_secret_file: /nowhere/at/all: No such file",
        ),
        (
            aws(&file("aws_secret_file", empty.path())),
            "is empty or no text",
        ),
        (
            format!(
                "[jwt]\nalgorithm = \"HS256\"\n{}",
                file("key_file", short.path())
            ),
            "at least 32 bytes",
        ),
        (
            format!(
                "[jwt]\nalgorithm = \"RS256\"\n{}",
                file("key_file", short.path())
            ),
            "not a public key for RS256 as PEM",
        ),
    ] {
        let errors = Access::build(&settings(&lines), &|_| None, None).expect_err(&lines);
        let errors = errors.to_string();
        assert!(errors.contains(part), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    let env = |name: &str| (name == "SECRET").then(|| "s".to_owned());
    let settings = settings(&aws("aws_secret_env = \"SECRET\""));
    assert!(Access::build(&settings, &env, None).is_ok());
}

fn limits(lines: &str) -> (Access, Arc<Limits>) {
    let access = access(&key(lines));
    let caller = identified(&access, &["Bearer the-key"], NOW).expect("known");
    let limits = Arc::clone(caller.limits().expect("limits"));
    (access, limits)
}

#[tokio::test(start_paused = true)]
async fn rates_and_bursts() {
    let (_, limits) = limits("events_per_second = 10\nevents_burst = 30\nbytes_per_second = 1000");
    assert_eq!(limits.take_events(20), (20, None));
    let (taken, exceeded) = limits.take_events(20);
    assert_eq!(taken, 10);
    let exceeded = exceeded.expect("a limit");
    assert_eq!(
        (exceeded.policy, exceeded.burst, exceeded.window_s),
        ("events", 30, 3)
    );
    assert_eq!(exceeded.wait, Some(Duration::from_millis(100)));
    tokio::time::advance(Duration::from_millis(99)).await;
    assert_eq!(limits.take_events(1).0, 0);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(limits.take_events(2).0, 1);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(limits.take_events(1000).0, 30, "no more than the burst");

    assert_eq!(limits.take_bytes(600), Ok(()));
    let exceeded = limits.take_bytes(600).expect_err("a limit");
    assert_eq!(
        (exceeded.policy, exceeded.burst, exceeded.window_s),
        ("bytes", 1000, 1)
    );
    assert_eq!(exceeded.wait, Some(Duration::from_millis(200)));
    assert_eq!(limits.take_bytes(400), Ok(()), "all or none");
    assert_eq!(
        limits.take_bytes(1001).expect_err("a limit").wait,
        None,
        "never"
    );
    assert_eq!(limits.take_bytes(0), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn rates_of_each_channel() {
    let channel = |id| engine::ChannelId(id);
    let (access, limits) = limits("channel_events_per_second = 2\nchannel_bytes_per_second = 100");
    assert!(limits.has_channel_rates());
    assert_eq!(limits.take_of_channel(channel(1), &[10, 10]), (2, None));
    let (taken, exceeded) = limits.take_of_channel(channel(1), &[10]);
    assert_eq!(
        (taken, exceeded.map(|it| it.policy)),
        (0, Some("channel-events"))
    );
    assert_eq!(
        limits.take_of_channel(channel(2), &[10]),
        (1, None),
        "another channel"
    );
    let (taken, exceeded) = limits.take_of_channel(channel(3), &[60, 60]);
    assert_eq!(
        (taken, exceeded.map(|it| it.policy)),
        (1, Some("channel-bytes"))
    );
    assert_eq!(
        limits.take_events(1_000_000),
        (1_000_000, None),
        "no limit in all"
    );
    tokio::time::advance(Duration::from_secs(9)).await;
    access.tidy();
    assert_eq!(limits.take_of_channel(channel(1), &[50, 50]), (2, None));
}

#[tokio::test(start_paused = true)]
async fn a_reload_gives_no_new_burst() {
    let lines = key("events_per_second = 5\nmax_connections = 2");
    let before = access(&lines);
    let caller = identified(&before, &["Bearer the-key"], NOW).expect("known");
    let limits = caller.limits().expect("limits");
    assert_eq!(limits.take_events(5).0, 5);
    let place = limits.enter();
    assert!(place.is_ok());
    for (lines, events, places) in [
        (lines.clone(), 0, 1),
        (lines.replace("quiz", "other"), 5, 2),
        (lines.replace("= 5", "= 6"), 6, 1),
    ] {
        let after = Access::build(&settings(&lines), &|_| None, Some(&before)).expect("access");
        let caller = identified(&after, &["Bearer the-key"], NOW).expect("known");
        let limits = caller.limits().expect("limits");
        assert_eq!(limits.take_events(9).0, events, "{lines}");
        let held: Vec<_> = (0..5).filter_map(|_| limits.enter().ok()).collect();
        assert_eq!(held.len(), places, "{lines}");
    }
    drop(place);
    let held: Vec<_> = (0..5).filter_map(|_| limits.enter().ok()).collect();
    assert_eq!(held.len(), 2, "a place that is left can be taken");
    assert_eq!(limits.enter().expect_err("no place"), 2);
}

#[test]
fn the_same_caller_again() {
    let signer = Signer::new(Algorithm::HS256);
    let lines = key("channels = [\"*\"]") + &signer.lines("");
    let before = access(&lines);
    let by_key = identified(&before, &["Bearer the-key"], NOW).expect("known");
    let token = signer.token(&claims(&json!({})));
    let by_token = identified(&before, &[&token], NOW).expect("known");
    let anyone = Caller::anyone();
    let again = |access: &Access, caller: &Caller, now_s| {
        let caller = access.identify_again(caller, now_s);
        caller.map(|caller| caller.name().to_owned()).ok()
    };
    let known = Some("quiz".to_owned());
    assert_eq!(again(&before, &by_key, NOW), known);
    assert_eq!(
        again(&access(&key("scopes = [\"read\"]")), &by_key, NOW),
        known
    );
    let revoked = key("").replace(HASH, &"0".repeat(64));
    assert_eq!(again(&access(&revoked), &by_key, NOW), None);
    assert_eq!(again(&before, &by_token, NOW), Some("studio".to_owned()));
    assert_eq!(again(&before, &by_token, NOW + 60), None);
    assert_eq!(again(&access(&key("")), &by_token, NOW), None);
    assert_eq!(again(&before, &anyone, NOW), None);
    assert_eq!(again(&access(""), &by_key, NOW), Some("anyone".to_owned()));
    // Nothing secret is in what can be printed.
    let text = token.strip_prefix("Bearer ").expect("a token");
    let shown = format!("{by_key:?} {by_token:?} {before:?}");
    assert!(!shown.contains(text) && !shown.contains(SECRET), "{shown}");
}

#[test]
fn changed_files_are_seen() {
    let signer = Signer::new(Algorithm::HS256);
    let access = access(&signer.lines(""));
    assert_eq!(access.files().now(), *access.files());
    // As a new secret is put into place: written beside, and renamed.
    let beside = signer.file.path().with_extension("new");
    std::fs::write(&beside, SECRET).expect("a file");
    std::fs::rename(&beside, signer.file.path()).expect("renamed");
    assert_ne!(access.files().now(), *access.files());
    std::fs::remove_file(signer.file.path()).expect("removed");
    assert_ne!(access.files().now(), *access.files());
    std::fs::write(signer.file.path(), SECRET).expect("a file");
}

proptest! {
    /// Whatever is sent as a key or a token is refused without a panic.
    #[test]
    fn anything_is_refused(text in "[ -~]{0,80}", parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
        let signer = Signer::new(Algorithm::HS256);
        let access = access(&(key("") + &signer.lines("")));
        for text in [text, parts] {
            prop_assume!(text.trim() != KEY);
            let value = format!("Bearer {text}");
            prop_assert!(who(&access, &[&text], NOW).is_err());
            prop_assert!(who(&access, &[&value], NOW).is_err());
        }
    }
}
