//! Percentiles of times in bounded memory.
//!
//! Buckets are exact up to 127 µs, and above it 128 to an octave: a percentile is given as the
//! middle of its bucket, so that it is wrong by 0.4 % at most. Memory is 35 KB however many are
//! counted.

/// Buckets to an octave, as a power of two.
const BITS: u32 = 7;
const SUB: u64 = 1 << BITS;
/// Longer times count as this, 12 days in microseconds; it also is the number of octaves.
const MAX: u64 = (1 << 40) - 1;
const BUCKETS: usize = 128 * (40 - 7 + 1);

/// Counts of times in microseconds.
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Counts a time, so many times.
    pub(super) fn add(&mut self, micros: u64, times: u64) {
        let micros = micros.min(MAX);
        if times > 0 {
            self.buckets[bucket(micros)] += times;
            self.count += times;
            self.max = self.max.max(micros);
        }
    }

    /// The time that `permille` thousandths of all do not exceed (nearest rank); none if there is
    /// nothing.
    pub(super) fn permille(&self, permille: u64) -> Option<u64> {
        let rank = (self.count * permille).div_ceil(1000).max(1);
        let mut below = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(middle(index).min(self.max));
            }
        }
        None
    }

    /// The longest time, exact; none if there is nothing.
    pub(super) fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }
}

fn bucket(micros: u64) -> usize {
    let index = if micros < SUB {
        micros
    } else {
        let octave = u64::from(micros.ilog2() - BITS);
        // The leading bits, 128 to 255, after all buckets of the octaves before.
        (octave << BITS) + (micros >> octave)
    };
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

fn middle(index: usize) -> u64 {
    let index = index as u64;
    if index < SUB {
        return index;
    }
    let octave = (index >> BITS) - 1;
    let low = (index - (octave << BITS)) << octave;
    low + ((1 << octave) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_percent_of_the_sorted_truth() {
        let mut random = fastrand::Rng::with_seed(7);
        for spread in [100, 10_000, 5_000_000, MAX] {
            let mut times: Vec<u64> = (0..10_000).map(|_| random.u64(0..=spread)).collect();
            let mut histogram = Histogram::default();
            for &time in &times {
                histogram.add(time, 1);
            }
            times.sort_unstable();
            for permille in [1, 500, 900, 990, 999, 1000] {
                let rank = (times.len() * permille).div_ceil(1000).max(1);
                let exact = times[rank - 1];
                let said = histogram.permille(permille as u64).expect("some");
                let wrong = said.abs_diff(exact);
                assert!(
                    wrong * 100 <= exact,
                    "{permille} of {spread}: {said}, not {exact}"
                );
            }
            assert_eq!(histogram.max(), times.last().copied());
        }
    }

    #[test]
    fn every_bucket_holds_its_middle_and_small_times_are_exact() {
        for micros in 0..256 {
            assert_eq!(middle(bucket(micros)), micros);
        }
        for index in 0..BUCKETS {
            assert_eq!(bucket(middle(index)), index);
        }
        assert_eq!(bucket(MAX), BUCKETS - 1);
    }

    #[test]
    fn nothing_has_no_percentile_and_weights_count() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.permille(500), histogram.max()), (None, None));
        histogram.add(5, 0);
        assert_eq!(histogram.permille(500), None);
        histogram.add(10, 99);
        histogram.add(u64::MAX, 1);
        assert_eq!(histogram.permille(990), Some(10));
        assert!(histogram.permille(1000) > Some(MAX / 100 * 99));
    }
}
