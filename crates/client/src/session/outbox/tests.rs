use std::collections::BTreeMap;

use super::*;

fn lost() -> Error {
    Error::Unreachable {
        url: "http://gateway".to_owned(),
        reason: "reset".to_owned(),
    }
}

/// An outbox with so many messages, tagged and worded by their number from 1.
fn outbox(resend: bool, messages: u64) -> Outbox<u64> {
    let mut outbox = Outbox::new(resend);
    for number in 1..=messages {
        outbox.push(number.to_string().into(), number);
    }
    outbox
}

fn send_all(outbox: &mut Outbox<u64>, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| outbox.next(now))
        .map(|text| text.to_string())
        .collect()
}

/// Tags with the codes of their refusals; `lost` where nobody knows.
fn shown(settled: Vec<Settled<u64>>) -> Vec<(u64, Vec<String>)> {
    let codes = |outcome: Result<Acknowledged, Error>| match outcome {
        Ok(acknowledged) => acknowledged
            .rejected
            .iter()
            .map(|rejected| format!("{} {}", rejected.index, rejected.code))
            .collect(),
        Err(_) => vec!["lost".to_owned()],
    };
    settled
        .into_iter()
        .map(|settled| (settled.tag, codes(settled.outcome)))
        .collect()
}

#[test]
fn acknowledgements_settle_in_order_with_their_refusals() {
    let now = Instant::now();
    let mut outbox = outbox(true, 4);
    assert_eq!(send_all(&mut outbox, now), ["1", "2", "3", "4"]);
    let full = r#"{"msg":2,"index":7,"code":"queue_full","detail":"full","retry_after_ms":40}"#;
    assert!(outbox.hear(full, now).expect("a refusal").is_empty());
    let settled = outbox.hear(r#"{"ack":2,"queued":9}"#, now).expect("an ack");
    let second = settled[1].outcome.as_ref().expect("acknowledged");
    assert_eq!(second.queued, 9);
    assert_eq!(
        second.rejected[0].retry_after(),
        Some(Duration::from_millis(40))
    );
    assert_eq!(
        shown(settled),
        [(1, vec![]), (2, vec!["7 queue_full".to_owned()])]
    );
    // The same number again settles nothing more.
    assert!(outbox.hear(r#"{"ack":2}"#, now).expect("an ack").is_empty());
    let settled = outbox.hear(r#"{"ack":4}"#, now).expect("an ack");
    assert_eq!(shown(settled), [(3, vec![]), (4, vec![])]);
    assert!(outbox.is_empty());
}

#[test]
fn what_a_lost_connection_leaves_is_sent_again_first_and_counted_anew() {
    let now = Instant::now();
    let mut outbox = outbox(true, 3);
    send_all(&mut outbox, now);
    outbox.hear(r#"{"ack":1}"#, now).expect("an ack");
    let refusal = r#"{"msg":2,"index":0,"code":"overloaded"}"#;
    outbox.hear(refusal, now).expect("a refusal");
    outbox.push("4".into(), 4);
    assert!(outbox.disconnected(&lost()).is_empty());
    assert_eq!(send_all(&mut outbox, now), ["2", "3", "4"]);
    // The refusal of before is void: the event was tried again.
    let settled = outbox.hear(r#"{"ack":3}"#, now).expect("an ack");
    assert_eq!(shown(settled), [(2, vec![]), (3, vec![]), (4, vec![])]);
}

#[test]
fn without_resend_what_was_sent_is_unknown_and_the_rest_goes_on() {
    let now = Instant::now();
    let mut outbox = outbox(false, 3);
    outbox.next(now);
    outbox.next(now);
    let unknown = shown(outbox.disconnected(&lost()));
    assert_eq!(
        unknown,
        [(1, vec!["lost".to_owned()]), (2, vec!["lost".to_owned()])]
    );
    assert_eq!(send_all(&mut outbox, now), ["3"]);
}

#[test]
fn a_message_that_is_refused_for_good_is_not_sent_again() {
    let now = Instant::now();
    let mut outbox = outbox(true, 3);
    send_all(&mut outbox, now);
    outbox.hear(r#"{"ack":1}"#, now).expect("an ack");
    let refused = outbox.refuse_first(lost()).map(|settled| settled.tag);
    assert_eq!(refused, Some(2));
    outbox.disconnected(&lost());
    assert_eq!(send_all(&mut outbox, now), ["3"]);
    // Where nothing was sent, no message is to blame.
    let mut unsent = self::outbox(true, 1);
    assert!(unsent.refuse_first(lost()).is_none());
    assert!(!unsent.is_empty());
    assert_eq!(
        shown(unsent.abandon(&lost())),
        [(1, vec!["lost".to_owned()])]
    );
}

#[test]
fn answers_that_make_no_sense_end_the_connection() {
    let now = Instant::now();
    for text in [
        "nonsense",
        "[]",
        "{}",
        r#"{"ack":3}"#,
        r#"{"ack":-1}"#,
        r#"{"msg":3,"index":0,"code":"queue_full"}"#,
        r#"{"msg":0,"index":0,"code":"queue_full"}"#,
        r#"{"msg":1,"index":0}"#,
    ] {
        let mut outbox = outbox(true, 3);
        outbox.next(now);
        outbox.next(now);
        assert!(outbox.hear(text, now).is_err(), "{text}");
    }
    let mut outbox = outbox(true, 2);
    send_all(&mut outbox, now);
    outbox.hear(r#"{"ack":2}"#, now).expect("an ack");
    assert!(outbox.hear(r#"{"ack":1}"#, now).is_err(), "it goes back");
}

#[test]
fn silence_is_counted_from_the_last_acknowledgement() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let limit = second * 30;
    let mut outbox = outbox(true, 2);
    assert_eq!(outbox.overdue_at(limit), None, "nothing is on its way");
    outbox.next(start + second);
    assert_eq!(outbox.overdue_at(limit), Some(start + second * 31));
    outbox.next(start + second * 5);
    assert_eq!(outbox.overdue_at(limit), Some(start + second * 31));
    outbox
        .hear(r#"{"ack":1}"#, start + second * 6)
        .expect("an ack");
    assert_eq!(outbox.overdue_at(limit), Some(start + second * 36));
    outbox
        .hear(r#"{"ack":2}"#, start + second * 7)
        .expect("an ack");
    assert_eq!(outbox.overdue_at(limit), None);
}

/// A gateway that remembers ids: messages are their number, and each is one event.
#[derive(Default)]
struct Gateway {
    /// How often each was taken in.
    taken: BTreeMap<u64, u32>,
    order: Vec<u64>,
}

impl Gateway {
    fn take(&mut self, text: &str) {
        let id = text.parse().expect("a number");
        let times = self.taken.entry(id).or_default();
        if *times == 0 {
            self.order.push(id);
            *times = 1;
        }
    }
}

/// Connections break at random, with messages and acknowledgements on their way: each message is
/// taken in once, in order, and each sender hears of it once.
#[test]
fn at_random_every_message_is_taken_once_and_settled_once() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let now = Instant::now();
        let mut gateway = Gateway::default();
        let mut outbox = Outbox::new(true);
        let (mut pushed, mut settled) = (0, Vec::new());
        let mut on_its_way: VecDeque<String> = VecDeque::new();
        let mut handled = 0_u64;
        while settled.len() < 60 {
            match random.u8(0..10) {
                0..3 if pushed < 60 => {
                    pushed += 1;
                    outbox.push(pushed.to_string().into(), pushed);
                }
                0..6 => on_its_way.extend(outbox.next(now).map(|text| text.to_string())),
                6..8 => {
                    for text in on_its_way.drain(..random.usize(0..=on_its_way.len())) {
                        gateway.take(&text);
                        handled += 1;
                    }
                }
                8 => {
                    let ack = format!(r#"{{"ack":{handled}}}"#);
                    let heard = outbox.hear(&ack, now);
                    let heard = heard.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
                    settled.extend(heard.into_iter().map(|settled| settled.tag));
                }
                // What was on its way is handled in part, and its acknowledgement is lost.
                _ => {
                    for text in on_its_way.drain(..).take(random.usize(0..4)) {
                        gateway.take(&text);
                    }
                    on_its_way.clear();
                    handled = 0;
                    assert!(outbox.disconnected(&lost()).is_empty(), "seed {seed}");
                }
            }
        }
        let all: Vec<u64> = (1..=60).collect();
        assert_eq!(settled, all, "seed {seed}");
        assert_eq!(gateway.order, all, "seed {seed}");
    }
}
