//! The readers, a bounded way: inputs that take the most memory, and random ones. The random ones
//! are the same every time, so that nobody's change fails for another's bug; to search further,
//! give `PROPTEST_RNG_SEED` or `PROPTEST_CASES`, or run the fuzzers.

mod inputs;
mod worst;

use std::panic::{AssertUnwindSafe, catch_unwind};

use allocation_counter::measure;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::*;

const CASES: u32 = 1000;
const SEED: u64 = 1;
/// A bound that nothing comes near says nothing.
const NEAR_PERCENT: u64 = 75;

/// Bytes that the target allocated at once for the input.
fn check(target: &Target, input: &[u8]) -> Result<u64, TestCaseError> {
    let mut read = Ok(());
    let used = measure(|| {
        // Within, because the counter must be left as it was entered.
        read = catch_unwind(AssertUnwindSafe(|| (target.read)(input)));
    })
    .bytes_max;
    let what = format!("{}, {} bytes of input", target.name, input.len());
    prop_assert!(read.is_ok(), "{what}: a panic, told above");
    let limit = target.limit(input.len());
    prop_assert!(
        used <= limit as u64,
        "{what}: {used} allocated, at most {limit} may be"
    );
    Ok(used)
}

fn given<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn survives(target: &Target, inputs: impl Strategy<Value = Vec<u8>>) {
    let seed = given("PROPTEST_RNG_SEED").unwrap_or(SEED);
    let config = Config {
        cases: given("PROPTEST_CASES").unwrap_or(CASES),
        rng_seed: RngSeed::Fixed(seed),
        // The seed says all.
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&inputs, |input| check(target, &input).map(drop))
        .unwrap_or_else(|error| panic!("PROPTEST_RNG_SEED={seed}: {error}"));
}

#[test]
fn event_json() {
    survives(&EVENT_JSON, inputs::mutated(inputs::events()));
}

#[test]
fn ndjson() {
    survives(&NDJSON, inputs::mutated(inputs::lines()));
}

#[test]
fn cloudevents() {
    survives(&CLOUDEVENTS, inputs::mutated(inputs::cloudevents()));
}

#[test]
fn websocket() {
    survives(&WEBSOCKET, inputs::mutated(inputs::messages()));
}

#[test]
fn aws_door() {
    survives(&AWS_DOOR, inputs::mutated(inputs::put_metadata()));
}

#[test]
fn gzip() {
    survives(&GZIP, inputs::mutated(inputs::packed()));
}

#[test]
fn configuration() {
    survives(&CONFIGURATION, inputs::mutated(inputs::configuration()));
}

#[test]
fn journal_block() {
    survives(&JOURNAL_BLOCK, inputs::mutated(inputs::block()));
}

#[test]
fn journal_log() {
    survives(&JOURNAL_LOG, inputs::mutated(inputs::log()));
}

#[test]
fn dead_letter() {
    survives(&DEAD_LETTER, inputs::mutated(inputs::letter()));
}

/// Otherwise the search would stop at what the readers refuse first.
#[test]
fn inputs_get_deep() {
    let mut runner = TestRunner::deterministic();
    let mut share = |inputs: BoxedStrategy<Vec<u8>>, is_deep: fn(&[u8]) -> bool| {
        let mut input = || inputs.new_tree(&mut runner).expect("an input").current();
        (0..200).filter(|_| is_deep(&input())).count()
    };
    let read = |body: &[u8]| {
        let batch = with_reader(|reader| batch::json(body, Addressing::Event, reader));
        !batch.events.is_empty()
    };
    assert!(share(inputs::events(), read) > 20);
    assert!(
        share(inputs::block(), |block| {
            record::decode(block, &Reading::new(&Clock::new()), drop).is_ok()
        }) > 150
    );
    assert!(
        share(inputs::log(), |log| wal_tail::tail(log)
            == wal_tail::Tail::Whole)
            > 50
    );
    assert!(
        share(inputs::put_metadata(), |body| {
            put_metadata::parse(&Bytes::copy_from_slice(body)).is_ok()
        }) > 20
    );
}

#[test]
fn every_reader_has_its_fuzzer() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/fuzz_targets");
    let files = std::fs::read_dir(directory).expect("the fuzzers");
    let mut fuzzers: Vec<_> = files
        .map(|file| file.expect("a fuzzer").file_name().into_string())
        .collect();
    let mut names: Vec<_> = TARGETS
        .iter()
        .map(|target| Ok(format!("{}.rs", target.name)))
        .collect();
    fuzzers.sort();
    names.sort();
    assert_eq!(fuzzers, names);
    let worst = worst::all();
    assert!(
        TARGETS
            .iter()
            .map(|target| target.name)
            .eq(worst.iter().map(|(target, _)| target.name))
    );
}

/// The bounds hold for the inputs that were made to break them, and are not far above them.
#[test]
fn the_worst_inputs() {
    for (target, worst) in worst::all() {
        let mut most = 0;
        for input in &worst {
            let used = check(&target, input).unwrap_or_else(|error| panic!("{error}"));
            let percent = used * 100 / (target.limit(input.len()) as u64).max(1);
            let (name, length) = (target.name, input.len());
            let start = String::from_utf8_lossy(&input[..length.min(24)]);
            println!("{name:14} {length:>7} {used:>9} {percent:>3}% {start:?}");
            most = most.max(percent);
        }
        let is_near = most >= NEAR_PERCENT || target.limit(1) == 0;
        assert!(is_near, "{}: {most}% of its bound", target.name);
    }
}
