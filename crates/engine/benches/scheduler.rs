//! One decision with 100,000 ready channels: a step, its call's end, and the looks at the queue.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use engine::{
    Account, AccountPolicy, Call, ChannelId, ChannelPolicy, Data, Demand, Event, Look, Outcome,
    Payload, PayloadId, Queue, Queues, Settled, Span, Step, Time, View,
};

const CHANNELS: u32 = 100_000;

/// Every channel has a full payload, its oldest event of another age than the others'. All share
/// one payload: the queues are not what is measured.
struct Always(Payload);

impl Queues for Always {
    type Parcel = ();

    fn look(&mut self, channel: ChannelId, view: &View) -> Option<Look> {
        let age = u64::from(channel.0).wrapping_mul(0x9E37_79B9) % 5_000_000;
        Some(Look {
            demand: Some(Demand {
                ready_at: view.now,
                oldest: Time::from_micros(view.now.micros().saturating_sub(age)),
                full: true,
            }),
            timer: None,
            state: None,
        })
    }

    fn take(&mut self, _: Time, _: ChannelId, _: u32) -> Option<(PayloadId, ())> {
        Some((self.0.id, ()))
    }

    fn take_state(&mut self, _: Time, _: ChannelId, _: u32) -> Option<(PayloadId, ())> {
        None
    }

    fn settle(&mut self, _: Call, _: &View, _: Outcome) -> Settled {
        Settled::default()
    }

    fn rest(&mut self, _: ChannelId) {}
}

fn decision(criterion: &mut Criterion) {
    let mut now = Time::from_micros(10_000_000);
    let policy = ChannelPolicy::default();
    let mut queue = Queue::new(policy.into(), 1024, 1, Span::from_millis(210));
    let _ = queue.accept(now, Event::new(Data::Json("1".into())));
    let Some(payload) = queue.take(now) else {
        return;
    };
    let mut queues = Always(payload);
    let mut account = Account::new(AccountPolicy::default(), Time::ZERO, 1024);
    for channel in (0..CHANNELS).map(ChannelId) {
        account.woken(now, channel, &mut queues);
    }
    criterion.bench_function("decision, 100000 channels ready", |bencher| {
        bencher.iter(|| {
            // 155 tokens, each out for 1.002 s.
            now += Span::from_micros(6_600);
            if let Step::Call(call, ()) = account.step(now, &mut queues) {
                account.finished(now, call, Outcome::Delivered, 0, &mut queues);
                black_box(call);
            }
        });
    });
}

criterion_group!(benches, decision);
criterion_main!(benches);
