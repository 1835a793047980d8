#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use super::*;
use crate::refusal::Code;
use engine::{Data, Event, Wall};
use proptest::prelude::*;

/// 2026-11-22T20:00:00Z.
const NOW_MS: i64 = 1_795_377_600_000;

fn reader() -> ParseContext<'static> {
    ParseContext {
        now_ms: NOW_MS,
        at_max_ahead_ms: 86_400_000,
        time_of: &|ms| Wall::from_micros((ms - NOW_MS) * 1000),
        scratch: String::new(),
    }
}

fn expected(data: &str, fill: impl FnOnce(&mut Event)) -> Event {
    let mut event = Event::new(Data::Json(data.into()));
    event.content.kind = Some("quiz.answer".into());
    event.content.id = Some("/quiz 17".into());
    fill(&mut event);
    event
}

/// The members of a good event, then these.
fn with(more: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"17","source":"/quiz","type":"quiz.answer"{more}}}"#)
}

fn parse(text: &str, addressing: Addressing) -> Result<(Event, Option<String>), Code> {
    read(text, addressing, &mut reader())
        .map(|(event, channel)| (event, channel.map(Cow::into_owned)))
        .map_err(|refusal| refusal.code)
}

#[test]
#[rustfmt::skip] // a table
fn structured_events() {
    let same = |_: &mut Event| ();
    let cases: Vec<(String, Event)> = vec![
        (with(r#","data":{"a": 1.0}"#), expected(r#"{"a":1.0}"#, same)),
        (with(r#","data":null"#), expected("null", same)),
        (with(r#","data":"hi","datacontenttype":"text/plain","time":"x","subject":5,"other":{"deep":[1]}"#), expected("\"hi\"", same)),
        (with(r#","data":1,"subject":null,"data_base64":null,"cuekey":null,"cueat":null"#), expected("1", same)),
        (with(r#","data":1,"cuechannel":"elsewhere""#), expected("1", same)),
        (with(r#","data":1,"partitionkey":"p""#), expected("1", |event| event.content.key = Some("p".into()))),
        (with(r#","data":1,"partitionkey":"p","cuekey":"k","cuemerge":"sum","cuepriority":"low""#), expected("1", |event| {
            event.content.key = Some("k".into());
            event.content.merge = Some(Merge::Sum);
            event.content.priority = Priority::Low;
        })),
        (with(r#","data":1,"expirytime":"2026-11-22T20:00:05Z""#), expected("1", |event| event.ttl_ms = Some(5000))),
        (with(r#","data":1,"expirytime":"2026-11-22T20:00:05Z","cueat":"2026-11-22T20:00:03Z""#), expected("1", |event| {
            event.ttl_ms = Some(2000);
            event.at = Some(Wall::from_micros(3_000_000));
        })),
        (with(r#","data":1,"expirytime":"2026-11-22T20:00:05Z","cueat":"2020-01-01T00:00:00Z""#), expected("1", |event| {
            event.ttl_ms = Some(5000);
            event.at = Some(Wall::from_micros((1_577_836_800_000 - NOW_MS) * 1000));
        })),
        (with(r#","data":1,"cueat":"1795377601000""#), expected("1", |event| event.at = Some(Wall::from_micros(1_000_000)))),
        (with(r#","data":1,"cueat":1795377601000"#), expected("1", |event| event.at = Some(Wall::from_micros(1_000_000)))),
    ];
    for (text, event) in cases {
        assert_eq!(parse(&text, Addressing::Path), Ok((event, None)), "{text}");
    }
    assert_eq!(
        parse(&with(r#","data":1,"cuechannel":"quiz""#), Addressing::Event),
        Ok((expected("1", same), Some("quiz".into())))
    );
}

#[test]
#[rustfmt::skip] // a table
fn structured_refusals() {
    let long = format!(r#"{{"specversion":"1.0","id":"{}","source":"/q","type":"t","data":1}}"#, "x".repeat(510));
    for (text, code) in [
        (with(""), Code::Malformed),
        (with(r#","data":1,"data":1"#), Code::Malformed),
        (with(r#","data":1,"id":"17""#), Code::Malformed),
        (with(r#","data":1,"other":1,"other":2"#), Code::Malformed),
        (with(r#","data":1,"cuekey":5"#), Code::Malformed),
        (with(r#","data":1,"cueat":true"#), Code::Malformed),
        (with(r#","data":"\ud800""#), Code::Malformed),
        (with(r#","data":1,"other":"\ud800""#), Code::Malformed),
        (with(&format!(r#","data":1,"other":{}{}"#, "[".repeat(65), "]".repeat(65))), Code::Malformed),
        ("[]".into(), Code::Malformed),
        (r#"{"id":"17","source":"/quiz","type":"a","data":1}"#.into(), Code::Malformed),
        (r#"{"specversion":"1.0","source":"/quiz","type":"a","data":1}"#.into(), Code::Malformed),
        (r#"{"specversion":"1.0","id":"17","type":"a","data":1}"#.into(), Code::Malformed),
        (r#"{"specversion":"1.0","id":"17","source":"/quiz","data":1}"#.into(), Code::Malformed),
        (r#"{"specversion":"0.3","id":"17","source":"/quiz","type":"a","data":1}"#.into(), Code::InvalidEvent),
        (r#"{"specversion":"1.0","id":"","source":"/quiz","type":"a","data":1}"#.into(), Code::InvalidEvent),
        (r#"{"specversion":"1.0","id":"17","source":"","type":"a","data":1}"#.into(), Code::InvalidEvent),
        (r#"{"specversion":"1.0","id":"17","source":"a b","type":"a","data":1}"#.into(), Code::InvalidEvent),
        (r#"{"specversion":"1.0","id":"17","source":"a","type":"","data":1}"#.into(), Code::InvalidEvent),
        (long, Code::InvalidEvent),
        (with(r#","data_base64":"AQ==""#), Code::InvalidEvent),
        (with(r#","data":1,"data_base64":"AQ==""#), Code::InvalidEvent),
        (with(r#","data":1,"cuemerge":"sum""#), Code::InvalidEvent),
        (with(r#","data":1,"cuekey":"""#), Code::InvalidEvent),
        (with(r#","data":1,"cuepriority":"urgent""#), Code::InvalidEvent),
        (with(r#","data":1,"expirytime":"soon""#), Code::InvalidEvent),
        (with(r#","data":1,"expirytime":"2026-11-22T20:00:00Z""#), Code::InvalidEvent),
        (with(r#","data":1,"expirytime":"2026-11-24T20:00:00Z""#), Code::InvalidEvent),
        (with(r#","data":1,"cueat":"soon""#), Code::InvalidEvent),
    ] {
        assert_eq!(parse(&text, Addressing::Path), Err(code), "{}", &text[..text.len().min(200)]);
    }
    assert_eq!(parse(&with(r#","data":1"#), Addressing::Event), Err(Code::Malformed), "no cuechannel");
}

fn binary(headers: &[(&str, &str)], body: &[u8], kind: BinaryBody) -> Result<Event, Code> {
    let mut map = HeaderMap::new();
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-source", "/quiz"),
        ("ce-type", "quiz.answer"),
    ]
    .iter()
    .chain(headers)
    {
        let name: axum::http::HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    read_binary(&map, body, kind, Addressing::Path, &mut reader())
        .map(|(event, _)| event)
        .map_err(|refusal| refusal.code)
}

#[test]
#[rustfmt::skip] // a table
fn binary_mode() {
    let id = ("ce-id", "17");
    let same = |_: &mut Event| ();
    let key = |key: &'static str| move |event: &mut Event| event.content.key = Some(key.into());
    for (headers, body, kind, event) in [
        (vec![id], &b" [1, 2]\n"[..], BinaryBody::Json, Ok(expected("[1,2]", same))),
        (vec![id], b"say \"hi\"\n", BinaryBody::Text, Ok(expected(r#""say \"hi\"\n""#, same))),
        (vec![id], b"", BinaryBody::Text, Ok(expected("\"\"", same))),
        (vec![id, ("ce-cuekey", "a%20b%C3%A9")], b"1", BinaryBody::Json, Ok(expected("1", key("a bé")))),
        (vec![id, ("ce-cuekey", r#""a \"b\"""#)], b"1", BinaryBody::Json, Ok(expected("1", key("a \"b\"")))),
        (vec![id, ("ce-other", "x")], b"1", BinaryBody::Json, Ok(expected("1", same))),
        (vec![id, ("ce-cueat", "1795377601000")], b"1", BinaryBody::Json, Ok(expected("1", |event| event.at = Some(Wall::from_micros(1_000_000))))),
        (vec![], b"1", BinaryBody::Json, Err(Code::Malformed)),
        (vec![id], b"", BinaryBody::Json, Err(Code::Malformed)),
        (vec![id], b"1 2", BinaryBody::Json, Err(Code::Malformed)),
        (vec![id], b"\"\\ud800\"", BinaryBody::Json, Err(Code::Malformed)),
        (vec![id], b"\xff", BinaryBody::Text, Err(Code::Malformed)),
        (vec![id, id], b"1", BinaryBody::Json, Err(Code::Malformed)),
        (vec![id, ("ce-cuekey", "%ff")], b"1", BinaryBody::Json, Err(Code::Malformed)),
        (vec![id, ("ce-cuekey", "é")], b"1", BinaryBody::Json, Err(Code::Malformed)),
        (vec![id, ("ce-cuemerge", "sum")], b"1", BinaryBody::Json, Err(Code::InvalidEvent)),
        (vec![id, ("ce-expirytime", "2026-11-22T19:00:00Z")], b"1", BinaryBody::Json, Err(Code::InvalidEvent)),
    ] {
        assert_eq!(binary(&headers, body, kind), event, "{headers:?}");
    }
}

proptest! {
    #[test]
    fn anything_is_survived(text in any::<String>(), members in r#"(,"(data|cueat|cuekey|x)":[\[\]{}"a0-9]{0,8}){0,4}"#, header in "[ -~]{0,20}", body in any::<Vec<u8>>()) {
        let _ = parse(&text, Addressing::Path);
        let _ = parse(&with(&members), Addressing::Event);
        let _ = binary(&[("ce-id", &header)], &body, BinaryBody::Json);
        let _ = binary(&[("ce-cueat", &header)], &body, BinaryBody::Text);
    }
}
