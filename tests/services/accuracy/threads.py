"""Blocking Python services: a thread for each connection (run as a program), or WSGI for gunicorn (`application`)."""

import http.client
import http.server
import socket
import threading
import time

import common

_kept = threading.local()


def query_database():
    """One question on this thread's connection to the database."""
    if not hasattr(_kept, "database"):
        _kept.database = socket.create_connection((common.HOST, common.DATABASE_PORT))
    _kept.database.sendall(b"*1\r\n$4\r\nPING\r\n")
    _kept.database.recv(64)


def call(incoming, name):
    """One call on this thread's connection."""
    if name == common.WAIT:
        return query_database()
    if not hasattr(_kept, "backend"):
        _kept.backend = http.client.HTTPConnection(common.HOST, common.BACKEND_PORT)
    if name == common.SAVE:
        _kept.backend.request("POST", f"/{name}", common.BODY, common.outgoing(incoming))
    else:
        _kept.backend.request("GET", f"/{name}", headers=common.outgoing(incoming))
    _kept.backend.getresponse().read()


def serve(path, incoming):
    """Makes the calls of a request; those that are made at once, each in a thread of its own."""
    for step in common.plan(path):
        if len(step) == 1:
            call(incoming, step[0])
            continue
        workers = [threading.Thread(target=call, args=(incoming, name)) for name in step]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def background():
    while True:
        time.sleep(common.BACKGROUND)
        call(common.NOBODY, "tick")


if common.BACKGROUND:
    threading.Thread(target=background, daemon=True).start()


def application(environ, start_response):
    """WSGI."""
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    serve(environ["PATH_INFO"], environ.get("HTTP_X_TRUTH_ID", common.NOBODY))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]


class Handler(http.server.BaseHTTPRequestHandler):
    """http.server's: one thread for each connection, which is kept."""

    protocol_version = "HTTP/1.1"
    # Head and body leave in one piece.
    wbufsize = -1

    def do_GET(self):
        serve(self.path, self.headers.get("x-truth-id", common.NOBODY))
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """With room for the connections of the load to arrive all at once."""

    request_queue_size = 512


if __name__ == "__main__":
    Server(("127.0.0.1", common.PORT), Handler).serve_forever()
