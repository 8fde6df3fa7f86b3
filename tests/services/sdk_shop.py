"""A shop in Flask that OpenTelemetry's own SDK watches too, for gunicorn: `sdk_shop:app`.

/order/N asks Redis, PostgreSQL and the stock service (`sdk_stock.js`), which asks back for /price/N and /quote/N. So that each call can be told
from the others, N is in every target, in every statement as part of a column's name, and the length of every key. Some calls fail, by N.

The spans stay in memory, so that writing them down takes no time from what is measured; at the end they are written to SPANS, one JSON each.
"""

import atexit
import json
import os
import threading

import psycopg
import redis
import requests
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
PsycopgInstrumentor().instrument()
RedisInstrumentor().instrument()
RequestsInstrumentor().instrument()

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)

STOCK = os.environ["STOCK"]
cache = redis.Redis.from_url(os.environ["REDIS"])
# Each thread serves one connection after the other, and has its own.
own = threading.local()


def key(letter, n):
    """As long as N says: values are not shown, lengths are."""
    return letter * (n + 1)


def database():
    """A statement is one call: nothing begins a transaction of its own accord."""
    if not hasattr(own, "database"):
        own.database = psycopg.connect(os.environ["POSTGRES"], autocommit=True)
    return own.database


def session():
    """Its connection is kept."""
    if not hasattr(own, "session"):
        own.session = requests.Session()
    return own.session


@app.get("/order/<int:n>")
def order(n):
    """One call after the other."""
    sql = database().cursor()
    cache.set(key("o", n), "open")
    sql.execute(f"SELECT %s::int AS shop_{n}_read, pg_sleep(%s)", (n, 0.004 * (n % 3)))
    sql.fetchall()
    if n % 4 == 0:
        try:
            sql.execute(f"SELECT 1 / 0 AS shop_{n}_fails")
        except psycopg.errors.DivisionByZero:
            pass
    session().get(f"{STOCK}/stock/{n}").raise_for_status()
    if n % 5 == 0:
        try:
            cache.lpush(key("o", n), "no list")
        except redis.exceptions.ResponseError:
            pass
    if n % 6 == 0:
        session().get(f"{STOCK}/missing/{n}")
    sql.execute(f"INSERT INTO orders (number, text) VALUES (%s, %s) RETURNING number AS shop_{n}_write", (n, "private"))
    cache.incrby(key("c", n), 1)
    return "ordered\n"


@app.get("/price/<int:n>")
def price(n):
    """Asked by the stock service with `fetch`."""
    cache.get(key("o", n))
    return "7\n"


@app.get("/quote/<int:n>")
def quote(n):
    """Asked by the stock service with `http`; not always with success."""
    return ("no\n", 503) if n % 7 == 0 else ("8\n", 200)


def line(span):
    """As `sdk_stock.js` writes them: times in seconds since the Unix epoch, durations in milliseconds."""
    return json.dumps(
        {
            "name": span.name,
            "kind": span.kind.name,
            "id": f"{span.context.span_id:016x}",
            "parent": f"{span.parent.span_id:016x}" if span.parent else None,
            "start": span.start_time / 1e9,
            "ms": (span.end_time - span.start_time) / 1e6,
            "failed": not span.status.is_ok and not span.status.is_unset,
            "attributes": dict(span.attributes),
        }
    )


def leave():
    """Writes the spans down."""
    with open(os.environ["SPANS"], "w", encoding="utf-8") as file:
        file.writelines(line(span) + "\n" for span in exporter.get_finished_spans())


atexit.register(leave)
