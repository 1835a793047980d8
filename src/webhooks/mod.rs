//! Webhooks: posts the ends of events to the endpoints of the configuration, signed as Standard Webhooks has it.
//!
//! Each has a task of its own, which waits for nobody and for which nobody waits. What waits for it is
//! bounded, by `dispatch`. It decides nothing about events.
//!
//! - `endpoint`: an endpoint of the configuration, with its secret;
//! - `signature`: the secret, and what it signs;
//! - `body`: what is told, as JSON;
//! - `client`: one request over a connection of its own; `address`: where none is ever made to;
//! - `verdict`: what an answer says about the next attempt;
//! - `sender`: one endpoint's task.

mod address;
mod body;
mod client;
mod endpoint;
mod sender;
mod signature;
mod verdict;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access::{Env, Stamped};
use crate::dispatch::{Gateway, Outbox};
use crate::lifecycle::Supervisor;
pub use endpoint::{Endpoint, Endpoints};
use sender::Sender;

/// The webhooks in force.
pub struct Webhooks {
    gateway: Arc<Gateway>,
    supervisor: Supervisor,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    by_name: BTreeMap<String, Webhook>,
    /// The files of their secrets, as they were read, and as they were when that failed last.
    files: Stamped,
    tried: Stamped,
}

struct Webhook {
    endpoint: watch::Sender<Arc<Endpoint>>,
    outbox: Arc<Outbox>,
    task: JoinHandle<()>,
}

impl Webhooks {
    /// None yet.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, supervisor: Supervisor) -> Self {
        Self {
            gateway,
            supervisor,
            running: Mutex::default(),
        }
    }

    /// These are told from now on. What waits for one that stays goes on waiting, also if its URL or its
    /// secret is another now; what waits for one that is gone is dropped.
    pub fn apply(&self, endpoints: Endpoints) {
        let mut running = self.lock();
        let mut before = std::mem::take(&mut running.by_name);
        for endpoint in endpoints.all {
            let name = endpoint.settings.name.clone();
            let webhook = match before.remove(&name) {
                Some(webhook) => {
                    webhook.follow(endpoint);
                    webhook
                }
                None => self.start(endpoint),
            };
            running.by_name.insert(name, webhook);
        }
        running.files = endpoints.files;
        let told = running.by_name.values();
        self.gateway.tell(told.map(|webhook| {
            let settings = webhook.endpoint.borrow().settings.clone();
            (settings, Arc::clone(&webhook.outbox))
        }));
        for gone in before.values() {
            gone.task.abort();
        }
    }

    /// Reads the files of secrets again, if they have changed.
    pub fn look_at_files(&self, env: Env<'_>) {
        let files = {
            let mut running = self.lock();
            let now = running.files.now();
            if now == running.files || now == running.tried {
                return;
            }
            running.tried = now.clone();
            now
        };
        debug_assert!(!files.is_empty(), "no file has not changed");
        match Endpoints::read(&self.gateway.settings(), env) {
            Ok(endpoints) => {
                self.apply(endpoints);
                tracing::info!("secrets of webhooks were read again: their files have changed");
            }
            Err(errors) => {
                tracing::error!(%errors, "secrets of webhooks could not be read again; the old ones stay in force");
            }
        }
    }

    /// What waits is told at once, and then no more; the tasks end when they are done with it.
    pub fn finish(&self) -> Vec<JoinHandle<()>> {
        let webhooks = std::mem::take(&mut self.lock().by_name);
        let finish = |webhook: Webhook| {
            webhook.outbox.finish();
            webhook.task
        };
        webhooks.into_values().map(finish).collect()
    }

    fn start(&self, endpoint: Endpoint) -> Webhook {
        let settings = &endpoint.settings;
        let outbox = Outbox::new(&settings.name, settings.queue_max, self.gateway.meters());
        let outbox = Arc::new(outbox);
        let (endpoint, follow) = watch::channel(Arc::new(endpoint));
        let sender = Sender::new(Arc::clone(&outbox), follow, Arc::clone(&self.gateway));
        Webhook {
            endpoint,
            outbox,
            task: self.supervisor.spawn("a webhook", sender.run()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Webhook {
    /// Its endpoint says something else now, or the same.
    fn follow(&self, new: Endpoint) {
        self.outbox.set_most(new.settings.queue_max);
        self.endpoint.send_if_modified(|endpoint| {
            let differs = **endpoint != new;
            if differs {
                *endpoint = Arc::new(new);
            }
            differs
        });
    }
}
