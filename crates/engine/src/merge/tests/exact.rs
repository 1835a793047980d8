//! Random numbers, merged, against decimal digits that are added one by one.
//!
//! The reference shares nothing with the code: a number is its digits in a row that is wide
//! enough for everything that may be sent.

use std::cmp::Ordering;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::envelope::Envelope;
use crate::event::{Data, Event};
use crate::policy::ChannelPolicy;
use crate::queue::Queue;
use crate::time::{Span, Time};

/// Digits behind the point: a fraction of 29 digits with an exponent of -30 has 59.
const BEHIND: i64 = 64;
/// Digits in all: 30 digits with an exponent of 30 are 60 before the point, and sums carry.
const WIDTH: usize = 140;

/// A number as decimal digits, the lowest first. A negative one has 9s without end at the top,
/// so that each number is written in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exact(Vec<i32>);

impl Exact {
    /// The value of a text, which must be a number as RFC 8259 writes it.
    fn parse(text: &str) -> Self {
        let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        assert!(
            !whole.is_empty() && is_digits(whole) && (whole == "0" || !whole.starts_with('0')),
            "no JSON number: {text}"
        );
        assert!(
            is_digits(fraction) && mantissa.contains('.') != fraction.is_empty(),
            "no JSON number: {text}"
        );
        let exponent: i64 = exponent.parse().expect("an exponent");
        let mut digits = vec![0; WIDTH];
        for (index, digit) in fraction
            .bytes()
            .rev()
            .chain(whole.bytes().rev())
            .enumerate()
        {
            let position = BEHIND + exponent + as_i64(index) - as_i64(fraction.len());
            if digit != b'0' {
                let position = usize::try_from(position).expect("within the width");
                digits[position] += sign * i32::from(digit - b'0');
            }
        }
        Self(digits).carried()
    }

    fn plus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a + b).collect()).carried()
    }

    fn carried(mut self) -> Self {
        let mut carry = 0;
        for digit in &mut self.0 {
            let sum = *digit + carry;
            *digit = sum.rem_euclid(10);
            carry = sum.div_euclid(10);
        }
        self
    }

    fn is_negative(&self) -> bool {
        self.0[WIDTH - 1] == 9
    }

    fn compare(&self, other: &Self) -> Ordering {
        let negative = |one: &Self| !one.is_negative();
        negative(self)
            .cmp(&negative(other))
            .then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

fn as_i64(number: usize) -> i64 {
    i64::try_from(number).expect("small")
}

/// What the numbers make together.
fn expected(kind: Merge, numbers: &[&str]) -> Exact {
    let mut numbers = numbers.iter().map(|text| Exact::parse(text));
    let first = numbers.next().expect("one");
    numbers.fold(first, |so_far, next| match kind {
        Merge::Max if so_far.compare(&next) == Ordering::Less => next,
        Merge::Min if so_far.compare(&next) == Ordering::Greater => next,
        Merge::Max | Merge::Min => so_far,
        _ => so_far.plus(&next),
    })
}

/// A number as a producer may write it: any sign, digits, fraction and exponent.
fn number() -> impl Strategy<Value = String> {
    let digits = prop_oneof![
        "[0-9]|[1-9][0-9]{1,3}",
        "[1-9]0{0,5}",
        "[0-9]\\.[0-9]{1,4}",
        "0\\.0{1,3}",
        "[1-9][0-9]{29}",
        "0\\.[0-9]{29}",
    ];
    let exponent = prop_oneof![
        2 => Just(String::new()),
        2 => (0..4_i32).prop_map(|exponent| format!("e{exponent}")),
        1 => (-30..=30_i32).prop_map(|exponent| format!("E{exponent:+}")),
    ];
    ("-?", digits, exponent).prop_map(|(sign, digits, exponent)| sign + &digits + &exponent)
}

/// The same value with the other sign and another exponent: they come to zero.
fn opposite(text: &str) -> String {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let flipped = mantissa
        .strip_prefix('-')
        .map_or_else(|| format!("-{mantissa}"), str::to_owned);
    let exponent: i32 = exponent.parse().expect("an exponent");
    // 2e2 is 20e1.
    let whole = !mantissa.contains('.') && flipped.trim_start_matches('-').len() < 30;
    if whole && exponent > -30 && !flipped.ends_with('0') {
        format!("{flipped}0e{}", exponent - 1)
    } else {
        format!("{flipped}e{exponent}")
    }
}

fn numbers() -> impl Strategy<Value = Vec<String>> {
    let pair = prop_oneof![
        1 => number().prop_map(|number| vec![opposite(&number), number]),
        1 => number().prop_map(|number| vec![number]),
    ];
    proptest::collection::vec(pair, 1..5).prop_map(|numbers| numbers.concat())
}

fn kinds() -> impl Strategy<Value = Merge> {
    prop_oneof![
        2 => Just(Merge::Sum),
        1 => Just(Merge::Max),
        1 => Just(Merge::Min),
    ]
}

/// Sends the data as events of one key and returns the data that leaves. The queue's size of it
/// must be that of the text.
fn through_a_queue(kind: Merge, data: &[String]) -> String {
    let policy = ChannelPolicy {
        envelope: Envelope::Array,
        queue_max_bytes: 1 << 20,
        ..ChannelPolicy::default()
    };
    let mut queue = Queue::new(Arc::new(policy), 1024, 1, Span::ZERO);
    for data in data {
        let mut event = Event::new(Data::Json(data.as_str().into()));
        event.content.key = Some("k".into());
        event.content.merge = Some(kind);
        queue.accept(Time::ZERO, event).expect("taken");
    }
    assert_eq!(queue.len(), 1, "{kind:?} {data:?}");
    let bytes = queue.depth(Time::ZERO).bytes - "k".len();
    let text = queue.take(Time::ZERO).expect("a payload").text;
    let data = text[1..text.len() - 1].to_owned();
    assert_eq!(bytes, data.len(), "the size of {data}");
    data
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 500 } else { 20_000 }))]

    #[test]
    fn numbers_merge_exactly(kind in kinds(), numbers in numbers()) {
        let result = through_a_queue(kind, &numbers);
        serde_json::from_str::<serde::de::IgnoredAny>(&result).expect("JSON");
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        prop_assert_eq!(Exact::parse(&result), expected(kind, &numbers), "{}", result);
    }

    #[test]
    fn fields_of_objects_merge_exactly(kind in kinds(), a in numbers(), b in numbers()) {
        let longer = a.len().max(b.len());
        let data: Vec<String> = (0..longer)
            .map(|index| {
                let member = |name: &str, of: &[String]| {
                    of.get(index).map(|number| format!("\"{name}\":{number}"))
                };
                let members: Vec<String> = member("a", &a).into_iter().chain(member("b", &b)).collect();
                format!("{{{}}}", members.join(","))
            })
            .collect();
        let result = through_a_queue(kind, &data);
        serde_json::from_str::<serde::de::IgnoredAny>(&result).expect("JSON");
        let members = members(&result).expect("an object");
        prop_assert_eq!(members.len(), 2);
        for (name, value) in members {
            let numbers = if name == "a" { &a } else { &b };
            let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
            prop_assert_eq!(Exact::parse(value), expected(kind, &numbers), "{}", result);
        }
    }
}

#[test]
fn the_reference_tells_numbers_apart() {
    let of = Exact::parse;
    assert_eq!(of("20e1"), of("200"));
    assert_eq!(of("-0.50"), of("-5E-1"));
    assert_ne!(of("1e-30"), of("0"));
    assert_eq!(of("1e30").plus(&of("-1e+30")), of("0"));
    assert_eq!(of("-1").compare(&of("1e-30")), Ordering::Less);
    assert_eq!(of("-1").compare(&of("-1.1")), Ordering::Greater);
}
