//! What valid configurations resolve to, the shipped ones included.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{AccountPolicy, ChannelPolicy, Envelope, Offline, Pacing, Span};
use toml::de::DeValue;

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
    let old = Settings::default();
    assert!(changes_needing_restart(&old, &old).is_empty());
    let account = "[[account]]\nid = \"123456789012\"\nregion = \"us-west-2\"\n";
    let rates = settings(&format!("{account}account_tps = 9"), &[]);
    assert!(changes_needing_restart(&old, &rates).is_empty());
    let client = settings(
        &format!("{account}endpoint_url = \"http://127.0.0.1:1\""),
        &[],
    );
    let expected = ["account.role_arn, external_id, endpoint_url"];
    assert_eq!(changes_needing_restart(&rates, &client), expected);
    let new = settings(
        "endpoint_url = \"http://127.0.0.1:1\"\n[server]\nlisten = \"127.0.0.1:1\"\nmax_connections = 1\n\
         [journal]\nmode = \"off\"\n[quota]\naccount_tps = 1\n",
        &[],
    );
    let expected = [
        "server.listen",
        "server.max_connections",
        "upstream.endpoint_url",
        "journal.mode",
    ];
    assert_eq!(changes_needing_restart(&old, &new), expected);
}

#[test]
fn built_in_defaults_are_those_of_the_surface() {
    let s = Settings::default();
    assert_eq!(s.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(s.metrics_listen.to_string(), "127.0.0.1:9464");
    assert_eq!(s.admin_listen.to_string(), "127.0.0.1:8081");
    assert_eq!(s.local_ivs_listen.to_string(), "127.0.0.1:4580");
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
    assert_eq!(s.restart_hold, Duration::from_millis(1500));
    assert_eq!((s.payload_max_bytes, s.allow_unlisted), (1024, false));
    assert_eq!(s.account_defaults, AccountPolicy::default());
    assert_eq!(*s.channel_defaults, ChannelPolicy::default());
}

#[test]
fn the_shipped_file_has_every_key_with_its_default() {
    let text = std::fs::read_to_string(DEFAULT_FILE).expect("shipped");
    let read = parse(Some((DEFAULT_FILE, &text)), NO_ENV);
    assert_eq!(
        read.unwrap_or_else(|errors| panic!("{errors}")),
        Settings::default()
    );

    // With its examples, lines that begin with # and no space, it has all keys there are.
    let whole: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(example) if example.starts_with(|c: char| c == '[' || c.is_alphabetic()) => {
                example
            }
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let (_, errors, known) = read_all(Some((DEFAULT_FILE, &whole)), NO_ENV).expect("TOML");
    assert!(errors.is_empty(), "{}", Errors(errors));
    let document = DeTable::parse(&whole).expect("TOML").into_inner();
    let mut written = BTreeSet::new();
    for (section, value) in &document {
        let tables = match value.get_ref() {
            DeValue::Array(list) => list.iter().filter_map(|e| e.get_ref().as_table()).collect(),
            one => one.as_table().into_iter().collect::<Vec<_>>(),
        };
        let keys = tables.into_iter().flat_map(|table| table.keys());
        written.extend(keys.map(|key| (section.get_ref().to_string(), key.get_ref().to_string())));
    }
    let known: BTreeSet<_> = known
        .iter()
        .map(|(s, k)| ((*s).to_owned(), (*k).to_owned()))
        .collect();
    assert_eq!(written, known);
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
    let report = check_config(None, NO_ENV).expect("defaults").to_string();
    assert!(
        report.starts_with("no configuration file: ok\nmode      local: "),
        "{report}"
    );
}
