//! The certificates of the producers' door: TLS 1.2 and 1.3 by rustls, read again when their
//! files change, and the subject of a client's.
//!
//! What a subject may do is for [`crate::access`] to say.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use x509_parser::x509::AttributeTypeAndValue;

use crate::access::{Certificate, Stamped};
use crate::config::{Error, Errors, TlsFiles};

/// TLS as it is spoken now.
pub struct Tls {
    settings: TlsFiles,
    loaded: RwLock<Loaded>,
}

#[derive(Clone)]
struct Loaded {
    config: Arc<ServerConfig>,
    files: Stamped,
    expires_s: u32,
}

impl Tls {
    /// By the files that the settings name.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn new(settings: &TlsFiles) -> Result<Self, Errors> {
        Ok(Self {
            loaded: RwLock::new(load(settings).map_err(|error| Errors(vec![error]))?),
            settings: settings.clone(),
        })
    }

    /// Reads the files again if they have changed since, or since `tried`. New connections have
    /// what is in them; when that is not good, what was there before. True: they were read well.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn read_changes(&self, tried: &mut Stamped) -> Result<bool, Error> {
        let files = self.loaded().files.now();
        if files == self.loaded().files || files == *tried {
            return Ok(false);
        }
        *tried = files;
        let loaded = load(&self.settings)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }

    /// When the first certificate of the chain that clients are shown ends, in seconds since 1970.
    #[must_use]
    pub fn expires_s(&self) -> u32 {
        self.loaded().expires_s
    }

    /// The handshake, and whose certificate the client showed.
    ///
    /// # Errors
    /// It failed, or the certificate has no one common name.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<(TlsStream<TcpStream>, Option<Certificate>)> {
        let acceptor = TlsAcceptor::from(self.loaded().config);
        let stream = acceptor.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let certificate = shown.and_then(|chain| chain.first()).map(subject);
        let certificate = certificate.transpose().map_err(std::io::Error::other)?;
        Ok((stream, certificate))
    }

    fn loaded(&self) -> Loaded {
        self.loaded
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn load(settings: &TlsFiles) -> Result<Loaded, Error> {
    let mut files = Stamped::default();
    let mut read = |key: &str, path: &std::path::Path| {
        files
            .read(path)
            .map_err(|error| Error::of_key(key, &format!("{}: {error}", path.display())))
    };
    let fault = |key: &str, path: &std::path::Path, what: &str| {
        Error::of_key(key, &format!("{}: {what}", path.display()))
    };

    let chain = read("server.tls_cert", &settings.cert)?;
    let chain = certificates(&chain)
        .ok_or_else(|| fault("server.tls_cert", &settings.cert, "no certificates as PEM"))?;
    let expires_s = expiry(&chain).ok_or_else(|| {
        fault(
            "server.tls_cert",
            &settings.cert,
            "a certificate cannot be read",
        )
    })?;
    let key = read("server.tls_key", &settings.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| fault("server.tls_key", &settings.key, "no private key as PEM"))?;

    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| fault("server.tls_cert", &settings.cert, &error.to_string()))?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let wrong = |what: &str| fault("server.tls_client_ca", path, what);
            let authorities = read("server.tls_client_ca", path)?;
            let authorities =
                certificates(&authorities).ok_or_else(|| wrong("no certificates as PEM"))?;
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                let added = roots.add(authority);
                added.map_err(|error| wrong(&error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| wrong(&error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let what = format!("does not go with server.tls_cert: {error}");
        fault("server.tls_key", &settings.key, &what)
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Loaded {
        config: Arc::new(config),
        files,
        expires_s,
    })
}

/// When the first of these certificates ends, in seconds since 1970.
fn expiry(chain: &[CertificateDer<'_>]) -> Option<u32> {
    let end = |certificate| {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let end_s = certificate.validity().not_after.timestamp();
        // Before 1970 or after 2106: as early, or as late, as can be told.
        Some(u32::try_from(end_s.max(0)).unwrap_or(u32::MAX))
    };
    let ends: Option<Vec<u32>> = chain.iter().map(|certificate| end(certificate)).collect();
    ends?.into_iter().min()
}

/// When the first of the certificates of a PEM file ends, in seconds since 1970. None: there is none,
/// or one cannot be read.
#[must_use]
pub fn ends_s(pem: &[u8]) -> Option<u32> {
    expiry(&certificates(pem)?)
}

/// At least one, or none is good.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .ok()?;
    (!all.is_empty()).then_some(all)
}

/// The one common name of a certificate's subject.
fn subject(certificate: &CertificateDer<'_>) -> Result<Certificate, &'static str> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| "the client's certificate cannot be read")?;
    let mut names = certificate.subject().iter_common_name();
    match (
        names.next().map(AttributeTypeAndValue::as_str),
        names.next(),
    ) {
        (Some(Ok(name)), None) => Ok(Certificate(name.into())),
        _ => Err("the subject of the client's certificate has not one common name"),
    }
}
