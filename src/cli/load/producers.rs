//! The producers: one task a connection, each with channels of its own.
//!
//! Over HTTP a connection has one request under way at a time, over WebSocket at most
//! [`websocket::WINDOW`] messages: so what is in flight is bounded, and a channel's events are
//! offered in the order of their sequence. A connection whose answers are slow falls behind its
//! plan, and that is measured: times run from the moment a request was due.

mod http;
mod websocket;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuegate_client::{Client, Session};
use futures_util::future::join_all;

use super::book::Book;
use super::event::Form;
use super::pace::Pace;
use super::plan::Plan;
use crate::cli::Error;

/// How long a connection that broke waits before the next try.
const RETRY: Duration = Duration::from_millis(200);

/// What all producers of a run share.
pub(super) struct Run {
    pub(super) plan: Plan,
    pub(super) form: Form,
    /// The channels as requests name them.
    pub(super) names: Vec<String>,
    pub(super) book: Mutex<Book>,
    trouble: Mutex<Option<String>>,
}

impl Run {
    pub(super) fn new(plan: Plan, form: Form, names: Vec<String>) -> Self {
        let book = Mutex::new(Book::new(plan, form.clone()));
        Self {
            plan,
            form,
            names,
            book,
            trouble: Mutex::default(),
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last failure to get an answer.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn troubled(&self, error: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Connections that are ready to send.
pub(super) enum Producers {
    Http(Box<Client>, usize),
    WebSocket(Vec<Session>),
}

impl Producers {
    /// Opens the connections.
    pub(super) async fn open(
        gateway: &Client,
        websocket: bool,
        connections: usize,
    ) -> Result<Self, Error> {
        if !websocket {
            return Ok(Self::Http(Box::new(gateway.clone()), connections));
        }
        let opened = join_all((0..connections).map(|_| websocket::open(gateway)));
        let opened: Result<_, _> = opened.await.into_iter().collect();
        Ok(Self::WebSocket(opened?))
    }

    /// Sends the whole plan, or what of it there was time for, and waits for the answers.
    pub(super) async fn send(self, run: &Arc<Run>, pace: &Arc<Pace>) {
        let mut tasks = tokio::task::JoinSet::new();
        match self {
            Self::Http(gateway, connections) => {
                for nth in 0..connections {
                    let (run, pace, gateway) = (Arc::clone(run), Arc::clone(pace), gateway.clone());
                    tasks.spawn(async move {
                        http::produce(&run, &pace, &gateway, (nth, connections)).await;
                    });
                }
            }
            Self::WebSocket(opened) => {
                let connections = opened.len();
                for (nth, session) in opened.into_iter().enumerate() {
                    let (run, pace) = (Arc::clone(run), Arc::clone(pace));
                    tasks.spawn(async move {
                        websocket::produce(&run, &pace, session, (nth, connections)).await;
                    });
                }
            }
        }
        while tasks.join_next().await.is_some() {}
    }
}
