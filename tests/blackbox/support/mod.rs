//! What every test has at hand: processes, clients, and patience with a deadline.

pub mod certificates;
pub mod emulator;
pub mod endpoint;
pub mod forms;
pub mod http;
pub mod metrics;
pub mod payloads;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod sql;
pub mod wall_clock;
pub mod ws;

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine, and short enough to be waited for.
pub const SOON: Duration = Duration::from_secs(20);

/// Looks again and again until there is something, for [`SOON`] at most.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(SOON, what, look)
}

/// Looks again and again until there is something.
pub fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The seed of a random test: from `CUEGATE_TEST_SEED`, else a new one. Printed, so that a
/// failure shows it.
pub fn seed() -> u64 {
    let given = std::env::var("CUEGATE_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("CUEGATE_TEST_SEED={seed}");
    seed
}
