#!/usr/bin/env python3
"""Reads a .tcap file without the tracer: written from docs/capture-format.md and docs/capture.proto alone.

    tcap.py FILE    prints JSON objects, one a line: {"description": ...}, {"exchange": ...} for each request with
                    its response, {"ledger": ...}, and {"reading": ...}: what was not read

Exit code 2: no capture, or not whole. It proves that the description suffices: the end-to-end tests compare it with the
tracer's own spans. Of Debian it needs python3-protobuf, protobuf-compiler and python3-lz4.
"""

import datetime
import importlib
import ipaddress
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import lz4.block
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

MAGIC, SYNC = b"\x89tcap\r\n\x1a", b"\xf7FRM"
HEAD = struct.Struct("<4sBBHIIII")
LONGEST = 16 << 20
DESCRIPTION, BATCH, CLOCK, LEDGER, END, LEARNED = 1, 2, 3, 4, 5, 7


def messages():
    """The Python classes of docs/capture.proto."""
    docs = pathlib.Path(__file__).resolve().parents[2] / "docs"
    with tempfile.TemporaryDirectory() as made:
        subprocess.run(["protoc", f"-I{docs}", f"--python_out={made}", "capture.proto"], check=True)
        sys.path.insert(0, made)
        return importlib.import_module("capture_pb2")


def head_at(data, at):
    """A frame's head, if one is there: (kind, packing, stored, plain, payload_crc)."""
    if at + HEAD.size > len(data):
        return None
    sync, kind, packing, _, stored, plain, payload_crc, head_crc = HEAD.unpack_from(data, at)
    right = sync == SYNC and max(stored, plain) <= LONGEST and zlib.crc32(data[at:at + HEAD.size - 4]) == head_crc
    return (kind, packing, stored, plain, payload_crc) if right else None


def unpacked(packing, stored, plain, crc):
    """A payload as it was; None if it is not whole."""
    if zlib.crc32(stored) != crc or packing not in (0, 1):
        return None
    try:
        payload = stored if packing == 0 else lz4.block.decompress(stored, uncompressed_size=plain)
    except lz4.block.LZ4BlockError:
        return None
    return payload if len(payload) == plain else None


def frames(data, reading):
    """The whole frames: (kind, payload). What is damaged is noted and passed over."""
    at = 12
    while at < len(data):
        head = head_at(data, at)
        if head is None:
            after = data.find(SYNC, at + 1)
            while after != -1 and head_at(data, after) is None:
                after = data.find(SYNC, after + 1)
            if after == -1:
                break  # A tail that is cut off, or damage up to the end.
            reading["damaged"].append({"offset": at, "bytes": after - at})
            at = after
            continue
        kind, packing, stored, plain, crc = head
        end = at + HEAD.size + stored
        if end > len(data):
            break
        payload = unpacked(packing, data[at + HEAD.size:end], plain, crc)
        if payload is None:
            reading["damaged"].append({"offset": at, "bytes": end - at})
        elif kind == END:
            return
        else:
            yield kind, payload
        at = end
    reading["cut_off_at"] = at


class Capture:
    """What is known while a capture is read."""

    def __init__(self, proto, description, reading):
        self.proto, self.clock, self.reading = proto, description.clock, reading
        self.ends = {}  # (name, born) -> Open
        self.programs = {}  # pid -> path of the program
        self.open = {}  # (name, born, number) -> the exchange so far

    def unix(self, base, time):
        """Nanoseconds since 1970 of a time in a batch."""
        return self.clock.unix + (base + time) % 2**64 - self.clock.monotonic

    def who(self, base, stamp):
        """Which thread moved bytes, and what it was doing."""
        woken = self.unix(base, stamp.woken) if stamp.waker else None
        who = {"thread": stamp.tid, "turn": stamp.turn, "waker": stamp.waker, "waker_turn": stamp.waker_turn, "woken_ns": woken}
        return who | {"at_ns": self.unix(base, stamp.at), "task": stamp.task, "parent_task": stamp.parent_task}

    def batch(self, batch):
        """Yields the exchanges that end in a batch."""
        for item in batch.items:
            kind = item.WhichOneof("kind")
            try:
                yield from self.observation(batch, kind, getattr(item, kind) if kind else None)
            except (IndexError, ValueError):  # A position outside of its list; an enum's value of a later version.
                self.reading["unknown_observations"] += 1

    def observation(self, batch, kind, it):
        """Takes one; yields an exchange if it was its end."""
        if kind is None:
            raise ValueError("of a later version")
        if kind in ("open", "request", "response", "end", "close"):
            end = (batch.conns[it.conn].name, batch.conns[it.conn].born)
        if kind == "open":
            self.ends[end] = {"remote": f"[{ipaddress.ip_address(it.remote)}]:{it.remote_port}" if it.local else "unix"}
        elif kind == "process":
            self.programs[it.pid] = it.exe if it.HasField("exe") else it.comm
        elif kind == "change" and self.proto.What.Name(it.what) != "WHAT_FORK":
            self.programs.pop(it.stamp.tgid, None)
        elif kind == "request":
            first = self.unix(batch.base, it.first)
            self.open[end + (it.number,)] = {
                "pid": it.stamp.tgid,
                "program": self.programs.get(it.stamp.tgid),
                "side": "client" if it.client else "server",
                "method": batch.texts[it.method],
                "target": it.target,
                "host": batch.texts[it.host - 1] if it.host else None,
                "headers": {batch.texts[kept.name]: kept.value for kept in it.kept},
                "status": None, "outcome": None,
                "request_by": self.who(batch.base, it.stamp), "response_by": None, "last_by": None,
                "start_ns": first, "end_ns": max(first, self.unix(batch.base, it.stamp.at)),
                **self.ends.get(end, {}),
            }
        elif kind == "response" and (exchange := self.open.get(end + (it.number,))):
            end_ns = max(exchange["start_ns"], self.unix(batch.base, it.stamp.at))
            exchange.update(status=it.status, end_ns=end_ns, response_by=self.who(batch.base, it.stamp))
        elif kind == "end":
            outcome = self.proto.Outcome.Name(it.outcome)[len("OUTCOME_"):].lower().replace("_", "-")
            if exchange := self.open.pop(end + (it.number,), None):
                exchange.update(outcome=outcome, request_bytes=it.request_bytes, response_bytes=it.response_bytes)
                exchange["end_ns"] = max(exchange["start_ns"], self.unix(batch.base, it.end))
                exchange["last_by"] = {"thread": it.by_tid, "turn": it.by_turn}
                yield self.finished(exchange)
        elif kind == "close":
            self.ends.pop(end, None)

    def finished(self, exchange):
        """An exchange as it is printed."""
        exchange["program"] = exchange["program"] or self.programs.get(exchange["pid"])
        return exchange | {"start": time_of_day(exchange["start_ns"]), "end": time_of_day(exchange["end_ns"])}


def time_of_day(nanos):
    moment = datetime.datetime.fromtimestamp(nanos // 10**9, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos % 10**9:09}Z"


def read(data, proto):
    """Yields what is printed; the last is {"reading": ...}."""
    if data[:8] != MAGIC or len(data) < 12:
        raise ValueError("it does not begin as a capture does (offset 0)")
    major, minor = struct.unpack_from("<HH", data, 8)
    if major != 1:
        raise ValueError(f"it has version {major}.{minor} of the format (offset 8); this program reads version 1")
    reading = {"damaged": [], "cut_off_at": None, "unknown_frames": {}, "unknown_observations": 0, "clocks": 0}
    whole = frames(data, reading)
    kind, payload = next(whole, (None, None))
    if kind == CLOCK and reading["damaged"]:
        description = proto.Description(clock=proto.Clock.FromString(payload))
    elif kind == DESCRIPTION:
        description = proto.Description.FromString(payload)
    else:
        raise ValueError("its description and the clock behind it (from offset 12 on) are damaged or missing")
    yield {"description": MessageToDict(description, preserving_proto_field_name=True)}
    capture = Capture(proto, description, reading)
    for kind, payload in whole:
        if kind == BATCH:
            yield from ({"exchange": exchange} for exchange in capture.batch(proto.Batch.FromString(payload)))
        elif kind == CLOCK:
            reading["clocks"] += 1
        elif kind == LEDGER:
            yield {"ledger": json.loads(payload)}
        elif kind == LEARNED:
            # Of no use to whoever does not infer links; but it must be what the schema says.
            proto.Learned.FromString(payload)
        else:
            reading["unknown_frames"][kind] = reading["unknown_frames"].get(kind, 0) + 1
    yield from ({"exchange": capture.finished(exchange)} for exchange in capture.open.values())
    yield {"reading": reading}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        for value in read(pathlib.Path(sys.argv[1]).read_bytes(), messages()):
            print(json.dumps(value))
    except (ValueError, OSError, DecodeError) as problem:
        print(f"{sys.argv[1]}: {problem}", file=sys.stderr)
        sys.exit(2)
    sys.exit(2 if value["reading"]["damaged"] or value["reading"]["cut_off_at"] is not None else 0)
