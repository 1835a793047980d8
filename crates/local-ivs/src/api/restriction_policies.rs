//! Playback restriction policies: from which countries and origins a channel may be watched.
//! Nobody watches the emulator's channels, so that none is ever enforced.

use super::documents::LIST;
use super::documents::{Family, arn_of, create, default, delete, get, list, update};
use super::operation::{Does, Operation, operation};
use crate::input::{Member, Members, NAME, Rule, Shape, optional};
use crate::limits::QUOTA_CONFIGURATIONS;
use crate::state::Kind;
use serde_json::{Value, json};

struct Policies;

impl Family for Policies {
    const KIND: Kind = Kind {
        arn: "playback-restriction-policy",
        words: "playback restriction policies",
        quota: QUOTA_CONFIGURATIONS,
        unique: None,
        used: Some(|channel| &channel.playback_restriction_policy_arn),
        states: None,
    };
    const ONE: &'static str = "playbackRestrictionPolicy";
    const MANY: &'static str = "playbackRestrictionPolicies";
    /// Of the service model.
    const PAGE: u32 = 1;

    fn complete(members: &mut Members) -> Result<(), String> {
        default(members, "name", "");
        default(members, "allowedCountries", json!([]));
        default(members, "allowedOrigins", json!([]));
        default(members, "enableStrictOriginEnforcement", false);
        for country in texts(&members["allowedCountries"]) {
            if !COUNTRIES.split_ascii_whitespace().any(|it| it == country) {
                return Err(format!(
                    "allowedCountries must be officially assigned codes of ISO 3166-1 alpha-2, not '{country}'"
                ));
            }
        }
        for origin in texts(&members["allowedOrigins"]) {
            if !is_origin(origin) {
                return Err(format!(
                    "allowedOrigins must be values of the Origin header, such as https://example.com, not '{origin}'"
                ));
            }
        }
        Ok(())
    }
}

const COUNTRY: Shape = Shape::Text(Rule::Length(2, 2));
const ORIGIN: Shape = Shape::Text(Rule::Length(0, 128));

const fn settings(own: Member) -> [Member; 5] {
    [
        own,
        optional("allowedCountries", Shape::List(&COUNTRY, 0, usize::MAX)),
        optional("allowedOrigins", Shape::List(&ORIGIN, 0, usize::MAX)),
        optional("enableStrictOriginEnforcement", Shape::Flag),
        optional("name", Shape::Text(NAME)),
    ]
}

const CREATE: &[Member] = &settings(optional("tags", Shape::Tags));
const UPDATE: &[Member] = &settings(arn_of(Policies::KIND.arn));
const ONE: &[Member] = &[arn_of(Policies::KIND.arn)];

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    operation("ivs:CreatePlaybackRestrictionPolicy", 5, Does::Write, CREATE, create::<Policies>),
    operation("ivs:DeletePlaybackRestrictionPolicy", 5, Does::WriteInSilence, ONE, delete::<Policies>),
    operation("ivs:GetPlaybackRestrictionPolicy", 5, Does::Read, ONE, get::<Policies>),
    operation("ivs:ListPlaybackRestrictionPolicies", 5, Does::Read, LIST, list::<Policies>),
    operation("ivs:UpdatePlaybackRestrictionPolicy", 5, Does::Write, UPDATE, update::<Policies>),
];

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str)
}

/// `null`, or a scheme and a host without a path: the two forms of the header.
fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").map_or("", |(_, host)| host);
    let is_host = |c: char| c.is_ascii_graphic() && !"/?#@\\".contains(c);
    text == "null" || (!host.is_empty() && host.chars().all(is_host))
}

/// The officially assigned codes of ISO 3166-1 alpha-2.
const COUNTRIES: &str = "
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
    FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
    JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
    TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::{COUNTRIES, is_origin};

    #[test]
    fn countries_and_origins() {
        let codes: Vec<&str> = COUNTRIES.split_ascii_whitespace().collect();
        assert_eq!(codes.len(), 249);
        assert!(codes.is_sorted());
        for (text, expected) in [
            ("https://example.com", true),
            ("http://localhost:8080", true),
            ("null", true),
            ("", false),
            ("example.com", false),
            ("https://", false),
            ("https://example.com/", false),
            ("https://example.com/path", false),
        ] {
            assert_eq!(is_origin(text), expected, "{text}");
        }
    }
}
