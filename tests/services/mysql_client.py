"""Statements through PyMySQL, several connections at a time. Prints one line a statement: marker, start and end in nanoseconds.

The marker is the name of a column, which is no literal, so that it stands in what is shown of the statement.
"""
import sys
import threading
import time

import pymysql

port, name, connections, rounds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
lines = []


def timed(cursor, marker, statement, values=None):
    start = time.time_ns()
    error = "-"
    try:
        cursor.execute(statement, values)
        cursor.fetchall()
        while cursor.nextset():
            pass
    except pymysql.MySQLError as failed:
        error = str(failed.args[0])
    lines.append(f"{marker} {start} {time.time_ns()} {error}")


def work(number):
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root", database="shop", autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT SLEEP(0.4)")
        cursor.fetchall()
        for turn in range(rounds):
            marker = f"{name}_{number}_{turn}"
            kind = turn % 6
            if kind == 0:
                timed(cursor, marker, f"SELECT id AS {marker} FROM items WHERE name = 'secret%s'", (turn,))
            elif kind == 1:
                # Far more than is captured of an answer.
                timed(cursor, marker, f"SELECT id, name, body AS {marker} FROM items")
            elif kind == 2:
                timed(cursor, marker, f"INSERT INTO log (n, text) SELECT 1 AS {marker}, %s", ("x" * 3000,))
            elif kind == 3:
                timed(cursor, marker, f"SELECT {marker} FROM nowhere")
            elif kind == 4:
                # Two results, and a status.
                timed(cursor, marker, f"CALL results(@{marker})")
            else:
                timed(cursor, marker, f"SELECT SLEEP(0.01) AS {marker}")
    connection.close()


setup = pymysql.connect(host="127.0.0.1", port=port, user="root", database="shop")
with setup.cursor() as cursor:
    cursor.execute("CREATE PROCEDURE results(IN unused INT) BEGIN SELECT 1; SELECT id, name FROM items LIMIT 3; END")
setup.close()
threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\n".join(lines))
