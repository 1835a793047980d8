//! How much shorter compressing makes the payloads of a channel: a guess at what fits the next one
//! that costs nothing.

/// Most bytes of a plain payload that several events fill: sixteen times what goes plain, which
/// only events that are all alike reach. With 64 KB of them a payload took three times its 0.5 ms.
pub(super) const FILLED_MAX: usize = 16_384;

/// Sent bytes that the next payload is weighed against: three that are full. Payloads that are
/// hardly filled, which gain less, say little.
const REMEMBERED: usize = 3072;
/// What a plain byte is counted in.
const UNIT: usize = 256;

/// Plain bytes for each byte that was sent, in the last payloads; 0: there were none. It is small
/// because there may be 100,000 channels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gain(u16);

impl Gain {
    /// One more payload, which is no longer sent than plain.
    pub(super) fn add(&mut self, plain: usize, sent: usize) {
        let remembered = if self.0 == 0 { 0 } else { REMEMBERED };
        let before = remembered * usize::from(self.0);
        let all = (remembered + sent).max(1);
        let gain = (before + plain * UNIT + all / 2) / all;
        self.0 = u16::try_from(gain).unwrap_or(u16::MAX);
    }

    /// Bytes of a plain payload that is sent in so many.
    pub(super) fn plain(self, sent: usize) -> usize {
        scaled(sent, self.0.into(), UNIT)
    }
}

/// Bytes of a plain payload that is sent in `sent`, where one of `plain` bytes was sent in
/// `sent_then`. Not fewer than `sent`, because a payload may go plain.
pub(super) fn scaled(sent: usize, plain: usize, sent_then: usize) -> usize {
    (sent * plain / sent_then.max(1)).min(FILLED_MAX).max(sent)
}
