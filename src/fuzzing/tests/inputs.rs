//! Inputs that are nearly right, so that they get far.

use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;

use engine::{
    Change, Content, Data, End, Fate, Merge, Priority, QueuedEvent, Scheduled, StateChange,
    StateEntry, Time, Wall,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::MESSAGE_END;
use crate::clock::Clock;
use crate::journal::record;

type Inputs = BoxedStrategy<Vec<u8>>;

/// As it is, or with a few bytes damaged, lost or repeated.
pub fn mutated(inputs: Inputs) -> Inputs {
    let edit = (
        0..6_u8,
        any::<prop::sample::Index>(),
        0..40_usize,
        any::<u8>(),
    );
    (inputs, prop_oneof![Just(Vec::new()), vec(edit, 1..4)])
        .prop_map(|(mut input, edits)| {
            for (what, at, length, byte) in edits {
                let at = at.index(input.len() + 1);
                let end = input.len().min(at + length);
                match what {
                    0 => input.truncate(at),
                    1 => drop(input.drain(at..end)),
                    2 => input.insert(at, byte),
                    3 => input[at..end].fill(byte),
                    4 => {
                        let again = input[at..end].repeat(usize::from(byte) % 8);
                        input.splice(at..at, again);
                    }
                    _ => {
                        if let Some(there) = input.get_mut(at) {
                            *there ^= 1 << (byte % 8);
                        }
                    }
                }
            }
            input
        })
        .boxed()
}

/// A JSON string, its quotes and escapes included.
fn string() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "\"[ -!#-\\[\\]-~]{0,12}\"",
        1 => "\"(\\\\u[0-9a-f]{4}|\\\\u[dD][89a-fA-F][0-9a-f]{2}|\\\\[nt\"/\\\\bfr]|é|😀){0,6}\"",
        1 => (select(vec!["x", "é", "😀", "\\u0001"]), 0..1_000_usize)
            .prop_map(|(part, times)| format!("\"a{}\"", part.repeat(times))),
    ]
    .boxed()
}

/// A JSON value, or what looks like one.
fn value() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        3 => string(),
        2 => "-?[0-9]{1,3}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?",
        1 => (1..400_usize).prop_map(|digits| "9".repeat(digits)),
        1 => select(vec!["null", "true", "false", "-", "{}", "[]", "1e400", "-0"]).prop_map_into(),
        1 => select(vec![i64::MIN, i64::MAX]).prop_map(|number| number.to_string()),
        1 => ("[\\[{]", 0..3_000_usize).prop_map(|(open, depth)| {
            let open = if open == "{" { "{\"a\":" } else { "[" };
            open.repeat(depth)
        }),
        1 => (0..100_usize).prop_map(|depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth))),
    ];
    leaf.prop_recursive(4, 40, 5, |value| {
        prop_oneof![
            vec(value.clone(), 0..5).prop_map(|values| format!("[ {}]", values.join(" ,\t"))),
            vec((string(), value), 0..5).prop_map(|members| object(&members)),
        ]
    })
    .boxed()
}

fn object<N: AsRef<str>, V: AsRef<str>>(members: &[(N, V)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("{}:{}", name.as_ref(), value.as_ref()))
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// An object with all of `must`, some of `may`, and now and then a wrong value, a member twice or
/// one that nobody knows. A value may be one of several, with `|` between them.
fn object_of(must: &[(&str, &str)], may: &[(&str, &str)]) -> BoxedStrategy<String> {
    let quoted = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let pair = |(name, value): &(&str, &str)| (format!("\"{name}\""), (*value).to_owned());
        pairs.iter().map(pair).collect()
    };
    let (must, may) = (quoted(must), quoted(may));
    let names: Vec<String> = (must.iter().chain(&may))
        .map(|(name, _)| name.clone())
        .collect();
    let wrong = prop_oneof![
        3 => (select(names), value()),
        1 => (string(), value()),
    ];
    let wrong = prop_oneof![3 => Just(Vec::new()), 1 => vec(wrong, 1..3)];
    let length = may.len();
    let some = prop::sample::subsequence(may, 0..=length);
    (some, any::<prop::sample::Index>(), wrong, any::<bool>())
        .prop_map(move |(some, pick, wrong, replaces)| {
            let mut members: Vec<_> = must.iter().cloned().chain(some).collect();
            if replaces {
                members.retain(|(name, _)| wrong.iter().all(|(other, _)| other != name));
            }
            for (_, value) in &mut members {
                let values: Vec<&str> = value.split('|').collect();
                *value = pick.get(&values).to_string();
            }
            members.extend(wrong);
            object(&members)
        })
        .boxed()
}

fn event() -> BoxedStrategy<String> {
    let data = prop_oneof![2 => Just("{ \"a\": [1.50] }".to_owned()), 1 => value()];
    let rest = object_of(
        &[("channel", "\"demo\"")],
        &[
            ("type", "\"quiz.vote\""),
            ("id", "\"a-1\""),
            ("key", "\"k\""),
            ("merge", "\"sum\""),
            ("priority", "\"high\""),
            ("ttl_ms", "1e3"),
            (
                "at",
                "\"2027-01-15T08:00:00.5+01:00\"|1800000000001|-9223372036854775808|1e15",
            ),
        ],
    );
    prop_oneof![
        9 => (data, rest).prop_map(|(data, rest)| format!("{{\"data\":{data},{}", &rest[1..])),
        1 => value(),
    ]
    .boxed()
}

fn cloudevent() -> BoxedStrategy<String> {
    object_of(
        &[
            ("specversion", "\"1.0\""),
            ("id", "\"1\""),
            ("source", "\"/quiz\""),
            ("type", "\"vote\""),
            ("cuechannel", "\"demo\""),
            ("data", "{\"a\": [1, 2]}"),
        ],
        &[
            ("partitionkey", "\"p\""),
            ("cuekey", "\"k\""),
            ("cuemerge", "\"max\""),
            ("cuepriority", "\"low\""),
            ("cueat", "\"1800000000001\"|\"-9223372036854775808\"|1"),
            ("expirytime", "\"2027-01-15T09:00:00Z\""),
            ("time", "\"2027-01-15T08:00:00Z\""),
            ("data_base64", "null"),
        ],
    )
}

fn array(element: BoxedStrategy<String>) -> BoxedStrategy<String> {
    vec(element, 0..6)
        .prop_map(|elements| format!("[{}]", elements.join(",\n")))
        .boxed()
}

pub fn events() -> Inputs {
    prop_oneof![event(), array(event())].prop_map_into().boxed()
}

pub fn lines() -> Inputs {
    let line = prop_oneof![9 => event(), 1 => "[ \r]{0,3}"];
    vec(line, 0..8)
        .prop_map(|lines| lines.join("\n").into_bytes())
        .boxed()
}

pub fn messages() -> Inputs {
    let text = prop_oneof![3 => event(), 1 => array(event()), 1 => Just(String::new())];
    vec(text, 0..8)
        .prop_map(|texts| {
            texts
                .join(&char::from(MESSAGE_END).to_string())
                .into_bytes()
        })
        .boxed()
}

pub fn cloudevents() -> Inputs {
    let value = prop_oneof![4 => "[ -~]{0,20}", 1 => "(%[0-9a-fA-F]{2}|\\\\.|\"){0,8}"];
    let name = select(vec![
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-cueat",
        "ce-cuekey",
        "ce-expirytime",
        "ce-x",
        "x",
    ]);
    let right = "ce-specversion: 1.0\nce-id: 1\nce-source: /a\nce-type: t\nce-cuechannel: demo\n";
    let binary =
        (vec((name, value), 0..4), super::inputs::value()).prop_map(move |(more, body)| {
            let more: Vec<_> = more
                .iter()
                .map(|(name, value)| format!("{name}: {value}\n"))
                .collect();
            format!("{right}{}\n{body}", more.concat())
        });
    prop_oneof![
        2 => cloudevent(),
        1 => array(cloudevent()),
        1 => binary,
    ]
    .prop_map_into()
    .boxed()
}

pub fn put_metadata() -> Inputs {
    let arn = "\"arn:aws:ivs:us-west-2:123456789012:channel/AbCdEfGhIjKl\"";
    object_of(
        &[("channelArn", arn), ("metadata", "\"{\\\"a\\\":1}\"")],
        &[("other", "[1,{}]")],
    )
    .prop_map_into()
    .boxed()
}

/// The configuration that is shipped, with some of its lines changed, and variables over it.
/// Members of a compressed body, one behind the other.
pub fn packed() -> Inputs {
    let text = prop_oneof![
        vec(any::<u8>(), 0..2000),
        (any::<u8>(), 0..100_000_usize).prop_map(|(byte, count)| [byte].repeat(count)),
        events(),
    ];
    vec(
        (text, 0..=9_u32).prop_map(|(text, level)| pack(&text, level)),
        1..4,
    )
    .prop_map(|members| members.concat())
    .boxed()
}

/// Compressed with gzip.
pub fn pack(text: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(text).expect("to memory");
    encoder.finish().expect("to memory")
}

pub fn configuration() -> Inputs {
    let lines: Vec<&str> = include_str!("../../../config/cuegate.toml")
        .lines()
        .collect();
    let toml = prop_oneof![
        value(),
        select(vec![
            "1",
            "-1",
            "0",
            "1e9",
            "\"\"",
            "[\"type\", 5]",
            "{a=1}",
            "2027-01-01",
            "'x'"
        ])
        .prop_map_into(),
        Just("99999999999999999999".to_owned()),
    ];
    let edit = (0..6_u8, any::<prop::sample::Index>(), toml.clone());
    let variable = ("CUEGATE__[A-Z_]{1,12}|CUEGATE__QUOTA__ACCOUNT_TPS", toml);
    (vec(edit, 0..6), vec(variable, 0..3))
        .prop_map(move |(edits, variables)| {
            let mut lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            for (what, at, value) in edits {
                let at = at.index(lines.len());
                let line = &mut lines[at];
                match what {
                    // What is an example comes into force.
                    0 => drop(line.drain(..line.len().min(usize::from(line.starts_with('#'))))),
                    1 => line.insert_str(0, "\n[[channel]]\n"),
                    2 => *line = line.repeat(2),
                    3 => *line = format!("{line}\n{line}"),
                    4 => line.clear(),
                    _ => {
                        let key = line.split('=').next().unwrap_or_default();
                        *line = format!("{key}= {value}");
                    }
                }
            }
            let mut input = lines.join("\n");
            input.push('\0');
            for (name, value) in variables {
                input.extend([&name, "=", &value, "\n"]);
            }
            input.into_bytes()
        })
        .boxed()
}

/// Numbers that may be those of another change.
const NUMBERS: Range<u64> = 0..6;

/// The same, and numbers around the greatest that there are.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![9 => NUMBERS, 1 => select(vec![(1 << 53) - 1, 1 << 53, u64::MAX])]
}

fn time() -> impl Strategy<Value = Time> {
    let start = Clock::new().now().micros();
    prop_oneof![
        4 => (start - 1_000_000..start + 100_000_000).prop_map(Time::from_micros),
        1 => any::<u64>().prop_map(Time::from_micros),
    ]
}

fn scheduled() -> impl Strategy<Value = Option<Scheduled>> {
    let now = Clock::new().moment().wall.micros();
    let at = move || {
        let near = (now - 1_000_000..now + 100_000_000).boxed();
        prop_oneof![4 => near, 1 => any::<i64>()].prop_map(Wall::from_micros)
    };
    let scheduled = (at(), time(), option::of(at()), time()).prop_map(
        |(at, accepted, latest_at, latest_accepted)| Scheduled {
            at,
            accepted,
            latest_at,
            latest_accepted,
        },
    );
    option::of(scheduled)
}

fn kept() -> impl Strategy<Value = QueuedEvent> {
    let text = || option::of("[a-c]{1,2}".prop_map(|text| text.as_str().into()));
    let priority = || select(vec![Priority::Low, Priority::Normal, Priority::High]);
    let data = prop_oneof![
        4 => value().prop_map(|text| Data::Json(text.as_str().into())),
        2 => Just(Data::Json("1".into())),
        1 => ".{0,40}".prop_map(|text| Data::Verbatim(text.as_str().into())),
    ];
    let merge = option::of(select(vec![Merge::Replace, Merge::Sum, Merge::Patch]));
    (
        (
            number(),
            number(),
            time(),
            time(),
            any::<u32>(),
            option::of(time()),
        ),
        (time(), scheduled(), any::<bool>(), data, merge),
        (text(), text(), text(), priority(), priority()),
    )
        .prop_map(|(numbers, (rises, scheduled, sent, data, merge), texts)| {
            let (seq, place_seq, due, deadline, ttl_ms, dedup_until) = numbers;
            let (kind, id, key, priority, level) = texts;
            #[rustfmt::skip] // every field has its name
            let kept = QueuedEvent {
                seq, place_seq, due, scheduled, deadline, ttl_ms,
                content: Content { data, kind, id, key, merge, priority },
                level, rises, dedup_until, sent,
            };
            kept
        })
}

fn state_change() -> impl Strategy<Value = StateChange> {
    let key = || "[a-c]{0,2}".prop_map(|key| Arc::from(key.as_str()));
    let holds = (
        key(),
        "[ -~]{0,30}",
        NUMBERS,
        time(),
        select(vec![Merge::Replace, Merge::Sum, Merge::Patch]),
    );
    prop_oneof![
        2 => holds.prop_map(|(key, data, n, at, merge)| {
            let entry = StateEntry { key, data: data.as_str().into(), kind: None, merge };
            StateChange::Holds { entry, n, at }
        }),
        1 => NUMBERS.prop_map(|n| StateChange::Began { n }),
        1 => Just(StateChange::Off),
        1 => (key(), any::<bool>()).prop_map(|(key, asked)| StateChange::Ends { key, asked }),
        1 => key().prop_map(|key| StateChange::Gone { key }),
        1 => key().prop_map(|key| StateChange::Forgotten { key }),
        1 => (number(), "[ -~]{0,30}", time())
            .prop_map(|(n, text, at)| StateChange::Told { n, text: text.as_str().into(), at }),
        1 => Just(StateChange::Untold),
    ]
}

pub fn block() -> Inputs {
    let change = prop_oneof![
        4 => kept().prop_map(Change::Queued),
        2 => (NUMBERS, select(vec![End::Delivered, End::Cancelled]))
            .prop_map(|(seq, end)| Change::Ended { seq, fate: Fate::of(end) }),
        2 => (number(), "[ -~]{0,30}", vec(NUMBERS, 0..4))
            .prop_map(|(n, text, seqs)| Change::Packed { n, text: text.as_str().into(), seqs, slices: None }),
        1 => NUMBERS.prop_map(|n| Change::Returned { n }),
        1 => NUMBERS.prop_map(|n| Change::Dissolved { n }),
        1 => ("[a-c]{0,2}", time(), any::<Option<i64>>()).prop_map(|(id, until, at)| {
            let at = at.map(Wall::from_micros);
            let fate = Fate { end: End::Expired, n: Some(7), at };
            Change::Remembered { id: id.as_str().into(), until, fate }
        }),
        1 => state_change().prop_map(Change::State),
    ];
    vec(change, 1..12)
        .prop_map(|changes| {
            record::encode(&changes, &record::Beside::default(), &Clock::new()).unwrap_or_default()
        })
        .boxed()
}

/// Batches as the storage writes them, then zeros.
pub fn log() -> Inputs {
    let item = (
        any::<bool>(),
        vec(any::<u8>(), 0..8),
        vec(any::<u8>(), 0..40),
    );
    (vec(vec(item, 0..4), 0..4), 0..64_usize)
        .prop_map(|(batches, zeros)| {
            let mut log = Vec::new();
            for (number, items) in (1_u64..).zip(batches) {
                log.push(1);
                log.extend(u32::try_from(items.len()).unwrap_or(0).to_le_bytes());
                log.extend(number.to_le_bytes());
                let start = log.len();
                for (is_clear, key, value) in items {
                    log.extend(if is_clear {
                        [4, 0].as_slice()
                    } else {
                        &[2, 0, 0]
                    });
                    log.extend([0; 7]);
                    if is_clear {
                        continue;
                    }
                    log.push(0);
                    log.extend(u16::try_from(key.len()).unwrap_or(0).to_le_bytes());
                    let length = u32::try_from(value.len()).unwrap_or(0).to_le_bytes();
                    log.extend(length.repeat(2));
                    log.extend(key.into_iter().chain(value));
                }
                let checksum = xxhash_rust::xxh3::xxh3_64(&log[start..]);
                log.push(3);
                log.extend(checksum.to_le_bytes());
                log.extend(b"FJL\x03");
            }
            log.resize(log.len() + zeros, 0);
            log
        })
        .boxed()
}

pub fn letter() -> Inputs {
    let event = object_of(
        &[("data", "[1]"), ("priority", "\"low\"")],
        &[
            ("verbatim", "true"),
            ("type", "\"t\""),
            ("merge", "\"sum\""),
            ("key", "\"k\""),
        ],
    );
    let more = object_of(
        &[
            ("id", "1"),
            ("channel", "\"a\""),
            ("reason", "\"b\""),
            ("at_ms", "1"),
        ],
        &[("n", "18446744073709551615"), ("x", "{}")],
    );
    (event, more)
        .prop_map(|(event, more)| format!("{{\"event\":{event},{}", &more[1..]))
        .prop_map_into()
        .boxed()
}
