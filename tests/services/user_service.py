"""user-service of the demonstration: keeps users in PostgreSQL. POST /users inserts one and reads it back."""

import json
import os

import psycopg2

# In the clear, as on many a private network; the driver would encrypt if the server offered it.
DATABASE = psycopg2.connect(os.environ["DATABASE"])
DATABASE.autocommit = True


def create(cursor, user):
    cursor.execute(
        "INSERT INTO users (name, email) VALUES (%s, %s) RETURNING id", (user["name"], user["email"])
    )
    return find(cursor, cursor.fetchone()[0])


def find(cursor, number):
    cursor.execute("SELECT * FROM users WHERE id = %s", (number,))
    row = cursor.fetchone()
    return row and dict(zip(("id", "name", "email"), row))


def application(environ, start_response):
    path = environ["PATH_INFO"].strip("/").split("/")
    status, user = "404 Not Found", None
    with DATABASE.cursor() as cursor:
        if environ["REQUEST_METHOD"] == "POST" and path == ["users"]:
            user = create(cursor, json.load(environ["wsgi.input"]))
            status = "201 Created"
        elif len(path) == 2 and path[0] == "users" and path[1].isdigit():
            user = find(cursor, int(path[1]))
            status = "200 OK" if user else status
    answer = json.dumps(user).encode() + b"\n"
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    start_response(status, headers)
    return [answer]
