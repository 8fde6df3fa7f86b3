"""Takes what a collector forwards, with OpenTelemetry's own message classes, and compares it with a file of `tracer export`.

    push.py serve PORT DIRECTORY [CERTIFICATE KEY]      keeps the body of each POST in DIRECTORY, metrics in JSON as Protocol Buffers; with TLS
    push.py compare TRACES.otlp.jsonl DIRECTORY
    push.py metrics TRACES.json DIRECTORY

`compare` wants every span of the file exactly once, alike in everything: ids, parent, kind, times, status, attributes and those of its
resource, but for host.name, which only a recording knows. `metrics` wants the last counts to be those of the spans in the file, and their
names to be those of OpenTelemetry's conventions. Each prints a line, or fails with a sentence.
"""

import base64
import gzip
import http.server
import json
import pathlib
import ssl
import sys
from collections import Counter

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def serve(port, directory, *tls):
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            what = self.path.removeprefix("/v1/")
            if self.headers["content-type"] == "application/json" and what == "metrics":
                body = json_format.Parse(body, ExportMetricsServiceRequest()).SerializeToString()
            bodies.append(body)
            part = directory / f"{len(bodies)}.part"
            part.write_bytes(body)
            part.rename(directory / f"{len(bodies)}.{what}.pb")
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def spans_of(request):
    """Each span with its resource, as it can be compared."""
    for group in request.resource_spans:
        resource = {
            attribute.key: json_format.MessageToJson(attribute.value, sort_keys=True)
            for attribute in group.resource.attributes
            if attribute.key != "host.name"
        }
        for scope in group.scope_spans:
            for span in scope.spans:
                # Collectors need not keep the order of attributes.
                attributes = sorted(json_format.MessageToJson(attribute, sort_keys=True) for attribute in span.attributes)
                del span.attributes[:]
                rest = json_format.MessageToJson(span, sort_keys=True)
                yield (span.trace_id, span.span_id), (resource, scope.scope.name, attributes, rest)


def written(path):
    """This JSON has hexadecimal digits where Protocol Buffers' own has base64."""
    for line in path.read_text().splitlines():
        request = json.loads(line)
        for group in request["resourceSpans"]:
            for scope in group["scopeSpans"]:
                for span in scope["spans"]:
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if name in span:
                            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        yield from spans_of(json_format.ParseDict(request, ExportTraceServiceRequest()))


def compare(path, directory):
    wanted = dict(written(path))
    taken = {}
    for body in sorted(directory.glob("*.traces.pb")):
        for ids, span in spans_of(ExportTraceServiceRequest.FromString(body.read_bytes())):
            if ids in taken:
                sys.exit(f"the span {ids[1].hex()} came twice")
            taken[ids] = span
    if missing := wanted.keys() - taken.keys():
        sys.exit(f"{len(missing)} of {len(wanted)} spans did not come")
    if more := taken.keys() - wanted.keys():
        sys.exit(f"{len(more)} spans came that are not in {path}: {taken[next(iter(more))]}")
    for ids, span in wanted.items():
        if taken[ids] != span:
            sys.exit(f"the span {ids[1].hex()} came as\n{taken[ids]}\nand not as\n{span}")
    print(f"{len(taken)} spans")


# The bounds that the conventions advise (semantic conventions for HTTP metrics).
REQUESTS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
CUMULATIVE = 2


def attributes_of(point):
    return {attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value")) for attribute in point.attributes}


def series_of(directory):
    """Each data point of each push, by what tells it from others."""
    for body in directory.glob("*.metrics.pb"):
        request = ExportMetricsServiceRequest.FromString(body.read_bytes())
        for group in request.resource_metrics:
            resource = attributes_of(group.resource)
            for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
                data = getattr(metric, metric.WhichOneof("data"))
                if data.aggregation_temporality != CUMULATIVE:
                    sys.exit(f"{metric.name} is not cumulative")
                for point in data.data_points:
                    attributes = attributes_of(point)
                    if point.start_time_unix_nano >= point.time_unix_nano:
                        sys.exit(f"{metric.name} ends before it begins")
                    key = (resource["service.name"], metric.name, json.dumps(attributes, sort_keys=True))
                    yield key, (point.time_unix_nano, metric, resource, attributes, point)


def metrics(path, directory):
    from opentelemetry.semconv._incubating.metrics import http_metrics

    last = {}
    pushes = set()
    for key, series in series_of(directory):
        pushes.add(series[0])
        if key not in last or last[key][0] < series[0]:
            last[key] = series
    requests, errors, durations, longest = Counter(), Counter(), Counter(), Counter()
    for span in json.loads(path.read_text()):
        tags = span["tags"]
        side = (span["serviceName"], tags["span.kind"])
        requests[side] += 1
        errors[side] += tags.get("error", False)
        status = (*side, tags["http.method"], tags.get("http.status_code"))
        durations[status] += not tags.get("tracer.incomplete", False)
        longest[status] += span["duration"] / 1000
    told_requests, told_errors, told_durations, told_longest = Counter(), Counter(), Counter(), Counter()
    for (service, name, _), (_, metric, resource, attributes, point) in last.items():
        if "host.name" not in resource or resource["service.instance.id"] != resource["host.name"]:
            sys.exit(f"{service} does not say on which host: {resource}")
        side = (service, attributes.get("span.kind"))
        match name:
            case "tracer.requests" | "tracer.request.errors":
                if not metric.sum.is_monotonic:
                    sys.exit(f"{name} is not monotonic")
                (told_requests if name == "tracer.requests" else told_errors)[side] += point.as_int
            case "http.server.request.duration" | "http.client.request.duration":
                known = {http_metrics.HTTP_SERVER_REQUEST_DURATION: "server", http_metrics.HTTP_CLIENT_REQUEST_DURATION: "client"}
                if known[name] != side[1] or metric.unit != "s" or list(point.explicit_bounds) != REQUESTS:
                    sys.exit(f"{name} is not as the conventions have it: {metric}")
                if sum(point.bucket_counts) != point.count or len(point.bucket_counts) != len(REQUESTS) + 1:
                    sys.exit(f"{name}: {point}")
                if attributes["url.scheme"] != "http" or (side[1] == "client" and not {"server.address", "server.port"} < attributes.keys()):
                    sys.exit(f"{name} lacks what the conventions require: {attributes}")
                status = (*side, attributes["http.request.method"], attributes.get("http.response.status_code"))
                told_durations[status] += point.count
                told_longest[status] += point.sum
            case "tracer.spans":
                if point.as_int != requests.total():
                    sys.exit(f"{point.as_int} spans, not {requests.total()}")
    for what, told, wanted in [
        ("requests", told_requests, requests),
        ("errors", told_errors, errors),
        ("durations", told_durations, durations),
    ]:
        if told != wanted or not told:
            sys.exit(f"{what}: the metrics say {told}, the spans {wanted}")
    for status, seconds in longest.items():
        if abs(told_longest[status] - seconds) > 1e-6 * durations[status]:
            sys.exit(f"{status} took {told_longest[status]} s by the metrics, {seconds} by the spans")
    print(f"{told_requests.total()} requests in {len(last)} series, {len(pushes)} pushes")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", port, directory, *tls]:
            serve(int(port), pathlib.Path(directory), *tls)
        case ["metrics", path, directory]:
            metrics(pathlib.Path(path), pathlib.Path(directory))
        case ["compare", path, directory]:
            compare(pathlib.Path(path), pathlib.Path(directory))
        case _:
            sys.exit(__doc__)
