//! Query parameters: every one known, none twice. A misspelt `atomic` or `key` must not
//! turn into something else being done.

use std::borrow::Cow;

use crate::ingest::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::refusal::Refusal;

/// The parameters of one request that were not taken yet.
#[derive(Debug)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads the query of a URI, of which only these parameters may be there.
    ///
    /// # Errors
    /// `malformed`.
    pub fn of(query: Option<&'a str>, known: &[&str]) -> Result<Self, Refusal> {
        let mut found: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                return Err(Refusal::malformed(format!("unknown parameter `{name}`")));
            }
            if found.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Refusal::malformed(format!(
                    "parameter `{name}` is there twice"
                )));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    /// The value of a parameter.
    pub fn take(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// A value that must not be empty: a filter that came out empty must not become everything.
    ///
    /// # Errors
    /// `malformed`.
    pub fn filter(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            Some(value) if value.is_empty() => Err(Refusal::malformed(format!("{name} is empty"))),
            value => Ok(value.map(Cow::into_owned)),
        }
    }

    /// The values of filters of which one is needed at least, or `all=true` and none of them: one that
    /// was forgotten must not become everything. `doing` and `everything` are words of the refusal.
    ///
    /// # Errors
    /// `malformed`.
    pub fn filters_or_all<const N: usize>(
        query: Option<&'a str>,
        names: [&str; N],
        doing: &str,
        everything: &str,
    ) -> Result<[Option<String>; N], Refusal> {
        let known: Vec<&str> = names.into_iter().chain(["all"]).collect();
        let mut query = Self::of(query, &known)?;
        let mut filters = [const { None }; N];
        for (filter, name) in filters.iter_mut().zip(names) {
            *filter = query.filter(name)?;
        }
        let any = filters.iter().any(Option::is_some);
        let names = names.join(" or ");
        match (query.take("all").as_deref(), any) {
            (None, true) | (Some("true"), false) => Ok(filters),
            (None, false) => Err(Refusal::malformed(format!(
                "{doing} needs {names}, or all=true for {everything}"
            ))),
            (Some("true"), true) => {
                Err(Refusal::malformed(format!("all does not go with {names}")))
            }
            (Some(_), _) => Err(Refusal::malformed("all can only be true")),
        }
    }

    /// `limit`: how much is to be on a page.
    ///
    /// # Errors
    /// `malformed`.
    pub fn limit(&mut self) -> Result<usize, Refusal> {
        let Some(text) = self.take("limit") else {
            return Ok(PAGE_DEFAULT);
        };
        let limit = text.parse().ok().filter(|n| (1..=PAGE_MAX).contains(n));
        let wrong = || format!("limit is not an integer from 1 to {PAGE_MAX}");
        limit.ok_or_else(|| Refusal::malformed(wrong()))
    }
}
