//! What is simulated: how many channels, what they are sent, and what goes wrong.

use engine::{AccountPolicy, Pacing};

/// One second, in µs.
pub const SECOND: u64 = 1_000_000;
/// The longest that a leg takes while nothing is wrong.
pub const LEG_MAX: u64 = 50_000;
/// As in the account's policy.
pub const ABANDON: u64 = 5 * SECOND;
/// The client's time-out.
pub const CALL_TIMEOUT: u64 = 2 * SECOND;

/// What goes wrong, in ten thousandths of the calls unless said otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A leg takes up to 3 s.
    pub stall: u64,
    /// The request goes under way.
    pub lost_request: u64,
    /// The reply goes under way: the call was handled.
    pub lost_reply: u64,
    /// No connection.
    pub refused: u64,
    /// The connection breaks, and the call may still be handled until `abandon` has passed.
    pub broken: u64,
    /// The API fails.
    pub failed: u64,
    /// The API throttles for no reason.
    pub throttled: u64,
    /// Spells, a channel or the whole API each: so many a simulated hour.
    pub spells: u64,
    /// The API takes 1000 bytes and not 1024.
    pub small_kilobyte: bool,
    /// A broken call is handled up to this much later than `abandon` allows, in µs.
    pub beyond_abandon: u64,
}

/// Nothing goes wrong.
pub const CALM: Faults = Faults {
    stall: 0,
    lost_request: 0,
    lost_reply: 0,
    refused: 0,
    broken: 0,
    failed: 0,
    throttled: 0,
    spells: 0,
    small_kilobyte: false,
    beyond_abandon: 0,
};

/// All of it does, within the assumption of the proof.
pub const ADVERSE: Faults = Faults {
    stall: 150,
    lost_request: 60,
    lost_reply: 60,
    refused: 100,
    broken: 60,
    failed: 150,
    throttled: 30,
    spells: 30,
    small_kilobyte: false,
    beyond_abandon: 0,
};

/// What a channel's producers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Single events, seconds apart; the mean in µs.
    Lone(u64),
    /// Many at once, seconds of silence between.
    Bursts,
    /// Always more than can leave.
    Flood,
    /// Keys that merge.
    Counters,
    /// Everything: priorities, TTLs, `at`, duplicates, cancels, purges.
    Mixed,
}

/// What a process that is killed leaves to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kills {
    /// It is not killed.
    Never,
    /// It keeps nothing on disk.
    NothingKept,
    /// It keeps records, and each time the last few of them are lost with the machine.
    RecordsTorn,
}

/// One kind of run.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// For the report of a failure.
    pub name: &'static str,
    /// How many channels.
    pub channels: u32,
    /// Simulated time with traffic, in s.
    pub seconds: u64,
    /// Which seeds.
    pub seeds: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// By channel, again and again.
    pub traffic: &'static [Traffic],
    /// As in the account's policy.
    pub in_flight: u32,
    /// As in the account's policy.
    pub pacing: Pacing,
    /// Pauses, resumes and reloads.
    pub operators: bool,
    /// Idle channels are forgotten and come again all the time.
    pub forgets: bool,
    /// The wall clock is set by up to an hour, forth and back.
    pub clock_is_set: bool,
    /// Whether the process is killed now and then, and what it leaves.
    pub kills: Kills,
    /// How late the account's task runs at most, in µs.
    pub lag: u64,
}

impl Scenario {
    /// The account's policy at the start.
    pub fn policy(&self) -> AccountPolicy {
        AccountPolicy {
            max_in_flight_per_channel: self.in_flight,
            pacing: self.pacing,
            ..AccountPolicy::default()
        }
    }

    /// Nothing ever goes wrong, and nobody interferes: the promises of speed hold.
    pub fn is_calm(&self) -> bool {
        let f = &self.faults;
        let sum = f.stall + f.lost_request + f.lost_reply + f.refused + f.broken + f.failed;
        sum + f.throttled + f.spells == 0 && !self.operators && !self.is_killed() && self.lag == 0
    }

    /// Whether the process is killed now and then.
    pub fn is_killed(&self) -> bool {
        self.kills != Kills::Never
    }

    /// Whether it keeps records, of which the last are lost.
    pub fn is_torn(&self) -> bool {
        self.kills == Kills::RecordsTorn
    }

    /// Whether the account's limit can bind.
    pub fn is_crowded(&self) -> bool {
        self.channels > 31
    }
}

const BASE: Scenario = Scenario {
    name: "",
    channels: 4,
    seconds: 3600,
    seeds: 1,
    faults: CALM,
    traffic: &[
        Traffic::Flood,
        Traffic::Bursts,
        Traffic::Counters,
        Traffic::Lone(4 * SECOND),
    ],
    in_flight: 1,
    pacing: Pacing::Spread,
    operators: false,
    forgets: false,
    clock_is_set: false,
    kills: Kills::Never,
    lag: 0,
};

const MIXED: &[Traffic] = &[
    Traffic::Mixed,
    Traffic::Bursts,
    Traffic::Mixed,
    Traffic::Counters,
    Traffic::Flood,
];

/// Of those no call is handled later than a leg after it was sent: what a killed process sent is handled
/// while the next one holds its tokens.
const PROMPT: Faults = Faults {
    lost_request: 60,
    lost_reply: 60,
    refused: 100,
    failed: 150,
    throttled: 30,
    spells: 30,
    ..CALM
};

/// Idle every few moments, with tokens out.
const BRIEF: &[Traffic] = &[
    Traffic::Lone(SECOND / 4),
    Traffic::Bursts,
    Traffic::Lone(2 * SECOND),
];

/// The runs of every test run.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "calm-4",
        seeds: 4,
        ..BASE
    },
    Scenario {
        name: "calm-4-even",
        pacing: Pacing::Even,
        ..BASE
    },
    Scenario {
        name: "saturated-40",
        channels: 40,
        seconds: 900,
        traffic: &[Traffic::Flood],
        ..BASE
    },
    Scenario {
        name: "crowded-100",
        channels: 100,
        seconds: 600,
        traffic: &[Traffic::Flood, Traffic::Lone(4 * SECOND), Traffic::Bursts],
        ..BASE
    },
    Scenario {
        name: "sparse-400",
        forgets: true,
        channels: 400,
        seconds: 7200,
        traffic: &[Traffic::Lone(60 * SECOND)],
        ..BASE
    },
    Scenario {
        name: "adverse-4",
        seeds: 6,
        faults: ADVERSE,
        traffic: MIXED,
        ..BASE
    },
    Scenario {
        name: "adverse-5-operated",
        forgets: true,
        seeds: 4,
        channels: 5,
        faults: Faults {
            small_kilobyte: true,
            ..ADVERSE
        },
        traffic: MIXED,
        operators: true,
        lag: 3000,
        ..BASE
    },
    Scenario {
        name: "adverse-8-three-in-flight",
        channels: 8,
        seconds: 1800,
        seeds: 2,
        faults: ADVERSE,
        traffic: MIXED,
        in_flight: 3,
        operators: true,
        ..BASE
    },
    Scenario {
        name: "adverse-60",
        forgets: true,
        channels: 60,
        seconds: 900,
        faults: ADVERSE,
        traffic: MIXED,
        operators: true,
        lag: 1000,
        ..BASE
    },
    Scenario {
        name: "adverse-400-sparse",
        forgets: true,
        channels: 400,
        seconds: 1800,
        faults: ADVERSE,
        traffic: &[
            Traffic::Lone(30 * SECOND),
            Traffic::Lone(60 * SECOND),
            Traffic::Bursts,
            Traffic::Lone(10 * SECOND),
            Traffic::Counters,
            Traffic::Lone(60 * SECOND),
        ],
        ..BASE
    },
    Scenario {
        name: "calm-forgotten-6",
        channels: 6,
        forgets: true,
        traffic: BRIEF,
        ..BASE
    },
    Scenario {
        name: "adverse-forgotten-6",
        channels: 6,
        seeds: 4,
        forgets: true,
        faults: ADVERSE,
        traffic: BRIEF,
        lag: 1000,
        ..BASE
    },
    Scenario {
        name: "adverse-6-clock-is-set",
        channels: 6,
        seconds: 1800,
        seeds: 4,
        faults: ADVERSE,
        traffic: MIXED,
        operators: true,
        forgets: true,
        clock_is_set: true,
        lag: 1000,
        ..BASE
    },
    Scenario {
        name: "adverse-6-killed",
        channels: 6,
        seconds: 1800,
        seeds: 4,
        faults: PROMPT,
        traffic: MIXED,
        operators: true,
        forgets: true,
        kills: Kills::NothingKept,
        lag: 1000,
        ..BASE
    },
    Scenario {
        name: "adverse-6-torn",
        channels: 6,
        seconds: 1800,
        seeds: 4,
        faults: PROMPT,
        traffic: MIXED,
        operators: true,
        kills: Kills::RecordsTorn,
        lag: 1000,
        ..BASE
    },
    Scenario {
        name: "adverse-60-killed",
        channels: 60,
        seconds: 600,
        faults: PROMPT,
        traffic: MIXED,
        kills: Kills::NothingKept,
        ..BASE
    },
    Scenario {
        name: "adverse-6-steady",
        channels: 6,
        seconds: 1800,
        faults: ADVERSE,
        traffic: MIXED,
        pacing: Pacing::Steady,
        lag: 1000,
        ..BASE
    },
];
