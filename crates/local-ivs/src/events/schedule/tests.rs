use super::{Failed, Next, Post, Schedule};
use crate::events::settings::Mishaps;
use crate::limits::{MAX_EVENT_AGE, MAX_EVENT_TRIES};
use bytes::Bytes;
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The next post, whenever it is due, and when that is.
fn next_post(schedule: &mut Schedule, now: &mut Duration) -> Option<Post> {
    loop {
        match schedule.next(*now) {
            Next::Post(post) => return Some(post),
            Next::WaitUntil(due) => {
                assert!(due > *now, "it would spin");
                *now = due;
            }
            Next::TooOld => panic!("too old"),
            Next::Idle => return None,
        }
    }
}

/// What is posted of events named 0, 1, 2, … that come 10 ms apart, and when.
fn posted(mishaps: Mishaps, events: u64) -> Vec<(String, u64)> {
    let mut schedule = Schedule::new(mishaps);
    let mut posts = Vec::new();
    let mut see = |post: &Post, at: Duration| {
        let name = String::from_utf8(post.body.to_vec()).expect("UTF-8");
        posts.push((name, u64::try_from(at.as_millis()).expect("some ms")));
    };
    for number in 0..events {
        let now = ms(10 * number);
        while let Next::Post(post) = schedule.next(now) {
            see(&post, now);
        }
        schedule.take(now, &Bytes::from(number.to_string()));
    }
    let mut now = ms(10 * events.saturating_sub(1));
    while let Some(post) = next_post(&mut schedule, &mut now) {
        see(&post, now);
    }
    posts
}

#[test]
fn what_becomes_of_events() {
    let none = Mishaps::default();
    let check = |mishaps, events, expected: &[(&str, u64)]| {
        let got = posted(mishaps, events);
        let got: Vec<_> = got.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        assert_eq!(got, expected, "{mishaps:?}");
    };
    check(none, 3, &[("0", 10), ("1", 20), ("2", 20)]);
    let dropped = Mishaps { drop: 1.0, ..none };
    check(dropped, 3, &[]);
    let repeated = Mishaps {
        repeat: 1.0,
        ..none
    };
    check(repeated, 2, &[("0", 10), ("0", 10), ("1", 10), ("1", 10)]);
    let late = Mishaps {
        delay: (ms(15), ms(15)),
        ..none
    };
    check(late, 3, &[("0", 20), ("1", 25), ("2", 35)]);
    let reordered = Mishaps {
        reorder: 1.0,
        ..none
    };
    // Neighbours change places; the last has none, and is held no longer than that.
    check(
        reordered,
        5,
        &[("1", 20), ("0", 20), ("3", 40), ("2", 40), ("4", 2_040)],
    );
    let both = Mishaps {
        delay: (ms(5), ms(5)),
        ..reordered
    };
    check(both, 2, &[("1", 15), ("0", 15)]);
}

#[test]
fn draws_are_the_seeds() {
    let mishaps = |seed| Mishaps {
        delay: (ms(0), ms(40)),
        drop: 0.2,
        repeat: 0.2,
        reorder: 0.2,
        seed,
    };
    let many = posted(mishaps(1), 500);
    assert_eq!(many, posted(mishaps(1), 500));
    assert_ne!(many, posted(mishaps(2), 500));
    assert!((420..=540).contains(&many.len()), "{}", many.len());
    // One probability leaves alone what another one hits.
    let drops_only = Mishaps {
        repeat: 0.0,
        reorder: 0.0,
        ..mishaps(1)
    };
    let names = |posts: Vec<(String, u64)>| {
        let mut names: Vec<_> = posts.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names(many), names(posted(drops_only, 500)));
}

#[test]
fn a_failed_post_is_tried_a_few_times() {
    let mut schedule = Schedule::new(Mishaps::default());
    schedule.take(ms(0), &Bytes::from_static(b"x"));
    let (mut now, mut waits, mut last) = (ms(0), Vec::new(), ms(0));
    let mut tries = 0;
    while let Some(post) = next_post(&mut schedule, &mut now) {
        if tries > 0 {
            waits.push(now.saturating_sub(last));
        }
        last = now;
        tries += 1;
        let expected = if tries == MAX_EVENT_TRIES {
            Failed::GivenUp
        } else {
            Failed::TriedAgain
        };
        assert_eq!(schedule.failed(now, post), expected);
    }
    assert_eq!(tries, MAX_EVENT_TRIES);
    for (nth, wait) in waits.iter().enumerate() {
        let full = ms(100 << nth);
        assert!(full / 2 <= *wait && *wait <= full, "{nth}: {wait:?}");
    }
}

#[test]
fn a_failed_post_is_overtaken() {
    let mut schedule = Schedule::new(Mishaps::default());
    let mut now = ms(0);
    schedule.take(now, &Bytes::from_static(b"a"));
    let failed = next_post(&mut schedule, &mut now).expect("a post");
    schedule.failed(now, failed);
    schedule.take(now, &Bytes::from_static(b"b"));
    let order: Vec<_> =
        std::iter::from_fn(|| next_post(&mut schedule, &mut now).map(|post| post.body)).collect();
    assert_eq!(order, [&b"b"[..], b"a"]);
}

#[test]
fn what_waited_too_long_is_given_up() {
    let mut schedule = Schedule::new(Mishaps::default());
    schedule.take(ms(0), &Bytes::from_static(b"x"));
    assert_eq!(schedule.next(MAX_EVENT_AGE + ms(1)), Next::TooOld);
    assert_eq!(schedule.next(MAX_EVENT_AGE + ms(1)), Next::Idle);
}
