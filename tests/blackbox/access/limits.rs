//! What a producer may send, by its key, and that it cannot take what is others'.

use super::*;
use crate::support::eventually;
use crate::support::metrics::same;
use crate::support::process::arn;
use crate::support::ws::Client;

const PATH: &str = "/v1/channels/quiz/events";

fn events(count: usize) -> String {
    format!("[{}]", vec![r#"{"data":1}"#; count].join(","))
}

/// A channel that is forgotten, to make room for another, and comes again has no new burst.
#[test]
fn a_forgotten_channel_gets_no_new_burst() {
    let lines = key_lines(
        "slow",
        "\"*\"",
        "\"publish\"",
        "channel_events_per_second = 1\nchannel_events_burst = 600",
    );
    let rest = "[limits]\nchannels_max = 3\n[channels]\nallow_unlisted = true\n";
    let (gateway, _files) = gateway(&format!("{rest}{lines}"));
    let slow = bearer("slow");
    let ask = |method: &str, path: &str, body: &str| {
        ask(gateway.producers, method, path, Some(&slow), body)
    };
    let publish = |channel: &str, count: usize| {
        let event = format!(r#"{{"channel":"{}","data":1}}"#, arn(channel));
        let body = vec![event; count].join(",");
        ask("POST", "/v1/events", &format!("[{body}]"))
    };
    for channel in ["first", "second"] {
        gateway.emulator.stream(&arn(channel), "live");
    }
    assert_eq!(publish("first", 600).json()["accepted"], 600);
    // There is room for one that is not listed: this one, once the first is idle.
    eventually("the first is forgotten", || {
        (publish("second", 1).status == 202).then_some(())
    });
    let accepted = eventually("the second is forgotten", || {
        let answer = publish("first", 600);
        let is_full = answer.json()["code"] == "overloaded";
        (!is_full).then(|| answer.json()["accepted"].as_u64().unwrap_or(0))
    });
    assert!(accepted < 600, "{accepted}");
}

#[test]
fn rates_of_a_key() {
    // A rate so low that nothing comes back while the test runs.
    let lines = key_lines(
        "slow",
        "\"*\"",
        "\"publish\"",
        "events_per_second = 1\nevents_burst = 600\nbytes_per_second = 100\nbytes_burst = 20000",
    ) + &key_lines(
        "channelwise",
        "\"*\"",
        "\"publish\"",
        "channel_events_per_second = 1\nchannel_events_burst = 3",
    ) + &key_lines("free", "\"*\"", "\"publish\"", "");
    let (gateway, _files) = gateway(&lines);
    let post = |owner: &str, path: &str, body: &str| {
        ask(gateway.producers, "POST", path, Some(&bearer(owner)), body)
    };
    // Of a batch, what the limit lets through; the rest is refused, and told.
    assert_eq!(post("slow", PATH, &events(598)).status, 202);
    let answer = post("slow", PATH, &events(20));
    assert_eq!(answer.status, 202, "{answer:?}");
    let told = answer.json();
    let accepted = told["accepted"].as_u64().expect("a number");
    assert!((2..20).contains(&accepted), "{told}");
    let refused = told["rejected"].as_array().expect("a list");
    assert_eq!(refused.len() as u64, 20 - accepted);
    assert_eq!(refused[0]["index"], accepted);
    assert_eq!(refused[0]["code"], "rate_limited");
    assert_eq!(answer.header("ratelimit-policy"), "\"events\";q=600;w=600");
    // Of one, nothing, unless a second went by since; all or none, none.
    for path in [PATH, "/v1/channels/quiz/events?atomic=true"] {
        let answer = eventually("all are refused", || {
            let answer = post("slow", path, &events(40));
            (answer.status == 429).then_some(answer)
        });
        http::check_problem(&answer, 429, "rate_limited");
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(answer.header("ratelimit"), "\"events\";r=0;t=1");
    }
    // Bytes are of bodies, whatever is in them.
    let large = format!(r#"{{"data":"{}"}}"#, "x".repeat(700));
    let mut answers = (0..40).map(|_| post("slow", PATH, &large));
    let answer = answers.find(|answer| answer.header("ratelimit-policy").starts_with("\"bytes\""));
    let answer = answer.expect("no more bytes");
    http::check_problem(&answer, 429, "rate_limited");
    assert_eq!(answer.header("ratelimit-policy"), "\"bytes\";q=20000;w=200");
    let beyond = post(
        "slow",
        PATH,
        &format!(r#"{{"data":"{}"}}"#, "x".repeat(20_000)),
    );
    http::check_problem(&beyond, 413, "body_too_large");
    // Each channel has its own.
    let channelwise = |channel: &str| {
        let body = format!(
            "[{}]",
            vec![format!(r#"{{"channel":"{channel}","data":1}}"#); 5].join(",")
        );
        post("channelwise", "/v1/events", &body).json()["accepted"].clone()
    };
    assert_eq!(
        (channelwise("quiz"), channelwise("other")),
        (json!(3), json!(3))
    );
    // Others feel nothing of it.
    assert_eq!(post("free", PATH, &events(100)).json()["accepted"], 100);
    gateway.scrape().check_books(true);
}

#[test]
fn rates_and_places_of_a_websocket() {
    let lines = key_lines(
        "slow",
        "\"*\"",
        "\"publish\", \"read\"",
        "events_per_second = 1\nevents_burst = 2\nmax_connections = 2",
    );
    let (gateway, _files) = gateway(&lines);
    let open = || Client::try_open_as(gateway.producers, "/v1/channels/quiz/ws", &bearer("slow"));
    let mut client = open().expect("a WebSocket");
    client.send(&events(4));
    let answers = client.until_ack(1);
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer["code"] == "rate_limited")
        .collect();
    assert!((1..=2).contains(&refused.len()), "{answers:?}");
    assert_eq!(refused[0]["msg"], 1);
    let second = open().expect("a WebSocket");
    let third = open().err().expect("no place");
    assert_eq!(third, 429);
    let stream = ask(
        gateway.producers,
        "GET",
        "/v1/channels/quiz/payloads",
        Some(&bearer("slow")),
        "",
    );
    http::check_problem(&stream, 429, "rate_limited");
    // A place that is left can be taken.
    drop(second);
    eventually("a place", || open().ok());
}

/// One that floods a channel leaves room for others, whatever the channel does when it is full.
#[test]
fn nobody_fills_a_queue_for_all() {
    for overflow in ["reject", "drop_lowest_priority", "drop_oldest"] {
        let keys = ["flood", "quiet"].map(|owner| key_lines(owner, "\"*\"", "\"publish\"", ""));
        let control = key_lines("control", "\"*\"", "\"control\", \"read\"", "");
        let full = format!("ttl_ms = 60000\nqueue_max_events = 20\noverflow = \"{overflow}\"");
        let config = local(&(keys.concat() + &control), &[("quiz", &full)]);
        let gateway = Gateway::start(&config);
        let paused = ask(
            gateway.producers,
            "POST",
            "/v1/channels/quiz/pause",
            Some(&bearer("control")),
            "",
        );
        assert_eq!(paused.status, 204);
        let post = |owner: &str, body: &str| {
            ask(gateway.producers, "POST", PATH, Some(&bearer(owner)), body)
        };
        let flood: Vec<_> = (0..40).map(|nth| format!(r#"{{"data":{nth}}}"#)).collect();
        let told = post("flood", &format!("[{}]", flood.join(","))).json();
        let drops = overflow == "drop_oldest";
        assert_eq!(
            told["accepted"],
            if drops { 40 } else { 10 },
            "{overflow}: {told}"
        );
        assert_eq!(told["queued"], 10, "{overflow}: {told}");
        if !drops {
            assert_eq!(told["rejected"][0]["code"], "queue_full");
            assert!(
                told["rejected"][0]["detail"].to_string().contains("50 %"),
                "{told}"
            );
        }
        let told = post("quiet", &events(10)).json();
        assert_eq!(
            (&told["accepted"], &told["queued"]),
            (&json!(10), &json!(20)),
            "{overflow}"
        );
        gateway.scrape().check_books(true);
    }
}

/// A key that never finishes its messages has a quarter of what all may hold, and others the rest.
#[test]
fn unfinished_messages_of_a_key() {
    const SIZE: usize = 1_000_000;
    let lines = ["greedy", "other"].map(|owner| key_lines(owner, "\"*\"", "\"publish\"", ""));
    let (gateway, _files) = gateway(&lines.concat());
    let ws = "/v1/channels/quiz/ws";
    let fit = (64 << 20) / SIZE;
    let mut clients: Vec<_> = (0..fit + 10)
        .map(|_| Client::open_as(gateway.producers, ws, &bearer("greedy")))
        .collect();
    for (nth, client) in clients.iter_mut().enumerate() {
        let expected = if nth < fit { Ok(()) } else { Err(1013) };
        assert_eq!(client.hold(SIZE), expected, "message {nth}");
    }
    let name = r#"cuegate_events_rejected_total{code="rate_limited"}"#;
    assert!(same(gateway.scrape().get(name), 10.0));
    let post = |owner: &str, body: &str| {
        ask(gateway.producers, "POST", PATH, Some(&bearer(owner)), body).status
    };
    // Its bodies are of the same budget.
    let large = format!(r#"{{"data":{}1}}"#, " ".repeat(900_000));
    assert_eq!(post("greedy", &large), 429);
    assert_eq!(post("other", &large), 202);
    gateway.scrape().check_books(true);
}

/// An alias that was mistyped is named, unless its channel is not the key's to know of.
#[test]
fn near_names_are_told_to_those_who_may_use_them() {
    let lines = [("all", "\"*\""), ("its", "\"qu*\", \"oth\"")]
        .map(|(owner, channels)| key_lines(owner, channels, "\"publish\"", ""));
    let (gateway, _files) = gateway(&lines.concat());
    let detail = |owner: &str, name: &str| {
        let path = format!("/v1/channels/{name}/events");
        let answer = ask(gateway.producers, "POST", &path, Some(&bearer(owner)), "{}");
        http::check_problem(&answer, 404, "unknown_channel");
        answer.json()["detail"].as_str().expect("a text").to_owned()
    };
    for (owner, name, near) in [
        ("all", "quizz", Some("quiz")),
        ("all", "Quiz", Some("quiz")),
        ("all", "othr", Some("other")),
        ("its", "quis", Some("quiz")),
        ("its", "oth", None),
        ("all", "something-else", None),
        ("all", &"q".repeat(3000), None),
    ] {
        let detail = detail(owner, name);
        match near {
            Some(near) => assert!(
                detail.contains(&format!("did you mean {near}?")),
                "{detail}"
            ),
            None => assert!(!detail.contains("did you mean"), "{detail}"),
        }
    }
    // Once a batch, for it costs.
    let batch = format!("[{}]", [r#"{"data":1,"channel":"quizz"}"#; 3].join(","));
    let answer = ask(
        gateway.producers,
        "POST",
        "/v1/events",
        Some(&bearer("all")),
        &batch,
    );
    assert!(answer.text().contains("did you mean quiz?"), "{answer:?}");
}
