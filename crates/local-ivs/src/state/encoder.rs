//! An encoder, as `/_local/` plays it or as a real one, and the clock that its stream lives by.

use super::State;
use super::channel::Channel;
use super::emulator_state::EmulatorState;
use super::resources::Health;
use super::steps::Life;
use crate::arn::ChannelArn;
use crate::events::Event;
use crate::limits::MAX_PRIORITY;
use crate::playback::{Broadcast, Facts, Picture, StreamError};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Why an encoder was not let in, or had nothing to end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IngestError {
    #[error("no channel has this stream key")]
    UnknownKey,
    #[error("the channel {0} is live already: a second encoder is refused")]
    Live(Arc<str>),
    #[error("the channel {0} has no live stream")]
    Offline(Arc<str>),
    #[error("the stream of the channel {0} cannot be taken over: {1}")]
    TakeoverRefused(Arc<str>, &'static str),
    #[error("priority must be 1 to {MAX_PRIORITY}")]
    Priority,
}

/// What an encoder does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ingest {
    /// It connects; with a priority, it takes a live stream over. 0 is none.
    Begin { health: Health, priority: u32 },
    /// What it sends is better or worse now; it connects if it was not.
    Health(Health),
    /// It disconnects.
    End,
    /// Its stream fails.
    Fail,
}

impl State {
    /// An encoder that has a stream key's value; gives the channel.
    pub(crate) fn ingest(&self, key: &str, ingest: Ingest) -> Result<Arc<str>, IngestError> {
        let (mut state, _) = self.lock();
        Ok(state.ingest(key, ingest)?.shared())
    }

    /// Lets a real encoder in, which has a stream key's value.
    pub(crate) fn publish(self: &Arc<Self>, key: &str) -> Result<Publishing, IngestError> {
        let begin = Ingest::Begin {
            health: Health::default(),
            priority: 0,
        };
        let (mut state, now_us) = self.lock();
        let arn = state.ingest(key, begin)?;
        let channel = state.channel_mut(&arn).ok_or(IngestError::UnknownKey)?;
        let picture = Arc::new(Picture::new(Broadcast::new(now_us, channel.started)));
        channel.picture = Some(Arc::clone(&picture));
        Ok(Publishing {
            state: Arc::clone(self),
            arn: arn.shared(),
            session: channel.started,
            picture,
        })
    }

    /// Tells an event of a channel that nobody but `/_local/` knows of; gives it, or `None` if
    /// there is no such channel.
    pub(crate) fn post_event(
        &self,
        arn: &ChannelArn,
        kind: &'static str,
        name: &str,
        code: Option<String>,
        detail: Map<String, Value>,
    ) -> Option<Event> {
        let (mut state, _) = self.lock();
        state.post(arn, kind, name, code, detail)
    }

    pub(crate) fn life(&self) -> Life {
        self.lock().0.life
    }

    /// Holds for what happens from now on.
    pub(crate) fn set_life(&self, life: Life) {
        self.lock().0.life = life;
    }

    /// Runs the steps of streams at their times, whether or not anybody looks. Ends never.
    pub(crate) async fn live(self: Arc<Self>) {
        loop {
            let next = {
                let (state, now_us) = self.lock();
                let next = state.due.keys().next();
                next.map(|(at_us, _)| Duration::from_micros(at_us.saturating_sub(now_us)))
            };
            let wait = async {
                match next {
                    Some(wait) => sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = self.planned.notified() => {}
            }
        }
    }
}

impl EmulatorState {
    fn ingest(&mut self, key: &str, ingest: Ingest) -> Result<ChannelArn, IngestError> {
        let arn = self.key_values.get(key).ok_or(IngestError::UnknownKey)?;
        let arn = ChannelArn::parse(arn).ok_or(IngestError::UnknownKey)?;
        let is_connected = self.channel(&arn).is_some_and(Channel::is_connected);
        let offline = IngestError::Offline(arn.shared());
        match ingest {
            Ingest::Begin { priority, .. } if is_connected && priority > 0 => {
                let taken = self.take_over(&arn, priority);
                taken.map_err(|code| IngestError::TakeoverRefused(arn.shared(), code))?;
            }
            Ingest::Begin { .. } if is_connected => return Err(IngestError::Live(arn.shared())),
            Ingest::Begin { priority, .. } if priority > MAX_PRIORITY => {
                return Err(IngestError::Priority);
            }
            Ingest::Health(health) if is_connected => drop(self.set_health(&arn, health)),
            Ingest::Begin { health, priority } => {
                self.begin_stream(&arn, health, priority);
            }
            Ingest::Health(health) => {
                self.begin_stream(&arn, health, 0);
            }
            Ingest::End if !self.end_stream(&arn, false) => return Err(offline),
            Ingest::Fail if !self.end_stream(&arn, true) => return Err(offline),
            Ingest::End | Ingest::Fail => {}
        }
        Ok(arn)
    }
}

/// The stream of a real encoder. It ends when this is dropped, if nothing has ended it before.
pub(crate) struct Publishing {
    state: Arc<State>,
    arn: Arc<str>,
    session: u64,
    pub(crate) picture: Arc<Picture>,
}

impl Publishing {
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.state.lock().1
    }

    /// Has the session show what its encoder sends.
    pub(crate) fn learn(&self, facts: Facts) {
        let (mut state, _) = self.state.lock();
        let channel = ChannelArn::parse(&self.arn).and_then(|arn| state.channel_mut(&arn));
        let session = channel.and_then(|channel| channel.sessions.back_mut());
        if let Some(session) = session.filter(|session| session.number == self.session) {
            session.facts = Some(facts);
            state.touch();
        }
    }

    /// The stream cannot go on.
    pub(crate) fn fail(&self, error: StreamError) {
        self.end(error != StreamError::Stopped);
    }

    fn end(&self, failed: bool) {
        let (mut state, _) = self.state.lock();
        let Some(arn) = ChannelArn::parse(&self.arn) else {
            return;
        };
        let is_ours = state
            .channel(&arn)
            .is_some_and(|channel| channel.started == self.session);
        if is_ours {
            state.end_stream(&arn, failed);
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.end(false);
    }
}
