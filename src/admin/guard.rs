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
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::access::browser::{self, Foreign};
use crate::access::{Denied, Keyring};
use crate::dispatch::Clock;
use crate::telemetry::Meters;
use crate::telemetry::warnings::Warning;

/// Nothing but the listener's own files; no frame, no form target, no inline script or style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'none'";

/// What is behind a key, where there are keys.
const BEHIND_KEYS: &str = "/admin/";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Who looks at requests, and by what.
#[derive(Clone)]
struct Guard {
    bound: IpAddr,
    keyring: Arc<Keyring>,
    clock: Arc<Clock>,
    meters: Arc<Meters>,
}

/// Puts the guard in front of everything a listener on this address serves.
pub(super) fn around(
    router: Router,
    listen: SocketAddr,
    keyring: Arc<Keyring>,
    clock: Arc<Clock>,
    meters: Arc<Meters>,
) -> Router {
    let guard = Guard {
        bound: listen.ip(),
        keyring,
        clock,
        meters,
    };
    router.layer(middleware::from_fn_with_state(guard, look))
}

async fn look(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.check(&mut request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Guard {
    /// Leaves the caller in the request, as the operator it is, for the channels' routes.
    #[expect(
        clippy::result_large_err,
        reason = "what is refused is the answer to a request"
    )]
    fn check(&self, request: &mut Request) -> Result<(), Response> {
        let checked = browser::check_operator(request.uri(), request.headers(), self.bound);
        checked.map_err(|foreign| of_foreign(foreign).into_response())?;
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
                of_denied(&denied)
            })?;
        request.extensions_mut().insert(Arc::new(caller));
        Ok(())
    }
}

fn of_foreign(foreign: Foreign) -> Problem {
    match foreign {
        Foreign::Host => Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected_request",
            "Host must be localhost, a loopback address, or the address this listens on",
        ),
        Foreign::Origin => Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "a page of another origin made this request",
        ),
    }
}

fn of_denied(denied: &Denied) -> Response {
    let detail = denied.detail();
    match denied {
        Denied::Unknown(_) => {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail);
            let challenge = [(WWW_AUTHENTICATE, crate::access::CHALLENGE)];
            (challenge, problem).into_response()
        }
        Denied::Forbidden(_) => {
            Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).into_response()
        }
    }
}
