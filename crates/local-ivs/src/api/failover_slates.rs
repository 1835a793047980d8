//! Failover slate configurations: what viewers see while an encoder is away. `CREATING` and
//! `UPDATING` for a moment, and then `CREATED`.

use super::documents::{Family, LIST, arn_of, create, default, delete, get, list, update};
use super::operation::{Does, Operation, operation};
use crate::input::{Member, Members, NAME, Shape, optional};
use crate::limits::{CONFIGURATION_CREATION_US, QUOTA_CONFIGURATIONS};
use crate::state::{Kind, States};

pub(super) struct Slates;

impl Family for Slates {
    const KIND: Kind = Kind {
        arn: "failover-slate-configuration",
        words: "failover slate configurations",
        quota: QUOTA_CONFIGURATIONS,
        unique: None,
        used: Some(|channel| &channel.failover_slate_configuration_arn),
        states: Some(States {
            creating: "CREATING",
            ready: "CREATED",
            updating: Some("UPDATING"),
            failed: "CREATE_FAILED",
            takes_us: CONFIGURATION_CREATION_US,
        }),
    };
    const ONE: &'static str = "failoverSlateConfiguration";
    const MANY: &'static str = "failoverSlateConfigurations";
    /// The quota, which is less than 100.
    const PAGE: u32 = 20;

    fn complete(members: &mut Members) -> Result<(), String> {
        default(members, "name", "");
        default(members, "activationThresholdSeconds", 3);
        default(members, "minSlateDisplaySeconds", 3);
        default(members, "maxSlateDisplaySeconds", 60);
        Ok(())
    }
}

const fn settings(own: Member) -> [Member; 5] {
    [
        own,
        optional("name", Shape::Text(NAME)),
        optional("activationThresholdSeconds", Shape::Whole(3, 5)),
        optional("minSlateDisplaySeconds", Shape::Whole(3, 10)),
        optional("maxSlateDisplaySeconds", Shape::Whole(60, 180)),
    ]
}

const CREATE: &[Member] = &settings(optional("tags", Shape::Tags));
const UPDATE: &[Member] = &settings(arn_of(Slates::KIND.arn));
const ONE: &[Member] = &[arn_of(Slates::KIND.arn)];

/// AWS publishes no rates of these: they are those of the operations on channels.
#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    operation("ivs:CreateFailoverSlateConfiguration", 5, Does::Write, CREATE, create::<Slates>),
    operation("ivs:DeleteFailoverSlateConfiguration", 5, Does::WriteInSilence, ONE, delete::<Slates>),
    operation("ivs:GetFailoverSlateConfiguration", 5, Does::Read, ONE, get::<Slates>),
    operation("ivs:ListFailoverSlateConfigurations", 5, Does::Read, LIST, list::<Slates>),
    operation("ivs:UpdateFailoverSlateConfiguration", 5, Does::Write, UPDATE, update::<Slates>),
];
