//! What a reload cannot change, because a socket, a file or a client was opened with it.

use super::settings::Settings;

/// The keys that differ between the two and take effect only after a restart, by name.
#[must_use]
pub fn changes_needing_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let keys = [
        ("server.listen", old.server.listen != new.server.listen),
        (
            "server.max_connections",
            old.server.max_connections != new.server.max_connections,
        ),
        (
            "server.allowed_origins",
            old.server.allowed_origins.is_empty() != new.server.allowed_origins.is_empty(),
        ),
        ("server.tls_*", old.server.tls != new.server.tls),
        ("metrics.listen", old.metrics_listen != new.metrics_listen),
        ("admin.listen", old.admin_listen != new.admin_listen),
        ("upstream.mode", old.upstream.mode != new.upstream.mode),
        (
            "upstream.endpoint_url",
            old.upstream.endpoint_url != new.upstream.endpoint_url,
        ),
        (
            "upstream.region",
            old.upstream.region != new.upstream.region,
        ),
        (
            "upstream.call_timeout_ms",
            old.upstream.call_timeout != new.upstream.call_timeout,
        ),
        (
            "local_ivs.listen",
            old.local_ivs_listen != new.local_ivs_listen,
        ),
        ("journal.mode", old.journal.mode != new.journal.mode),
        ("journal.dir", old.journal.dir != new.journal.dir),
        (
            "journal.max_bytes",
            old.journal.max_bytes != new.journal.max_bytes,
        ),
        (
            "tracing.otlp_endpoint",
            old.otlp_endpoint != new.otlp_endpoint,
        ),
        (
            "account.role_arn, external_id, endpoint_url",
            clients(old) != clients(new),
        ),
    ];
    keys.into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key)
        .collect()
}

/// Accounts whose calls go by a client of their own. Their rates can change at any time.
fn clients(settings: &Settings) -> Vec<impl PartialEq + use<'_>> {
    let mut clients: Vec<_> = settings
        .accounts
        .iter()
        .map(|a| {
            (
                &a.id,
                &a.region,
                &a.role_arn,
                &a.external_id,
                &a.endpoint_url,
            )
        })
        .filter(|(_, _, role, _, endpoint)| role.is_some() || endpoint.is_some())
        .collect();
    clients.sort();
    clients
}
