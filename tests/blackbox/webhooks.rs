//! `[[webhook]]`: what an endpoint is told, signed; what is tried again; what a dead one costs; who is never
//! connected to.

use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::certificates::Authority;
use crate::support::endpoint::{Endpoint, Told};
use crate::support::eventually;
use crate::support::http::send;
use crate::support::metrics::same;
use crate::support::process::{Gateway, command, local, run};

/// 32 bytes of the letter `k`.
const SECRET: &str = "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
const SECRETS: &[(&str, &str)] = &[("CRM_SECRET", SECRET)];

/// A webhook at that URL, with these lines.
fn webhook(url: &str, lines: &str) -> String {
    format!(
        "[[webhook]]\nname = \"crm\"\nurl = \"{url}\"\nsecret_env = \"CRM_SECRET\"\n\
         batch_ms = 20\nretry_ms = 20\n{lines}\n"
    )
}

fn config(endpoint: &Endpoint, lines: &str) -> String {
    let lines = format!("allow_private = true\n{lines}");
    let hook = webhook(&endpoint.url(), &lines);
    local(&hook, &[("quiz", ""), ("chat", "")])
}

fn start(endpoint: &Endpoint, lines: &str) -> Gateway {
    Gateway::start_with(&config(endpoint, lines), SECRETS)
}

fn counted(gateway: &Gateway, what: &str) -> f64 {
    let series = format!("cuegate_webhook_{what}_total{{webhook=\"crm\"}}");
    gateway.scrape().get(&series)
}

fn publish(gateway: &Gateway, channel: &str, id: &str) {
    gateway.publish(channel, &json!({"data": 1, "id": id}).to_string());
}

/// HMAC of RFC 2104 over SHA-256, from `sha256sum` alone, so that nothing is shared with what signs.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| -> Vec<u8> {
        let key = key.iter().copied().chain(std::iter::repeat(0));
        key.take(64).map(|of| of ^ byte).collect()
    };
    let inner = sha256(&[pad(0x36), message.to_vec()].concat());
    sha256(&[pad(0x5c), inner].concat())
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("message");
    std::fs::write(&file, bytes).expect("a file");
    let ended = run(std::process::Command::new("sha256sum").arg(&file), "");
    let hex = ended
        .out
        .split(' ')
        .next()
        .expect("a hash")
        .trim_start_matches('\\');
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a byte"))
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at > chunk.len() { '=' } else { letter.into() });
        }
    }
    text
}

/// It is signed, by this moment.
fn check_signed(told: &Told, key: &[u8]) {
    let (id, at) = (told.header("webhook-id"), told.header("webhook-timestamp"));
    assert!(id.starts_with("msg_") && !id.contains('.'), "{id}");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let at_s: u64 = at.parse().expect("seconds");
    assert!(now.as_secs().abs_diff(at_s) < 60, "{at_s} is not now");
    let signed = [format!("{id}.{at}.").as_bytes(), &told.body].concat();
    let expected = format!("v1,{}", base64(&hmac(key, &signed)));
    assert_eq!(told.header("webhook-signature"), expected);
}

#[test]
fn ends_are_told_in_batches_and_signed() {
    let endpoint = Endpoint::start(&[]);
    let lines = "channels = [\"q*\"]\nends = [\"delivered\", \"merged\", \"cancelled\"]";
    let config = config(&endpoint, lines).replace("batch_ms = 20", "batch_ms = 300");
    let gateway = Gateway::start_with(&config, SECRETS);
    publish(&gateway, "chat", "not-its-channel");
    gateway.publish("quiz", r#"{"data":1}"#);
    gateway.pause("quiz");
    let tally = r#"{"data":1,"key":"k","merge":"sum","id":"ID"}"#;
    gateway.publish("quiz", &tally.replace("ID", "a"));
    gateway.publish("quiz", &tally.replace("ID", "b"));
    publish(&gateway, "quiz", "c");
    gateway.publish("quiz", r#"{"data":1,"id":"too-late","ttl_ms":1}"#);
    let cancelled = gateway.request("DELETE", "/v1/channels/quiz/events/c");
    assert_eq!(cancelled.status, 204, "{cancelled:?}");
    gateway.resume("quiz");
    let count = |told: &[Told]| told.iter().map(|told| told.ends().len()).sum::<usize>();
    let told = eventually("three ends", || {
        Some(endpoint.told()).filter(|told| count(told) >= 3)
    });
    let mut ends: Vec<_> = told.iter().flat_map(Told::ends).collect();
    ends.sort();
    let expected = [("a", "merged"), ("b", "delivered"), ("c", "cancelled")];
    let expected = expected.map(|(id, end)| (id.to_owned(), end.to_owned()));
    assert_eq!(ends, expected);
    assert!(told.len() <= 2, "they were put together: {told:?}");
    let first = &told[0];
    check_signed(first, &[b'k'; 32]);
    assert_eq!(first.path, "/hook?of=quiz");
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.header("host"), endpoint.address.to_string());
    let message = first.json();
    assert_eq!(message["type"], "events.ended");
    assert_eq!(message["timestamp"].as_str().expect("a time").len(), 24);
    let end = &message["data"]["ends"][0];
    assert_eq!(
        (&end["channel"], &end["into"]),
        (&json!("quiz"), &json!("b"))
    );
    assert_eq!(message["data"]["dropped"], Value::Null);
    assert!(same(counted(&gateway, "ends_delivered"), 3.0));
    assert!(same(counted(&gateway, "ends_dropped"), 0.0));
    let took = gateway
        .scrape()
        .get("cuegate_webhook_duration_seconds_count");
    assert!(took >= 1.0, "{took}");
}

#[test]
fn what_fails_is_tried_again_as_the_endpoint_asks() {
    let endpoint = Endpoint::start(&["500", "404", "429\r\nretry-after: 1", "302\r\nlocation: /x"]);
    let gateway = start(&endpoint, "");
    publish(&gateway, "quiz", "a");
    let begun = eventually("the third", || {
        (endpoint.told().len() >= 3).then(Instant::now)
    });
    let told = endpoint.told_times(5);
    assert!(
        begun.elapsed() > Duration::from_millis(900),
        "it waits as asked"
    );
    eventually("it was taken", || {
        same(counted(&gateway, "ends_delivered"), 1.0).then_some(())
    });
    for again in &told {
        check_signed(again, &[b'k'; 32]);
        assert_eq!(again.body, told[0].body);
        assert_eq!(again.header("webhook-id"), told[0].header("webhook-id"));
        assert_eq!(again.path, told[0].path, "no redirect is followed");
    }
    assert_eq!(told.len(), 5);
    assert!(same(counted(&gateway, "requests_failed"), 4.0));
    // This one will never be taken: the next says so.
    let endpoint = Endpoint::start(&["422"]);
    let gateway = start(&endpoint, "");
    publish(&gateway, "quiz", "a");
    endpoint.told_times(1);
    publish(&gateway, "quiz", "b");
    let told = endpoint.told_times(2);
    assert_eq!(told[1].ends()[0].0, "b");
    assert_eq!(told[1].json()["data"]["dropped"], 1);
    assert!(same(counted(&gateway, "ends_dropped"), 1.0));
}

#[test]
fn an_endpoint_that_is_gone_rests_until_a_reload_changes_it() {
    let endpoint = Endpoint::start(&["410"]);
    let gateway = start(&endpoint, "");
    publish(&gateway, "quiz", "a");
    endpoint.told_times(1);
    gateway.process.logged("410");
    publish(&gateway, "quiz", "b");
    eventually("it was dropped", || {
        same(counted(&gateway, "ends_dropped"), 2.0).then_some(())
    });
    assert_eq!(endpoint.told().len(), 1);
    let changed = config(&endpoint, "batch_max = 7");
    std::fs::write(gateway.config_file(), changed).expect("the file");
    let answer = send(gateway.admin, "POST", "/admin/reload", &[], b"");
    assert_eq!(answer.json()["changes"], json!(["webhook crm changed"]));
    // The task hears of it a moment later.
    let told = eventually("it is told again", || {
        publish(&gateway, "quiz", &format!("c{:?}", Instant::now()));
        endpoint.told().get(1).cloned()
    });
    assert!(
        told.json()["data"]["dropped"].as_u64() >= Some(2),
        "{told:?}"
    );
}

#[test]
fn a_dead_endpoint_hurts_nobody_and_the_oldest_go() {
    // It accepts no connection: its backlog takes some, and no answer comes.
    let dead = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", dead.local_addr().expect("its address"));
    let lines =
        "allow_private = true\nqueue_max = 10\nbatch_max = 5\ntimeout_ms = 200\ngive_up_ms = 0";
    let hook = webhook(&url, lines);
    let gateway = Gateway::start_with(
        &local(&hook, &[("quiz", "queue_max_events = 5000")]),
        SECRETS,
    );
    for batch in 0..10 {
        let events: Vec<_> = (0..100)
            .map(|at| json!({"data": 1, "id": format!("{batch}-{at}")}))
            .collect();
        gateway.publish("quiz", &Value::from(events).to_string());
    }
    gateway.drained("quiz");
    let metrics = gateway.scrape();
    metrics.check_books(true);
    let delivered = metrics.get("cuegate_events_delivered_total{channel=\"quiz\"}");
    assert!(same(delivered, 1000.0), "{delivered}");
    eventually("all but the last were dropped", || {
        (counted(&gateway, "ends_dropped") >= 980.0).then_some(())
    });
    gateway.process.logged("ends of events were dropped");
    // It comes to life: all of them are accounted for.
    let alive = Endpoint::at(dead, &[]);
    let told = eventually("it says what was dropped", || {
        publish(&gateway, "quiz", &format!("{:?}", Instant::now()));
        let taken = counted(&gateway, "ends_delivered") > 0.0;
        Some(alive.told()).filter(|told| taken && !told.is_empty())
    });
    let dropped = |told: &Told| told.json()["data"]["dropped"].as_u64();
    assert!(told.iter().any(|told| dropped(told) > Some(0)), "{told:?}");
}

#[test]
fn a_restart_tells_what_waits_and_goes_on() {
    let endpoint = Endpoint::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let journal = format!(
        "[journal]\ndir = \"{}\"",
        directory.path().join("j").display()
    );
    // Nothing would be told for a minute.
    let config = config(&endpoint, &journal).replace("batch_ms = 20", "batch_ms = 60000");
    let mut gateway = Gateway::start_with(&config, SECRETS);
    publish(&gateway, "quiz", "before");
    gateway.drained("quiz");
    gateway.process.signal("TERM");
    let (status, _) = gateway.process.wait(Duration::from_secs(20));
    assert!(status.success(), "{status}");
    let before = endpoint.told_times(1);
    assert_eq!(
        before[0].ends()[0],
        ("before".to_owned(), "delivered".to_owned())
    );
    drop(gateway);
    let gateway = Gateway::start_with(&config.replace("60000", "20"), SECRETS);
    publish(&gateway, "quiz", "after");
    assert_eq!(endpoint.told_times(2)[1].ends()[0].0, "after");
}

#[test]
fn private_addresses_are_refused() {
    // By its name, which is looked up when it is connected to.
    let endpoint = Endpoint::start(&[]);
    let url = endpoint.url().replace("127.0.0.1", "localhost");
    let config = local(&webhook(&url, ""), &[("quiz", "")]);
    let gateway = Gateway::start_with(&config, SECRETS);
    publish(&gateway, "quiz", "a");
    gateway.process.logged("is not a public address");
    assert!(counted(&gateway, "requests_failed") > 0.0);
    assert!(endpoint.told().is_empty());
    // By its address, which the configuration is refused for.
    for (url, told) in [
        ("http://127.0.0.1:1/", "127.0.0.1 is not a public address"),
        ("http://[::1]/", "::1 is not a public address"),
        (
            "http://169.254.169.254/latest",
            "169.254.169.254 is not a public address",
        ),
    ] {
        check_refused(&webhook(url, ""), SECRET, told);
    }
}

fn check_refused(hook: &str, secret: &str, told: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("cuegate.toml");
    std::fs::write(&file, local(hook, &[("quiz", "")])).expect("a file");
    let mut check = command();
    check
        .arg("check-config")
        .arg(&file)
        .env("CRM_SECRET", secret);
    let ended = run(&mut check, "");
    assert_eq!(ended.code, Some(2), "{hook}: {ended:?}");
    assert!(ended.err.contains(told), "{told:?} in {ended:?}");
    assert!(!ended.err.contains("geheim"), "{ended:?}");
}

#[test]
fn tls_is_by_the_authorities_of_the_system_and_the_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, authority.pem()).expect("a file");
    let roots = ("SSL_CERT_FILE", roots.to_str().expect("UTF-8"));
    let endpoint = Endpoint::start_tls(&authority.issue("crm"));
    let url = format!("https://localhost:{}/", endpoint.address.port());
    let config = local(&webhook(&url, "allow_private = true"), &[("quiz", "")]);
    let gateway = Gateway::start_with(&config, &[SECRETS[0], roots]);
    for (nth, id) in ["a", "b"].into_iter().enumerate() {
        publish(&gateway, "quiz", id);
        let told = &endpoint.told_times(nth + 1)[nth];
        assert_eq!(told.ends()[0].0, id);
        check_signed(told, &[b'k'; 32]);
    }
    // Another authority's, and another name's.
    let stranger = Endpoint::start_tls(&Authority::new().issue("crm"));
    let name = endpoint
        .address
        .to_string()
        .replace("127.0.0.1", "127.0.0.2");
    for url in [
        format!("https://{}/", stranger.address),
        format!("https://{name}/"),
    ] {
        let config = local(&webhook(&url, "allow_private = true"), &[("quiz", "")]);
        let gateway = Gateway::start_with(&config, &[SECRETS[0], roots]);
        publish(&gateway, "quiz", "c");
        eventually("it failed", || {
            (counted(&gateway, "requests_failed") > 0.0).then_some(())
        });
    }
    assert!(stranger.told().is_empty());
    assert_eq!(endpoint.told().len(), 2);
}

#[test]
fn what_is_wrong_with_a_webhook_is_said() {
    let url = "https://crm.example/";
    let hook = webhook(url, "");
    check_refused(&hook, "whsec_geheim", "24 to 64 bytes");
    check_refused(
        &hook.replace("CRM_SECRET", "NONE"),
        SECRET,
        "NONE is not set",
    );
    let none = hook.replace("secret_env = \"CRM_SECRET\"\n", "");
    check_refused(&none, SECRET, "secret_env: missing");
    let file = none.clone() + "secret_file = \"/nowhere\"\n";
    check_refused(&file, SECRET, "webhook.secret_file: of crm: /nowhere");
    check_refused(&(hook.clone() + &hook), SECRET, "crm is already in line");
    check_refused(&webhook("ftp://x/", ""), SECRET, "webhook.url: not a URL");
    check_refused(&webhook(url, "ends = [\"done\"]"), SECRET, "is not one of");
    check_refused(&webhook(url, "channels = []"), SECRET, "nothing is told");
}

#[test]
fn a_secret_in_a_file_is_read_again_when_it_changes() {
    let endpoint = Endpoint::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).expect("a file");
    let by_file = format!("secret_file = \"{}\"", file.display());
    let config = config(&endpoint, "").replace("secret_env = \"CRM_SECRET\"", &by_file);
    let gateway = Gateway::start(&config);
    publish(&gateway, "quiz", "a");
    check_signed(&endpoint.told_times(1)[0], &[b'k'; 32]);
    let other = format!("whsec_{}", base64(&[b'o'; 24]));
    std::fs::write(&file, other).expect("a file");
    gateway
        .process
        .logged("secrets of webhooks were read again");
    let told = endpoint.told().len();
    publish(&gateway, "quiz", "b");
    check_signed(&endpoint.told_times(told + 1)[told], &[b'o'; 24]);
}
