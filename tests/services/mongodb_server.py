"""A server that speaks MongoDB's wire protocol with real drivers, for there is no Debian package of MongoDB itself.

    mongodb_server.py PORT      writes a line of JSON for each request into the file LOG: command, collection, database, the error

Like mongod it reads a message's header first and then the rest, and has a thread for each connection. Documents are kept in memory; a
filter is a set of fields that are equal, or $gt.
"""

import itertools
import json
import os
import socket
import struct
import sys
import threading
import time

import bson
from bson.int64 import Int64

LOG = open(os.environ["LOG"], "a", buffering=1)
LOCK = threading.Lock()
COLLECTIONS, CURSORS = {}, {}
IDS, CURSOR_IDS = itertools.count(1), itertools.count(100)
TOPOLOGY = {"processId": bson.ObjectId(), "counter": Int64(0)}


class Failed(Exception):
    """An error of a command: its code and name."""


def receive(connection, size):
    """So many bytes, or None at the end."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            return None
        data += part
    return data


def matches(document, query):
    """Whether a document is asked for."""
    for key, wanted in query.items():
        value = document.get(key)
        if isinstance(wanted, dict):
            if not (value is not None and value > wanted["$gt"]):
                return False
        elif value != wanted:
            return False
    return True


def cursor(namespace, documents, size, name="firstBatch"):
    """An answer with documents, and what is left of them under the number of a cursor."""
    number = 0
    if size and len(documents) > size:
        number = next(CURSOR_IDS)
        CURSORS[number] = documents[size:]
        documents = documents[:size]
    return {"cursor": {name: documents, "id": Int64(number), "ns": namespace}, "ok": 1.0}


def execute(command, name, collection, database):
    """The answer to a command."""
    namespace = f"{database}.{collection}"
    documents = COLLECTIONS.get(namespace, [])
    if name in ("hello", "isMaster", "ismaster"):
        return {
            "helloOk": True, "ismaster": True, "isWritablePrimary": True, "topologyVersion": TOPOLOGY,
            "maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
            "logicalSessionTimeoutMinutes": 30, "connectionId": 1, "minWireVersion": 0, "maxWireVersion": 21,
            "readOnly": False, "ok": 1.0,
        }
    if name in ("ping", "endSessions", "killCursors"):
        return {"ok": 1.0}
    if name == "buildInfo":
        return {"version": "7.0.0", "ok": 1.0}
    if name == "insert":
        errors = []
        known = COLLECTIONS.setdefault(namespace, [])
        for index, document in enumerate(command["documents"]):
            if any(other["_id"] == document["_id"] for other in known):
                text = f"E11000 duplicate key error, dup key: {document['_id']}"
                errors.append({"index": index, "code": 11000, "errmsg": text})
                break
            known.append(document)
        count = len(command["documents"]) - len(errors)
        return {"n": count, **({"writeErrors": errors} if errors else {}), "ok": 1.0}
    if name == "update":
        count = 0
        for update in command["updates"]:
            for document in documents:
                if matches(document, update["q"]):
                    document.update(update["u"].get("$set", {}))
                    count += 1
        return {"n": count, "nModified": count, "ok": 1.0}
    if name == "delete":
        before = len(documents)
        for delete in command["deletes"]:
            documents[:] = [document for document in documents if not matches(document, delete["q"])]
        return {"n": before - len(documents), "ok": 1.0}
    if name == "find":
        found = [document for document in documents if matches(document, command.get("filter", {}))]
        return cursor(namespace, found[: command.get("limit") or None], command.get("batchSize", 101))
    if name == "getMore":
        left = CURSORS.pop(command["getMore"], None)
        if left is None:
            raise Failed(43, "CursorNotFound")
        return cursor(f"{database}.{command['collection']}", left, command.get("batchSize", 0), "nextBatch")
    if name == "aggregate":
        found = [document for document in documents if matches(document, command["pipeline"][0].get("$match", {}))]
        return cursor(namespace, [{"_id": 1, "n": len(found)}], 0)
    if name == "drop":
        if COLLECTIONS.pop(namespace, None) is None:
            raise Failed(26, "NamespaceNotFound")
        return {"ns": namespace, "ok": 1.0}
    raise Failed(59, "CommandNotFound")


def sections(body):
    """The command of an OP_MSG, with the documents that stand beside it."""
    at, command, beside = 4, None, {}
    while at < len(body):
        kind, (size,) = body[at], struct.unpack_from("<i", body, at + 1)
        if kind == 0:
            command = bson.decode(body[at + 1 : at + 1 + size])
        else:
            name, _, documents = body[at + 5 : at + 1 + size].partition(b"\0")
            beside[name.decode()] = bson.decode_all(documents)
        at += 1 + size
    return {**command, **beside}


def send(connection, to, old, more, answer):
    """An answer, as it was asked for. Returns its number."""
    number = next(IDS)
    if old:
        body, op = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(answer), 1
    else:
        body, op = struct.pack("<IB", 2 if more else 0, 0) + bson.encode(answer), 2013
    connection.sendall(struct.pack("<iiii", 16 + len(body), number, to, op) + body)
    return number


def stream(connection, number, command):
    """A monitor's hello is answered again and again."""
    wait = command["maxAwaitTimeMS"] / 1000
    while True:
        time.sleep(wait)
        number = send(connection, number, False, True, execute(command, "hello", "", "admin"))


def serve(connection):
    """Answers requests until the client closes."""
    while header := receive(connection, 16):
        size, number, _, op = struct.unpack("<iiii", header)
        body = receive(connection, size - 16)
        if op == 2004:
            namespace, _, rest = body[4:].partition(b"\0")
            command, flags = bson.decode(rest[8:]), 0
            command["$db"] = namespace.decode().split(".")[0]
        else:
            (flags,) = struct.unpack_from("<I", body)
            command = sections(body)
        name = next(iter(command))
        collection = command["collection"] if name == "getMore" else command[name]
        collection = collection if isinstance(collection, str) else None
        error = None
        awaits = "maxAwaitTimeMS" in command
        if awaits:
            time.sleep(command["maxAwaitTimeMS"] / 1000)
        with LOCK:
            try:
                answer = execute(command, name, collection, command["$db"])
            except Failed as failure:
                code, word = failure.args
                answer, error = {"ok": 0.0, "errmsg": "it failed", "code": code, "codeName": word}, word
            for write in answer.get("writeErrors", []):
                error = str(write["code"])
            line = [name, collection, command["$db"], error]
            LOG.write(json.dumps(line) + "\n")
        if not flags & 2:
            more = awaits and bool(flags & 1 << 16)
            sent = send(connection, number, op == 2004, more, answer)
            if more:
                stream(connection, sent, command)


def guarded(connection):
    """A client that goes is no error."""
    try:
        with connection:
            serve(connection)
    except OSError:
        pass


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
while True:
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=guarded, args=(accepted,), daemon=True).start()
