//! TLS at the producers' door: its certificates, new ones, and clients that show theirs.

use std::io::{self, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::*;
use crate::support::certificates::{Authority, Issued};
use crate::support::eventually;
use crate::support::metrics::same;

/// A client that believes the authority, and shows this certificate.
fn client(
    authority: &Authority,
    shown: Option<&Issued>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).expect("an authority");
    let builder =
        ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    match shown {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("a key");
            builder
                .with_client_auth_cert(vec![issued.der()], key)
                .expect("a certificate")
        }
    }
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn connect(gateway: &Gateway, config: ClientConfig) -> Stream {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(
        connection,
        http::connect(gateway.producers).expect("a connection"),
    )
}

fn post(mut stream: Stream, authorization: Option<&str>) -> io::Result<Response> {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(authorization.map(|value| ("authorization", value)));
    let request = http::encode(
        "POST",
        "/v1/channels/quiz/events",
        &headers,
        br#"{"data":1}"#,
    );
    stream.write_all(&request)?;
    http::read_response(&mut BufReader::new(stream), false)
}

fn lines(directory: &Path, more: &str) -> String {
    let path = |name: &str| -> PathBuf { directory.join(name) };
    format!(
        "[server]\ntls_cert = \"{}\"\ntls_key = \"{}\"\n{more}\n",
        path("cert.pem").display(),
        path("key.pem").display()
    )
}

#[test]
fn over_tls_and_with_new_certificates() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let first = authority.issue("cuegate");
    first.write(directory.path());
    let config = lines(
        directory.path(),
        &key_lines("alice", "\"*\"", "\"publish\"", ""),
    );
    let gateway = Gateway::start(&local(&config, &[("quiz", "")]));
    let alice = bearer("alice");
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let stream = connect(&gateway, client(&authority, None, versions));
        assert_eq!(
            outcome(&post(stream, Some(&alice)).expect("an answer")),
            "202"
        );
    }
    let stream = connect(&gateway, client(&authority, None, &[&TLS13]));
    assert_eq!(
        outcome(&post(stream, None).expect("an answer")),
        "401 unauthenticated"
    );
    // HTTP/2 where the client wants it.
    let mut both = client(&authority, None, &[&TLS13]);
    both.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut stream = connect(&gateway, both);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    stream.write_all(preface).expect("to send");
    let mut frame = [0; 9];
    io::Read::read_exact(&mut stream, &mut frame).expect("settings");
    assert_eq!(frame[3], 4, "a frame of settings");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    // Plain HTTP gets nowhere, and nobody else is harmed.
    let plain = http::try_send(gateway.producers, "GET", "/v1/channels", &[], b"");
    assert!(plain.is_err(), "{plain:?}");
    // Nothing below TLS 1.2: a hello that offers 1.1 at most gets an alert, protocol_version;
    // the same that offers 1.2 a hello.
    for (minor, kind, rest) in [(2, 0x15, [2, 70]), (3, 0x16, [2, 0])] {
        let mut old = http::connect(gateway.producers).expect("a connection");
        let hello = [
            &[0x16, 3, 1, 0, 67, 1, 0, 0, 63, 3, minor][..],
            &[7; 32],
            // No session, one suite, no compression; signatures and groups of P-256.
            &[0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 20],
            &[0, 13, 0, 4, 0, 2, 4, 3],
            &[0, 10, 0, 4, 0, 2, 0, 23],
            &[0, 23, 0, 0],
        ];
        old.write_all(&hello.concat()).expect("to send");
        let mut answer = [0; 7];
        io::Read::read_exact(&mut old, &mut answer).expect("an answer");
        assert_eq!((answer[0], &answer[5..]), (kind, &rest[..]), "{answer:?}");
    }
    // Whoever does not know the authority does not speak.
    let stranger = connect(&gateway, client(&Authority::new(), None, &[&TLS13]));
    assert!(post(stranger, Some(&alice)).is_err());

    let shown = || {
        let mut stream = connect(&gateway, client(&authority, None, &[&TLS13]));
        let _ = stream.flush();
        let answer = post_on(&mut stream, &alice);
        let chain = stream.conn.peer_certificates().map(<[_]>::to_vec);
        (answer, chain.unwrap_or_default())
    };
    assert_eq!(shown(), ("202".to_owned(), vec![first.der()]));
    // A key that does not go with its certificate changes nothing.
    let ends = || {
        gateway
            .scrape()
            .get("cuegate_tls_certificate_expiry_timestamp_seconds")
    };
    assert!(same(ends(), 4_102_444_800.0), "the year 2100: {}", ends());
    let second = authority.issue_until("cuegate", 2099);
    std::fs::write(directory.path().join("key.pem"), &second.key).expect("a file");
    gateway
        .process
        .logged("certificates could not be read again");
    assert_eq!(shown().1, vec![first.der()]);
    second.write(directory.path());
    eventually("the new certificate", || {
        (shown().1 == vec![second.der()]).then_some(())
    });
    // The year 2099.
    eventually("its end is told", || {
        same(ends(), 4_070_908_800.0).then_some(())
    });

    // The commands speak it, where they are told whom to believe.
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, authority.0.pem()).expect("a file");
    let url = format!("https://localhost:{}", gateway.producers.port());
    let send = |ca: Option<&Path>| {
        let mut command = command();
        command
            .env("CUEGATE_KEY", key("alice"))
            .args(["send", "quiz", "1", "--url", &url]);
        if let Some(ca) = ca {
            command.arg("--ca").arg(ca);
        }
        run(&mut command, "")
    };
    let known = send(Some(&ca));
    assert_eq!(known.code, Some(0), "{known:?}");
    let refused = send(None);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    gateway.scrape().check_books(true);
}

fn post_on(stream: &mut Stream, authorization: &str) -> String {
    let headers = [
        ("content-type", "application/json"),
        ("authorization", authorization),
    ];
    let request = http::encode(
        "POST",
        "/v1/channels/quiz/events",
        &headers,
        br#"{"data":1}"#,
    );
    stream.write_all(&request).expect("to send");
    outcome(&http::read_response(&mut BufReader::new(stream), false).expect("an answer"))
}

#[test]
fn clients_show_certificates() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    authority.issue("cuegate").write(directory.path());
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, authority.0.pem()).expect("a file");
    let more = format!("tls_client_ca = \"{}\"\n", ca.display())
        + "[[api_key]]\nname = \"encoder\"\nchannels = [\"quiz\"]\n"
        + "[[api_key]]\nname = \"watcher\"\nchannels = [\"*\"]\nscopes = [\"read\"]\n"
        + &key_lines("alice", "\"*\"", "\"publish\"", "");
    let gateway = Gateway::start(&local(&lines(directory.path(), &more), &[("quiz", "")]));
    let ask = |shown: Option<&Issued>, authorization: Option<&str>| {
        let stream = connect(&gateway, client(&authority, shown, &[&TLS12, &TLS13]));
        post(stream, authorization)
            .map(|answer| outcome(&answer))
            .ok()
    };
    let alice = bearer("alice");
    let strangers = Authority::new().issue("encoder");
    for (shown, authorization, expected) in [
        (Some(&authority.issue("encoder")), None, Some("202")),
        (
            Some(&authority.issue("watcher")),
            None,
            Some("403 forbidden"),
        ),
        (
            Some(&authority.issue("nobody")),
            None,
            Some("401 unauthenticated"),
        ),
        // A key is said on purpose: it is whose request it is.
        (
            Some(&authority.issue("watcher")),
            Some(alice.as_str()),
            Some("202"),
        ),
        (
            Some(&authority.issue("encoder")),
            Some("Bearer wrong"),
            Some("401 unauthenticated"),
        ),
        (Some(&strangers), None, None),
        (None, Some(alice.as_str()), None),
    ] {
        assert_eq!(
            ask(shown, authorization).as_deref(),
            expected,
            "{authorization:?}"
        );
    }
}
