use std::time::Duration;

use super::table::{Size, table};
use super::*;

fn channel(name: &str, queued: u64, accepted: u64, error: Option<&str>) -> Channel {
    let error = error.map(|message| {
        serde_json::json!({"code": "ThrottlingException", "status": 429, "message": message, "at_ms": 1})
    });
    serde_json::from_value(serde_json::json!({
        "channel": name,
        "arn": format!("arn:aws:ivs:us-west-2:000000000000:channel/{name}"),
        "state": "live",
        "queued": queued,
        "bytes": queued * 100,
        "eta_ms": queued * 20,
        "tokens": {"available": 3, "limit": 5},
        "limits": {"channel_tps": 5, "account_tps": 155, "payload_max_bytes": 1024, "ttl_ms": 10000},
        "last_error": error,
        "totals": {"accepted": accepted, "delivered": accepted, "merged": 0, "expired": 0,
            "cancelled": 0, "evicted": 0, "dead_lettered": {}},
    }))
    .expect("a channel")
}

fn names(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn the_deepest_queue_comes_first_and_every_line_fits() {
    let mut looks = Looks::default();
    let long = "a-channel-with-a-name-that-is-longer-than-any-column-has-room-for";
    let error = "a message that\nis long, has a line break, and does not fit a narrow terminal";
    looks.take(vec![
        channel("b", 0, 0, None),
        channel("a", 0, 0, None),
        channel(long, 7, 0, Some(error)),
        channel("deep", 400, 0, Some("short")),
    ]);
    for columns in [72, 80, 100, 200] {
        let text = looks.show(Size {
            columns,
            lines: 100,
        });
        assert_eq!(text.lines().count(), 6, "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
        let names = names(&text);
        assert_eq!(
            [names[0], names[1], names[3], names[4]],
            ["CHANNEL", "deep", "a", "b"]
        );
        assert!(
            names[2].ends_with("room-for"),
            "the end of a name is kept: {text}"
        );
        assert_eq!(
            text.contains("ThrottlingException: short"),
            columns == 200,
            "{text}"
        );
    }
}

#[test]
fn what_does_not_fit_the_screen_is_counted() {
    let channels: Vec<Channel> = (0..50)
        .map(|n| channel(&format!("c{n}"), n, 0, None))
        .collect();
    let text = table(
        &channels,
        &HashMap::new(),
        Size {
            columns: 80,
            lines: 10,
        },
    );
    assert_eq!(text.lines().count(), 10, "{text}");
    assert!(
        text.ends_with("50 channels, 42 not shown, 1225 events queued\n"),
        "{text}"
    );
}

#[test]
fn rates_are_of_the_time_between_two_looks() {
    let before = [channel("a", 0, 100, None), channel("b", 0, 100, None)];
    let now = [
        channel("a", 0, 150, None),
        channel("b", 0, 10, None),
        channel("new", 0, 5, None),
    ];
    let rates = rates(&before, &now, Duration::from_millis(500));
    // One whose totals fell was started anew, and a new one has no rate yet.
    assert_eq!(rates.len(), 1);
    let found = rates[&now[0].arn];
    assert!((found.accepted - 100.0).abs() < 1e-9 && (found.delivered - 100.0).abs() < 1e-9);
    let text = table(
        &now,
        &rates,
        Size {
            columns: 80,
            lines: 24,
        },
    );
    let figures: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(figures[1][2..4], ["100", "100"], "{text}");
    assert_eq!(figures[2][2..4], ["-", "-"], "{text}");
}
