//! Where series are made and rendered: the Prometheus recorder, one per process or per test.
//!
//! Never a global recorder: several gateways can run in one test process. Nothing is named
//! here; names come from [`super::names`].

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString,
};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::names::{ALL, Kind, Metric};

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// A recorder that knows every metric's help, type and buckets.
#[derive(Debug)]
pub(super) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Registry {
    pub(super) fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in ALL {
            // Without buckets of its own a histogram is rendered as a summary.
            if let Kind::Histogram(buckets) = metric.kind {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
                    .expect("every histogram of names.rs has buckets");
            }
        }
        let recorder = builder.build_recorder();
        for metric in ALL {
            let (name, help) = (
                KeyName::from_const_str(metric.name),
                SharedString::const_str(metric.help),
            );
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
            }
        }
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// The counter with these label values; it is there at 0 from now on.
    pub(super) fn counter(&self, metric: &'static Metric, values: &[&str]) -> Counter {
        debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        self.recorder
            .register_counter(&key(metric, values), &METADATA)
    }

    /// The gauge with these label values; it is there at 0 from now on.
    pub(super) fn gauge(&self, metric: &'static Metric, values: &[&str]) -> Gauge {
        debug_assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        self.recorder
            .register_gauge(&key(metric, values), &METADATA)
    }

    /// The histogram with these label values; it is there at 0 from now on.
    pub(super) fn histogram(&self, metric: &'static Metric, values: &[&str]) -> Histogram {
        debug_assert!(matches!(metric.kind, Kind::Histogram(_)), "{}", metric.name);
        self.recorder
            .register_histogram(&key(metric, values), &METADATA)
    }

    /// The text of all series.
    pub(super) fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds recorded samples into buckets; until then each takes memory.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn key(metric: &'static Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let pairs = metric.labels.iter().zip(values);
    let labels: Vec<Label> = pairs
        .map(|(name, value)| Label::new(*name, (*value).to_owned()))
        .collect();
    Key::from_parts(metric.name, labels)
}
