//! One node's decisions, told step by step. The times in the tests are ms.

use super::{Action, Answer, Epoch, NodeId, Ownership, OwnershipRules, OwnershipState, Reading};
use crate::time::Time;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

fn at(ms: u64) -> Time {
    Time::from_micros(ms * 1000)
}

struct Node(Ownership);

impl Node {
    fn new() -> Self {
        Self(Ownership::new(ME, OwnershipRules::default()))
    }

    fn read(&mut self, ms: u64, epoch: u64, owner: Option<NodeId>, beat: u64) {
        let reading = Reading {
            epoch: Epoch(epoch),
            owner,
            beat,
        };
        self.0.read(at(ms), at(ms), reading);
    }

    /// The next action without a random pause.
    fn step(&mut self, ms: u64) -> Option<Action> {
        self.0.step(at(ms), 0, 0)
    }

    fn state(&self, ms: u64) -> OwnershipState {
        self.0.state(at(ms))
    }

    /// A node that took the account at 0 ms, under epoch 1, with calls from 1 s on.
    fn owner() -> Self {
        let mut node = Self::new();
        node.read(0, 0, None, 0);
        assert_eq!(node.step(0), Some(Action::Take { seen: Epoch(0) }));
        node.0.took(at(0), Answer::Done);
        let recover = Action::Recover {
            epoch: Epoch(1),
            heard: at(0),
        };
        assert_eq!(node.step(0), Some(recover));
        assert_eq!(node.state(0), OwnershipState::Recovering);
        node.0.recovered(at(1000));
        node
    }
}

#[test]
fn a_released_lease_is_taken_and_calls_wait_for_the_predecessors() {
    let node = Node::owner();
    assert_eq!(node.state(999), OwnershipState::Holding);
    assert!(!node.0.may_call(at(999)));
    assert_eq!(node.0.wake(at(999)), at(1000));
    assert_eq!(node.state(1000), OwnershipState::Owning);
    assert!(node.0.may_call(at(1000)));
}

#[test]
fn an_owner_is_replaced_when_its_link_is_down_and_its_beat_stands_still() {
    // (link is down, ms of silence, taken)
    for (down, silent, taken) in [
        (false, 5999, false),
        (false, 6000, true),
        (true, 1499, false),
        (true, 1500, true),
    ] {
        let mut node = Node::new();
        node.read(0, 7, Some(OTHER), 1);
        node.0.link(OTHER, !down);
        node.read(100, 7, Some(OTHER), 2);
        assert_eq!(node.step(100), None);
        node.read(100 + silent, 7, Some(OTHER), 2);
        let action = node.step(100 + silent);
        let expected = taken.then_some(Action::Take { seen: Epoch(7) });
        assert_eq!(action, expected, "{down} {silent}");
    }
}

#[test]
fn a_node_that_cannot_look_suspects_nobody() {
    let mut node = Node::new();
    node.read(0, 7, Some(OTHER), 1);
    node.0.link(OTHER, false);
    assert_eq!(node.step(60_000), None);
    // The beat moved meanwhile.
    node.read(60_000, 7, Some(OTHER), 9);
    assert_eq!(node.step(60_000), None);
    assert_eq!(node.state(60_000), OwnershipState::Suspect);
    node.0.link(OTHER, true);
    assert_eq!(node.state(60_000), OwnershipState::Other);
}

#[test]
fn the_pause_before_a_take_is_random_and_longer_for_who_owns_more() {
    for (random, owned, pause) in [(0, 0, 0), (u64::MAX / 2, 0, 149), (0, 2, 600), (0, 9, 1200)] {
        let mut node = Node::new();
        node.read(0, 3, None, 0);
        let first = node.0.step(at(0), random, owned);
        if pause > 0 {
            assert_eq!(first, None);
            assert_eq!(node.0.wake(at(0)).micros() / 1000, pause);
            assert_eq!(node.0.step(at(pause - 1), u64::MAX, 9), None, "{pause}");
        }
        let taken = first.or_else(|| node.0.step(at(pause + 1), u64::MAX, 9));
        assert_eq!(taken, Some(Action::Take { seen: Epoch(3) }), "{pause}");
    }
    // Another node was faster.
    let mut node = Node::new();
    node.read(0, 3, None, 0);
    assert_eq!(node.0.step(at(0), u64::MAX, 0), None);
    node.read(200, 4, Some(OTHER), 0);
    assert_eq!(node.step(400), None);
}

#[test]
fn a_second_take_within_a_minute_doubles_the_patience() {
    for (second, patience) in [(59_000, 3000), (61_000, 1500)] {
        let mut node = Node::new();
        node.read(0, 1, Some(NodeId(3)), 1);
        node.read(1000, 2, Some(OTHER), 1);
        node.read(1000 + second, 3, Some(NodeId(3)), 1);
        node.0.link(NodeId(3), false);
        node.read(1000 + second + patience - 1, 3, Some(NodeId(3)), 1);
        assert_eq!(node.step(1000 + second + patience - 1), None);
        node.read(1000 + second + patience, 3, Some(NodeId(3)), 1);
        assert!(node.step(1000 + second + patience).is_some());
    }
}

#[test]
fn a_take_in_doubt_is_looked_at() {
    for (epoch, owner, adopted) in [
        (1, Some(ME), true),
        (0, None, false),
        (1, Some(OTHER), false),
    ] {
        let mut node = Node::new();
        node.read(0, 0, None, 0);
        node.step(0);
        node.0.took(at(3000), Answer::Doubtful);
        assert_eq!(node.step(3000), Some(Action::Read));
        // It was asked before the take was given up, so it says nothing.
        let reading = Reading {
            epoch: Epoch(0),
            owner: None,
            beat: 0,
        };
        node.0.read(at(3100), at(2999), reading);
        assert_eq!(node.state(3100), OwnershipState::Taking);
        node.read(3200, epoch, owner, 0);
        if adopted {
            let recover = Action::Recover {
                epoch: Epoch(1),
                heard: at(3200),
            };
            assert_eq!(node.step(3200), Some(recover));
        } else {
            let again = owner.is_none().then_some(Action::Take { seen: Epoch(0) });
            assert_eq!(node.step(3200), again);
        }
    }
    // Carried out when the node had long turned to other things: what is left of it is taken anew.
    let mut node = Node::new();
    node.read(0, 5, Some(OTHER), 0);
    node.read(500, 6, Some(ME), 0);
    assert_eq!(node.step(500), Some(Action::Take { seen: Epoch(6) }));
}

#[test]
fn a_take_that_came_too_late_looks_again() {
    let mut node = Node::new();
    node.read(0, 0, None, 0);
    node.step(0);
    node.0.took(at(10), Answer::TooLate);
    assert_eq!(node.step(10), Some(Action::Read));
    assert_eq!(node.state(10), OwnershipState::Other);
    assert_eq!(node.step(10), None);
}

#[test]
fn an_owner_makes_no_calls_without_a_fresh_confirmation() {
    let mut node = Node::owner();
    node.0.confirmed(at(2000));
    node.0.confirmed(at(1500));
    assert!(node.0.may_call(at(6999)));
    assert!(!node.0.may_call(at(7000)));
    node.0.confirmed(at(7000));
    assert!(node.0.may_call(at(7000)));
}

#[test]
fn who_was_replaced_stops() {
    for by_read in [true, false] {
        let mut node = Node::owner();
        if by_read {
            // Older than the node's own take.
            let stale = Reading {
                epoch: Epoch(0),
                owner: Some(OTHER),
                beat: 0,
            };
            node.0.asked_from = at(1);
            node.0.read(at(5), Time::ZERO, stale);
            assert_eq!(node.step(5), None);
            node.read(5, 2, Some(OTHER), 0);
        } else {
            node.0.fenced(Epoch(0));
            assert_eq!(node.step(5), None, "an epoch of before");
            node.0.fenced(Epoch(1));
        }
        assert_eq!(node.step(5), Some(Action::Stop));
        assert_eq!(node.state(2000), OwnershipState::Fenced);
        assert!(!node.0.may_call(at(2000)));
        node.0.stopped(at(2000));
        assert_eq!(node.state(2000), OwnershipState::Other);
        assert_eq!(node.step(2000), None);
    }
    // A database that lost the take, or lost and repeated it for another.
    for (epoch, owner) in [(0, Some(OTHER)), (0, Some(ME)), (1, Some(OTHER)), (1, None)] {
        let mut node = Node::owner();
        node.read(5, epoch, owner, 0);
        assert_eq!(node.step(5), Some(Action::Stop), "{epoch} {owner:?}");
    }
}

#[test]
fn a_release_is_awaited_and_not_taken_back() {
    let mut node = Node::owner();
    node.0.release(at(2000));
    assert_eq!(node.step(2000), Some(Action::Drain));
    assert_eq!(node.state(2000), OwnershipState::Releasing);
    assert!(!node.0.may_call(at(2000)));
    assert_eq!(node.step(2000), None);
    node.0.drained();
    let release = Some(Action::Release { epoch: Epoch(1) });
    assert_eq!(node.step(2100), release);
    // In doubt: sent again as long as the row is as before, and done when it was released.
    node.0.released(at(2200), Answer::Doubtful);
    assert_eq!(node.step(2200), Some(Action::Read));
    node.read(2300, 1, Some(ME), 0);
    assert_eq!(node.step(2300), release);
    node.0.released(at(2400), Answer::Doubtful);
    assert_eq!(node.step(2400), Some(Action::Read));
    node.read(2500, 1, None, 0);
    assert_eq!(node.step(2500), None);
    assert_eq!(node.state(2500), OwnershipState::Other);
    // An old look shows the lease as the node's own: it was asked before the release.
    let stale = Reading {
        epoch: Epoch(1),
        owner: Some(ME),
        beat: 0,
    };
    node.0.read(at(2600), at(2450), stale);
    assert_eq!(node.step(2600), None);
    node.read(3000, 1, None, 0);
    assert_eq!(node.step(3000), None, "another node is to take it");
    assert_eq!(node.0.wake(at(3000)), at(8500));
    node.read(8500, 1, None, 0);
    assert_eq!(node.step(8500), Some(Action::Take { seen: Epoch(1) }));
}

#[test]
fn a_release_that_is_asked_for_during_a_take_comes_after_it() {
    let mut node = Node::new();
    node.read(0, 0, None, 0);
    node.step(0);
    node.0.release(at(1));
    node.0.took(at(2), Answer::Done);
    assert!(matches!(node.step(2), Some(Action::Recover { .. })));
    node.0.recovered(at(1002));
    assert_eq!(node.step(3), Some(Action::Drain));
    // A take that failed leaves nothing to release.
    let mut node = Node::new();
    node.read(0, 0, None, 0);
    node.step(0);
    node.0.release(at(1));
    node.0.took(at(2), Answer::TooLate);
    node.step(2);
    node.read(6001, 1, None, 0);
    assert_eq!(node.step(6001), Some(Action::Take { seen: Epoch(1) }));
    node.0.took(at(6002), Answer::Done);
    node.step(6002);
    node.0.recovered(at(7002));
    assert_eq!(node.step(7002), None);
}
