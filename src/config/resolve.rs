//! Every key there is, its default, and what it means together with the others.
//!
//! Defaults are given here, in `policies` and in `lists`, as a key is asked for, and nowhere
//! else: the built-in settings are an empty document, read. Faults go to the reader; nothing
//! stops at the first.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use engine::{AccountPolicy, ChannelPolicy};

use super::bounds;
use super::lists::{accounts, api_keys, channels};
use super::policies::{channel_policy, rates, tuning};
use super::reader::{Reader, Table, choose};
use super::settings::{
    ChannelSettings, JournalMode, JournalSettings, JwtAlgorithm, JwtSettings, LimitSettings,
    PutMetadataEnvelope, ServerSettings, Settings, TlsSettings, UpstreamMode, UpstreamSettings,
};
use super::values::{address, collector, origin, path, region, secret, url, word};

/// The live channel of local mode: the emulator's account, any region.
const DEMO: (&str, &str) = ("demo", "arn:aws:ivs:us-west-2:000000000000:channel/demo");

/// Reads everything. The result is whole even where there were faults, which `reader` has.
pub(super) fn settings(reader: &mut Reader<'_>) -> Settings {
    let server = reader.section("server", server);
    let metrics_listen = reader.section("metrics", |t| listen(t, 9464));
    let admin_listen = reader.section("admin", |t| listen(t, 8081));
    let bare = reader.is_bare();
    let upstream = reader.section("upstream", |t| upstream(t, bare));
    let local_ivs_listen = reader.section("local_ivs", |t| listen(t, 4580));

    let (account_defaults, payload_max_bytes) = reader.section("quota", |t| {
        (
            rates(t, &AccountPolicy::default()),
            t.number("payload_max_bytes", bounds::PAYLOAD_MAX_BYTES, 1024),
        )
    });
    let journal = reader.section("journal", journal);
    let limits = reader.section("limits", limits);
    let put_metadata = reader.section("put_metadata", |t| {
        t.choice("envelope", PUT_METADATA_ENVELOPES, PutMetadataEnvelope::Raw)
    });
    let mut channel_defaults = reader.section("channel_defaults", |t| {
        channel_policy(t, &ChannelPolicy::default())
    });
    let allow_unlisted = reader.section("channels", |t| t.boolean("allow_unlisted", false));
    let (account_defaults, restart_hold) = reader.section("tuning", |t| {
        tuning(t, &account_defaults, &mut channel_defaults)
    });

    let channel_defaults = Arc::new(channel_defaults);
    let mut channels = channels(reader, &channel_defaults);
    if channels.is_empty()
        && upstream.mode == UpstreamMode::Local
        && let Ok(arn) = DEMO.1.parse()
    {
        channels.push(ChannelSettings {
            name: DEMO.0.into(),
            arn,
            policy: channel_defaults.clone(),
        });
    }
    let accounts = accounts(reader, &account_defaults);
    let client_certificates = server
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca.is_some());
    let api_keys = api_keys(reader, client_certificates);
    let jwt = reader.section("jwt", jwt);
    let eventbridge_secret = reader.section("eventbridge", |t| t.optional("secret", secret));
    let otlp_endpoint = reader.section("tracing", |t| t.optional("otlp_endpoint", collector));

    let settings = Settings {
        server,
        metrics_listen,
        admin_listen,
        upstream,
        local_ivs_listen,
        payload_max_bytes,
        account_defaults,
        accounts,
        journal,
        limits,
        put_metadata,
        channel_defaults,
        channels,
        allow_unlisted,
        api_keys,
        jwt,
        eventbridge_secret,
        otlp_endpoint,
        restart_hold,
    };
    check_together(reader, &settings);
    settings
}

/// What no key can say on its own.
fn check_together(reader: &mut Reader<'_>, settings: &Settings) {
    let doors = [
        ("server", settings.server.listen),
        ("metrics", settings.metrics_listen),
        ("admin", settings.admin_listen),
        ("local_ivs", settings.local_ivs_listen),
    ];
    for (i, (section, address)) in doors.iter().enumerate() {
        let earlier = doors[..i]
            .iter()
            .find(|(_, other)| other == address && address.port() != 0);
        if let Some((other, _)) = earlier {
            reader.error(
                section,
                "listen",
                &format!("{address} is {other}.listen already: choose another port"),
            );
        }
    }
    let proof = settings.needs_proof();
    let open = settings.server.open_without_keys;
    for (section, address) in [doors[0], doors[2]] {
        if !proof && !open && !address.ip().to_canonical().is_loopback() {
            let what = format!(
                "{address} can be reached from other machines, and nobody has to show a key: \
                 listen on 127.0.0.1, add an [[api_key]], or set server.auth = \"none\""
            );
            reader.error(section, "listen", &what);
        }
    }
    if open && proof {
        reader.error(
            "server",
            "auth",
            "\"none\" contradicts the configured keys: leave out one or the other",
        );
    }
    let (listed, most) = (settings.channels.len(), settings.limits.channels_max);
    if listed > most {
        reader.error(
            "limits",
            "channels_max",
            &format!("{most} is less than the {listed} channels listed: raise it"),
        );
    }
}

fn server(t: &mut Table<'_, '_>) -> ServerSettings {
    let cert = t.optional("tls_cert", path);
    let key = t.optional("tls_key", path);
    let client_ca = t.optional("tls_client_ca", path);
    if cert.is_some() != key.is_some() {
        let (given, other) = if cert.is_some() {
            ("tls_cert", "tls_key")
        } else {
            ("tls_key", "tls_cert")
        };
        t.error(given, &format!("needs server.{other} as well"));
    }
    if client_ca.is_some() && cert.is_none() {
        t.error(
            "tls_client_ca",
            "needs server.tls_cert and server.tls_key as well",
        );
    }
    ServerSettings {
        listen: listen(t, 8080),
        drain_timeout: t.millis("drain_timeout_ms", bounds::DRAIN_TIMEOUT_MS, 5000),
        max_body_bytes: t.number("max_body_bytes", bounds::MAX_BODY_BYTES, 1_048_576),
        max_connections: t.number("max_connections", bounds::MAX_CONNECTIONS, 20_000),
        allowed_origins: t.list("allowed_origins", Vec::new(), origin),
        open_without_keys: t.choice("auth", &[("", false), ("none", true)], false),
        tls: cert.zip(key).map(|(cert, key)| TlsSettings {
            cert,
            key,
            client_ca,
        }),
    }
}

fn upstream(t: &mut Table<'_, '_>, bare: bool) -> UpstreamSettings {
    let mode = |text: &str| choose(UPSTREAM_MODES, text);
    let mode = if bare {
        t.optional("mode", mode)
    } else {
        let missing = "write \"local\" (the emulator in this process) or \"aws\" (the real API)";
        t.required("mode", missing, mode)
    };
    UpstreamSettings {
        mode: mode.unwrap_or(UpstreamMode::Local),
        endpoint_url: t.optional("endpoint_url", url),
        region: t.optional("region", region),
        call_timeout: t.millis("call_timeout_ms", bounds::CALL_TIMEOUT_MS, 2000),
    }
}

fn journal(t: &mut Table<'_, '_>) -> JournalSettings {
    JournalSettings {
        mode: t.choice("mode", JOURNAL_MODES, JournalMode::Os),
        dir: t.text("dir", PathBuf::from("cuegate-data"), path),
        max_bytes: t.number("max_bytes", bounds::JOURNAL_MAX_BYTES, 1 << 30),
    }
}

fn limits(t: &mut Table<'_, '_>) -> LimitSettings {
    LimitSettings {
        queue_total_bytes: t.number("queue_total_bytes", bounds::QUEUE_TOTAL_BYTES, 512 << 20),
        channels_max: t.number("channels_max", bounds::CHANNELS_MAX, 100_000),
        at_max_ahead: t.millis("at_max_ahead_ms", bounds::AT_MAX_AHEAD_MS, 86_400_000),
    }
}

fn jwt(t: &mut Table<'_, '_>) -> Option<JwtSettings> {
    let algorithm = t.optional("algorithm", |text| choose(JWT_ALGORITHMS, text));
    let key_file = t.optional("key_file", path);
    let issuer = t.optional("issuer", word);
    let audience = t.optional("audience", word);
    if algorithm.is_some() && key_file.is_none() {
        t.error("key_file", "missing: the file with the secret, PEM or JWKS");
    }
    if algorithm.is_none() && (key_file.is_some() || issuer.is_some() || audience.is_some()) {
        t.error(
            "algorithm",
            "empty, so that tokens are off: name one, or empty the section",
        );
    }
    Some(JwtSettings {
        algorithm: algorithm?,
        key_file: key_file?,
        issuer,
        audience,
    })
}

fn listen(t: &mut Table<'_, '_>, default_port: u16) -> SocketAddr {
    t.text(
        "listen",
        SocketAddr::from(([127, 0, 0, 1], default_port)),
        address,
    )
}

const UPSTREAM_MODES: &[(&str, UpstreamMode)] =
    &[("local", UpstreamMode::Local), ("aws", UpstreamMode::Aws)];

const JOURNAL_MODES: &[(&str, JournalMode)] = &[
    ("off", JournalMode::Off),
    ("os", JournalMode::Os),
    ("fsync", JournalMode::Fsync),
];

const PUT_METADATA_ENVELOPES: &[(&str, PutMetadataEnvelope)] = &[
    ("raw", PutMetadataEnvelope::Raw),
    ("channel", PutMetadataEnvelope::Channel),
];

const JWT_ALGORITHMS: &[(&str, JwtAlgorithm)] = &[
    ("HS256", JwtAlgorithm::Hs256),
    ("RS256", JwtAlgorithm::Rs256),
    ("ES256", JwtAlgorithm::Es256),
    ("EdDSA", JwtAlgorithm::EdDsa),
];
