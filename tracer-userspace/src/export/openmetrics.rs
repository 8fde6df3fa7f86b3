//! OpenMetrics text (version 1.0.0 of its specification), as Prometheus reads it. docs/metrics.md describes each family.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::metrics::{BOUNDS, Figures, Scrape, Series};

/// What the text calls itself (`Content-Type`).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All of it as text.
pub fn text(scrape: Arc<Scrape>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Told(scrape)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Told(Arc<Scrape>);

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut series: Vec<&Series> = self.0.series.iter().collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        counts(
            &mut encoder,
            &series,
            ("tracer_requests", "Requests, by the end that was observed."),
            |series| series.requests,
        )?;
        counts(
            &mut encoder,
            &series,
            ("tracer_request_errors", "Requests that failed: as the tag error of their spans."),
            |series| series.errors,
        )?;
        durations(&mut encoder, &series)?;
        let counter = |encoder: &mut DescriptorEncoder<'_>, name, help, value| {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            count(&mut metric, value)
        };
        counter(
            &mut encoder,
            "tracer_requests_other",
            "Requests counted under the operation other, because there are too many operations.",
            self.0.other,
        )?;
        let Figures { records, lost, spans, .. } = self.0.figures;
        counter(&mut encoder, "tracer_spans", "Spans made.", spans.unwrap_or_default())?;
        counter(&mut encoder, "tracer_events", "Records taken from the kernel.", records)?;
        counter(
            &mut encoder,
            "tracer_events_lost",
            "Records and calls that were lost, whatever the reason.",
            lost,
        )?;
        own(&mut encoder, &self.0.figures)
    }
}

fn counts(
    encoder: &mut DescriptorEncoder<'_>,
    all: &[&Series],
    (name, help): (&str, &str),
    value: impl Fn(&Series) -> u64,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for series in all {
        count(&mut family.encode_family(&labels(series))?, value(series))?;
    }
    Ok(())
}

fn count(metric: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
}

fn durations(encoder: &mut DescriptorEncoder<'_>, all: &[&Series]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "tracer_request_duration",
        "From the first byte of the request to the last of the response, of requests that were seen to their end.",
        Some(&Unit::Seconds),
        MetricType::Histogram,
    )?;
    for series in all {
        let durations = series.durations();
        let bounds = BOUNDS.iter().copied().map(seconds).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(durations.buckets(&BOUNDS)).collect();
        let labels = labels(series);
        family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
            seconds(durations.sum()),
            durations.count(),
            &buckets,
            None,
        )?;
    }
    Ok(())
}

/// What the tracer itself takes; where there is a usual name, under that.
fn own(encoder: &mut DescriptorEncoder<'_>, figures: &Figures) -> fmt::Result {
    let times = [
        (
            "tracer_probes_run",
            "How long the probes ran while that was measured, all processors together.",
            seconds(figures.probes_ran),
        ),
        (
            "tracer_probes_measured",
            "For how long it was measured; what they ran in it is their share of one processor.",
            seconds(figures.probes_measured),
        ),
        ("process_cpu", "Processor time of the tracer.", figures.cpu.as_secs_f64()),
    ];
    for (name, help, value) in times {
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
    }
    if figures.memory > 0 {
        let mut metric = encoder.encode_descriptor(
            "process_resident_memory",
            "Memory of the tracer.",
            Some(&Unit::Bytes),
            MetricType::Gauge,
        )?;
        metric.encode_gauge(&figures.memory)?;
    }
    Ok(())
}

fn labels(series: &Series) -> [(&'static str, &str); 4] {
    let labels = &series.labels;
    [
        ("service_name", &labels.service),
        ("operation", &labels.operation),
        ("span_kind", labels.kind),
        ("protocol", labels.protocol.system()),
    ]
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::Side;
    use crate::metrics::Requests;
    use crate::metrics::samples::span;

    fn scrape() -> Scrape {
        let mut scrape = Scrape {
            figures: Figures {
                spans: Some(3),
                records: 9,
                lost: 2,
                probes_ran: 500_000,
                probes_measured: 100_000_000,
                memory: 4096,
                cpu: Duration::from_millis(250),
                ..Figures::default()
            },
            ..Scrape::default()
        };
        let mut requests = Requests::default();
        requests.add(&span("web \"1\"\\\n", Side::Server, "GET", "/a", 100));
        requests.add(&span("web \"1\"\\\n", Side::Server, "GET", "/a", 70_000_000));
        requests.add(&span("api", Side::Client, "GET", "/b", 2_000));
        scrape.series = requests.series().to_vec();
        scrape
    }

    #[test]
    fn every_family_is_written_once_and_its_series_are_in_order() {
        let text = text(Arc::new(scrape())).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.last(), Some(&"# EOF"));
        for line in [
            "# TYPE tracer_requests counter",
            "# TYPE tracer_request_duration_seconds histogram",
            "# UNIT tracer_request_duration_seconds seconds",
            "tracer_requests_total{service_name=\"api\",operation=\"GET /b\",span_kind=\"client\",protocol=\"http\"} 1",
            "tracer_requests_total{service_name=\"web \\\"1\\\"\\\\\\n\",operation=\"GET /a\",span_kind=\"server\",protocol=\"http\"} 2",
            "tracer_request_duration_seconds_sum{service_name=\"api\",operation=\"GET /b\",span_kind=\"client\",protocol=\"http\"} 0.002",
            "tracer_request_duration_seconds_bucket{le=\"0.0025\",service_name=\"api\",operation=\"GET /b\",span_kind=\"client\",protocol=\"http\"} 1",
            "tracer_spans_total 3",
            "tracer_events_total 9",
            "tracer_events_lost_total 2",
            "tracer_probes_run_seconds_total 0.0005",
            "tracer_probes_measured_seconds_total 0.1",
            "process_cpu_seconds_total 0.25",
            "process_resident_memory_bytes 4096",
        ] {
            assert_eq!(lines.iter().filter(|there| **there == line).count(), 1, "{line}\nin\n{text}");
        }
        // 60 s are the last bound; 70 000 s are beyond.
        let beyond = |line: &&&str| line.contains("le=\"60.0\"") || line.contains("le=\"+Inf\"");
        let counts: Vec<&str> =
            lines.iter().filter(beyond).filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(counts, ["1", "1", "1", "2"]);
    }

    #[test]
    fn before_the_first_request_there_are_families_without_series() {
        let text = text(Arc::default()).unwrap();
        assert!(
            text.contains("# TYPE tracer_requests counter\n") && !text.contains("service_name"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n") && !text.contains("process_resident_memory"), "{text}");
    }
}
