use super::{Limiter, Measure};
use proptest::prelude::*;
use std::collections::VecDeque;

/// Offers calls at the given times and compares which are taken.
fn check(name: &str, measure: Measure, limit: u32, calls: &[(u64, bool)]) {
    let mut limiter = Limiter::new(measure, limit);
    for &(at_us, expected) in calls {
        let room = limiter.has_room(at_us);
        assert_eq!(room, expected, "{name} at {at_us}");
        if room {
            limiter.take(at_us);
        }
    }
}

#[test]
fn each_measure_has_its_edges() {
    use Measure::{Bucket, Fixed, Sliding};
    const T: u64 = 1_767_323_045_000_000;
    check(
        "a second is half open",
        Sliding,
        2,
        &[
            (T, true),
            (T, true),
            (T + 999_999, false),
            (T + 1_000_000, true),
            (T + 1_000_000, true),
        ],
    );
    check(
        "refused calls do not count",
        Sliding,
        1,
        &[(T, true), (T + 900_000, false), (T + 1_000_000, true)],
    );
    check(
        "nothing at all",
        Sliding,
        0,
        &[(T, false), (T + 5_000_000, false)],
    );
    check(
        "from the epoch",
        Sliding,
        1,
        &[(0, true), (999_999, false), (1_000_000, true)],
    );
    check(
        "a bucket refills evenly",
        Bucket,
        2,
        &[
            (T, true),
            (T, true),
            (T + 499_999, false),
            (T + 500_000, true),
            (T + 999_999, false),
            (T + 1_000_000, true),
        ],
    );
    check(
        "a bucket keeps fractions",
        Bucket,
        3,
        &[
            (T, true),
            (T, true),
            (T, true),
            (T + 333_333, false),
            (T + 333_334, true),
            (T + 666_666, false),
            (T + 666_667, true),
        ],
    );
    check(
        "a bucket does not overflow",
        Bucket,
        1,
        &[(T, true), (T + 60_000_000, true), (T + 60_000_000, false)],
    );
    check("no bucket", Bucket, 0, &[(T, false)]);
    check(
        "twice the limit at the edge of a fixed second",
        Fixed,
        2,
        &[
            (T + 999_999, true),
            (T + 999_999, true),
            (T + 999_999, false),
            (T + 1_000_000, true),
            (T + 1_000_000, true),
            (T + 1_999_999, false),
        ],
    );
    check("no fixed second", Fixed, 0, &[(T, false)]);
}

/// Calls in the busiest second, by the definition: of all calls t, those in [t, t + 1 s).
fn busiest_second(taken: &[u64]) -> usize {
    taken
        .iter()
        .map(|start| {
            taken
                .iter()
                .filter(|&&at| at >= *start && at - start < 1_000_000)
                .count()
        })
        .max()
        .unwrap_or(0)
}

proptest! {
    /// The sliding window takes exactly what the definition allows: never more than the
    /// limit in a second, and never a refusal that the last second does not justify.
    #[test]
    fn sliding_is_exact(
        limit in 1_u32..8,
        steps in proptest::collection::vec(
            prop_oneof![Just(0_u64), 1_u64..50_000, 150_000_u64..300_000, Just(999_999), Just(1_000_000)],
            1..200,
        ),
    ) {
        let mut limiter = Limiter::new(Measure::Sliding, limit);
        let (mut now, mut taken, mut recent) = (7_u64, Vec::new(), VecDeque::new());
        for step in steps {
            now += step;
            while recent.front().is_some_and(|at| now - at >= 1_000_000) {
                recent.pop_front();
            }
            let allowed = recent.len() < limit as usize;
            prop_assert_eq!(limiter.has_room(now), allowed);
            prop_assert_eq!(limiter.is_idle(now), recent.is_empty());
            if allowed {
                limiter.take(now);
                recent.push_back(now);
                taken.push(now);
            }
        }
        prop_assert!(busiest_second(&taken) <= limit as usize);
    }

    /// The other two never let more than twice the limit into a second.
    #[test]
    fn the_others_stay_below_twice_the_limit(
        limit in 1_u32..8,
        steps in proptest::collection::vec(0_u64..400_000, 1..300),
    ) {
        for measure in [Measure::Bucket, Measure::Fixed] {
            let mut limiter = Limiter::new(measure, limit);
            let (mut now, mut taken) = (0, Vec::new());
            for step in &steps {
                now += step;
                if limiter.has_room(now) {
                    limiter.take(now);
                    taken.push(now);
                }
            }
            prop_assert!(busiest_second(&taken) <= 2 * limit as usize);
        }
    }
}
