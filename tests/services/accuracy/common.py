"""What the Python services of the accuracy harness share: which calls a path makes, ids, the truth file.

A path's plan is a list of steps; the calls of one step are made at once, the steps one after the other. The id of a
request stands in the header x-truth-id, which the tracer does not look at; every call gets a fresh one, and the pair is
written down.
"""

import os
import random
import secrets

HOST, BACKEND_PORT = os.environ["BACKEND"].rsplit(":", 1)
BACKEND_PORT = int(BACKEND_PORT)
DATABASE_PORT = int(os.environ["DATABASE"].rsplit(":", 1)[1])
PORT = int(os.environ["PORT"])
#: Milliseconds between two calls that belong to nobody; 0: none are made.
BACKGROUND = int(os.environ.get("BACKGROUND", "0")) / 1000
#: The call that is not HTTP.
WAIT = "db"
#: The call that sends a body, as the request does that asks for it.
SAVE = "save"
BODY = b'{"item": "0123456789abcdef0123456789abcdef", "count": 12}'
#: Who calls when nobody asked.
NOBODY = "-"

PLANS = {
    "/front": [["b"], ["c"]],
    "/other": [["c"], ["d"]],
    "/fan": [["b", "c"]],
    "/repeat": [["b"], ["b"], ["b"]],
    "/skip": [["b"], ["c"]],
    "/db": [[WAIT], ["b"]],
    "/post": [[SAVE], ["c"]],
}

_truth = os.open(os.environ["TRUTH"], os.O_WRONLY | os.O_APPEND)


def plan(path):
    """The steps of a path. /skip leaves out three calls of ten."""
    steps = PLANS.get(path.split("?")[0], [])
    if path.startswith("/skip"):
        steps = [step for step in steps if random.random() >= 0.3]
    return steps


def outgoing(incoming):
    """The headers of a call, which is written down."""
    fresh = secrets.token_hex(8)
    os.write(_truth, f"{incoming} {fresh}\n".encode())
    return {"x-truth-id": fresh}
