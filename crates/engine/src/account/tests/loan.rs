//! A call that carries nothing: it costs what every call costs, and says nothing of its channel.

use super::{A, Health, Outcome, Rejection, Time, World, at};
use crate::call::CallId;

impl World {
    fn lent(&mut self, ms: u64) -> CallId {
        self.account.lend(at(ms), A).expect("a token")
    }
}

#[test]
fn its_tokens_are_out_as_those_of_every_call() {
    for (outcome, until) in [
        (Outcome::Rejected(Rejection::NoSuchChannel), 1102),
        // `abandon`, a second and the grace after it ended.
        (Outcome::Unknown, 6102),
        (Outcome::Refused, 100),
    ] {
        let mut world = World::new();
        let calls: Vec<CallId> = (0..5).map(|_| world.lent(0)).collect();
        assert_eq!(world.account.open(at(0), A), 5);
        assert_eq!(world.account.lend(at(0), A), Err(Time::NEVER));
        world.offer(50, A);
        assert!(world.calls(99).is_empty(), "{outcome:?}");
        for call in calls {
            world.account.repaid(at(100), call, outcome);
        }
        let open = if outcome == Outcome::Unknown { 5 } else { 0 };
        assert_eq!(world.account.open(at(100), A), open, "{outcome:?}");
        if until > 100 {
            assert_eq!(world.account.lend(at(100), A), Err(at(until)));
            assert!(world.calls(until - 1).is_empty(), "{outcome:?}");
        }
        assert_eq!(world.calls(until).len(), 1, "{outcome:?}");
    }
}

/// Not even a refusal for good, or ten failures.
#[test]
fn its_answer_says_nothing_of_the_channel() {
    let mut world = World::new();
    for ms in (0..).step_by(2000).take(10) {
        for outcome in [
            Outcome::Failed,
            Outcome::Offline,
            Outcome::Rejected(Rejection::AccessDenied),
        ] {
            let call = world.lent(ms);
            world.account.repaid(at(ms), call, outcome);
        }
    }
    let status = world.account.status(at(20_000), A);
    assert_eq!(status.health, Health::Live);
    world.call(20_000, A, Outcome::Delivered);
    assert!(world.forgets(30_000, A));
}
