"""gRPC calls without generated code: `grpc_calls.py server` and `grpc_calls.py client` (PORT, LOG, STREAMS in the environment).

Messages are bytes. Methods of /made.Up/: Echo answers what it got; Fail answers with the status that the message names; Slow waits 30 ms;
Count sends as many messages as the message says; Chat answers each message; Sum takes messages and answers with their number;
Hang waits until it is cancelled; Large answers with as many bytes as the message says. The client makes the calls that the lines of its standard input name (`Echo
0 500`: a method, numbers from and to), all on one connection, STREAMS at a time, and answers `done`. Either side writes down each call, the
client with the status that it was told and how long it took.
"""

import concurrent.futures
import json
import os
import sys
import threading
import time

import grpc

LOG = open(os.environ["LOG"], "a", buffering=1, encoding="ascii")
LOCK = threading.Lock()
PORT = os.environ["PORT"]
STREAMS = int(os.environ.get("STREAMS", "100"))


def write(**what):
    with LOCK:
        LOG.write(json.dumps(what) + "\n")


def number_of(context):
    return int(dict(context.invocation_metadata())["x-number"])


def logged(method, context, start, code=0):
    write(method=method, number=number_of(context), code=code, ms=(time.monotonic_ns() - start) / 1e6)


def echo(message, context):
    start = time.monotonic_ns()
    logged("Echo", context, start)
    return message


def fail(message, context):
    start = time.monotonic_ns()
    code = int(message)
    logged("Fail", context, start, code)
    context.abort([one for one in grpc.StatusCode if one.value[0] == code][0], "a text with secrets in it")


def slow(message, context):
    start = time.monotonic_ns()
    time.sleep(0.03)
    logged("Slow", context, start)
    return message


def large(message, context):
    logged("Large", context, time.monotonic_ns())
    return b"l" * int(message)


def count(message, context):
    start = time.monotonic_ns()
    for step in range(int(message)):
        time.sleep(0.002)
        yield str(step).encode()
    logged("Count", context, start)


def chat(messages, context):
    start = time.monotonic_ns()
    for message in messages:
        yield message
    logged("Chat", context, start)


def total(messages, context):
    start = time.monotonic_ns()
    many = sum(1 for _ in messages)
    logged("Sum", context, start)
    return str(many).encode()


def hang(_message, context):
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(5)
    return b""


def serve():
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
        "Large": grpc.unary_unary_rpc_method_handler(large),
        "Hang": grpc.unary_unary_rpc_method_handler(hang),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Sum": grpc.stream_unary_rpc_method_handler(total),
    }
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=STREAMS))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("made.Up", handlers),))
    server.add_insecure_port(f"127.0.0.1:{PORT}")
    server.start()
    server.wait_for_termination()


def call(channel, method, number):
    path = f"/made.Up/{method}"
    options = {"metadata": (("x-number", str(number)),), "timeout": 20}
    start = time.monotonic_ns()
    code = 0
    try:
        match method:
            case "Count":
                assert len(list(channel.unary_stream(path)(b"5", **options))) == 5
            case "Chat":
                sent = (str(step).encode() for step in range(4))
                assert len(list(channel.stream_stream(path)(sent, **options))) == 4
            case "Sum":
                assert channel.stream_unary(path)((b"x" for _ in range(4)), **options) == b"4"
            case "Fail":
                channel.unary_unary(path)(str(1 + number % 16).encode(), **options)
            case "Hang":
                asked = channel.unary_unary(path).future(b"", metadata=options["metadata"])
                time.sleep(0.05)
                asked.cancel()
                code = asked.code().value[0]
            case "Large":
                assert len(channel.unary_unary(path)(b"50000", **options)) == 50000
            case _:
                assert channel.unary_unary(path)(b"a message", **options) == b"a message"
    except grpc.RpcError as error:
        code = error.code().value[0]
    write(method=method, number=number, code=code, ms=(time.monotonic_ns() - start) / 1e6)


def client():
    with (
        grpc.insecure_channel(f"127.0.0.1:{PORT}") as channel,
        concurrent.futures.ThreadPoolExecutor(max_workers=STREAMS) as pool,
    ):
        for line in sys.stdin:
            method, first, end = line.split()
            calls = [pool.submit(call, channel, method, number) for number in range(int(first), int(end))]
            for done in calls:
                done.result()
            print("done", flush=True)


if sys.argv[1] == "server":
    serve()
else:
    client()
