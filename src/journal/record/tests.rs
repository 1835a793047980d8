//! What is written is what is read, whatever the clocks did in between.

use std::sync::Arc;

use engine::{Admission, ChannelPolicy, Event as Offered, Queue, Rebuild, Span};

use super::*;
use crate::clock::manual::Machine;

const HOUR_MS: i64 = 3_600_000;

/// A block as version 1 had it, byte for byte: an event with an `at`, and one record of each
/// other kind. In it, 1,800,000,000,000,000 µs is when clocks of tests start.
#[rustfmt::skip]
const VERSION_1: &[u8] = &[
    1,
    // Queued: seq, place_seq, due, deadline, ttl_ms
    0, 7, 6, 128, 156, 224, 194, 229, 197, 178, 6, 128, 246, 164, 204, 229, 197, 178, 6, 144, 78,
    // dedup_until, rises, scheduled, sent, verbatim
    1, 128, 140, 209, 167, 231, 197, 178, 6, 1, 128, 201, 194, 199, 229, 197, 178, 6, 1, 0, 0,
    // data, type, id, key, merge
    7, 123, 34, 97, 34, 58, 49, 125, 1, 1, 116, 1, 1, 105, 1, 1, 107, 1, 3, 115, 117, 109,
    // priority, level
    6, 110, 111, 114, 109, 97, 108, 6, 110, 111, 114, 109, 97, 108,
    // Ended: seq, cancelled
    1, 3, 1,
    // Packed: n, text, seqs
    2, 129, 160, 241, 194, 177, 52, 3, 91, 49, 93, 2, 7, 172, 2,
    // Returned, Dissolved
    3, 5, 4, 6,
    // Remembered: id, until, cancelled
    5, 4, 103, 111, 110, 101, 1, 1,
];

fn entries(block: &[u8], clock: &Clock) -> Result<Vec<Entry>, Unreadable> {
    let mut reading = Reading::new(clock);
    reading.learn(block);
    let mut entries = Vec::new();
    decode(block, &reading, |entry| entries.push(entry)).map(|()| entries)
}

#[test]
fn version_1_is_read() {
    let clock = Machine::new().start();
    let after = |seconds: u64| clock.now() + Span::SECOND.times(seconds);
    let kept = QueuedEvent {
        seq: 7,
        place_seq: 6,
        due: after(60),
        deadline: after(70),
        ttl_ms: 10_000,
        dedup_until: Some(after(300)),
        rises: after(65),
        scheduled: Some(Scheduled {
            at: Wall::from_micros(1_800_000_060_000_000),
            accepted: Time::ZERO,
            latest_at: Some(Wall::from_micros(1_800_000_060_000_000)),
            latest_accepted: Time::ZERO,
        }),
        sent: false,
        content: Content {
            kind: Some("t".into()),
            id: Some("i".into()),
            key: Some("k".into()),
            merge: Some(Merge::Sum),
            ..Content::new(Data::Json(r#"{"a":1}"#.into()))
        },
        level: Priority::Normal,
    };
    let expected = [
        Change::Queued(kept),
        Change::Ended {
            seq: 3,
            fate: Fate::of(End::Cancelled),
        },
        Change::Packed {
            n: 1_800_000_000_001,
            text: "[1]".into(),
            seqs: vec![7, 300],
            slices: None,
        },
        Change::Returned { n: 5 },
        Change::Dissolved { n: 6 },
        Change::Remembered {
            id: "gone".into(),
            until: Time::ZERO,
            fate: Fate::of(End::Cancelled),
        },
    ];
    let read = entries(VERSION_1, &clock).expect("readable");
    assert_eq!(read, expected.map(Entry::Change));
    for cut in 1..VERSION_1.len() {
        // At the end of a record, or an error; never a panic.
        let _ = entries(&VERSION_1[..cut], &clock);
    }
}

#[test]
fn every_end_of_an_event_with_an_id_is_kept() {
    let dead = DeadLetterReason::ALL.map(End::DeadLettered);
    let ends = [
        End::Delivered,
        End::Merged,
        End::Expired,
        End::Cancelled,
        End::Evicted,
    ];
    let clock = Machine::new().start();
    let fates = ends.into_iter().chain(dead).flat_map(|end| {
        let at = Some(Wall::from_micros(1_800_000_000_000_001));
        let n = Some(1_800_000_000_001);
        [Fate { end, n, at }, Fate { end, n: None, at }]
    });
    let changes: Vec<Change> = fates
        .flat_map(|fate| {
            let (id, until) = ("gone".into(), clock.now());
            [
                Change::Ended { seq: 3, fate },
                Change::Remembered { id, until, fate },
            ]
        })
        .collect();
    assert_eq!(changes.len(), 4 * ENDS.len());
    let block = encode(&changes, &Beside::default(), &clock).expect("a block");
    let read = entries(&block, &clock).expect("readable");
    assert_eq!(
        read,
        changes.into_iter().map(Entry::Change).collect::<Vec<_>>()
    );
}

/// Slices are kept with the moment of the first, whatever the clock of the next process.
#[test]
fn slices_are_kept() {
    let machine = Machine::new();
    let first = machine.start();
    let packed = |since| Change::Packed {
        n: 1_800_000_000_001,
        text: "~0abc".into(),
        seqs: vec![7],
        slices: Some(Slices { count: 2, since }),
    };
    let changes = [packed(first.now())];
    let block = encode(&changes, &Beside::default(), &first).expect("a block");
    machine.pass_ms(1000);
    let second = machine.start();
    assert_eq!(
        entries(&block, &second).expect("readable"),
        [Entry::Change(packed(second.now() - Span::SECOND))]
    );
}

/// Blocks of these versions are ones of the present with fewer kinds of records.
#[test]
fn versions_2_to_5_are_read() {
    let machine = Machine::new();
    let first = machine.start();
    let since = first.now();
    let mut block = encode(&[], &paused(Pause::Since(since)), &first).expect("a block");
    machine.pass_ms(1000);
    let second = machine.start();
    let since = second.now() - Span::SECOND;
    for version in [2, 3, 4, 5] {
        block[0] = version;
        assert_eq!(
            entries(&block, &second).expect("readable"),
            [Entry::Pause(Pause::Since(since))]
        );
    }
}

#[test]
fn every_change_of_the_state_is_kept() {
    let clock = Machine::new().start();
    let key = || "k".into();
    let holds = |merge, kind| StateChange::Holds {
        entry: StateEntry {
            key: key(),
            data: r#"{"a":1.50}"#.into(),
            kind,
            merge,
        },
        n: 1_800_000_000_001,
        at: clock.now(),
    };
    let merges = [
        Merge::Replace,
        Merge::Sum,
        Merge::Max,
        Merge::Min,
        Merge::Patch,
    ];
    let held = merges.map(|merge| holds(merge, None));
    let others = [
        StateChange::Began { n: 7 },
        holds(Merge::Sum, Some("t".into())),
        StateChange::Ends {
            key: key(),
            asked: true,
        },
        StateChange::Ends {
            key: key(),
            asked: false,
        },
        StateChange::Gone { key: key() },
        StateChange::Forgotten { key: key() },
        StateChange::Told {
            n: 1_800_000_000_002,
            text: r#"{"v":1}"#.into(),
            at: clock.now(),
        },
        StateChange::Untold,
        StateChange::Off,
    ];
    let changes: Vec<Change> = held.into_iter().chain(others).map(Change::State).collect();
    let block = encode(&changes, &Beside::default(), &clock).expect("a block");
    let read = entries(&block, &clock).expect("readable");
    assert_eq!(
        read,
        changes.into_iter().map(Entry::Change).collect::<Vec<_>>()
    );
}

#[test]
fn a_later_version_is_refused() {
    let clock = Machine::new().start();
    let refused = entries(&[VERSION + 1, 0, 0], &clock);
    assert!(
        matches!(refused, Err(Unreadable::Version(7))),
        "{refused:?}"
    );
    assert!(matches!(entries(&[], &clock), Err(Unreadable::Empty)));
}

fn paused(pause: Pause) -> Beside {
    Beside {
        pause: Some(pause),
        ..Beside::default()
    }
}

#[test]
fn the_open_calls_are_kept() {
    let clock = Machine::new().start();
    let open = |open| Beside {
        open,
        ..Beside::default()
    };
    assert_eq!(encode(&[], &open(None), &clock), None);
    for calls in [0, 5] {
        let block = encode(&[], &open(Some(calls)), &clock).expect("a block");
        let read = entries(&block, &clock).expect("readable");
        assert_eq!(read, [Entry::Open(calls)]);
    }
}

#[test]
fn what_the_api_made_is_kept() {
    let clock = Machine::new().start();
    let definition = Definition {
        alias: "quiz".into(),
        number: 7,
        revision: 3,
        settings: r#"{"arn":"…","ttl_ms":5000}"#.into(),
    };
    for defined in [Defined::As(Arc::new(definition)), Defined::NoLonger] {
        let beside = Beside {
            defined: Some(defined.clone()),
            ..Beside::default()
        };
        let block = encode(&[], &beside, &clock).expect("a block");
        let read = entries(&block, &clock).expect("readable");
        assert_eq!(read, [Entry::Defined(defined)]);
        for cut in 1..block.len() {
            // An error or nothing; never a panic, and never half of it.
            assert_ne!(entries(&block[..cut], &clock).unwrap_or_default(), read);
        }
    }
}

#[test]
fn a_pause_is_kept() {
    let machine = Machine::new();
    let first = machine.start();
    machine.pass_ms(5000);
    let since = first.now();
    machine.pass_ms(2000);
    let held = encode(&[], &paused(Pause::Since(since)), &first).expect("a block");
    let resumed = encode(&[], &paused(Pause::Over), &first).expect("a block");
    assert_eq!(encode(&[], &Beside::default(), &first), None);
    machine.set_by_ms(HOUR_MS);
    // Longer than any event lives.
    machine.pass_ms(40 * 86_400_000);
    let second = machine.start();
    let ago = Span::from_millis(2000 + 40 * 86_400_000);
    assert_eq!(
        entries(&held, &second).expect("readable"),
        [Entry::Pause(Pause::Since(second.now() - ago))]
    );
    assert_eq!(
        entries(&resumed, &second).expect("readable"),
        [Entry::Pause(Pause::Over)]
    );
}

/// A queue of one process, and what its journal has.
struct Life {
    machine: Machine,
    clock: Clock,
    queue: Queue,
    blocks: Vec<Vec<u8>>,
}

impl Life {
    fn first(machine: &Machine) -> Self {
        let clock = machine.start();
        let mut life = Self {
            machine: machine.clone(),
            queue: Self::rebuilt(&clock, Rebuild::default()),
            blocks: Vec::new(),
            clock,
        };
        life.write();
        life
    }

    fn rebuilt(clock: &Clock, rebuild: Rebuild) -> Queue {
        let policy = Arc::new(ChannelPolicy {
            ttl_ms: 600_000,
            dedup_window: Span::from_millis(300_000),
            ..ChannelPolicy::default()
        });
        let (now, origin) = (clock.now(), clock.wall_origin());
        Queue::rebuild(policy, 1024, 1, Span::SECOND, now, origin, rebuild)
    }

    fn put(&mut self, event: Offered) {
        self.look();
        let put = self.queue.accept(self.clock.now(), event);
        assert_eq!(put, Ok(Admission::Accepted));
        self.write();
    }

    /// As the runtime does all the time.
    fn look(&mut self) {
        self.clock.look();
        let moved = self
            .queue
            .set_wall_origin(self.clock.now(), self.clock.wall_origin());
        self.write();
        if moved {
            self.blocks.clear();
            self.blocks.extend(encode(
                &self.queue.snapshot(),
                &Beside::default(),
                &self.clock,
            ));
        }
    }

    fn write(&mut self) {
        let changes = self.queue.take_changes();
        self.blocks
            .extend(encode(&changes, &Beside::default(), &self.clock));
    }

    /// The process is killed, and another starts at once.
    fn again(self) -> Self {
        let clock = self.machine.start();
        let mut reading = Reading::new(&clock);
        self.blocks.iter().for_each(|block| reading.learn(block));
        let mut rebuild = Rebuild::default();
        for block in &self.blocks {
            let read = decode(block, &reading, |entry| {
                if let Entry::Change(change) = entry {
                    rebuild.apply(change).expect("written by a queue");
                }
            });
            read.expect("readable");
        }
        Self {
            queue: Self::rebuilt(&clock, rebuild),
            clock,
            ..self
        }
    }

    /// How many events are left at a moment that is so many ms from now.
    fn left(&mut self, after_ms: u64) -> usize {
        self.look();
        let mut queue = self.queue.clone();
        queue
            .depth(self.clock.now() + Span::from_millis(after_ms))
            .events
    }

    /// ms until something can be sent; none if nothing waits.
    fn goes_after(&mut self) -> Option<u64> {
        self.look();
        let now = self.clock.now();
        if self.queue.demand(now).is_some() {
            return Some(0);
        }
        let timer = self.queue.timer();
        timer.map(|at| at.since(now).millis_ceil())
    }

    fn is_duplicate(&self, id: &str, after_ms: u64) -> bool {
        let mut queue = self.queue.clone();
        let now = self.clock.now() + Span::from_millis(after_ms);
        queue.accept(now, event(Some(id))) == Ok(Admission::Duplicate)
    }
}

fn event(id: Option<&str>) -> Offered {
    Offered::from(Content {
        id: id.map(Into::into),
        priority: Priority::High,
        ..Content::new(Data::Json("1".into()))
    })
}

/// What a wall clock may do, in words; the steps are ms before, during and after a life.
const STEPS: [(&str, [i64; 3]); 7] = [
    ("nothing", [0, 0, 0]),
    ("corrected during a life", [0, HOUR_MS, 0]),
    ("set back during a life", [0, -HOUR_MS, 0]),
    ("corrected between lives", [0, 0, HOUR_MS]),
    ("set back between lives", [0, 0, -HOUR_MS]),
    (
        "wrong before, corrected, and wrong again",
        [-HOUR_MS, HOUR_MS, -HOUR_MS],
    ),
    ("wrong before, wrong in between", [HOUR_MS, 0, -2 * HOUR_MS]),
];

#[test]
fn ttl_and_ids_survive_a_clock_that_is_set() {
    for (what, [before, during, after]) in STEPS {
        let machine = Machine::new();
        machine.set_by_ms(before);
        let mut life = Life::first(&machine);
        machine.pass_ms(1000);
        life.put(event(Some("early")));
        machine.set_by_ms(during);
        machine.pass_ms(1000);
        life.put(event(Some("late")));
        machine.pass_ms(10_000);
        assert!(life.is_duplicate("early", 0), "{what}");
        machine.set_by_ms(after);
        machine.pass_ms(60_000);
        let mut life = life.again();
        // 71 and 70 s of 600 are over.
        for (after_ms, left) in [(528_999, 2), (529_000, 1), (529_999, 1), (530_000, 0)] {
            assert_eq!(life.left(after_ms), left, "{what}, {after_ms}");
        }
        for (id, until) in [("early", 229_000), ("late", 230_000)] {
            assert!(life.is_duplicate(id, until - 1), "{what}, {id}");
            assert!(!life.is_duplicate(id, until), "{what}, {id}");
        }
    }
}

#[test]
fn an_at_is_of_the_wall_clock_over_restarts() {
    for (what, [before, during, after]) in STEPS {
        let machine = Machine::new();
        machine.set_by_ms(before);
        let mut life = Life::first(&machine);
        let at_ms = machine.wall_ms() + 7_200_000;
        life.put(Offered {
            at: Some(Wall::from_micros(at_ms * 1000)),
            ..event(None)
        });
        let ahead = |machine: &Machine| u64::try_from(at_ms - machine.wall_ms()).ok();
        machine.set_by_ms(during);
        machine.pass_ms(1000);
        assert_eq!(life.goes_after(), ahead(&machine), "{what}");
        machine.set_by_ms(after);
        machine.pass_ms(1000);
        let mut life = life.again();
        assert_eq!(life.goes_after(), ahead(&machine), "{what}, again");
        // And in the life after.
        machine.set_by_ms(-HOUR_MS);
        assert_eq!(life.goes_after(), ahead(&machine), "{what}, set back");
        machine.set_by_ms(24 * HOUR_MS);
        assert_eq!(life.goes_after(), Some(0), "{what}, overdue");
        let mut life = life.again();
        assert_eq!(life.goes_after(), Some(0), "{what}, overdue again");
        assert_eq!(life.left(590_000), 1, "{what}");
        assert_eq!(life.left(610_000), 0, "{what}");
    }
}

/// After a boot the wall clock has to do: what is not known loses nothing at once.
#[test]
fn over_a_boot_time_is_what_the_wall_clock_says() {
    // The wall clock's step at the boot, and the ms that an event of 600 s has left then.
    for (step, left_ms) in [
        (0, 600_000 - 60_000 - 30_000),
        (100_000, 600_000 - 160_000 - 30_000),
        // It is behind: no time has passed since the last that was written.
        (-HOUR_MS, 600_000 - 60_000),
        // It is ahead, or was behind before: the time is over, and that is told.
        (HOUR_MS, 0),
    ] {
        let machine = Machine::new();
        machine.set_by_ms(-HOUR_MS);
        let mut life = Life::first(&machine);
        life.put(event(None));
        // Corrected while the process lives: what it writes later tells of that.
        machine.pass_ms(60_000);
        machine.set_by_ms(HOUR_MS);
        life.put(Offered {
            ttl_ms: Some(1),
            ..event(None)
        });
        machine.pass_ms(30_000);
        machine.set_by_ms(step);
        machine.boot();
        let mut life = life.again();
        if left_ms > 0 {
            assert_eq!(life.left(left_ms - 1), 1, "{step}");
        }
        assert_eq!(life.left(left_ms), 0, "{step}");
    }
}

#[test]
fn without_a_clock_of_the_boot_the_wall_clock_has_to_do() {
    let machine = Machine::new();
    machine.forget_boot();
    let mut life = Life::first(&machine);
    life.put(event(None));
    machine.pass_ms(60_000);
    let mut life = life.again();
    assert_eq!((life.left(539_999), life.left(540_000)), (1, 0));
}

/// The boot's clock goes on while the machine sleeps.
#[test]
fn a_machine_that_slept_has_aged() {
    let machine = Machine::new();
    let mut life = Life::first(&machine);
    life.put(event(None));
    machine.sleep_ms(60_000);
    let mut life = life.again();
    assert_eq!((life.left(539_999), life.left(540_000)), (1, 0));
}
