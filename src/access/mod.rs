//! Who may do what: a key, a token, a certificate or a signature in, a [`Caller`] out, with its
//! scopes, its channels and its limits.
//!
//! It never answers a request: why somebody may not is a [`Denied`], which the doors turn into
//! answers of their own. It holds no key, only hashes, and no secret can be printed.
//!
//! - `caller`: what somebody may do, and the limits of that;
//! - `keys`: API keys; `tokens`: JSON web tokens; `signatures`: AWS's;
//! - `limits`: what a producer may send, in events and bytes a second;
//! - `keyring`: the access in force, and how it changes under open connections;
//! - [`browser`]: what pages of other origins may not do;
//! - `files`: files that are read again when they change.

pub mod browser;
mod caller;
mod files;
mod keyring;
mod keys;
mod limits;
mod signatures;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap};

use crate::config::{ApiKeySettings, Error, Errors, SecretSource, Settings};
use caller::Credential;
pub use caller::{Caller, Certificate, Denied, producer};
pub use files::{Stamped, read_bounded};
pub use keyring::Keyring;
use keys::Keys;
pub(crate) use keys::{hash, hex};
pub use limits::{BodyBudget, ConnectionPermit, Limits};
use signatures::Signatures;
use tokens::Tokens;

/// Environment variables by name.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Who may do what, by one configuration.
pub struct Access {
    /// None: nobody has to show anything.
    proofs: Option<Proofs>,
    anyone: Arc<Caller>,
    /// What producers may send, by the names of their keys: carried over to the next access.
    limits: HashMap<Arc<str>, Arc<Limits>>,
    files: Stamped,
    /// What was left out of it, and why.
    warnings: Vec<String>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// What callers show, and what it makes them.
struct Proofs {
    keys: Keys,
    tokens: Option<Tokens>,
    signatures: Signatures,
}

/// What somebody showed with a request.
#[derive(Clone, Copy, Debug, Default)]
struct Shown<'a> {
    bearer: Option<&'a str>,
    certificate: Option<&'a Arc<str>>,
}

impl Access {
    /// Reads the files and variables that the settings name. Limits of producers go on where
    /// those of `before` are.
    ///
    /// # Errors
    /// Every file and variable that is not there or does not hold what it should.
    pub fn build(settings: &Settings, env: Env<'_>, before: Option<&Self>) -> Result<Self, Errors> {
        let mut build = Build {
            env,
            before,
            files: Stamped::default(),
            limits: HashMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        let proofs = settings.needs_proof().then(|| build.proofs(settings));
        if !build.errors.is_empty() {
            return Err(Errors(build.errors));
        }
        Ok(Self {
            proofs,
            anyone: Arc::new(Caller::anyone()),
            limits: build.limits,
            files: build.files,
            warnings: build.warnings,
        })
    }

    /// What was left out of it, and why: keys of a JWKS that cannot be used.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether callers have to show anything.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.proofs.is_none()
    }

    /// Who sent a request, by what is in its head and what its connection showed. `now_s` is the
    /// wall clock in seconds since 1970.
    ///
    /// # Errors
    /// [`Denied`]: nothing that is known, or no more.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
        now_s: u64,
    ) -> Result<Arc<Caller>, Denied> {
        let Some(proofs) = &self.proofs else {
            return Ok(Arc::clone(&self.anyone));
        };
        let shown = Shown {
            bearer: bearer(headers)?,
            certificate: extensions.get().map(|Certificate(name)| name),
        };
        proofs.identify(shown, now_s)
    }

    /// The same caller by this access: what it showed is looked at anew.
    ///
    /// # Errors
    /// [`Denied`]: it is known no more.
    pub fn identify_again(&self, caller: &Caller, now_s: u64) -> Result<Arc<Caller>, Denied> {
        let Some(proofs) = &self.proofs else {
            return Ok(Arc::clone(&self.anyone));
        };
        match &caller.credential {
            Credential::Key(hash) => proofs.keys.by_hash(hash).ok_or(Denied::UNKNOWN_KEY),
            Credential::Certificate(name) => proofs.certificate(name),
            Credential::Token(token) => proofs.token(token.expose(), now_s),
            // A signature opens nothing that outlives its request.
            Credential::None | Credential::Signature => Err(Denied::NOTHING_SHOWN),
        }
    }

    /// Who signed a request of an AWS client.
    ///
    /// # Errors
    /// What is wrong with the signature, in AWS's words.
    pub fn verify(
        &self,
        request: &sigv4::Request<'_>,
        now: SystemTime,
    ) -> Result<Arc<Caller>, sigv4::Error> {
        match &self.proofs {
            None => Ok(Arc::clone(&self.anyone)),
            Some(proofs) => proofs.signatures.verify(request, now),
        }
    }

    /// Forgets what limits remember of channels that are quiet.
    pub fn tidy(&self) {
        self.limits.values().for_each(|limits| limits.tidy());
    }

    /// The files it was made of, as they were then.
    #[must_use]
    pub const fn files(&self) -> &Stamped {
        &self.files
    }
}

impl Proofs {
    fn identify(&self, shown: Shown<'_>, now_s: u64) -> Result<Arc<Caller>, Denied> {
        match (shown.bearer, shown.certificate) {
            (Some(text), _) => match self.keys.find(text) {
                Some(caller) => Ok(caller),
                None => self.token(text, now_s),
            },
            (None, Some(name)) => self.certificate(name),
            (None, None) => Err(Denied::NOTHING_SHOWN),
        }
    }

    fn token(&self, text: &str, now_s: u64) -> Result<Arc<Caller>, Denied> {
        match &self.tokens {
            Some(tokens) if tokens::is_token(text) => tokens.verify(text, now_s),
            _ => Err(Denied::UNKNOWN_KEY),
        }
    }

    fn certificate(&self, name: &Arc<str>) -> Result<Arc<Caller>, Denied> {
        let caller = self.keys.by_name(name).ok_or(Denied::UNKNOWN_CERTIFICATE)?;
        Ok(Arc::new(
            caller.shown(Credential::Certificate(Arc::clone(name))),
        ))
    }
}

/// The text after `Bearer` of the one `Authorization` header, if there is one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let text = first.to_str().ok().filter(|_| all.next().is_none());
    let (scheme, rest) = text
        .and_then(|text| text.split_once(' '))
        .ok_or(Denied::NOT_BEARER)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(rest.trim()))
    } else {
        Err(Denied::NOT_BEARER)
    }
}

/// An access while it is built.
struct Build<'a> {
    env: Env<'a>,
    before: Option<&'a Access>,
    files: Stamped,
    limits: HashMap<Arc<str>, Arc<Limits>>,
    errors: Vec<Error>,
    warnings: Vec<String>,
}

impl Build<'_> {
    fn proofs(&mut self, settings: &Settings) -> Proofs {
        let (mut keys, mut signatures) = (Keys::default(), Signatures::default());
        for key in &settings.api_keys {
            let name: Arc<str> = key.name.as_str().into();
            let limits = Some(self.limits_of(&name, key));
            let caller = Caller::of_key(&name, key, limits);
            if let Some((id, source)) = key.aws()
                && let Some(secret) = self.secret(&key.name, &source)
            {
                let caller = Arc::new(caller.shown(Credential::Signature));
                signatures.add(id, &secret, caller);
            }
            keys.add(caller, key.sha256);
        }
        let tokens = settings.jwt.tokens().and_then(|jwt| {
            let text = self.file("jwt.key_file", &jwt.key_file)?;
            Tokens::new(&jwt, &text, &mut self.warnings)
                .map_err(|what| self.error("jwt.key_file", &what))
                .ok()
        });
        Proofs {
            keys,
            tokens,
            signatures,
        }
    }

    fn limits_of(&mut self, name: &Arc<str>, key: &ApiKeySettings) -> Arc<Limits> {
        let before = self.before.and_then(|access| access.limits.get(name));
        let new = Limits::of(key, before.map(Arc::as_ref));
        // What was used of a limit that stays stays used.
        let same = before.filter(|before| before.is_same(&new)).cloned();
        let limits = same.unwrap_or_else(|| Arc::new(new));
        self.limits.insert(Arc::clone(name), Arc::clone(&limits));
        limits
    }

    fn secret(&mut self, key: &str, source: &SecretSource) -> Option<String> {
        match source {
            SecretSource::Env(name) => {
                // As of a file: what ends with a newline was put there by a shell or a secret store.
                let found = (self.env)(name).map(|secret| secret.trim_end().to_owned());
                let found = found.filter(|secret| !secret.is_empty());
                if found.is_none() {
                    let what = format!(
                        "of {key}: the environment variable {name} is not set, or is empty"
                    );
                    self.error("api_key.aws_secret_env", &what);
                }
                found
            }
            SecretSource::File(path) => {
                let bytes = self.file("api_key.aws_secret_file", path)?;
                let text = String::from_utf8(bytes)
                    .ok()
                    .map(|text| text.trim_end().to_owned());
                let found = text.filter(|text| !text.is_empty());
                if found.is_none() {
                    let what = format!("of {key}: {} is empty or no text", path.display());
                    self.error("api_key.aws_secret_file", &what);
                }
                found
            }
        }
    }

    fn file(&mut self, key: &'static str, path: &Path) -> Option<Vec<u8>> {
        match self.files.read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.error(key, &format!("{}: {error}", path.display()));
                None
            }
        }
    }

    fn error(&mut self, key: &str, what: &str) {
        self.errors.push(Error::of_key(key, what));
    }
}
