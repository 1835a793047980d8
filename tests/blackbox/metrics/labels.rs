//! A reload changes a channel's label: what was counted stays where it was counted.

use std::fmt::Write as _;

use crate::support::http::send;
use crate::support::metrics::{Metrics, same};
use crate::support::process::{Gateway, arn, local};

const UNLISTED: &str = "[channels]\nallow_unlisted = true\n";

/// A gateway, and what its counters said last.
struct Watched {
    gateway: Gateway,
    last: Metrics,
}

impl Watched {
    fn start() -> Self {
        let gateway = Gateway::start(&local(UNLISTED, &[("other", "")]));
        let last = gateway.scrape();
        Self { gateway, last }
    }

    /// Gives the channel `show` this alias; none: it is not listed.
    fn list(&mut self, alias: Option<&str>) {
        let mut config = local(UNLISTED, &[("other", "")]);
        if let Some(alias) = alias {
            let arn = arn("show");
            let _ = writeln!(config, "[[channel]]\nname = \"{alias}\"\narn = \"{arn}\"");
        }
        std::fs::write(self.gateway.config_file(), config).expect("the file");
        let answer = send(self.gateway.admin, "POST", "/admin/reload", &[], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        self.scrape();
    }

    fn publish(&mut self, events: usize) {
        let event = format!(r#"{{"channel":"{}","data":1}}"#, arn("show"));
        let body = vec![event; events].join(",");
        let answer = self.gateway.post("/v1/events", &format!("[{body}]"));
        assert_eq!(answer.status, 202, "{answer:?}");
        self.scrape();
    }

    fn do_to_channel(&mut self, method: &str, what: &str) {
        let path = format!("/v1/channels/{}/{what}", path_of_show());
        let answer = self.gateway.request(method, &path);
        assert!((200..300).contains(&answer.status), "{answer:?}");
        self.scrape();
    }

    /// No counter falls, no series goes, and the books balance, whatever has just happened.
    fn scrape(&mut self) {
        let now = self.gateway.scrape();
        for (series, before) in &self.last.series {
            let name = series.split('{').next().expect("a name");
            let value = now.get(series);
            let falls = name.ends_with("_total") && value < *before;
            assert!(!falls, "{series} fell from {before} to {value}");
        }
        now.check_books(true);
        self.last = now;
    }

    /// Accepted, cancelled and queued under each of these labels.
    fn check(&self, expected: &[(&str, [u32; 3])]) {
        for (label, counts) in expected {
            let names = [
                "events_accepted_total",
                "events_cancelled_total",
                "queue_events",
            ];
            for (name, count) in names.iter().zip(counts) {
                let series = format!(r#"cuegate_{name}{{channel="{label}"}}"#);
                let value = self.last.get(&series);
                assert!(same(value, f64::from(*count)), "{series}: {value}");
            }
        }
    }

    /// The labels under which a channel is counted as paused.
    fn paused(&self) -> Vec<String> {
        let states = self.last.of("cuegate_channel_state");
        let paused = states
            .filter(|(labels, value)| labels.contains(r#"state="paused""#) && same(*value, 1.0));
        paused
            .filter_map(|(labels, _)| Some(labels.split('"').nth(1)?.to_owned()))
            .collect()
    }
}

fn path_of_show() -> String {
    arn("show").replace(':', "%3A").replace('/', "%2F")
}

#[test]
fn a_new_label_begins_with_what_comes_after() {
    let mut it = Watched::start();
    it.do_to_channel("POST", "pause");
    it.publish(1);
    it.do_to_channel("DELETE", "events?all=true");
    it.publish(4);
    it.check(&[("_other", [5, 1, 4])]);
    // Listed: the past stays with the others, what is queued is the alias's.
    it.list(Some("first"));
    it.check(&[("_other", [5, 1, 0]), ("first", [0, 0, 4])]);
    assert_eq!(it.paused(), ["first"]);
    it.publish(2);
    it.check(&[("_other", [5, 1, 0]), ("first", [2, 0, 6])]);
    it.do_to_channel("DELETE", "events?all=true");
    it.check(&[("_other", [5, 1, 0]), ("first", [2, 6, 0])]);
    // Renamed.
    it.publish(3);
    it.list(Some("second"));
    it.check(&[("first", [5, 6, 0]), ("second", [0, 0, 3])]);
    it.publish(1);
    it.check(&[("first", [5, 6, 0]), ("second", [1, 0, 4])]);
    // Not listed any more: one of the others again.
    it.list(None);
    it.check(&[("second", [1, 0, 0]), ("_other", [5, 1, 4])]);
    it.publish(1);
    it.do_to_channel("DELETE", "events?all=true");
    it.check(&[("second", [1, 0, 0]), ("_other", [6, 6, 0])]);
    assert_eq!(it.paused(), ["_other"]);
    // A label that comes again goes on from where it was.
    it.list(Some("first"));
    it.publish(1);
    it.check(&[
        ("first", [6, 6, 1]),
        ("second", [1, 0, 0]),
        ("_other", [6, 6, 0]),
    ]);
    assert_eq!(it.paused(), ["first"]);
}
