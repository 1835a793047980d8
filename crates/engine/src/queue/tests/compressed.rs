//! Payloads that leave compressed. (The naive queue of `model` knows them too.)

use super::model::Random;
use super::varied::varied_event;
use super::*;
use crate::envelope::EnvelopeFields;
use crate::event::Content;
use crate::form::{Compressor, compressed, decode};
use crate::policy::Compress;
use crate::queue::{Change, DeadLetterReason, Outline, Payload, Rebuild};

fn deflate() -> ChannelPolicy {
    ChannelPolicy {
        compress: Compress::Deflate,
        fields: EnvelopeFields {
            kind: true,
            key: true,
            id: false,
        },
        queue_max_events: 20_000,
        queue_max_bytes: 1 << 24,
        ttl_ms: 86_400_000,
        ..ChannelPolicy::default()
    }
}

fn off() -> ChannelPolicy {
    ChannelPolicy {
        compress: Compress::Off,
        ..deflate()
    }
}

fn queue(policy: ChannelPolicy) -> Queue {
    Queue::new(Arc::new(policy), 1024, 100, Span::from_millis(200))
}

/// Events that stay as many as they are.
fn varied(random: &mut Random, count: usize) -> Vec<Event> {
    let one = |_| {
        Event::from(Content {
            merge: None,
            ..varied_event(random).content
        })
    };
    (0..count).map(one).collect()
}

fn put_all(queue: &mut Queue, events: &[Event]) {
    for event in events {
        let answer = queue.accept(ms(1000), event.clone());
        assert_eq!(answer, Ok(Admission::Accepted));
    }
}

/// Bytes in hexadecimal digits, which hardly compress.
fn noise(random: &mut Random, digits: u64) -> String {
    let digit = |_| char::from(b"0123456789abcdef"[usize::try_from(random.below(16)).unwrap_or(0)]);
    (0..digits).map(digit).collect()
}

/// The plain form of a payload, which holds what must hold of all of them.
fn plain(payload: &Payload) -> String {
    let plain = decode(&payload.text);
    let compressed = plain.is_ok();
    let plain = plain.unwrap_or_else(|_| payload.text.to_string());
    assert_eq!(payload.plain_bytes, plain.len());
    assert!(!compressed || payload.text.len() < plain.len());
    let json: serde_json::Value = serde_json::from_str(&plain).expect("JSON");
    assert_eq!(json["n"], payload.n);
    let events = json["e"].as_array().map(Vec::len);
    assert_eq!(events, Some(payload.events));
    plain
}

fn delivered(queue: &mut Queue) -> Option<Payload> {
    let payload = queue.take(ms(1000))?;
    queue.settle(ms(1000), payload.id, Outcome::Delivered);
    Some(payload)
}

#[test]
fn twice_the_events() {
    let mut random = Random(1);
    let events = varied(&mut random, 10_000);
    let mut payloads = [0_u32; 2];
    let before = compressed();
    for (policy, payloads) in [off(), deflate()].into_iter().zip(&mut payloads) {
        let mut queue = queue(policy);
        put_all(&mut queue, &events);
        assert_eq!(
            compressed(),
            before,
            "nothing is compressed before it is sent"
        );
        let mut items = Vec::new();
        while let Some(payload) = delivered(&mut queue) {
            assert!(payload.text.len() <= 1024);
            items.push(plain(&payload));
            *payloads += 1;
        }
        // In their order, each once.
        let sent = items.concat();
        let mut rest = &sent[..];
        for event in &events {
            let item = format!(r#"{{"d":{},"#, event.content.data.text());
            let at = rest.find(&item).expect("in its place");
            rest = &rest[at + item.len()..];
        }
        assert_eq!(queue.ledger().delivered, 10_000);
    }
    let trials =
        f64::from(u32::try_from(compressed() - before).expect("few")) / f64::from(payloads[1]);
    let gain = f64::from(payloads[0]) / f64::from(payloads[1]);
    println!(
        "{payloads:?} payloads plain and compressed: {gain:.2} times; {trials:.2} trials each"
    );
    assert!(gain >= 2.0, "{gain:.2} times the events");
    assert!(trials <= 3.5, "{trials:.2} trials a payload");
}

/// Whether a payload is full is asked with every event, and costs no compression. Filling one
/// costs a few, whatever is queued.
#[test]
fn few_are_compressed() {
    for seed in 0..6 {
        let mut random = Random(seed);
        let mut queue = queue(deflate());
        let mut least = usize::MAX;
        for round in 0..20 {
            let mut events = varied(&mut random, 100);
            if round % 3 == 0 {
                // Of another kind than the last ones.
                events = (0..50)
                    .map(|_| event(&format!(r#"{{"x":"{}"}}"#, noise(&mut random, 60))))
                    .collect();
            } else if round % 5 == 0 {
                events = vec![event(r#"{"a":1}"#); 1000];
            }
            let before = compressed();
            put_all(&mut queue, &events);
            queue.demand(ms(1000));
            queue.depth(ms(1000));
            let _ = queue.wake();
            assert_eq!(compressed(), before, "deciding");
            let payload = delivered(&mut queue).expect("a payload");
            let count = compressed() - before;
            assert!(count <= 9, "seed {seed}: {count}");
            plain(&payload);
            least = least.min(count);
        }
        assert!(least <= 3, "seed {seed}: {least}");
    }
}

/// A payload with the events that are in it fits, and one with the next as well does not; it has
/// no fewer events than a plain one.
#[test]
fn as_many_as_fit() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut events = varied(&mut random, 60);
        for (number, one) in events.iter_mut().enumerate() {
            if seed % 3 == 0 && number % 4 == 0 {
                let data = noise(&mut random, 10 + 10 * seed);
                *one = event(&format!(r#""{data}""#));
            }
        }
        let [mut plainly, mut queue] = [off(), deflate()].map(queue);
        put_all(&mut plainly, &events);
        put_all(&mut queue, &events);
        let payload = queue.take(ms(1000)).expect("a payload");
        let text = plain(&payload);
        assert!(payload.text.len() <= 1024);
        let other = plainly.take(ms(1000)).expect("a payload");
        assert!(payload.events >= other.events, "seed {seed}");
        let Some(next) = events.get(payload.events) else {
            continue;
        };
        let open = text.strip_suffix("]}").expect("a payload");
        let kind = next
            .content
            .kind
            .as_ref()
            .map(|kind| format!(r#","t":"{kind}""#));
        let key = next
            .content
            .key
            .as_ref()
            .map(|key| format!(r#","k":"{key}""#));
        let (kind, key) = (kind.unwrap_or_default(), key.unwrap_or_default());
        let longer = format!(
            r#"{open},{{"d":{}{kind}{key}}}]}}"#,
            next.content.data.text()
        );
        let longer = Compressor::new().compress(&longer).unwrap_or(longer);
        assert!(longer.len() > 1024, "seed {seed}: {}", longer.len());
    }
}

#[test]
fn what_the_last_payloads_gained_decides_what_is_full() {
    let mut random = Random(3);
    let mut queue = queue(deflate());
    let put = |queue: &mut Queue, random: &mut Random, bytes: usize| {
        while queue
            .order
            .waiting
            .iter()
            .map(|it| it.items.bytes)
            .sum::<usize>()
            < bytes
        {
            let events = varied(random, 1);
            put_all(queue, &events);
        }
        (
            queue.demand(ms(1000)).is_some_and(|it| it.full),
            queue.depth(ms(1000)).eta.millis_ceil(),
        )
    };
    // Nothing is known yet: as if it went plain.
    assert_eq!(put(&mut queue, &mut random, 900), (false, 200));
    assert_eq!(put(&mut queue, &mut random, 1500), (true, 200));
    let (full, eta) = put(&mut queue, &mut random, 9000);
    assert!(full && (1600..=1800).contains(&eta), "{eta}");
    while delivered(&mut queue).is_some() {}
    // Now it is known.
    assert_eq!(put(&mut queue, &mut random, 1500), (false, 200));
    assert_eq!(put(&mut queue, &mut random, 2800), (true, 200));
    let (full, eta) = put(&mut queue, &mut random, 9000);
    assert!(full && (600..=1000).contains(&eta), "{eta}");
    let mut outline = Outline::default();
    while queue.outline(ms(1000), &mut outline, None, None) {}
    let last = outline.page(None, 1000).spots.pop().expect("an event");
    assert_eq!(last.leaves_in.millis_ceil(), eta, "told event by event");
}

#[test]
fn an_event_that_fits_compressed_alone() {
    let long = |letter: &str| event(&format!("\"{}\"", letter.repeat(3000)));
    let mut random = Random(4);
    let mut queue = queue(deflate());
    put_all(&mut queue, &[long("x"), event("1"), long("y").key("k")]);
    let payload = queue.take(ms(1000)).expect("a payload");
    assert!(
        payload.text.starts_with("~0") && payload.text.len() < 200,
        "{}",
        payload.text
    );
    assert_eq!((payload.events, plain(&payload).len() > 6000), (3, true));

    // Too large in any form: told with its size in the shortest.
    let noisy = event(&format!("\"{}\"", noise(&mut random, 3000)));
    let answer = queue.accept(ms(1000), noisy.clone());
    let Err(Refusal::TooLarge { size, limit: 1024 }) = answer else {
        panic!("{answer:?}");
    };
    assert!((1500..2500).contains(&size), "{size}");
    // Longer than any player decodes.
    let endless = event(&format!("\"{}\"", "x".repeat(65_600)));
    let answer = queue.accept(ms(1000), endless);
    assert!(matches!(answer, Err(Refusal::TooLarge { size, .. }) if size > 65_600));
    // Where nothing is compressed, both are.
    let mut queue = super::compressed::queue(off());
    assert!(queue.accept(ms(1000), long("x")).is_err());
}

/// A payload is accepted by its size with another number than the one it is sent with.
#[test]
fn numbers_hardly_change_the_size() {
    let mut random = Random(5);
    let mut queue = queue(deflate());
    let mut taken = 0;
    for round in 0..150 {
        let texts = varied(&mut random, 20 + round % 12);
        let texts: Vec<&str> = texts
            .iter()
            .map(|event| &**event.content.data.text())
            .collect();
        let event = event(&format!("[{}]", texts.join(",")));
        if queue.accept(ms(1000), event).is_err() {
            continue;
        }
        taken += 1;
        queue.next_n = [
            1,
            8_888_888_888_888_888,
            4_827_364_901_827_364,
            1_790_123_456_789,
        ][round % 4];
        let payload = delivered(&mut queue).expect("not a dead letter");
        assert!(payload.text.len() <= 1024, "round {round}");
    }
    assert!((50..150).contains(&taken), "{taken}");
}

#[test]
fn rules_that_change_leave_events_without_a_payload() {
    let mut random = Random(6);
    let mut queue = queue(deflate());
    // These take more than 600 bytes in any form.
    for _ in 0..40 {
        let noisy = event(&format!("\"{}\"", noise(&mut random, 1100)));
        put_all(&mut queue, &[noisy.kind("large")]);
    }
    put_all(&mut queue, &[event("1").kind("small")]);
    queue.set_policy(Arc::new(deflate()), 600);
    // A few at a time: each of them is compressed first.
    let mut asked = 0;
    let payload = loop {
        let before = compressed();
        let payload = queue.take(ms(1000));
        assert!(compressed() - before <= 17, "{}", compressed() - before);
        asked += 1;
        if let Some(payload) = payload {
            break payload;
        }
        assert!(queue.demand(ms(1000)).is_some(), "there is more to send");
    };
    assert_eq!((asked, payload.events), (3, 1));
    let dead = queue.take_dead();
    assert_eq!(dead.len(), 40);
    assert!(
        dead.iter()
            .all(|it| it.reason == DeadLetterReason::TooLarge)
    );

    // Without compressing what fits only compressed is dead.
    let mut queue = super::compressed::queue(deflate());
    put_all(
        &mut queue,
        &[event(&format!("\"{}\"", "x".repeat(3000))), event("1")],
    );
    queue.set_policy(Arc::new(off()), 1024);
    assert_eq!(
        &*queue.take(ms(1000)).expect("a payload").text,
        r#"{"v":1,"n":100,"e":[{"d":1}]}"#
    );
    assert_eq!(queue.take_dead().len(), 1);
}

#[test]
fn a_compressed_payload_keeps_its_text() {
    // With this seed the first payload has more than 1,000 bytes.
    let mut random = Random(10);
    let mut queue = queue(deflate());
    queue.keep_changes();
    put_all(&mut queue, &varied(&mut random, 60));
    let mut changes = queue.take_changes();
    let first = queue.take(ms(1000)).expect("a payload");
    plain(&first);
    for outcome in [Outcome::Failed, Outcome::Unknown, Outcome::Refused] {
        queue.settle(ms(1000), first.id, outcome);
        let again = queue.take(ms(1000)).expect("a payload");
        assert_eq!(again, first);
    }
    // A crash.
    changes.extend(queue.take_changes());
    let packed = changes
        .iter()
        .any(|it| matches!(it, Change::Packed { text, .. } if *text == first.text));
    assert!(packed, "recorded as it is sent");
    let mut rebuild = Rebuild::default();
    for change in changes {
        rebuild.apply(change).expect("written by a queue");
    }
    let (policy, interval) = (Arc::new(deflate()), Span::ZERO);
    let mut queue = Queue::rebuild(policy, 1024, 1, interval, ms(1000), wall(ms(0)), rebuild);
    let again = queue.take(ms(1000)).expect("a payload");
    assert_eq!((&again.text, again.n), (&first.text, first.n));
    assert_eq!(again.plain_bytes, first.plain_bytes);
    // Found too large, it is packed anew for the smaller limit.
    assert!(again.text.len() > 1000, "{}", again.text.len());
    let settled = queue.settle(ms(1000), again.id, Outcome::TooLarge);
    assert_eq!(settled.payload_max, Some(1000));
    let smaller = delivered(&mut queue).expect("a payload");
    assert!(smaller.text.len() <= 1000 && smaller.n > first.n);
    assert!(plain(&smaller).contains(r#""e":[{"d":"#));
    while delivered(&mut queue).is_some() {}
    assert_eq!(queue.ledger().delivered, 60);
}

/// Events that did not fit after all are as they were: not one of them counts as sent.
#[test]
fn what_did_not_fit_stays_as_it_was() {
    let mut random = Random(8);
    let mut queue = queue(deflate());
    let events = varied(&mut random, 200);
    let events = events.into_iter().enumerate();
    let events: Vec<Event> = events
        .map(|(number, event)| event.by(1, 100).ttl(5000).id(&format!("i{number}")))
        .collect();
    put_all(&mut queue, &events);
    let before = queue.snapshot();
    let payload = queue.take(ms(1000)).expect("a payload");
    let after = queue.snapshot();
    let queued = |changes: &[Change]| -> Vec<Change> {
        let queued = changes.iter().filter(|it| matches!(it, Change::Queued(_)));
        queued.skip(payload.events).cloned().collect()
    };
    assert_eq!(queued(&after), queued(&before));
    let items = &queue.order.items;
    let line = queue.shares.line(NonZeroU32::MIN, items);
    assert_eq!(line.len(), 200 - payload.events);
    assert_eq!(queue.cancel(ms(1000), "i0"), Cancelled::Gone);
    assert_eq!(queue.cancel(ms(1000), "i199"), Cancelled::Done);
    queue.demand(ms(7000));
    assert_eq!(queue.ledger().expired, 199 - payload.events as u64);
    assert_eq!(queue.purge(ms(7000), None, None), 0);
    queue.settle(ms(7000), payload.id, Outcome::Delivered);
    assert!(queue.is_empty());
}

#[test]
fn looking_past_what_does_not_fit() {
    let mut random = Random(9);
    for lookahead in [0, 3] {
        let mut queue = queue(ChannelPolicy {
            lookahead,
            ..deflate()
        });
        let large = event(&format!("\"{}\"", noise(&mut random, 1000)));
        let mut events = varied(&mut random, 15);
        events.push(large);
        events.extend(varied(&mut random, 10));
        put_all(&mut queue, &events);
        let payload = delivered(&mut queue).expect("a payload");
        plain(&payload);
        let expected = if lookahead == 0 { 15..16 } else { 18..26 };
        assert!(
            expected.contains(&payload.events),
            "{lookahead}: {}",
            payload.events
        );
        while delivered(&mut queue).is_some() {}
        assert_eq!(queue.ledger().delivered, 26);
    }
}

#[test]
fn only_the_envelope_cue_compresses() {
    for (envelope, text) in [
        (
            Envelope::Array,
            "[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]",
        ),
        (Envelope::Raw, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ] {
        let mut queue = queue(ChannelPolicy {
            envelope,
            ..deflate()
        });
        put_all(&mut queue, &[event(&format!("\"{}\"", "a".repeat(40)))]);
        let long = event(&format!("\"{}\"", "a".repeat(1100)));
        assert!(queue.accept(ms(1000), long).is_err());
        let payload = delivered(&mut queue).expect("a payload");
        assert_eq!((&*payload.text, payload.plain_bytes), (text, text.len()));
    }
    // A text that leaves as it is does so.
    let mut queue = queue(deflate());
    let verbatim = "a".repeat(100);
    put_all(
        &mut queue,
        &[
            Event::new(Data::Verbatim(verbatim.clone().into())),
            event("1"),
        ],
    );
    assert_eq!(*delivered(&mut queue).expect("a payload").text, verbatim);
}

/// What players would take for a payload of the gateway is refused, where they read its forms.
#[test]
fn texts_that_players_would_take_for_ours() {
    for text in ["~", "~0AA", "~ hello", r#"{"v":1,"n":1,"e":[]}"#] {
        let event = Event::new(Data::Verbatim(text.into()));
        let answer = queue(deflate()).accept(ms(1000), event.clone());
        assert!(matches!(answer, Err(Refusal::InvalidData(_))), "{text}");
        assert_eq!(
            queue(off()).accept(ms(1000), event),
            Ok(Admission::Accepted)
        );
    }
    for text in ["hello ~", r#"{"v":2,"n":1,"e":[]}"#, "[1]"] {
        let event = Event::new(Data::Verbatim(text.into()));
        assert_eq!(
            queue(deflate()).accept(ms(1000), event),
            Ok(Admission::Accepted)
        );
    }
}
