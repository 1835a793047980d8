//! The floor of HTTP acceptance: an axum handler that parses the same JSON and answers 202.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::value::RawValue;

#[derive(serde::Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
}

/// Serves until the process is ended; prints its address first.
pub fn serve() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let router = axum::Router::new().route("/", post(accept));
        axum::serve(listener, router).await.expect("to serve");
    });
}

async fn accept(body: Bytes) -> (StatusCode, &'static str) {
    match serde_json::from_slice::<Event<'_>>(&body) {
        Ok(event) if !event.data.get().is_empty() && event.kind.is_some() => (
            StatusCode::ACCEPTED,
            r#"{"accepted":1,"duplicates":0,"rejected":[],"queued":1,"eta_ms":0}"#,
        ),
        _ => (StatusCode::BAD_REQUEST, ""),
    }
}
