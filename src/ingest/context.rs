//! What every handler has at hand: the gateway, the meters, and where the process is in
//! its life.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use tokio::sync::watch;

use crate::access::{Access, BodyBudget, Caller, Denied, Keyring};
use crate::arn::ChannelArn;
use crate::config::{ChannelSettings, Scope, Settings, did_you_mean};
use crate::ingest::limits::{NEAR_COMPARED_MAX, NEAR_LOOKED_AT_MAX, NEAR_NAME_MAX};
use crate::ingest::parse::validate::ParseContext;
use crate::refusal::{Code, Refusal};
use engine::Wall;

use crate::clock::Clock;
use crate::dispatch::{Channel, Gateway, Peers};
use crate::telemetry::actions::Actor;
use crate::telemetry::warnings::Warning;
use crate::telemetry::{Meters, RequestId};

/// Where the process is in its life, as its connections need to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// Events are taken.
    #[default]
    Serving,
    /// No new events; queues leave, and whoever waits for them stays connected.
    Draining,
    /// Every connection ends.
    Stopping,
}

/// Who sent a request.
pub struct Authenticated(pub Arc<Caller>);

impl FromRequestParts<Arc<ApiContext>> for Authenticated {
    type Rejection = Refusal;

    async fn from_request_parts(
        head: &mut Parts,
        context: &Arc<ApiContext>,
    ) -> Result<Self, Refusal> {
        context.caller(&head.headers, &head.extensions).map(Self)
    }
}

/// The id of a request, where it is known: of all but those that publish, which nobody logs.
pub struct Request(Option<RequestId>);

impl<S: Sync> FromRequestParts<S> for Request {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&head.extensions))
    }
}

impl Request {
    /// Of a request with these extensions.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        Self(extensions.get().cloned())
    }

    /// Who sent it, for the log.
    #[must_use]
    pub fn by<'a>(&'a self, caller: &'a Caller) -> Actor<'a> {
        Actor {
            key: caller.name(),
            request: self.0.as_ref(),
        }
    }
}

/// The state of all handlers.
pub struct ApiContext {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Where to count.
    pub meters: Arc<Meters>,
    /// Told by whoever ends the process.
    pub life: watch::Receiver<Life>,
    /// Bytes of unfinished bodies.
    pub bodies: BodyBudget,
    /// Who may do what.
    pub access: watch::Receiver<Arc<Access>>,
    /// Where it changes: who holds a connection open is asked again when channels get other names.
    pub keyring: Arc<Keyring>,
    /// Whose door it is.
    pub side: Listener,
}

/// Whose door it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Producers', who show what they have with each request.
    Producers,
    /// Operators', whose listener has looked at that already and leaves the caller in the request.
    Operators,
    /// That of the cluster's other nodes, which have looked at that already, and look at it for as long as
    /// somebody stays.
    Nodes,
}

impl ApiContext {
    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.gateway.settings()
    }

    /// Refuses while the process drains.
    ///
    /// # Errors
    /// `draining`.
    pub fn check_open(&self) -> Result<(), Refusal> {
        match self.gateway.draining() {
            None => Ok(()),
            Some(retry_after_ms) => Err(Refusal::draining(retry_after_ms)),
        }
    }

    /// Who sent a request.
    ///
    /// # Errors
    /// `unauthenticated`.
    pub fn caller(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Arc<Caller>, Refusal> {
        match self.side {
            Listener::Producers => {
                let access = self.access.borrow();
                let caller = access.identify(headers, extensions, self.now_s());
                caller.map_err(|denied| self.denied(denied))
            }
            Listener::Operators | Listener::Nodes => {
                let nobody = || Denied::Unknown("nobody was let in".into());
                Ok(extensions.get().cloned().ok_or_else(nobody)?)
            }
        }
    }

    /// Whether somebody may send a request at all; nothing is counted.
    #[must_use]
    pub fn lets_in(&self, headers: &HeaderMap, extensions: &Extensions) -> bool {
        self.side != Listener::Producers
            || (self.access.borrow())
                .identify(headers, extensions, self.now_s())
                .is_ok()
    }

    /// The other nodes of a cluster, unless it is one of them that asks.
    #[must_use]
    pub fn others(&self) -> Option<&Arc<dyn Peers>> {
        (self.gateway.others()).filter(|_| self.side != Listener::Nodes)
    }

    /// Asks the other nodes of a cluster which channels were made by API, if one of these names is not known here.
    pub async fn learn(&self, mut names: impl Iterator<Item = &str>) {
        let Some(others) = self.others() else {
            return;
        };
        let is_unknown =
            |name: &str| self.gateway.known(name).is_none() && name.parse::<ChannelArn>().is_err();
        if names.any(is_unknown) {
            others.learn().await;
        }
    }

    /// The wall clock in seconds since 1970.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.gateway.clock().epoch_ms() / 1000
    }

    /// The channel of an alias or an ARN, for a caller who wants to do something with it.
    ///
    /// # Errors
    /// `forbidden`, `unknown_channel`, `overloaded`.
    pub fn channel(
        &self,
        caller: &Caller,
        scope: Scope,
        name: &str,
    ) -> Result<Arc<Channel>, Refusal> {
        let found = self.find(caller, scope, name);
        found.map_err(|refusal| self.with_near_name(refusal, caller, name))
    }

    /// The same without a near name where there is none: a batch may name a thousand.
    ///
    /// # Errors
    /// As of [`channel`](Self::channel).
    pub fn find(&self, caller: &Caller, scope: Scope, name: &str) -> Result<Arc<Channel>, Refusal> {
        self.check_may_use(caller, scope, name)?;
        if self.side == Listener::Nodes {
            // The other nodes are asked by whoever asks this one.
            return Ok(self.gateway.channel_here(name)?);
        }
        Ok(self.gateway.channel(name)?)
    }

    /// The same of a channel that events are for, which may be at another node.
    ///
    /// # Errors
    /// As of [`channel`](Self::channel).
    pub fn addressee(&self, caller: &Caller, name: &str) -> Result<Arc<Channel>, Refusal> {
        let found = self.find_addressee(caller, name);
        found.map_err(|refusal| self.with_near_name(refusal, caller, name))
    }

    /// The same without a near name where there is none.
    ///
    /// # Errors
    /// As of [`channel`](Self::channel).
    pub fn find_addressee(&self, caller: &Caller, name: &str) -> Result<Arc<Channel>, Refusal> {
        self.check_may_use(caller, Scope::Publish, name)?;
        Ok(self.gateway.addressee(name)?)
    }

    fn check_may_use(&self, caller: &Caller, scope: Scope, name: &str) -> Result<(), Refusal> {
        self.may(caller, scope)?;
        if !self.may_use(caller, name) {
            return Err(self.denied(caller.not_its_channel()));
        }
        Ok(())
    }

    /// Adds the alias that was probably meant to a refusal as `unknown_channel`, of those that the
    /// caller may use: nobody learns of another.
    #[must_use]
    pub fn with_near_name(&self, refusal: Refusal, caller: &Caller, name: &str) -> Refusal {
        if refusal.code != Code::UnknownChannel || name.len() > NEAR_NAME_MAX {
            return refusal;
        }
        let settings = self.settings();
        let channels = settings.channels.iter().take(NEAR_LOOKED_AT_MAX);
        // No other can be near enough.
        let about_as_long =
            channels.filter(|channel| channel.name.len().abs_diff(name.len()) <= name.len() / 2);
        let its = |channel: &&ChannelSettings| {
            caller.may_use(&channel.name) || caller.may_use(channel.arn.as_str())
        };
        let its = about_as_long.take(NEAR_COMPARED_MAX).filter(its);
        let near = did_you_mean(name, its.map(|channel| &*channel.name));
        if near.is_empty() {
            return refusal;
        }
        Refusal::new(refusal.code, format!("{}{near}", refusal.detail))
    }

    /// Whether a caller has a scope.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn may(&self, caller: &Caller, scope: Scope) -> Result<(), Refusal> {
        caller.may(scope).map_err(|denied| self.denied(denied))
    }

    /// A refusal for who somebody is, counted for the log.
    #[must_use]
    pub fn denied(&self, denied: Denied) -> Refusal {
        let warnings = self.meters.warnings();
        warnings.count(Warning::KeyRefused, 1, denied.detail());
        denied.into()
    }

    /// Whether a caller may use a channel, by the name it gave or by the channel's others.
    /// No channel is made here: nobody learns of one, or makes one, that is not for them.
    pub(super) fn may_use(&self, caller: &Caller, name: &str) -> bool {
        caller.may_use(name)
            || self.gateway.known(name).is_some_and(|channel| {
                caller.may_use(channel.arn().as_str())
                    || channel.alias().is_some_and(|alias| caller.may_use(&alias))
            })
    }

    /// Returns when the process has come this far.
    pub async fn reaches(&self, life: Life) {
        let mut watched = self.life.clone();
        if watched.wait_for(|now| *now >= life).await.is_err() {
            // Nobody is left to end the process: it will not come to that.
            std::future::pending::<()>().await;
        }
    }
}

/// The channel's name in a path, percent-decoded.
///
/// # Errors
/// `unknown_channel`: it is no text.
pub fn named(path: Result<Path<String>, PathRejection>) -> Result<String, Refusal> {
    path.map(|Path(name)| name)
        .map_err(|_| Refusal::new(Code::UnknownChannel, "the channel in the path is not UTF-8"))
}

/// Runs `read` with a reader of events for this moment.
pub fn with_reader<T>(
    clock: &Clock,
    settings: &Settings,
    read: impl FnOnce(&mut ParseContext<'_>) -> T,
) -> T {
    let ahead = settings.limits.at_max_ahead.as_millis();
    // What is compared with an `at` is what the wall clock says now.
    clock.look();
    let time_of = |ms: i64| Wall::from_micros(ms.saturating_mul(1000));
    read(&mut ParseContext {
        now_ms: i64::try_from(clock.epoch_ms()).unwrap_or(i64::MAX),
        at_max_ahead_ms: u64::try_from(ahead).unwrap_or(u64::MAX),
        time_of: &time_of,
        scratch: String::new(),
    })
}
