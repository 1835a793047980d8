//! A producer of one channel: it offers each batch to one node after another until one of them says
//! that it is taken. Nothing else goes to the channel before, so that order per key is its own.

use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::conservation::book::{Book, Fate, Kind};
use crate::support::http::{self, Response};
use crate::support::within;

/// Longer than a commit may be in doubt: what a node says of it is heard.
const PATIENCE: Duration = Duration::from_secs(4);

/// Before the next node is asked.
const PAUSE: Duration = Duration::from_millis(30);

/// How long the last batch may take to be taken, once everything works again.
const TO_REST: Duration = Duration::from_secs(40);

/// Where the nodes take events, as long as they live.
#[derive(Clone, Default)]
pub struct Doors(Arc<Mutex<Vec<Option<SocketAddr>>>>);

impl Doors {
    pub fn set(&self, node: usize, door: Option<SocketAddr>) {
        let mut doors = self.0.lock().expect("the doors");
        if doors.len() <= node {
            doors.resize(node + 1, None);
        }
        doors[node] = door;
    }

    fn nth(&self, nth: usize) -> Option<SocketAddr> {
        let doors = self.0.lock().expect("the doors");
        doors[nth % doors.len()]
    }
}

pub struct Producer {
    pub channel: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    book: Mutex<Book>,
    /// Answers that nobody should give.
    wrong: Mutex<Vec<String>>,
    is_to_rest: AtomicBool,
    rests: AtomicBool,
    is_over: AtomicBool,
}

impl Producer {
    pub fn start(channel: String, doors: Doors, random: fastrand::Rng) -> Self {
        let shared = Arc::new(Shared::default());
        shared.is_to_rest.store(true, Ordering::Relaxed);
        let mut sender = Sender {
            path: format!("/v1/channels/{channel}/events"),
            shared: Arc::clone(&shared),
            doors,
            door: 0,
            pending: None,
            random,
        };
        let thread = std::thread::spawn(move || sender.run());
        Self {
            channel,
            shared,
            thread: Some(thread),
        }
    }

    /// Produces from now on.
    pub fn go(&self) {
        self.shared.rests.store(false, Ordering::Relaxed);
        self.shared.is_to_rest.store(false, Ordering::Relaxed);
    }

    /// Produces nothing new; what was sent is to be taken.
    pub fn stop(&self) {
        self.shared.is_to_rest.store(true, Ordering::Relaxed);
    }

    /// Waits until all that was sent is taken. Then looks at its books.
    pub fn rest<R>(&self, look: impl FnOnce(&Book) -> R) -> R {
        self.stop();
        within(TO_REST, "what was sent is taken", || {
            assert!(!self.has_failed(), "a producer failed");
            self.shared.rests.load(Ordering::Relaxed).then_some(())
        });
        look(&self.shared.book.lock().expect("the book"))
    }

    pub fn wrong(&self) -> Vec<String> {
        self.shared.wrong.lock().expect("what is wrong").clone()
    }

    fn has_failed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic was printed.
            let _ = thread.join();
        }
    }
}

struct Sender {
    path: String,
    shared: Arc<Shared>,
    doors: Doors,
    /// The node that took the last batch.
    door: usize,
    pending: Option<Vec<usize>>,
    random: fastrand::Rng,
}

impl Sender {
    fn run(&mut self) {
        while !self.shared.is_over.load(Ordering::Relaxed) {
            let is_to_rest = self.shared.is_to_rest.load(Ordering::Relaxed);
            if is_to_rest && self.pending.is_none() {
                self.shared.rests.store(true, Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            } else if self.pending.is_none() && self.random.u8(..100) < 5 {
                self.cancel();
            } else {
                self.publish();
                std::thread::sleep(Duration::from_millis(self.random.u64(60..200)));
            }
        }
    }

    fn publish(&mut self) {
        let numbers = self.pending.take().unwrap_or_else(|| {
            let count = self.random.usize(1..8);
            let mut book = self.shared.book.lock().expect("the book");
            book.enter(0, count, &mut self.random)
        });
        let body = self.book().body(&numbers);
        let answer = self.ask("POST", &self.path, body.as_bytes());
        if !self.is_taken(&numbers, answer) {
            self.pending = Some(numbers);
            self.door += 1;
            std::thread::sleep(PAUSE);
        }
    }

    /// Only a 202 is a promise. All else is to be offered again: with its ids that is no harm.
    fn is_taken(&self, numbers: &[usize], answer: io::Result<Response>) -> bool {
        let Ok(answer) = answer else {
            return false;
        };
        if answer.status == 503 {
            return false;
        }
        let refused = match answer.code().as_str() {
            "" if answer.status == 202 => refused(&answer),
            "would_expire" => Some((0..numbers.len()).collect()),
            _ => None,
        };
        match &refused {
            Some(refused) => self.book().promise(numbers, refused),
            None => self.complain(format!("{answer:?}")),
        }
        refused.is_some()
    }

    /// Takes back an event that was promised a moment ago.
    fn cancel(&self) {
        let mut book = self.book();
        let newest = book.entries.len().saturating_sub(30);
        let mut promised = book.entries.iter().enumerate().skip(newest);
        let found =
            promised.find(|(_, entry)| entry.fate == Fate::Promised && entry.kind != Kind::Vote);
        let Some(number) = found.map(|(number, _)| number) else {
            return;
        };
        let answer = self.ask("DELETE", &format!("{}/{number}", self.path), b"");
        let fate = &mut book.entries[number].fate;
        match answer.map(|answer| answer.status) {
            Ok(204) => *fate = Fate::Cancelled,
            Ok(409) => {}
            // It may be taken back, and may be there again after another node took over.
            Err(_) | Ok(503) => *fate = Fate::MaybeCancelled,
            Ok(status) => self.complain(format!("a cancellation: {status}")),
        }
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> io::Result<Response> {
        let door = self.doors.nth(self.door);
        let door = door.ok_or(io::ErrorKind::ConnectionRefused)?;
        let mut stream = TcpStream::connect_timeout(&door, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let kind = [("content-type", "application/x-ndjson")];
        stream.write_all(&http::encode(method, path, &kind, body))?;
        http::read_response(&mut BufReader::new(stream), false)
    }

    fn complain(&self, what: String) {
        self.shared.wrong.lock().expect("what is wrong").push(what);
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.shared.book.lock().expect("the book")
    }
}

/// The places of events that were refused. None: one was refused for another reason than its age.
fn refused(answer: &Response) -> Option<Vec<usize>> {
    let told = answer.json();
    let places = told["rejected"].as_array()?.iter().map(|refusal| {
        let place = refusal["index"].as_u64().and_then(|at| at.try_into().ok());
        place.filter(|_| refusal["code"] == "would_expire")
    });
    places.collect()
}
