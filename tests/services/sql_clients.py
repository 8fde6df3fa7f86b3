"""Calls a PostgreSQL server through one library, from several connections at a time, and writes down each call.

    sql_clients.py LIBRARY DSN CLIENTS DIRECTORY

Each statement has a name of its own in it (`q_...`), by which it is found in the server's log and in the trace. A line of
DIRECTORY/calls.json is one call: its name, the SQLSTATE it failed with, when it began and ended (nanoseconds since 1970) as
seen by the caller. All connections are open, and have been used, before DIRECTORY/ready is made; work begins when
DIRECTORY/go is there.
"""

import asyncio
import json
import os
import sys
import threading
import time

LIBRARY, DSN, CLIENTS, DIRECTORY = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
ROUNDS = 4
calls = []


def path(name):
    return os.path.join(DIRECTORY, name)


class call:
    """One call, with or without `with`'s exception."""

    def __init__(self, name, error=None, once=True):
        self.name, self.error, self.once = name, error, once

    def __enter__(self):
        self.begin = time.time_ns()

    def __exit__(self, kind, value, trace):
        end = time.time_ns()
        state = "timeout" if isinstance(value, TimeoutError) else getattr(value, "sqlstate", None)
        calls.append({"name": self.name, "error": state, "begin": self.begin, "end": end, "once": self.once})
        if value is None:
            assert self.error is None, f"{self.name} did not fail"
        return value is not None and state == self.error and state is not None


def work_psycopg(conn, client):
    import psycopg

    cur = conn.cursor()
    # What is captured of a connection that nobody has looked at yet is little: see docs/protocols.md.
    cur.execute(f"SELECT 1 AS q_first_{client}")
    time.sleep(0.5)
    for round in range(ROUNDS):
        at = f"{client}_{round}"
        with call(f"q_plain_{at}"):
            cur.execute(f"SELECT 'it''s', 17 AS q_plain_{at}")
        with call(f"q_bound_{at}"):
            cur.execute(f"SELECT %s::int AS q_bound_{at}, pg_sleep(0.002)", (round,), prepare=False)
        with call(f"q_prepared_{client}", once=False):
            cur.execute(f"SELECT %s::int AS q_prepared_{client}", (round,), prepare=True)
        with call(f"q_zero_{at}", error="22012"):
            cur.execute(f"SELECT 1 / %s::int AS q_zero_{at}", (0,))
        with call(f"q_absent_{at}", error="42P01"):
            cur.execute(f"SELECT * FROM q_absent_{at}")
        with call(f"q_rows_{at}"):
            cur.execute(f"SELECT repeat('x', 200) AS q_rows_{at} FROM generate_series(1, 4000)")
            assert len(cur.fetchall()) == 4000
        with call(f"q_long_{at}"):
            cur.execute(f"SELECT length(%s::text) AS q_long_{at}", ("x" * 100_000,), prepare=False)
        with call(f"q_text_{at}"):
            cur.execute(f"SELECT 1 AS q_text_{at}, length('{'y' * 50_000}')")
        with conn.transaction():
            with call(f"q_inside_{at}"):
                cur.execute(f"INSERT INTO q_rows (a) VALUES (1), (2), (3) RETURNING a AS q_inside_{at}")
        with call(f"q_copy_{client}", once=False):
            with cur.copy(f"COPY q_copy_{client} (a) FROM STDIN") as copy:
                for _ in range(300):
                    copy.write(("z" * 1000 + "\n").encode())
        with call(f"q_out_{at}"):
            with cur.copy(f"COPY (SELECT a AS q_out_{at} FROM q_copy_{client} LIMIT 300) TO STDOUT") as copy:
                assert sum(1 for _ in copy) >= 1
        with conn.pipeline():
            for part in range(3):
                cur.execute(f"SELECT %s::int AS q_pipe_{at}_{part}", (part,), prepare=False)
        cur.executemany(f"SELECT %s::int AS q_many_{at}", [(part,) for part in range(5)])
    # The cancellation comes on a connection of its own, and is no call.
    threading.Timer(0.05, conn.cancel).start()
    with call(f"q_cancelled_{client}", error="57014"):
        cur.execute(f"SELECT pg_sleep(30) AS q_cancelled_{client}")
    with call(f"q_after_{client}"):
        cur.execute(f"SELECT 1 AS q_after_{client}")


def run_psycopg():
    import psycopg

    conns = [psycopg.connect(DSN, autocommit=True) for _ in range(CLIENTS)]
    for client, conn in enumerate(conns):
        conn.execute(f"CREATE TABLE IF NOT EXISTS q_copy_{client} (a text)")
        conn.execute("CREATE TABLE IF NOT EXISTS q_rows (a int)") if client == 0 else None
        conn.execute(f"SELECT %s::int AS q_prepared_{client}", (0,), prepare=True) if LATE else None
    wait()
    threads = [threading.Thread(target=work_psycopg, args=pair[::-1]) for pair in enumerate(conns)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def work_asyncpg(conn, client):
    await conn.execute(f"SELECT 1 AS q_first_{client}")
    await asyncio.sleep(0.5)
    for round in range(ROUNDS):
        at = f"{client}_{round}"
        with call(f"q_plain_{at}"):
            await conn.execute(f"SELECT 'it''s', 17 AS q_plain_{at}")
        with call(f"q_bound_{at}"):
            await conn.fetch(f"SELECT $1::int AS q_bound_{at}, pg_sleep(0.002)", round)
        with call(f"q_prepared_{client}", once=False):
            await conn.fetch(f"SELECT $1::int AS q_prepared_{client}", round)
        with call(f"q_zero_{at}", error="22012"):
            await conn.fetch(f"SELECT 1 / $1::int AS q_zero_{at}", 0)
        with call(f"q_absent_{at}", error="42P01"):
            await conn.fetch(f"SELECT * FROM q_absent_{at} WHERE a = $1", 1)
        with call(f"q_rows_{at}"):
            rows = await conn.fetch(f"SELECT repeat('x', 200) AS q_rows_{at} FROM generate_series(1, $1::int)", 4000)
            assert len(rows) == 4000
        with call(f"q_long_{at}"):
            await conn.fetch(f"SELECT length($1::text) AS q_long_{at}", "x" * 100_000)
        async with conn.transaction():
            with call(f"q_inside_{at}"):
                await conn.fetch(f"INSERT INTO q_rows (a) VALUES ($1) RETURNING a AS q_inside_{at}", round)
            with call(f"q_cursor_{at}", once=False):
                async for _ in conn.cursor(f"SELECT generate_series(1, $1::int) AS q_cursor_{at}", 25, prefetch=10):
                    pass
        with call(f"q_copy_{client}", once=False):
            await conn.copy_records_to_table(f"q_copy_{client}", records=[("z" * 1000,)] * 300)
        with call(f"q_many_{at}", once=False):
            await conn.executemany(f"SELECT $1::int AS q_many_{at}", [(part,) for part in range(5)])
    # It asks the server to cancel what takes too long, on a connection of its own, which is no call.
    with call(f"q_cancelled_{client}", error="timeout", once=False):
        await conn.execute(f"SELECT pg_sleep(30) AS q_cancelled_{client}", timeout=0.05)
    with call(f"q_after_{client}"):
        await conn.execute(f"SELECT 1 AS q_after_{client}")


async def run_asyncpg():
    import asyncpg

    conns = [await asyncpg.connect(DSN) for _ in range(CLIENTS)]
    await conns[0].execute("CREATE TABLE IF NOT EXISTS q_rows (a int)")
    for client, conn in enumerate(conns):
        await conn.execute(f"CREATE TABLE IF NOT EXISTS q_copy_{client} (a text)")
        if LATE:
            await conn.fetch(f"SELECT $1::int AS q_prepared_{client}", 0)
    wait()
    await asyncio.gather(*(work_asyncpg(conn, client) for client, conn in enumerate(conns)))


def wait():
    open(path("ready"), "w").close()
    while not os.path.exists(path("go")):
        time.sleep(0.01)


LATE = os.environ.get("LATE") == "1"
if LIBRARY == "psycopg":
    run_psycopg()
else:
    asyncio.run(run_asyncpg())
with open(path("calls.json"), "w") as file:
    for one in calls:
        print(json.dumps(one), file=file)
