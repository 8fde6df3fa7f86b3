"""WebSocket: `websocket.py server PORT` echoes; `websocket.py client PORT PATH CONNECTIONS MESSAGES` has conversations at the same time.

The client prints for each connection how many bytes of messages it sent and received, and how many milliseconds opening it took.
"""
import asyncio
import sys
import time

import websockets


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def talk(port, path, number, messages):
    start = time.monotonic()
    moved = 0
    async with websockets.connect(f"ws://127.0.0.1:{port}{path}{number}", compression=None) as connection:
        opened = (time.monotonic() - start) * 1e3
        for turn in range(messages):
            # Some begin as a request does, which they are not.
            message = "GET /inside HTTP/1.1\r\nHost: h\r\n\r\n" + "m" * (turn * 997 % 20000)
            await connection.send(message)
            assert await connection.recv() == message
            moved += 2 * len(message)
    print(number, moved, opened)


async def serve(port):
    async with websockets.serve(echo, "127.0.0.1", port, compression=None):
        await asyncio.Future()


async def client(port, path, connections, messages):
    await asyncio.gather(*(talk(port, path, number, messages) for number in range(connections)))


if sys.argv[1] == "server":
    asyncio.run(serve(int(sys.argv[2])))
else:
    asyncio.run(client(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
