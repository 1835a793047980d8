//! What stands between the admin listener and whoever asks: pages that a browser has open (see
//! [`crate::access::browser`]), and, once there are keys, whoever has none with the scope `admin`.
//!
//! Answers say what a browser may do with them: run and load only what this listener serves. The
//! page itself is for everybody: it holds nothing, and asks for a key.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use super::Admin;
use crate::access::Keyring;
use crate::access::browser::{self, Foreign};
use crate::clock::Clock;
use crate::refusal::{Code, Refusal};
use crate::telemetry::Meters;
use crate::telemetry::warnings::Warning;

/// Nothing but the listener's own files, and a picture that a script puts together; no frame, no form target, no inline script or style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; media-src blob:; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'none'";

/// What the page, and nothing else, may do beside: its scripts may load pictures from where channels are played.
const PAGE: &str = "/";

/// What is behind a key, where there are keys.
const BEHIND_KEYS: &str = "/admin/";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Who looks at requests, and by what.
#[derive(Clone)]
struct Guard {
    bound: IpAddr,
    pictures: Arc<dyn Admin>,
    keyring: Arc<Keyring>,
    clock: Arc<Clock>,
    meters: Arc<Meters>,
}

/// Puts the guard in front of everything a listener on this address serves.
pub(super) fn around(
    router: Router,
    listen: SocketAddr,
    pictures: Arc<dyn Admin>,
    keyring: Arc<Keyring>,
    clock: Arc<Clock>,
    meters: Arc<Meters>,
) -> Router {
    let guard = Guard {
        bound: listen.ip(),
        pictures,
        keyring,
        clock,
        meters,
    };
    router.layer(middleware::from_fn_with_state(guard, look))
}

async fn look(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let policy = guard.policy(request.uri().path());
    let mut response = match guard.check(&mut request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Guard {
    /// What a browser may do with what is at that path.
    fn policy(&self, path: &str) -> HeaderValue {
        let origins = (path == PAGE).then(|| self.pictures.playback_origins());
        let more = origins.unwrap_or_default().join(" ");
        let policy = POLICY.replace("connect-src 'self'", &format!("connect-src 'self' {more}"));
        let wider = HeaderValue::try_from(policy).ok();
        wider
            .filter(|_| !more.is_empty())
            .unwrap_or(HeaderValue::from_static(POLICY))
    }

    /// Leaves the caller in the request, as the operator it is, for the channels' routes.
    fn check(&self, request: &mut Request) -> Result<(), Refusal> {
        let checked = browser::check_operator(request.uri(), request.headers(), self.bound);
        checked.map_err(of_foreign)?;
        if !request.uri().path().starts_with(BEHIND_KEYS) {
            return Ok(());
        }
        let access = self.keyring.access();
        let caller = access
            .identify(
                request.headers(),
                request.extensions(),
                self.clock.epoch_ms() / 1000,
            )
            .and_then(|caller| caller.as_operator())
            .map_err(|denied| {
                let warnings = self.meters.warnings();
                warnings.count(Warning::KeyRefused, 1, denied.detail());
                Refusal::from(denied)
            })?;
        request.extensions_mut().insert(Arc::new(caller));
        Ok(())
    }
}

/// What is refused here has no settings to mend it: the advice differs from that of producers' address.
fn of_foreign(foreign: Foreign) -> Refusal {
    match foreign {
        Foreign::Host => Refusal::new(
            Code::MisdirectedRequest,
            "Host must be localhost, a loopback address, or the address this listens on",
        ),
        Foreign::Origin => Refusal::new(
            Code::Forbidden,
            "a page of another origin made this request",
        ),
    }
}
