//! Stream state changes reach an HTTP endpoint, and what goes wrong there holds up nothing.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::Fixture;
use local_ivs::{DEMO_CHANNEL, EventsTarget, Options};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// Longer than a post is tried for.
const SOON: Duration = Duration::from_secs(20);

/// A post as it came: its head in lower case, what happened, and the answer it got.
#[derive(Debug)]
struct Post {
    head: String,
    body: serde_json::Value,
    status: u16,
}

/// An endpoint that gives these answers, then 200; 0 is none at all, only an end.
async fn endpoint(statuses: &[u16]) -> (String, UnboundedReceiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let mut statuses: VecDeque<u16> = statuses.iter().copied().collect();
    let (sender, posts) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let body = loop {
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).await.unwrap();
                text += std::str::from_utf8(&bytes[..read]).unwrap();
                let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                if let Ok(body) = serde_json::from_str(body) {
                    break body;
                }
            };
            let status = statuses.pop_front().unwrap_or(200);
            if status > 0 {
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            let head = text.split("\r\n\r\n").next().unwrap_or_default();
            let head = head.to_ascii_lowercase();
            let post = Post { head, body, status };
            if sender.send(post).is_err() {
                return;
            }
        }
    });
    (url, posts)
}

/// So many posts: what happened and how it was answered.
async fn take(posts: &mut UnboundedReceiver<Post>, number: usize) -> Vec<(String, u16)> {
    let mut taken = Vec::new();
    while taken.len() < number {
        let post = timeout(SOON, posts.recv()).await.unwrap().unwrap();
        let name = post.body["detail"]["event_name"].as_str().unwrap();
        taken.push((name.to_owned(), post.status));
    }
    taken
}

fn named(expected: &[(&str, u16)]) -> Vec<(String, u16)> {
    let owned = |(name, status): &(&str, u16)| ((*name).to_owned(), *status);
    expected.iter().map(owned).collect()
}

#[tokio::test]
async fn a_post_is_an_api_destinations() {
    let (url, mut posts) = endpoint(&[]).await;
    let target = EventsTarget {
        url,
        header: Some("X-Api-Key".to_owned()),
        secret: Some("sesame".to_owned()),
    };
    let _server = Fixture::start(Options {
        events: Some(target),
        ..Options::default()
    })
    .await;
    let post = timeout(SOON, posts.recv()).await.unwrap().unwrap();
    assert!(
        post.head.starts_with("post /events http/1.1\r\n"),
        "{post:?}"
    );
    for line in ["x-api-key: sesame", "content-type: application/json"] {
        assert!(post.head.contains(line), "{post:?}");
    }
    assert_eq!(post.body["detail-type"], "IVS Stream State Change");
    assert_eq!(post.body["resources"][0], DEMO_CHANNEL);
}

#[tokio::test]
async fn what_fails_is_tried_again_and_overtaken() {
    let server = Fixture::start(Options::default()).await;
    // No answer, then one that may pass, then one that may not.
    let (url, mut posts) = endpoint(&[0, 503, 200, 404]).await;
    let settings = format!(r#"{{"url":"{url}"}}"#);
    let set = server.local("POST", "/_local/events", &settings).await;
    assert_eq!(set.unwrap().status, 200);
    server.state.set_offline(DEMO_CHANNEL).unwrap();
    let first = take(&mut posts, 3).await;
    assert_eq!(
        first[..2],
        named(&[("Stream End", 0), ("Session Ended", 503)])
    );
    take(&mut posts, 1).await;
    let events = loop {
        let events = server.report().await["events"].clone();
        if events["posted"].as_u64().unwrap() + events["failed"].as_u64().unwrap() == 2 {
            break events;
        }
        tokio::task::yield_now().await;
    };
    let expected =
        serde_json::json!({"events": 2, "posted": 1, "retried": 2, "dropped": 0, "failed": 1});
    assert_eq!(events, expected);
}

#[tokio::test]
async fn settings_hold_until_they_are_replaced() {
    let server = Fixture::start(Options::default()).await;
    let (url, mut posts) = endpoint(&[]).await;
    for (body, status) in [
        (r#"{"url":"https://127.0.0.1/"}"#.to_owned(), 400),
        (format!(r#"{{"url":"{url}","secret":"sesame"}}"#), 200),
    ] {
        let set = server.local("POST", "/_local/events", &body).await.unwrap();
        assert_eq!(set.status, status, "{set:?}");
        assert!(!set.body.contains("sesame"), "{set:?}");
    }
    server.state.set_offline(DEMO_CHANNEL).unwrap();
    let ended = named(&[("Stream End", 200), ("Session Ended", 200)]);
    assert_eq!(take(&mut posts, 2).await, ended);
    let cleared = server.local("DELETE", "/_local/events", "").await.unwrap();
    assert_eq!(cleared.status, 204);
    server.state.set_live(DEMO_CHANNEL).unwrap();
    let listed = server.local("GET", "/_local/events", "").await.unwrap();
    assert_eq!(listed.json(), serde_json::json!({"events": null}));
    assert!(posts.try_recv().is_err());
}
