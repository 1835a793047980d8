//! Traces to a collector, over OTLP: what is made of [`super::spans`] where an endpoint is
//! configured.
//!
//! Spans wait in a bounded queue for a thread of the exporter's own; what does not fit is dropped.
//! Nothing here can hold up an event: not the collector's absence, and not its silence.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Tracer as SdkTracer,
};
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

use super::collector::{Collector, EXPORT_TIME};
use super::spans;

/// Spans that wait to be exported, of some 1 KB each: more than a second of an account's calls,
/// and of the requests that a trace would be looked up for.
const QUEUE_MAX: usize = 2048;
/// Spans in one export: a body of some 200 KB.
const BATCH_MAX: usize = 512;
/// How often what waits is exported: a trace is looked up seconds later.
const EXPORT_EVERY: Duration = Duration::from_secs(1);
/// How long the last export may hold up the end of the process.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// Where the collector takes traces, unless the endpoint says so itself.
const PATH: &str = "/v1/traces";

/// Traces cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("tracing.otlp_endpoint, or a variable OTEL_*: {0}")]
pub struct Error(#[from] opentelemetry_otlp::ExporterBuildError);

/// The export of traces.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    collector: Collector,
}

impl Traces {
    /// Exports to this endpoint, over the current tokio runtime.
    ///
    /// # Errors
    /// A variable of OpenTelemetry's own (`OTEL_…`) asks for what is not there.
    pub fn start(endpoint: &str) -> Result<Self, Error> {
        let collector = Collector::new(Handle::current());
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url(endpoint))
            .with_timeout(EXPORT_TIME)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(EXPORT_EVERY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let resource = Resource::builder()
            .with_service_name("cuegate")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        // The sampler is the SDK's default: the parent's word, and without one all, or what
        // OTEL_TRACES_SAMPLER says.
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource.build())
            .build();
        Ok(Self {
            provider,
            collector,
        })
    }

    /// What makes traces of our spans, and of nothing else.
    #[must_use]
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let ours =
            |metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == spans::TARGET;
        let filter = FilterFn::new(ours).with_max_level_hint(LevelFilter::DEBUG);
        let tracer: SdkTracer = self.provider.tracer("cuegate");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter)
    }

    /// Exports what waits, within a bound.
    pub async fn close(self) {
        self.collector.complain_no_more();
        let provider = self.provider;
        // It waits without a runtime; its own bound is kept, or left behind.
        let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIME));
        let _ = flush.await;
    }
}

/// The endpoint with the path that the protocol gives it, unless it has one.
fn url(endpoint: &str) -> String {
    let rest = endpoint.split_once("://").map_or("", |(_, rest)| rest);
    match rest.split_once('/') {
        None => format!("{endpoint}{PATH}"),
        Some((_, "")) => format!("{}{PATH}", endpoint.trim_end_matches('/')),
        Some(_) => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
            ("http://otel/v1/traces", "http://otel/v1/traces"),
            ("http://otel/api/public/otel", "http://otel/api/public/otel"),
        ] {
            assert_eq!(url(endpoint), expected);
        }
    }
}
