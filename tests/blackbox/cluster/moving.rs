//! An operator moves an account.

use std::collections::BTreeSet;

use super::{HANDED_WITHIN, Stage, publish, ready};
use crate::support::postgres::Cluster;
use crate::support::process::ACCOUNT;

#[test]
fn an_account_is_moved_to_the_node_that_is_named() {
    let Some(stage) = Stage::set(Cluster::alone()) else {
        return;
    };
    let moving = |to: &str| stage.command(&["move", ACCOUNT, "us-west-2", "--to", to]);
    let first = stage.node("first");
    ready(&first);
    let (second, third) = (stage.node("second"), stage.node("third"));
    let mut sent = BTreeSet::from([publish(&first, 0)]);
    // Its calls go: nothing of a node before it counts any more.
    first.drained("quiz");
    // More than leave before the account does.
    sent.extend((1..1000).map(|nth| publish(&first, nth)));
    let moved = moving("third");
    println!("{}", moved.out);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    assert!(moved.out.contains("from first to third in"), "{moved:?}");
    ready(&third);
    assert!(!first.owns() && !second.owns());
    sent.extend((1000..1010).map(|nth| publish(&first, nth)));
    third.drained("quiz");
    assert_eq!(stage.delivered(), sent);
    assert!(stage.longest_silence() < HANDED_WITHIN);
    for (to, why) in [
        ("third", "has the account already"),
        ("fourth", "does not live"),
    ] {
        let refused = moving(to);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains(why), "{refused:?}");
    }
}
