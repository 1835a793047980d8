//! Descriptors: as many as the system lets this process have, and how many of them producers may
//! take with their connections.
//!
//! A process without descriptors makes no call, answers no probe and writes no journal. So producers
//! are turned away before it comes to that.

use std::collections::HashSet;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::{Settings, UpstreamMode};
use crate::ingest::limits::{
    DESCRIPTORS_OF_CALLS, DESCRIPTORS_OF_JOURNAL, DESCRIPTORS_OF_REST, DESCRIPTORS_SHARE,
    OPERATORS_CONNECTIONS_MAX, TURNED_AWAY_MAX, VIEWERS_CONNECTIONS_MAX,
};

/// Raises the limit to the highest that this process may give itself.
pub fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
}

/// How many connections producers may have, and whether that is what the settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Most at once.
    pub most: usize,
    /// The limit of open files, where it leaves no room for what the settings say.
    pub limit: Option<u64>,
}

impl Connections {
    /// By the settings, and by what this process may open.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self::within(getrlimit(Resource::Nofile).current, settings)
    }

    /// By a limit of open files.
    #[must_use]
    pub fn within(limit: Option<u64>, settings: &Settings) -> Self {
        let wanted = settings.server.max_connections;
        let all = limit.and_then(|limit| usize::try_from(limit).ok());
        let left = all.map_or(usize::MAX, |all| {
            let least = (all / DESCRIPTORS_SHARE).max(1);
            all.saturating_sub(reserve(settings)).max(least)
        });
        Self {
            most: wanted.min(left),
            limit: limit.filter(|_| left < wanted),
        }
    }

    /// Says at WARN where there is less room than the settings ask for.
    pub fn tell(&self, settings: &Settings) {
        if let Some(limit) = self.limit {
            tracing::warn!(
                limit,
                wanted = settings.server.max_connections,
                connections = self.most,
                "the limit of open files is low: producers have no more than {} connections at once, and the rest is kept for calls, the journal and probes; raise the limit (LimitNOFILE=, --ulimit nofile=) or lower server.max_connections",
                self.most
            );
        }
    }

    /// What those are told who find no place.
    #[must_use]
    pub const fn when_full(&self) -> &'static str {
        if self.limit.is_some() {
            "as many connections are open as the limit of open files (RLIMIT_NOFILE) leaves room for"
        } else {
            "server.max_connections connections are open"
        }
    }
}

/// What is kept for all but producers.
fn reserve(settings: &Settings) -> usize {
    let channels = settings.channels.iter();
    let listed = channels.map(|channel| (channel.arn.account(), channel.arn.region()));
    let accounts = listed.collect::<HashSet<_>>().len().max(1);
    // The emulator in this process has the other end of each connection.
    let ends = match settings.upstream.mode {
        UpstreamMode::Local => 2,
        UpstreamMode::Aws => 1,
    };
    let calls = accounts * ends * DESCRIPTORS_OF_CALLS;
    let operators = 2 * OPERATORS_CONNECTIONS_MAX;
    let viewers = settings.state.listen.map_or(0, |_| VIEWERS_CONNECTIONS_MAX);
    calls + operators + viewers + TURNED_AWAY_MAX + DESCRIPTORS_OF_JOURNAL + DESCRIPTORS_OF_REST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_have_what_is_left() {
        let mut settings = Settings::default();
        settings.server.max_connections = 2000;
        let reserve = reserve(&settings);
        for (limit, most, is_low) in [
            (None, 2000, false),
            (Some(reserve + 2000), 2000, false),
            (Some(reserve + 1999), 1999, true),
            (Some(1024), 1024 - reserve, true),
            (Some(reserve), reserve / DESCRIPTORS_SHARE, true),
            (Some(2), 1, true),
        ] {
            let limit = limit.map(|limit| limit as u64);
            let found = Connections::within(limit, &settings);
            let limit = limit.filter(|_| is_low);
            assert_eq!(found, Connections { most, limit });
        }
    }
}
