//! Those who stay: a WebSocket or a stream of payloads ends when its key is revoked or its token
//! expires, and goes on when it is not.

use super::*;
use crate::support::http::{connect, encode, read_head};
use crate::support::process::Process;
use crate::support::ws::Client;
use crate::support::{eventually, ports};
use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

fn reload(gateway: &Gateway, lines: &str, admin: &str) {
    let text = std::fs::read_to_string(gateway.config_file()).expect("the file");
    let start = text.find("[[api_key]]").expect("keys");
    let end = text.find("[[channel]]").expect("channels");
    let text = format!("{}{lines}{}", &text[..start], &text[end..]);
    std::fs::write(gateway.config_file(), text).expect("the file");
    let answer = ask(
        gateway.admin,
        "POST",
        "/admin/reload",
        Some(&bearer(admin)),
        "",
    );
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A stream of payloads that has begun.
fn follow(gateway: &Gateway, authorization: &str) -> BufReader<TcpStream> {
    let mut stream = connect(gateway.producers).expect("a connection");
    let headers = [("authorization", authorization)];
    let request = encode("GET", "/v1/channels/quiz/payloads", &headers, b"");
    stream.write_all(&request).expect("to send");
    let mut reader = BufReader::new(stream);
    assert_eq!(read_head(&mut reader).expect("an answer").status, 200);
    reader
}

/// Everything until its end.
fn rest(mut stream: BufReader<TcpStream>) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an end");
    text
}

#[test]
fn a_reload_adds_and_revokes_at_once() {
    let scopes = "\"publish\", \"read\"";
    let admin = key_lines("admin", "", "\"admin\"", "");
    let lines = |owners: &[(&str, &str)]| {
        let keys = owners
            .iter()
            .map(|(owner, channels)| key_lines(owner, channels, scopes, ""));
        admin.clone() + &keys.collect::<String>()
    };
    let (gateway, _files) = gateway(&lines(&[("stays", "\"quiz\""), ("goes", "\"quiz\"")]));
    let open =
        |owner: &str| Client::open_as(gateway.producers, "/v1/channels/quiz/ws", &bearer(owner));
    let (mut stays, mut goes, mut moves) = (open("stays"), open("goes"), open("goes"));
    let (stream_stays, stream_goes) = (
        follow(&gateway, &bearer("stays")),
        follow(&gateway, &bearer("goes")),
    );
    for client in [&mut stays, &mut goes, &mut moves] {
        client.send(r#"{"data":1}"#);
        client.until_ack(1);
    }

    reload(
        &gateway,
        &lines(&[("stays", "\"quiz\", \"other\""), ("comes", "\"quiz\"")]),
        "admin",
    );
    assert_eq!(goes.close_code(), 1008);
    assert_eq!(moves.close_code(), 1008);
    let _ = rest(stream_goes);
    stays.send(r#"{"data":2}"#);
    stays.until_ack(2);
    open("comes").send(r#"{"data":3}"#);
    let publish = |owner: &str| {
        let path = "/v1/channels/quiz/events";
        outcome(&ask(
            gateway.producers,
            "POST",
            path,
            Some(&bearer(owner)),
            r#"{"data":1}"#,
        ))
    };
    assert_eq!(publish("goes"), "401 unauthenticated");
    assert_eq!(publish("comes"), "202");

    // The same key for another channel only: what it has open is for the one it lost.
    reload(&gateway, &lines(&[("stays", "\"other\"")]), "admin");
    assert_eq!(stays.close_code(), 1008);
    let _ = rest(stream_stays);
    assert_eq!(publish("stays"), "403 forbidden");
    gateway.scrape().check_books(true);
}

/// Busy to the end: what comes in and goes out does not keep them open.
#[test]
fn an_expired_token_ends_what_it_opened() {
    let (gateway, _files) = gateway("");
    let brief = token(Algorithm::HS256, SECRET, 6);
    let mut client = Client::open_as(gateway.producers, "/v1/ws", &brief);
    let stream = follow(&gateway, &brief);
    client.set_timeouts(Duration::from_millis(100));
    let code = eventually("it is closed", || {
        let sent = client
            .socket
            .send(Message::text(r#"{"channel":"quiz","data":1}"#));
        sent.expect("to send");
        match client.socket.read() {
            Ok(Message::Close(Some(frame))) => Some(u16::from(frame.code)),
            _ => None,
        }
    });
    assert_eq!(code, 1008);
    assert!(rest(stream).contains("\"n\":"), "it was busy");
    let again = ask(
        gateway.producers,
        "GET",
        "/v1/channels/quiz",
        Some(&brief),
        "",
    );
    assert_eq!(outcome(&again), "401 unauthenticated");
    assert!(again.json()["detail"].to_string().contains("expired"));
}

/// Where others reach the address, a file without keys is refused, though what it says of the
/// address would do for a new process.
#[test]
fn a_reload_opens_no_door_to_all() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("cuegate.toml");
    let [producers, metrics, admin, ivs] = [0; 4].map(|_| ports::free());
    let config = |host: &str, keys: &str| {
        let doors = format!(
            "[server]\nlisten = \"{host}:{}\"\n[metrics]\nlisten = \"{metrics}\"\n[admin]\nlisten = \"{admin}\"\n\
             [local_ivs]\nlisten = \"{ivs}\"\n{keys}",
            producers.port()
        );
        std::fs::write(&file, local(&doors, &[("quiz", "")])).expect("a file");
    };
    let keys = key_lines("admin", "\"*\"", "\"admin\"", "");
    config("0.0.0.0", &keys);
    let mut command = command();
    command
        .current_dir(directory.path())
        .args(["serve", "--config"])
        .arg(&file);
    let _process = Process::start(&mut command);
    eventually("it is ready", || {
        http::try_send(metrics, "GET", "/readyz", &[], b"").ok()
    });
    let reload = || ask(admin, "POST", "/admin/reload", Some(&bearer("admin")), "");
    assert_eq!(reload().status, 200);
    config("127.0.0.1", "");
    let refused = reload();
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(
        refused.text().contains("must not go without keys"),
        "{refused:?}"
    );
    let stranger = ask(producers, "GET", "/v1/channels/quiz", None, "");
    assert_eq!(outcome(&stranger), "401 unauthenticated");
}

/// A new secret in the file: the tokens of the old one open nothing more.
#[test]
fn a_key_file_is_read_again_when_it_changes() {
    let (gateway, files) = gateway("");
    let old = token(Algorithm::HS256, SECRET, 60);
    let mut client = Client::open_as(gateway.producers, "/v1/ws", &old);
    let put = |text: &str| {
        let beside = files.path().join("beside");
        std::fs::write(&beside, text).expect("a file");
        std::fs::rename(&beside, files.path().join("secret")).expect("renamed");
    };
    let status = |token: &str| {
        ask(
            gateway.producers,
            "GET",
            "/v1/channels/quiz",
            Some(token),
            "",
        )
        .status
    };
    // What is no secret changes nothing, and is told.
    put("too short");
    gateway.process.logged("keys could not be read again");
    assert_eq!(status(&old), 200);
    let next = "another secret that is shared with the issuer";
    put(next);
    assert_eq!(client.close_code(), 1008);
    assert_eq!(status(&old), 401);
    assert_eq!(status(&token(Algorithm::HS256, next, 60)), 200);
    let log = gateway.process.log();
    assert_eq!(
        log.matches("keys could not be read again").count(),
        1,
        "{log}"
    );
}

/// One key of a set that cannot be used harms no other, and is told once (RFC 7517, section 5).
#[test]
fn a_bad_key_of_a_set_is_skipped() {
    let (gateway, files) = gateway("");
    // Its Base64 is padded, which no set may have.
    let bad = format!(r#"{{"kty":"oct","kid":"bad","k":"{}=="}}"#, "A".repeat(44));
    let next = "another secret that is shared with the issuer";
    let good = format!(r#"{{"kty":"oct","k":"{}"}}"#, base64_url(next.as_bytes()));
    let beside = files.path().join("beside");
    std::fs::write(&beside, format!(r#"{{"keys":[{bad},{good}]}}"#)).expect("a file");
    std::fs::rename(&beside, files.path().join("secret")).expect("renamed");
    let bearer = token(Algorithm::HS256, next, 60);
    let path = "/v1/channels/quiz";
    eventually("the set is in force", || {
        let answer = ask(gateway.producers, "GET", path, Some(&bearer), "");
        (answer.status == 200).then_some(())
    });
    let skipped = "key 0 of the set is skipped";
    gateway.process.logged(skipped);
    let log = gateway.process.log();
    assert_eq!(log.matches(skipped).count(), 1, "{log}");
    assert!(!log.contains("could not be read again"), "{log}");
}

/// Base64 as sets of keys have it: the alphabet of URLs, without padding.
fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = |chunk: &[u8]| {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        let digit = |nth: usize| char::from(ALPHABET[(bits >> (18 - 6 * nth)) as usize & 63]);
        (0..=chunk.len()).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}
