//! Keys, tokens and limits as the doors meet them. What becomes of a refusal is the doors'.

mod limits;
mod tokens;

use axum::http::HeaderValue;
use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::Scope;
use tokens::{SECRET, Signer, claims};

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
    // A variable of white space alone is as good as none.
    let blank = |name: &str| (name == "SECRET").then(|| " \n".to_owned());
    assert!(Access::build(&settings, &blank, None).is_err());
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
