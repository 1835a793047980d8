//! Reads every section and checks what settings mean together.
//!
//! Faults go to the reader; nothing stops at the first.

use std::sync::Arc;

use super::catalog::PLAIN;
use super::keys::ClusterSettings;
use super::lists::{accounts, api_keys, channels, policy_faults, webhooks};
use super::reader::Reader;
use super::settings::Settings;
use super::tables::ChannelSettings;
use super::types::UpstreamMode;

/// The live channel of local mode: the emulator's account, any region.
const DEMO: (&str, &str) = ("demo", "arn:aws:ivs:us-west-2:000000000000:channel/demo");

/// Reads everything. The result is whole even where there were faults, which `reader` has.
pub(super) fn settings(reader: &mut Reader<'_>) -> Settings {
    let mut settings = Settings::empty();
    for parts in PLAIN.chunk_by(|a, b| a.section() == b.section()) {
        reader.section(parts[0].section(), |table| {
            for part in parts {
                part.read(&mut settings, table);
            }
        });
    }
    let journal = settings.journal.mode;
    for (key, what) in policy_faults(&settings.channel_defaults, journal) {
        reader.error("channel_defaults", key, what);
    }
    settings.channels = channels(reader, &settings.channel_defaults, journal);
    if settings.channels.is_empty()
        && settings.upstream.mode == UpstreamMode::Local
        && let Ok(arn) = DEMO.1.parse()
    {
        settings.channels.push(ChannelSettings {
            name: DEMO.0.into(),
            arn,
            playback_url: None,
            policy: Arc::clone(&settings.channel_defaults),
        });
    }
    settings.accounts = accounts(reader, &settings.account_defaults);
    let certificates = settings.server.tls_client_ca.is_some();
    settings.api_keys = api_keys(reader, certificates);
    settings.webhooks = webhooks(reader);
    check_tls(reader, &settings);
    check_tokens(reader, &settings);
    check_addresses(reader, &settings);
    check_callers(reader, &settings);
    check_limits(reader, &settings);
    check_cluster(reader, &settings);
    settings
}

fn check_tls(reader: &mut Reader<'_>, settings: &Settings) {
    let server = &settings.server;
    match (&server.tls_cert, &server.tls_key) {
        (Some(_), None) => reader.error("server", "tls_cert", "needs server.tls_key as well"),
        (None, Some(_)) => reader.error("server", "tls_key", "needs server.tls_cert as well"),
        _ => {}
    }
    if server.tls_client_ca.is_some() && server.tls_cert.is_none() {
        let what = "needs server.tls_cert and server.tls_key as well";
        reader.error("server", "tls_client_ca", what);
    }
}

fn check_tokens(reader: &mut Reader<'_>, settings: &Settings) {
    let jwt = &settings.jwt;
    if jwt.algorithm.is_some() && jwt.key_file.is_none() {
        let what = "missing: the file with the secret, PEM or JWKS";
        reader.error("jwt", "key_file", what);
    }
    let says_more = jwt.key_file.is_some() || jwt.issuer.is_some() || jwt.audience.is_some();
    if jwt.algorithm.is_none() && says_more {
        let what = "empty, so that tokens are off: name one, or empty the section";
        reader.error("jwt", "algorithm", what);
    }
}

/// No two doors at one address.
fn check_addresses(reader: &mut Reader<'_>, settings: &Settings) {
    let doors = [
        ("server", settings.server.listen),
        ("metrics", settings.metrics.listen),
        ("admin", settings.admin.listen),
        ("local_ivs", settings.local_ivs.listen),
    ];
    let state = settings.state.listen.map(|address| ("state", address));
    let doors: Vec<_> = doors.into_iter().chain(state).collect();
    for (i, (section, address)) in doors.iter().enumerate() {
        let earlier = doors[..i]
            .iter()
            .find(|(_, other)| other == address && address.port() != 0);
        if let Some((other, _)) = earlier {
            let what = format!("{address} is {other}.listen already: choose another port");
            reader.error(section, "listen", &what);
        }
    }
}

/// Nobody is let in from other machines without proof, unless the file says so in writing.
fn check_callers(reader: &mut Reader<'_>, settings: &Settings) {
    let proof = settings.needs_proof();
    let open = settings.server.open_without_keys;
    for (section, address) in [
        ("server", settings.server.listen),
        ("admin", settings.admin.listen),
    ] {
        if !proof && !open && !address.ip().to_canonical().is_loopback() {
            let what = format!(
                "{address} can be reached from other machines, and nobody has to show a key: \
                 listen on 127.0.0.1, add an [[api_key]], or set server.auth = \"none\""
            );
            reader.error(section, "listen", &what);
        }
    }
    if open && proof {
        let what = "\"none\" contradicts the configured keys: leave out one or the other";
        reader.error("server", "auth", what);
    }
}

fn check_cluster(reader: &mut Reader<'_>, settings: &Settings) {
    let cluster = &settings.cluster;
    if cluster.url.is_some() && cluster.url_env.is_some() {
        let what = "cluster.url is set as well: leave out one or the other";
        reader.error("cluster", "url_env", what);
    }
    if cluster.is_on() && settings.upstream.mode == UpstreamMode::Local {
        let key = if cluster.url.is_some() {
            "url"
        } else {
            "url_env"
        };
        let what = "needs upstream.mode = \"aws\": in local mode each node would have an emulator of its own";
        reader.error("cluster", key, what);
    }
    if cluster.is_on() {
        check_peers(reader, cluster);
    }
}

/// Nodes let each other in by certificates or a secret, unless they are on one machine.
fn check_peers(reader: &mut Reader<'_>, cluster: &ClusterSettings) {
    let files = [
        ("tls_cert", cluster.tls_cert.is_some()),
        ("tls_key", cluster.tls_key.is_some()),
        ("tls_ca", cluster.tls_ca.is_some()),
    ];
    let any = files.iter().any(|(_, given)| *given);
    for (key, _) in files.iter().filter(|(_, given)| any && !given) {
        let what = "is missing: nodes need tls_cert, tls_key and tls_ca";
        reader.error("cluster", key, what);
    }
    if any && cluster.secret_env.is_some() {
        let what = "contradicts the certificates: leave out one or the other";
        reader.error("cluster", "secret_env", what);
    }
    let open = !any && cluster.secret_env.is_none();
    if open && !cluster.listen.ip().to_canonical().is_loopback() {
        let what = format!(
            "{} can be reached from other machines: listen on 127.0.0.1, or set tls_cert, tls_key and tls_ca, \
             or secret_env where the network is trusted",
            cluster.listen
        );
        reader.error("cluster", "listen", &what);
    }
}

fn check_limits(reader: &mut Reader<'_>, settings: &Settings) {
    let (listed, most) = (settings.channels.len(), settings.limits.channels_max);
    if listed > most {
        let what = format!("{most} is less than the {listed} channels listed: raise it");
        reader.error("limits", "channels_max", &what);
    }
}
