//! What operators see of a configuration, and what they never see.

use serde_json::Value;

use super::*;
use crate::config::kinds::{HIDDEN, without_credentials};

fn shown_of(text: &str) -> Value {
    let settings = parse(Some(("c.toml", text)), NO_ENV);
    shown(&settings.unwrap_or_else(|errors| panic!("{errors}")))
}

#[test]
fn every_key_of_the_example_is_shown() {
    // Read and not built in: what builds the program has no need of the file.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/cuegate.toml");
    let text = std::fs::read_to_string(file).expect("the example");
    let shown = shown_of(&text);
    let file: toml::Table = text.parse().expect("TOML");
    let mut keys = 0;
    for (section, keys_of) in &file {
        let Some(table) = keys_of.as_table() else {
            assert_eq!(
                shown[section].as_array().map(Vec::len),
                Some(1),
                "{section}"
            );
            continue;
        };
        for key in table.keys() {
            assert!(
                shown[section].get(key).is_some(),
                "{section}.{key} in {shown}"
            );
            keys += 1;
        }
    }
    assert!(keys > 40, "{keys}");
    assert_eq!(shown["channel"][0]["name"], "demo");
    assert_eq!(shown["channel_defaults"]["ttl_ms"], 10_000);
}

#[test]
fn nothing_that_lets_anyone_in_is_shown() {
    let text = r#"
        upstream.mode = "aws"
        eventbridge.secret = "s3cret-of-the-door"
        [[account]]
        id = "123456789012"
        region = "us-west-2"
        role_arn = "arn:aws:iam::123456789012:role/cuegate"
        external_id = "s3cret-external-id"
        [[api_key]]
        name = "quiz"
        sha256 = "53c7e7000000000000000000000000000000000000000000000000000053c7e7"
        aws_access_key_id = "s3cret-id"
        aws_secret_env = "QUIZ_SECRET"
    "#;
    let shown = shown_of(text);
    let whole = shown.to_string();
    assert!(!whole.contains("s3cret"), "{whole}");
    assert_eq!(shown["eventbridge"]["secret"], HIDDEN);
    assert_eq!(shown["account"][0]["external_id"], HIDDEN);
    assert_eq!(shown["api_key"][0]["sha256"], HIDDEN);
    assert!(!whole.contains("53c7e7"), "{whole}");
    assert_eq!(shown["api_key"][0]["aws_secret_env"], "QUIZ_SECRET");
    assert_eq!(
        shown_of("upstream.mode = \"local\"")["eventbridge"]["secret"],
        Value::Null
    );
}

#[test]
fn urls_without_credentials() {
    for (given, expected) in [
        ("http://127.0.0.1:4317", "http://127.0.0.1:4317"),
        ("https://me:s3cret@host/v1", "https://[redacted]@host/v1"),
        ("https://a@b@host", "https://[redacted]@host"),
        ("https://host/v1?token=s3cret", "https://host/v1?[redacted]"),
        ("https://host?token=a/b@c", "https://host?[redacted]"),
        ("https://host/a@b", "https://host/a@b"),
    ] {
        assert_eq!(without_credentials(given), expected);
    }
}
