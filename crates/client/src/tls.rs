//! Gateways behind https://: whom to believe.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// Nobody is believed: for plain HTTP, where nobody is asked.
pub fn nobody() -> Result<ClientConfig, Error> {
    with_roots(RootCertStore::empty())
}

/// The system's authorities, and those of a file of PEM.
pub fn config(ca: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // A certificate of the system that cannot be read is no worse than one that is not there.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let wrong =
            |what: &dyn std::fmt::Display| Error::Usage(format!("{}: {what}", path.display()));
        let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
            found += 1;
        }
        if found == 0 {
            return Err(wrong(&"no certificates as PEM"));
        }
    }
    with_roots(roots)
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| Error::Usage(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
