//! Answers other nodes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::Method;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tower_service::Service as _;

use super::links::greeting;
use super::protocol::peers_server::{Peers, PeersServer};
use super::protocol::{
    Answer, Ends, Events, Greeting, Head, MESSAGE_MAX, Moved, Part, Request as Asked, Senseless,
    Taken, answer, headers, headers_of, part, refused_at,
};
use super::trust::{Trust, Untrusted};
use crate::access::Caller;
use crate::dispatch::{Gateway, Offered, Unavailable};
use crate::ingest::admission;
use crate::refusal::{Code, Elsewhere};
use crate::telemetry::RequestId;

/// Requests of one node at a time; more wait in that node.
const STREAMS_MAX: u32 = 4096;

/// A connection on which nothing comes is asked after so long, and has as long to answer.
const ALIVE: Duration = Duration::from_secs(5);

/// Bytes that a node may send ahead, of one request and of all.
const WINDOW: u32 = 1 << 20;

/// Answers other nodes until `stop`. `router` answers requests of those who may ask.
///
/// # Errors
/// The certificates cannot be used.
pub fn serve<S: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    gateway: &Arc<Gateway>,
    router: Router,
    trust: Trust,
    node: String,
    stop: S,
) -> Result<impl Future<Output = ()> + Send + use<S>, Untrusted> {
    let mut server = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(ALIVE))
        .http2_keepalive_timeout(Some(ALIVE))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(8 * WINDOW);
    if let Some(tls) = trust.server() {
        server = server
            .tls_config(tls)
            .map_err(|error| Untrusted::of_files(&error))?;
    }
    let service = Service {
        cluster: gateway.settings().cluster.name.clone(),
        node,
        gateway: Arc::clone(gateway),
        trust,
        router,
    };
    let service = PeersServer::new(service)
        .max_decoding_message_size(MESSAGE_MAX)
        .max_encoding_message_size(MESSAGE_MAX);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let answers = server
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, stop);
    Ok(async move {
        if let Err(error) = answers.await {
            tracing::error!(%error, "other nodes are not answered any more");
        }
    })
}

struct Service {
    cluster: String,
    /// Its name in the database.
    node: String,
    gateway: Arc<Gateway>,
    trust: Trust,
    /// Answers requests of those who may ask.
    router: Router,
}

type Parts = BoxStream<'static, Result<Part, Status>>;
type Answers = BoxStream<'static, Result<Answer, Status>>;

#[tonic::async_trait]
impl Peers for Service {
    type OfferStream = Answers;
    type CallStream = Parts;

    async fn hello(&self, request: Request<Greeting>) -> Result<Response<Greeting>, Status> {
        self.trust.check(&request)?;
        Ok(Response::new(greeting(&self.cluster, &self.node)))
    }

    async fn offer(&self, request: Request<Events>) -> Result<Response<Answers>, Status> {
        self.trust.check(&request)?;
        let offered = Offered::try_from(request.into_inner());
        let offered = offered.map_err(|Senseless(what)| Status::invalid_argument(what))?;
        let meters = self.gateway.meters();
        let taken = admission::from_peer(&self.gateway, meters, &offered).await;
        let mut ends = None;
        let first = match taken {
            Ok(mut taken) => {
                ends = taken.ends.take();
                answer::Answer::Taken(Taken::from(&taken))
            }
            Err(Unavailable::Elsewhere) => answer::Answer::Moved(Moved {}),
            Err(unavailable) => answer::Answer::InDoubt(refused_at(0, &unavailable.into())),
        };
        let first = stream::once(async move { Some(first) });
        let last = stream::iter(ends).then(async |ends| {
            let ends = Ends::from(ends.await?);
            Some(answer::Answer::Ends(ends))
        });
        let answers = first.chain(last).filter_map(async |answer| {
            let answer = answer?;
            Some(Ok(Answer {
                answer: Some(answer),
            }))
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn call(&self, request: Request<Asked>) -> Result<Response<Parts>, Status> {
        self.trust.check(&request)?;
        let asked = http_of(request.into_inner());
        let asked = asked.map_err(|Senseless(what)| Status::invalid_argument(what))?;
        let Ok(answer) = self.router.clone().call(asked).await;
        let extensions = answer.extensions();
        if extensions.get::<Elsewhere>().is_some() {
            let moved = part(part::Part::Moved(Moved {}));
            return Ok(Response::new(stream::iter([Ok(moved)]).boxed()));
        }
        let head = part(part::Part::Head(Head {
            status: answer.status().as_u16().into(),
            headers: headers(answer.headers()),
            unknown_channel: extensions.get() == Some(&Code::UnknownChannel),
        }));
        let body = answer.into_body().into_data_stream().map(|bytes| {
            let bytes = bytes.map_err(|error| Status::internal(error.to_string()))?;
            Ok(part(part::Part::Body(bytes)))
        });
        Ok(Response::new(stream::iter([Ok(head)]).chain(body).boxed()))
    }
}

fn part(part: part::Part) -> Part {
    Part { part: Some(part) }
}

/// A request as this node's own handlers take it.
fn http_of(asked: Asked) -> Result<http::Request<Body>, Senseless> {
    let mut request = http::Request::new(Body::from(asked.body));
    let method = Method::try_from(asked.method.as_str());
    *request.method_mut() = method.map_err(|_| Senseless("the request has no method"))?;
    let uri = asked.path.parse();
    *request.uri_mut() = uri.map_err(|_| Senseless("the request has no path"))?;
    *request.headers_mut() = headers_of(asked.headers);
    let by = asked.caller.ok_or(Senseless("nobody asks"))?;
    let caller = Caller::of_peer(&by.name, &by.channels);
    let caller = caller.map_err(|_| Senseless("a pattern of channels is none"))?;
    request.extensions_mut().insert(Arc::new(caller));
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id);
    Ok(request)
}
