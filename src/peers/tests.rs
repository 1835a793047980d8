//! The protocol as it is written, and the code that is made of it.

use std::path::PathBuf;

use futures_util::stream::BoxStream;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::links::{Failure, Links};
use super::protocol::peers_server::{Peers, PeersServer};
use super::protocol::{Answer, Events, Greeting, Part, Request as Asked, VERSION};
use super::trust::Trust;
use crate::config::Settings;

const REWRITE: &str = "CUEGATE_REWRITE";

#[test]
fn the_code_of_the_protocol_is_up_to_date() {
    let room = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/peers");
    let made = tempfile::tempdir().expect("a directory");
    let files = protox::compile(["cuegate.proto"], [&room]).expect("a protocol");
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .out_dir(made.path())
        .compile_fds(files)
        .expect("code");
    let made = std::fs::read_to_string(made.path().join("cuegate.cluster.v1.rs")).expect("code");
    let kept = room.join("generated/cuegate.rs");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&kept, &made).expect("written");
    }
    assert!(
        std::fs::read_to_string(&kept).unwrap_or_default() == made,
        "{} is not what cuegate.proto says: run {REWRITE}=1 cargo test -p cuegate --lib the_code_of_the_protocol",
        kept.display()
    );
}

/// Producers read it in the detail of a refusal.
#[test]
fn a_failure_is_told_in_words() {
    let failure = Failure::from(Status::unknown("it stumbled"));
    assert_eq!(failure, Failure::Lost("it stumbled".to_owned()));
    let failure = Failure::from(Status::invalid_argument("no events"));
    assert_eq!(failure, Failure::NotAsked("no events".to_owned()));
}

/// A node of an older program, which must be asked nothing but who it is.
struct Old;

#[tonic::async_trait]
impl Peers for Old {
    type OfferStream = BoxStream<'static, Result<Answer, Status>>;
    type CallStream = BoxStream<'static, Result<Part, Status>>;

    async fn hello(&self, request: Request<Greeting>) -> Result<Response<Greeting>, Status> {
        Ok(Response::new(Greeting {
            protocol: VERSION - 1,
            version: "0.0.9".to_owned(),
            ..request.into_inner()
        }))
    }

    async fn offer(&self, _: Request<Events>) -> Result<Response<Self::OfferStream>, Status> {
        unreachable!("it was asked all the same")
    }

    async fn call(&self, _: Request<Asked>) -> Result<Response<Self::CallStream>, Status> {
        unreachable!("it was asked all the same")
    }
}

#[tokio::test]
async fn a_node_of_another_protocol_is_asked_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let node = Server::builder().add_service(PeersServer::new(Old));
    tokio::spawn(node.serve_with_incoming(TcpIncoming::from(listener)));
    let trust = Trust::of(&Settings::default().cluster).expect("none");
    for links in [
        Links::of_events(trust.clone(), "show".to_owned()),
        Links::of_calls(trust, "show".to_owned()),
    ] {
        let why = links.to(&address).await.expect_err("a refusal");
        let expected = format!(
            "it is version 0.0.9 and speaks protocol {} of the cluster, this node speaks {VERSION}: update the older one",
            VERSION - 1
        );
        assert_eq!(why, expected);
    }
}
