//! Counts of requests as OpenTelemetry's messages (opentelemetry-proto, `metrics/v1/metrics.proto`): what is pushed.
//!
//! Sums are cumulative and monotonic and begin with the recording; so do the histograms, with explicit bounds. Durations have the conventions'
//! names and attributes where there are such ([`instruments`]); `tracer.requests` and `tracer.request.errors` are, number for number, what
//! Prometheus is served as `tracer_requests_total` and `tracer_request_errors_total`. docs/metrics.md describes each.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1 as proto;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::formats::Host;
use super::semconv::SCHEMA;
use super::semconv::instruments::{Instrument, Said, instrument, own_attributes};
use crate::metrics::{Ending, Figures, Histogram, Labels, Scrape, Series};

/// So many data points go at once: each has a few hundred bytes, and receivers take four million.
const POINTS: usize = 2_000;

/// When what is told began, and when it was counted, ns since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The recording began.
    pub start: u64,
    /// This was counted until then.
    pub end: u64,
}

/// Messages that together say all of it, each with its number of data points.
pub fn requests(scrape: &Scrape, host: &Host, span: Span) -> Vec<(ExportMetricsServiceRequest, u64)> {
    let mut series: Vec<&Series> = scrape.series.iter().collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut all = Vec::new();
    let own = own(scrape, span);
    let mut points = own.len();
    let mut resources = vec![resource(OWN_SERVICE, host, own)];
    for mut service in series.chunk_by(|a, b| a.labels.service == b.labels.service) {
        while let Some(first) = service.first() {
            if points >= POINTS {
                let resource_metrics = std::mem::take(&mut resources);
                all.push((
                    ExportMetricsServiceRequest { resource_metrics },
                    std::mem::take(&mut points) as u64,
                ));
            }
            let mut now = 0;
            for series in service {
                now += 1;
                points += points_of(series);
                if points >= POINTS {
                    break;
                }
            }
            let (these, later) = service.split_at(now);
            resources.push(resource(&first.labels.service, host, metrics(these, span)));
            service = later;
        }
    }
    all.push((ExportMetricsServiceRequest { resource_metrics: resources }, points as u64));
    all
}

/// How many data points these are.
pub fn points(scrape: &Scrape) -> u64 {
    let nothing = Span { start: 0, end: 0 };
    let series = scrape.series.iter().map(points_of);
    (own(scrape, nothing).len() + series.sum::<usize>()) as u64
}

/// Its requests, its errors, and the durations of each ending.
fn points_of(series: &Series) -> usize {
    2 + series.endings.iter().len()
}

/// Of one service.
fn metrics(all: &[&Series], span: Span) -> Vec<proto::Metric> {
    let sums = [
        (
            "tracer.requests",
            "Requests, by the end that was observed.",
            all.iter().map(|series| (series, series.requests)).collect::<Vec<_>>(),
        ),
        (
            "tracer.request.errors",
            "Requests that failed: as the status of their spans.",
            all.iter().map(|series| (series, series.errors)).collect(),
        ),
    ];
    let mut metrics: Vec<_> = sums
        .into_iter()
        .map(|(name, description, counts)| {
            let points = counts.into_iter().map(|(series, count)| {
                let mut attributes = Vec::with_capacity(3);
                own_attributes(&series.labels, &mut |name, value| attributes.push(attribute(name, value)));
                number(span, attributes, Number::AsInt(whole(count)))
            });
            metric(name, description, "{request}", sum(points.collect()))
        })
        .collect();
    let mut histograms: Vec<(&Instrument, Vec<proto::HistogramDataPoint>)> = Vec::new();
    for series in all {
        let instrument = instrument(&series.labels);
        let at = histograms.iter().position(|(known, _)| *known == instrument).unwrap_or_else(|| {
            histograms.push((instrument, Vec::new()));
            histograms.len() - 1
        });
        if let Some((_, points)) = histograms.get_mut(at) {
            points.extend(
                series
                    .endings
                    .iter()
                    .map(|(ending, durations)| duration(span, instrument, &series.labels, ending, durations)),
            );
        }
    }
    metrics.extend(histograms.into_iter().filter(|(_, points)| !points.is_empty()).map(
        |(instrument, data_points)| {
            let data = Data::Histogram(proto::Histogram { data_points, aggregation_temporality: CUMULATIVE });
            metric(instrument.name, instrument.description, "s", data)
        },
    ));
    metrics
}

/// What the tracer says of itself: as Prometheus is served it, under the conventions' names where there are such.
fn own(scrape: &Scrape, span: Span) -> Vec<proto::Metric> {
    let Figures { spans, records, lost, probes_ran, probes_measured, memory, cpu, received: _, sent: _ } =
        scrape.figures;
    let counts = [
        (
            "tracer.requests.other",
            "Requests counted under the operation other, because there are too many operations.",
            "{request}",
            scrape.other,
        ),
        ("tracer.spans", "Spans made.", "{span}", spans.unwrap_or_default()),
        ("tracer.events", "Records taken from the kernel.", "{event}", records),
        ("tracer.events.lost", "Records and calls that were lost, whatever the reason.", "{event}", lost),
    ]
    .map(|(name, description, unit, count)| (name, description, unit, Number::AsInt(whole(count))));
    let times = [
        (
            "tracer.probes.run",
            "How long the probes ran while that was measured, all processors together.",
            seconds(probes_ran),
        ),
        (
            "tracer.probes.measured",
            "For how long it was measured; what they ran in it is their share of one processor.",
            seconds(probes_measured),
        ),
        ("process.cpu.time", "Total CPU seconds broken down by different states.", cpu.as_secs_f64()),
    ]
    .map(|(name, description, time)| (name, description, "s", Number::AsDouble(time)));
    let mut metrics: Vec<_> = counts
        .into_iter()
        .chain(times)
        .map(|(name, description, unit, value)| {
            metric(name, description, unit, sum(vec![number(span, Vec::new(), value)]))
        })
        .collect();
    if memory > 0 {
        let point = number(span, Vec::new(), Number::AsInt(whole(memory)));
        // A sum that also falls, as the conventions have it ("updowncounter").
        let data = Data::Sum(proto::Sum {
            data_points: vec![point],
            aggregation_temporality: CUMULATIVE,
            is_monotonic: false,
        });
        metrics.push(metric("process.memory.usage", "The amount of physical memory in use.", "By", data));
    }
    metrics
}

const CUMULATIVE: i32 = proto::AggregationTemporality::Cumulative as i32;
/// Whose the tracer's own figures are.
const OWN_SERVICE: &str = "tracer";

/// As spans have it, but for the process: these are the counts of all of a service's processes on this host. So the host is what tells one
/// instance from another, and two hosts' counts must not be taken for one's (OpenTelemetry's data model, "Single-Writer").
fn resource(service: &str, host: &Host, metrics: Vec<proto::Metric>) -> proto::ResourceMetrics {
    let mut attributes = vec![attribute("service.name", service.into())];
    if let Some(name) = &host.name {
        attributes.push(attribute("host.name", name.as_str().into()));
        attributes.push(attribute("service.instance.id", name.as_str().into()));
    }
    let scope = InstrumentationScope {
        name: "tracer".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope = proto::ScopeMetrics { scope: Some(scope), metrics, schema_url: SCHEMA.to_owned() };
    proto::ResourceMetrics {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_metrics: vec![scope],
        schema_url: SCHEMA.to_owned(),
    }
}

fn metric(name: &str, description: &str, unit: &str, data: Data) -> proto::Metric {
    proto::Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn sum(data_points: Vec<proto::NumberDataPoint>) -> Data {
    Data::Sum(proto::Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true })
}

fn number(span: Span, attributes: Vec<KeyValue>, value: Number) -> proto::NumberDataPoint {
    proto::NumberDataPoint {
        attributes,
        start_time_unix_nano: span.start,
        time_unix_nano: span.end,
        value: Some(value),
        ..proto::NumberDataPoint::default()
    }
}

fn duration(
    span: Span,
    instrument: &Instrument,
    labels: &Labels,
    ending: &Ending,
    durations: &Histogram,
) -> proto::HistogramDataPoint {
    let mut attributes = Vec::new();
    instrument.attributes(labels, ending, &mut |name, value| attributes.push(attribute(name, value)));
    proto::HistogramDataPoint {
        attributes,
        start_time_unix_nano: span.start,
        time_unix_nano: span.end,
        count: durations.count(),
        sum: Some(seconds(durations.sum())),
        bucket_counts: durations.buckets(instrument.bounds),
        explicit_bounds: instrument.bounds.iter().copied().map(seconds).collect(),
        ..proto::HistogramDataPoint::default()
    }
}

fn attribute(name: &str, value: Said<'_>) -> KeyValue {
    let value = match value {
        Said::Text(text) => Any::StringValue(text.into_owned()),
        Said::Int(number) => Any::IntValue(number),
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Side;
    use crate::metrics::Requests;
    use crate::metrics::samples::span;

    const TIMES: Span = Span { start: 5, end: 9 };

    fn named<'a>(resource: &'a proto::ResourceMetrics, name: &str) -> &'a Data {
        let metrics = &resource.scope_metrics[0].metrics;
        metrics.iter().find(|metric| metric.name == name).and_then(|metric| metric.data.as_ref()).unwrap()
    }

    fn service(resource: &proto::ResourceMetrics) -> &Any {
        resource.resource.as_ref().unwrap().attributes[0].value.as_ref().unwrap().value.as_ref().unwrap()
    }

    #[test]
    fn counts_are_cumulative_sums_and_durations_histograms_of_the_service() {
        let mut requests = Requests::default();
        requests.add(&span("shop", Side::Server, "GET", "/a", 70_000));
        requests.add(&span("shop", Side::Server, "GET", "/a", 20_000_000));
        let mut failed = span("shop", Side::Server, "GET", "/a", 1);
        (failed.tags.status, failed.tags.error) = (Some(500), true);
        requests.add(&failed);
        let mut pending = span("shop", Side::Server, "GET", "/a", 1);
        pending.tags.incomplete = true;
        requests.add(&pending);
        let scrape = Scrape::of(Figures { lost: 3, ..Figures::default() }, Some(&requests));
        let host = Host { name: Some("here".to_owned()) };
        let all = super::requests(&scrape, &host, TIMES);
        assert_eq!((all.len(), all[0].1), (1, points(&scrape)));
        let [own, shop] = &all[0].0.resource_metrics[..] else { panic!("{all:?}") };
        assert_eq!(service(own), &Any::StringValue("tracer".to_owned()));
        assert_eq!(service(shop), &Any::StringValue("shop".to_owned()));
        let one = |data: &Data| match data {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
                let point = &sum.data_points[0];
                assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 9));
                point.value
            }
            _ => panic!("{data:?}"),
        };
        assert_eq!(one(named(own, "tracer.events.lost")), Some(Number::AsInt(3)));
        assert_eq!(one(named(shop, "tracer.requests")), Some(Number::AsInt(4)));
        assert_eq!(one(named(shop, "tracer.request.errors")), Some(Number::AsInt(1)));
        let Data::Histogram(durations) = named(shop, "http.server.request.duration") else { panic!() };
        assert_eq!(durations.aggregation_temporality, 2);
        let [fine, failed] = &durations.data_points[..] else { panic!("{durations:?}") };
        assert_eq!((fine.count, fine.sum, failed.count), (2, Some(20.07), 1));
        assert_eq!(fine.explicit_bounds[4], 0.075);
        assert_eq!(fine.bucket_counts, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn many_are_several_messages_that_together_say_all_of_it() {
        let mut requests = Requests::default();
        for service in 0..40 {
            for operation in 0..60u8 {
                let path = format!("/{}{}", char::from(b'a' + operation % 26), "x".repeat(operation.into()));
                requests.add(&span(&format!("service-{service}"), Side::Server, "GET", &path, 5));
            }
        }
        let scrape = Scrape::of(Figures::default(), Some(&requests));
        let all = super::requests(&scrape, &Host::default(), TIMES);
        assert!(all.len() > 2, "{}", all.len());
        let mut counted = 0;
        for (request, points) in &all {
            assert!(*points <= POINTS as u64 + 2 + 32 && prost::Message::encoded_len(request) < 2 << 20);
            let metrics =
                request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics[0].metrics);
            let here = metrics.map(|metric| match metric.data.as_ref().unwrap() {
                Data::Sum(sum) => sum.data_points.len(),
                Data::Histogram(histogram) => histogram.data_points.len(),
                other => panic!("{other:?}"),
            });
            let here: usize = here.sum();
            assert_eq!(here as u64, *points);
            counted += here as u64;
        }
        assert_eq!(counted, points(&scrape));
    }

    #[test]
    fn before_the_first_request_there_is_only_the_tracer() {
        let all = super::requests(&Scrape::default(), &Host::default(), TIMES);
        assert_eq!((all.len(), all[0].0.resource_metrics.len()), (1, 1));
    }
}
