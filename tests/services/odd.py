"""A server that breaks rules, one way per path, for what no honest server can be made to do.

  /never        does not answer until the client goes away
  /unasked      answers, and sends a second answer that nobody asked for
  /noise        answers with bytes that are no HTTP
  /close        answers without a length and closes
  /dripped      answers one byte at a time
  anything else answers 200
"""

import os
import socketserver
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while True:
            line = self.rfile.readline(2 * 1024 * 1024)
            if not line:
                return
            while self.rfile.readline(2 * 1024 * 1024) not in (b"\r\n", b"\n", b""):
                pass
            words = line.split()
            path = words[1].decode("latin-1") if len(words) > 1 else ""
            if path.startswith("/never"):
                self.rfile.read(1)
                return
            if path.startswith("/unasked"):
                self.wfile.write(OK)
                time.sleep(0.02)
                self.wfile.write(OK)
            elif path.startswith("/noise"):
                self.wfile.write(os.urandom(4096))
                return
            elif path.startswith("/close"):
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end\n")
                return
            elif path.startswith("/dripped"):
                for byte in OK:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.001)
            else:
                self.wfile.write(OK)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
