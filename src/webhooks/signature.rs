//! The secret of an endpoint, and what it signs: Standard Webhooks 1.0.0, symmetric.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// How a secret begins, so that people see what it is.
const PREFIX: &str = "whsec_";

/// Bytes of a secret, as the specification has them.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What signs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Vec<u8>);

impl Secret {
    /// Reads a secret as it is written.
    ///
    /// # Errors
    /// It is not one, in words that do not repeat it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "not a secret of Standard Webhooks: whsec_ and the base64 of 24 to 64 bytes, as \
             `echo whsec_$(openssl rand -base64 32)` makes one"
                .to_owned()
        };
        let encoded = text.strip_prefix(PREFIX).ok_or_else(wrong)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| wrong())?;
        if !BYTES.contains(&bytes.len()) {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }

    /// The header `webhook-signature` of a message. The id has no full stop.
    pub(super) fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        format!("v1,{signature}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_libraries_of_the_specification_verify_it() {
        // The vector of their tests.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_repeated() {
        let (short, long) = (STANDARD.encode([7; 23]), STANDARD.encode([7; 65]));
        for text in [
            "",
            "whsec_",
            "whsec_geheim",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &format!("whsec_{short}"),
            &format!("whsec_{long}"),
        ] {
            let refused = Secret::parse(text).expect_err(text);
            assert!(refused.contains("24 to 64 bytes"), "{refused}");
            assert!(!refused.contains("geheim"), "{refused}");
        }
        assert!(Secret::parse(&format!("whsec_{}", STANDARD.encode([7; 64]))).is_ok());
    }
}
