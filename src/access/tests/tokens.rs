//! Tokens of every algorithm, what they must say, and sets of keys.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use super::*;

/// A way to sign tokens: its name, a key file, and what signs.
pub(super) struct Signer {
    algorithm: Algorithm,
    pub(super) file: tempfile::NamedTempFile,
    key: EncodingKey,
}

pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

impl Signer {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let pair = |kind| KeyPair::generate_for(kind).expect("a key pair");
        let (public, key) = match algorithm {
            Algorithm::HS256 => (
                SECRET.to_owned(),
                EncodingKey::from_secret(SECRET.as_bytes()),
            ),
            Algorithm::RS256 => {
                let pair = pair(&PKCS_RSA_SHA256);
                let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes());
                (pair.public_key_pem(), key.expect("a key"))
            }
            Algorithm::ES256 => {
                let pair = pair(&PKCS_ECDSA_P256_SHA256);
                let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes());
                (pair.public_key_pem(), key.expect("a key"))
            }
            _ => {
                let pair = pair(&PKCS_ED25519);
                let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes());
                (pair.public_key_pem(), key.expect("a key"))
            }
        };
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, public).expect("a file");
        Self {
            algorithm,
            file,
            key,
        }
    }

    pub(super) fn lines(&self, more: &str) -> String {
        let (name, path) = (self.algorithm, self.file.path().display());
        format!("[jwt]\nalgorithm = \"{name:?}\"\nkey_file = \"{path}\"\n{more}\n")
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        let token = encode(&Header::new(self.algorithm), claims, &self.key).expect("a token");
        format!("Bearer {token}")
    }
}

pub(super) fn claims(change: &Value) -> Value {
    let mut claims = json!({
        "sub": "studio", "exp": NOW + 60, "channels": ["show-*"], "scopes": ["read", "publish"],
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        match value {
            Value::Null => {
                claims.as_object_mut().expect("an object").remove(name);
            }
            value => claims[name] = value.clone(),
        }
    }
    claims
}

#[test]
fn tokens_of_every_algorithm() {
    let algorithms = [
        Algorithm::HS256,
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ];
    let signers = algorithms.map(Signer::new);
    for signer in &signers {
        let access = access(&signer.lines(""));
        let token = signer.token(&claims(&json!({})));
        check(&access, &[&token], Ok("studio"));
        let caller = identified(&access, &[&token], NOW).expect("known");
        assert!(caller.may_use("show-1") && !caller.may_use("quiz"));
        let may = Scope::ALL.map(|scope| caller.may(scope).is_ok());
        assert_eq!(may, [true, true, false, false]);
        assert_eq!(caller.expires_s(), Some(NOW + 60));
        for other in &signers {
            if other.algorithm != signer.algorithm {
                let token = other.token(&claims(&json!({})));
                check(&access, &[&token], Err("another algorithm"));
            }
        }
        // The same algorithm with another key.
        let stranger = match signer.algorithm {
            Algorithm::HS256 => Signer {
                key: EncodingKey::from_secret(b"another secret of thirty-two byte"),
                ..Signer::new(Algorithm::HS256)
            },
            algorithm => Signer::new(algorithm),
        };
        let token = stranger.token(&claims(&json!({})));
        check(&access, &[&token], Err("signature"));
    }
    // A public key must not be taken for a shared secret, nor no signature for a good one.
    let rsa = &signers[1];
    let access = access(&rsa.lines(""));
    let public = std::fs::read(&rsa.file).expect("a key");
    let confused = encode(
        &Header::new(Algorithm::HS256),
        &claims(&json!({})),
        &EncodingKey::from_secret(&public),
    );
    let confused = format!("Bearer {}", confused.expect("a token"));
    check(&access, &[&confused], Err("another algorithm"));
    let none = format!(
        "Bearer eyJhbGciOiJub25lIn0.{}.",
        rsa.token(&claims(&json!({})))
            .split('.')
            .nth(1)
            .expect("claims")
    );
    check(&access, &[&none], Err("neither a key nor a token"));
}

#[test]
fn what_a_token_must_say() {
    let signer = Signer::new(Algorithm::HS256);
    let plain = access(&signer.lines(""));
    let strict = access(&signer.lines("issuer = \"us\"\naudience = \"cuegate\""));
    let ours = json!({"iss": "us", "aud": ["others", "cuegate"]});
    for (access, change, expected) in [
        (&plain, json!({"exp": NOW + 1}), Ok("studio")),
        (&plain, json!({"exp": NOW}), Err("expired")),
        (&plain, json!({"exp": NOW - 1}), Err("expired")),
        (&plain, json!({"exp": 1.5e9}), Err("expired")),
        (&plain, json!({"exp": 1e300}), Ok("studio")),
        (&plain, json!({"exp": null}), Err("exp is needed")),
        (&plain, json!({"exp": "soon"}), Err("exp is needed")),
        (&plain, json!({"nbf": NOW - 9}), Ok("studio")),
        (&plain, json!({"nbf": NOW + 5}), Ok("studio")),
        (&plain, json!({"nbf": NOW + 6}), Err("not valid yet")),
        (&plain, json!({"sub": null}), Ok("a token's bearer")),
        (&plain, json!({"sub": "a\nb"}), Ok("a token's bearer")),
        (&plain, json!({"channels": ["a?"]}), Err("no pattern")),
        (&plain, json!({"channels": "quiz"}), Err("types")),
        (&plain, json!({"scopes": ["write", "read"]}), Ok("studio")),
        (
            &plain,
            json!({"iss": "anyone", "aud": "anyone"}),
            Ok("studio"),
        ),
        (&strict, ours.clone(), Ok("studio")),
        (&strict, json!({}), Err("iss, aud and exp")),
        (&strict, json!({"iss": "us"}), Err("iss, aud and exp")),
        (
            &strict,
            json!({"iss": "them", "aud": "cuegate"}),
            Err("another issuer"),
        ),
        (
            &strict,
            json!({"iss": "us", "aud": "others"}),
            Err("another audience"),
        ),
    ] {
        check(access, &[&signer.token(&claims(&change))], expected);
    }
    // What must be understood and is not (RFC 7515, section 4.1.11).
    let mut header = Header::new(signer.algorithm);
    header.crit = Some(vec!["b64".to_owned()]);
    let critical = encode(&header, &claims(&json!({})), &signer.key).expect("a token");
    check(
        &plain,
        &[&format!("Bearer {critical}")],
        Err("must be understood"),
    );
    // Nothing of it may be changed, and what was good once ends too.
    let token = signer.token(&claims(&json!({})));
    check(&plain, &[&token], Ok("studio"));
    assert!(who(&plain, &[&token], NOW + 59).is_ok());
    assert!(who(&plain, &[&token], NOW + 60).is_err());
    let at = token.rfind('.').expect("a signature") + 10;
    let mut bent = token.clone();
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    bent.replace_range(at..=at, other);
    check(&plain, &[&bent], Err("signature"));
    let (head, signature) = token.rsplit_once('.').expect("a signature");
    let (head, _) = head.rsplit_once('.').expect("claims");
    check(
        &plain,
        &[&format!("{head}.e30.{signature}")],
        Err("signature"),
    );
}

#[test]
fn sets_of_keys() {
    let ed = Signer::new(Algorithm::EdDSA);
    let pair = |kid: &str| {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key pair");
        let raw = pair.public_key_raw();
        let x = base64_url(raw);
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).expect("a key");
        (
            json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x, "alg": "EdDSA"}),
            key,
        )
    };
    let ((one, one_key), (two, two_key)) = (pair("one"), pair("two"));
    let other = json!({"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256",
        "x": base64_url(&[1; 32]), "y": base64_url(&[2; 32])});
    std::fs::write(&ed.file, json!({"keys": [other, one, two]}).to_string()).expect("a file");
    let access = access(&ed.lines(""));
    let token = |kid: Option<&str>, key: &EncodingKey| {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = kid.map(str::to_owned);
        let token = encode(&header, &claims(&json!({})), key).expect("a token");
        format!("Bearer {token}")
    };
    check(&access, &[&token(Some("one"), &one_key)], Ok("studio"));
    check(&access, &[&token(Some("two"), &two_key)], Ok("studio"));
    check(&access, &[&token(None, &two_key)], Ok("studio"));
    check(&access, &[&token(Some("one"), &two_key)], Err("signature"));
    check(&access, &[&token(Some("ec"), &one_key)], Err("names a key"));
    check(
        &access,
        &[&token(Some("three"), &one_key)],
        Err("names a key"),
    );
    // One that is no good, or of a kind that nobody knows here, harms no other (RFC 7517, 5).
    let padded = json!({"kty": "OKP", "crv": "Ed25519", "kid": "bad", "x": "AAAA=="});
    let unknown = json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"});
    let set = json!({"keys": [padded, unknown, 5, one]}).to_string();
    std::fs::write(&ed.file, &set).expect("a file");
    let some = self::access(&ed.lines(""));
    check(&some, &[&token(Some("one"), &one_key)], Ok("studio"));
    let warned = some.warnings();
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(warned[0].starts_with("jwt.key_file: key 0 of the set is skipped"));
    assert!(!warned.concat().contains("AAAA"), "{warned:?}");
    let wrong = |text: &str, part: &str| {
        std::fs::write(&ed.file, text).expect("a file");
        let built = Access::build(&settings(&ed.lines("")), &|_| None, None);
        let errors = built.expect_err("a fault").to_string();
        assert!(
            errors.starts_with("jwt.key_file: ") && errors.contains(part),
            "{errors}"
        );
    };
    wrong("{\"keys\": []}", "no key for EdDSA");
    wrong("{\"keys\": 1}", "not a JWKS");
    wrong("", "not a public key for EdDSA as PEM");
    let hmac = Signer::new(Algorithm::HS256);
    for (text, part) in [
        (r#"{"keys":[{"kty":"oct","k":""}]}"#, "at least 32 bytes"),
        (
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA0000000000000000000000000000\n",
            "no shared secret",
        ),
    ] {
        std::fs::write(&hmac.file, text).expect("a file");
        let built = Access::build(&settings(&hmac.lines("")), &|_| None, None);
        let errors = built.expect_err("a fault").to_string();
        assert!(errors.contains(part), "{errors}");
    }
    wrong(
        &format!("{{\"keys\": [{}]}}", vec![one.to_string(); 17].join(",")),
        "17 keys",
    );
}

/// Without padding, as JWKs have it.
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk
            .iter()
            .fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let number = number << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let index = (number >> (18 - 6 * digit)) & 63;
            text.push(char::from(DIGITS[index as usize]));
        }
    }
    text
}
