//! Every bound of the client, each with its reason.
//!
//! What a producer may set is in [`crate::Builder`] and [`crate::SessionBuilder`]; the defaults are
//! here.

use std::time::Duration;

/// Time to connect, with the TLS handshake left out: a gateway is near its producers.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Time for an answer that is read whole. The gateway's own longest wait is 30 s
/// (`wait=delivered`), so this is a little more.
pub const ANSWER_TIME: Duration = Duration::from_secs(35);
/// Largest answer that is read whole: a page of 1000 channels has about 1 MiB, and the refusals of
/// a body of 100,000 events about 30 MiB.
pub const ANSWER_MAX_BYTES: usize = 64 << 20;
/// Longest line of a stream of payloads. A payload has at most a few KiB, so a longer line is no
/// answer of a gateway.
pub const LINE_MAX_BYTES: usize = 1 << 20;
/// Channels asked for at a time: the most that the gateway gives.
pub const PAGE: usize = 1000;

/// Largest message of a session, in bytes: the gateway closes a connection over larger ones.
pub const MESSAGE_MAX_BYTES: usize = 1 << 20;
/// Messages of a session that wait for their acknowledgement: four times as many as the gateway
/// handles before it acknowledges at the latest.
pub const WINDOW_MESSAGES: usize = 1024;
/// Bytes of these messages: enough for eight of the largest, and what a session may hold.
pub const WINDOW_BYTES: usize = 8 << 20;
/// A connection is given up when it brings nothing for so long. The gateway pings every 20 s.
pub const SILENCE: Duration = Duration::from_secs(45);
/// A connection is given up when messages wait and no acknowledgement comes for so long. The
/// gateway acknowledges within 50 ms and the time of its disk.
pub const ACK_TIME: Duration = Duration::from_secs(30);
/// A session ends after so long without the gateway. The gateway remembers ids for 300 s by
/// default (`dedup_window_ms`): what is sent again later could be delivered twice.
pub const GIVE_UP_AFTER: Duration = Duration::from_mins(4);
/// A connection that lasted so long was a good one: the waits begin anew after it.
pub const STABLE: Duration = Duration::from_secs(5);
/// The peer's part in closing is waited for at most so long.
pub const CLOSE_TIME: Duration = Duration::from_secs(2);

/// The first wait before another try, at most.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// Every later wait is at most twice the one before, and never longer than this.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A `Retry-After` beyond this counts as this: a wrong one must not stop a producer for good.
pub const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);
