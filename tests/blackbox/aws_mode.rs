//! `upstream.mode = "aws"` against an emulator in a process of its own: credentials, roles,
//! refusals that are final, and an API that is away for a while.

mod doctor;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::emulator::Emulator;
use crate::support::http::send;
use crate::support::metrics::same;
use crate::support::payloads::{all_items, data};
use crate::support::process::{Gateway, arn, local};
use crate::support::{eventually, ports};

fn config(endpoint: SocketAddr, rest: &str, channels: &[(&str, &str)]) -> String {
    let mut text = format!(
        "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{endpoint}\"\n[channel_defaults]\nttl_ms = 60000\n{rest}\n"
    );
    for (name, arn) in channels {
        let _ = writeln!(text, "[[channel]]\nname = \"{name}\"\narn = \"{arn}\"");
    }
    text
}

#[test]
fn credentials_of_the_environment_sign() {
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    let gateway = Gateway::start(&config(emulator.api.0, "", &[("quiz", &arn("quiz"))]));
    gateway.process.logged("AWS");
    assert!(same(
        gateway.scrape().get(r#"cuegate_upstream_info{mode="aws"}"#),
        1.0
    ));
    gateway.publish("quiz", r#"{"data":"é 😀"}"#);
    gateway.drained("quiz");
    let taken: Vec<_> = emulator
        .api
        .metadata(&arn("quiz"))
        .into_iter()
        .map(|taken| taken.text)
        .collect();
    assert_eq!(all_items(&taken), r#"{"d":"é 😀"}"#);
}

#[test]
fn a_wrong_secret_shows_and_events_are_held() {
    let emulator = Emulator::start(&[]);
    emulator.api.stream(&arn("quiz"), "live");
    let config = config(emulator.api.0, "", &[("quiz", &arn("quiz"))]);
    let gateway = Gateway::start_with(&config, &[("AWS_SECRET_ACCESS_KEY", "wrong")]);
    gateway.publish("quiz", r#"{"data":1}"#);
    let account = eventually("the account is in trouble", || {
        let ready = send(gateway.metrics, "GET", "/readyz", &[], b"");
        assert_eq!(ready.status, 200, "events can be accepted: {ready:?}");
        let account = ready.json()["accounts"][0].clone();
        (account["up"] == false).then_some(account)
    });
    assert!(
        account["reason"]
            .as_str()
            .is_some_and(|reason| !reason.contains("wrong")),
        "{account}"
    );
    let status = gateway.status("quiz");
    assert_eq!(status["queued"], 1, "{status}");
    assert!(emulator.api.report()["all"]["unauthenticated"].as_u64() > Some(0));
    gateway.scrape().check_books(true);
}

/// Before any event needs them; and events are held meanwhile.
#[test]
fn missing_credentials_show_at_the_start() {
    let emulator = Emulator::start(&[]);
    let config = config(emulator.api.0, "", &[("quiz", &arn("quiz"))]);
    let none = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let gateway = Gateway::start_with(&config, &none);
    let ready = eventually("the account is in trouble", || {
        let ready = send(gateway.metrics, "GET", "/readyz", &[], b"");
        assert_eq!(ready.status, 200, "events can be accepted: {ready:?}");
        (ready.json()["accounts"][0]["up"] == false).then_some(ready)
    });
    let reason = ready.json()["accounts"][0]["reason"].clone();
    let says = |reason: &str| reason.contains("no AWS credentials");
    assert!(reason.as_str().is_some_and(says), "{reason}");
    // What to do, and not each source that was tried.
    let text = reason.as_str().expect("a text");
    assert!(
        text.contains("AWS_ACCESS_KEY_ID") && text.len() < 200,
        "{text}"
    );
    gateway.process.logged("the account cannot send");
    let up = r#"cuegate_account_up{account="000000000000",region="us-west-2"}"#;
    assert!(same(gateway.scrape().get(up), 0.0));
    gateway.publish("quiz", r#"{"data":1}"#);
    // A call that finds none says the same.
    let error = eventually("the call is not sent", || {
        let error = gateway.status("quiz")["last_error"].clone();
        (!error.is_null()).then(|| error.to_string())
    });
    assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
    gateway.scrape().check_books(true);
}

#[test]
fn what_can_never_be_delivered_is_a_dead_letter() {
    let credentials = "[[key]]\naccess_key_id = \"test\"\nsecret_access_key = \"test\"\naccount = \"000000000000\"\n";
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("keys.toml");
    std::fs::write(&file, credentials).expect("a file");
    let emulator = Emulator::start(&["--credentials", file.to_str().expect("text")]);
    emulator.api.stream(&arn("quiz"), "live");
    let foreign = arn("quiz").replace("000000000000", "999999999999");
    let channels = [
        ("quiz", arn("quiz")),
        ("missing", arn("missing")),
        ("foreign", foreign),
    ];
    let channels: Vec<_> = channels
        .iter()
        .map(|(name, arn)| (*name, arn.as_str()))
        .collect();
    let gateway = Gateway::start(&config(emulator.api.0, "", &channels));
    for (channel, reason) in [("missing", "no_such_channel"), ("foreign", "access_denied")] {
        gateway.publish(channel, r#"{"data":1}"#);
        eventually(reason, || {
            (gateway.status(channel)["totals"]["dead_lettered"][reason] == 1).then_some(())
        });
        let status = gateway.status(channel);
        assert!(
            status["queued"] == 0 && status["last_error"].is_object(),
            "{status}"
        );
        let series = format!(r#"cuegate_events_dead_lettered_total{{reason="{reason}"}}"#);
        assert!(same(gateway.scrape().get(&series), 1.0), "{series}");
    }
    // Nobody else is held up.
    assert_eq!(
        gateway
            .post("/v1/channels/quiz/events?wait=delivered", r#"{"data":1}"#)
            .status,
        200
    );
    gateway.scrape().check_books(true);
}

/// "1 KB" could mean 1000 bytes: then payloads of more are packed anew, and stay below.
/// One channel that may not be sent to, beside one that may, and then alone.
#[test]
fn a_permission_that_is_missing_shows() {
    let gateway = Gateway::start(&local("", &[("may", ""), ("must-not", "")]));
    let refusal = format!(
        r#"{{"kind":"error","status":403,"code":"AccessDeniedException","channel":"{}"}}"#,
        arn("must-not")
    );
    gateway.emulator.faults(&refusal);
    let account = r#"{account="000000000000",region="us-west-2"}"#;
    let up = || {
        gateway
            .scrape()
            .get(&format!("cuegate_account_up{account}"))
    };
    let state = |channel: &str| gateway.status(channel)["state"].clone();
    let send = |channel: &str, end: &str| {
        let path = format!("/v1/channels/{channel}/events?wait=delivered");
        let ended = gateway.post(&path, r#"{"data":1}"#).json();
        assert!(ended[end] == 1 || ended["ended"][end] == 1, "{ended}");
    };
    send("may", "delivered");
    send("must-not", "dead_lettered");
    assert_eq!(
        (state("must-not"), state("may")),
        (json!("failing"), json!("live"))
    );
    assert!(same(up(), 1.0), "the other channel is delivered");
    gateway.process.logged("its calls are not permitted");

    // Nothing was ever delivered here: it is the account.
    let alone = Gateway::start(&local("", &[("must-not", "")]));
    alone.emulator.faults(&refusal);
    let ended = alone.post(
        "/v1/channels/must-not/events?wait=delivered",
        r#"{"data":1}"#,
    );
    assert_eq!(ended.json()["ended"]["dead_lettered"], 1, "{ended:?}");
    let up = alone.scrape().get(&format!("cuegate_account_up{account}"));
    assert!(same(up, 0.0), "{up}");
    let ready = crate::support::http::send(alone.metrics, "GET", "/readyz", &[], b"");
    let told = &ready.json()["accounts"][0];
    assert_eq!(
        (ready.status, &told["up"]),
        (200, &json!(false)),
        "{ready:?}"
    );
    alone.process.logged("the account cannot send");
}

#[test]
fn payloads_shrink_where_a_kilobyte_has_1000_bytes() {
    let emulator = Emulator::start(&["--payload-max-bytes", "1000"]);
    emulator.api.stream(&arn("quiz"), "live");
    let gateway = Gateway::start(&config(emulator.api.0, "", &[("quiz", &arn("quiz"))]));
    gateway.pause("quiz");
    let body: Vec<_> = (0..600).map(|nth| format!(r#"{{"data":{nth}}}"#)).collect();
    gateway.publish("quiz", &format!("[{}]", body.join(",")));
    gateway.resume("quiz");
    gateway.drained("quiz");
    let taken = emulator.api.metadata(&arn("quiz"));
    let shown = data(taken.iter().map(|taken| taken.text.as_str()));
    assert_eq!(shown, (0..600).map(|nth| json!(nth)).collect::<Vec<_>>());
    assert_eq!(
        emulator.api.report()["all"]["oversize"],
        1,
        "it is learnt once"
    );
    assert_eq!(gateway.status("quiz")["limits"]["payload_max_bytes"], 1000);
    gateway.scrape().check_books(true);
}

#[test]
fn an_api_that_comes_late_gets_what_was_held() {
    let address = ports::free();
    let gateway = Gateway::start(&config(address, "", &[("quiz", &arn("quiz"))]));
    gateway.publish("quiz", r#"[{"data":1},{"data":2}]"#);
    eventually("calls fail", || {
        gateway.status("quiz")["last_error"]
            .is_object()
            .then_some(())
    });
    let emulator = Emulator::start_at(address, &[]);
    emulator.api.stream(&arn("quiz"), "live");
    gateway.drained("quiz");
    let taken = emulator.api.metadata(&arn("quiz"));
    let shown = data(taken.iter().map(|taken| taken.text.as_str()));
    // The channel was made a moment after the emulator listened: an event may have met that.
    let dead = gateway.status("quiz")["totals"]["dead_lettered"]["no_such_channel"].clone();
    assert!(shown == [json!(1), json!(2)] || dead != 0, "{shown:?}");
    gateway.scrape().check_books(true);
}

/// Enough of STS: `AssumeRole` for roles named by their account, and `GetCallerIdentity`, where a key
/// is of the account that its name ends with. Keeps what it was asked.
struct Sts {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Sts {
    fn start() -> Self {
        Self::start_behind(Duration::ZERO)
    }

    /// One whose clock is behind this machine's.
    fn start_behind(behind: Duration) -> Self {
        let listener = TcpListener::bind(ports::free()).expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || answer_sts(stream, &kept, behind));
            }
        });
        Self { address, asked }
    }
}

fn answer_sts(stream: TcpStream, asked: &Mutex<Vec<String>>, behind: Duration) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    let mut key = String::new();
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if let Some((_, rest)) = line.split_once("Credential=") {
            rest.split('/').next()?.clone_into(&mut key);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    asked.lock().expect("what was asked").push(body.clone());
    let (status, text) = if body.contains("Action=GetCallerIdentity") {
        identity(&key)
    } else {
        ("200 OK", assumed(&body)?)
    };
    let date = httpdate::fmt_http_date(SystemTime::now() - behind);
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\ncontent-type: text/xml\r\nconnection: close\r\ndate: {date}\r\ncontent-length: {}\r\n\r\n{text}", text.len()).ok()
}

/// Whose a key is: `test` is of the emulator's account, one without an account of nobody.
fn identity(key: &str) -> (&'static str, String) {
    let digits = key.trim_start_matches(|c: char| !c.is_ascii_digit());
    let account = if key == "test" {
        crate::support::process::ACCOUNT
    } else {
        digits
    };
    if account.len() != 12 {
        return (
            "403 Forbidden",
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
            <Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message>\
            </Error><RequestId>1</RequestId></ErrorResponse>"
                .to_owned(),
        );
    }
    (
        "200 OK",
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
            <Arn>arn:aws:sts::{account}:assumed-role/show/cuegate</Arn><UserId>AROA:cuegate</UserId><Account>{account}</Account>\
            </GetCallerIdentityResult></GetCallerIdentityResponse>"
        ),
    )
}

fn assumed(body: &str) -> Option<String> {
    let account = body
        .split("RoleArn=arn%3Aaws%3Aiam%3A%3A")
        .nth(1)?
        .get(..12)?;
    Some(format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
        <AccessKeyId>KEY{account}</AccessKeyId><SecretAccessKey>secret-{account}</SecretAccessKey>\
        <SessionToken>token-{account}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
        </AssumeRoleResult></AssumeRoleResponse>"
    ))
}

#[test]
fn each_account_is_called_with_the_role_it_names() {
    let accounts = ["111111111111", "222222222222"];
    let mut keys = String::new();
    for account in accounts {
        let _ = writeln!(
            keys,
            "[[key]]\naccess_key_id = \"KEY{account}\"\nsecret_access_key = \"secret-{account}\"\n\
            session_token = \"token-{account}\"\naccount = \"{account}\"\noperations = [\"ivs:PutMetadata\"]"
        );
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("keys.toml");
    std::fs::write(&file, keys).expect("a file");
    let emulator = Emulator::start(&["--credentials", file.to_str().expect("text")]);
    let sts = Sts::start();
    let of = |account: &str| format!("arn:aws:ivs:us-west-2:{account}:channel/show");
    let mut tables = String::new();
    for (account, external) in accounts.iter().zip(["", "external_id = \"cuegate-1\"\n"]) {
        let _ = writeln!(
            tables,
            "[[account]]\nid = \"{account}\"\nregion = \"us-west-2\"\nrole_arn = \"arn:aws:iam::{account}:role/cuegate\"\n{external}"
        );
        emulator.api.stream(&of(account), "live");
    }
    let (one, two) = (of(accounts[0]), of(accounts[1]));
    let config = config(emulator.api.0, &tables, &[("one", &one), ("two", &two)]);
    let endpoint = format!("http://{}", sts.address);
    let gateway = Gateway::start_with(&config, &[("AWS_ENDPOINT_URL_STS", &endpoint)]);
    for channel in ["one", "two"] {
        let answer = gateway.post(
            &format!("/v1/channels/{channel}/events?wait=delivered"),
            r#"{"data":1}"#,
        );
        assert_eq!(
            (answer.status, &answer.json()["delivered"]),
            (200, &json!(1)),
            "{channel}: {answer:?}"
        );
    }
    assert_eq!(
        (
            emulator.api.metadata(&one).len(),
            emulator.api.metadata(&two).len()
        ),
        (1, 1)
    );
    let mut asked = sts.asked.lock().expect("what was asked").clone();
    // The start asks whose they are, too.
    asked.retain(|body| body.contains("Action=AssumeRole"));
    assert!(
        asked
            .iter()
            .any(|body| body.contains("222222222222") && body.contains("ExternalId=cuegate-1")),
        "{asked:?}"
    );
    assert!(
        asked
            .iter()
            .all(|body| body.contains("111111111111") != body.contains("ExternalId")),
        "{asked:?}"
    );
}
