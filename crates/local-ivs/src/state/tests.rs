use super::{
    ChannelChange, ChannelError, Ingest, IngestError, Kind, Paging, Refusal, Rejection, Snapshot,
    State, Tags,
};
use crate::arn::{ChannelArn, ResourceArn};
use crate::clock::ManualClock;
use crate::events::Bus;
use crate::faults::SplitMix64;
use crate::limits::{
    MAX_REGIONS, MAX_RETAINED_PAYLOADS, MAX_SESSIONS, MAX_UNKNOWN_CHANNELS, QUOTA_CHANNELS,
};
use crate::options::Rates;
use std::sync::Arc;

const HOME: &str = "arn:aws:ivs:us-west-2:000000000000";

fn state(rates: Rates) -> (State, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(1_000_000));
    (
        State::new(Arc::clone(&clock) as _, rates, 0, silent().queue().0),
        clock,
    )
}

/// A bus whose news go nowhere.
fn silent() -> Bus {
    Bus::new(None).unwrap_or_else(|error| panic!("{error}"))
}

fn arn(text: &str) -> ChannelArn {
    ChannelArn::parse(text).unwrap_or_else(|| panic!("{text}"))
}

fn channel(name: usize) -> ChannelArn {
    arn(&format!("{HOME}:channel/c{name}"))
}

#[test]
fn the_oldest_payloads_are_forgotten_first() {
    let most = Rates {
        channel_tps: 10_000,
        account_tps: 10_000,
        ..Rates::default()
    };
    let (state, clock) = state(most);
    let (quiet, busy) = (channel(0), channel(1));
    for live in [&quiet, &busy] {
        assert_eq!(state.set_live(live.as_str()), Ok(()));
    }
    assert_eq!(state.put_metadata(HOME, &quiet, "a"), Ok(1));
    let fill = u64::try_from(MAX_RETAINED_PAYLOADS).unwrap_or(0) - 1;
    for seq in 1..=fill + 10 {
        clock.advance_us(100);
        assert_eq!(state.put_metadata(HOME, &busy, "b"), Ok(seq));
        let first = state
            .metadata_after(&quiet, 0, 9)
            .map(|page| page.dropped_before);
        assert_eq!(first, Some(if seq <= fill { 1 } else { 2 }), "{seq}");
    }
    let page = state.metadata_after(&busy, 0, 2);
    let page = page.unwrap_or_else(|| panic!("no page"));
    assert_eq!(page.dropped_before, 10);
    assert_eq!(page.last_seq, fill + 10);
    let seqs: Vec<u64> = page.metadata.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [10, 11]);
    clock.advance_us(1_000_000);
    assert_eq!(state.put_metadata(HOME, &quiet, "a"), Ok(2));
    let page = state.metadata_after(&quiet, 1, 9);
    assert_eq!(page.map(|page| page.metadata.len()), Some(1));
}

#[test]
fn sessions_do_not_pile_up() {
    let (state, _) = state(Rates::default());
    let channel = channel(0);
    for _ in 0..2 * MAX_SESSIONS {
        assert_eq!(state.set_live(channel.as_str()), Ok(()));
        assert_eq!(state.set_offline(channel.as_str()), Ok(()));
    }
    let everything = Paging {
        after: None,
        most: usize::MAX,
    };
    let listed = state
        .enter(HOME, "ivs:ListStreamSessions", 5)
        .map(|mut ivs| ivs.sessions(channel.as_str(), &everything));
    let numbers: Vec<u64> = match listed {
        Ok(Ok(listed)) => listed.things.iter().map(|session| session.number).collect(),
        _ => panic!("not listed"),
    };
    let newest = 2 * MAX_SESSIONS as u64;
    let expected: Vec<u64> = (newest - MAX_SESSIONS as u64 + 1..=newest).rev().collect();
    assert_eq!(numbers, expected);
}

#[test]
fn the_quota_of_channels_is_the_api_s() {
    let (state, _) = state(Rates::default());
    for n in 0..QUOTA_CHANNELS {
        assert_eq!(state.set_offline(channel(n).as_str()), Ok(()));
    }
    let create = || {
        state.enter(HOME, "ivs:CreateChannel", 5).map(|mut ivs| {
            ivs.create_channel(&ChannelChange::default(), &Tags::new())
                .err()
        })
    };
    let full = "Quota exceeded: an account has at most 5000 channels in a region".to_owned();
    assert_eq!(create(), Ok(Some(Rejection::QuotaExceeded(full))));
    let deleted = state
        .enter(HOME, "ivs:DeleteChannel", 5)
        .map(|mut ivs| ivs.delete_channel(channel(7).as_str()));
    assert_eq!(deleted, Ok(Ok(())));
    assert_eq!(create(), Ok(None));
    // Those below `/_local/` are not bound by it.
    assert_eq!(state.set_live(channel(QUOTA_CHANNELS).as_str()), Ok(()));
}

/// A deleted channel leaves nothing behind that its successor of the same name would feel,
/// but for the rate that was used up.
#[test]
fn a_deleted_channel_is_gone() {
    let (state, _) = state(Rates::default());
    let channel = channel(0);
    let text = channel.as_str();
    assert_eq!(state.set_live(text), Ok(()));
    for seq in 1..=5 {
        assert_eq!(state.put_metadata(HOME, &channel, "x"), Ok(seq));
    }
    assert_eq!(state.set_offline(text), Ok(()));
    let key = state.stream_key(text).unwrap_or_else(|| panic!("no key"));
    let deleted = state
        .enter(HOME, "ivs:DeleteChannel", 5)
        .map(|mut ivs| ivs.delete_channel(text));
    assert_eq!(deleted, Ok(Ok(())));
    assert_eq!(state.stream_key(text), None);
    let unknown = Err(IngestError::UnknownKey);
    assert_eq!(state.ingest(&key, Ingest::End), unknown);
    let throttled = Err(Refusal::ChannelThrottled(5));
    assert_eq!(state.put_metadata(HOME, &channel, "x"), throttled);
    assert_eq!(state.set_live(text), Ok(()));
    assert_eq!(state.put_metadata(HOME, &channel, "x"), throttled);
    let (state, _) = state.lock();
    assert_eq!((state.channels, state.retained.len()), (1, 0));
}

#[test]
fn unknown_channels_and_regions_do_not_pile_up() {
    let (state, clock) = state(Rates::default());
    for n in 0..3 * MAX_UNKNOWN_CHANNELS {
        clock.advance_us(10_000);
        let refused = state.put_metadata(HOME, &channel(n), "x");
        assert_eq!(refused, Err(Refusal::NotFound), "{n}");
    }
    let ghost = channel(0);
    for n in 0..3 * MAX_REGIONS {
        clock.advance_us(10_000);
        let home = format!("arn:aws:ivs:r{n}:000000000000");
        let refused = state.put_metadata(&home, &ghost, "x");
        assert_eq!(refused, Err(Refusal::NotFound), "{n}");
    }
    let report = state.report();
    assert!(report.accounts.len() <= MAX_REGIONS);
    assert_eq!(report.all.not_found, 3 * 2 * 1_024);

    // Regions that have channels stay, and then there is no room for more.
    let mut made = 0;
    let refused = loop {
        clock.advance_us(1_000_000);
        match state.set_live(&format!("arn:aws:ivs:s{made}:1:channel/a")) {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, ChannelError::TooMany);
    assert_eq!(made, MAX_REGIONS);
    let refused = state.put_metadata(HOME, &ghost, "x");
    assert_eq!(refused, Err(Refusal::AccountThrottled(155)));
}

#[test]
fn a_clock_that_goes_back_is_held() {
    let (state, _) = state(Rates::default());
    let channel = channel(0);
    assert_eq!(state.set_live(channel.as_str()), Ok(()));
    state.lock().0.now_us = 5_000_000;
    assert_eq!(state.put_metadata(HOME, &channel, "x"), Ok(1));
    let page = state.metadata_after(&channel, 0, 1);
    assert_eq!(page.map(|page| page.metadata[0].time_us), Some(5_000_000));
}

#[test]
fn every_call_has_one_end() {
    let (state, clock) = state(Rates::default());
    assert_eq!(state.set_live(channel(0).as_str()), Ok(()));
    assert_eq!(state.set_offline(channel(1).as_str()), Ok(()));
    for n in 0..1_000 {
        clock.advance_us(3_000);
        // What it gives is the other tests' matter.
        let _ = state.put_metadata(HOME, &channel(n % 3), "x");
    }
    let all = state.report().all;
    let ends = all.delivered + all.throttled + all.not_found + all.not_broadcasting;
    assert_eq!((all.calls, ends), (1_000, 1_000));
    assert_eq!(all.max_delivered_per_second, 5);
    // 333 in a second: those at 0, 3, ..., 999 ms.
    assert_eq!(all.max_calls_per_second, 334);
    assert_eq!(
        all.oversize + all.malformed + all.unauthenticated + all.denied,
        0
    );
}

/// A kind of resource as the API's are.
const KIND: Kind = Kind {
    arn: "playback-key",
    words: "playback key pairs",
    quota: 3,
    unique: None,
    used: None,
    states: None,
};

/// Does anything at random, and gives what is kept in the end.
fn lived(seed: u64, steps: usize) -> (State, Snapshot) {
    let (state, clock) = state(Rates {
        operation_tps: Some(10_000),
        ..Rates::default()
    });
    let mut rng = SplitMix64::new(seed);
    let homes = [HOME, "arn:aws:ivs:eu-west-1:111111111111"];
    for _ in 0..steps {
        let mut draw = |most: u64| usize::try_from(rng.next_u64() % most).unwrap_or(0);
        clock.advance_us(draw(1_000_000) as u64);
        let home = homes[draw(2)];
        let arns: Vec<String> = {
            let (state, _) = state.lock();
            let channels = state.regions.get(home).map(|region| region.channels.keys());
            channels
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect()
        };
        let some = match arns.len() {
            0 => format!("{home}:channel/c0"),
            count => arns[draw(count as u64)].clone(),
        };
        let what = draw(9);
        let name = Some(format!("n{}", draw(100)));
        let tags = Tags::from([(format!("k{}", draw(3)), "v".to_owned())]);
        if what == 0 {
            assert_eq!(
                state.set_live(&format!("{home}:channel/c{}", draw(9))),
                Ok(())
            );
            continue;
        }
        let Ok(mut ivs) = state.enter(home, "ivs:Any", 5) else {
            continue;
        };
        let change = ChannelChange {
            name,
            ..ChannelChange::default()
        };
        let arn = ResourceArn::parse(&some).unwrap_or_else(|| panic!("{some}"));
        // Much of this is refused, as it may be.
        match what {
            1 => drop(ivs.create_channel(&change, &tags)),
            2 => drop(ivs.update_channel(&some, &change)),
            3 => drop(ivs.stop_stream(&some)),
            4 => drop(ivs.delete_channel(&some)),
            5 => drop(ivs.create(&KIND, &serde_json::Map::new(), &tags)),
            6 => drop(ivs.tag(&arn, &tags)),
            7 => {
                let key = ivs.channel_entry(&some).ok();
                if let Some(key) = key.and_then(|channel| channel.stream_key.clone()) {
                    drop(ivs.delete_stream_key(&key));
                }
            }
            _ => drop(ivs.create_stream_key(&some, &tags)),
        }
    }
    // Live streams are what a restart does not keep.
    let live: Vec<Arc<str>> = {
        let (state, _) = state.lock();
        let channels = state.regions.values().flat_map(|region| &region.channels);
        let live = channels.filter(|(_, channel)| channel.is_live());
        live.map(|(arn, _)| Arc::clone(arn)).collect()
    };
    for arn in live {
        assert_eq!(state.set_offline(&arn), Ok(()));
    }
    let (_, snapshot) = state.snapshot();
    (state, snapshot)
}

#[test]
fn what_is_kept_comes_back_as_it_was() {
    for seed in 0..40 {
        let (before, kept) = lived(seed, 200);
        let text = serde_json::to_string(&kept).unwrap_or_else(|error| panic!("{error}"));
        let read = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{seed}: {error}"));
        let (after, _) = state(Rates::default());
        assert_eq!(after.restore(read), Ok(()), "seed {seed}");
        assert_eq!(after.snapshot().1, kept, "seed {seed}");
        let (before, after) = (before.lock().0, after.lock().0);
        assert_eq!(before.channels, after.channels, "seed {seed}");
        assert_eq!(before.key_values, after.key_values, "seed {seed}");
    }
}
