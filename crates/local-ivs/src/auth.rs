//! Who is calling: keys with their accounts, and the signature that proves one.
//!
//! Reads no files; the binary hands in the text of the credentials file.

use crate::clock::Clock;
use http::request::Parts;
use serde::Deserialize;
use sigv4::{Error as SignatureError, Request, Secret};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// The signing name of Amazon IVS.
const SERVICE: &str = "ivs";

/// Access keys and what they may do.
///
/// The default holds one: access key `test`, secret `test`, account 000000000000, every
/// operation. Clones are the same keys: what one is given, all have.
#[derive(Debug, Clone)]
pub struct Keys(Arc<RwLock<HashMap<String, Key>>>);

#[derive(Debug, Clone)]
struct Key {
    secret: Secret,
    account: String,
    /// `None`: all.
    operations: Option<Vec<String>>,
}

impl Key {
    fn of_all(secret: &str, account: &str) -> Self {
        Self {
            secret: Secret::new(secret),
            account: account.to_owned(),
            operations: None,
        }
    }
}

/// What is wrong with a credentials file; the text says which key and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeysError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeys {
    key: Vec<RawKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    account: String,
    operations: Option<Vec<String>>,
}

impl Default for Keys {
    fn default() -> Self {
        Self::new([("test".to_owned(), "test", "000000000000")])
    }
}

impl Keys {
    /// Keys that may do everything: access key id, secret, account.
    pub fn new<'a>(keys: impl IntoIterator<Item = (String, &'a str, &'a str)>) -> Self {
        let keys = keys
            .into_iter()
            .map(|(id, secret, account)| (id, Key::of_all(secret, account)));
        Self::of(keys.collect())
    }

    fn of(keys: HashMap<String, Key>) -> Self {
        Self(Arc::new(RwLock::new(keys)))
    }

    /// Adds a key that may do everything, also for a server that runs; one of the same id goes.
    pub fn add(&self, id: String, secret: &str, account: &str) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(id, Key::of_all(secret, account));
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Key>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the text of a credentials file: TOML with at least one `[[key]]` of
    /// `access_key_id`, `secret_access_key`, `account` (12 digits), and optionally
    /// `session_token` and `operations` (`["ivs:PutMetadata", "ivs:Get*"]`; without it all are
    /// allowed).
    ///
    /// # Errors
    ///
    /// [`KeysError`] with the line or the key that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, KeysError> {
        let raw: RawKeys = toml::from_str(text).map_err(|error| KeysError(error.to_string()))?;
        let mut keys = HashMap::new();
        for key in raw.key {
            let id = key.access_key_id;
            let wrong = |what: &str| Err(KeysError(format!("key '{id}': {what}")));
            if id.is_empty() || id.contains('/') || id.contains(',') || id.contains(' ') {
                return wrong("access_key_id must not be empty nor hold '/', ',' or blanks");
            }
            if key.secret_access_key.is_empty() {
                return wrong("secret_access_key is empty");
            }
            let digits = key.account.bytes().all(|byte| byte.is_ascii_digit());
            if key.account.len() != 12 || !digits {
                return wrong("account must be 12 digits, in quotes");
            }
            if let Some(operations) = &key.operations {
                for operation in operations {
                    let name = operation.strip_prefix("ivs:").unwrap_or_default();
                    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'*';
                    if operation != "*" && (name.is_empty() || !name.bytes().all(allowed)) {
                        return wrong(&format!(
                            "operation '{operation}' must be written like \"ivs:PutMetadata\" or \"ivs:Get*\""
                        ));
                    }
                }
            }
            if keys.contains_key(&id) {
                return wrong("is there twice");
            }
            let mut secret = Secret::new(key.secret_access_key);
            if let Some(token) = key.session_token {
                secret = secret.with_session_token(token);
            }
            let key = Key {
                secret,
                account: key.account,
                operations: key.operations,
            };
            keys.insert(id, key);
        }
        if keys.is_empty() {
            return Err(KeysError("there is no [[key]] in the file".to_owned()));
        }
        Ok(Self::of(keys))
    }

    /// Verifies the signature of a request.
    pub(crate) fn authenticate(
        &self,
        parts: &Parts,
        body: &[u8],
        clock: &dyn Clock,
    ) -> Result<Caller, SignatureError> {
        let request = Request {
            method: parts.method.as_str(),
            uri: &parts.uri,
            headers: &parts.headers,
            body,
        };
        let verified = sigv4::verify(&request, SERVICE, clock.wall(), |id| {
            self.read().get(id).map(|key| key.secret.clone())
        })?;
        let keys = self.read();
        let key = keys
            .get(&verified.access_key_id)
            .ok_or(SignatureError::UnknownKey)?;
        Ok(Caller {
            home: format!("arn:aws:ivs:{}:{}", verified.region, key.account),
            account: key.account.clone(),
            access_key_id: verified.access_key_id,
        })
    }

    /// Whether the caller's key may use an operation, given as `ivs:PutMetadata`.
    pub(crate) fn allows(&self, caller: &Caller, operation: &str) -> bool {
        self.read().get(&caller.access_key_id).is_some_and(|key| {
            key.operations
                .as_ref()
                .is_none_or(|allowed| allowed.iter().any(|pattern| matches(pattern, operation)))
        })
    }
}

/// Whether an action is meant by a pattern whose `*` stands for any characters, none
/// included; upper and lower case are one, as in IAM.
fn matches(pattern: &str, action: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern.eq_ignore_ascii_case(action);
    };
    let Some(begins) = action.get(..start.len()) else {
        return false;
    };
    begins.eq_ignore_ascii_case(start)
        && (start.len()..=action.len())
            .filter_map(|end| action.get(end..))
            .any(|left| matches(rest, left))
}

/// Whose signature it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) access_key_id: String,
    /// 12 digits.
    pub(crate) account: String,
    /// The account and the region in the signature's scope: `arn:aws:ivs:REGION:ACCOUNT`.
    pub(crate) home: String,
}

#[cfg(test)]
mod tests {
    use super::{Keys, matches};

    fn check(text: &str, expected: Result<usize, &str>) {
        match (Keys::from_toml(text), expected) {
            (Ok(keys), Ok(count)) => assert_eq!(keys.read().len(), count, "{text}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn patterns_mean_actions() {
        for (pattern, action, expected) in [
            ("ivs:GetStream", "ivs:GetStream", true),
            ("ivs:getstream", "ivs:GetStream", true),
            ("ivs:GetStream", "ivs:GetStreamKey", false),
            ("ivs:GetStream*", "ivs:GetStreamKey", true),
            ("ivs:*", "ivs:GetStream", true),
            ("*", "ivs:GetStream", true),
            ("ivs:List*", "ivs:GetStream", false),
            ("ivs:*Stream", "ivs:GetStream", true),
            ("ivs:*Stream", "ivs:GetStreamKey", false),
            ("ivs:*Str*Key", "ivs:GetStreamKey", true),
            ("ivs:G**m", "ivs:GetStream", true),
            ("", "ivs:GetStream", false),
        ] {
            assert_eq!(matches(pattern, action), expected, "{pattern} {action}");
        }
    }

    #[test]
    fn credentials_files_are_checked() {
        let key = |id: &str, more: &str| {
            format!(
                "[[key]]\naccess_key_id = '{id}'\nsecret_access_key = 's'\naccount = '123456789012'\n{more}\n"
            )
        };
        check(&key("a", ""), Ok(1));
        check(
            &(key("a", "operations = ['ivs:PutMetadata']") + &key("b", "operations = []")),
            Ok(2),
        );
        check(&key("a", "operations = ['ivs:Get*', 'ivs:*', '*']"), Ok(1));
        check(&key("a", "operations = ['ivs:Get Stream']"), Err("like"));
        check(&key("a", "session_token = 't'"), Ok(1));
        check(&(key("a", "") + &key("a", "")), Err("'a': is there twice"));
        check(&key("a/b", ""), Err("access_key_id"));
        check(
            &key("a", "operations = ['PutMetadata']"),
            Err("like \"ivs:PutMetadata\""),
        );
        check(&key("a", "region = 'x'"), Err("unknown field `region`"));
        check(
            &key("a", "").replace("'123456789012'", "'12'"),
            Err("12 digits"),
        );
        check(
            &key("a", "").replace("'123456789012'", "123456789012"),
            Err("string"),
        );
        check(
            &key("a", "").replace("'s'", "''"),
            Err("secret_access_key is empty"),
        );
        check("key = []", Err("no [[key]]"));
        check("", Err("missing field `key`"));
    }
}
