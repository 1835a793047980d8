//! Requests about a channel whose account is at another node. Each is first asked here: who sends it, whether it
//! may be asked, what is wrong with it. Where the answer is that the channel is not here, the node that
//! has it is asked, and its answer is given.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, UPGRADE};
use axum::http::{Extensions, HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use tokio::time::Instant;

use crate::access::Caller;
use crate::arn::ChannelArn;
use crate::config::Scope;
use crate::dispatch::{AccountKey, Answered, Asked, Channel, NotTaken};
use crate::ingest::context::{ApiContext, Life};
use crate::ingest::limits::DEFINITION_MAX_BYTES;
use crate::ingest::parse::body;
use crate::ingest::parse::content_type::Coding;
use crate::ingest::session::Session;
use crate::refusal::{Elsewhere, Refusal};
use crate::telemetry::RequestId;

/// Headers of a request that say what is asked; the others are for the node that it came to.
const ASKED: [HeaderName; 5] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::IF_NONE_MATCH,
    HeaderName::from_static("last-event-id"),
];

/// Puts it around routes, where this process is of a cluster.
pub fn around(
    router: Router<Arc<ApiContext>>,
    context: &Arc<ApiContext>,
) -> Router<Arc<ApiContext>> {
    if context.gateway.others().is_none() {
        return router;
    }
    router.layer(middleware::from_fn_with_state(
        Arc::clone(context),
        anywhere,
    ))
}

async fn anywhere(
    State(context): State<Arc<ApiContext>>,
    request: Request,
    next: Next,
) -> Response {
    let named = channel_named(request.uri().path());
    if let Some(named) = &named
        && context.lets_in(request.headers(), request.extensions())
    {
        context.learn(std::iter::once(&**named)).await;
    }
    // Events go their own way.
    let is_events = request.method() == Method::POST && request.uri().path().ends_with("/events");
    if is_events || request.headers().contains_key(UPGRADE) {
        return next.run(request).await;
    }
    let (kept, request) = match Kept::of(&context, request).await {
        Ok(kept) => kept,
        Err(refusal) => return refusal.into_response(),
    };
    let answer = next.clone().run(request).await;
    if answer.extensions().get::<Elsewhere>().is_none() {
        return answer;
    }
    match kept.ask(&context, named.as_deref()).await {
        Ok(Some(answer)) => answer,
        // It has come here meanwhile.
        Ok(None) => next.run(kept.request()).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// The channel that a path names.
fn channel_named(path: &str) -> Option<String> {
    let (_, rest) = path.split_once("/channels/")?;
    let name = percent_decode_str(rest.split('/').next()?);
    Some(name.decode_utf8().ok()?.into_owned())
}

/// A request, to be asked again.
struct Kept {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
    body: Bytes,
}

impl Kept {
    async fn of(context: &ApiContext, request: Request) -> Result<(Self, Request), Refusal> {
        let (head, body) = request.into_parts();
        // Only a definition has a body that is asked about; of a stranger none is read.
        let is_definition = head.method == Method::PUT && !head.uri.path().contains("/events/");
        let (body, bytes) = if is_definition && context.lets_in(&head.headers, &head.extensions) {
            let (max, bodies) = (DEFINITION_MAX_BYTES, &context.bodies);
            let coding = Coding::Identity;
            let bytes = body::read(&head.headers, body, coding, max, bodies, None).await?;
            (Body::from(bytes.clone()), bytes)
        } else {
            (body, Bytes::new())
        };
        let kept = Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers: head.headers.clone(),
            extensions: head.extensions.clone(),
            body: bytes,
        };
        Ok((kept, Request::from_parts(head, body)))
    }

    fn request(self) -> Request {
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        request
    }

    /// The owner's answer; none: that is this node now.
    async fn ask(
        &self,
        context: &Arc<ApiContext>,
        named: Option<&str>,
    ) -> Result<Option<Response>, Refusal> {
        let caller = context.caller(&self.headers, &self.extensions)?;
        let Some(others) = context.gateway.others() else {
            return Ok(None);
        };
        let until = Instant::now() + context.settings().cluster.hold;
        let channel = named.and_then(|name| context.gateway.known(name));
        let account = match &channel {
            Some(channel) => Some(channel.account_key()),
            None => defined(&self.body),
        };
        let answered = match others.call(&self.asked(account, &caller), until).await {
            Ok(answered) => answered,
            Err(NotTaken::Here) => return Ok(None),
            Err(NotTaken::Refused(refusal) | NotTaken::InDoubt(refusal)) => return Err(refusal),
        };
        if matches!(self.method, Method::PUT | Method::DELETE) {
            // What was made or removed is so here too.
            others.learn().await;
        }
        respond(context, caller, channel, answered).map(Some)
    }

    fn asked(&self, account: Option<AccountKey>, caller: &Caller) -> Asked {
        let headers = self.headers.iter();
        let headers = headers.filter(|(name, _)| ASKED.contains(name));
        let mut headers: HeaderMap = headers
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if let Some(id) = self.extensions.get::<RequestId>() {
            id.clone().put(&mut headers);
        }
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        Asked {
            account,
            caller: caller.name().to_owned(),
            channels: caller.patterns(),
            method: self.method.clone(),
            path: path.to_owned(),
            headers,
            body: self.body.clone(),
        }
    }
}

/// The account of the channel that a definition makes.
fn defined(body: &[u8]) -> Option<AccountKey> {
    #[derive(Deserialize)]
    struct Definition {
        arn: String,
    }
    let definition: Definition = serde_json::from_slice(body).ok()?;
    let arn: ChannelArn = definition.arn.parse().ok()?;
    Some((arn.account().to_owned(), arn.region().to_owned()))
}

/// The answer of another node. A stream ends when its reader may read no more, or this process ends.
fn respond(
    context: &Arc<ApiContext>,
    caller: Arc<Caller>,
    channel: Option<Arc<Channel>>,
    answered: Answered,
) -> Result<Response, Refusal> {
    let Answered {
        status,
        headers,
        body,
        unknown_channel: _,
    } = answered;
    let is_stream = headers
        .get(CONTENT_TYPE)
        .is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream"));
    let body = if is_stream {
        let mut session = Session::new(context, caller, Scope::Read, channel)?;
        let context = Arc::clone(context);
        let over = async move {
            tokio::select! {
                _ = session.until_denied() => {}
                () = context.reaches(Life::Stopping) => {}
            }
        };
        Body::from_stream(body.take_until(Box::pin(over)))
    } else {
        Body::from_stream(body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers;
    Ok(response)
}
