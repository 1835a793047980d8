//! Chance and the network: what may happen to a call, and how likely it is.

/// `SplitMix64`: small, good enough, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in [low, high].
    pub(super) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.next() % 1000 < per_mille
    }
}

/// The network and the server. Times in µs, chances in thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    /// The least one-way delay, and the most that jitter adds.
    pub(super) delay: u64,
    pub(super) jitter: u64,
    /// Chance that a delay is in the tail, up to 100 times as long (1/x distributed).
    pub(super) tail: u64,
    /// The most that our own process takes to write a request or to notice an answer.
    pub(super) lag: u64,
    pub(super) lost: u64,
    pub(super) reply_lost: u64,
    pub(super) broken: u64,
    pub(super) refused: u64,
    /// Answers other than success: each of six kinds has this chance.
    pub(super) errors: u64,
    pub(super) timeout: u64,
    /// A call that nobody awaits any more is handled within this many `abandon`s, in
    /// percent. Above 100 the proof's assumption is broken.
    pub(super) abandon_percent: u64,
    /// How much faster the server's clock runs, in millionths: within the grace of 2 ms.
    pub(super) skew: i64,
}

impl Network {
    /// Delays of 5 to 30 ms each way and nothing else.
    pub(super) const CALM: Self = Self {
        delay: 5_000,
        jitter: 25_000,
        tail: 0,
        lag: 0,
        lost: 0,
        reply_lost: 0,
        broken: 0,
        refused: 0,
        errors: 0,
        timeout: 2_000_000,
        abandon_percent: 100,
        skew: 0,
    };

    /// Any network that the proof covers.
    pub(super) fn any(random: &mut Random) -> Self {
        let mut rate = |most: u64| {
            if random.chance(500) {
                random.within(0, most)
            } else {
                0
            }
        };
        Self {
            delay: 200 + rate(80_000),
            jitter: rate(200_000),
            tail: rate(100),
            lag: rate(3_000),
            lost: rate(30),
            reply_lost: rate(60),
            broken: rate(60),
            refused: rate(40),
            errors: rate(8),
            timeout: 50_000 + rate(1_950_000),
            abandon_percent: 100,
            skew: i64::try_from(rate(3_600)).unwrap() - 1_800,
        }
    }

    /// The longest round trip, if there is no tail.
    pub(super) const fn round_trip_max(&self) -> u64 {
        2 * (self.delay + self.jitter + self.lag)
    }

    pub(super) fn one_way(&self, random: &mut Random) -> u64 {
        let usual = self.delay + random.within(0, self.jitter);
        if random.chance(self.tail) {
            usual * 1000 / random.within(10, 1000)
        } else {
            usual
        }
    }
}
