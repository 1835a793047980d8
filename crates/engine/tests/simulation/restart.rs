//! A process that is killed, and the next one: of records that it finds, or of nothing.

use std::sync::Arc;

use engine::{Account, AccountPolicy, ChannelId, Data, Queue, Rebuild, Span, Time, Wall};

use crate::driver::{Channel, Driver, EPOCH_MS, News, PAYLOAD_MAX, queue};
use crate::random::Random;
use crate::scenario::SECOND;
use crate::world::{Action, Due, World};

/// A process that knows of no other makes no call for so long: `tuning.restart_hold_ms`.
const HOLD: Span = Span::from_millis(1500);

impl World {
    /// The process is killed, and another one starts at once. What is on its way to the API arrives there.
    pub(crate) fn kill(&mut self) {
        self.kills += 1;
        for due in std::mem::take(&mut self.agenda) {
            match due.action {
                Action::Handle(call) => {
                    let action = Action::Orphan(self.orphans.len());
                    self.orphans.push(self.driver.flights[&call].clone());
                    self.agenda.push(Due { action, ..due });
                }
                Action::Answer(..) | Action::GiveUp(_) | Action::Over(_) => {}
                _ => self.agenda.push(due),
            }
        }
        let now = self.time();
        let policy = self.scenario.policy();
        self.driver
            .restart(now, now + HOLD, policy, &mut self.random);
        self.ring();
        let after = self.random.within(SECOND / 10..30 * SECOND);
        self.add(self.now + after, Action::Kill);
    }
}

impl Driver {
    /// Another process goes on, which knows no more than the records that are left, and makes no call before
    /// `hold_until`.
    pub fn restart(
        &mut self,
        now: Time,
        hold_until: Time,
        policy: AccountPolicy,
        random: &mut Random,
    ) {
        self.account = Account::new(policy, hold_until, PAYLOAD_MAX);
        self.flights.clear();
        let world = &mut self.world;
        world.inbox.clear();
        world.by_id.clear();
        for (index, channel) in (0..).zip(&mut world.channels) {
            let next = channel.next_queue(now, world.origin, random);
            channel.books.killed(&channel.queue, &next);
            channel.queue = next;
            channel.id = ChannelId(world.next_id);
            world.next_id += 1;
            world.by_id.insert(channel.id, index);
            (channel.paused, channel.woken) = (false, false);
            channel.in_flight.clear();
            // Unasked, as every embedder has to: one that only has payloads to send again does not wake it.
            channel.woken = true;
            world.inbox.push(News::Wake(index));
        }
        world.monitor.killed(now);
    }
}

impl Channel {
    /// The queue that the next process makes of the records, of which the last few are lost; an empty one where
    /// none are kept.
    fn next_queue(&mut self, now: Time, origin: Wall, random: &mut Random) -> Queue {
        let policy = Arc::clone(self.queue.policy());
        let Some(records) = &mut self.records else {
            let mut next = queue(&policy, now);
            next.set_wall_origin(now, origin);
            return next;
        };
        let lost = usize::try_from(random.within(0..4)).expect("small");
        records.truncate(records.len().saturating_sub(lost));
        let mut rebuild = Rebuild::default();
        for change in records.drain(..).flatten() {
            rebuild.apply(change).expect("written by a queue");
        }
        let data = rebuild
            .events()
            .into_iter()
            .map(|event| match &event.content.data {
                Data::Json(text) | Data::Verbatim(text) => text.to_string(),
            });
        let data: Vec<String> = data.collect();
        self.books.recovered(data.iter().map(String::as_str));
        let n = EPOCH_MS + now.micros() / 1000;
        let interval = Span::from_millis(210);
        let next = Queue::rebuild(policy, PAYLOAD_MAX, n, interval, now, origin, rebuild);
        records.push(next.snapshot());
        next
    }
}
