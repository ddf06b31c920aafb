"""A serving node as far as a load balancer sees one: HTTPS, `/ready`, and answers that may take a while."""

from __future__ import annotations

import asyncio
import ssl
import sys

from aiohttp import web

READY = web.AppKey("ready", list[int])


async def ready(request: web.Request) -> web.Response:
    """Answer with the status that was asked for last."""
    return web.Response(status=request.app[READY][-1])


async def become(request: web.Request) -> web.Response:
    """Make `/ready` answer with another status."""
    request.app[READY].append(int(request.query["status"]))
    return web.Response()


async def answer(request: web.Request) -> web.Response:
    """Tell who answers and what came, after `seconds`, with `status`."""
    size = len(await request.read())
    await asyncio.sleep(float(request.query.get("seconds", "0")))
    said = {
        "address": sys.argv[1],
        "bytes": size,
        "headers": {k.lower(): v for k, v in request.headers.items()},
    }
    return web.json_response(said, status=int(request.query.get("status", "200")))


def main() -> None:
    """Serve at ADDRESS PORT with CERTIFICATE KEY, and print a line when it can be reached."""
    app = web.Application(client_max_size=1 << 30)
    app[READY] = [200]
    app.router.add_get("/ready", ready)
    app.router.add_get("/become", become)
    app.router.add_route("*", "/{path:.*}", answer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[3], sys.argv[4])

    def serves(_: object) -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    web.run_app(app, host=sys.argv[1], port=int(sys.argv[2]), ssl_context=context, print=serves)


if __name__ == "__main__":
    main()
