//! A wall clock that is set while events with an `at` wait. Scripts begin at 1,000 ms.

use super::*;

#[test]
fn an_at_stays_a_moment_of_the_wall_clock() {
    check(
        "set forward over it: it goes at once, and lives from its acceptance",
        vec![
            Put(event("1").high().at(1_801_000).ttl(5000)),
            Now(3000),
            WallOrigin(3_600_000),
            Wants(Some((1000, 1000, false))),
            Timer(Some(6000)),
            Take("[1]"),
        ],
    );
    check(
        "set forward to before it",
        vec![
            Put(event("1").at(1_801_000)),
            WallOrigin(1_000_000),
            Timer(Some(801_000)),
            Now(800_999),
            Nothing,
            Now(801_000),
            Take("[1]"),
        ],
    );
    check(
        "set forward while it waits: its time goes on as it began",
        vec![
            Put(event("1").at(2000).ttl(5000).waiter(1)),
            Now(2500),
            WallOrigin(3_600_000),
            Wants(Some((2000, 2000, false))),
            Now(7000),
            Ends(vec![(1, End::Expired)]),
        ],
    );
    check(
        "set back before it: it waits, again if it has to",
        vec![
            Put(event("1").at(2000).ttl(1000).waiter(1)),
            Now(2000),
            Wants(Some((2000, 2000, false))),
            WallOrigin(-10_000),
            Wants(None),
            Timer(Some(12_000)),
            Now(11_999),
            Nothing,
            Ends(vec![]),
            Now(12_000),
            Wants(Some((12_000, 12_000, false))),
            Now(13_000),
            Ends(vec![(1, End::Expired)]),
        ],
    );
    check(
        "one whose `at` was over when it came waits too, if it was not",
        vec![
            Put(event("1").at(900)),
            WallOrigin(-10_000),
            Nothing,
            Now(10_900),
            Take("[1]"),
        ],
    );
    check(
        "without an `at` nothing moves",
        vec![
            Put(event("1").ttl(1000).waiter(1)),
            WallOrigin(-10_000),
            Wants(Some((1000, 1000, false))),
            WallOrigin(10_000),
            Now(2000),
            Ends(vec![(1, End::Expired)]),
        ],
    );
    check(
        "nor what was sent once",
        vec![
            Put(event("1").at(1500)),
            Now(1500),
            Take("[1]"),
            WallOrigin(-10_000),
            Settle(Outcome::Throttled(crate::call::ThrottleScope::Channel)),
            Take("[1]"),
        ],
    );
}

#[test]
fn order_is_that_of_the_wall_clock() {
    check(
        "equal moments stay in the order they came in, whatever was believed in between",
        vec![
            Put(event("1").at(500_000)),
            WallOrigin(100_000),
            Put(event("2").at(500_000)),
            WallOrigin(-100_000),
            Put(event("3").at(500_000)),
            Put(event("4").at(499_999)),
            WallOrigin(490_000),
            Now(10_000),
            Take("[4,1,2,3]"),
        ],
    );
    check(
        "of a key",
        vec![
            Put(event("1").key("k").at(5000)),
            Put(event("2").key("k")),
            Put(event("3")),
            WallOrigin(10_000),
            Take("[1,2,3]"),
        ],
    );
    check(
        "of a key, set back",
        vec![
            Put(event("1").key("k").at(2000)),
            Put(event("2").key("k")),
            Now(2000),
            Wants(Some((2000, 2000, false))),
            WallOrigin(-1000),
            Nothing,
            Now(3000),
            Take("[1,2]"),
        ],
    );
    check(
        "what had risen begins again",
        vec![
            Put(event("1").low().at(2000).ttl(4000)),
            Now(4000),
            Put(event("2")),
            WallOrigin(-10_000),
            Take("[2]"),
            Now(12_000),
            Put(event("3")),
            Take("[3,1]"),
        ],
    );
    check(
        "merged events expire with the latest",
        vec![
            Put(event("1").key("k").merge(Merge::Sum).at(3000).ttl(2000)),
            Put(event("1")
                .key("k")
                .merge(Merge::Sum)
                .at(2000)
                .ttl(2000)
                .waiter(2)),
            WallOrigin(-10_000),
            Timer(Some(13_000)),
            Now(13_000),
            Wants(Some((13_000, 13_000, false))),
            Now(14_000),
            Ends(vec![(2, End::Expired)]),
        ],
    );
    check(
        "and if that is before the place of the first, they expire there",
        vec![
            Put(event("1").key("k").merge(Merge::Sum).at(2000)),
            Put(event("1").key("k").merge(Merge::Sum).ttl(2000).waiter(2)),
            WallOrigin(-10_000),
            Timer(Some(3000)),
            Now(3000),
            Ends(vec![(2, End::Expired)]),
            Holds(0, 0),
        ],
    );
}

#[test]
fn a_clock_that_is_set_wakes_whoever_waits() {
    let mut queue = Queue::new(Arc::new(array()), 1024, 100, Span::from_millis(200));
    let put = queue.accept(ms(1000), event("1").at(9000));
    assert_eq!(put, Ok(Admission::Accepted));
    assert_eq!(queue.demand(ms(1000)), None);
    assert_eq!(queue.timer(), Some(ms(9000)));
    assert!(!queue.wake());
    assert!(queue.set_wall_origin(ms(1000), wall(ms(4000))));
    assert!(queue.wake(), "it is due sooner");
    assert_eq!(queue.timer(), Some(ms(5000)));
    assert!(queue.set_wall_origin(ms(1000), wall(ms(8000))));
    assert!(queue.wake(), "it is due");
    assert!(!queue.set_wall_origin(ms(1000), wall(ms(8000))));
}
