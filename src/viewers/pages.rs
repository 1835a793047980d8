//! The pages that were made within the last second: whoever asks for one of them costs no more than its
//! bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{ChannelId, PublicState, Span, Time};

use super::page::Page;
use super::{not_yet, nothing};
use crate::refusal::Refusal;

/// How long a page is what is answered.
const LIFE: Span = Span::SECOND;

/// Bytes of all pages. Beyond it all are made anew when they are asked for: those of a thousand busy
/// channels are half as much.
const BYTES_MAX: usize = 256 << 20;

/// The pages, under one lock. It is held while a page is made, so that each is made once: a tenth of a
/// millisecond for 100 KB.
#[derive(Default)]
pub(super) struct Pages(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_channel: HashMap<ChannelId, Made>,
    bytes: usize,
}

struct Made {
    at: Time,
    /// None: there is nothing to tell yet.
    page: Option<Arc<Page>>,
}

impl Made {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.page.as_ref().map_or(0, |page| page.bytes())
    }
}

impl Pages {
    /// The page of a channel; `ask` says what is told now, if it is not known.
    pub(super) fn of(
        &self,
        channel: ChannelId,
        now: Time,
        ask: impl FnOnce() -> PublicState,
    ) -> Result<Arc<Page>, Refusal> {
        let mut kept = self.lock();
        if let Some(known) = kept.known(channel, now) {
            return known;
        }
        let told = ask();
        kept.remove(channel);
        let page = match told {
            PublicState::Off => return Err(nothing()),
            PublicState::NotYet => None,
            PublicState::Told(told) => Some(Arc::new(Page::new(&told))),
        };
        kept.put(channel, now, page.clone());
        page.ok_or_else(not_yet)
    }

    /// The page of a channel, if it was made within the last second.
    pub(super) fn known(
        &self,
        channel: ChannelId,
        now: Time,
    ) -> Option<Result<Arc<Page>, Refusal>> {
        self.lock().known(channel, now)
    }

    /// Keeps a page for a second; none: there is nothing to tell yet.
    pub(super) fn keep(&self, channel: ChannelId, now: Time, page: Option<Arc<Page>>) {
        let mut kept = self.lock();
        kept.remove(channel);
        kept.put(channel, now, page);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn known(&self, channel: ChannelId, now: Time) -> Option<Result<Arc<Page>, Refusal>> {
        let made = self.by_channel.get(&channel)?;
        (made.at + LIFE > now).then(|| made.page.clone().ok_or_else(not_yet))
    }

    fn remove(&mut self, channel: ChannelId) {
        if let Some(old) = self.by_channel.remove(&channel) {
            self.bytes -= old.bytes();
        }
    }

    fn put(&mut self, channel: ChannelId, at: Time, page: Option<Arc<Page>>) {
        let made = Made { at, page };
        if self.bytes + made.bytes() > BYTES_MAX {
            *self = Self::default();
        }
        self.bytes += made.bytes();
        self.by_channel.insert(channel, made);
    }
}

#[cfg(test)]
mod tests {
    use engine::ToldState;

    use super::*;

    fn told(n: u64) -> PublicState {
        PublicState::Told(ToldState {
            n,
            entries: Vec::new(),
            since: vec![(n, "x".repeat(1000).into())],
        })
    }

    #[test]
    fn a_page_is_made_once_a_second() {
        let pages = Pages::default();
        let mut asked = 0;
        for tenth in 0..25 {
            let now = Time::from_micros(100_000 * tenth);
            let page = pages.of(ChannelId(1), now, || {
                asked += 1;
                told(tenth)
            });
            assert!(page.is_ok());
        }
        assert_eq!(asked, 3);
        let later = Time::from_micros(5_000_000);
        let status = |state: PublicState, now: Time| {
            let page = pages.of(ChannelId(1), now, || state);
            page.map_or_else(|refusal| refusal.code.status().as_u16(), |_| 200)
        };
        assert_eq!(status(PublicState::NotYet, later), 503);
        assert_eq!(status(told(1), later), 503, "for a second");
        let later = Time::from_micros(6_000_000);
        assert_eq!(status(PublicState::Off, later), 404);
        assert_eq!(status(told(1), later), 200, "what is off is not kept");
    }

    #[test]
    fn all_pages_together_have_a_bound() {
        let pages = Pages::default();
        let most = BYTES_MAX / 1000;
        for channel in 0..u32::try_from(most).expect("few") {
            let page = pages.of(ChannelId(channel), Time::ZERO, || told(1));
            assert!(page.is_ok());
        }
        let kept = pages.0.lock().expect("the lock");
        assert!(kept.bytes <= BYTES_MAX, "{}", kept.bytes);
        let bytes: usize = kept.by_channel.values().map(Made::bytes).sum();
        assert_eq!(kept.bytes, bytes);
        assert!(kept.by_channel.len() < most);
    }
}
