//! What every fuzzer does with an input.

use allocation_counter::measure;
pub use cuegate::fuzzing;
use fuzzing::Target;

/// Reads the input.
///
/// # Panics
/// The reader did, or it took more memory than it may.
pub fn check(target: &Target, input: &[u8]) {
    let used = measure(|| (target.read)(input)).bytes_max;
    let limit = target.limit(input.len());
    assert!(
        used <= limit as u64,
        "{}: {used} bytes for {} of input, not at most {limit}",
        target.name,
        input.len()
    );
}
