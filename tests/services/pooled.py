"""psycopg through a connection pooler, from several connections at a time; prints one line of JSON for each call.

    pooled.py DSN CLIENTS ROUNDS PREPARED

A line is a call: its name (`q_...`, by which it is found in the server's log and in the trace), the SQLSTATE it failed with, when it began
and ended (nanoseconds since 1970), and whether its name is that of one call only. PREPARED is 1 where the pooler leaves a client its connection
to the server, so that names of prepared statements hold.
"""

import json
import sys
import threading
import time

import psycopg

DSN, CLIENTS, ROUNDS, PREPARED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1"
CALLS = []


def call(name, work, error=None, once=True):
    begin = time.time_ns()
    try:
        work()
        state = None
    except psycopg.Error as failed:
        state = failed.sqlstate
    assert state == error, f"{name}: {state}"
    CALLS.append({"name": name, "error": state, "begin": begin, "end": time.time_ns(), "once": once})


def work(conn, client):
    cur = conn.cursor()
    # What is captured of a connection that nobody has looked at yet is little, and the pooler's are new with their first call.
    cur.execute(f"SELECT 1 AS q_first_{client}, pg_sleep(0.3)")
    time.sleep(0.3)
    for turn in range(ROUNDS):
        at = f"{client}_{turn}"
        call(f"q_plain_{at}", lambda: cur.execute(f"SELECT 'it''s', 17 AS q_plain_{at}"))
        call(f"q_bound_{at}", lambda: cur.execute(f"SELECT %s::int AS q_bound_{at}, pg_sleep(0.002)", (turn,), prepare=False))
        if PREPARED:
            call(f"q_named_{client}", lambda: cur.execute(f"SELECT %s::int AS q_named_{client}", (turn,), prepare=True), once=False)
        call(f"q_zero_{at}", lambda: cur.execute(f"SELECT 1 / %s::int AS q_zero_{at}", (0,), prepare=False), "22012")
        call(f"q_absent_{at}", lambda: cur.execute(f"SELECT * FROM q_absent_{at}"), "42P01")
        with conn.transaction():
            call(f"q_inside_{at}", lambda: cur.execute(f"INSERT INTO q_rows (a) VALUES ({turn}) RETURNING a AS q_inside_{at}"))
            call(f"q_second_{at}", lambda: cur.execute(f"SELECT count(*) AS q_second_{at} FROM q_rows WHERE a = {turn}"))
        call(f"q_rows_{at}", lambda: cur.execute(f"SELECT repeat('x', 200) AS q_rows_{at} FROM generate_series(1, 200)"))


conns = [psycopg.connect(DSN, autocommit=True, prepare_threshold=None if not PREPARED else 5) for _ in range(CLIENTS)]
threads = [threading.Thread(target=work, args=pair[::-1]) for pair in enumerate(conns)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for conn in conns:
    conn.close()
for one in CALLS:
    print(json.dumps(one))
