//! Merging: into the key's last queued item, under every condition of the surface.

use super::*;

fn votes(data: &str) -> Event {
    event(data).key("votes").merge(Merge::Sum)
}

#[test]
fn every_kind_merges_into_one_item() {
    for (merge, first, second, result) in [
        (Merge::Replace, r#"{"a":1}"#, "2", "[2]"),
        (Merge::Sum, "1", "2", "[3]"),
        (
            Merge::Sum,
            r#"{"a":0.1}"#,
            r#"{"a":0.2,"b":1}"#,
            r#"[{"a":0.3,"b":1}]"#,
        ),
        (Merge::Max, "7", "5.5", "[7]"),
        (Merge::Min, "7", "5.5", "[5.5]"),
        (
            Merge::Patch,
            r#"{"a":1}"#,
            r#"{"a":null,"b":{"c":1}}"#,
            r#"[{"a":null,"b":{"c":1}}]"#,
        ),
    ] {
        let name = format!("{merge:?} {first} {second}");
        let of = |data| event(data).key("k").merge(merge);
        let queue = check(
            &name,
            vec![
                Put(of(first).waiter(1)),
                Put(of(second).waiter(2)),
                Holds(1, result.len() - 2 + 1),
                Ends(vec![(1, End::Merged)]),
                Take(result),
                Settle(Outcome::Delivered),
                Ends(vec![(2, End::Delivered)]),
            ],
        );
        assert_eq!(
            (queue.ledger().accepted, queue.ledger().merged),
            (2, 1),
            "{name}"
        );
    }
}

#[test]
fn what_differs_is_queued_on_its_own() {
    for (name, second, text) in [
        ("another key", votes("2").key("other"), "[1,2]"),
        ("another merge", votes("2").merge(Merge::Max), "[1,2]"),
        ("another type", votes("2").kind("t"), "[1,2]"),
        ("a lower priority", votes("2").low(), "[1,2]"),
        (
            "a higher priority still does not overtake its key",
            votes("2").high(),
            "[1,2]",
        ),
        ("no merge", event("2").key("votes"), "[1,2]"),
        (
            "an object meets a number",
            votes(r#"{"a":2}"#),
            r#"[1,{"a":2}]"#,
        ),
        ("a future `at`", votes("2").at(1500), "[1]"),
    ] {
        check(name, vec![Put(votes("1")), Put(second), Take(text)]);
    }
}

#[test]
fn only_into_the_last_item_of_the_key() {
    check(
        "the last does not merge",
        vec![
            Put(votes("1")),
            Put(event("9").key("votes")),
            Put(votes("2")),
            Put(votes("3")),
            Take("[1,9,5]"),
        ],
    );
}

#[test]
fn not_into_a_payload() {
    check(
        "in flight",
        vec![
            Put(votes("1")),
            Take("[1]"),
            Put(votes("2")),
            Put(votes("3")),
            Settle(Outcome::Failed),
            Put(votes("4")),
            Take("[1]"),
            Settle(Outcome::Delivered),
            Take("[9]"),
        ],
    );
}

#[test]
fn only_while_it_fits() {
    let long = |name: &str| format!(r#"{{"{name}":1}}"#);
    let (first, second) = (long(&"a".repeat(20)), long(&"b".repeat(20)));
    let sum = |data: &str| event(data).key("k").merge(Merge::Sum);
    let queue = check_with(
        "payloads of 40 bytes",
        array(),
        40,
        vec![
            Put(sum(&first)),
            Put(sum(&second)),
            Put(sum(&second)),
            Take(r#"[{"aaaaaaaaaaaaaaaaaaaa":1}]"#),
            Settle(Outcome::Delivered),
            Take(r#"[{"bbbbbbbbbbbbbbbbbbbb":2}]"#),
        ],
    );
    assert_eq!(queue.ledger().merged, 1);
}

#[test]
fn keeps_the_place_of_the_first_and_the_id_of_the_latest() {
    check(
        "place",
        vec![
            Put(votes("1")),
            Put(event("7")),
            Now(1100),
            Put(votes("2")),
            Wants(Some((1000, 1000, false))),
            Take("[3,7]"),
        ],
    );
    check(
        "id",
        vec![
            Put(votes("1").id("a")),
            Put(votes("2").id("b")),
            Cancel("a", Cancelled::Gone),
            Duplicate(votes("2").id("a")),
            Duplicate(votes("2").id("b")),
            Cancel("b", Cancelled::Done),
            Nothing,
        ],
    );
    check(
        "the latest has none",
        vec![
            Put(votes("1").id("a")),
            Put(votes("2")),
            Cancel("a", Cancelled::Gone),
            Take("[3]"),
        ],
    );
    let policy = ChannelPolicy {
        fields: crate::envelope::EnvelopeFields {
            id: true,
            ..Default::default()
        },
        ..ChannelPolicy::default()
    };
    check_with(
        "the id in the payload",
        policy,
        1024,
        vec![
            Put(votes("1").id("a")),
            Put(votes("2").id("b")),
            Take(r#"{"v":1,"n":100,"e":[{"d":3,"k":"votes","i":"b","m":"sum"}]}"#),
        ],
    );
}

#[test]
fn expires_with_the_latest() {
    check(
        "later",
        vec![
            Put(votes("1").ttl(500)),
            Now(1400),
            Put(votes("2").ttl(500).waiter(2)),
            Now(1899),
            Ends(vec![]),
            Now(1900),
            Ends(vec![(2, End::Expired)]),
            Nothing,
        ],
    );
    check(
        "sooner",
        vec![
            Put(votes("1").ttl(5000)),
            Put(votes("2").ttl(100).waiter(2)),
            Timer(Some(1050)),
            Now(1100),
            Ends(vec![(2, End::Expired)]),
        ],
    );
}

#[test]
fn merging_and_at() {
    check(
        "into a scheduled item: leaves at its moment",
        vec![
            Put(votes("1").at(3000)),
            Put(votes("2")),
            Holds(1, 6),
            Nothing,
            Now(3000),
            Take("[3]"),
        ],
    );
    check(
        "an earlier `at` is covered by the later place",
        vec![
            Put(votes("1").at(3000)),
            Put(votes("2").at(2000)),
            Now(3000),
            Take("[3]"),
        ],
    );
    check(
        "a later `at` must not leave early",
        vec![
            Put(votes("1").at(2000)),
            Put(votes("2").at(3000)),
            Holds(2, 12),
            Now(2000),
            Take("[1]"),
            Settle(Outcome::Delivered),
            Now(3000),
            Take("[2]"),
        ],
    );
    check(
        "one that expires before the item's moment does not take it along",
        vec![
            Put(votes("1").at(9000).waiter(1)),
            Put(votes("2").ttl(500).waiter(2)),
            Now(1500),
            Ends(vec![(2, End::Expired)]),
            Now(9000),
            Take("[1]"),
        ],
    );
}

#[test]
fn bytes_grow_by_merging_only_within_the_bound() {
    let policy = ChannelPolicy {
        queue_max_bytes: 20,
        ..array()
    };
    let full = Refusal::QueueFull {
        retry_after: Span::from_millis(200),
    };
    check_with(
        "20 bytes",
        policy,
        1024,
        vec![
            Put(votes("9")),
            Put(event(r#""0123456789""#)),
            Holds(2, 18),
            // 10 is a byte more: 19. 999999 more would be 23.
            Put(votes("1")),
            Refuse(votes("999999"), full),
            Put(votes("1")),
            Take(r#"[11,"0123456789"]"#),
        ],
    );
}

#[test]
fn what_the_merge_cannot_work_on_is_refused() {
    let refused = |data: &str, why| Refuse(votes(data), Refusal::InvalidData(why));
    check(
        "sum of strings",
        vec![
            refused(
                r#""a""#,
                "this merge takes a number or an object of numbers",
            ),
            refused(
                "1e31",
                "a number to merge has an exponent within -30 and 30",
            ),
            refused(&"1".repeat(31), "a number to merge has at most 30 digits"),
        ],
    );
}
