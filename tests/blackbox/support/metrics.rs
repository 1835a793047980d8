//! The Prometheus text format, read strictly enough to find what a scraper would choke on.

use std::collections::BTreeMap;

/// The ends an accepted event can have, by their metrics.
pub const ENDS: [&str; 6] = [
    "cuegate_events_delivered_total",
    "cuegate_events_merged_total",
    "cuegate_events_expired_total",
    "cuegate_events_cancelled_total",
    "cuegate_events_evicted_total",
    "cuegate_events_dead_lettered_total",
];

/// One scrape.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By name, the word of `# TYPE`.
    pub types: BTreeMap<String, String>,
    /// By name, the text of `# HELP`.
    pub help: BTreeMap<String, String>,
    /// By name and labels as they are written, as `name{a="b"}`.
    pub series: BTreeMap<String, f64>,
}

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.splitn(3, ' ');
                let (kind, name, value) = (words.next(), words.next(), words.next());
                let into = match kind {
                    Some("TYPE") => &mut metrics.types,
                    Some("HELP") => &mut metrics.help,
                    _ => continue,
                };
                let (name, value) = (name.expect("a name"), value.expect("a value"));
                let earlier = into.insert(name.to_owned(), value.to_owned());
                assert_eq!(earlier, None, "twice: {line}");
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let value = value
                    .parse()
                    .unwrap_or_else(|_| panic!("no number: {line}"));
                let earlier = metrics.series.insert(series.to_owned(), value);
                assert_eq!(earlier, None, "twice: {line}");
            }
        }
        metrics
    }

    /// The value of one series.
    pub fn get(&self, series: &str) -> f64 {
        *self
            .series
            .get(series)
            .unwrap_or_else(|| panic!("no {series}"))
    }

    /// All series of a name together.
    pub fn sum(&self, name: &str) -> f64 {
        self.of(name).map(|(_, value)| value).sum()
    }

    /// Every series of a name, with its labels.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.series.iter().filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some((labels, *value))
        })
    }

    /// The two equations of the books. `settled`: no request is under way, so that both hold.
    pub fn check_books(&self, settled: bool) {
        let ended: f64 = ENDS.iter().map(|end| self.sum(end)).sum();
        let entered = self.sum("cuegate_events_accepted_total")
            + self.sum("cuegate_events_recovered_total")
            - self.sum("cuegate_events_released_total");
        let queued = self.sum("cuegate_queue_events");
        assert!(
            same(entered, ended + queued),
            "entered {entered}, ended {ended}, queued {queued}"
        );
        assert!(
            same(self.get("cuegate_events_unaccounted"), 0.0),
            "unaccounted"
        );
        if settled {
            let received = self.sum("cuegate_events_received_total");
            let answered = self.sum("cuegate_events_accepted_total")
                + self.sum("cuegate_events_rejected_total")
                + self.sum("cuegate_events_duplicates_total");
            assert!(
                same(received, answered),
                "received {received}, answered {answered}"
            );
        }
    }
}

/// Counts are whole numbers: anything less than a half apart is the same.
pub fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.5
}
