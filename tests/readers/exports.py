"""Reads what `tracer export` wrote, with code that is not the tracer's, and compares it with the trace JSON it was made from.

    exports.py TRACES DIRECTORY

TRACES is an array of spans; DIRECTORY has traces.otlp.jsonl, traces.jaeger.json, traces.perfetto.json and traces.csv, made from it. OTLP is read by
OpenTelemetry's own message classes, and its attributes are looked up in OpenTelemetry's own list of names; CSV by Python's reader. Jaeger's and
Perfetto's JSON are held against what these document; their own code reads them besides (exports_jaeger.js, perfetto.py).

Prints a line for each format; fails with a sentence.
"""

import ast
import base64
import collections
import csv
import datetime
import json
import pathlib
import sys

from google.protobuf import json_format
from opentelemetry import semconv
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

KINDS = {"server": "SERVER", "client": "CLIENT", "producer": "PRODUCER", "consumer": "CONSUMER"}
# What became of a tag, where that is another name and nothing else.
RENAMED = {
    "http.status_code": "http.response.status_code",
    "http.request.bytes": "http.request.size",
    "http.response.bytes": "http.response.size",
    "db.system": "db.system.name",
    "db.instance": "db.namespace",
    "db.operation": "db.operation.name",
    "db.statement": "db.query.text",
    "db.sql.table": "db.collection.name",
    "messaging.destination": "messaging.destination.name",
    "messaging.message_id": "messaging.message.id",
    "net.peer.ip": "network.peer.address",
    "net.peer.port": "network.peer.port",
    "rpc.system": "rpc.system.name",
}
# Names of the namespaces that OpenTelemetry rules, which are not in its list: what they say has no name there.
UNLISTED = {"db.response.status"}
RULED = ("http.", "url.", "server.", "client.", "network.", "rpc.", "db.", "messaging.", "error.", "user_agent.", "service.")


def nanos(text):
    """A time of RFC 3339, in nanoseconds since 1970; not before that."""
    time, fraction = text.rstrip("Z"), ""
    zone = "+00:00"
    if "+" in time:
        time, zone = time.split("+")
        zone = "+" + zone
    if "." in time:
        time, fraction = time.split(".")
    seconds = datetime.datetime.fromisoformat(time + zone).timestamp()
    return max(int(seconds) * 10**9 + int((fraction + "0" * 9)[:9]), 0)


class Ids:
    """Ids of the source, and what became of them: the same number, or for what is none another, the same for the same."""

    def __init__(self):
        self.seen = {}

    def check(self, source, written, digits):
        assert len(written) == digits and set(written) <= set("0123456789abcdef"), f"{written!r} is no id of {digits} digits"
        assert int(written, 16) != 0
        try:
            number = int(source, 16) if source.isalnum() and len(source) <= digits else 0
        except ValueError:
            number = 0
        if number:
            assert int(written, 16) == number, f"{source} became {written}"
        else:
            assert self.seen.setdefault((source, digits), written) == written, f"{source} became two ids"


def tags_of(span):
    return span.get("tags") or {}


def is_error(span):
    return tags_of(span).get("error") in (True, "true")


def parent_of(span):
    parent = span.get("parentSpanId")
    return None if parent == span["spanId"] else parent


def value_of(value):
    """An AnyValue as a value of Python."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: value_of(item.value) for item in value.kvlist_value.values}
    return getattr(value, kind)


def listed_names():
    """OpenTelemetry's names, and those of them that are no longer to be used."""
    names, deprecated = set(), set()
    root = pathlib.Path(semconv.__file__).parent
    for file in [*root.glob("attributes/*.py"), *root.glob("_incubating/attributes/*.py")]:
        body = ast.parse(file.read_text()).body
        for at, following in zip(body, body[1:]):
            if not isinstance(at, ast.AnnAssign) or not isinstance(at.value, ast.Constant):
                continue
            names.add(at.value.value)
            says = following.value.value if isinstance(following, ast.Expr) else ""
            if says.strip().startswith("Deprecated: "):
                deprecated.add(at.value.value)
    assert len(names) > 500 and "http.method" in deprecated and "http.request.method" not in deprecated
    return names, deprecated


def otlp(spans, path):
    names, deprecated = listed_names()
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == "", "the last line does not end"
    written = []
    for line in lines:
        request = json_format.Parse(line, ExportTraceServiceRequest())
        resources = []
        for resource in request.resource_spans:
            own = {item.key: value_of(item.value) for item in resource.resource.attributes}
            assert own not in resources, "one resource is there twice in a line"
            resources.append(own)
            (scope,) = resource.scope_spans
            assert scope.scope.name == "tracer" and scope.scope.version
            assert scope.spans, "a resource without spans"
            written += [(own, span) for span in scope.spans]
    assert len(written) == len(spans), f"{len(written)} spans of {len(spans)}"
    # This JSON has hexadecimal digits where Protocol Buffers' own has base64; written as that again they are what they were.
    hexadecimal = lambda field: base64.b64encode(field).decode()
    ids, found = Ids(), collections.defaultdict(list)
    for own, span in written:
        # The trace JSON has microseconds.
        found[span.name, span.start_time_unix_nano // 1000].append((own, span))
    for source in spans:
        tags = tags_of(source)
        candidates = found[source["operationName"], nanos(source["startTime"]) // 1000]
        own, span = next(
            ((own, span) for own, span in candidates if own["service.name"] == source["serviceName"] and
             (ids_equal(source["spanId"], hexadecimal(span.span_id)))), (None, None))
        assert span is not None, f"{source} is not there"
        candidates.remove((own, span))
        ids.check(source["traceId"], hexadecimal(span.trace_id), 32)
        ids.check(source["spanId"], hexadecimal(span.span_id), 16)
        parent = parent_of(source)
        assert bool(parent) == bool(span.parent_span_id), source
        if parent:
            ids.check(parent, hexadecimal(span.parent_span_id), 16)
        assert Span.SpanKind.Name(span.kind) == "SPAN_KIND_" + KINDS.get(tags.get("span.kind"), "INTERNAL")
        duration = span.end_time_unix_nano - span.start_time_unix_nano
        assert abs(duration - max(float(source["duration"]), 0) * 1e6) < 1000, source
        wanted = Status.STATUS_CODE_ERROR if is_error(source) else Status.STATUS_CODE_UNSET
        assert span.status.code == wanted, source
        for name, key in [("process.pid",) * 2, ("host.name",) * 2, ("container.id",) * 2]:
            assert own.get(key) == tags.get(name), (own, source)
        attributes = {item.key: value_of(item.value) for item in span.attributes}
        assert len(attributes) == len(span.attributes), f"a name is there twice: {span}"
        for name in attributes:
            assert name not in deprecated, f"{name} is no longer to be used"
            template = name.rsplit(".", 1)[0] if name.startswith("http.request.header.") else name
            assert template in names or name in UNLISTED or not name.startswith(RULED), f"{name} is in no list"
        for name, value in tags.items():
            if name.startswith("tracer."):
                assert attributes[name] == value, (name, value, attributes)
            elif name in RENAMED:
                now = attributes[RENAMED[name]]
                assert now == value or str(now) == str(value), (name, value, now)
        if "http.method" in tags:
            assert attributes["http.request.method"] in (tags["http.method"], "_OTHER")
        if str(tags.get("http.url", "")).startswith("/"):
            query = attributes.get("url.query")
            assert attributes["url.path"] + ("?" + query if query is not None else "") == tags["http.url"]
    return f"{len(lines)} lines"


def ids_equal(source, written):
    try:
        number = int(source, 16) if source.isalnum() and len(source) <= len(written) else 0
    except ValueError:
        number = 0
    return number == 0 or number == int(written, 16)


def jaeger(spans, path):
    """jaeger-ui, packages/jaeger-ui/src/types/trace.tsx: TraceData, SpanData, ProcessData."""
    answer = json.loads(path.read_text(encoding="utf-8"))
    assert answer["errors"] is None
    ids, written = Ids(), 0
    types = {"string": str, "bool": bool, "int64": int, "float64": (int, float)}
    seen_traces, seen = set(), {(span["serviceName"], span["operationName"]): [] for span in spans}
    for span in spans:
        seen[span["serviceName"], span["operationName"]].append(span)
    for trace in answer["data"]:
        assert trace["traceID"] not in seen_traces, "one trace is there twice"
        seen_traces.add(trace["traceID"])
        spans_here = {span["spanID"]: span for span in trace["spans"]}
        assert len(spans_here) == len(trace["spans"]), "one span is there twice in a trace"
        used = {span["processID"] for span in trace["spans"]}
        assert used == set(trace["processes"]), "processes and their uses differ"
        for span in trace["spans"]:
            written += 1
            service = trace["processes"][span["processID"]]["serviceName"]
            source = next(
                source for source in seen[service, span["operationName"]]
                if ids_equal(source["spanId"], span["spanID"]) and ids_equal(source["traceId"], span["traceID"])
                and abs(nanos(source["startTime"]) // 1000 - span["startTime"]) <= 1
                and not source.get("used"))
            source["used"] = True
            ids.check(source["traceId"], span["traceID"], 32)
            ids.check(source["spanId"], span["spanID"], 16)
            assert span["traceID"] == trace["traceID"]
            assert type(span["startTime"]) is int and type(span["duration"]) is int and span["duration"] >= 0
            assert abs(span["duration"] - max(float(source["duration"]), 0) * 1e3) < 1
            assert span["logs"] == []
            assert len(span["references"]) <= 1
            for reference in span["references"]:
                assert reference["refType"] == "CHILD_OF" and reference["traceID"] == span["traceID"]
                ids.check(parent_of(source), reference["spanID"], 16)
            tags = {tag["key"]: tag for tag in span["tags"]}
            assert len(tags) == len(span["tags"])
            assert set(tags) == set(tags_of(source))
            for tag in tags.values():
                assert isinstance(tag["value"], types[tag["type"]]), tag
                value = tags_of(source)[tag["key"]]
                assert tag["value"] == value or isinstance(value, (list, dict)) and json.loads(tag["value"]) == value or (
                    value is None and tag["value"] == ""), (tag, value)
            # Up from every span there is an end.
            at, steps = span, 0
            while at is not None and at["references"]:
                at, steps = spans_here.get(at["references"][0]["spanID"]), steps + 1
                assert steps <= len(spans_here), "parents go round in a circle"
    for span in spans:
        span.pop("used", None)
    distinct = len({(span["traceId"], span["spanId"]) for span in spans})
    assert written == distinct, f"{written} spans of {distinct}"
    return f"{len(answer['data'])} traces"


def perfetto(spans, path):
    """Trace Event Format (Chromium), "JSON Object Format", "Complete Events", "Flow Events", "Metadata Events"; and what Perfetto says of it
    (docs/getting-started/other-formats: slices of a thread must nest)."""
    trace = json.loads(path.read_text(encoding="utf-8"))
    events = trace["traceEvents"]
    phases = collections.Counter(event["ph"] for event in events)
    assert set(phases) <= {"X", "M", "s", "f"}, phases
    processes, threads = {}, {}
    for event in events:
        assert type(event["pid"]) is int and type(event["tid"]) is int and event["name"] is not None
        if event["ph"] != "M":
            assert isinstance(event["ts"], (int, float)) and event["ts"] >= 0
            continue
        assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
        if event["name"] == "process_name":
            assert processes.setdefault(event["pid"], event["args"]["name"]) == event["args"]["name"]
        if event["name"] == "thread_name":
            assert threads.setdefault(event["tid"], event["pid"]) == event["pid"], "a thread of two processes"
    slices = [event for event in events if event["ph"] == "X"]
    distinct = {(span["traceId"], span["spanId"]) for span in spans}
    assert len(slices) == len(distinct), f"{len(slices)} slices of {len(distinct)} spans"
    assert len(set(processes.values())) == len(processes)
    services = {(span["serviceName"], span["operationName"]) for span in spans}
    by_id = {}
    for event in slices:
        assert event["dur"] >= 0 and threads[event["tid"]] == event["pid"]
        assert (processes[event["pid"]], event["name"]) in services
        by_id[event["args"]["traceId"], event["args"]["spanId"]] = event
    # As a viewer does: by time, and what is of one time in the order of the file.
    order = sorted(range(len(events)), key=lambda at: events[at].get("ts", 0))
    open_slices, begun, ended = collections.defaultdict(list), {}, 0
    for at in order:
        event = events[at]
        if event["ph"] == "M":
            continue
        stack = open_slices[event["tid"]]
        while stack and stack[-1]["ts"] + stack[-1]["dur"] <= event["ts"] and not (
                event["ph"] != "X" and stack[-1]["ts"] == event["ts"]):
            stack.pop()
        if event["ph"] == "X":
            if stack:
                around = stack[-1]
                assert around["ts"] + around["dur"] >= event["ts"] + event["dur"] - 0.001, "slices that overlap"
                same = (event["args"]["traceId"], event["args"].get("parentSpanId"))
                assert by_id.get(same) is around, f"{event} lies below what is not its parent"
            stack.append(event)
        elif event["ph"] == "s":
            begun[event["id"]] = stack[-1]
        else:
            assert event["bp"] == "e"
            caller, callee = begun.pop(event["id"]), stack[-1]
            assert callee["args"]["parentSpanId"] == caller["args"]["spanId"], f"an arrow from {caller} to {callee}"
            assert caller["pid"] != callee["pid"]
            ended += 1
    assert not begun, "arrows that do not end"
    return f"{len(processes)} processes, {len(threads)} lanes, {ended} arrows"


def table(spans, path):
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows = list(reader)
    assert len(rows) == len(spans), f"{len(rows)} rows of {len(spans)}"
    plain = lambda text: text[1:] if text.startswith("'") and text[1:2] in list("=+-@\t\r\n") else text
    for row, span in zip(rows, spans):
        assert None not in row and None not in row.values(), f"cells too many or too few: {row}"
        for column, cell in row.items():
            assert cell[:1] not in list("=+-@\t\r\n") or cell == "", f"{column} is a formula: {cell!r}"
        assert plain(row["trace_id"]) == span["traceId"] and plain(row["span_id"]) == span["spanId"]
        assert plain(row["parent_span_id"]) == (span.get("parentSpanId") or "")
        assert plain(row["service"]) == span["serviceName"] and plain(row["operation"]) == span["operationName"]
        assert nanos(row["start_time"]) == nanos(span["startTime"]) // 1000 * 1000
        assert abs(float(row["duration_ms"]) - max(float(span["duration"]), 0)) < 0.001
        tags = tags_of(span)
        assert row["kind"] == (tags.get("span.kind") or "")
        for column, name in [("http_url", "http.url"), ("db_statement", "db.statement"), ("http_method", "http.method")]:
            assert plain(row[column]) == (tags.get(name) or "")
        for name, value in json.loads(row["tags"]).items():
            assert tags[name] == value, (name, value)
    return f"{len(rows)} rows"


def main():
    spans = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    directory = pathlib.Path(sys.argv[2])
    # Of names that are there twice the first counts with the tracer, the last with Python; the test knows that.
    for format, check, name in [
        ("otlp", otlp, "traces.otlp.jsonl"),
        ("jaeger", jaeger, "traces.jaeger.json"),
        ("perfetto", perfetto, "traces.perfetto.json"),
        ("csv", table, "traces.csv"),
    ]:
        try:
            print(f"{format}: {check(spans, directory / name)}")
        except (AssertionError, KeyError, StopIteration, ValueError, json_format.ParseError) as error:
            raise SystemExit(f"{format}: {type(error).__name__} {error}") from error


if __name__ == "__main__":
    main()
