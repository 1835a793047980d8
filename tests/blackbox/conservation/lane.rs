//! Lives of a gateway on one journal, and the producer that outlives them.

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::book::{Book, Fate, Kind};
use super::judge::{Delivered, Verdict, judge};
use super::trouble::{self, Damage, Disk, WallClock};
use crate::support::emulator::{Emulator, encoded};
use crate::support::http::{self, Response};
use crate::support::process::{Gateway, arn, command, run};
use crate::support::{SOON, eventually, ports, within};

/// The producer's pace: less than the channels can take, so that the end does not take long.
const PACE: Duration = Duration::from_millis(25);

/// How long the last life may take to deliver what is left.
const TO_THE_END: Duration = Duration::from_secs(90);

const NDJSON: [(&str, &str); 1] = [("content-type", "application/x-ndjson")];

/// The lane without a journal, the one whose journal is damaged, and the one whose channels are not listed
/// and are forgotten to make room for others.
const OFF: u64 = 8;
pub const DAMAGED: u64 = 9;
pub const FORGETFUL: u64 = 10;

pub struct Lane {
    random: fastrand::Rng,
    channels: usize,
    book: Book,
    emulator: Emulator,
    home: tempfile::TempDir,
    disk: Option<Disk>,
    clock: Option<WallClock>,
    /// `journal.mode = "off"`: each kill ends what is queued.
    is_off: bool,
    /// The journal is damaged before some of the starts.
    is_damaged: bool,
    /// Only some of the channels are known at a time, and no id of an event that has ended: what was not
    /// answered is not sent again.
    is_forgetful: bool,
    /// The channel of the last events.
    last: usize,
    /// Starts that damage stopped.
    stopped: u64,
    /// Events that were sent and not answered: nothing else goes to a channel before they are.
    pending: Option<(usize, Vec<usize>)>,
    /// A channel whose stream was ended.
    offline: Option<usize>,
    kills: u64,
}

fn channel(nth: usize) -> String {
    format!("c{nth}")
}

impl Lane {
    pub fn new(number: u64, seed: u64, channels: usize) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let (is_off, is_damaged) = (number == OFF, number == DAMAGED);
        let is_forgetful = number == FORGETFUL;
        let clock =
            (number % 4 == 1 && !is_damaged).then(|| WallClock::new(home.path().join("clock")));
        let clock = clock.flatten();
        // It goes by the same clock: else it would refuse signatures of an hour ago.
        let environment = clock.as_ref().map(WallClock::environment);
        let environment = environment.unwrap_or_default();
        let emulator = Emulator::start_with(ports::free(), &[], &environment);
        for nth in 0..channels {
            emulator.api.stream(&arn(&channel(nth)), "live");
        }
        let disk = number
            .is_multiple_of(2)
            .then_some(())
            .filter(|()| !is_off && !is_forgetful)
            .map(|()| Disk::mount(&home.path().join("disk")));
        Self {
            random: fastrand::Rng::with_seed(seed.wrapping_add(number)),
            channels,
            book: Book::default(),
            emulator,
            disk: disk.flatten(),
            clock,
            home,
            is_off,
            is_damaged,
            is_forgetful,
            last: 0,
            stopped: 0,
            pending: None,
            offline: None,
            kills: 0,
        }
    }

    /// Life after life until there were so many kills, and one more that ends well.
    pub fn run(mut self, kills: u64) -> Verdict {
        println!(
            "a small disk: {}, a wall clock that is set: {}, no journal: {}, damage: {}, forgotten channels: {}",
            self.disk.is_some(),
            self.clock.is_some(),
            self.is_off,
            self.is_damaged,
            self.is_forgetful
        );
        while self.kills < kills {
            let Some(mut gateway) = self.start() else {
                continue;
            };
            self.live(&mut gateway);
            self.kills += 1;
            let (_, log) = gateway.process.wait(SOON);
            if log.rfind("deliveries go on") > log.rfind("can be written again") {
                self.book.repeatable = self.book.entries.len();
            }
            if self.is_off {
                // The next process would take what is pending for new, whether it was delivered or not.
                self.book.forget();
                self.pending = None;
            }
        }
        self.end()
    }

    fn journal(&self) -> PathBuf {
        self.home.path().join("disk/journal")
    }

    fn config(&self, channel_tps: u32) -> String {
        let mut text = format!(
            "[upstream]\nmode = \"aws\"\nendpoint_url = \"http://{}\"\ncall_timeout_ms = 1000\n\
            [tuning]\nabandon_ms = 1000\n[quota]\nchannel_tps = {channel_tps}\n\
            [journal]\nmode = \"{}\"\nmax_bytes = 67108864\ndir = \"{}\"\n[channel_defaults]\nttl_ms = 3600000\n",
            self.emulator.api.0,
            if self.is_off { "off" } else { "os" },
            self.journal().display()
        );
        if self.is_forgetful {
            text.push_str(
                "dedup_window_ms = 0\n[limits]\nchannels_max = 3\n[channels]\nallow_unlisted = true\n",
            );
            return text;
        }
        for nth in 0..self.channels {
            let name = channel(nth);
            let arn = arn(&name);
            let _ = writeln!(text, "[[channel]]\nname = \"{name}\"\narn = \"{arn}\"");
        }
        text
    }

    /// The next process, ready; none if it was killed before, or had no room to start.
    fn start(&mut self) -> Option<Gateway> {
        if self.random.u8(..100) < 25 {
            // While nothing runs.
            self.set_clock();
        }
        if self.is_damaged && self.random.u8(..100) < 40 {
            self.damage();
        }
        let environment = self.clock.as_ref().map(WallClock::environment);
        let mut gateway = Gateway::spawn(&self.config(5), &environment.unwrap_or_default());
        if self.random.u8(..100) < 12 {
            std::thread::sleep(Duration::from_millis(self.random.u64(..60)));
            gateway.process.kill();
            self.kills += 1;
            return None;
        }
        let started = eventually("it is ready, or has ended", || {
            if gateway.process.has_ended() {
                return Some(false);
            }
            gateway.readiness().map(|_| true)
        });
        if started {
            return Some(gateway);
        }
        let (status, log) = gateway.process.wait(SOON);
        let disk = self.disk.as_mut().filter(|disk| disk.is_full);
        let disk = disk.unwrap_or_else(|| panic!("{status}, with room on the disk: {log}"));
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("No space left"), "{log}");
        disk.empty();
        None
    }

    /// A start on a damaged journal ends, and leaves everything as it was: once the damage is undone, nothing
    /// is missing.
    fn damage(&mut self) {
        let mut entries = self.book.entries.iter();
        if !entries.any(|entry| entry.fate == Fate::Promised) {
            return;
        }
        let damage = Damage::of(&self.journal(), &mut self.random);
        let mut gateway = Gateway::spawn(&self.config(5), &[]);
        let (status, log) = gateway.process.wait(SOON);
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("is damaged"), "{log}");
        damage.undo();
        self.stopped += 1;
    }

    /// Publishes and makes trouble until it is time to die.
    fn live(&mut self, gateway: &mut Gateway) {
        // All of a killed process's tokens are out for a second, or a second and a half after a disk
        // that was full: long lives see calls, short ones what a start leaves behind.
        let life = if self.random.bool() {
            self.random.u64(1600..3500)
        } else {
            self.random.u64(..400)
        };
        let death = Instant::now() + Duration::from_millis(life);
        while Instant::now() < death {
            self.step(gateway);
            std::thread::sleep(PACE);
        }
        self.last_words(gateway);
    }

    fn step(&mut self, gateway: &Gateway) {
        match self.random.u8(..100) {
            0..4 => trouble::fault(self.emulator.api, &mut self.random),
            4..6 => self.turn_stream(),
            6..8 => self.turn_disk(),
            8..10 => self.set_clock(),
            10..11 => self.reload(gateway),
            11..20 if !self.is_forgetful => self.cancel(gateway),
            _ => self.publish(gateway),
        }
    }

    fn turn_stream(&mut self) {
        let (nth, state) = match self.offline.take() {
            Some(nth) => (nth, "live"),
            None => (self.random.usize(..self.channels), "offline"),
        };
        self.emulator.api.stream(&arn(&channel(nth)), state);
        self.offline = (state == "offline").then_some(nth);
    }

    fn turn_disk(&mut self) {
        match &mut self.disk {
            Some(disk) if disk.is_full => disk.empty(),
            Some(disk) => disk.fill(),
            None => {}
        }
    }

    fn set_clock(&mut self) {
        if let Some(clock) = &self.clock {
            let hours = self.random.i32(-1..=1);
            clock.set(hours * 3600 + self.random.i32(-30..30));
        }
    }

    fn reload(&mut self, gateway: &Gateway) {
        let channel_tps = self.random.u32(3..=5);
        let config = self.config(channel_tps);
        std::fs::write(gateway.config_file(), config).expect("a file");
        gateway.process.signal("HUP");
    }

    /// Sends what is pending, else something new.
    fn publish(&mut self, gateway: &Gateway) {
        let (channel, numbers) = self.pending();
        let body = self.book.body(&numbers);
        let answer = http::try_send(
            gateway.producers,
            "POST",
            &self.events_of(channel),
            &NDJSON,
            body.as_bytes(),
        );
        self.answered(channel, numbers, answer.ok());
    }

    fn pending(&mut self) -> (usize, Vec<usize>) {
        self.pending.take().unwrap_or_else(|| {
            // A channel is forgotten a second after its last call.
            let stays = self.is_forgetful && self.random.u8(..100) < 80;
            let other = self.random.usize(..self.channels);
            let channel = if stays { self.last } else { other };
            self.last = channel;
            let count = self.random.usize(1..8);
            (channel, self.book.enter(channel, count, &mut self.random))
        })
    }

    /// Nobody promises anything but with a 202.
    fn answered(&mut self, channel: usize, numbers: Vec<usize>, answer: Option<Response>) {
        if self.is_forgetful && answer.is_none() {
            return;
        }
        let Some(answer) = answer.filter(|answer| answer.code() != "overloaded") else {
            self.pending = Some((channel, numbers));
            return;
        };
        let refused: Vec<usize> = match answer.code().as_str() {
            "" => refused(&answer.json()),
            "would_expire" => (0..numbers.len()).collect(),
            _ => panic!("{answer:?}"),
        };
        self.book.promise(&numbers, &refused);
    }

    /// Takes back an event that was promised a moment ago.
    fn cancel(&mut self, gateway: &Gateway) {
        let newest = self.book.entries.len().saturating_sub(30);
        let mut promised = self.book.entries.iter().enumerate().skip(newest);
        let found =
            promised.find(|(_, entry)| entry.fate == Fate::Promised && entry.kind != Kind::Vote);
        let Some((number, entry)) = found else {
            return;
        };
        let path = format!("{}/{number}", self.events_of(entry.channel));
        let answer = http::try_send(gateway.producers, "DELETE", &path, &[], b"");
        let fate = &mut self.book.entries[number].fate;
        match answer.map(|answer| answer.status) {
            Ok(204) => *fate = Fate::Cancelled,
            Ok(409) => {}
            // What may have been taken back may be there again after a crash.
            Err(_) | Ok(503) => *fate = Fate::MaybeCancelled,
            Ok(status) => panic!("{path}: {status}"),
        }
    }

    /// A request that the kill meets at any point: before it is read, before it is committed,
    /// before or after its answer. An answer that came counts.
    fn last_words(&mut self, gateway: &mut Gateway) {
        let (channel, numbers) = self.pending();
        let body = self.book.body(&numbers);
        let request = http::encode("POST", &self.events_of(channel), &NDJSON, body.as_bytes());
        let answer = http::connect(gateway.producers).and_then(|mut stream| {
            stream.write_all(&request)?;
            let moment = Instant::now() + Duration::from_micros(self.random.u64(..1500));
            while Instant::now() < moment {
                std::hint::spin_loop();
            }
            gateway.process.kill();
            http::read_response(&mut BufReader::new(stream), false)
        });
        self.answered(channel, numbers, answer.ok());
    }

    /// Everything works again, everything leaves, and the books are closed.
    fn end(mut self) -> Verdict {
        self.emulator.api.no_faults();
        if let Some(nth) = self.offline.take() {
            self.emulator.api.stream(&arn(&channel(nth)), "live");
        }
        if let Some(disk) = &mut self.disk {
            disk.empty();
        }
        let mut gateway = loop {
            if let Some(gateway) = self.start() {
                break gateway;
            }
        };
        while self.pending.is_some() {
            self.publish(&gateway);
        }
        within(TO_THE_END, "everything has left", || {
            (gateway.scrape().sum("cuegate_queue_events") < 0.5).then_some(())
        });
        gateway.scrape().check_books(false);
        let letters = dead_letters(&gateway);
        gateway.process.signal("TERM");
        let (status, log) = gateway.process.wait(SOON);
        assert_eq!(status.code(), Some(0), "{log}");
        if !self.is_off {
            let checked = run(command().args(["journal", "check"]).arg(self.journal()), "");
            assert!(checked.out.starts_with("ok: 0 "), "{checked:?}");
        }
        self.verdict(&letters)
    }

    fn events_of(&self, nth: usize) -> String {
        let name = channel(nth);
        let name = if self.is_forgetful {
            encoded(&arn(&name))
        } else {
            name
        };
        format!("/v1/channels/{name}/events")
    }

    fn verdict(&self, letters: &[(usize, Value)]) -> Verdict {
        let delivered: Vec<_> = (0..self.channels)
            .map(|nth| {
                let taken = self.emulator.api.metadata(&arn(&channel(nth)));
                Delivered {
                    channel: nth,
                    payloads: taken.into_iter().map(|taken| taken.text).collect(),
                }
            })
            .collect();
        let report = self.emulator.api.report();
        let most = |tally: &Value| tally["max_calls_per_second"].as_u64().expect("a number");
        let channels = report["channels"].as_object().expect("channels").values();
        Verdict {
            kills: self.kills,
            stopped: self.stopped,
            most_of_a_channel: channels.map(most).max().unwrap_or(0),
            most_of_all: most(&report["all"]),
            ..judge(&self.book, &delivered, letters)
        }
    }
}

/// The places of events that were refused: brief ones that would expire.
fn refused(told: &Value) -> Vec<usize> {
    let rejected = told["rejected"].as_array().expect("a list").iter();
    let index = |refusal: &Value| {
        assert_eq!(refusal["code"], "would_expire", "{told}");
        refusal["index"].as_u64().and_then(|at| at.try_into().ok())
    };
    rejected
        .map(|refusal| index(refusal).expect("a place"))
        .collect()
}

/// Every dead letter: its channel and its data.
fn dead_letters(gateway: &Gateway) -> Vec<(usize, Value)> {
    let mut letters = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/admin/dead-letters?limit=1000{after}");
        let page = http::send(gateway.admin, "GET", &path, &[], b"").json();
        for letter in page["dead_letters"].as_array().expect("a list") {
            let text = letter["channel"].as_str().expect("a channel");
            let nth = text.rsplit('c').next().and_then(|nth| nth.parse().ok());
            letters.push((nth.expect("its number"), letter["event"]["data"].clone()));
        }
        match page["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => return letters,
        }
    }
}
