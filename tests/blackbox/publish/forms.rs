//! Every form a body of events can have, and what leaves of it.

pub const JSON: (&str, &str) = ("content-type", "application/json");
pub const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
pub const CE: (&str, &str) = ("content-type", "application/cloudevents+json");
pub const CE_BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

/// A body, how many of its events are accepted, and what leaves as items of payloads.
pub struct Form {
    pub name: &'static str,
    pub headers: &'static [(&'static str, &'static str)],
    pub body: &'static str,
    pub accepted: u64,
    pub items: &'static str,
}

pub const FORMS: &[Form] = &[
    Form {
        name: "one",
        headers: &[JSON],
        body: r#"{"data":{"a":1}}"#,
        accepted: 1,
        items: r#"{"d":{"a":1}}"#,
    },
    Form {
        name: "fields",
        headers: &[("content-type", "Application/JSON; charset=\"UTF-8\"")],
        body: r#"{"type":"t","id":"i","key":"k","priority":"high","ttl_ms":60000,"data":1}"#,
        accepted: 1,
        items: r#"{"d":1,"t":"t","k":"k","i":"i"}"#,
    },
    Form {
        name: "charset",
        headers: &[("content-type", "application/json; charset=us-ascii")],
        body: r#"{"data":"\u00e9é"}"#,
        accepted: 1,
        items: r#"{"d":"\u00e9é"}"#,
    },
    Form {
        name: "array",
        headers: &[JSON],
        body: r#" [ {"data":1} , {"data":2,"type":"b"} ] "#,
        accepted: 2,
        items: r#"{"d":1},{"d":2,"t":"b"}"#,
    },
    Form {
        name: "ndjson",
        headers: &[NDJSON],
        body: "{\"data\":1}\r\n\n{\"data\":2}",
        accepted: 2,
        items: r#"{"d":1},{"d":2}"#,
    },
    Form {
        name: "structured",
        headers: &[CE],
        body: r#"{"specversion":"1.0","id":"7","source":"/quiz","type":"answer","data":{"a":"B"},
            "partitionkey":"k","cuepriority":"high","time":"2026-01-01T00:00:00Z","other":[1]}"#,
        accepted: 1,
        items: r#"{"d":{"a":"B"},"t":"answer","k":"k","i":"/quiz 7"}"#,
    },
    Form {
        name: "batch",
        headers: &[CE_BATCH],
        body: r#"[{"specversion":"1.0","id":"1","source":"s","type":"t","data":1,"cuekey":"k","cuemerge":"sum"},
            {"specversion":"1.0","id":"2","source":"s","type":"t","data":2,"cuekey":"k","cuemerge":"sum"}]"#,
        accepted: 2,
        items: r#"{"d":3,"t":"t","k":"k","i":"s 2","m":"sum"}"#,
    },
    Form {
        name: "binary",
        headers: &[
            JSON,
            ("ce-specversion", "1.0"),
            ("ce-id", "9"),
            ("ce-source", "s"),
            ("ce-type", "caf%C3%A9"),
            ("ce-cuekey", "k"),
        ],
        body: r#"{"a":[1, 2]}"#,
        accepted: 1,
        items: r#"{"d":{"a":[1,2]},"t":"café","k":"k","i":"s 9"}"#,
    },
    Form {
        name: "binary-text",
        headers: &[
            ("content-type", "text/plain"),
            ("ce-specversion", "1.0"),
            ("ce-id", "9"),
            ("ce-source", "s"),
            ("ce-type", "t"),
        ],
        body: "say \"é\"",
        accepted: 1,
        items: r#"{"d":"say \"é\"","t":"t","i":"s 9"}"#,
    },
];
