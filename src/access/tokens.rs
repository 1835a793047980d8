//! JSON web tokens: one algorithm, one set of keys, and what a token says of its bearer.
//!
//! Signatures are `jsonwebtoken`'s business. Times are compared here, because the clock is an
//! argument.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, EllipticCurveKeyParameters, Jwk, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::caller::{Caller, Denied, Scopes};
use super::keys::hash;
use crate::config::glob::Glob;
use crate::config::{JwtAlgorithm, Scope, Secret, TokenSettings};

/// Least bytes of a shared secret: as many as the hash has (RFC 7518, section 3.2).
const SECRET_MIN_BYTES: usize = 32;

/// Most keys of a JWKS: issuers have a few at a time. A token without `kid` is tried with each.
const KEYS_MAX: usize = 16;

/// Tokens that are remembered as good: verifying a signature costs up to 60 µs, finding one that
/// was seen less than 1. All are forgotten when there are more.
const SEEN_MAX: usize = 4096;

/// The issuer's clock may be so far ahead of ours, in s.
const NOT_BEFORE_LEEWAY_S: u64 = 5;

/// Longest token, in bytes: some that are remembered are held whole.
const TOKEN_MAX: usize = 8 << 10;

/// Longest `sub`, in bytes: it is shown in logs.
const SUBJECT_MAX: usize = 128;

/// What a token says.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    channels: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

/// One way to sign tokens, and the keys of those who may.
pub(super) struct Tokens {
    algorithm: Algorithm,
    /// With their `kid`, if they have one.
    keys: Vec<(Option<String>, DecodingKey)>,
    validation: Validation,
    /// By the SHA-256 of their text.
    seen: Mutex<HashMap<[u8; 32], Arc<Caller>>>,
}

/// Whether a text may be a token: three parts, and not too long.
pub(super) fn is_token(text: &str) -> bool {
    text.len() <= TOKEN_MAX && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Tokens {
    /// Tokens as these settings take them, by the text of their key file.
    ///
    /// # Errors
    /// What is wrong with the file; never what is in it. Keys of a set that cannot be used are
    /// skipped, with a warning.
    pub(super) fn new(
        settings: &TokenSettings,
        file: &[u8],
        warnings: &mut Vec<String>,
    ) -> Result<Self, String> {
        let algorithm = match settings.algorithm {
            JwtAlgorithm::Hs256 => Algorithm::HS256,
            JwtAlgorithm::Rs256 => Algorithm::RS256,
            JwtAlgorithm::Es256 => Algorithm::ES256,
            JwtAlgorithm::EdDsa => Algorithm::EdDSA,
        };
        let keys = if file.trim_ascii_start().starts_with(b"{") {
            key_set(file, algorithm, warnings)?
        } else {
            vec![(None, one_key(file, algorithm)?)]
        };
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = settings.audience.is_some();
        let mut required = Vec::new();
        if let Some(issuer) = &settings.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &settings.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        Ok(Self {
            algorithm,
            keys,
            validation,
            seen: Mutex::default(),
        })
    }

    /// Whose token it is. `now_s` is in seconds since 1970.
    pub(super) fn verify(&self, text: &str, now_s: u64) -> Result<Arc<Caller>, Denied> {
        let hash = hash(text);
        let known = self.seen().get(&hash).cloned();
        let caller = if let Some(caller) = known {
            caller
        } else {
            let caller = Arc::new(self.read(text, now_s)?);
            let mut seen = self.seen();
            if seen.len() >= SEEN_MAX {
                seen.clear();
            }
            seen.insert(hash, Arc::clone(&caller));
            caller
        };
        if caller.expires_s().is_some_and(|end| end <= now_s) {
            return Err(denied("the token has expired"));
        }
        Ok(caller)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<Caller>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, text: &str, now_s: u64) -> Result<Caller, Denied> {
        let claims = self.claims(text)?;
        let seconds = |at: f64| if at.is_finite() { at.max(0.0) } else { 0.0 };
        let expires_s = whole(seconds(claims.exp));
        if claims
            .nbf
            .is_some_and(|at| whole(seconds(at)) > now_s.saturating_add(NOT_BEFORE_LEEWAY_S))
        {
            return Err(denied("the token is not valid yet"));
        }
        let globs = claims.channels.iter().map(|glob| glob.parse());
        let channels: Vec<Glob> = globs
            .collect::<Result<_, _>>()
            .map_err(|_| denied("the token's claim channels has something that is no pattern"))?;
        // Words that mean nothing here may mean something to others who take the token.
        let named = |word: &String| Scope::ALL.into_iter().find(|scope| scope.name() == word);
        let scopes: Scopes = claims.scopes.iter().filter_map(named).collect();
        let subject = claims.sub.unwrap_or_default();
        let fits =
            (1..=SUBJECT_MAX).contains(&subject.len()) && !subject.contains(char::is_control);
        let subject = if fits { &subject } else { "a token's bearer" };
        let token = Secret::new(text.to_owned());
        Ok(Caller::of_token(
            subject, scopes, channels, expires_s, token,
        ))
    }

    fn claims(&self, text: &str) -> Result<Claims, Denied> {
        let header = decode_header(text).map_err(|_| denied("it is neither a key nor a token"))?;
        if header.alg != self.algorithm {
            return Err(denied(
                "the token is signed with another algorithm than is taken",
            ));
        }
        if header.crit.is_some() {
            return Err(denied("the token says that more of it must be understood"));
        }
        let fits = |kid: &Option<String>| match (kid, &header.kid) {
            (Some(has), Some(wanted)) => has == wanted,
            _ => true,
        };
        let mut keys = self.keys.iter().filter(|(kid, _)| fits(kid)).peekable();
        if keys.peek().is_none() {
            return Err(denied("the token names a key that is not known"));
        }
        let mut why = None;
        for (_, key) in keys {
            match decode::<Claims>(text, key, &self.validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) => why = Some(error),
            }
        }
        Err(why.map_or(Denied::UNKNOWN_KEY, |error| refused(&error)))
    }
}

/// What is wrong with a token, for its bearer.
fn refused(error: &jsonwebtoken::errors::Error) -> Denied {
    use jsonwebtoken::errors::ErrorKind;
    denied(match error.kind() {
        ErrorKind::InvalidIssuer => "the token is of another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => {
            "the token has not all of iss, aud and exp it must have"
        }
        ErrorKind::Json(_) => {
            "the token's claims are not of the types they must have: exp is needed"
        }
        _ => "the token's signature is not good",
    })
}

fn denied(detail: &'static str) -> Denied {
    Denied::Unknown(detail.into())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative; what is beyond any time becomes the last one"
)]
const fn whole(seconds: f64) -> u64 {
    seconds as u64
}

fn one_key(file: &[u8], algorithm: Algorithm) -> Result<DecodingKey, String> {
    let key = match algorithm {
        Algorithm::HS256 => {
            let secret = file.strip_suffix(b"\n").unwrap_or(file);
            if secret.starts_with(b"-----BEGIN") {
                return Err("a key as PEM is no shared secret: anybody may have it".to_owned());
            }
            let key = DecodingKey::from_secret(secret);
            return long_enough(&key).map(|()| key);
        }
        Algorithm::RS256 => DecodingKey::from_rsa_pem(file),
        Algorithm::ES256 => DecodingKey::from_ec_pem(file),
        _ => DecodingKey::from_ed_pem(file),
    };
    key.map_err(|_| format!("not a public key for {algorithm:?} as PEM, nor a JWKS"))
}

fn long_enough(secret: &DecodingKey) -> Result<(), String> {
    let bytes = secret.try_get_as_bytes().unwrap_or_default();
    if bytes.len() < SECRET_MIN_BYTES {
        return Err(format!(
            "a secret for HS256 has at least {SECRET_MIN_BYTES} bytes"
        ));
    }
    Ok(())
}

/// A JWKS with each key on its own, so that one that cannot be read harms no other.
#[derive(Deserialize)]
struct KeySet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The keys of a JWKS that are meant for this algorithm. As RFC 7517, section 5, says, a key that
/// cannot be understood or used is skipped: issuers publish keys of many kinds.
fn key_set(
    file: &[u8],
    algorithm: Algorithm,
    warnings: &mut Vec<String>,
) -> Result<Vec<(Option<String>, DecodingKey)>, String> {
    let set: KeySet<'_> =
        serde_json::from_slice(file).map_err(|error| format!("not a JWKS: {error}"))?;
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (index, key) in set.keys.iter().enumerate() {
        match one_of_set(key.get(), algorithm) {
            Ok(found) => keys.extend(found),
            Err(why) => skipped.push(format!("key {index} of the set is skipped: {why}")),
        }
    }
    let all_skipped = format!("there is no key for {algorithm:?} in it");
    match keys.len() {
        0 => Err([&[all_skipped], skipped.as_slice()].concat().join("; ")),
        1..=KEYS_MAX => {
            let told = skipped.iter().map(|why| format!("jwt.key_file: {why}"));
            warnings.extend(told);
            Ok(keys)
        }
        n => Err(format!(
            "{n} keys for {algorithm:?}; at most {KEYS_MAX} are taken"
        )),
    }
}

/// One key of a set; none: it is meant for something else.
fn one_of_set(
    text: &str,
    algorithm: Algorithm,
) -> Result<Option<(Option<String>, DecodingKey)>, String> {
    // Never what is in it: a set for HS256 holds secrets.
    let jwk: Jwk = serde_json::from_str(text).map_err(|_| "it is not a key of a known kind")?;
    let fits = matches!(
        (&jwk.algorithm, algorithm),
        (AlgorithmParameters::OctetKey(_), Algorithm::HS256)
            | (AlgorithmParameters::RSA(_), Algorithm::RS256)
            | (
                AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
                    curve: EllipticCurve::P256,
                    ..
                }),
                Algorithm::ES256
            )
            | (AlgorithmParameters::OctetKeyPair(_), Algorithm::EdDSA)
    );
    let used = jwk.common.public_key_use.as_ref();
    let signs = used.is_none_or(|used| *used == PublicKeyUse::Signature);
    let named = jwk.common.key_algorithm.map(|named| named.to_string());
    if !fits || !signs || named.is_some_and(|named| named != format!("{algorithm:?}")) {
        return Ok(None);
    }
    let key = DecodingKey::from_jwk(&jwk)
        .map_err(|_| format!("it is no good key for {algorithm:?} (is its base64 padded?)"))?;
    if algorithm == Algorithm::HS256 {
        long_enough(&key)?;
    }
    Ok(Some((jwk.common.key_id.clone(), key)))
}
