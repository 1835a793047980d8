use super::manual::{Machine, first};
use super::*;

#[test]
fn a_moment_of_the_wall_is_one_moment_of_the_engine() {
    let clock = Clock::new();
    let wall = i64::try_from(clock.epoch_ms()).expect("this century");
    let at = Wall::from_micros((wall + 60_000) * 1000);
    let ahead = at.time(clock.wall_origin()).since(clock.now()).micros();
    assert!((59_000_000..=60_001_000).contains(&ahead), "{ahead}");
    assert!(clock.boot_id.is_some() || !cfg!(target_os = "linux"));
    let (one, other) = (clock.moment(), clock.moment());
    assert_eq!(one.boot.map(|boot| boot.0), other.boot.map(|boot| boot.0));
    assert!(one.boot <= other.boot && one.now <= other.now);
}

#[test]
fn a_clock_that_is_set_is_believed() {
    let machine = Machine::new();
    let clock = machine.start();
    let origin = clock.wall_origin();
    assert_eq!(clock.now(), first());
    for (set_ms, expected) in [
        (3_600_000, Some(3_600_000_000)),
        (-7_200_000, Some(-7_200_000_000)),
        (50, None),
        (1, Some(51_000)),
        (-50, None),
    ] {
        machine.set_by_ms(set_ms);
        machine.pass_ms(1000);
        assert_eq!(clock.look(), expected, "{set_ms}");
        assert_eq!(clock.look(), None, "{set_ms}, again");
    }
    assert_eq!(
        clock.wall_origin().micros() - origin.micros(),
        -3_599_949_000
    );
    assert_eq!(clock.now().since(first()), Span::from_millis(5000));
    let wall = machine.wall_ms().cast_unsigned();
    assert_eq!(clock.epoch_ms(), wall, "always what it says now");
}

/// A channel that was forgotten and comes back has greater numbers, also without a journal.
#[test]
fn numbers_never_go_back() {
    let machine = Machine::new();
    let clock = machine.start();
    let mut last = 0;
    for (set_ms, looks) in [
        (0, false),
        (3_600_000, false),
        (-7_200_000, true),
        (10, false),
    ] {
        machine.set_by_ms(set_ms);
        machine.pass_ms(1000);
        if looks {
            clock.look();
        }
        let number = clock.number_ms();
        assert!(number >= last + 1000, "{set_ms}: {number} after {last}");
        assert!(number >= clock.epoch_ms());
        last = number;
    }
    assert_eq!(last, clock.epoch_ms() + 7_200_000 - 10);
}

#[test]
fn a_machine_that_slept_has_a_wall_clock_that_went_on() {
    let machine = Machine::new();
    let clock = machine.start();
    machine.sleep_ms(60_000);
    assert_eq!(clock.now(), first());
    assert_eq!(clock.look(), Some(60_000_000));
}

#[test]
fn a_machine_that_slept_lost_no_time_of_others() {
    let machine = Machine::new();
    let clock = machine.start();
    machine.pass_ms(1000);
    assert_eq!(clock.now_with_sleep(), clock.now());
    machine.sleep_ms(60_000);
    assert_eq!(
        clock.now_with_sleep(),
        clock.now() + Span::from_millis(60_000)
    );
    machine.forget_boot();
    assert_eq!(clock.now_with_sleep(), clock.now());
}

/// A process that is preempted between its looks at two clocks.
#[test]
fn a_late_look_is_no_step() {
    let machine = Machine::new();
    let clock = machine.start();
    let origin = clock.wall_origin();
    for stalls in [&[300][..], &[300, 80], &[300; 5], &[60, 60, 60, 60, 61]] {
        machine.stall_ms(stalls);
        assert_eq!(clock.look(), None, "{stalls:?}");
        assert_eq!(clock.wall_origin(), origin);
    }
    machine.set_by_ms(1000);
    machine.stall_ms(&[300, 300, 2]);
    assert_eq!(clock.look(), Some(1_000_000));
    // A start that cannot be better has a moment come late, never early.
    machine.stall_ms(&[300; 5]);
    let late = machine.start();
    let at = Wall::from_micros((machine.wall_ms() + 1000) * 1000);
    assert!(at.time(late.wall_origin()) >= late.now() + Span::SECOND);
}
