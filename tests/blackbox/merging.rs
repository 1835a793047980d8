//! The rules of merging as players see them: a channel is paused, events are posted, and what
//! leaves is read.

use crate::support::payloads::all_items;
use crate::support::process::{Gateway, local};

/// Events posted one by one while the channel is paused; how many of them merged; the items
/// that leave.
struct Case {
    events: &'static [&'static str],
    merged: u64,
    items: &'static str,
}

const CASES: &[Case] = &[
    Case {
        events: &[
            r#"{"data":{"s":1,"u":1},"key":"k","merge":"replace"}"#,
            r#"{"data":{"s":2},"key":"k","merge":"replace"}"#,
        ],
        merged: 1,
        items: r#"{"d":{"s":2},"k":"k"}"#,
    },
    // The merged item keeps the place of the first and the id of the latest.
    Case {
        events: &[
            r#"{"data":1,"key":"k","merge":"sum","id":"first"}"#,
            r#"{"data":"between"}"#,
            r#"{"data":2,"key":"k","merge":"sum","id":"latest"}"#,
        ],
        merged: 1,
        items: r#"{"d":3,"k":"k","i":"latest","m":"sum"},{"d":"between"}"#,
    },
    // Exact in decimal, where floats are not.
    Case {
        events: &[
            r#"{"data":0.1,"key":"k","merge":"sum"}"#,
            r#"{"data":0.2,"key":"k","merge":"sum"}"#,
            r#"{"data":9007199254740993,"key":"k","merge":"sum"}"#,
        ],
        merged: 2,
        items: r#"{"d":9007199254740993.3,"k":"k","m":"sum"}"#,
    },
    // What comes to zero is a number too, whatever its exponents were.
    Case {
        events: &[
            r#"{"data":1e5,"key":"k","merge":"sum"}"#,
            r#"{"data":-1e5,"key":"k","merge":"sum"}"#,
            r#"{"data":"beside"}"#,
        ],
        merged: 1,
        items: r#"{"d":0,"k":"k","m":"sum"},{"d":"beside"}"#,
    },
    Case {
        events: &[
            r#"{"data":{"a":20e1,"b":1.5e3},"key":"k","merge":"sum"}"#,
            r#"{"data":{"a":-2e2,"b":-1.5e3},"key":"k","merge":"sum"}"#,
        ],
        merged: 1,
        items: r#"{"d":{"a":0,"b":0},"k":"k","m":"sum"}"#,
    },
    Case {
        events: &[
            r#"{"data":{"a":1,"b":2},"key":"k","merge":"sum"}"#,
            r#"{"data":{"b":3,"c":4},"key":"k","merge":"sum"}"#,
        ],
        merged: 1,
        items: r#"{"d":{"a":1,"b":5,"c":4},"k":"k","m":"sum"}"#,
    },
    Case {
        events: &[
            r#"{"data":{"a":1,"b":-2},"key":"k","merge":"max"}"#,
            r#"{"data":{"a":0.5,"b":-1},"key":"k","merge":"max"}"#,
        ],
        merged: 1,
        items: r#"{"d":{"a":1,"b":-1},"k":"k","m":"max"}"#,
    },
    Case {
        events: &[
            r#"{"data":3,"key":"k","merge":"min"}"#,
            r#"{"data":-3,"key":"k","merge":"min"}"#,
        ],
        merged: 1,
        items: r#"{"d":-3,"k":"k","m":"min"}"#,
    },
    // A number meeting an object starts a new item.
    Case {
        events: &[
            r#"{"data":1,"key":"k","merge":"sum"}"#,
            r#"{"data":{"a":1},"key":"k","merge":"sum"}"#,
        ],
        merged: 0,
        items: r#"{"d":1,"k":"k","m":"sum"},{"d":{"a":1},"k":"k","m":"sum"}"#,
    },
    // Composing merge patches keeps nulls: they delete on the player's side.
    Case {
        events: &[
            r#"{"data":{"a":1,"b":{"c":1}},"key":"k","merge":"patch"}"#,
            r#"{"data":{"a":null,"b":{"d":2}},"key":"k","merge":"patch"}"#,
        ],
        merged: 1,
        items: r#"{"d":{"a":null,"b":{"c":1,"d":2}},"k":"k","m":"patch"}"#,
    },
    // An earlier member that is no object meets an object: composing would lose that.
    Case {
        events: &[
            r#"{"data":{"a":1},"key":"k","merge":"patch"}"#,
            r#"{"data":{"a":{"b":2}},"key":"k","merge":"patch"}"#,
        ],
        merged: 0,
        items: r#"{"d":{"a":1},"k":"k","m":"patch"},{"d":{"a":{"b":2}},"k":"k","m":"patch"}"#,
    },
    // Only the same merge, type and priority; only the last item of the key.
    Case {
        events: &[
            r#"{"data":1,"key":"k","merge":"sum"}"#,
            r#"{"data":2,"key":"k","merge":"max"}"#,
            r#"{"data":3,"key":"k","merge":"sum"}"#,
            r#"{"data":4,"key":"k","merge":"sum"}"#,
        ],
        merged: 1,
        items: r#"{"d":1,"k":"k","m":"sum"},{"d":2,"k":"k","m":"max"},{"d":7,"k":"k","m":"sum"}"#,
    },
    Case {
        events: &[
            r#"{"data":1,"key":"k","merge":"sum","type":"a"}"#,
            r#"{"data":2,"key":"k","merge":"sum","type":"b"}"#,
        ],
        merged: 0,
        items: r#"{"d":1,"t":"a","k":"k","m":"sum"},{"d":2,"t":"b","k":"k","m":"sum"}"#,
    },
    Case {
        events: &[
            r#"{"data":1,"key":"k","merge":"sum"}"#,
            r#"{"data":2,"key":"k"}"#,
            r#"{"data":3,"key":"k","merge":"sum"}"#,
        ],
        merged: 0,
        items: r#"{"d":1,"k":"k","m":"sum"},{"d":2},{"d":3,"k":"k","m":"sum"}"#,
    },
    // Other keys are other things.
    Case {
        events: &[
            r#"{"data":1,"key":"home","merge":"sum"}"#,
            r#"{"data":1,"key":"away","merge":"sum"}"#,
            r#"{"data":1,"key":"home","merge":"sum"}"#,
        ],
        merged: 1,
        items: r#"{"d":2,"k":"home","m":"sum"},{"d":1,"k":"away","m":"sum"}"#,
    },
    // An event of another priority does not merge, and does not overtake its own key either.
    Case {
        events: &[
            r#"{"data":1,"key":"k","merge":"sum"}"#,
            r#"{"data":2,"key":"k","merge":"sum","priority":"high"}"#,
        ],
        merged: 0,
        items: r#"{"d":1,"k":"k","m":"sum"},{"d":2,"k":"k","m":"sum"}"#,
    },
];

fn check(gateway: &Gateway, channel: &str, case: &Case) {
    gateway.pause(channel);
    for event in case.events {
        gateway.publish(channel, event);
    }
    let totals = &gateway.status(channel)["totals"];
    assert_eq!(totals["merged"], case.merged, "{:?}", case.events);
    gateway.resume(channel);
    gateway.drained(channel);
    assert_eq!(
        all_items(&gateway.taken(channel)),
        case.items,
        "{:?}",
        case.events
    );
}

#[test]
fn what_merges_and_what_does_not() {
    let names: Vec<String> = (0..CASES.len()).map(|nth| format!("case-{nth}")).collect();
    let channels: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let fields = "[channel_defaults]\nenvelope_fields = [\"type\", \"id\"]";
    let gateway = Gateway::start(&local(fields, &channels));
    for (name, case) in names.iter().zip(CASES) {
        check(&gateway, name, case);
    }
    gateway.scrape().check_books(true);
}

#[test]
fn a_hundred_thousand_votes_leave_as_one_line() {
    let gateway = Gateway::start(&local("", &[("votes", "")]));
    gateway.pause("votes");
    let batch = format!(
        "[{}]",
        vec![r#"{"data":{"B":1},"key":"q1","merge":"sum"}"#; 10_000].join(",")
    );
    for _ in 0..10 {
        gateway.publish("votes", &batch);
    }
    gateway.resume("votes");
    gateway.drained("votes");
    assert_eq!(
        all_items(&gateway.taken("votes")),
        r#"{"d":{"B":100000},"k":"q1","m":"sum"}"#
    );
    let metrics = gateway.scrape();
    metrics.check_books(true);
    assert!(
        (metrics.get(r#"cuegate_events_merged_total{channel="votes"}"#) - 99_999.0).abs() < 0.5
    );
}

#[test]
fn nothing_merges_beyond_what_fits_a_payload() {
    let gateway = Gateway::start(&local("", &[("board", "")]));
    gateway.pause("board");
    for field in ["a", "b"] {
        let body = format!(
            r#"{{"data":{{"{field}":"{}"}},"key":"k","merge":"patch"}}"#,
            "x".repeat(600)
        );
        gateway.publish("board", &body);
    }
    let status = gateway.status("board");
    assert_eq!(
        (&status["queued"], &status["totals"]["merged"]),
        (&2.into(), &0.into()),
        "{status}"
    );
    gateway.resume("board");
    gateway.drained("board");
    let payloads = gateway.taken("board");
    assert_eq!(payloads.len(), 2, "{payloads:?}");
    assert!(payloads.iter().all(|payload| payload.len() <= 1024));
}
