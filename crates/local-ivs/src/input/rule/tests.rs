use super::{BUCKET, NAME, NEXT_TOKEN, Rule, STREAM_ID, TAG_KEY, TAG_VALUE};

/// How many of its constraints a value breaks.
fn check(rule: Rule, value: &str, broken: usize) {
    let constraints = rule.constraints(value);
    let found = constraints.iter().filter(|(_, holds)| !holds).count();
    assert_eq!(found, broken, "{rule:?} '{value}': {constraints:?}");
}

#[test]
fn every_kind_has_its_bounds() {
    let long = |n: usize| "a".repeat(n);
    let stream = |n: usize| format!("st-{}", "aB3".repeat(8)[..n].to_owned());
    let channel = "arn:aws:ivs:us-west-2:123456789012:channel/a";
    let key = "arn:aws:ivs:us-west-2:123456789012:stream-key/a";
    let long_arn = format!("{channel}{}", long(128));
    #[rustfmt::skip]
    let cases = [
        (Rule::Any, "\u{0}", 0), (Rule::NotEmpty, "", 1), (Rule::NotEmpty, " ", 0),
        (Rule::Length(2, 2), "a", 1), (Rule::Length(2, 2), "éé", 0), (Rule::Length(2, 2), "abc", 1),
        (TAG_KEY, "aws:a", 1), (TAG_KEY, "AWS:a", 1), (TAG_KEY, "aws", 0),
        (NAME, "", 0), (NAME, "aZ9-_", 0), (NAME, "a b", 1), (NAME, "é", 1),
        (NAME, &*long(128), 0), (NAME, &*long(129), 1),
        (NEXT_TOKEN, "", 0), (NEXT_TOKEN, "aZ9+/=_-", 0), (NEXT_TOKEN, "a.b", 1),
        (NEXT_TOKEN, &*long(1024), 0), (NEXT_TOKEN, &*long(1025), 1),
        (BUCKET, "a-b", 0), (BUCKET, "ab", 1), (BUCKET, "", 2), (BUCKET, "a_b", 1), (BUCKET, "ABC", 1),
        (BUCKET, &*long(63), 0), (BUCKET, &*long(64), 1),
        (STREAM_ID, &*stream(23), 0), (STREAM_ID, &*stream(22), 1), (STREAM_ID, &*stream(24), 1),
        (STREAM_ID, "", 2), (STREAM_ID, "st-aB3aB3aB3aB3aB3aB3aB3a-", 1),
        (TAG_KEY, "Team: Größe_1.=+-@/ \u{a0}", 0), (TAG_KEY, "", 2), (TAG_KEY, "a\tb", 1), (TAG_KEY, "a*", 1),
        (TAG_KEY, &*"é".repeat(128), 0), (TAG_KEY, &*"é".repeat(129), 1),
        (TAG_VALUE, "", 0), (TAG_VALUE, &*long(256), 0), (TAG_VALUE, &*long(257), 1), (TAG_VALUE, "#", 1),
        (Rule::OneOf(&["A", "B"]), "A", 0), (Rule::OneOf(&["A", "B"]), "a", 1), (Rule::OneOf(&["A", "B"]), "", 1),
        (Rule::Arn("channel"), channel, 0), (Rule::Arn("channel"), key, 1), (Rule::Arn("channel"), "", 2),
        (Rule::Arn("channel"), &*long_arn, 1), (Rule::Arn("channel"), &*long(129), 2),
        (Rule::ArnOrEmpty("channel"), "", 0), (Rule::ArnOrEmpty("channel"), channel, 0), (Rule::ArnOrEmpty("channel"), "x", 1),
        (Rule::AnyArn, channel, 0), (Rule::AnyArn, key, 0), (Rule::AnyArn, "arn:aws:s3:::a", 1),
    ];
    for (rule, value, broken) in cases {
        check(rule, value, broken);
    }
}
