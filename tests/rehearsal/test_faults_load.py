"""The load that faults are done under: it checks every answer, counts what fails, and repeats nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from infra.rehearsal.authority import Authority
from infra.rehearsal.faults.load import Door, Load, questions, same
from infra.rehearsal.faults.waiting import until
from tests.conftest import free_port

MODEL = json.dumps(
    {
        "golden": [
            {"content_type": "image/png", "body": base64.b64encode(b"p").decode(), "answer": {"class": "7"}}
        ]
    }
).encode()


class Server:
    """Answers as it is told to."""

    def __init__(self, folder: Path) -> None:
        self.answer: object = {"class": "7"}
        self.heard: list[dict[str, str]] = []
        authority = Authority.make(folder)
        issued = authority.issue(names=["door.example"])
        self.trust = ssl.create_default_context(cafile=authority.ca)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(issued.certificate, issued.key)
        self.port, self.loop = free_port(), asyncio.new_event_loop()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        await request.read()
        self.heard.append(dict(request.headers))
        if isinstance(self.answer, int):
            return web.Response(status=self.answer, text="away")
        return web.json_response(self.answer)

    def run(self) -> None:
        """Serve until the loop is stopped."""
        asyncio.set_event_loop(self.loop)
        application = web.Application()
        application.router.add_post("/predictions/digits", self.handle)
        runner = web.AppRunner(application)
        self.loop.run_until_complete(runner.setup())
        self.loop.run_until_complete(
            web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self.context).start()
        )
        self.loop.run_forever()
        self.loop.run_until_complete(runner.cleanup())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One that answers rightly."""
    server = Server(tmp_path)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.loop.call_soon_threadsafe(server.loop.stop)
    thread.join()


def test_every_answer_is_checked(server: Server) -> None:
    door = Door(
        url="https://door.example/predictions/digits",
        address=f"127.0.0.1:{server.port}",
        trust=server.trust,
        token="t",
    )
    with Load(door, questions(MODEL), connections=2) as load:
        load.await_good(0.0, 5)
        assert not [one for one in load.since(0.0) if one.wrong and one.status]
        assert server.heard[0]["Authorization"] == "Bearer t"
        assert server.heard[0]["Host"] == "door.example"
        server.answer, moment = 503, time.monotonic()
        until(lambda: [one for one in load.since(moment) if one.status == 503], "refusal", 10)
        server.answer, moment = {"class": "8"}, time.monotonic()
        wrong = until(
            lambda: [one for one in load.since(moment) if one.wrong and one.status == 200], "it", 10
        )
        assert wrong[0].wrong == "answered {'class': '8'}, golden is {'class': '7'}"
        server.answer = {"class": "7"}
        assert load.await_good(time.monotonic(), 3) > moment


def test_answers_are_the_same_but_for_rounding() -> None:
    assert same({"class": "7", "scores": [0.5, 0.25]}, {"class": "7", "scores": [0.5004, 0.2496]})
    assert not same({"scores": [0.5]}, {"scores": [0.51]})
    assert not same({"scores": [0.5]}, {"scores": [0.5], "more": 1})
    assert not same([1.0], [1.0, 2.0])
    assert not same("7", "8")
