//! What a scrape looks like.

mod exposition;

use std::collections::BTreeSet;

use engine::{Ledger, Outcome, Rejection, Span, ThrottleScope};

use super::labels::OTHER_CHANNELS;
use crate::refusal::Code;

use super::names::{ALL, Kind, Metric};
use super::*;
use exposition::{Exposition, same};

fn channel(label: &str, ledger: Ledger, queue_events: u64) -> ChannelSnapshot {
    ChannelSnapshot {
        ledger,
        queue_events,
        ..ChannelSnapshot::new(label.into())
    }
}

fn books() -> Ledger {
    Ledger {
        accepted: 104,
        recovered: 5,
        released: 4,
        duplicates: 7,
        delivered: 60,
        merged: 20,
        expired: 4,
        cancelled: 3,
        evicted: 2,
        dead_lettered: [1, 0, 0, 2, 0, 0, 3],
        plain_bytes: 4321,
        state_payloads: 8,
        state_entries: 9,
        state_evicted: 10,
    }
}

/// The families of the surface that the program can know, and the labels of each.
const SURFACE: &[(&str, &str, &str)] = &[
    ("cuegate_events_received_total", "counter", "transport"),
    ("cuegate_events_accepted_total", "counter", "channel"),
    ("cuegate_events_recovered_total", "counter", "channel"),
    ("cuegate_events_released_total", "counter", "channel"),
    ("cuegate_events_rejected_total", "counter", "code"),
    ("cuegate_events_duplicates_total", "counter", "channel"),
    ("cuegate_events_delivered_total", "counter", "channel"),
    ("cuegate_events_merged_total", "counter", "channel"),
    ("cuegate_events_expired_total", "counter", "channel"),
    ("cuegate_events_cancelled_total", "counter", "channel"),
    ("cuegate_events_evicted_total", "counter", "channel"),
    ("cuegate_payload_plain_bytes_total", "counter", "channel"),
    ("cuegate_state_keys", "gauge", "channel"),
    ("cuegate_state_payloads_total", "counter", "channel"),
    ("cuegate_state_entries_total", "counter", "channel"),
    ("cuegate_state_evicted_total", "counter", "channel"),
    ("cuegate_events_dead_lettered_total", "counter", "reason"),
    ("cuegate_events_unaccounted", "gauge", ""),
    ("cuegate_queue_events", "gauge", "channel"),
    ("cuegate_queue_bytes", "gauge", ""),
    ("cuegate_journal_bytes", "gauge", ""),
    ("cuegate_journal_errors_total", "counter", ""),
    ("cuegate_journal_lost_blocks_total", "counter", ""),
    (
        "cuegate_tls_certificate_expiry_timestamp_seconds",
        "gauge",
        "",
    ),
    ("cuegate_dead_letters", "gauge", ""),
    ("cuegate_oldest_event_age_seconds", "gauge", "channel"),
    ("cuegate_queue_eta_seconds", "gauge", "channel"),
    (
        "cuegate_put_metadata_calls_total",
        "counter",
        "account,region,outcome",
    ),
    ("cuegate_put_metadata_duration_seconds", "histogram", ""),
    ("cuegate_payload_size_bytes", "histogram", ""),
    ("cuegate_payload_events", "histogram", ""),
    ("cuegate_delivery_latency_seconds", "histogram", ""),
    (
        "cuegate_account_tokens_available",
        "gauge",
        "account,region",
    ),
    ("cuegate_account_tokens_limit", "gauge", "account,region"),
    ("cuegate_account_up", "gauge", "account,region"),
    ("cuegate_cluster_owner", "gauge", "account,region"),
    ("cuegate_cluster_nodes", "gauge", ""),
    ("cuegate_cluster_forwarded_events_total", "counter", ""),
    ("cuegate_cluster_forward_duration_seconds", "histogram", ""),
    ("cuegate_cluster_takes_total", "counter", "reason"),
    ("cuegate_cluster_fenced_commits_total", "counter", ""),
    ("cuegate_cluster_doubtful_commits_total", "counter", ""),
    (
        "cuegate_cluster_log_commit_duration_seconds",
        "histogram",
        "",
    ),
    ("cuegate_webhook_ends_delivered_total", "counter", "webhook"),
    ("cuegate_webhook_ends_dropped_total", "counter", "webhook"),
    (
        "cuegate_webhook_requests_failed_total",
        "counter",
        "webhook",
    ),
    ("cuegate_webhook_duration_seconds", "histogram", ""),
    ("cuegate_channel_tokens_available", "gauge", "channel"),
    ("cuegate_channel_state", "gauge", "channel,state"),
    ("cuegate_connections", "gauge", "transport"),
    (
        "cuegate_http_request_duration_seconds",
        "histogram",
        "route,status",
    ),
    ("cuegate_config_last_reload_successful", "gauge", ""),
    ("cuegate_upstream_info", "gauge", "mode"),
    ("cuegate_build_info", "gauge", "version"),
    ("process_cpu_seconds_total", "counter", ""),
    ("process_resident_memory_bytes", "gauge", ""),
    ("process_open_fds", "gauge", ""),
    ("process_start_time_seconds", "gauge", ""),
];

#[test]
fn everything_is_there_from_the_start() {
    let telemetry = Telemetry::new("local");
    telemetry.meters().list_account("123456789012", "us-west-2");
    let _ = telemetry.meters().webhook("crm");
    let text = telemetry.scrape(|| Snapshot {
        channels: vec![ChannelSnapshot::new("quiz".into())],
        ..Snapshot::default()
    });
    let got = Exposition::parse(&text);
    for (name, kind, labels) in SURFACE {
        assert_eq!(
            got.kinds.get(*name).map(String::as_str),
            Some(*kind),
            "{name}"
        );
        let metric = ALL
            .iter()
            .find(|metric| metric.name == *name)
            .expect("a listed name");
        assert_eq!(metric.labels.join(","), *labels, "{name}");
    }
    for name in got.kinds.keys() {
        assert!(
            ALL.iter().any(|metric| metric.name == name),
            "{name} is not in names.rs"
        );
    }
    // At 0, all but what is 1 by its nature.
    let lively = [
        "cuegate_account_up",
        "cuegate_cluster_owner",
        "cuegate_config_last",
        "cuegate_upstream",
        "cuegate_build",
    ];
    let gateway = |series: &str| series.starts_with("cuegate_");
    for (series, value) in got.series.iter().filter(|(series, _)| gateway(series)) {
        let lively = lively.iter().any(|prefix| series.starts_with(prefix));
        assert!(lively != same(*value, 0.0), "{series} {value}");
    }
    for series in [
        r#"cuegate_events_accepted_total{channel="quiz"}"#,
        r#"cuegate_events_accepted_total{channel="_other"}"#,
        r#"cuegate_put_metadata_calls_total{account="123456789012",region="us-west-2",outcome="unknown"}"#,
        r#"cuegate_put_metadata_calls_total{account="other",region="other",outcome="rejected"}"#,
        r#"cuegate_channel_state{channel="quiz",state="paused"}"#,
        r#"cuegate_events_dead_lettered_total{reason="offline"}"#,
        r#"cuegate_connections{transport="websocket"}"#,
    ] {
        assert!(got.series.contains_key(series), "{series}");
    }
    for code in Code::OF_EVENTS.map(Code::name) {
        assert!(got.series.contains_key(&format!(
            r#"cuegate_events_rejected_total{{code="{code}"}}"#
        )));
    }
    assert!(same(
        got.value(r#"cuegate_upstream_info{mode="local"}"#),
        1.0
    ));
    assert!(same(
        got.value("cuegate_config_last_reload_successful"),
        1.0
    ));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn a_scrape_is_its_snapshot() {
    let telemetry = Telemetry::new("aws");
    let mut quiz = channel("quiz", books(), 9);
    quiz.eta_seconds = 1.5;
    quiz.oldest_event_age_seconds = 0.25;
    quiz.tokens_available = 4;
    quiz.count(ChannelState::Failing);
    let lost = channel(
        OTHER_CHANNELS,
        Ledger {
            accepted: 3,
            ..Ledger::default()
        },
        1,
    );
    let account = AccountSnapshot {
        account: "1".to_owned(),
        region: "r".to_owned(),
        tokens_available: 150,
        tokens_limit: 155,
        up: false,
        is_here: true,
    };
    let snapshot = Snapshot {
        channels: vec![quiz, lost],
        accounts: vec![account],
        queue_bytes: 1234,
        journal_bytes: 5678,
        journal_errors: 3,
        journal_lost_blocks: 4,
        dead_letters: 9,
    };
    // Twice the same snapshot is twice the same scrape.
    let _ = telemetry.scrape(|| snapshot.clone());
    let got = Exposition::parse(&telemetry.scrape(|| snapshot.clone()));
    for (series, expected) in [
        (r#"cuegate_events_accepted_total{channel="quiz"}"#, 104.0),
        (r#"cuegate_events_recovered_total{channel="quiz"}"#, 5.0),
        (r#"cuegate_events_released_total{channel="quiz"}"#, 4.0),
        (r#"cuegate_events_duplicates_total{channel="quiz"}"#, 7.0),
        (r#"cuegate_events_delivered_total{channel="quiz"}"#, 60.0),
        (r#"cuegate_events_merged_total{channel="quiz"}"#, 20.0),
        (r#"cuegate_events_expired_total{channel="quiz"}"#, 4.0),
        (r#"cuegate_events_cancelled_total{channel="quiz"}"#, 3.0),
        (r#"cuegate_events_evicted_total{channel="quiz"}"#, 2.0),
        (
            r#"cuegate_payload_plain_bytes_total{channel="quiz"}"#,
            4321.0,
        ),
        (r#"cuegate_state_payloads_total{channel="quiz"}"#, 8.0),
        (r#"cuegate_state_entries_total{channel="quiz"}"#, 9.0),
        (r#"cuegate_state_evicted_total{channel="quiz"}"#, 10.0),
        (
            r#"cuegate_events_dead_lettered_total{reason="offline"}"#,
            1.0,
        ),
        (
            r#"cuegate_events_dead_lettered_total{reason="validation"}"#,
            2.0,
        ),
        (
            r#"cuegate_events_dead_lettered_total{reason="unknown"}"#,
            3.0,
        ),
        (r#"cuegate_queue_events{channel="quiz"}"#, 9.0),
        (r#"cuegate_queue_eta_seconds{channel="quiz"}"#, 1.5),
        (r#"cuegate_oldest_event_age_seconds{channel="quiz"}"#, 0.25),
        (r#"cuegate_channel_tokens_available{channel="quiz"}"#, 4.0),
        (
            r#"cuegate_channel_state{channel="quiz",state="failing"}"#,
            1.0,
        ),
        (r#"cuegate_channel_state{channel="quiz",state="live"}"#, 0.0),
        ("cuegate_queue_bytes", 1234.0),
        ("cuegate_journal_bytes", 5678.0),
        ("cuegate_journal_errors_total", 3.0),
        ("cuegate_journal_lost_blocks_total", 4.0),
        ("cuegate_dead_letters", 9.0),
        (
            r#"cuegate_account_tokens_available{account="1",region="r"}"#,
            150.0,
        ),
        (
            r#"cuegate_account_tokens_limit{account="1",region="r"}"#,
            155.0,
        ),
        (r#"cuegate_account_up{account="1",region="r"}"#, 0.0),
        (r#"cuegate_cluster_owner{account="1",region="r"}"#, 1.0),
        (r#"cuegate_account_up{account="other",region="other"}"#, 1.0),
        // 105 = 60 + 20 + 4 + 3 + 2 + 6 + 9 + 1 and 3 = 1 + 2.
        ("cuegate_events_unaccounted", 3.0),
    ] {
        assert!(
            same(got.value(series), expected),
            "{series}: {}",
            got.value(series)
        );
    }
    // The same balance, summed from the text as a dashboard would.
    let ends = [
        "delivered",
        "merged",
        "expired",
        "cancelled",
        "evicted",
        "dead_lettered",
    ];
    let sum = |what: &str| got.sum(&format!("cuegate_events_{what}_total"));
    let ended: f64 = ends.iter().map(|end| sum(end)).sum();
    let entered = sum("accepted") + sum("recovered") - sum("released");
    let balance = entered - ended - got.sum("cuegate_queue_events");
    assert!(
        same(balance, got.value("cuegate_events_unaccounted")),
        "{balance}"
    );
}

#[test]
fn counts_what_happens() {
    let telemetry = Telemetry::new("local");
    let meters = telemetry.meters();
    meters.list_account("1", "r");
    meters.received(Transport::WebSocket, 3);
    meters.rejected("queue_full", 2);
    meters.rejected("a_later_code", 1);
    meters.connections(Transport::PutMetadata).increment(2.0);
    meters.connections(Transport::Http).decrement(1.0);
    meters.list_routes(vec![(
        "/v1/channels/{channel}/events".to_owned(),
        vec![202],
    )]);
    meters.http_request(
        "/v1/channels/{channel}/events",
        202,
        Duration::from_micros(700),
    );
    meters.http_request(
        "/v1/channels/{channel}/events",
        418,
        Duration::from_micros(700),
    );
    meters.http_request("/wp-admin/setup.php", 404, Duration::from_secs(2));
    let ms = Duration::from_millis;
    meters.call("1", "r", Outcome::Throttled(ThrottleScope::Account), ms(20));
    meters.call("1", "r", Outcome::Rejected(Rejection::Validation), ms(20));
    meters.call("1", "r", Outcome::Refused, ms(20));
    meters.call("1", "elsewhere", Outcome::Delivered, ms(3000));
    meters.payload(
        1024,
        &[Span::from_millis(40), Span::from_millis(400), Span::ZERO],
    );
    meters.reloaded(false);

    let got = Exposition::parse(&telemetry.scrape(Snapshot::default));
    for (series, expected) in [
        (
            r#"cuegate_events_received_total{transport="websocket"}"#,
            3.0,
        ),
        (r#"cuegate_events_rejected_total{code="queue_full"}"#, 2.0),
        (r#"cuegate_events_rejected_total{code="a_later_code"}"#, 1.0),
        (r#"cuegate_connections{transport="http"}"#, 1.0),
        (
            r#"cuegate_http_request_duration_seconds_bucket{route="/v1/channels/{channel}/events",status="202",le="0.0005"}"#,
            0.0,
        ),
        (
            r#"cuegate_http_request_duration_seconds_bucket{route="/v1/channels/{channel}/events",status="202",le="0.001"}"#,
            1.0,
        ),
        (
            r#"cuegate_http_request_duration_seconds_count{route="/v1/channels/{channel}/events",status="418"}"#,
            1.0,
        ),
        (
            r#"cuegate_http_request_duration_seconds_sum{route="other",status="404"}"#,
            2.0,
        ),
        (
            r#"cuegate_put_metadata_calls_total{account="1",region="r",outcome="throttled"}"#,
            1.0,
        ),
        (
            r#"cuegate_put_metadata_calls_total{account="1",region="r",outcome="rejected"}"#,
            1.0,
        ),
        (
            r#"cuegate_put_metadata_calls_total{account="1",region="r",outcome="failed"}"#,
            1.0,
        ),
        (
            r#"cuegate_put_metadata_calls_total{account="other",region="other",outcome="delivered"}"#,
            1.0,
        ),
        (
            r#"cuegate_put_metadata_duration_seconds_bucket{le="0.025"}"#,
            3.0,
        ),
        ("cuegate_put_metadata_duration_seconds_count", 4.0),
        (r#"cuegate_payload_size_bytes_bucket{le="1000"}"#, 0.0),
        (r#"cuegate_payload_size_bytes_bucket{le="1024"}"#, 1.0),
        (r#"cuegate_payload_events_bucket{le="3"}"#, 1.0),
        (r#"cuegate_delivery_latency_seconds_bucket{le="0.05"}"#, 2.0),
        ("cuegate_delivery_latency_seconds_count", 3.0),
        ("cuegate_config_last_reload_successful", 0.0),
    ] {
        assert!(
            same(got.value(series), expected),
            "{series}: {}",
            got.value(series)
        );
    }
    assert_eq!(
        got.series
            .keys()
            .filter(|series| series.contains("wp-admin"))
            .count(),
        0
    );
}

#[test]
fn odd_labels_are_escaped() {
    let telemetry = Telemetry::new("local");
    let odd = ChannelSnapshot::new("a\"b\\c\nd".into());
    let text = telemetry.scrape(|| Snapshot {
        channels: vec![odd],
        ..Snapshot::default()
    });
    let got = Exposition::parse(&text);
    assert!(same(
        got.value(r#"cuegate_queue_events{channel="a\"b\\c\nd"}"#),
        0.0
    ));
}

#[test]
fn names_follow_the_rules() {
    let mut seen = BTreeSet::new();
    for metric in ALL {
        let Metric { name, help, .. } = metric;
        assert!(seen.insert(name), "{name} twice");
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{name}"
        );
        assert!(help.ends_with('.') && !help.contains('\n'), "{name}");
        if let Kind::Histogram(buckets) = metric.kind {
            assert!(buckets.is_sorted_by(|a, b| a < b), "{name}");
        }
    }
}
