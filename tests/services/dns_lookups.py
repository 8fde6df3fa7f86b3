"""Lookups: `glibc NAME...` through getaddrinfo, `plain PORT NAME...` each with sendto on a socket that is not connected, as musl
does, and `silent SECONDS` with a query to a socket of our own that nobody reads."""
import socket
import struct
import sys
import time


def query(number, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


how, *rest = sys.argv[1:]
if how == "glibc":
    for name in rest:
        try:
            print(name, socket.getaddrinfo(name, 80, proto=socket.IPPROTO_TCP)[0][4][0])
        except socket.gaierror as error:
            print(name, error.errno)
elif how == "plain":
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for number, name in enumerate(rest[1:]):
            client.sendto(query(number, name), ("127.0.0.1", int(rest[0])))
        for _ in rest[1:]:
            client.recvfrom(512)
else:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        deaf.bind(("127.0.0.1", 0))
        client.connect(deaf.getsockname())
        client.settimeout(float(rest[0]))
        client.send(query(7, "silent.test"))
        try:
            client.recv(512)
        except TimeoutError:
            print("nothing")
