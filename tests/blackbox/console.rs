//! The admin listener as browsers and `curl` meet it: what its answers allow, whom it refuses,
//! what the console can ask, and what it never shows.

use serde_json::{Value, json};

use crate::support::emulator::encoded;
use crate::support::http::{self, Response, check_problem};
use crate::support::process::{Gateway, arn, local};
use crate::support::{eventually, payloads::all_items};

/// A request to the admin listener with nothing but these headers beside its own length.
fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
    let length = format!("content-length: {}", body.len());
    let head = [
        &format!("{method} {path} HTTP/1.1"),
        "connection: close",
        &length,
    ];
    let lines: Vec<&str> = head.into_iter().chain(headers.iter().copied()).collect();
    let text = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
    let answer = http::exchange(gateway.admin, text.as_bytes(), method == "HEAD");
    answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// As `curl` does.
fn plain(gateway: &Gateway, method: &str, path: &str, body: &str) -> Response {
    let host = format!("host: {}", gateway.admin);
    let kind = "content-type: application/json";
    ask(gateway, method, path, &[&host, kind], body)
}

fn is_stream(path: &str) -> bool {
    path.ends_with("/payloads")
}

/// Everything the listener serves, and some things that it does not.
const PATHS: &[(&str, &str)] = &[
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/console.css"),
    ("GET", "/console.js"),
    ("GET", "/hls.light.min.js"),
    ("GET", "/nowhere"),
    ("GET", "/admin/overview"),
    ("GET", "/admin/refusals"),
    ("GET", "/admin/config"),
    ("GET", "/admin/playback/quiz/playback.m3u8"),
    ("GET", "/admin/playback/quiz/nowhere"),
    ("GET", "/admin/channels"),
    ("GET", "/admin/channels/quiz"),
    ("PUT", "/admin/channels/quiz"),
    ("DELETE", "/admin/channels/quiz"),
    ("GET", "/admin/channels/quiz/payloads"),
    ("GET", "/admin/channels/quiz/payloads/recent"),
    ("POST", "/admin/channels/quiz/events"),
    ("DELETE", "/admin/channels/quiz/events"),
    ("POST", "/admin/channels/quiz/pause"),
    ("POST", "/admin/channels/quiz/resume"),
    ("GET", "/admin/dead-letters"),
    ("POST", "/admin/dead-letters"),
    ("DELETE", "/admin/dead-letters"),
    ("POST", "/admin/reload"),
    ("OPTIONS", "/admin/reload"),
    ("GET", "/admin/nowhere"),
];

#[test]
fn foreign_pages_are_refused_everywhere() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let own = format!("host: {}", gateway.admin);
    let port = gateway.admin.port();
    let same = format!("origin: http://{}", gateway.admin);
    let neighbour = format!("origin: http://127.0.0.1:{}", gateway.producers.port());
    let other_name = format!("origin: http://localhost:{port}");
    let rebound = format!("host: rebound.example:{port}");
    let foreign: &[(&[&str], u16, &str)] = &[
        (&[&rebound], 421, "misdirected_request"),
        (&["host: 192.0.2.7"], 421, "misdirected_request"),
        (&[&own, "origin: http://evil.example"], 403, "forbidden"),
        (&[&own, "origin: null"], 403, "forbidden"),
        (&[&own, &neighbour], 403, "forbidden"),
        (&[&own, &other_name], 403, "forbidden"),
        (&[&own, "sec-fetch-site: cross-site"], 403, "forbidden"),
        (&[&own, "sec-fetch-site: same-site"], 403, "forbidden"),
    ];
    for (method, path) in PATHS {
        for (headers, status, code) in foreign {
            let answer = ask(&gateway, method, path, headers, "");
            assert_eq!(answer.status, *status, "{method} {path} with {headers:?}");
            check_headers(&answer, path);
            if *method != "HEAD" {
                check_problem(&answer, *status, code);
            }
        }
    }
    // Without one Host no request is looked at (RFC 9112, section 3.2).
    for headers in [&[][..], &[own.as_str(), rebound.as_str()]] {
        let answer = ask(&gateway, "GET", "/", headers, "");
        check_problem(&answer, 400, "malformed");
    }
    // None of that reached a handler.
    let status = gateway.status("quiz");
    assert_eq!(
        (&status["state"], &status["totals"]["accepted"]),
        (&json!("live"), &json!(0))
    );
    // The page itself, `curl`, and whoever types the address.
    let localhost = format!("host: localhost:{port}");
    for headers in [
        &[own.as_str()][..],
        &[&localhost],
        &[&own, &same],
        &[&own, &same, "sec-fetch-site: same-origin"],
        &[&localhost, &other_name],
        &[&own, "sec-fetch-site: none", "sec-fetch-mode: navigate"],
    ] {
        for path in ["/", "/admin/overview", "/admin/channels"] {
            assert_eq!(
                ask(&gateway, "GET", path, headers, "").status,
                200,
                "{headers:?}"
            );
        }
        let pause = ask(&gateway, "POST", "/admin/channels/quiz/pause", headers, "");
        assert_eq!(pause.status, 204, "{headers:?}");
    }
    assert_eq!(gateway.status("quiz")["state"], "paused");
}

fn check_headers(answer: &Response, path: &str) {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
        img-src 'self' data:; media-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    for (name, value) in [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("access-control-allow-origin", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name} of {path}");
    }
}

#[test]
fn every_answer_says_what_a_browser_may_do() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let own = format!("host: {}", gateway.admin);
    for (method, path) in PATHS.iter().filter(|(_, path)| !is_stream(path)) {
        let answer = ask(&gateway, method, path, &[&own], "");
        check_headers(&answer, path);
        let cached = answer.header("cache-control");
        let expected = if path.starts_with("/admin") || answer.status >= 400 {
            "no-store"
        } else {
            "no-cache"
        };
        assert_eq!(cached, expected, "{method} {path}");
        let known = !path.ends_with("nowhere");
        assert_eq!(answer.status == 404, !known, "{method} {path}: {answer:?}");
    }
    for (method, path, status, code) in [
        ("GET", "/console.js.map", 404, "not_found"),
        ("GET", "/index.html", 404, "not_found"),
        ("GET", "/../Cargo.toml", 404, "not_found"),
        ("GET", "/admin/channels/nowhere", 404, "unknown_channel"),
        ("POST", "/", 405, "method_not_allowed"),
        ("POST", "/admin/channels/quiz", 405, "method_not_allowed"),
        ("POST", "/admin/config", 405, "method_not_allowed"),
    ] {
        check_problem(&plain(&gateway, method, path, ""), status, code);
    }
    // A file is asked for each time, and sent again only if it changed.
    let page = plain(&gateway, "GET", "/", "");
    let tag = format!("if-none-match: {}", page.header("etag"));
    let again = ask(&gateway, "GET", "/", &[&own, &tag], "");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert!(page.text().contains("<!doctype html>"));
}

#[test]
fn channels_below_admin_are_the_producers_own() {
    let gateway = Gateway::start(&local("", &[("quiz", ""), ("score", ""), ("show", "")]));
    let get = |path: &str| plain(&gateway, "GET", path, "").json();
    assert_eq!(get("/admin/channels/quiz"), gateway.status("quiz"));
    // The list, filtered by name and by ARN, a page at a time.
    for (query, names, total, next) in [
        ("", vec!["quiz", "score", "show"], 3, Value::Null),
        ("?q=S", vec!["quiz", "score", "show"], 3, Value::Null),
        ("?q=SHO", vec!["show"], 1, Value::Null),
        ("?q=channel%2Fsc", vec!["score"], 1, Value::Null),
        ("?q=nothing", vec![], 0, Value::Null),
        ("?limit=1&q=s&after=quiz", vec!["score"], 3, json!("score")),
    ] {
        let page = get(&format!("/admin/channels{query}"));
        let found: Vec<_> = page["channels"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|channel| channel["channel"].as_str().expect("a name"))
            .collect();
        assert_eq!(
            (found, &page["total"], &page["next"]),
            (names, &json!(total), &next),
            "{query}"
        );
    }
    // Producers have no filter.
    check_problem(
        &gateway.request("GET", "/v1/channels?q=s"),
        400,
        "malformed",
    );

    let path = "/admin/channels/quiz/events";
    let sent = plain(
        &gateway,
        "POST",
        &format!("{path}?wait=delivered"),
        r#"{"data":1}"#,
    );
    assert_eq!((sent.status, &sent.json()["delivered"]), (200, &json!(1)));
    for (body, status, code) in [
        (r#"{"data":}"#, 400, "malformed"),
        (r#"{"data":1,"merge":"sum"}"#, 422, "invalid_event"),
    ] {
        check_problem(&plain(&gateway, "POST", path, body), status, code);
    }
    assert_eq!(
        plain(&gateway, "POST", "/admin/channels/quiz/pause", "").status,
        204
    );
    plain(
        &gateway,
        "POST",
        path,
        r#"[{"data":2},{"data":3,"type":"t"}]"#,
    );
    let purged = plain(&gateway, "DELETE", &format!("{path}?type=t"), "");
    assert_eq!(purged.json(), json!({"cancelled": 1}));
    assert_eq!(
        plain(&gateway, "POST", "/admin/channels/quiz/resume", "").status,
        204
    );
    gateway.drained("quiz");
    assert_eq!(all_items(&gateway.taken("quiz")), r#"{"d":1},{"d":2}"#);
    gateway.scrape().check_books(true);
    let overview = get("/admin/overview");
    for (member, value) in [
        ("mode", json!("local")),
        ("channels", json!(3)),
        ("delivered", json!(2)),
        ("queued", json!(0)),
        ("draining", json!(false)),
    ] {
        assert_eq!(overview[member], value, "{member}");
    }
    assert_eq!(overview["accounts"][0]["tokens"]["limit"], 155);
}

#[test]
fn payloads_can_be_looked_at_after_they_were_delivered() {
    let gateway = Gateway::start(&local("", &[("quiz", ""), ("busy", "envelope = \"raw\"")]));
    let recent = |channel: &str| {
        let path = format!("/admin/channels/{}/payloads/recent", encoded(channel));
        let payloads = plain(&gateway, "GET", &path, "").json()["payloads"].clone();
        payloads.as_array().expect("a list").clone()
    };
    assert_eq!(recent("quiz"), [Value::Null; 0]);
    gateway.publish("quiz", r#"{"data":"<script>alert(1)</script>"}"#);
    gateway.drained("quiz");
    // One event a payload: more than are kept of a channel.
    let events: Vec<_> = (0..25)
        .map(|n| json!({"data": n, "ttl_ms": 60000}))
        .collect();
    gateway.publish("busy", &json!(events).to_string());
    gateway.drained("busy");
    let texts: Vec<_> = recent("busy")
        .iter()
        .map(|payload| payload["text"].clone())
        .collect();
    let last: Vec<_> = (5..25).map(|n| json!(n.to_string())).collect();
    assert_eq!(texts, last);
    let [payload] = &recent(&arn("quiz"))[..] else {
        panic!("one payload");
    };
    assert_eq!(
        Some(payload["text"].as_str().expect("a text")),
        gateway.taken("quiz").first().map(String::as_str)
    );
    assert!(payload["n"].as_u64() > Some(0) && payload["at_ms"].as_u64() > Some(0));
    // As JSON, which no browser takes for a page.
    let answer = plain(&gateway, "GET", "/admin/channels/quiz/payloads/recent", "");
    assert_eq!(answer.header("content-type"), "application/json");

    // And live, as producers have it.
    let host = format!("host: {}", gateway.admin);
    let (producer, admin) = (gateway.producers, gateway.admin);
    let mut stream = std::io::BufReader::new(http::connect(admin).expect("a connection"));
    let request = format!("GET /admin/channels/quiz/payloads HTTP/1.1\r\n{host}\r\n\r\n");
    std::io::Write::write_all(stream.get_mut(), request.as_bytes()).expect("written");
    let head = http::read_head(&mut stream).expect("a head");
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, "text/event-stream")
    );
    check_headers(&head, "the stream");
    let body = br#"{"data":"live"}"#;
    http::send(
        producer,
        "POST",
        "/v1/channels/quiz/events",
        &[("content-type", "application/json")],
        body,
    );
    let shown = eventually("the payload is shown", || {
        let chunk = http::read_chunk(&mut stream)
            .expect("a chunk")
            .expect("no end");
        let text = String::from_utf8(chunk).expect("UTF-8");
        text.contains("data: ").then_some(text)
    });
    assert!(shown.contains(r#""d":"live""#), "{shown}");
}

#[test]
fn refusals_and_losses_are_told_without_values() {
    let keys = "queue_max_events = 1\noverflow = \"drop_oldest\"\nttl_ms = 60000";
    let gateway = Gateway::start(&local("", &[("quiz", keys), ("score", "")]));
    gateway.pause("quiz");
    gateway.publish("quiz", r#"[{"data":1},{"data":2}]"#);
    let big = format!(r#"{{"data":"s3cret-{}"}}"#, "x".repeat(2000));
    gateway.post("/v1/channels/score/events", &big);
    gateway.post(
        "/v1/channels/score/events",
        r#"{"data":1,"ttl_ms":"s3cret"}"#,
    );
    gateway.post(
        "/v1/channels/score/events",
        r#"{"data":1,"merge":"s3cret"}"#,
    );
    gateway.post("/v1/channels/guess-1/events", r#"{"data":1}"#);
    gateway.post("/v1/channels/guess-2/events", r#"{"data":1}"#);
    gateway.post(
        "/v1/events",
        r#"[{"data":1,"channel":"score"},{"data":1,"channel":"guess-3"},{"data":1,"channel":"score","merge":"sum"}]"#,
    );
    gateway.post(
        "/v1/events?atomic=true",
        r#"[{"data":1,"channel":"score"},{"data":1,"channel":"guess-4"}]"#,
    );
    // serde quotes what it did not expect.
    gateway.post("/PutMetadata", r#""s3cret""#);
    let answer = plain(&gateway, "GET", "/admin/refusals", "");
    let losses = answer.json();
    assert!(!answer.text().contains("s3cret"), "{losses}");
    // The books of the metrics.
    let metrics = gateway.scrape();
    for (code, events) in losses["refused"].as_object().expect("codes") {
        let series = format!(r#"cuegate_events_rejected_total{{code="{code}"}}"#);
        let events = events.as_f64().expect("a number");
        assert!(
            (metrics.get(&series) - events).abs() < 0.5,
            "{code}: {losses}"
        );
    }
    assert_eq!(losses["lost"]["evicted"], 1);
    let recent = losses["recent"].as_array().expect("a list");
    let of = |channel: Option<&str>, code: &str| {
        let found = recent
            .iter()
            .find(|entry| entry["channel"].as_str() == channel && entry["code"] == code);
        found.unwrap_or_else(|| panic!("{channel:?} {code} in {losses}"))["events"].clone()
    };
    assert_eq!(of(Some("score"), "event_too_large"), 1);
    assert_eq!(of(Some("score"), "invalid_event"), 1);
    assert_eq!(of(Some("score"), "malformed"), 1);
    assert_eq!(of(None, "invalid_event"), 1);
    assert_eq!(of(None, "malformed"), 1);
    // However many names are guessed, they are one line, with the last of them.
    let unknown: Vec<_> = recent
        .iter()
        .filter(|entry| entry["code"] == "unknown_channel")
        .collect();
    assert_eq!(unknown.len(), 1, "{losses}");
    assert_eq!(unknown[0]["events"], 5);
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let secret = "s3cret-that-opens-the-door";
    let rest = format!(
        "[eventbridge]\nsecret = \"{secret}\"\n[quota]\naccount_tps = 99\n[[account]]\nid = \"123456789012\"\n\
        region = \"eu-west-1\"\nrole_arn = \"arn:aws:iam::123456789012:role/cuegate\"\nexternal_id = \"s3cret-id\""
    );
    let gateway = Gateway::start(&local(&rest, &[("quiz", "ttl_ms = 1234")]));
    let answer = plain(&gateway, "GET", "/admin/config", "");
    let config = answer.json();
    assert!(!answer.text().contains("s3cret"), "{config}");
    for (pointer, value) in [
        ("/eventbridge/secret", json!("[redacted]")),
        ("/account/0/external_id", json!("[redacted]")),
        ("/quota/account_tps", json!(99)),
        ("/upstream/mode", json!("local")),
        ("/channel/0/name", json!("quiz")),
        ("/channel/0/ttl_ms", json!(1234)),
        ("/admin/listen", json!(gateway.admin.to_string())),
    ] {
        assert_eq!(
            config.pointer(pointer),
            Some(&value),
            "{pointer} of {config}"
        );
    }
    // Nor does it show anywhere else that the console asks.
    for path in ["/admin/overview", "/admin/refusals", "/admin/channels", "/"] {
        assert!(
            !plain(&gateway, "GET", path, "").text().contains("s3cret"),
            "{path}"
        );
    }
    // A reload shows at once.
    std::fs::write(
        gateway.config_file(),
        local("", &[("quiz", "ttl_ms = 4321")]),
    )
    .expect("the file");
    assert_eq!(plain(&gateway, "POST", "/admin/reload", "").status, 200);
    let config = plain(&gateway, "GET", "/admin/config", "").json();
    assert_eq!(
        (
            &config["channel"][0]["ttl_ms"],
            &config["eventbridge"]["secret"]
        ),
        (&json!(4321), &Value::Null)
    );
}
