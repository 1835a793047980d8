//! Who may do what, once there are keys: every endpoint against every kind of caller, and what
//! becomes of those who stay when their key is gone.

mod connections;
mod limits;
mod pages;
mod table;
mod tls;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::http::{self, Response};
use crate::support::process::{Gateway, command, local, run};

/// Of the tokens; as long as one must be.
const SECRET: &str = "a secret that is shared with the issuer";

/// A key by its owner's name, as long as `cuegate key new` makes them.
fn key(owner: &str) -> String {
    format!("cuegate_{owner:0>64}")
}

/// The lines of a key.
fn key_lines(owner: &str, channels: &str, scopes: &str, more: &str) -> String {
    // Known to everybody: the SHA-256 of the key, by the program itself where it is not a test's.
    let hash = sha256(&key(owner));
    format!(
        "[[api_key]]\nname = \"{owner}\"\nsha256 = \"{hash}\"\nchannels = [{channels}]\nscopes = [{scopes}]\n{more}\n"
    )
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bearer(owner: &str) -> String {
    format!("Bearer {}", key(owner))
}

fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

/// A token for all channels and scopes that ends so many seconds from now.
fn token(algorithm: Algorithm, secret: &str, seconds: i64) -> String {
    let claims = json!({
        "sub": "studio", "exp": now_s().saturating_add_signed(seconds),
        "channels": ["*"], "scopes": ["publish", "read", "control", "admin"],
    });
    let key = EncodingKey::from_secret(secret.as_bytes());
    let token = encode(&Header::new(algorithm), &claims, &key).expect("a token");
    format!("Bearer {token}")
}

/// A gateway with the channels `quiz` and `other`, tokens, and these lines.
fn gateway(lines: &str) -> (Gateway, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, SECRET).expect("a file");
    let jwt = format!(
        "[jwt]\nalgorithm = \"HS256\"\nkey_file = \"{}\"\n",
        secret.display()
    );
    let config = local(&format!("{jwt}{lines}"), &[("quiz", ""), ("other", "")]);
    (Gateway::start(&config), directory)
}

/// A request by whoever has this `Authorization`.
fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    authorization: Option<&str>,
    body: &str,
) -> Response {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(authorization.map(|value| ("authorization", value)));
    http::send(address, method, path, &headers, body.as_bytes())
}

/// A status, and the code of a refusal.
fn outcome(answer: &Response) -> String {
    let code = answer.code();
    let aws = answer.header("x-amzn-errortype");
    format!("{} {code}{aws}", answer.status)
        .trim_end()
        .to_owned()
}

#[test]
fn a_new_key_works_as_it_is_printed() {
    let made = run(
        command().args([
            "key",
            "new",
            "--name",
            "quiz-backend",
            "--channel",
            "quiz,show-*",
            "--scope",
            "publish,read",
        ]),
        "",
    );
    assert_eq!(made.code, Some(0), "{made:?}");
    let key = made
        .out
        .split_whitespace()
        .find(|word| word.starts_with("cuegate_"));
    let key = key.expect("a key").to_owned();
    assert_eq!(key.len(), "cuegate_".len() + 64, "{key}");
    let lines = &made.out[made.out.find("[[api_key]]").expect("its lines")..];
    assert!(!lines.contains(&key), "{lines}");
    let gateway = Gateway::start(&local(lines, &[("quiz", ""), ("other", "")]));
    let bearer = format!("Bearer {key}");
    let publish = |channel: &str| {
        let path = format!("/v1/channels/{channel}/events");
        outcome(&ask(
            gateway.producers,
            "POST",
            &path,
            Some(&bearer),
            r#"{"data":1}"#,
        ))
    };
    assert_eq!(publish("quiz"), "202");
    assert_eq!(publish("other"), "403 forbidden");
    assert_eq!(publish("show-1"), "404 unknown_channel");
    // Another one is another one, and wrong words are told.
    let again = run(command().args(["key", "new"]), "");
    assert!(!again.out.contains(&key));
    let wrong = run(command().args(["key", "new", "--scope", "write"]), "");
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(
        wrong.err.contains("publish, read, control, admin"),
        "{wrong:?}"
    );

    // The commands show it too, from the environment.
    let url = format!("http://{}", gateway.producers);
    let sent = |key: &str| {
        let mut command = command();
        command
            .env("CUEGATE_KEY", key)
            .args(["send", "quiz", "1", "--url", &url]);
        run(&mut command, "")
    };
    assert_eq!(sent(&key).code, Some(0));
    let refused = sent("wrong");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("unauthenticated"), "{refused:?}");
}

/// Nothing that lets anybody in is in a log, an answer or a metric.
#[test]
fn secrets_stay_secret() {
    let lines = key_lines("alice", "\"quiz\"", "\"publish\", \"admin\"", "");
    let (gateway, _files) = gateway(&lines);
    let good = token(Algorithm::HS256, SECRET, 60);
    let mut said = String::new();
    for authorization in [
        bearer("alice"),
        bearer("mallory"),
        good.clone(),
        token(Algorithm::HS384, SECRET, 60),
        format!("Basic {}", key("alice")),
    ] {
        for (address, method, path) in [
            (gateway.producers, "POST", "/v1/channels/quiz/events"),
            (gateway.producers, "GET", "/v1/channels/quiz"),
            (gateway.producers, "POST", "/PutMetadata"),
            (gateway.admin, "GET", "/admin/config"),
            (gateway.admin, "GET", "/admin/refusals"),
        ] {
            let answer = ask(address, method, path, Some(&authorization), r#"{"data":1}"#);
            let _ = write!(said, "{answer:?} {}", String::from_utf8_lossy(&answer.body));
        }
    }
    // A key in the place of a signature is told to whoever sent it, and to nobody else.
    let misplaced = key("mallory");
    ask(
        gateway.producers,
        "POST",
        "/PutMetadata",
        Some(&misplaced),
        "{}",
    );
    said += &ask(
        gateway.admin,
        "GET",
        "/admin/refusals",
        Some(&bearer("alice")),
        "",
    )
    .text();
    said += &http::send(gateway.metrics, "GET", "/metrics", &[], b"").text();
    said += &gateway.process.log();
    for secret in [
        key("alice"),
        key("mallory"),
        sha256(&key("alice")),
        SECRET.to_owned(),
        good.trim_start_matches("Bearer ").to_owned(),
    ] {
        assert!(!said.contains(&secret), "{secret}");
    }
    let config = ask(
        gateway.admin,
        "GET",
        "/admin/config",
        Some(&bearer("alice")),
        "",
    )
    .json();
    assert_eq!(config["api_key"][0]["sha256"], "[redacted]");
    let metrics = gateway.scrape();
    metrics.check_books(true);
    assert!(metrics.get(r#"cuegate_events_rejected_total{code="unauthenticated"}"#) > 3.0);
}

/// The names of the channels on a page.
fn names(page: &Value) -> Vec<&str> {
    let channels = page["channels"].as_array().expect("a page");
    let name = |channel: &'_ Value| channel["channel"].as_str().map(str::len);
    assert!(channels.iter().all(|channel| name(channel).is_some()));
    channels
        .iter()
        .filter_map(|channel| channel["channel"].as_str())
        .collect()
}
