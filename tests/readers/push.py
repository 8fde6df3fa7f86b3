"""Takes what a collector forwards, with OpenTelemetry's own message classes, and compares it with a file of `tracer export`.

    push.py serve PORT DIRECTORY          keeps the body of each POST to /v1/traces in DIRECTORY
    push.py compare TRACES.otlp.jsonl DIRECTORY

`compare` wants every span of the file exactly once, alike in everything: ids, parent, kind, times, status, attributes and those of its
resource, but for host.name, which only a recording knows. Prints a line; fails with a sentence.
"""

import base64
import gzip
import http.server
import json
import pathlib
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def serve(port, directory):
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            bodies.append(body)
            part = directory / f"{len(bodies)}.part"
            part.write_bytes(body)
            part.rename(directory / f"{len(bodies)}.pb")
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()


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
    for body in sorted(directory.glob("*.pb")):
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


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", port, directory]:
            serve(int(port), pathlib.Path(directory))
        case ["compare", path, directory]:
            compare(pathlib.Path(path), pathlib.Path(directory))
        case _:
            sys.exit(__doc__)
