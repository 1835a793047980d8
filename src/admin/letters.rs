//! `/admin/dead-letters`: GET lists them, POST replays them, DELETE purges them. All three take
//! the same filters in the query: `id`, `channel` (an ARN or an alias) and `reason`; without
//! one, all are meant.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::Admin;
use super::by::By;
use crate::dispatch::LetterFilter;
use crate::refusal::Refusal;

/// Where they are.
pub const PATH: &str = "/admin/dead-letters";

/// The answer to a purge.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Purged {
    /// How many there were.
    pub purged: usize,
}

/// Letters on a page, unless `limit` says less.
const PAGE: usize = 100;

/// Most letters on a page: a few MB.
const PAGE_MAX: usize = 1000;

/// What the query asks for.
#[derive(Default)]
struct Wanted {
    filter: LetterFilter,
    after: Option<u64>,
    limit: usize,
}

impl Wanted {
    fn of(query: Option<&str>, pages: bool) -> Result<Self, Refusal> {
        let mut wanted = Self {
            limit: PAGE,
            ..Self::default()
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let number = || {
                let wrong = || Refusal::malformed(format!("{name} is not a number: {value:?}"));
                value.parse::<u64>().map_err(|_| wrong())
            };
            match &*name {
                "id" => wanted.filter.id = Some(number()?),
                "channel" => wanted.filter.channel = Some(value.into_owned()),
                "reason" => wanted.filter.reason = Some(value.into_owned()),
                "after" if pages => wanted.after = Some(number()?),
                "limit" if pages => {
                    let limit = usize::try_from(number()?).unwrap_or(usize::MAX);
                    if !(1..=PAGE_MAX).contains(&limit) {
                        let bound = format!("limit is not an integer from 1 to {PAGE_MAX}");
                        return Err(Refusal::malformed(bound));
                    }
                    wanted.limit = limit;
                }
                _ => {
                    return Err(Refusal::malformed(format!(
                        "there is no parameter {name:?} here"
                    )));
                }
            }
        }
        Ok(wanted)
    }
}

pub(super) async fn list(
    State(admin): State<Arc<dyn Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let wanted = Wanted::of(query.as_deref(), true)?;
    let page = admin.dead_letters(&wanted.filter, wanted.after, wanted.limit);
    let page = page.await?;
    Ok(Json(page).into_response())
}

pub(super) async fn replay(
    State(admin): State<Arc<dyn Admin>>,
    by: By,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let wanted = Wanted::of(query.as_deref(), false)?;
    let report = admin.replay(wanted.filter).await?;
    let refused = report.refused.len();
    by.actor().replayed(report.replayed, refused);
    Ok(Json(report).into_response())
}

pub(super) async fn purge(
    State(admin): State<Arc<dyn Admin>>,
    by: By,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let wanted = Wanted::of(query.as_deref(), false)?;
    let purged = admin.purge(wanted.filter).await?;
    by.actor().purged_dead_letters(purged);
    Ok(Json(Purged { purged }).into_response())
}
