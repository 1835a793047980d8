//! When to connect again, and when to give up. No sockets, no clock, no randomness of its own.

use std::time::{Duration, Instant};

use crate::backoff;
use crate::error::Error;
use crate::limits::STABLE;

/// What to do after a connection is lost, or was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after this wait.
    TryAfter(Duration),
    /// The session ends: no try can help, or it has been without the gateway for too long.
    End,
}

/// How a session stands with the gateway.
#[derive(Debug)]
pub struct Link {
    give_up_after: Duration,
    failures: u32,
    /// When the present connection was made, and whether it brought an acknowledgement.
    connected: Option<(Instant, bool)>,
    /// Since when there was no good connection.
    away_since: Option<Instant>,
}

impl Link {
    /// One that ends after so long without the gateway.
    pub const fn new(give_up_after: Duration) -> Self {
        Self {
            give_up_after,
            failures: 0,
            connected: None,
            away_since: None,
        }
    }

    /// A connection was made.
    pub const fn connected(&mut self, now: Instant) {
        self.connected = Some((now, false));
    }

    /// An acknowledgement came: the connection is a good one.
    pub const fn progressed(&mut self) {
        if let Some((_, progressed)) = &mut self.connected {
            *progressed = true;
        }
    }

    /// The connection was lost, or could not be made; `random` is in `0.0..1.0`.
    ///
    /// A connection that only opens and breaks is no good one: the waits go on growing.
    pub fn lost(&mut self, now: Instant, error: &Error, random: f64) -> Next {
        if !error.is_retryable() {
            return Next::End;
        }
        let good = |(since, progressed): (Instant, bool)| progressed || now - since >= STABLE;
        if self.connected.take().is_some_and(good) {
            self.failures = 0;
            self.away_since = None;
        }
        let away_since = *self.away_since.get_or_insert(now);
        let wait = backoff::wait(self.failures, error.retry_after(), random);
        self.failures = self.failures.saturating_add(1);
        if now + wait > away_since + self.give_up_after {
            return Next::End;
        }
        Next::TryAfter(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Refusal;
    use http::{HeaderMap, StatusCode};

    fn lost() -> Error {
        Error::Unreachable {
            url: String::new(),
            reason: String::new(),
        }
    }

    fn refused(status: u16, body: &str) -> Error {
        let status = StatusCode::from_u16(status).expect("a status");
        Refusal::read(status, &HeaderMap::new(), body.as_bytes()).into()
    }

    fn wait(next: Next) -> u128 {
        match next {
            Next::TryAfter(wait) => wait.as_millis(),
            Next::End => panic!("it ended"),
        }
    }

    #[test]
    fn waits_grow_until_a_connection_was_a_good_one() {
        let now = Instant::now();
        let mut link = Link::new(Duration::from_hours(1));
        let lose = |link: &mut Link, after: Duration| wait(link.lost(now + after, &lost(), 0.0));
        assert_eq!(lose(&mut link, Duration::ZERO), 100);
        assert_eq!(lose(&mut link, Duration::ZERO), 200);
        // One that opens and breaks.
        link.connected(now);
        assert_eq!(lose(&mut link, Duration::from_secs(1)), 400);
        // One that worked.
        link.connected(now);
        link.progressed();
        assert_eq!(lose(&mut link, Duration::from_secs(1)), 100);
        assert_eq!(lose(&mut link, Duration::from_secs(1)), 200);
        // One that stood idle.
        link.connected(now);
        assert_eq!(lose(&mut link, STABLE), 100);
    }

    #[test]
    fn a_session_gives_up_in_time_and_where_no_try_can_help() {
        let now = Instant::now();
        let mut link = Link::new(Duration::from_mins(4));
        let (mut away, mut tries) = (Duration::ZERO, 0);
        while let Next::TryAfter(wait) = link.lost(now + away, &lost(), 1.0) {
            away += wait;
            tries += 1;
        }
        assert!(away <= Duration::from_mins(4), "{away:?}");
        assert!(away > Duration::from_secs(225), "{away:?}");
        assert!(tries < 40, "{tries}");
        let unknown = r#"{"code":"unknown_channel"}"#;
        let forbidden = r#"{"code":"forbidden"}"#;
        for error in [
            refused(404, unknown),
            refused(403, forbidden),
            refused(404, ""),
        ] {
            let mut link = Link::new(Duration::from_mins(4));
            assert_eq!(link.lost(now, &error, 0.0), Next::End, "{error}");
        }
        let mut link = Link::new(Duration::from_mins(4));
        let draining = refused(503, r#"{"code":"draining","retry_after_ms":5000}"#);
        assert_eq!(wait(link.lost(now, &draining, 0.0)), 5100);
    }
}
