"""frontend-api of the demonstration: hands /users on to user-service over HTTP."""

import http.client
import os

BACKEND = os.environ["BACKEND"]


def application(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else None
    connection = http.client.HTTPConnection(BACKEND)
    connection.request(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        body=body,
        headers={"Content-Type": "application/json"} if body else {},
    )
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    start_response(f"{response.status} {response.reason}", headers)
    return [answer]
