//! Every path and method of both listeners.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::telemetry::ChannelSnapshot;

#[derive(Clone, Default)]
struct Gateway {
    readiness: Readiness,
    errors: Vec<String>,
}

impl Admin for Gateway {
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            queue_bytes: 77,
            ..Snapshot::default()
        }
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    fn reload(&self) -> Reloading<'_> {
        let report = ReloadReport {
            changes: vec!["channel `quiz` added".to_owned()],
            ..ReloadReport::default()
        };
        let errors = self.errors.clone();
        Box::pin(async move {
            if errors.is_empty() {
                Ok(report)
            } else {
                Err(errors)
            }
        })
    }

    fn overview(&self) -> Pin<Box<dyn Future<Output = Overview> + Send + '_>> {
        let overview = Overview {
            mode: "local",
            ..Overview::default()
        };
        Box::pin(async move { overview })
    }

    fn losses(&self) -> Losses {
        let mut snapshot = Snapshot::default();
        for (expired, dead) in [(1, 10), (2, 20)] {
            let mut channel = ChannelSnapshot::new("a".into());
            channel.ledger.expired = expired;
            channel.ledger.dead_lettered[0] = dead;
            snapshot.channels.push(channel);
        }
        Losses::of(&snapshot, [("queue_full", 7)].into(), Vec::new())
    }

    fn playback_url(&self, channel: &str) -> Option<String> {
        (channel == "a b").then(|| "/admin/playback/a%20b/playback.m3u8".to_owned())
    }

    fn playback_origins(&self) -> Vec<String> {
        Vec::new()
    }

    fn playback(&self, channel: &str, file: &str) -> Option<Played> {
        (channel == "a b" && file == "playback.m3u8").then(|| Played {
            bytes: "#EXTM3U".into(),
            media_type: "application/vnd.apple.mpegurl",
        })
    }

    fn config(&self) -> Value {
        json!({"upstream": {"mode": "local"}})
    }

    fn dead_letters(
        &self,
        _: &LetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Doing<'_, DeadLetterPage> {
        let page = DeadLetterPage {
            next: after.map(|after| after + limit as u64),
            ..DeadLetterPage::default()
        };
        Box::pin(async move { Ok(page) })
    }

    fn replay(&self, filter: LetterFilter) -> Doing<'_, ReplayReport> {
        let why = format!("{:?}", filter.reason);
        Box::pin(async move { Err(Refusal::new(Code::Overloaded, why)) })
    }

    fn purge(&self, filter: LetterFilter) -> Doing<'_, usize> {
        Box::pin(async move { Ok(filter.id.map_or(0, |_| 1)) })
    }
}

struct Answer {
    status: u16,
    kind: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

async fn ask(router: Router, method: Method, path: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .body(Body::empty())
        .expect("valid");
    let response = router.oneshot(request).await.expect("infallible");
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind
        .map(|kind| kind.to_str().expect("text").to_owned())
        .unwrap_or_default();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20)
        .await
        .expect("whole");
    Answer {
        status,
        kind,
        body: String::from_utf8(body.into()).expect("UTF-8"),
    }
}

fn admin_of(gateway: Gateway) -> Router {
    let channels = Router::new().route("/admin/channels", get(async || "channels"));
    let listen = "127.0.0.1:8081".parse().expect("an address");
    let (keyring, clock) = (keyring(""), Arc::new(Clock::new()));
    let meters = Arc::clone(Telemetry::new("local").meters());
    admin_router(Arc::new(gateway), channels, listen, keyring, clock, meters)
}

/// Who may do what by these lines of configuration.
fn keyring(lines: &str) -> Arc<Keyring> {
    let file = format!("upstream.mode = \"local\"\n{lines}");
    let none: [(String, String); 0] = [];
    let settings = crate::config::parse(Some(("test", &file)), none).expect("settings");
    let access = crate::access::Access::build(&settings, &|_| None, None).expect("an access");
    Arc::new(Keyring::new(access))
}

fn metrics_of(gateway: Gateway) -> Router {
    metrics_router(Arc::new(Telemetry::new("local")), Arc::new(gateway))
}

#[tokio::test]
async fn paths_and_methods() {
    let metrics = || {
        metrics_of(Gateway {
            readiness: ready(),
            ..Gateway::default()
        })
    };
    let admin = || admin_of(Gateway::default());
    let problem = "application/problem+json";
    let json = "application/json";
    let cases = [
        (metrics(), Method::GET, "/metrics", 200, TEXT_FORMAT, ""),
        (metrics(), Method::HEAD, "/metrics", 200, TEXT_FORMAT, ""),
        (
            metrics(),
            Method::POST,
            "/metrics",
            405,
            problem,
            "method_not_allowed",
        ),
        (
            metrics(),
            Method::GET,
            "/healthz",
            200,
            "text/plain; charset=utf-8",
            "",
        ),
        (
            metrics(),
            Method::DELETE,
            "/healthz",
            405,
            problem,
            "method_not_allowed",
        ),
        (metrics(), Method::GET, "/readyz", 200, json, ""),
        (metrics(), Method::GET, "/", 404, problem, "not_found"),
        (
            metrics(),
            Method::POST,
            "/admin/reload",
            404,
            problem,
            "not_found",
        ),
        (admin(), Method::POST, "/admin/reload", 200, json, ""),
        (
            admin(),
            Method::GET,
            "/admin/reload",
            405,
            problem,
            "method_not_allowed",
        ),
        (
            admin(),
            Method::POST,
            "/",
            405,
            problem,
            "method_not_allowed",
        ),
        (
            admin(),
            Method::GET,
            "/console.map",
            404,
            problem,
            "not_found",
        ),
        (admin(), Method::GET, "/admin", 404, problem, "not_found"),
        (admin(), Method::GET, "/metrics", 404, problem, "not_found"),
    ];
    for (router, method, path, status, kind, code) in cases {
        let answer = ask(router, method.clone(), path).await;
        assert_eq!(
            (answer.status, answer.kind.as_str()),
            (status, kind),
            "{method} {path}"
        );
        if kind == problem {
            let body = answer.json();
            assert_eq!(
                (&body["code"], &body["status"]),
                (&json!(code), &json!(status))
            );
            assert_eq!(body["type"], json!(format!("urn:cuegate:problem:{code}")));
        }
    }
}

fn ready() -> Readiness {
    Readiness {
        ready: true,
        ..Readiness::default()
    }
}

#[tokio::test]
async fn metrics_come_from_the_snapshot() {
    let answer = ask(metrics_of(Gateway::default()), Method::GET, "/metrics").await;
    assert!(
        answer.body.contains("\ncuegate_queue_bytes 77\n"),
        "{}",
        answer.body
    );
    let answer = ask(metrics_of(Gateway::default()), Method::GET, "/healthz").await;
    assert_eq!(answer.body, "ok");
}

#[tokio::test]
async fn readiness_is_told_in_full() {
    let account = AccountReadiness {
        account: "123456789012".to_owned(),
        region: "us-west-2".to_owned(),
        up: false,
        reason: Some("ExpiredTokenException".to_owned()),
    };
    let down = Readiness {
        accounts: vec![account],
        ..ready()
    };
    let down_body = json!({
        "ready": true,
        "draining": false,
        "accounts": [{
            "account": "123456789012",
            "region": "us-west-2",
            "up": false,
            "reason": "ExpiredTokenException",
        }],
    });
    let empty = |ready, draining| json!({"ready": ready, "draining": draining, "accounts": []});
    let cases = [
        (ready(), 200, empty(true, false)),
        (down, 200, down_body),
        (
            Readiness {
                draining: true,
                ..ready()
            },
            503,
            empty(false, true),
        ),
        (Readiness::default(), 503, empty(false, false)),
    ];
    for (readiness, status, body) in cases {
        let gateway = Gateway {
            readiness,
            ..Gateway::default()
        };
        let answer = ask(metrics_of(gateway), Method::GET, "/readyz").await;
        assert_eq!((answer.status, answer.json()), (status, body));
    }
}

#[tokio::test]
async fn reload_says_what_it_did() {
    let errors = vec![
        "line 3: unknown key `lisen`".to_owned(),
        "line 9: alias used twice".to_owned(),
    ];
    let gateway = Gateway {
        errors: errors.clone(),
        ..Gateway::default()
    };
    let refused = ask(admin_of(gateway), Method::POST, "/admin/reload").await;
    let body = refused.json();
    assert_eq!(
        (refused.status, &body["code"]),
        (422, &json!("invalid_configuration"))
    );
    assert_eq!(body["errors"], json!(errors));

    let done = ask(admin_of(Gateway::default()), Method::POST, "/admin/reload").await;
    let body = json!({"changes": ["channel `quiz` added"], "needs_restart": []});
    assert_eq!((done.status, done.json()), (200, body));
}

#[tokio::test]
async fn dead_letters_by_their_filters() {
    let check = async |method: Method, query: &str, status: u16, expected: Value| {
        let admin = admin_of(Gateway::default());
        let answer = ask(admin, method, &format!("/admin/dead-letters{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        let json = answer.json();
        for (member, value) in expected.as_object().expect("an object") {
            assert_eq!(&json[member], value, "{query}: {json}");
        }
    };
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let page = json!({"dead_letters": [], "total": 0, "next": null});
    check(get.clone(), "", 200, page).await;
    let next = json!({"next": 12});
    check(get.clone(), "?after=7&limit=5", 200, next).await;
    for wrong in ["?limit=0", "?limit=1001", "?limit=x", "?id=-1", "?chanel=a"] {
        let malformed = json!({"code": "malformed"});
        check(get.clone(), wrong, 400, malformed).await;
    }
    let paged = json!({"code": "malformed"});
    check(post.clone(), "?limit=5", 400, paged).await;
    let failed = json!({"code": "overloaded", "detail": "Some(\"expired\")"});
    check(post, "?reason=expired", 503, failed).await;
    check(delete.clone(), "?id=5", 200, json!({"purged": 1})).await;
    check(delete, "", 200, json!({"purged": 0})).await;
}

#[tokio::test]
async fn the_console_is_in_the_binary() {
    let page = ask(admin_of(Gateway::default()), Method::GET, "/").await;
    assert_eq!(
        (page.status, page.kind.as_str()),
        (200, "text/html; charset=utf-8")
    );
    // Every file that the page names is there.
    let names: Vec<&str> = page
        .body
        .split(['"', '\''])
        .filter(|part| part.starts_with('/'))
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        let file = ask(admin_of(Gateway::default()), Method::GET, name).await;
        assert_eq!(file.status, 200, "{name}");
    }
}

#[tokio::test]
async fn losses_are_summed_over_channels() {
    let answer = ask(admin_of(Gateway::default()), Method::GET, "/admin/refusals").await;
    let body = answer.json();
    assert_eq!(body["refused"], json!({"queue_full": 7}));
    assert_eq!(body["lost"]["expired"], 3);
    let dead = body["lost"]["dead_lettered"].as_object().expect("reasons");
    assert_eq!(dead.len(), engine::DeadLetterReason::ALL.len());
    assert_eq!(dead.values().filter_map(Value::as_u64).sum::<u64>(), 30);
    let channels = ask(admin_of(Gateway::default()), Method::GET, "/admin/channels").await;
    assert_eq!(channels.body, "channels");
}

#[tokio::test]
async fn what_the_console_asks() {
    for path in ["/admin/overview", "/admin/refusals", "/admin/config"] {
        let ask = async |method| ask(admin_of(Gateway::default()), method, path).await;
        let shown = ask(Method::GET).await;
        assert_eq!(
            (shown.status, shown.kind.as_str()),
            (200, "application/json"),
            "{path}"
        );
        let refused = ask(Method::POST).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (405, &json!("method_not_allowed")),
            "{path}"
        );
    }
}
