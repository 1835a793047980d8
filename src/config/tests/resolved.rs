//! What valid configurations resolve to, the shipped ones included.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{AccountPolicy, ChannelPolicy, Envelope, Offline, Pacing, Span};

use super::*;

#[test]
fn a_channels_own_keys_lie_over_the_defaults() {
    let s = settings(
        &format!(
            "[channel_defaults]\nttl_ms = 7\nenvelope_fields = [\"id\"]\n[tuning]\nlookahead = 3\n\
             [[channel]]\nname = \"a\"\narn = \"{ARN}\"\noffline = \"drop\"\nenvelope = \"array\"\n\
             [[channel]]\nname = \"b\"\narn = \"{ARN}b\"\n"
        ),
        &[],
    );
    let (a, b) = (&s.channels[0].policy, &s.channels[1].policy);
    assert_eq!(
        (a.envelope, a.offline, a.ttl_ms, a.lookahead),
        (Envelope::Array, Offline::Drop, 7, 3)
    );
    assert!(a.fields.id && !a.fields.kind);
    assert!(Arc::ptr_eq(b, &s.channel_defaults));
    assert_eq!(
        (s.channels[0].arn.region(), s.channels[0].arn.account()),
        ("us-west-2", "123456789012")
    );
}

#[test]
fn an_accounts_own_rates_lie_over_quota_and_tuning() {
    let s = settings(
        "[quota]\nchannel_tps = 4\naccount_tps = 100\n[tuning]\npacing = \"steady\"\ngrace_ms = 9\n\
         [[account]]\nid = \"123456789012\"\nregion = \"us-west-2\"\naccount_tps = 50\n",
        &[],
    );
    let defaults = AccountPolicy {
        channel_tps: 4,
        account_tps: 100,
        pacing: Pacing::Steady,
        grace: Span::from_millis(9),
        ..AccountPolicy::default()
    };
    assert_eq!(s.account_policy("123456789012", "us-east-1"), defaults);
    assert_eq!(s.account_policy("210987654321", "us-west-2"), defaults);
    let own = AccountPolicy {
        account_tps: 50,
        ..defaults
    };
    assert_eq!(s.account_policy("123456789012", "us-west-2"), own);
}

#[test]
fn a_reload_knows_what_it_cannot_change() {
    let needs_restart = |old: &Settings, new: &Settings| reload(old, new.clone()).needs_restart;
    let old = Settings::default();
    assert!(needs_restart(&old, &old).is_empty());
    let account = "[[account]]\nid = \"123456789012\"\nregion = \"us-west-2\"\n";
    let rates = settings(&format!("{account}account_tps = 9"), &[]);
    assert!(needs_restart(&old, &rates).is_empty());
    let client = settings(
        &format!("{account}endpoint_url = \"http://127.0.0.1:1\""),
        &[],
    );
    assert_eq!(needs_restart(&rates, &client), ["account.endpoint_url"]);
    assert_eq!(needs_restart(&client, &old), ["account.endpoint_url"]);
    let new = settings(
        "endpoint_url = \"http://127.0.0.1:1\"\ncall_timeout_ms = 99\n\
         [server]\nlisten = \"127.0.0.1:1\"\nmax_connections = 1\n\
         allowed_origins = [\"https://a.example\"]\n\
         [journal]\nmode = \"off\"\n[quota]\naccount_tps = 1\n\
         [tuning]\nrestart_hold_ms = 2000\nabandon_ms = 700\ngrace_ms = 3\n",
        &[],
    );
    let expected = [
        "server.listen",
        "server.max_connections",
        "server.allowed_origins",
        "upstream.endpoint_url",
        "upstream.call_timeout_ms",
        "journal.mode",
        "tuning.abandon_ms",
        "tuning.restart_hold_ms",
    ];
    assert_eq!(needs_restart(&old, &new), expected);
    // From one origin to another no restart is needed.
    let other = settings("[server]\nallowed_origins = [\"https://b.example\"]", &[]);
    assert!(!needs_restart(&new, &other).contains(&"server.allowed_origins".to_owned()));
}

#[test]
fn a_reload_puts_in_force_what_needs_no_restart() {
    let own = "[[account]]\nid = \"123456789012\"\nregion = \"us-west-2\"\n";
    let old = settings(own, &[]);
    let text = format!(
        "call_timeout_ms = 99\n[quota]\naccount_tps = 1\n[tuning]\nabandon_ms = 700\n{own}"
    );
    let reload = reload(&old, settings(&text, &[]));
    let expected = [
        "account 123456789012 us-west-2 changed",
        "upstream.call_timeout_ms: 2000 -> 99",
        "quota.account_tps: 155 -> 1",
        "tuning.abandon_ms: 5000 -> 700",
    ];
    assert_eq!(reload.changes, expected);
    let mut in_force = old.clone();
    in_force.account_defaults.account_tps = 1;
    in_force.accounts[0].policy.account_tps = 1;
    assert_eq!(reload.in_force, in_force);
}

#[test]
fn a_reload_tells_no_secret() {
    let secret = |secret: &str| {
        let text = format!("[eventbridge]\nsecret = \"{secret}\"");
        settings(&text, &[])
    };
    let reload = reload(&secret("sesame-sesame-open"), secret("sesame-sesame-shut"));
    let expected = [r#"eventbridge.secret: "[redacted]" -> "[redacted]""#];
    assert_eq!(reload.changes, expected);
}

#[test]
fn built_in_defaults_are_those_of_the_surface() {
    let s = Settings::default();
    assert_eq!(s.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(s.metrics.listen.to_string(), "127.0.0.1:9464");
    assert_eq!(s.admin.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(s.local_ivs.listen.to_string(), "127.0.0.1:4580");
    assert_eq!(s.server.drain_timeout, Duration::from_secs(5));
    assert_eq!(
        (s.server.max_body_bytes, s.server.max_connections),
        (1_048_576, 20_000)
    );
    assert_eq!(s.upstream.call_timeout, Duration::from_secs(2));
    assert_eq!(
        (s.journal.mode, s.journal.max_bytes),
        (JournalMode::Os, 1_073_741_824)
    );
    assert_eq!(
        (s.limits.queue_total_bytes, s.limits.channels_max),
        (536_870_912, 100_000)
    );
    assert_eq!(s.limits.at_max_ahead, Duration::from_hours(24));
    assert_eq!(s.tuning.restart_hold, Duration::from_millis(1500));
    assert_eq!(
        (s.quota.payload_max_bytes, s.unlisted.allowed),
        (1024, false)
    );
    assert_eq!(s.account_defaults, AccountPolicy::default());
    assert_eq!(*s.channel_defaults, ChannelPolicy::default());
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let text = std::fs::read_to_string(DEFAULT_FILE).expect("shipped");
    let read = parse(Some((DEFAULT_FILE, &text)), NO_ENV);
    assert_eq!(
        read.unwrap_or_else(|errors| panic!("{errors}")),
        Settings::default()
    );
}

#[test]
fn check_config_says_what_would_be_served() {
    let report = check_config(Some(Path::new("config/aws.toml")), NO_ENV);
    let report = report
        .unwrap_or_else(|errors| panic!("{errors}"))
        .to_string();
    for expected in [
        "config/aws.toml: ok\n",
        "mode      aws: the real API\n",
        "channels  2 listed (quiz, show-main); others refused\n",
        "accounts  1 (123456789012 us-west-2 at 120/s)\n",
        "journal   os, in cuegate-data",
    ] {
        assert!(report.contains(expected), "{report}");
    }
    let nodes = [
        ("CUEGATE__UPSTREAM__MODE", "aws"),
        ("CUEGATE__CLUSTER__URL_ENV", "CUEGATE_DATABASE"),
        ("CUEGATE__CLUSTER__NAME", "show"),
    ];
    let report = check_config(None, nodes).expect("a node").to_string();
    assert!(
        report.contains("journal   the database of cluster \"show\"\n"),
        "{report}"
    );
    let report = check_config(None, NO_ENV).expect("defaults").to_string();
    assert!(
        report.starts_with("no configuration file: ok\nmode      local: "),
        "{report}"
    );
}
