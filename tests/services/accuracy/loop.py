"""Python services on an event loop: `loop.py asyncio|uvloop|pool|uvicorn`.

asyncio and uvloop serve and call with aiohttp; pool serves with aiohttp and calls in 16 threads with a blocking client;
uvicorn serves with FastAPI and calls with httpx.
"""

import asyncio
import concurrent.futures
import contextlib
import sys

import common

URL = f"http://{common.HOST}:{common.BACKEND_PORT}"
MODE = sys.argv[1] if len(sys.argv) > 1 else "asyncio"


class Database:
    """A pool of connections to the database."""

    def __init__(self):
        self.idle = []

    async def query(self):
        """One question."""
        if self.idle:
            reader, writer = self.idle.pop()
        else:
            reader, writer = await asyncio.open_connection(common.HOST, common.DATABASE_PORT)
        writer.write(b"*1\r\n$4\r\nPING\r\n")
        await reader.readline()
        self.idle.append((reader, writer))


async def serve(call, path, incoming):
    """Makes the calls of a request."""
    for step in common.plan(path):
        if len(step) == 1:
            await call(incoming, step[0])
        else:
            await asyncio.gather(*(call(incoming, name) for name in step))


@contextlib.asynccontextmanager
async def background(call):
    """Calls that belong to nobody, as long as this is open."""

    async def tick():
        while True:
            await asyncio.sleep(common.BACKGROUND)
            await call(common.NOBODY, "tick")

    task = asyncio.create_task(tick()) if common.BACKGROUND else None
    yield
    if task:
        task.cancel()


def threaded():
    """Calls in a pool of threads."""
    import threads

    pool = concurrent.futures.ThreadPoolExecutor(16)

    async def call(incoming, name):
        await asyncio.get_running_loop().run_in_executor(pool, threads.call, incoming, name)

    return call


async def with_aiohttp():
    """Serves for ever."""
    import aiohttp
    from aiohttp import web

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    database = Database()

    async def call(incoming, name):
        if name == common.WAIT:
            return await database.query()
        method, body = ("POST", common.BODY) if name == common.SAVE else ("GET", None)
        headers = common.outgoing(incoming)
        async with session.request(method, f"{URL}/{name}", data=body, headers=headers) as response:
            await response.read()

    if MODE == "pool":
        call = threaded()

    async def handle(request):
        if request.method == "POST":
            await request.read()
        await serve(call, request.path, request.headers.get("x-truth-id", common.NOBODY))
        return web.Response(text="ok\n")

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    async with background(call):
        await web.TCPSite(runner, "127.0.0.1", common.PORT, backlog=512).start()
        await asyncio.Event().wait()


def with_fastapi():
    """Serves for ever."""
    import fastapi
    import httpx
    import uvicorn

    # Its own limits, 100 connections of which 20 are kept: without them its pool takes time by the square of them.
    client = httpx.AsyncClient(timeout=60)
    database = Database()

    async def call(incoming, name):
        if name == common.WAIT:
            return await database.query()
        if name == common.SAVE:
            await client.post(f"{URL}/{name}", content=common.BODY, headers=common.outgoing(incoming))
        else:
            await client.get(f"{URL}/{name}", headers=common.outgoing(incoming))

    @contextlib.asynccontextmanager
    async def lifespan(_):
        async with background(call):
            yield

    app = fastapi.FastAPI(lifespan=lifespan)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def handle(request: fastapi.Request):
        if request.method == "POST":
            await request.body()
        await serve(call, request.url.path, request.headers.get("x-truth-id", common.NOBODY))
        return fastapi.Response("ok\n")

    uvicorn.run(app, host="127.0.0.1", port=common.PORT, log_level="warning", backlog=512, loop="asyncio")


if MODE == "uvicorn":
    with_fastapi()
elif MODE == "uvloop":
    import uvloop

    uvloop.run(with_aiohttp())
else:
    asyncio.run(with_aiohttp())
