//! Playback key pairs: three an account and region, no key twice.

use super::documents::{Family, LIST, arn_of, create, default, delete, get, list};
use super::operation::{Does, Operation, operation};
use super::public_key;
use crate::input::{Member, Members, NAME, Rule, Shape, optional, required};
use crate::limits::QUOTA_PLAYBACK_KEY_PAIRS;
use crate::state::Kind;
use serde_json::Value;

/// Only the fingerprint of a key is ever shown, and kept.
struct KeyPairs;

impl Family for KeyPairs {
    const KIND: Kind = Kind {
        arn: "playback-key",
        words: "playback key pairs",
        quota: QUOTA_PLAYBACK_KEY_PAIRS,
        unique: Some(("fingerprint", "The public key was imported before")),
        used: None,
        states: None,
    };
    const ONE: &'static str = "keyPair";
    const MANY: &'static str = "keyPairs";
    const NOT_LISTED: &'static [&'static str] = &["fingerprint"];
    /// The quota, which is less than 100.
    const PAGE: u32 = 3;

    fn complete(members: &mut Members) -> Result<(), String> {
        let material = members.remove("publicKeyMaterial");
        let material = material.as_ref().and_then(Value::as_str);
        let fingerprint = public_key::fingerprint(material.unwrap_or_default());
        let fingerprint = fingerprint.map_err(|error| error.to_string())?;
        default(members, "fingerprint", fingerprint);
        default(members, "name", "");
        Ok(())
    }
}

const IMPORT: &[Member] = &[
    required("publicKeyMaterial", Shape::Text(Rule::Any)),
    optional("name", Shape::Text(NAME)),
    optional("tags", Shape::Tags),
];
const ONE: &[Member] = &[arn_of(KeyPairs::KIND.arn)];

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    operation("ivs:DeletePlaybackKeyPair", 3, Does::Write, ONE, delete::<KeyPairs>),
    operation("ivs:GetPlaybackKeyPair", 3, Does::Read, ONE, get::<KeyPairs>),
    operation("ivs:ImportPlaybackKeyPair", 3, Does::Write, IMPORT, create::<KeyPairs>),
    operation("ivs:ListPlaybackKeyPairs", 3, Does::Read, LIST, list::<KeyPairs>),
];
