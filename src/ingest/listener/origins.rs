//! A browser's pages at the producers' door: those of other origins are turned away, unless
//! `server.allowed_origins` names them; then CORS tells the browser so.
//!
//! Without keys and on loopback, whoever reaches the address may send, and a page on this machine
//! reaches it: there the host is looked at too, unless `server.auth` says that it is meant.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;

use crate::access::browser::{self, Foreign};
use crate::ingest::context::ApiContext;
use crate::refusal::Refusal;

/// How long a browser may remember what it was told of a path.
const PREFLIGHT_AGE: Duration = Duration::from_mins(10);

/// Puts the check in front of all routes, and CORS before it where any origin is named.
pub fn around(
    router: Router<Arc<ApiContext>>,
    context: &Arc<ApiContext>,
) -> Router<Arc<ApiContext>> {
    let router = router.layer(Checking(Arc::clone(context)));
    if context.settings().server.allowed_origins.is_empty() {
        return router;
    }
    let context = Arc::clone(context);
    let allowed = move |origin: &HeaderValue, _: &Parts| {
        let settings = context.settings();
        let mut allowed = settings.server.allowed_origins.iter();
        allowed.any(|allowed| origin == allowed.as_str())
    };
    let answers = ["ratelimit", "ratelimit-policy", "x-request-id"].map(HeaderName::from_static);
    router.layer(
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(allowed))
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            // Whatever header a named origin asks for: extensions of `CloudEvents` are `ce-` and any
            // name, so that no list has all that the product reads.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(answers.into_iter().chain([RETRY_AFTER]).collect::<Vec<_>>())
            .max_age(PREFLIGHT_AGE),
    )
}

/// Puts [`Checked`] around routes.
#[derive(Clone)]
struct Checking(Arc<ApiContext>);

impl<S> Layer<S> for Checking {
    type Service = Checked<S>;

    fn layer(&self, inner: S) -> Checked<S> {
        Checked {
            inner,
            context: Arc::clone(&self.0),
        }
    }
}

/// Routes that pages of other origins do not get to.
#[derive(Clone)]
struct Checked<S> {
    inner: S,
    context: Arc<ApiContext>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Checked<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match check(&self.context, &request) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(foreign) => Either::Right(ready(Ok(Refusal::from(foreign).into_response()))),
        }
    }
}

fn check(context: &ApiContext, request: &Request) -> Result<(), Foreign> {
    let (uri, headers) = (request.uri(), request.headers());
    let settings = context.settings();
    let server = &settings.server;
    let unguarded = context.access.borrow().is_open()
        && !server.open_without_keys
        && server.listen.ip().to_canonical().is_loopback();
    let unguarded = unguarded.then_some(server.listen.ip());
    browser::check_producer(uri, headers, &server.allowed_origins, unguarded)
}
