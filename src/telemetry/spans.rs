//! The spans there are, and how they hang together: a request's span is a child of what its
//! `traceparent` names; the span of a call to the API links to the requests whose events it
//! carries.
//!
//! They are made where the log's level or the exporter asks for them, and cost a load of a
//! static elsewhere. No field ever holds data of events or a credential.

use axum::http::{HeaderMap, Method};
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::field::Empty;
use tracing::{Span, debug_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::request_id::RequestId;
use super::trace_context;

/// What spans of this file, and no others, have as their target.
pub const TARGET: &str = module_path!();

/// Most requests that one call links to: as many as a payload has events, as a rule.
pub const LINKS_MAX: usize = 32;

/// The span of a request of producers; [`answered`] ends it.
#[must_use]
pub fn request(method: &Method, route: &str, id: &RequestId, headers: &HeaderMap) -> Span {
    let span = debug_span!(
        "request",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = Empty,
        http.route = route,
        http.response.status_code = Empty,
        request_id = id.as_str(),
    );
    if !span.is_disabled() {
        let method = known(method);
        span.record("http.request.method", method);
        span.record("otel.name", format_args!("{method} {route}"));
        if let Some(parent) = trace_context::of(headers) {
            adopt(&span, parent);
        }
    }
    span
}

/// The answer to a request begins.
pub fn answered(span: &Span, status: u16) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.record("otel.status_code", "error");
    }
    span.in_scope(|| tracing::debug!(status, "answered"));
}

/// The span of some messages of a WebSocket, in the trace of the request that opened it.
#[must_use]
pub fn messages(opened: &Opened, count: usize) -> Span {
    let span = debug_span!(
        "WebSocket messages",
        otel.kind = "server",
        request_id = opened.request_id.as_ref().map(RequestId::as_str),
        count = integer(count),
    );
    if let Some(parent) = opened.context.clone().filter(|_| !span.is_disabled()) {
        adopt(&span, parent);
    }
    span
}

/// The span of one call to the API; [`called`] says how it ended.
#[must_use]
pub fn put_metadata(account: &str, region: &str, channel: &str, payload: Payload<'_>) -> Span {
    let span = debug_span!(
        "PutMetadata",
        otel.kind = "client",
        otel.status_code = Empty,
        account,
        region,
        channel,
        n = payload.n.cast_signed(),
        bytes = integer(payload.bytes),
        items = integer(payload.items),
        outcome = Empty,
    );
    if !span.is_disabled() {
        for origin in payload.origins {
            span.add_link(origin.context());
        }
    }
    span
}

/// What the span of a call says of its payload.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// Its number.
    pub n: u64,
    /// Its size.
    pub bytes: usize,
    /// Its items.
    pub items: usize,
    /// The requests its events came with.
    pub origins: &'a [Origin],
}

/// A call ended so.
pub fn called(span: &Span, outcome: engine::Outcome) {
    span.record("outcome", outcome.label());
    if outcome != engine::Outcome::Delivered {
        span.record("otel.status_code", "error");
    }
}

/// The request that events came with, as far as a link needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    trace: TraceId,
    span: SpanId,
}

impl Origin {
    /// The request whose span is entered, if it is sampled. Nothing is where nothing is exported.
    #[must_use]
    pub fn current() -> Option<Self> {
        let context = current()?;
        context.is_sampled().then(|| Self {
            trace: context.trace_id(),
            span: context.span_id(),
        })
    }

    fn context(self) -> SpanContext {
        let (flags, state) = (TraceFlags::SAMPLED, TraceState::NONE);
        SpanContext::new(self.trace, self.span, flags, false, state)
    }

    #[cfg(test)]
    pub(crate) fn numbered(number: u64) -> Self {
        Self {
            trace: TraceId::from(u128::from(number)),
            span: SpanId::from(number),
        }
    }
}

/// The request that opened a WebSocket, for the spans of its messages.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    context: Option<SpanContext>,
    request_id: Option<RequestId>,
}

impl Opened {
    /// By the request whose span is entered, and that has this id.
    #[must_use]
    pub fn by(request_id: Option<&RequestId>) -> Self {
        Self {
            context: current(),
            request_id: request_id.cloned(),
        }
    }
}

/// OpenTelemetry's integers are signed: others would become texts.
fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn current() -> Option<SpanContext> {
    Context::map_current(|context| {
        let active = context.has_active_span();
        active.then(|| context.span().span_context().clone())
    })
}

fn adopt(span: &Span, parent: SpanContext) {
    // Refused where nothing is exported: then there is nothing to hang it on.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// The semantic conventions have one word for all methods that clients make up.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::OPTIONS
        | Method::PATCH => method.as_str(),
        _ => "_OTHER",
    }
}
