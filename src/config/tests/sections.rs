//! The rules of single sections: channels, accounts, keys, doors.

use super::{ARN, check};

#[test]
fn channels() {
    let table =
        |name: &str, arn: &str| format!("[[channel]]\nname = \"{name}\"\narn = \"{arn}\"\n");
    let (a, b) = (ARN, "arn:aws:ivs:us-west-2:123456789012:channel/b");
    check(&format!("{}{}", table("a", a), table("b", b)), &[], &[]);
    check(
        &format!("{}{}", table("a", a), table("a", b)),
        &[],
        &["7: channel.name: a is already in line 3"],
    );
    check(
        &format!("{}{}", table("a", a), table("b", a)),
        &[],
        &[&format!("8: channel.arn: {a} is already in line 3")],
    );
    for name in ["a b", "", "é", "a/b", "_other", ".", "..", &"x".repeat(65)] {
        check(&table(name, a), &[], &["4: channel.name: "]);
    }
    for name in ["A-b_c.9", "_", &"x".repeat(64)] {
        check(&table(name, a), &[], &[]);
    }
    check(
        &table(a, a),
        &[],
        &["4: channel.name: \"arn:aws:ivs:us-west-2:123456789012:channel/a\" looks like an ARN"],
    );
    for arn in [
        "",
        "quiz",
        "arn:aws:ivs:us-west-2:123456789012:stream-key/a",
    ] {
        check(
            &table("a", arn),
            &[],
            &["5: channel.arn: not the ARN of a channel"],
        );
    }
    check(
        "[[channel]]\n",
        &[],
        &["3: channel.name: missing", "3: channel.arn: missing"],
    );
    check(
        &format!("{}ttl_ms = 0\nttl = 1\nlookahead = 1\n", table("a", a)),
        &[],
        &[
            "6: channel.ttl_ms: 0",
            "7: channel.ttl: unknown key",
            "8: channel.lookahead: unknown key",
        ],
    );
    check(
        &format!(
            "[limits]\nchannels_max = 1\n{}{}",
            table("a", a),
            table("b", b)
        ),
        &[],
        &["4: limits.channels_max: 1 is less than the 2 channels listed"],
    );
}

#[test]
fn accounts() {
    let table = "[[account]]\nid = \"123456789012\"\nregion = \"us-west-2\"\n";
    for (text, expected) in [
        (table.to_owned(), &[][..]),
        (
            format!("{table}{table}"),
            &["7: account.id: 123456789012 in us-west-2 is already in line 3"],
        ),
        (format!("{table}{}", table.replace("west", "east")), &[]),
        (
            format!("{table}account_tps = 156"),
            &["6: account.account_tps: 156"],
        ),
        (
            format!("{table}external_id = \"x\""),
            &["6: account.external_id: only of use with role_arn"],
        ),
        (
            format!("{table}role_arn = \"cuegate\""),
            &["6: account.role_arn: \"cuegate\" is not the ARN of a role"],
        ),
        (
            format!("{table}role_arn = \"arn:aws:iam::123456789012:role/a/b\""),
            &[],
        ),
        (
            format!("{table}endpoint_url = \"ivs.example\""),
            &["6: account.endpoint_url: not a URL"],
        ),
        (
            "[[account]]\nid = 123456789012\nregion = \"US\"".to_owned(),
            &[
                "4: account.id: expected a string",
                "5: account.region: \"US\" is not a region",
            ],
        ),
        (
            "[[account]]\nid = \"1\"".to_owned(),
            &["3: account.region: missing", "4: account.id: \"1\""],
        ),
    ] {
        check(&text, &[], expected);
    }
}

#[test]
fn keys_and_tokens() {
    let hash = "0123456789abcdefABCDEF000000000000000000000000000000000000000000";
    for (rest, expected) in [
        (format!("sha256 = \"{hash}\""), &[][..]),
        (
            format!(
                "sha256 = \"{hash}\"\nchannels = [\"quiz\", \"show-*\"]\nscopes = [\"read\", \"admin\"]\n\
                 events_per_second = 5\nevents_burst = 9\nchannel_bytes_per_second = 7\nqueue_share = 1\n\
                 aws_access_key_id = \"AKID\"\naws_secret_file = \"f\""
            ),
            &[],
        ),
        (
            String::new(),
            &["3: api_key.sha256: the key proves itself by nothing"],
        ),
        (
            "sha256 = \"short\"".to_owned(),
            &[
                "5: api_key.sha256: not a SHA-256",
                "5: api_key.sha256: the key proves",
            ],
        ),
        (
            format!("sha256 = \"{hash}\"\nchannels = [\"a?\"]"),
            &["6: api_key.channels: \"a?\" is not a pattern"],
        ),
        (
            format!("sha256 = \"{hash}\"\nscopes = [\"write\"]"),
            &[
                "6: api_key.scopes: \"write\" is not one of \"publish\", \"read\", \"control\", \"admin\"",
            ],
        ),
        (
            format!("sha256 = \"{hash}\"\naws_secret_env = \"X\""),
            &["3: api_key.aws_access_key_id: works only"],
        ),
        (
            "aws_access_key_id = \"A\"\naws_secret_env = \"X\"\naws_secret_file = \"f\"".to_owned(),
            &["7: api_key.aws_secret_file: there is aws_secret_env already"],
        ),
        (
            "aws_access_key_id = \"A\"\naws_secret_env = \"wJalrXUtnFEMI/K7\"".to_owned(),
            &[
                "5: api_key.aws_access_key_id: works only",
                "6: api_key.aws_secret_env: not the name of a variable",
            ],
        ),
        (
            format!("sha256 = \"{hash}\"\nbytes_burst = 9\nchannel_events_burst = 9"),
            &[
                "6: api_key.bytes_burst: only of use with bytes_per_second",
                "7: api_key.channel_events_burst: only of use with channel_events_per_second",
            ],
        ),
        (
            format!("sha256 = \"{hash}\"\nqueue_share = 0"),
            &["6: api_key.queue_share: 0 is not above 0"],
        ),
        (
            format!("sha256 = \"{hash}\"\n[[api_key]]\nname = \"k\"\nsha256 = \"{hash}\""),
            &[
                "7: api_key.name: k is already in line 3",
                "8: api_key.sha256: is another [[api_key]]'s already",
            ],
        ),
    ] {
        check(&format!("[[api_key]]\nname = \"k\"\n{rest}"), &[], expected);
    }
}

#[test]
fn tokens_certificates_and_origins() {
    for (text, expected) in [
        (
            "[jwt]\nalgorithm = \"none\"",
            &["4: jwt.algorithm: \"none\" is not one of"][..],
        ),
        (
            "[jwt]\nalgorithm = \"HS256\"",
            &["3: jwt.key_file: missing"],
        ),
        (
            "[jwt]\nalgorithm = \"EdDSA\"\nkey_file = \"k.pem\"\nissuer = \"x\"",
            &[],
        ),
        ("[jwt]\nissuer = \"x\"", &["3: jwt.algorithm: empty"]),
        (
            "[eventbridge]\nsecret = \"sesame\"",
            &["4: eventbridge.secret: must have 16 to 1024 visible"],
        ),
        ("[server]\ntls_cert = \"a\"\ntls_key = \"b\"", &[]),
        (
            "[server]\ntls_cert = \"a\"",
            &["4: server.tls_cert: needs server.tls_key"],
        ),
        (
            "[server]\ntls_client_ca = \"a\"",
            &["4: server.tls_client_ca: needs server.tls_cert"],
        ),
        (
            "[server]\nallowed_origins = [\"https://studio.example\", \"http://localhost:3000\"]",
            &[],
        ),
        (
            "[server]\nallowed_origins = [\"*\"]",
            &["4: server.allowed_origins: \"*\" is not an origin"],
        ),
        (
            "[server]\nallowed_origins = [\"https://studio.example/\"]",
            &["4: server.allowed_origins: \"https://studio.example/\" is not an origin"],
        ),
        (
            "[server]\nallowed_origins = [\"https://Studio.example\"]",
            &["4: server.allowed_origins: \"https://Studio.example\" is not an origin"],
        ),
        (
            "[server]\nauth = \"none\"\n[jwt]\nalgorithm = \"HS256\"\nkey_file = \"k\"",
            &["4: server.auth: \"none\" contradicts"],
        ),
        (
            "[server]\nlisten = \"0.0.0.0:1\"\ntls_cert = \"a\"\ntls_key = \"b\"",
            &["4: server.listen: 0.0.0.0:1 can be reached"],
        ),
        (
            "[server]\nlisten = \"0.0.0.0:1\"\ntls_cert = \"a\"\ntls_key = \"b\"\ntls_client_ca = \"c\"",
            &[],
        ),
    ] {
        check(text, &[], expected);
    }
}

#[test]
fn traces() {
    for (text, expected) in [
        ("[tracing]\notlp_endpoint = \"http://otel:4318/a\"", &[][..]),
        (
            "[tracing]\notlp_endpoint = \"https://127.0.0.1:4318\"",
            &["4: tracing.otlp_endpoint: must begin with http://"],
        ),
        (
            "[tracing]\notlp_endpoint = \"http://me:secret@127.0.0.1:4318\"",
            &["4: tracing.otlp_endpoint: not a URL, as http://127.0.0.1:4318, without a user"],
        ),
        (
            "[tracing]\notlp_endpoint = \"http://127.0.0.1:4318?key=1\"",
            &["4: tracing.otlp_endpoint: must not have a query"],
        ),
        (
            "[tracing]\notlp_endpoint = \"127.0.0.1:4317\"",
            &["4: tracing.otlp_endpoint: not a URL"],
        ),
    ] {
        check(text, &[], expected);
    }
}

#[test]
fn doors() {
    for (text, expected) in [
        (
            "[server]\nlisten = \"0.0.0.0:8080\"",
            &["4: server.listen: 0.0.0.0:8080 can be reached from other machines"][..],
        ),
        (
            "[server]\nlisten = \"[::]:8080\"",
            &["4: server.listen: [::]:8080 can be reached"],
        ),
        (
            "[admin]\nlisten = \"192.0.2.1:8081\"",
            &["4: admin.listen: 192.0.2.1:8081 can be reached"],
        ),
        (
            "[server]\nauth = \"none\"\nlisten = \"0.0.0.0:8080\"\n[admin]\nlisten = \"0.0.0.0:8081\"",
            &[],
        ),
        (
            "[server]\nlisten = \"[::1]:8080\"\n[admin]\nlisten = \"[::ffff:127.0.0.1]:8081\"",
            &[],
        ),
        ("[metrics]\nlisten = \"0.0.0.0:9464\"", &[]),
        (
            "[admin]\nlisten = \"localhost:8080\"",
            &["4: admin.listen: 127.0.0.1:8080 is server.listen already"],
        ),
        (
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"",
            &[],
        ),
    ] {
        check(text, &[], expected);
    }
    let env = [("CUEGATE__SERVER__LISTEN", "0.0.0.0:1")];
    check(
        "",
        &env,
        &["CUEGATE__SERVER__LISTEN: server.listen: 0.0.0.0:1 can be reached"],
    );
}
