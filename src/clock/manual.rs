//! Clocks that a test sets: those of one machine, over its processes and boots.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BootId, Clock, HEAD_START, Source};

#[derive(Debug)]
struct Hands {
    monotonic: u64,
    wall: i64,
    since_boot: Option<u64>,
    boot_id: BootId,
    /// The process does not run for so long at the next looks at the wall clock.
    stalls: Vec<u64>,
}

/// A machine's clocks. Copies are the same clocks.
#[derive(Clone, Debug)]
pub(crate) struct Machine(Arc<Mutex<Hands>>);

impl Machine {
    /// Booted an hour ago; the wall clock is right, in 2027.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Hands {
            monotonic: 3_600_000_000,
            wall: 1_800_000_000_000_000,
            since_boot: Some(3_600_000_000),
            boot_id: [1; 16],
            stalls: Vec::new(),
        })))
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock of a process that starts now.
    pub(crate) fn start(&self) -> Clock {
        Clock::of(Box::new(self.clone()))
    }

    /// Time passes.
    pub(crate) fn pass_ms(&self, ms: u64) {
        let (mut hands, micros) = (self.hands(), ms * 1000);
        hands.monotonic += micros;
        hands.wall += micros.cast_signed();
        hands.since_boot = hands.since_boot.map(|since| since + micros);
    }

    /// The wall clock is set.
    pub(crate) fn set_by_ms(&self, ms: i64) {
        self.hands().wall += ms * 1000;
    }

    /// The machine sleeps.
    pub(crate) fn sleep_ms(&self, ms: u64) {
        self.pass_ms(ms);
        self.hands().monotonic -= ms * 1000;
    }

    /// The machine boots, which takes no time.
    pub(crate) fn boot(&self) {
        let mut hands = self.hands();
        hands.monotonic = 0;
        hands.since_boot = Some(0);
        hands.boot_id[0] += 1;
    }

    /// The system no longer says how long ago it booted.
    pub(crate) fn forget_boot(&self) {
        self.hands().since_boot = None;
    }

    /// The next looks at the wall clock are each followed by so many ms in which nothing runs.
    pub(crate) fn stall_ms(&self, stalls: &[u64]) {
        self.hands().stalls = stalls.iter().rev().map(|ms| ms * 1000).collect();
    }

    /// ms since 1970.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.hands().wall / 1000
    }
}

impl Source for Machine {
    fn monotonic(&self) -> u64 {
        self.hands().monotonic
    }

    fn wall(&self) -> i64 {
        let mut hands = self.hands();
        let wall = hands.wall;
        if let Some(micros) = hands.stalls.pop() {
            hands.monotonic += micros;
            hands.wall += micros.cast_signed();
            hands.since_boot = hands.since_boot.map(|since| since + micros);
        }
        wall
    }

    fn since_boot(&self) -> Option<u64> {
        self.hands().since_boot
    }

    fn boot_id(&self) -> Option<BootId> {
        Some(self.hands().boot_id)
    }
}

/// The first moment of a process.
pub(crate) fn first() -> engine::Time {
    engine::Time::ZERO + HEAD_START
}
