"""A web application that hands its work to Celery, and the worker's side of it.

    queue_app.py PORT     serves: /start/TRUTH queues a task, /callback/TRUTH is called by the task
    celery -A queue_app worker

The truth of each task is in the paths alone, which the tracer takes for any other.
"""

import http.client
import http.server
import os
import sys
import time

from celery import Celery

app = Celery("queue_app", broker=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
app.conf.task_acks_late = os.environ.get("LATE") == "1"
app.conf.worker_prefetch_multiplier = 1


@app.task(name="queue_app.work", ignore_result=True)
def work(truth, port):
    """Calls back, and takes a little longer than that."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    connection.request("GET", f"/callback/{truth}")
    connection.getresponse().read()
    connection.close()
    time.sleep(0.02)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers everything with ok."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Queues a task for what begins with /start/."""
        if self.path.startswith("/start/"):
            work.apply_async((self.path.split("/")[2], self.server.server_port))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        """Says nothing."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
