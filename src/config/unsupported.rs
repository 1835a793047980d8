//! Settings of the surface whose feature this version does not have yet.
//!
//! They are read and checked like all others, but a value that asks for the feature is a
//! fault: to ignore one in silence could mean to serve without authentication. A row goes
//! when its feature comes.

/// Section, key, and what does not work.
const UNSUPPORTED: &[(&str, &str, &str)] = &[
    ("server", "tls_cert", "TLS is"),
    ("server", "tls_key", "TLS is"),
    ("server", "tls_client_ca", "client certificates are"),
    ("api_key", "name", "API keys are"),
    ("jwt", "algorithm", "JSON web tokens are"),
];

/// The feature that `key` of `section` asks for, with its verb, if it is not there yet.
pub(super) fn unsupported(section: &str, key: &str) -> Option<&'static str> {
    let row = UNSUPPORTED
        .iter()
        .find(|row| row.0 == section && row.1 == key);
    row.map(|row| row.2)
}
