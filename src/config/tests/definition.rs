//! A channel that is made by API is checked as one of the file.

use super::{ARN, NO_ENV};
use crate::config::*;

/// Settings with these lines under `[channel_defaults]`.
fn with_defaults(lines: &str) -> Settings {
    let text = format!("[upstream]\nmode = \"local\"\n[channel_defaults]\n{lines}");
    parse(Some(("c.toml", &text)), NO_ENV).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What is wrong with it; of a good one nothing.
fn faults(name: &str, json: &str, settings: &Settings) -> Vec<String> {
    match define(name, json, settings) {
        Ok(_) => Vec::new(),
        Err(Misdefined::Malformed(what)) => vec![format!("malformed: {what}")],
        Err(Misdefined::Faults(faults)) => faults,
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_fault_is_told_as_of_the_file() {
    let settings = with_defaults("");
    for (name, json, expected) in [
        ("a", r#"{"arn":ARN}"#, &[][..]),
        (
            "a",
            r#"{"arn":ARN,"ttl_ms":5000,"envelope_fields":["type","key"],"keyframes":true}"#,
            &[],
        ),
        ("a", "", &["malformed: "]),
        (
            "a",
            "[]",
            &["malformed: invalid type: sequence, expected an object"],
        ),
        ("a", r#"{"arn":ARN"#, &["malformed: "]),
        (
            "a",
            r#"{"arn":ARN,"arn":ARN}"#,
            &["malformed: arn: the same key twice"],
        ),
        ("a", "{}", &["channel.arn: missing: "]),
        (
            "a",
            r#"{"arn":"arn:aws:s3:::x"}"#,
            &["channel.arn: not the ARN of a channel"],
        ),
        (
            "a",
            r#"{"arn":7}"#,
            &["channel.arn: expected a string, found a value of type integer"],
        ),
        (
            "a b",
            r#"{"arn":ARN}"#,
            &["channel.name: \"a b\" is not an alias"],
        ),
        (
            "_other",
            r#"{"arn":ARN}"#,
            &["channel.name: \"_other\" is not an alias"],
        ),
        (ARN, r#"{"arn":ARN}"#, &["channel.name: "]),
        (
            "a",
            r#"{"arn":ARN,"name":"a"}"#,
            &["channel.name: it is in the path"],
        ),
        (
            "a",
            r#"{"arn":ARN,"ttl_ms":0}"#,
            &["channel.ttl_ms: 0 is not in 1 ..= 86400000"],
        ),
        (
            "a",
            r#"{"arn":ARN,"ttl_ms":-1}"#,
            &["channel.ttl_ms: -1 is not in"],
        ),
        (
            "a",
            r#"{"arn":ARN,"ttl_ms":99999999999999999999}"#,
            &["channel.ttl_ms: "],
        ),
        (
            "a",
            r#"{"arn":ARN,"ttl_ms":5.0}"#,
            &["channel.ttl_ms: expected an integer, found a value of type float"],
        ),
        (
            "a",
            r#"{"arn":ARN,"ttl_ms":"5"}"#,
            &["channel.ttl_ms: expected an integer, found a value of type string"],
        ),
        (
            "a",
            r#"{"arn":ARN,"ttl_ms":null}"#,
            &["channel.ttl_ms: null is no value"],
        ),
        (
            "a",
            r#"{"arn":ARN,"ttl_ms":{"a":1}}"#,
            &["channel.ttl_ms: expected an integer"],
        ),
        (
            "a",
            r#"{"arn":ARN,"ttl_m":5}"#,
            &["channel.ttl_m: unknown key; did you mean ttl_ms?"],
        ),
        ("a", r#"{"arn":ARN,"":5}"#, &["channel.: unknown key"]),
        (
            "a",
            r#"{"arn":ARN,"a\"]\n[x":5}"#,
            &["channel.a\"]\n[x: unknown key"],
        ),
        (
            "a",
            r#"{"arn":ARN,"overflow":"drop\u007f\n"}"#,
            &["channel.overflow: \"drop\\u{7f}\\n\" is not one of"],
        ),
        (
            "a",
            r#"{"arn":ARN,"envelope_fields":["type",null]}"#,
            &["channel.envelope_fields: expected a string"],
        ),
        (
            "a",
            r#"{"arn":ARN,"envelope":"raw","compress":"deflate"}"#,
            &["channel.compress: \"deflate\" works only with"],
        ),
        (
            "a b",
            r#"{"ttl_ms":0,"offline":"x"}"#,
            &["channel.", "channel.", "channel.", "channel."],
        ),
    ] {
        let json = json.replace("ARN", &format!("{ARN:?}"));
        let found = faults(name, &json, &settings);
        let fit = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, expected)| found.starts_with(expected));
        assert!(
            fit,
            "{name} {json}\nexpected {expected:#?}\nfound {found:#?}"
        );
    }
}

/// Every setting of `[[channel]]` is one of a definition, with the same value: its default is taken here.
#[test]
fn every_key_is_taken() {
    let settings = with_defaults("");
    let channel = sections().into_iter().find(|it| it.name == "channel");
    let keys = channel.expect("the section").settings;
    assert!(keys.len() > 10);
    for about in keys
        .iter()
        .filter(|about| !about.required && !about.default.is_null())
    {
        let json = format!("{{\"arn\":{ARN:?},{:?}:{}}}", about.key, about.default);
        let (made, _) = define("a", &json, &settings).expect(about.key);
        assert_eq!(made.policy, settings.channel_defaults, "{}", about.key);
    }
    let url = "https://a.playback.live-video.net/b.m3u8";
    let json = format!("{{\"arn\":{ARN:?},\"playback_url\":{url:?}}}");
    let (made, _) = define("a", &json, &settings).expect("a channel");
    assert_eq!(made.playback_url.as_deref(), Some(url));
}

/// Settings go over the defaults of the moment, and equal ones are equal texts.
#[test]
fn settings_go_over_the_defaults() {
    let short = with_defaults("ttl_ms = 1000\nqueue_max_events = 7");
    let json = format!("{{ \"ttl_ms\": 5000,\n\"arn\":{ARN:?} }}");
    let (made, text) = define("quiz", &json, &short).expect("a channel");
    assert_eq!((&*made.name, made.arn.as_str()), ("quiz", ARN));
    assert_eq!(
        (made.policy.ttl_ms, made.policy.queue_max_events),
        (5000, 7)
    );
    assert_eq!(text, format!("{{\"arn\":{ARN:?},\"ttl_ms\":5000}}"));
    let (again, same) = define("quiz", &text, &short).expect("a channel");
    assert_eq!((again, &same), (made, &text));
    // What goes with some defaults need not go with others.
    let deflated = format!("{{\"arn\":{ARN:?},\"compress\":\"deflate\"}}");
    assert!(faults("quiz", &deflated, &short).is_empty());
    assert_eq!(
        faults("quiz", &deflated, &with_defaults("envelope = \"raw\"")).len(),
        1
    );
}
