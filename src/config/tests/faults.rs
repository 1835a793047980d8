//! What is wrong with single keys, names and the notation, and how it is said.

use super::{LOCAL, NO_ENV, check, check_whole};
use crate::config::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn values_out_of_bounds_and_of_the_wrong_type() {
    for (text, expected) in [
        (
            "[channel_defaults]\nttl_ms = 0",
            "4: channel_defaults.ttl_ms: 0 is not in 1 ..= 86400000",
        ),
        (
            "[channel_defaults]\n\nttl_ms = 86_400_001",
            "5: channel_defaults.ttl_ms: 86400001 is not in",
        ),
        (
            "[channel_defaults]\nttl_ms = -1",
            "4: channel_defaults.ttl_ms: -1 is not in",
        ),
        (
            "[channel_defaults]\nttl_ms = 0xFFFFFFFFFF",
            "4: channel_defaults.ttl_ms: 0xFFFFFFFFFF is not in",
        ),
        (
            "[channel_defaults]\nttl_ms = 99999999999999999999999999999999999999999999999999",
            "4: channel_defaults.ttl_ms: 9999",
        ),
        (
            "[channel_defaults]\nttl_ms = \"5\"",
            "4: channel_defaults.ttl_ms: expected an integer, found a value of type string",
        ),
        (
            "[channel_defaults]\nttl_ms = 5.0",
            "4: channel_defaults.ttl_ms: expected an integer",
        ),
        (
            "[channel_defaults]\nqueue_max_events = 0",
            "4: channel_defaults.queue_max_events: 0",
        ),
        (
            "[channel_defaults]\nqueue_max_bytes = 1023",
            "4: channel_defaults.queue_max_bytes: 1023",
        ),
        (
            "[channel_defaults]\noverflow = \"drop\"",
            "4: channel_defaults.overflow: \"drop\" is not one of \"drop_lowest_priority\", \"reject\", \"drop_oldest\"",
        ),
        (
            "[channel_defaults]\noffline = true",
            "4: channel_defaults.offline: expected a string",
        ),
        (
            "[channel_defaults]\nenvelope = \"\"",
            "4: channel_defaults.envelope: \"\" is not one of",
        ),
        (
            "[channel_defaults]\ncompress = true",
            "4: channel_defaults.compress: expected a string",
        ),
        (
            "[channel_defaults]\nenvelope = \"array\"\ncompress = \"deflate\"",
            "5: channel_defaults.compress: \"deflate\" works only with envelope = \"cue\": change one or the other",
        ),
        (
            "[channel_defaults]\nenvelope = \"raw\"\nkeyframes = true",
            "5: channel_defaults.keyframes: true works only with envelope = \"cue\": change one or the other",
        ),
        (
            "[journal]\nmode = \"off\"\n[channel_defaults]\nkeyframes = true",
            "6: channel_defaults.keyframes: true needs a journal",
        ),
        (
            "[channel_defaults]\nstate_http = true",
            "4: channel_defaults.state_http: true works only with keyframes = true: change one or the other",
        ),
        (
            "[state]\nwindow_ms = 999",
            "4: state.window_ms: 999 is not in 1000 ..= 600000",
        ),
        (
            "[state]\nlisten = \"127.0.0.1:8081\"",
            "4: state.listen: 127.0.0.1:8081 is admin.listen already: choose another port",
        ),
        (
            "[channel_defaults]\nstate_max_bytes = 100",
            "4: channel_defaults.state_max_bytes: 100 is not in 1024 ..= 67108864",
        ),
        (
            "[quota]\nstate_share = 0",
            "4: quota.state_share: 0 is not above 0 and at most 1",
        ),
        (
            "[channel_defaults]\nenvelope_fields = [\"type\", \"data\"]",
            "4: channel_defaults.envelope_fields: \"data\" is not one of \"type\", \"key\", \"id\"",
        ),
        (
            "[channel_defaults]\nenvelope_fields = \"type\"",
            "4: channel_defaults.envelope_fields: expected a list",
        ),
        (
            "[channel_defaults]\nenvelope_fields = [1]",
            "4: channel_defaults.envelope_fields: expected a string",
        ),
        (
            "[quota]\nchannel_tps = 6",
            "4: quota.channel_tps: 6 is not in 1 ..= 5",
        ),
        (
            "[quota]\naccount_tps = 156",
            "4: quota.account_tps: 156 is not in 1 ..= 155",
        ),
        (
            "[quota]\npayload_max_bytes = 1025",
            "4: quota.payload_max_bytes: 1025 is not in 128 ..= 1024",
        ),
        (
            "[quota]\npayload_max_bytes = 127",
            "4: quota.payload_max_bytes: 127",
        ),
        (
            "[tuning]\nfair_share = 0",
            "4: tuning.fair_share: 0 is not above 0 and at most 1",
        ),
        ("[tuning]\nfair_share = 1.01", "4: tuning.fair_share: 1.01"),
        ("[tuning]\nfair_share = nan", "4: tuning.fair_share: nan"),
        ("[tuning]\nfair_share = inf", "4: tuning.fair_share: inf"),
        (
            "[tuning]\nfair_share = \"1\"",
            "4: tuning.fair_share: expected a number",
        ),
        ("[tuning]\npacing = \"fast\"", "4: tuning.pacing: \"fast\""),
        (
            "[channels]\nallow_unlisted = 1",
            "4: channels.allow_unlisted: expected true or false",
        ),
        (
            "[server]\nlisten = \"8080\"",
            "4: server.listen: \"8080\" is not an address",
        ),
        ("[server]\nlisten = \"127.0.0.1\"", "4: server.listen:"),
        (
            "[server]\nlisten = \"localhost:99999\"",
            "4: server.listen:",
        ),
        (
            "[server]\nauth = \"no\"",
            "4: server.auth: \"no\" is not one of \"\", \"none\"",
        ),
        ("[journal]\nmode = \"on\"", "4: journal.mode: \"on\""),
        ("[journal]\ndir = \"\"", "4: journal.dir: empty"),
        (
            "[put_metadata]\nenvelope = \"cue\"",
            "4: put_metadata.envelope: \"cue\" is not one of \"raw\", \"channel\"",
        ),
    ] {
        check(text, &[], &[expected]);
    }
}

#[test]
fn whatever_is_unknown_is_named_with_what_is_near() {
    for (text, expected) in [
        (
            "[server]\nlsten = \"\"",
            "4: server.lsten: unknown key; did you mean listen?",
        ),
        ("[server]\nzzzzzz = 1", "4: server.zzzzzz: unknown key"),
        (
            "[sever]\nlisten = \"\"",
            "3: sever: unknown section; did you mean server?",
        ),
        (
            "[[server]]\nlisten = \"\"",
            "3: server: expected one table: write [server]",
        ),
        (
            "[channel]\nname = \"a\"",
            "3: channel: expected a list of tables: write [[channel]]",
        ),
        (
            "[server.listen]\na = 1",
            "3: server.listen: expected a string, found a value of type table",
        ),
        (
            "[server]\nlisten.port = 1",
            "4: server.listen: expected a string",
        ),
    ] {
        check(text, &[], &[expected]);
    }
    check_whole(
        "listen = 1\n[upstream]\nmode = \"local\"",
        &[],
        &["1: listen: unknown section"],
    );
    check_whole(
        "upstream = 1",
        &[],
        &[
            "1: upstream.mode: missing",
            "1: upstream: expected one table",
        ],
    );
}

#[test]
fn every_fault_at_once_in_the_order_of_the_file() {
    let text = "[tuning]\ngrace_ms = -1\nfair_share = 2\n[server]\nport = 1\n[quota]\naccount_tps = \"x\"\n[what]\n";
    let env = [
        ("CUEGATE__SERVER__PORT", "1"),
        ("CUEGATE__QUOTA__CHANNEL_TPS", "9"),
    ];
    check(
        text,
        &env,
        &[
            "4: tuning.grace_ms: -1",
            "5: tuning.fair_share: 2",
            "7: server.port: unknown key",
            "9: quota.account_tps: expected an integer",
            "10: what: unknown section",
            "CUEGATE__QUOTA__CHANNEL_TPS: quota.channel_tps: 9 is not in 1 ..= 5",
            "CUEGATE__SERVER__PORT: unknown variable",
        ],
    );
}

#[test]
fn the_notation_itself() {
    for (text, expected) in [
        ("a = ", &["1: not TOML: "][..]),
        (
            "[upstream]\nmode = \"local\"\nmode = \"aws\"",
            &["3: mode: the same key twice"],
        ),
        (
            "[upstream]\nmode = \"local\"\n[server]\n[server]\n",
            &["4: server: the same key twice"],
        ),
        ("a = x\nb = y\n", &["1: not TOML", "2: not TOML"]),
        (
            "[eventbridge]\nsecret = sesame sesame",
            &["2: not TOML: string values must be quoted"],
        ),
    ] {
        check_whole(text, &[], expected);
    }
}

#[test]
fn files_that_are_not_there_or_not_text() {
    let missing = Path::new("no/such/file.toml");
    assert_eq!(locate(Some(missing)), Some(missing.to_path_buf()));
    let error = load(locate(Some(missing)).as_deref(), NO_ENV)
        .expect_err("missing")
        .to_string();
    assert!(
        error.starts_with("no/such/file.toml: cannot be read: "),
        "{error}"
    );

    let path = std::env::temp_dir().join(format!("cuegate-config-{}.toml", std::process::id()));
    std::fs::write(&path, b"a = 1\n# \xFF\n").expect("written");
    let error = load(Some(&path), NO_ENV)
        .expect_err("not UTF-8")
        .to_string();
    std::fs::remove_file(&path).expect("removed");
    assert!(error.ends_with(": not UTF-8 in line 2"), "{error}");
}

#[test]
fn no_secret_is_ever_shown() {
    let secret = "open-sesame-open-sesame";
    assert_eq!(
        format!("{:?} {0}", Secret::new(secret.to_owned())),
        "[redacted] [redacted]"
    );
    let cases = [
        format!("{LOCAL}[eventbridge]\nsecret = \"{secret} \""),
        format!("{LOCAL}[eventbridge]\nsecret = [\"{secret}\"]"),
        format!("{LOCAL}[eventbridge]\nsecret = {secret}"),
        format!("{LOCAL}[[api_key]]\nname = \"k\"\nsha256 = \"{secret}\""),
        format!("{LOCAL}[upstream]\nendpoint_url = \"https://user:{secret}@host\""),
    ];
    let right = format!("{LOCAL}[eventbridge]\nsecret = \"{secret}\"");
    let settings = parse(Some(("c.toml", &right)), NO_ENV).expect("no fault");
    assert!(!format!("{settings:?}").contains("sesame"));
    for text in cases {
        let errors = parse(Some(("c.toml", &text)), NO_ENV).expect_err("a fault");
        assert!(
            !format!("{errors} {errors:?}").contains("sesame"),
            "{errors}"
        );
    }
}
