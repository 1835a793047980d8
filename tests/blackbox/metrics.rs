//! `/metrics`, `/healthz` and `/readyz`: what operators' tools rely on.

mod labels;
mod surface;

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::http::{check_problem, send};
use crate::support::metrics::same;
use crate::support::process::{ACCOUNT, Gateway, local};
use crate::support::ws::Client;
use surface::{FROM_THE_START, METRICS};

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let rest = labels.split_once(&format!("{name}=\""))?.1;
    rest.split('"').next()
}

fn label_names(labels: &str) -> BTreeSet<&str> {
    let inside = labels.trim_start_matches('{').trim_end_matches('}');
    inside
        .split(',')
        .filter_map(|pair| Some(pair.split_once('=')?.0))
        .filter(|name| *name != "le")
        .collect()
}

#[test]
fn every_metric_of_the_surface_from_the_start() {
    let hook =
        "[[webhook]]\nname = \"crm\"\nurl = \"https://crm.invalid\"\nsecret_env = \"CRM_SECRET\"";
    let secret = (
        "CRM_SECRET",
        "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
    );
    let gateway = Gateway::start_with(&local(hook, &[("quiz", "")]), &[secret]);
    let answer = send(gateway.metrics, "GET", "/metrics", &[], b"");
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let metrics = gateway.scrape();
    for (name, kind, labels) in METRICS {
        assert_eq!(
            metrics.types.get(*name).map(String::as_str),
            Some(*kind),
            "{name}"
        );
        assert!(metrics.help.contains_key(*name), "{name} has no help");
        let suffixes: &[&str] = if *kind == "histogram" {
            &["_bucket", "_sum", "_count"]
        } else {
            &[""]
        };
        for suffix in suffixes {
            let series = format!("{name}{suffix}");
            let found: Vec<_> = metrics.of(&series).collect();
            assert!(!found.is_empty(), "no {series}");
            for (with, _) in found {
                assert_eq!(
                    label_names(with),
                    labels.iter().copied().collect(),
                    "{series}{with}"
                );
            }
        }
    }
    for (name, of, values) in FROM_THE_START {
        let found: BTreeSet<_> = metrics
            .of(name)
            .filter_map(|(labels, _)| label(labels, of))
            .collect();
        let missing: Vec<_> = values
            .iter()
            .filter(|value| !found.contains(*value))
            .collect();
        assert!(missing.is_empty(), "{name}: no {missing:?}");
        for (labels, value) in metrics.of(name).filter(|_| *name != "cuegate_connections") {
            assert!(same(value, 0.0), "{name}{labels} starts at {value}");
        }
    }
    let own: BTreeSet<_> = METRICS.iter().map(|(name, ..)| *name).collect();
    for name in metrics.types.keys() {
        assert!(
            own.contains(name.as_str()) || name.starts_with("process_"),
            "{name} is not of the surface"
        );
    }
    for (series, value) in [
        (
            format!(r#"cuegate_account_tokens_limit{{account="{ACCOUNT}",region="us-west-2"}}"#),
            155.0,
        ),
        (
            format!(r#"cuegate_account_up{{account="{ACCOUNT}",region="us-west-2"}}"#),
            1.0,
        ),
        (
            r#"cuegate_channel_state{channel="quiz",state="live"}"#.to_owned(),
            1.0,
        ),
        (r#"cuegate_upstream_info{mode="local"}"#.to_owned(), 1.0),
        (
            format!(
                r#"cuegate_build_info{{version="{}"}}"#,
                env!("CARGO_PKG_VERSION")
            ),
            1.0,
        ),
        ("cuegate_config_last_reload_successful".to_owned(), 1.0),
    ] {
        assert!(same(metrics.get(&series), value), "{series}");
    }
    for process in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(metrics.get(process) >= 0.0);
    }
}

#[test]
fn what_happens_is_counted() {
    let gateway = Gateway::start(&local("", &[("quiz", "ttl_ms = 60000"), ("votes", "")]));
    let mut socket = Client::open(gateway.producers, "/v1/channels/quiz/ws");
    gateway.pause("votes");
    gateway.publish(
        "quiz",
        r#"[{"data":1,"id":"a"},{"data":2,"id":"a"},{"data":3}]"#,
    );
    gateway.publish("votes", r#"[{"data":1,"key":"k","merge":"sum"},{"data":1,"key":"k","merge":"sum"},{"data":5,"id":"x"},{"data":1,"ttl_ms":1}]"#);
    assert_eq!(
        gateway
            .request("DELETE", "/v1/channels/votes/events/x")
            .status,
        204
    );
    socket.send(r#"[{"data":4},{"data":5,"x":1}]"#);
    socket.until_ack(1);
    assert_eq!(
        gateway.post("/v1/channels/quiz/events", "nonsense").status,
        400
    );
    crate::support::eventually("one expired", || {
        (gateway.status("votes")["totals"]["expired"] == 1).then_some(())
    });
    gateway.resume("votes");
    gateway.drained("quiz");
    gateway.drained("votes");
    let metrics = gateway.scrape();
    metrics.check_books(true);
    for (series, value) in [
        (r#"cuegate_events_received_total{transport="http"}"#, 8.0),
        (
            r#"cuegate_events_received_total{transport="websocket"}"#,
            2.0,
        ),
        (r#"cuegate_events_accepted_total{channel="quiz"}"#, 3.0),
        (r#"cuegate_events_duplicates_total{channel="quiz"}"#, 1.0),
        (r#"cuegate_events_rejected_total{code="malformed"}"#, 2.0),
        (r#"cuegate_events_accepted_total{channel="votes"}"#, 4.0),
        (r#"cuegate_events_merged_total{channel="votes"}"#, 1.0),
        (r#"cuegate_events_cancelled_total{channel="votes"}"#, 1.0),
        (r#"cuegate_events_expired_total{channel="votes"}"#, 1.0),
        (r#"cuegate_events_delivered_total{channel="votes"}"#, 1.0),
        (r#"cuegate_connections{transport="websocket"}"#, 1.0),
        (r#"cuegate_queue_events{channel="quiz"}"#, 0.0),
        ("cuegate_queue_bytes", 0.0),
        ("cuegate_delivery_latency_seconds_count", 4.0),
    ] {
        assert!(
            same(metrics.get(series), value),
            "{series}: {}",
            metrics.get(series)
        );
    }
    let report = gateway.emulator.report();
    let delivered = report["all"]["delivered"].as_f64().expect("a number");
    for name in [
        "cuegate_payload_size_bytes_count",
        "cuegate_payload_events_count",
        "cuegate_put_metadata_duration_seconds_count",
    ] {
        assert!(same(metrics.get(name), delivered), "{name}");
    }
    check_buckets(&metrics);
}

/// Buckets rise to the count.
fn check_buckets(metrics: &crate::support::metrics::Metrics) {
    for (name, kind, _) in METRICS.iter().filter(|(_, kind, _)| *kind == "histogram") {
        let (bucket, count) = (format!("{name}_bucket"), format!("{name}_count"));
        let last: f64 = metrics
            .of(&bucket)
            .filter(|(labels, _)| labels.contains(r#"le="+Inf""#))
            .map(|(_, value)| value)
            .sum();
        assert!(same(last, metrics.sum(&count)), "{name}: {kind}");
        assert!(metrics.of(&bucket).count() > 5, "{name}");
    }
}

#[test]
fn health_and_wrong_methods() {
    let gateway = Gateway::start(&local("", &[("quiz", "")]));
    let answer = send(gateway.metrics, "GET", "/healthz", &[], b"");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let answer = send(gateway.metrics, "GET", "/readyz", &[], b"");
    let account = json!({"account": ACCOUNT, "region": "us-west-2", "up": true});
    assert_eq!(
        (answer.status, answer.json()),
        (
            200,
            json!({"ready": true, "draining": false, "accounts": [account]})
        )
    );
    for (address, method, path, status, code) in [
        (
            gateway.metrics,
            "POST",
            "/metrics",
            405,
            "method_not_allowed",
        ),
        (
            gateway.metrics,
            "DELETE",
            "/healthz",
            405,
            "method_not_allowed",
        ),
        (gateway.metrics, "PUT", "/readyz", 405, "method_not_allowed"),
        (gateway.metrics, "GET", "/", 404, "not_found"),
        (gateway.metrics, "POST", "/admin/reload", 404, "not_found"),
        (
            gateway.metrics,
            "POST",
            "/v1/channels/quiz/events",
            404,
            "not_found",
        ),
        (
            gateway.admin,
            "GET",
            "/admin/reload",
            405,
            "method_not_allowed",
        ),
        (gateway.admin, "GET", "/metrics", 404, "not_found"),
        (gateway.producers, "GET", "/metrics", 404, "not_found"),
        (gateway.producers, "POST", "/admin/reload", 404, "not_found"),
    ] {
        let answer = send(address, method, path, &[], b"");
        check_problem(&answer, status, code);
        assert_eq!(
            !answer.header("allow").is_empty(),
            status == 405,
            "{method} {path}: {answer:?}"
        );
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(
            send(gateway.metrics, "HEAD", path, &[], b"").status,
            200,
            "HEAD {path}"
        );
    }
}
