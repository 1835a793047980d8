//! The books against what the API took.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde_json::Value;

use super::book::{Book, Entry, Fate, Kind};

/// What a channel's viewers were sent, as the emulator took it.
pub struct Delivered {
    pub channel: usize,
    pub payloads: Vec<String>,
}

/// What was found wrong, and how much was right.
#[derive(Debug, Default)]
pub struct Verdict {
    pub kills: u64,
    /// Starts that damage stopped.
    pub stopped: u64,
    pub promised: usize,
    pub delivered: usize,
    pub dead: usize,
    pub most_of_a_channel: u64,
    pub most_of_all: u64,
    pub wrong: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} stopped by damage, {} events promised, {} delivered, {} dead letters, at most {} and {} calls in a second",
            self.kills,
            self.stopped,
            self.promised,
            self.delivered,
            self.dead,
            self.most_of_a_channel,
            self.most_of_all
        )
    }
}

impl Verdict {
    pub fn check(&self, kills: u64) {
        let some: Vec<_> = self.wrong.iter().take(20).collect();
        assert!(
            some.is_empty(),
            "{self}, {} wrong: {some:#?}",
            self.wrong.len()
        );
        assert!(self.most_of_a_channel <= 5, "{self}");
        assert!(self.most_of_all <= 155, "{self}");
        assert!(self.kills >= kills, "{self}");
        assert!(
            self.promised > 100 && self.delivered > 50,
            "hardly a load: {self}"
        );
    }
}

/// What was delivered and what is dead, by the events' own numbers.
#[derive(Default)]
struct Seen {
    /// The payload numbers that carried an event.
    under: HashMap<usize, BTreeSet<u64>>,
    dead: BTreeSet<usize>,
    /// By channel: votes delivered, and votes among the dead letters.
    votes: BTreeMap<usize, (u64, u64)>,
}

/// Holds every entry of the book against payloads and dead letters.
pub fn judge(book: &Book, delivered: &[Delivered], letters: &[(usize, Value)]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut seen = Seen::default();
    for channel in delivered {
        read_channel(channel, book, &mut seen, &mut verdict.wrong);
    }
    for (channel, data) in letters {
        if let Some(votes) = data["votes"].as_u64() {
            seen.votes.entry(*channel).or_default().1 += votes;
        } else {
            seen.dead.insert(number(data));
        }
    }
    for (number, entry) in book.entries.iter().enumerate() {
        if entry.kind != Kind::Vote {
            let wrong = judge_event(book, number, &seen);
            verdict
                .wrong
                .extend(wrong.map(|what| format!("{what}: {number} {entry:?}")));
        }
    }
    judge_votes(book, &seen, &mut verdict.wrong);
    let fates = book
        .entries
        .iter()
        .filter(|entry| matches!(entry.fate, Fate::Promised | Fate::Forgotten));
    verdict.promised = fates.count();
    verdict.delivered = seen.under.len();
    verdict.dead = letters.len();
    verdict
}

fn judge_event(book: &Book, number: usize, seen: &Seen) -> Option<&'static str> {
    let Entry { fate, kind, .. } = book.entries[number];
    let payloads = seen.under.get(&number).map_or(0, BTreeSet::len);
    let ended = payloads > 0 || seen.dead.contains(&number);
    let repeatable = number < book.repeatable;
    match fate {
        _ if payloads > 1 && !repeatable => Some("delivered under two numbers"),
        Fate::Promised if kind == Kind::Lasting && !ended => Some("promised and lost"),
        Fate::Refused if payloads > 0 => Some("refused and delivered"),
        Fate::Cancelled if payloads > 0 && !repeatable => Some("cancelled and delivered"),
        _ => None,
    }
}

/// No vote is counted twice, and each that was promised is counted.
fn judge_votes(book: &Book, seen: &Seen, wrong: &mut Vec<String>) {
    let mut sent: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for entry in book.entries.iter().filter(|entry| entry.kind == Kind::Vote) {
        let (promised, at_most) = sent.entry(entry.channel).or_default();
        *at_most += u64::from(entry.fate != Fate::Cancelled);
        *promised += u64::from(entry.fate == Fate::Promised);
    }
    for (channel, (promised, at_most)) in sent {
        let (delivered, dead) = seen.votes.get(&channel).copied().unwrap_or_default();
        let too_many = delivered > at_most && book.repeatable == 0;
        if too_many || delivered + dead < promised {
            wrong.push(format!(
                "channel {channel}: {promised} to {at_most} votes were sent, {delivered} delivered, {dead} dead"
            ));
        }
    }
}

/// The payloads of a channel, each number once, in the order in which they came first.
fn read_channel(channel: &Delivered, book: &Book, seen: &mut Seen, wrong: &mut Vec<String>) {
    let mut payloads: BTreeMap<u64, &str> = BTreeMap::new();
    let mut last_of_key: HashMap<u8, usize> = HashMap::new();
    for text in &channel.payloads {
        let payload: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let n = payload["n"].as_u64().expect("a number");
        let newest = payloads.last_key_value().map_or(0, |(n, _)| *n);
        match payloads.get(&n) {
            Some(earlier) if earlier == text => continue,
            Some(earlier) => {
                wrong.push(format!(
                    "two payloads with one number: {earlier} and {text}"
                ));
            }
            None if n < newest => wrong.push(format!("{n} came after {newest}")),
            None => {}
        }
        payloads.insert(n, text);
        for item in payload["e"].as_array().expect("items") {
            let data = &item["d"];
            if let Some(votes) = data["votes"].as_u64() {
                seen.votes.entry(channel.channel).or_default().0 += votes;
                continue;
            }
            let number = number(data);
            seen.under.entry(number).or_default().insert(n);
            let Some(entry) = book.entries.get(number) else {
                wrong.push(format!("nobody sent this: {text}"));
                continue;
            };
            if let Some(key) = entry.key
                && let Some(before) = last_of_key.insert(key, number)
                && before > number
                && number >= book.repeatable
            {
                wrong.push(format!("of one key, {number} came after {before}"));
            }
        }
    }
}

fn number(data: &Value) -> usize {
    let number = data["i"].as_u64().and_then(|n| usize::try_from(n).ok());
    number.unwrap_or_else(|| panic!("not an event of this test: {data}"))
}

#[test]
fn the_judge_sees_what_is_wrong() {
    let mut book = Book::default();
    let mut random = fastrand::Rng::with_seed(1);
    let numbers = book.enter(0, 4, &mut random);
    for entry in &mut book.entries {
        (entry.kind, entry.key) = (Kind::Lasting, Some(0));
    }
    book.promise(&numbers, &[]);
    book.entries[3].kind = Kind::Vote;
    let payload = |n: u64, items: &[u64]| {
        let items: Vec<_> = items
            .iter()
            .map(|i| format!(r#"{{"d":{{"i":{i}}}}}"#))
            .collect();
        format!(r#"{{"v":1,"n":{n},"e":[{}]}}"#, items.join(","))
    };
    let vote = r#"{"v":1,"n":9,"e":[{"d":{"votes":1}}]}"#.to_owned();
    let check = |book: &Book, payloads: &[String], expected: &[&str]| {
        let delivered = Delivered {
            channel: 0,
            payloads: payloads.to_vec(),
        };
        let wrong = judge(book, &[delivered], &[]).wrong;
        assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
        for (wrong, expected) in wrong.iter().zip(expected) {
            assert!(wrong.contains(expected), "{wrong}, not {expected}");
        }
    };
    let whole = [
        payload(1, &[0, 1]),
        payload(1, &[0, 1]),
        payload(2, &[2]),
        vote.clone(),
    ];
    check(&book, &whole, &[]);
    check(
        &book,
        &[payload(1, &[0, 1]), vote.clone()],
        &["promised and lost"],
    );
    check(&book, &whole[..3], &["votes"]);
    let mut twice = whole.to_vec();
    twice.push(payload(10, &[2]));
    check(&book, &twice, &["delivered under two numbers"]);
    let reordered = [payload(1, &[0, 2]), payload(2, &[1]), vote.clone()];
    check(&book, &reordered, &["1 came after 2"]);
    let renumbered = [payload(2, &[0, 1]), payload(1, &[2]), vote.clone()];
    check(&book, &renumbered, &["1 came after 2"]);
    let changed = [payload(1, &[0, 1]), payload(1, &[2]), vote.clone()];
    check(&book, &changed, &["two payloads with one number"]);
    let mut counted_twice = whole.to_vec();
    counted_twice.push(vote.replace('9', "11"));
    check(&book, &counted_twice, &["votes"]);
    book.entries[2].fate = Fate::Refused;
    check(&book, &whole, &["refused and delivered"]);
    book.entries[2].fate = Fate::Cancelled;
    check(&book, &whole, &["cancelled and delivered"]);
}
