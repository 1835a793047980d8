//! Payloads: the three envelopes, exact sizes, and what `full` means.

use super::*;
use crate::envelope::EnvelopeFields;

const ALL: EnvelopeFields = EnvelopeFields {
    kind: true,
    key: true,
    id: true,
};

fn cue(fields: EnvelopeFields) -> ChannelPolicy {
    ChannelPolicy {
        fields,
        ..ChannelPolicy::default()
    }
}

fn raw() -> ChannelPolicy {
    ChannelPolicy {
        envelope: Envelope::Raw,
        ..ChannelPolicy::default()
    }
}

fn verbatim(text: &str) -> Event {
    Event::new(Data::Verbatim(text.into()))
}

#[test]
fn the_envelopes() {
    check_with(
        "cue",
        cue(ALL),
        1024,
        vec![
            Put(event(r#"{"q":1}"#).kind("quiz").key("k\"").id("a")),
            Put(event("2").key("v").merge(Merge::Max)),
            Take(
                r#"{"v":1,"n":100,"e":[{"d":{"q":1},"t":"quiz","k":"k\"","i":"a"},{"d":2,"k":"v","m":"max"}]}"#,
            ),
            Settle(Outcome::Delivered),
            Put(event("3")),
            Take(r#"{"v":1,"n":101,"e":[{"d":3}]}"#),
        ],
    );
    check_with(
        "raw",
        raw(),
        1024,
        vec![
            Put(event(r#""a\n\u00e9""#).kind("t")),
            Put(event(r#"{"a":"\n"}"#)),
            Put(verbatim("as \"it\" is")),
            Take("a\né"),
            Settle(Outcome::Delivered),
            Take(r#"{"a":"\n"}"#),
            Settle(Outcome::Delivered),
            Take("as \"it\" is"),
        ],
    );
    for policy in [array(), cue(ALL)] {
        check_with(
            "verbatim goes alone, in its place",
            policy,
            1024,
            vec![
                Put(verbatim("hi")),
                Put(verbatim("ho").high().kind("t").key("k")),
                Wants(Some((1000, 1000, true))),
                Take("ho"),
                Settle(Outcome::Delivered),
                Take("hi"),
            ],
        );
    }
    check(
        "verbatim parts its neighbours",
        vec![
            Put(event("1")),
            Put(verbatim("hi")),
            Put(event("2")),
            Take("[1]"),
            Settle(Outcome::Delivered),
            Take("hi"),
            Settle(Outcome::Delivered),
            Wants(Some((1000, 1000, false))),
            Take("[2]"),
        ],
    );
}

#[test]
fn empty_ones_are_refused() {
    let empty = Refusal::InvalidData("a payload has at least one character");
    check_with(
        "raw",
        raw(),
        1024,
        vec![
            Refuse(event(r#""""#), empty),
            Refuse(verbatim(""), empty),
            Put(event(r#"" ""#)),
        ],
    );
    check(
        "array",
        vec![
            Refuse(verbatim(""), empty),
            Put(event(r#""""#)),
            Take(r#"[""]"#),
        ],
    );
}

/// The largest event that is taken makes a payload of exactly the limit; a byte more is
/// refused, with both sizes.
#[test]
fn exact_sizes() {
    let n = 9_007_199_254_740_991_u64 - 10_000;
    for (name, policy, decorated) in [
        ("array", array(), false),
        ("raw", raw(), false),
        ("cue", cue(ALL), false),
        ("cue with everything", cue(ALL), true),
    ] {
        for limit in [150, 151, 1000, 1024] {
            let of = |length: usize| {
                let event = event(&format!("\"é{}\"", "x".repeat(length)));
                if decorated {
                    event
                        .kind("ty\t")
                        .key("k\u{1}")
                        .id("i\"")
                        .merge(Merge::Patch)
                } else {
                    event
                }
            };
            let policy = ChannelPolicy {
                queue_max_bytes: 1 << 30,
                ..policy.clone()
            };
            let mut queue = Queue::new(Arc::new(policy), limit, n, Span::ZERO);
            let (mut taken, mut refused) = (0, 0);
            for length in 0..limit {
                // A key and an id of its own each, so that nothing merges or is a duplicate.
                let own = |text: &mut Option<Arc<str>>| {
                    if let Some(text) = text {
                        *text = format!("{text}{length:04}").into();
                    }
                };
                let event = of(length).say(|event| {
                    own(&mut event.content.key);
                    own(&mut event.content.id);
                });
                match queue.accept(ms(1), event) {
                    Ok(_) => taken = length,
                    Err(Refusal::TooLarge { size, limit: told }) => {
                        assert_eq!((size - limit, told), (length - taken, limit), "{name}");
                        refused += 1;
                    }
                    Err(other) => panic!("{name}: {other}"),
                }
            }
            assert!(refused > 0 && taken > 0, "{name}");
            let mut longest = 0;
            while let Some(payload) = queue.take(ms(1)) {
                longest = longest.max(payload.text.len());
                assert!(payload.text.len() <= limit, "{name}: {}", payload.text);
                queue.settle(ms(1), payload.id, Outcome::Delivered);
            }
            // n has 16 digits here, so that the size is exact.
            assert_eq!(longest, limit, "{name}");
        }
    }
}

#[test]
fn full_means_that_the_next_does_not_fit() {
    check_with(
        "array of 11 bytes",
        array(),
        11,
        vec![
            Put(event("1111")),
            Wants(Some((1000, 1000, false))),
            Put(event("2222")),
            // Exactly the limit, and nothing more to send.
            Wants(Some((1000, 1000, false))),
            Put(event("3")),
            Wants(Some((1000, 1000, true))),
            Take("[1111,2222]"),
            Settle(Outcome::Delivered),
            Wants(Some((1000, 1000, false))),
            Take("[3]"),
            Settle(Outcome::Delivered),
            Wants(None),
        ],
    );
    check_with(
        "raw always is",
        raw(),
        1024,
        vec![Put(event("1")), Wants(Some((1000, 1000, true)))],
    );
    check_with(
        "a scheduled one is not yet the next",
        array(),
        8,
        vec![
            Put(event("1111")),
            Put(event("222222").at(2000)),
            Wants(Some((1000, 1000, false))),
            Now(2000),
            Wants(Some((1000, 1000, true))),
        ],
    );
}
