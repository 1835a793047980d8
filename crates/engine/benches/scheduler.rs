//! One decision with 100,000 ready channels: poll, sent, update, finished, update.
//!
//! It must take less than 2 µs, so that 155 decisions a second are nothing.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use engine::{AccountPolicy, ChannelId, Demand, Next, Outcome, Scheduler, Span, Time};

const CHANNELS: u32 = 100_000;

/// Every channel has a full payload, its oldest event of another age than the others'.
fn demand(now: Time, channel: ChannelId) -> Demand {
    let age = u64::from(channel.0).wrapping_mul(0x9E37_79B9) % 5_000_000;
    Demand {
        ready_at: now,
        oldest: Time::from_micros(now.micros().saturating_sub(age)),
        full: true,
    }
}

fn decision(criterion: &mut Criterion) {
    let mut now = Time::from_micros(10_000_000);
    let mut scheduler = Account::new(AccountPolicy::default(), Time::ZERO, 1024);
    for channel in (0..CHANNELS).map(ChannelId) {
        scheduler.update(now, channel, Some(demand(now, channel)));
    }
    criterion.bench_function("decision, 100000 channels ready", |bencher| {
        bencher.iter(|| {
            // 155 tokens, each out for 1.002 s.
            now += Span::from_micros(6_600);
            let Next::Send(channel) = scheduler.poll(now) else {
                return;
            };
            let call = scheduler.sent(now, channel);
            scheduler.update(now, channel, Some(demand(now, channel)));
            scheduler.finished(now, call, Outcome::Delivered, 0);
            scheduler.update(now, channel, Some(demand(now, channel)));
            black_box(call);
        });
    });
}

criterion_group!(benches, decision);
criterion_main!(benches);
