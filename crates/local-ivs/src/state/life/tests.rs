use crate::arn::ChannelArn;
use crate::clock::ManualClock;
use crate::events::{Bus, Event, EventReceiver, News};
use crate::options::Rates;
use crate::state::Life;
use crate::state::{Health, Ingest, IngestError, Refusal, State};
use serde_json::{Value, json};
use std::sync::Arc;

const HOME: &str = "arn:aws:ivs:us-west-2:000000000000";

/// A channel on a clock that is moved by hand, and what is told of it.
struct Lived {
    state: State,
    clock: Arc<ManualClock>,
    told: EventReceiver,
    channel: ChannelArn,
    key: String,
}

const BEGIN: Ingest = Ingest::Begin {
    health: Health::Healthy,
    priority: 0,
};

const fn with(priority: u32) -> Ingest {
    Ingest::Begin {
        health: Health::Healthy,
        priority,
    }
}

impl Lived {
    fn new(life: Life) -> Self {
        let clock = Arc::new(ManualClock::new(0));
        let bus = Bus::new(None).unwrap_or_else(|error| panic!("{error}"));
        let (events, told) = bus.queue();
        let state = State::new(Arc::clone(&clock) as _, Rates::default(), 0, events);
        let channel =
            ChannelArn::parse(&format!("{HOME}:channel/c")).unwrap_or_else(|| panic!("no ARN"));
        assert_eq!(state.set_offline(channel.as_str()), Ok(()));
        state.set_life(life);
        let key = state.stream_key(channel.as_str());
        Self {
            key: key.unwrap_or_else(|| panic!("no key")),
            state,
            clock,
            told,
            channel,
        }
    }

    fn ingest(&self, ingest: Ingest) -> Result<(), IngestError> {
        self.state.ingest(&self.key, ingest).map(drop)
    }

    fn pass_ms(&self, ms: u64) {
        self.clock.advance_us(ms * 1_000);
        // Looking is what runs the steps.
        assert!(self.state.life().end_ms < 1_000_000);
    }

    fn is_live(&self) -> bool {
        let put = self.state.put_metadata(HOME, &self.channel, "x");
        assert!(
            matches!(put, Ok(_) | Err(Refusal::NotBroadcasting)),
            "{put:?}"
        );
        put.is_ok()
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(News { event, .. }) = self.told.try_recv() {
            assert_eq!(&*event.channel_arn, self.channel.as_str());
            events.push(event);
        }
        events
    }

    /// What was told: when, in milliseconds, and what.
    fn names(&mut self) -> Vec<(u64, String)> {
        let events = self.events();
        events
            .iter()
            .map(|event| {
                let name = event.detail.get("event_name");
                let name = name.or_else(|| event.detail.get("recording_status"));
                let name = name.and_then(Value::as_str).unwrap_or_default();
                (event.time_us / 1_000, name.to_owned())
            })
            .collect()
    }
}

fn named(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    let expected = expected.iter();
    expected
        .map(|(ms, name)| (*ms, (*name).to_owned()))
        .collect()
}

#[test]
fn without_delays_a_change_is_told_at_once_and_in_order() {
    let mut lived = Lived::new(Life::default());
    assert_eq!(lived.ingest(BEGIN), Ok(()));
    assert!(lived.is_live());
    let live = Err(IngestError::Live(lived.channel.shared()));
    assert_eq!(lived.ingest(BEGIN), live);
    lived.pass_ms(7);
    assert_eq!(lived.ingest(Ingest::Fail), Ok(()));
    assert!(!lived.is_live());
    let offline = Err(IngestError::Offline(lived.channel.shared()));
    assert_eq!(lived.ingest(Ingest::End), offline);
    assert_eq!(lived.ingest(BEGIN), Ok(()));
    assert_eq!(lived.ingest(Ingest::End), Ok(()));
    let expected = [
        (0, "Session Created"),
        (0, "Stream Start"),
        (7, "Stream Failure"),
        (7, "Stream End"),
        (7, "Session Ended"),
        (7, "Session Created"),
        (7, "Stream Start"),
        (7, "Stream End"),
        (7, "Session Ended"),
    ];
    assert_eq!(lived.names(), named(&expected));
}

#[test]
fn life_takes_the_time_that_is_set() {
    for (session_ended_first, ends) in [
        (false, [(5_000, "Stream End"), (6_500, "Session Ended")]),
        (true, [(5_000, "Session Ended"), (6_500, "Stream End")]),
    ] {
        let mut lived = Lived::new(Life {
            stream_start_ms: 3_000,
            end_ms: 1_500,
            session_ended_first,
        });
        assert_eq!(lived.ingest(BEGIN), Ok(()));
        assert!(!lived.is_live());
        assert_eq!(lived.names(), named(&[(0, "Session Created")]));
        // It has an encoder, and is not live.
        let live = Err(IngestError::Live(lived.channel.shared()));
        assert_eq!(lived.ingest(BEGIN), live);
        lived.pass_ms(2_999);
        assert!(!lived.is_live());
        lived.pass_ms(1);
        assert!(lived.is_live());
        assert_eq!(lived.names(), named(&[(3_000, "Stream Start")]));
        lived.pass_ms(2_000);
        assert_eq!(lived.ingest(Ingest::End), Ok(()));
        assert!(!lived.is_live());
        assert_eq!(lived.names(), named(&ends[..1]));
        // However late anybody looks, it happened at its time.
        lived.pass_ms(10_000);
        assert_eq!(lived.names(), named(&ends[1..]));
    }
}

#[test]
fn an_encoder_that_leaves_at_once_has_no_stream() {
    let mut lived = Lived::new(Life {
        stream_start_ms: 3_000,
        ..Life::default()
    });
    assert_eq!(lived.ingest(BEGIN), Ok(()));
    lived.pass_ms(1_000);
    assert_eq!(lived.ingest(Ingest::End), Ok(()));
    assert_eq!(lived.ingest(BEGIN), Ok(()));
    lived.pass_ms(9_000);
    let expected = [
        (0, "Session Created"),
        (1_000, "Session Ended"),
        (1_000, "Session Created"),
        (4_000, "Stream Start"),
    ];
    assert_eq!(lived.names(), named(&expected));
}

#[test]
fn health_and_takeovers() {
    let mut lived = Lived::new(Life::default());
    // Without a stream, it begins one.
    assert_eq!(lived.ingest(Ingest::Health(Health::Starving)), Ok(()));
    for health in [
        Health::Starving,
        Health::Healthy,
        Health::Unknown,
        Health::Starving,
    ] {
        assert_eq!(lived.ingest(Ingest::Health(health)), Ok(()));
    }
    assert_eq!(lived.ingest(with(5)), Ok(()));
    let refused = |code| Err(IngestError::TakeoverRefused(lived.channel.shared(), code));
    for priority in [5, 1, 2_147_483_648] {
        let got = lived.ingest(with(priority));
        assert_eq!(got, refused("StreamTakeoverInvalidPriority"), "{priority}");
    }
    assert_eq!(lived.ingest(with(2_147_483_647)), Ok(()));
    let events = lived.events();
    let details: Vec<Value> = events
        .iter()
        .map(|event| {
            json!([
                event.kind,
                event.detail["event_name"],
                event.detail.get("code")
            ])
        })
        .collect();
    let (state, health) = ("IVS Stream State Change", "IVS Stream Health Change");
    let failure = json!([
        state,
        "Stream Takeover Failure",
        "StreamTakeoverInvalidPriority"
    ]);
    let expected = [
        json!([state, "Session Created", null]),
        json!([state, "Stream Start", null]),
        json!([health, "Starvation End", null]),
        json!([health, "Starvation Start", null]),
        json!([state, "Stream Takeover", null]),
        failure.clone(),
        failure.clone(),
        failure,
        json!([state, "Stream Takeover", null]),
    ];
    assert_eq!(details, expected);
    assert!(
        events
            .iter()
            .all(|event| event.detail["stream_id"] == events[0].detail["stream_id"])
    );
}
