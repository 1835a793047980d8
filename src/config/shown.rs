//! The settings in force as operators may see them: by section and key, as in the file.
//!
//! Nothing that lets anyone in is shown, not even its hash: it is a [`Secret`], whose only form
//! is that it is hidden, or it is left out. Every setting is named here, so that a new one
//! does not compile before it was decided whether it may be seen.

use std::time::Duration;

use engine::{AccountPolicy, ChannelPolicy, Envelope, Offline, OnUnknown, Overflow, Pacing};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::settings::{
    AccountSettings, ApiKeySettings, AwsKeySettings, ChannelSettings, JournalMode, JournalSettings,
    JwtAlgorithm, JwtSettings, LimitSettings, PutMetadataEnvelope, RateSettings, Secret,
    SecretSource, ServerSettings, Settings, TlsSettings, UpstreamMode, UpstreamSettings,
};

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What stands for something that is set and not shown.
pub(super) const HIDDEN: &str = "[redacted]";

/// The settings, without anything secret.
#[must_use]
pub fn shown(settings: &Settings) -> Value {
    let Settings {
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
    } = settings;
    let mut tuning = tuning(account_defaults);
    tuning["lookahead"] = json!(channel_defaults.lookahead);
    tuning["restart_hold_ms"] = millis(*restart_hold);
    json!({
        "server": server_of(server),
        "metrics": { "listen": metrics_listen },
        "admin": { "listen": admin_listen },
        "upstream": upstream_of(upstream),
        "local_ivs": { "listen": local_ivs_listen },
        "quota": {
            "channel_tps": account_defaults.channel_tps,
            "account_tps": account_defaults.account_tps,
            "payload_max_bytes": payload_max_bytes,
        },
        "journal": journal_of(journal),
        "limits": limits_of(limits),
        "put_metadata": { "envelope": match put_metadata {
            PutMetadataEnvelope::Raw => "raw",
            PutMetadataEnvelope::Channel => "channel",
        }},
        "channel_defaults": channel_policy(channel_defaults),
        "channels": { "allow_unlisted": allow_unlisted },
        "eventbridge": { "secret": eventbridge_secret },
        "tracing": { "otlp_endpoint": otlp_endpoint.as_deref().map(url) },
        "jwt": jwt.as_ref().map_or_else(|| json!({ "algorithm": null }), jwt_of),
        "tuning": tuning,
        "channel": channels.iter().map(channel).collect::<Vec<_>>(),
        "account": accounts.iter().map(account).collect::<Vec<_>>(),
        "api_key": api_keys.iter().map(api_key).collect::<Vec<_>>(),
    })
}

fn millis(span: Duration) -> Value {
    json!(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// A URL without what may let somebody in: who asks, and its query.
pub(super) fn url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (rest, query) = rest
        .split_once(['?', '#'])
        .map_or((rest, ""), |(rest, _)| (rest, HIDDEN));
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or_else(
        || authority.to_owned(),
        |(_, host)| format!("{HIDDEN}@{host}"),
    );
    let scheme = if scheme.is_empty() {
        String::new()
    } else {
        format!("{scheme}://")
    };
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    format!("{scheme}{host}{path}{query}")
}

fn server_of(server: &ServerSettings) -> Value {
    let ServerSettings {
        listen,
        drain_timeout,
        max_body_bytes,
        max_connections,
        open_without_keys,
        allowed_origins,
        tls,
    } = server;
    json!({
        "listen": listen,
        "drain_timeout_ms": millis(*drain_timeout),
        "max_body_bytes": max_body_bytes,
        "max_connections": max_connections,
        "auth": if *open_without_keys { "none" } else { "" },
        "allowed_origins": allowed_origins,
        "tls_cert": tls.as_ref().map(|TlsSettings { cert, .. }| cert),
        "tls_key": tls.as_ref().map(|TlsSettings { key, .. }| key),
        "tls_client_ca": tls.as_ref().map(|TlsSettings { client_ca, .. }| client_ca),
    })
}

fn upstream_of(upstream: &UpstreamSettings) -> Value {
    let UpstreamSettings {
        mode,
        endpoint_url,
        region,
        call_timeout,
    } = upstream;
    json!({
        "mode": match mode {
            UpstreamMode::Local => "local",
            UpstreamMode::Aws => "aws",
        },
        "endpoint_url": endpoint_url.as_deref().map(url),
        "region": region,
        "call_timeout_ms": millis(*call_timeout),
    })
}

fn journal_of(journal: &JournalSettings) -> Value {
    let JournalSettings {
        mode,
        dir,
        max_bytes,
    } = journal;
    json!({
        "mode": match mode {
            JournalMode::Off => "off",
            JournalMode::Os => "os",
            JournalMode::Fsync => "fsync",
        },
        "dir": dir,
        "max_bytes": max_bytes,
    })
}

fn limits_of(limits: &LimitSettings) -> Value {
    let LimitSettings {
        queue_total_bytes,
        channels_max,
        at_max_ahead,
    } = limits;
    json!({
        "queue_total_bytes": queue_total_bytes,
        "channels_max": channels_max,
        "at_max_ahead_ms": millis(*at_max_ahead),
    })
}

fn tuning(policy: &AccountPolicy) -> Value {
    let AccountPolicy {
        channel_tps: _,
        account_tps: _,
        pacing,
        fair_share,
        grace,
        abandon,
        max_in_flight_per_channel,
    } = policy;
    json!({
        "pacing": match pacing {
            Pacing::Spread => "spread",
            Pacing::Even => "even",
            Pacing::Steady => "steady",
        },
        "fair_share": fair_share,
        "grace_ms": grace.millis_ceil(),
        "abandon_ms": abandon.millis_ceil(),
        "max_in_flight_per_channel": max_in_flight_per_channel,
    })
}

fn channel_policy(policy: &ChannelPolicy) -> Value {
    let ChannelPolicy {
        envelope,
        fields,
        ttl_ms,
        queue_max_events,
        queue_max_bytes,
        overflow,
        offline,
        on_unknown,
        dedup_window,
        dedup_max_ids,
        lookahead: _,
    } = policy;
    let fields = [
        ("type", fields.kind),
        ("key", fields.key),
        ("id", fields.id),
    ];
    let fields = fields.iter().filter(|(_, on)| *on).map(|(name, _)| *name);
    json!({
        "envelope": match envelope {
            Envelope::Cue => "cue",
            Envelope::Array => "array",
            Envelope::Raw => "raw",
        },
        "envelope_fields": fields.collect::<Vec<_>>(),
        "ttl_ms": ttl_ms,
        "queue_max_events": queue_max_events,
        "queue_max_bytes": queue_max_bytes,
        "overflow": match overflow {
            Overflow::DropLowestPriority => "drop_lowest_priority",
            Overflow::Reject => "reject",
            Overflow::DropOldest => "drop_oldest",
        },
        "offline": match offline {
            Offline::Hold => "hold",
            Offline::Drop => "drop",
            Offline::Reject => "reject",
        },
        "on_unknown": match on_unknown {
            OnUnknown::Retry => "retry",
            OnUnknown::Drop => "drop",
        },
        "dedup_window_ms": dedup_window.millis_ceil(),
        "dedup_max_ids": dedup_max_ids,
    })
}

fn channel(channel: &ChannelSettings) -> Value {
    let ChannelSettings { name, arn, policy } = channel;
    let mut shown = channel_policy(policy);
    shown["name"] = json!(name);
    shown["arn"] = json!(arn.as_str());
    shown
}

fn account(account: &AccountSettings) -> Value {
    let AccountSettings {
        id,
        region,
        role_arn,
        external_id,
        endpoint_url,
        policy,
    } = account;
    json!({
        "id": id,
        "region": region,
        "role_arn": role_arn,
        "external_id": external_id.as_ref().map(|_| HIDDEN),
        "endpoint_url": endpoint_url.as_deref().map(url),
        "channel_tps": policy.channel_tps,
        "account_tps": policy.account_tps,
    })
}

fn api_key(key: &ApiKeySettings) -> Value {
    let ApiKeySettings {
        name,
        sha256,
        channels,
        scopes,
        rates,
        channel_rates,
        max_connections,
        queue_percent,
        aws,
    } = key;
    let mut shown = json!({
        "name": name,
        "sha256": sha256.map(|_| HIDDEN),
        "channels": channels.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "scopes": scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>(),
        "max_connections": max_connections,
        "queue_share": f64::from(*queue_percent) / 100.0,
    });
    for (prefix, rates) in [("", rates), ("channel_", channel_rates)] {
        let RateSettings {
            events_per_second,
            events_burst,
            bytes_per_second,
            bytes_burst,
        } = rates;
        shown[format!("{prefix}events_per_second")] = json!(events_per_second);
        shown[format!("{prefix}events_burst")] = json!(events_burst);
        shown[format!("{prefix}bytes_per_second")] = json!(bytes_per_second);
        shown[format!("{prefix}bytes_burst")] = json!(bytes_burst);
    }
    let (mut env, mut file) = (None, None);
    if let Some(AwsKeySettings {
        access_key_id: _,
        secret,
    }) = aws
    {
        match secret {
            SecretSource::Env(name) => env = Some(name),
            SecretSource::File(path) => file = Some(path),
        }
    }
    shown["aws_access_key_id"] = json!(aws.as_ref().map(|_| HIDDEN));
    shown["aws_secret_env"] = json!(env);
    shown["aws_secret_file"] = json!(file);
    shown
}

fn jwt_of(jwt: &JwtSettings) -> Value {
    let JwtSettings {
        algorithm,
        key_file,
        issuer,
        audience,
    } = jwt;
    json!({
        "algorithm": match algorithm {
            JwtAlgorithm::Hs256 => "HS256",
            JwtAlgorithm::Rs256 => "RS256",
            JwtAlgorithm::Es256 => "ES256",
            JwtAlgorithm::EdDsa => "EdDSA",
        },
        "key_file": key_file,
        "issuer": issuer,
        "audience": audience,
    })
}
