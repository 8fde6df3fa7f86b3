"""A WSGI service: /item/ at once, /slow/ after 20 ms, /missing/ not at all, /front calls the backend twice."""

import http.client
import os
import secrets
import sys
import time
import urllib.parse

BACKEND = os.environ.get("BACKEND")
TRUTH = os.environ.get("TRUTH")

# The access log's clock is read by Python code. A thread that returns from recv() waits for the interpreter, up to
# this long per other running thread, before it can read that clock; the default is 5 ms.
sys.setswitchinterval(0.0002)


def call_backend(incoming):
    """One blocking call with a fresh id, on a connection of its own."""
    outgoing = secrets.token_hex(8)
    with open(TRUTH, "a") as truth:
        truth.write(f"{incoming} {outgoing}\n")
    connection = http.client.HTTPConnection(BACKEND)
    connection.request("GET", f"/b?truth={outgoing}")
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return body if response.status == 200 else None


def application(environ, start_response):
    path = environ["PATH_INFO"]
    status, body = "200 OK", b"ok\n"
    if path == "/front":
        query = urllib.parse.parse_qs(environ["QUERY_STRING"])
        incoming = query.get("truth", ["-"])[0]
        answers = [call_backend(incoming), call_backend(incoming)]
        if None in answers:
            status, body = "502 Bad Gateway", b"backend\n"
    elif path.startswith("/slow/"):
        time.sleep(0.02)
    elif path.startswith("/missing/"):
        status, body = "404 Not Found", b"no\n"
    elif path.startswith("/upload/"):
        received = sum(len(chunk) for chunk in iter(lambda: environ["wsgi.input"].read(65536), b""))
        body = f"{received}\n".encode()
    elif path.startswith("/chunked/"):
        # No length: an HTTP/1.1 server sends it in chunks.
        start_response(status, [("Content-Type", "text/plain")])
        return (b"piece %d\n" % n for n in range(5))
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
