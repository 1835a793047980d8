//! What every request has: its id in the answer, its span, and the time until its answer begins.
//!
//! A layer of its own rather than axum's: beside the id in the answer it allocates nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, Response};
use tokio::time::Instant;
use tower_service::Service;
use tracing::Span;

use crate::telemetry::labels::OTHER_ROUTES;
use crate::telemetry::{Meters, RequestId, spans};

/// Puts [`Timed`] around the routes of a router.
#[derive(Clone)]
pub struct Timing(pub Arc<Meters>);

impl<S> tower_layer::Layer<S> for Timing {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed {
            inner,
            meters: Arc::clone(&self.0),
        }
    }
}

/// A service whose requests are measured.
#[derive(Clone)]
pub struct Timed<S> {
    inner: S,
    meters: Arc<Meters>,
}

impl<S, B> Service<Request> for Timed<S>
where
    S: Service<Request, Response = Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Measured<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let begun = Instant::now();
        let id = RequestId::of(request.headers());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let span = spans::request(
            request.method(),
            name(route.as_ref()),
            &id,
            request.headers(),
        );
        // For what the log says of it, and what goes on when it is answered: the messages of a
        // WebSocket. Publishing is left out: the log says nothing of it, and a copy is two
        // allocations.
        if !span.is_disabled() || !publishes(request.method(), route.as_ref()) {
            request.extensions_mut().insert(id.clone());
        }
        Measured {
            begun,
            route,
            id: Some(id),
            meters: Arc::clone(&self.meters),
            inner: span.in_scope(|| self.inner.call(request)),
            span,
        }
    }
}

pin_project_lite::pin_project! {
    /// A request under way.
    pub struct Measured<F> {
        begun: Instant,
        route: Option<MatchedPath>,
        id: Option<RequestId>,
        span: Span,
        meters: Arc<Meters>,
        #[pin]
        inner: F,
    }
}

impl<F, B, E> Future for Measured<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut result = ready!(this.span.in_scope(|| this.inner.poll(cx)));
        if let Ok(response) = &mut result {
            if let Some(id) = this.id.take() {
                id.put(response.headers_mut());
            }
            let status = response.status().as_u16();
            this.meters
                .http_request(name(this.route.as_ref()), status, this.begun.elapsed());
            spans::answered(this.span, status);
        }
        // It ends now, however long the answer's body takes.
        *this.span = Span::none();
        Poll::Ready(result)
    }
}

fn publishes(method: &Method, route: Option<&MatchedPath>) -> bool {
    let is_door = |route: &MatchedPath| {
        let path = route.as_str();
        path.ends_with("/events") || path == "/PutMetadata"
    };
    *method == Method::POST && route.is_some_and(is_door)
}

fn name(route: Option<&MatchedPath>) -> &str {
    route.map_or(OTHER_ROUTES, MatchedPath::as_str)
}
