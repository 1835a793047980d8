#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use super::*;
use crate::refusal::Code;
use engine::{Data, Wall};
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

fn parse(text: &str) -> Result<Event, Code> {
    read(text, Addressing::Path, &mut reader())
        .map(|(event, _)| event)
        .map_err(|refusal| refusal.code)
}

fn event(data: &str, fill: impl FnOnce(&mut Event)) -> Event {
    let mut event = Event::new(Data::Json(data.into()));
    fill(&mut event);
    event
}

#[test]
#[rustfmt::skip] // a table
fn what_is_accepted() {
    let long = |n: usize| "x".repeat(n);
    let cases: Vec<(String, Event)> = vec![
        (r#"{"data":1}"#.into(), event("1", |_| ())),
        (r#"{"data":null}"#.into(), event("null", |_| ())),
        (" { \"data\" : [ 1 , 2 ] } \r\n".into(), event("[1,2]", |_| ())),
        (r#"{"data":{"a":1.50,"b":"\u00e9"}}"#.into(), event(r#"{"a":1.50,"b":"\u00e9"}"#, |_| ())),
        (r#"{"d\u0061ta":true}"#.into(), event("true", |_| ())),
        (
            r#"{"type":"quiz.answer","id":"a-17","key":"score:home","merge":"sum","priority":"high","ttl_ms":5000,"data":3}"#.into(),
            event("3", |event| {
                event.content.kind = Some("quiz.answer".into());
                event.content.id = Some("a-17".into());
                event.content.key = Some("score:home".into());
                event.content.merge = Some(Merge::Sum);
                event.content.priority = Priority::High;
                event.ttl_ms = Some(5000);
            }),
        ),
        (r#"{"data":1,"type":"\u00e9\ud83d\ude00"}"#.into(), event("1", |event| event.content.kind = Some("é😀".into()))),
        (r#"{"data":1,"id":"\u0000"}"#.into(), event("1", |event| event.content.id = Some("\0".into()))),
        (r#"{"data":1,"ttl_ms":86400000}"#.into(), event("1", |event| event.ttl_ms = Some(86_400_000))),
        (r#"{"data":1,"ttl_ms":1e3}"#.into(), event("1", |event| event.ttl_ms = Some(1000))),
        (r#"{"data":1,"ttl_ms":1000.0}"#.into(), event("1", |event| event.ttl_ms = Some(1000))),
        (r#"{"data":1,"at":"2026-11-22T20:00:01Z"}"#.into(), event("1", |event| event.at = Some(Wall::from_micros(1_000_000)))),
        (r#"{"data":1,"at":"2026-11-22T21:00:00.250+01:00"}"#.into(), event("1", |event| event.at = Some(Wall::from_micros(250_000)))),
        (format!(r#"{{"data":1,"at":{}}}"#, NOW_MS + 86_400_000), event("1", |event| event.at = Some(Wall::from_micros(86_400_000_000)))),
        (r#"{"data":1,"at":100000000000}"#.into(), event("1", |event| event.at = Some(Wall::from_micros((100_000_000_000 - NOW_MS) * 1000)))),
        (r#"{"data":1,"at":"1970-01-01T00:00:00Z"}"#.into(), event("1", |event| event.at = Some(Wall::from_micros(-NOW_MS * 1000)))),
        (r#"{"data":1,"at":"1969-01-01T00:00:00Z"}"#.into(), event("1", |event| event.at = Some(Wall::from_micros((-31_536_000_000 - NOW_MS) * 1000)))),
        (format!(r#"{{"data":1,"type":"{}"}}"#, long(64)), event("1", |event| event.content.kind = Some(long(64).into()))),
        (format!(r#"{{"data":1,"id":"{}"}}"#, long(128)), event("1", |event| event.content.id = Some(long(128).into()))),
        (format!(r#"{{"data":1,"key":"{}"}}"#, long(128)), event("1", |event| event.content.key = Some(long(128).into()))),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(&text), Ok(expected), "{text}");
    }
}

#[test]
fn a_string_may_leave_as_it_is() {
    let text = r#"{"envelope":"raw","type":"t","data":"  \"\u00e9\n\ud83d\ude00\u0000 "}"#;
    let mut expected = Event::new(Data::Verbatim("  \"é\n😀\0 ".into()));
    expected.content.kind = Some("t".into());
    assert_eq!(parse(text), Ok(expected));
}

#[test]
#[rustfmt::skip] // a table
fn what_is_malformed() {
    let deep = |n: usize| format!(r#"{{"data":{}1{}}}"#, "[".repeat(n), "]".repeat(n));
    assert!(parse(&deep(64)).is_ok());
    for text in [
        "", " ", "1", "null", "[]", "\"a\"", "{", "{}", "{\"data\"}", "{\"data\":}", r#"{"data":1"#,
        r#"{"data":1}x"#, r#"{"data":1}{"data":2}"#, r#"{"data":1,}"#, r"{data:1}", r"{'data':1}",
        r#"{"data":01}"#, r#"{"data":+1}"#, r#"{"data":.5}"#, r#"{"data":1.}"#, r#"{"data":NaN}"#,
        r#"{"data":tru}"#, r#"{"data":"a}"#, "{\"data\":\"\n\"}", r#"{"data":"\x"}"#, r#"{"data":"\u12"}"#,
        "\u{feff}{\"data\":1}",
        r#"{"type":"a"}"#, r#"{"data":1,"data":1}"#, r#"{"data":1,"d\u0061ta":1}"#,
        r#"{"data":1,"type":"a","type":"a"}"#, r#"{"data":1,"at":1,"at":1}"#,
        r#"{"data":1,"ttl_ms":1,"ttl_ms":1}"#, r#"{"data":1,"merge":"sum","merge":"sum","key":"a"}"#,
        r#"{"data":1,"Type":"a"}"#, r#"{"data":1,"ttl":1}"#, r#"{"data":1,"channel":"a"}"#, r#"{"data":1,"":1}"#,
        r#"{"data":1,"type":1}"#, r#"{"data":1,"type":null}"#, r#"{"data":1,"id":["a"]}"#, r#"{"data":1,"id":null}"#,
        r#"{"data":1,"key":{}}"#, r#"{"data":1,"merge":true,"key":"a"}"#, r#"{"data":1,"merge":null}"#,
        r#"{"data":1,"priority":1}"#, r#"{"data":1,"ttl_ms":"5"}"#, r#"{"data":1,"ttl_ms":null}"#,
        r#"{"data":"a","envelope":1}"#, r#"{"data":"a","envelope":null}"#, r#"{"data":"a","envelope":"raw","envelope":"raw"}"#,
        r#"{"data":1,"ttl_ms":[1]}"#, r#"{"data":1,"at":null}"#, r#"{"data":1,"at":true}"#, r#"{"data":1,"at":{}}"#,
        r#"{"data":"\ud800"}"#, r#"{"data":{"\udc00":1}}"#, r#"{"data":1,"type":"\ud800"}"#,
        r#"{"data":1,"id":"\udfff"}"#, r#"{"data":1,"key":"\ud800x"}"#, r#"{"data":1,"at":"\ud800"}"#,
        r#"{"data":1,"\ud800":1}"#, r#"{"data":1,"merge":"\ud800","key":"a"}"#,
        &deep(65), &deep(100_000),
    ] {
        assert_eq!(parse(text), Err(Code::Malformed), "{}", &text[..text.len().min(80)]);
    }
}

#[test]
#[rustfmt::skip] // a table
fn what_is_invalid() {
    let long = |field: &str, n: usize| format!(r#"{{"data":1,"{field}":"{}"}}"#, "x".repeat(n));
    for text in [
        r#"{"data":1,"type":""}"#, r#"{"data":1,"id":""}"#, r#"{"data":1,"key":""}"#,
        &long("type", 65), &long("id", 129), &long("key", 129), &long("type", 100_000),
        r#"{"data":1,"merge":"sum"}"#, r#"{"data":1,"merge":"SUM","key":"a"}"#, r#"{"data":1,"merge":"","key":"a"}"#,
        r#"{"data":"a","envelope":"cue"}"#, r#"{"data":"a","envelope":""}"#, r#"{"data":1,"envelope":"raw"}"#,
        r#"{"data":{"a":1},"envelope":"raw"}"#, r#"{"data":"","envelope":"raw"}"#, r#"{"data":"a","envelope":"raw","key":"k"}"#,
        r#"{"data":"a","envelope":"raw","key":"k","merge":"replace"}"#,
        r#"{"data":1,"priority":"urgent"}"#, r#"{"data":1,"priority":""}"#,
        r#"{"data":1,"ttl_ms":0}"#, r#"{"data":1,"ttl_ms":-1}"#, r#"{"data":1,"ttl_ms":86400001}"#,
        r#"{"data":1,"ttl_ms":1.5}"#, r#"{"data":1,"ttl_ms":1e999}"#, r#"{"data":1,"ttl_ms":99999999999999999999}"#,
        r#"{"data":1,"ttl_ms":-0}"#,
        r#"{"data":1,"at":""}"#, r#"{"data":1,"at":"soon"}"#, r#"{"data":1,"at":"2026-11-22"}"#,
        r#"{"data":1,"at":"2026-11-22T20:00:00"}"#, r#"{"data":1,"at":"2026-13-22T20:00:00Z"}"#,
        r#"{"data":1,"at":"1795377600000"}"#, r#"{"data":1,"at":1795377600000.5}"#, r#"{"data":1,"at":1e300}"#,
        r#"{"data":1,"at":1795464000001}"#, r#"{"data":1,"at":"2027-11-22T20:00:00Z"}"#,
        r#"{"data":1,"at":9223372036854775807}"#,
        r#"{"data":1,"at":0}"#, r#"{"data":1,"at":-5}"#, r#"{"data":1,"at":1795377660}"#, r#"{"data":1,"at":99999999999}"#,
        r#"{"data":1,"at":1.795377660e9}"#, r#"{"data":1,"at":-9223372036854775808}"#,
    ] {
        assert_eq!(parse(text), Err(Code::InvalidEvent), "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn an_event_names_its_channel_where_it_must() {
    let parse = |text| {
        read(text, Addressing::Event, &mut reader())
            .map(|(_, channel)| channel.map(Cow::into_owned))
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(
        parse(r#"{"channel":"quiz","data":1}"#),
        Ok(Some("quiz".into()))
    );
    assert_eq!(
        parse(r#"{"channel":"qu\u0069z","data":1}"#),
        Ok(Some("quiz".into()))
    );
    for text in [
        r#"{"data":1}"#,
        r#"{"channel":1,"data":1}"#,
        r#"{"channel":"a","channel":"a","data":1}"#,
    ] {
        assert_eq!(parse(text), Err(Code::Malformed), "{text}");
    }
}

#[test]
fn details_say_what_and_stay_short() {
    let text = format!(r#"{{"data":1,"{}":1}}"#, "é".repeat(10_000));
    let refusal = read(&text, Addressing::Path, &mut reader()).unwrap_err();
    assert!(
        refusal.detail.starts_with("unknown field `éé") && refusal.detail.len() <= 240,
        "{refusal:?}"
    );
}

proptest! {
    #[test]
    fn any_text_is_survived(text in any::<String>(), fields in r#"(\{)?("data":[\[\]{}",0-9a-z:\\]{0,20},?|"at":"?[0-9TZ:.+-]{0,30}"?,?|"(id|key|ttl_ms)":["0-9a-zé]{0,9},?){0,4}\}?"#) {
        let _ = parse(&text);
        let _ = parse(&fields);
    }

    #[test]
    fn strings_come_out_as_they_went_in(kind in "\\PC{1,16}", key in any::<String>(), data in any::<f64>()) {
        prop_assume!(!key.is_empty() && key.len() <= 128);
        let text = serde_json::json!({ "type": kind, "key": key, "data": data }).to_string();
        let event = parse(&text).unwrap();
        prop_assert_eq!(event.content.kind.as_deref(), Some(&*kind));
        prop_assert_eq!(event.content.key.as_deref(), Some(&*key));
        prop_assert_eq!(&**event.content.data.text(), serde_json::to_string(&data).unwrap());
    }
}
