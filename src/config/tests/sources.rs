//! The environment over the file, and what holds where neither says anything.

use super::*;

#[test]
fn variables() {
    for (env, expected) in [
        (("CUEGATE__SERVER__LISTEN", "127.0.0.1:81"), ""),
        (("CUEGATE__TUNING__FAIR_SHARE", "1"), ""),
        (("CUEGATE__CHANNELS__ALLOW_UNLISTED", "true"), ""),
        (("CUEGATE__LIMITS__CHANNELS_MAX", "1_000"), ""),
        (("CUEGATE__CHANNEL_DEFAULTS__ENVELOPE_FIELDS", ""), ""),
        (
            ("CUEGATE__UPSTREAM__MODE", "gcp"),
            "CUEGATE__UPSTREAM__MODE: upstream.mode: \"gcp\" is not one of",
        ),
        (
            ("CUEGATE__UPSTREAM__MODE", ""),
            "CUEGATE__UPSTREAM__MODE: upstream.mode: \"\" is not one of",
        ),
        (
            ("CUEGATE__CHANNELS__ALLOW_UNLISTED", "yes"),
            "CUEGATE__CHANNELS__ALLOW_UNLISTED: channels.allow_unlisted: expected true or false",
        ),
        (
            ("CUEGATE__CHANNEL_DEFAULTS__TTL_MS", "0"),
            "CUEGATE__CHANNEL_DEFAULTS__TTL_MS: channel_defaults.ttl_ms: 0 is not",
        ),
        (
            ("CUEGATE__CHANNEL_DEFAULTS__TTL_MS", "5s"),
            "CUEGATE__CHANNEL_DEFAULTS__TTL_MS: channel_defaults.ttl_ms: expected an integer",
        ),
        (
            ("CUEGATE__CHANNEL_DEFAULTS__ENVELOPE_FIELDS", "type, no"),
            "CUEGATE__CHANNEL_DEFAULTS__ENVELOPE_FIELDS: channel_defaults.envelope_fields: \"no\"",
        ),
        (
            ("CUEGATE__CHANNEL_DEFAULTS__ENVELOPE_FIELDS", "[type"),
            "CUEGATE__CHANNEL_DEFAULTS__ENVELOPE_FIELDS: channel_defaults.envelope_fields: expected a list",
        ),
        (
            ("CUEGATE__SERVER__LISTN", "x"),
            "CUEGATE__SERVER__LISTN: unknown variable; did you mean CUEGATE__SERVER__LISTEN?",
        ),
        (
            ("CUEGATE__server__listen", "x"),
            "CUEGATE__server__listen: unknown variable; did you mean CUEGATE__SERVER__LISTEN?",
        ),
        (
            ("CUEGATE__CHANNEL__NAME", "x"),
            "CUEGATE__CHANNEL__NAME: unknown variable",
        ),
        (("CUEGATE__", "x"), "CUEGATE__: unknown variable"),
        (("CUEGATE_LOG", "x"), ""),
        (("cuegate__server__listen", "x"), ""),
    ] {
        let expected: Vec<_> = Some(expected)
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        check("", &[env], &expected);
    }
    // A variable stands in for a bad value in the file, and for a mode the file does not name.
    check(
        "[channel_defaults]\nttl_ms = 0",
        &[("CUEGATE__CHANNEL_DEFAULTS__TTL_MS", "1")],
        &[],
    );
    check_whole("", &[("CUEGATE__UPSTREAM__MODE", "aws")], &[]);

    for fields in ["type, id", "[\"type\", \"id\"]", "type,id,"] {
        let s = settings(
            "",
            &[("CUEGATE__CHANNEL_DEFAULTS__ENVELOPE_FIELDS", fields)],
        );
        let f = s.channel_defaults.fields;
        assert_eq!((f.kind, f.key, f.id), (true, false, true), "{fields}");
    }
    let s = settings(
        "[journal]\ndir = \"a\"",
        &[("CUEGATE__JOURNAL__DIR", " b ")],
    );
    assert_eq!(s.journal.dir, Path::new("b"));
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_a_fault_of_its_own() {
    use std::os::unix::ffi::OsStringExt;
    let env = [(
        OsString::from("CUEGATE__SERVER__LISTEN"),
        OsString::from_vec(vec![0xFF]),
    )];
    let errors = parse(Some(("c.toml", LOCAL)), env).expect_err("a fault");
    assert_eq!(
        errors.to_string(),
        "CUEGATE__SERVER__LISTEN: the value is not UTF-8"
    );
    let other = [(OsString::from("OTHER"), OsString::from_vec(vec![0xFF]))];
    assert!(parse(Some(("c.toml", LOCAL)), other).is_ok());
}

#[test]
fn the_mode_must_be_said_unless_nothing_is() {
    assert_eq!(parse(None, NO_ENV).expect("defaults"), Settings::default());
    assert_eq!(
        parse(None, [("PATH", "x")]).expect("defaults"),
        Settings::default()
    );
    let said = "missing: write \"local\" (the emulator in this process) or \"aws\" (the real API)";
    for (file, env, expected) in [
        (Some(""), None, format!("c.toml: upstream.mode: {said}")),
        (
            Some("[upstream]\nregion = \"us-west-2\""),
            None,
            format!("c.toml:1: upstream.mode: {said}"),
        ),
        (
            Some(""),
            Some(("CUEGATE__SERVER__AUTH", "none")),
            format!("c.toml: upstream.mode: {said}"),
        ),
        (
            None,
            Some(("CUEGATE__SERVER__AUTH", "none")),
            format!("the environment: upstream.mode: {said}"),
        ),
    ] {
        let errors = parse(file.map(|text| ("c.toml", text)), env).expect_err("a fault");
        assert_eq!(errors.to_string(), expected);
    }
    let aws = parse(None, [("CUEGATE__UPSTREAM__MODE", "aws")]).expect("valid");
    assert_eq!(aws.upstream.mode, UpstreamMode::Aws);
    assert!(
        aws.channels.is_empty(),
        "the demo channel is the emulator's"
    );
}

#[test]
fn demo_is_there_in_local_mode_unless_channels_are_listed() {
    let names = |s: &Settings| {
        s.channels
            .iter()
            .map(|c| c.name.to_string())
            .collect::<Vec<_>>()
    };
    let s = settings("", &[]);
    assert_eq!(names(&s), ["demo"]);
    assert_eq!(
        s.channels[0].arn.as_str(),
        "arn:aws:ivs:us-west-2:000000000000:channel/demo"
    );
    let s = settings(&format!("[[channel]]\nname = \"a\"\narn = \"{ARN}\""), &[]);
    assert_eq!(names(&s), ["a"]);
}

#[test]
fn variables_with_one_underscore_are_told_of() {
    let settings = parse(
        Some((
            "f",
            "[upstream]\nmode = \"local\"\n[[api_key]]\nname = \"a\"\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nchannels = [\"*\"]\nscopes = [\"publish\"]\naws_access_key_id = \"AKIDEXAMPLE\"\naws_secret_env = \"CUEGATE_QUOTA_SECRET\"\n",
        )),
        [] as [(&str, &str); 0],
    )
    .expect("no fault");
    for (name, meant) in [
        (
            "CUEGATE_QUOTA_ACCOUNT_TPS",
            Some("CUEGATE__QUOTA__ACCOUNT_TPS"),
        ),
        (
            "CUEGATE_QUOTA__ACCOUNT_TPS",
            Some("CUEGATE__QUOTA__ACCOUNT_TPS"),
        ),
        ("CUEGATE_QUOTA_X", Some("CUEGATE__QUOTA__KEY")),
        (
            "CUEGATE_CHANNEL_DEFAULTS_TTL_MS",
            Some("CUEGATE__CHANNEL_DEFAULTS__TTL_MS"),
        ),
        ("CUEGATE_METRICS_LISTEN", Some("CUEGATE__METRICS__LISTEN")),
        // The product's own, and others'.
        ("CUEGATE_URL", None),
        ("CUEGATE_KEY", None),
        ("CUEGATE_LOG", None),
        ("CUEGATE_ADMIN_URL", None),
        ("CUEGATE_QUOTA_SECRET", None),
        ("CUEGATE_QUOTA", None),
        ("CUEGATE__QUOTA__ACCOUNT_TPS", None),
        ("QUOTA_ACCOUNT_TPS", None),
        // What Kubernetes sets for services of these names.
        ("CUEGATE_SERVICE_HOST", None),
        ("CUEGATE_PORT", None),
        ("CUEGATE_METRICS_SERVICE_HOST", None),
        ("CUEGATE_METRICS_SERVICE_PORT", None),
        ("CUEGATE_METRICS_SERVICE_PORT_HTTP", None),
        ("CUEGATE_METRICS_PORT", None),
        ("CUEGATE_METRICS_PORT_9464_TCP_ADDR", None),
    ] {
        let lines = strays([(name, "a-secret")], &settings);
        match meant {
            None => assert!(lines.is_empty(), "{lines:?}"),
            Some(meant) => {
                let [line] = &lines[..] else {
                    panic!("{name}: {lines:?}");
                };
                assert!(line.starts_with(name) && line.ends_with(meant), "{line}");
                assert!(!line.contains("a-secret"), "{line}");
            }
        }
    }
}
