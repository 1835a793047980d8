//! The public key of a playback key pair: ECDSA over P-384, in PEM, and its fingerprint.
//!
//! The form is checked to the last byte, but not whether the point is on the curve: nothing
//! here ever verifies a token with it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// What comes before the point in the DER of a P-384 key: SEQUENCE (id-ecPublicKey,
/// secp384r1), BIT STRING, and the mark of an uncompressed point (RFC 5480, SEC 1).
const P384: [u8; 24] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
];

/// Two coordinates of 384 bits.
const POINT: usize = 96;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PublicKeyError {
    #[error("publicKeyMaterial must be a public key in PEM: -----BEGIN PUBLIC KEY-----")]
    NotPem,
    #[error("publicKeyMaterial must be an ECDSA public key on the curve P-384 (secp384r1)")]
    NotP384,
}

/// The MD5 of the key's DER, as 16 pairs of digits with colons between them: the form of the
/// IVS user guide, which does not say of what it is. [inf]
pub(super) fn fingerprint(pem: &str) -> Result<String, PublicKeyError> {
    let body = pem
        .trim()
        .strip_prefix("-----BEGIN PUBLIC KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
        .ok_or(PublicKeyError::NotPem)?;
    let base64: String = body.split_ascii_whitespace().collect();
    let der = STANDARD
        .decode(base64)
        .map_err(|_| PublicKeyError::NotPem)?;
    if der.len() != P384.len() + POINT || !der.starts_with(&P384) {
        return Err(PublicKeyError::NotP384);
    }
    let pairs = Md5::digest(&der)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<Vec<_>>();
    Ok(pairs.join(":"))
}

#[cfg(test)]
mod tests {
    use super::{PublicKeyError, fingerprint};

    #[test]
    fn only_p384_keys_have_a_fingerprint() {
        let lines = [
            "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVjYMV+P4ML6xemanCrtse/FDwsNnpYmS",
            "S6vRV9Wx37mjwi02hObKuCJqpj7x0lpz0bHm5v1JBvdZYAd/r2LR5aChK+/GM2Wj",
            "l8MG9NJIVFaw1u3bvjEjzTASSfS1BDX1",
        ];
        let pem =
            |body: &str| format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        let good = "cb:d1:7b:f3:bc:5e:0e:d1:3a:e0:ab:76:08:d7:e5:16".to_owned();
        let p256 = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==";
        #[rustfmt::skip]
        let cases = [
            (pem(&lines.join("\n")), Ok(good.clone())),
            (pem(&lines.join("\r\n")), Ok(good.clone())),
            (pem(&lines.join("")), Ok(good)),
            (pem(p256), Err(PublicKeyError::NotP384)),
            (pem(&lines[..2].join("")), Err(PublicKeyError::NotP384)),
            (pem(""), Err(PublicKeyError::NotP384)),
            (pem("*"), Err(PublicKeyError::NotPem)),
            (lines.join("\n"), Err(PublicKeyError::NotPem)),
            (pem(&lines.join("\n")).replace("PUBLIC", "PRIVATE"), Err(PublicKeyError::NotPem)),
            (String::new(), Err(PublicKeyError::NotPem)),
        ];
        for (text, expected) in cases {
            assert_eq!(fingerprint(&text), expected, "{text}");
        }
    }
}
