use super::super::event::Watch;

use super::*;

/// Two channels, five events each, one a request, 10 a second.
fn book() -> Book {
    let plan = Plan {
        channels: 2,
        rate: 10,
        batch: 1,
        events: 10,
    };
    let form = Form {
        run: "0123abcd".to_owned(),
        size: 40,
        ttl_ms: None,
    };
    Book::new(plan, form)
}

/// All sent and accepted but event 4 of channel 1, which was refused.
fn accepted() -> Book {
    let mut book = book();
    for number in 0..10 {
        let request = book.plan.request(number).expect("a request");
        book.leaves(&request, 100);
        if number == 9 {
            book.refused(&request, 0, "queue_full");
        }
        book.answered(&request, 2000);
    }
    book
}

fn cue(n: u64, channel: usize, seqs: &[usize]) -> String {
    let items: Vec<String> = seqs
        .iter()
        .map(|seq| format!(r#"{{"d":"0123abcd.{channel}.{seq}.x","t":"load"}}"#))
        .collect();
    format!(r#"{{"v":1,"n":{n},"e":[{}]}}"#, items.join(","))
}

#[test]
fn every_fate_of_an_event_is_told_apart() {
    type Taken<'a> = &'a [(usize, String)];
    let seen = |delivered, missing, unacknowledged, doubled, disordered| Seen {
        delivered,
        missing,
        unacknowledged,
        doubled,
        disordered,
    };
    let all = cue(2, 1, &[0, 1, 2, 3]);
    for (what, taken, first, second) in [
        (
            "nothing came",
            &[][..] as Taken<'_>,
            seen(0, 5, 0, 0, 0),
            seen(0, 4, 0, 0, 0),
        ),
        (
            "all came",
            &[
                (0, cue(1, 0, &[0, 1, 2])),
                (1, all.clone()),
                (0, cue(2, 0, &[3, 4])),
            ],
            seen(5, 0, 0, 0, 0),
            seen(4, 0, 0, 0, 0),
        ),
        (
            "one is lost",
            &[(0, cue(1, 0, &[0, 1, 2, 4])), (1, all.clone())],
            seen(4, 1, 0, 0, 0),
            seen(4, 0, 0, 0, 0),
        ),
        (
            "one came again in another payload",
            &[
                (0, cue(1, 0, &[0, 1, 2])),
                (0, cue(2, 0, &[2, 3, 4])),
                (1, all.clone()),
            ],
            seen(5, 0, 0, 1, 0),
            seen(4, 0, 0, 0, 0),
        ),
        (
            "a payload came again, which players drop",
            &[
                (0, cue(1, 0, &[0, 1])),
                (0, cue(1, 0, &[0, 1])),
                (0, cue(2, 0, &[2, 3, 4])),
                (1, all.clone()),
            ],
            seen(5, 0, 0, 0, 0),
            seen(4, 0, 0, 0, 0),
        ),
        (
            "two changed places",
            &[
                (0, cue(1, 0, &[1, 0, 2])),
                (0, cue(2, 0, &[3, 4])),
                (1, all.clone()),
            ],
            seen(5, 0, 0, 0, 1),
            seen(4, 0, 0, 0, 0),
        ),
        (
            "a refused one came, and what is not ours",
            &[
                (1, cue(1, 1, &[0, 1, 2, 3, 4])),
                (0, cue(1, 1, &[0])),
                (0, "hello".into()),
                (0, cue(3, 0, &[99])),
            ],
            seen(0, 5, 0, 0, 0),
            seen(4, 0, 1, 0, 0),
        ),
        (
            "envelopes without a number",
            &[
                (0, r#"["0123abcd.0.0.x","0123abcd.0.1.x"]"#.into()),
                (0, "0123abcd.0.2.xxx".into()),
                (0, "0123abcd.0.2.xxx".into()),
                (1, all.clone()),
            ],
            seen(3, 2, 0, 1, 0),
            seen(4, 0, 0, 0, 0),
        ),
    ] {
        let mut book = accepted();
        for (channel, text) in taken {
            book.taken(
                *channel,
                &Watch::default().read(text).expect("a payload"),
                5_000_000,
                1_000_000,
            );
        }
        assert_eq!(book.seen(), [first, second], "{what}");
    }
}

#[test]
fn answers_are_counted_by_event() {
    let book = accepted();
    assert_eq!((book.sent, book.accepted, book.unanswered()), (10, 9, 0));
    assert_eq!(book.refused, BTreeMap::from([("queue_full".to_owned(), 1)]));
    assert_eq!(book.acks.max(), Some(2000));
    let mut book = self::book();
    let request = book.plan.request(0).expect("a request");
    book.leaves(&request, 0);
    assert_eq!((book.sent, book.unanswered()), (1, 1), "never answered");
    // What an answer says of events that were not in the request changes nothing.
    book.refused(&request, 1, "malformed");
    book.refused(&request, usize::MAX, "malformed");
    assert_eq!(book.refused_in_all(), 0);
    // Nor does an answer that comes twice.
    book.answered(&request, 0);
    book.answered(&request, 0);
    assert_eq!(book.accepted, 1);
}

#[test]
fn delays_run_from_the_moment_an_event_was_due() {
    let mut book = accepted();
    // Event 2 of channel 0 is request 4, due at 400 ms.
    assert_eq!(
        book.plan.request(4).map(|r| r.due),
        Some(Duration::from_millis(400))
    );
    book.taken(
        0,
        &Watch::default().read(&cue(1, 0, &[2])).expect("a payload"),
        1_650_000,
        1_000_000,
    );
    assert_eq!(book.delays.max(), Some(250_000));
    // A clock that is a little behind is no delay below nothing.
    book.taken(
        0,
        &Watch::default().read(&cue(2, 0, &[3])).expect("a payload"),
        1_000_000,
        1_000_000,
    );
    assert_eq!(book.delays.permille(1), Some(0));
}
