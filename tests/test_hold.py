"""Requests that come while no server is proven wait, and get there later; not for ever, and not all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from serve_config.hold import TOO_LATE, Hold


class FakeServer:
    """Answers everything, when it is told to."""

    def __init__(self) -> None:
        self.port = 1  # nobody listens there
        self.seen: list[bytes] = []
        self.answer = asyncio.Event()
        self.at_work = self.most_at_work = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request."""
        self.at_work += 1
        self.most_at_work = max(self.at_work, self.most_at_work)
        self.seen.append(await reader.readuntil(b"!"))
        await self.answer.wait()
        self.at_work -= 1
        writer.write(b"answer to " + self.seen[-1])
        writer.close()


def held(
    folder: Path, work: Callable[[Hold, FakeServer], Awaitable[None]], seconds: float = 60, at_once: int = 4
) -> None:
    """Do some work with a hold in front of a fake server."""

    async def run() -> None:
        fake = FakeServer()
        server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
        hold = Hold(folder / "hold.sock", lambda: fake.port, at_once=at_once, seconds=seconds)
        await hold.start()
        listening = server.sockets[0].getsockname()[1]
        fake.port = listening
        try:
            await asyncio.wait_for(work(hold, fake), 30)
        finally:
            await hold.stop()
            server.close()

    asyncio.run(run())


async def ask(folder: Path, body: bytes = b"request!") -> bytes:
    """Send a request and return all of its answer."""
    reader, writer = await asyncio.open_unix_connection(folder / "hold.sock")
    writer.write(body)
    answer = await reader.read()
    writer.close()
    return answer


def test_what_comes_waits_for_the_proof(tmp_path: Path) -> None:
    """Nothing reaches the server before it is proven; then the request does, and its answer comes back."""

    async def work(hold: Hold, fake: FakeServer) -> None:
        fake.answer.set()
        hold.release()
        hold.hold()
        asking = asyncio.create_task(ask(tmp_path, b"x" * 50_000 + b"!"))
        await asyncio.wait([asking], timeout=0.2)
        assert not fake.seen
        hold.release()
        assert await asking == b"answer to " + b"x" * 50_000 + b"!"

    held(tmp_path, work)


def test_nobody_waits_for_ever(tmp_path: Path) -> None:
    """After its time a request is answered 503."""

    async def work(_: Hold, fake: FakeServer) -> None:
        assert await ask(tmp_path) == TOO_LATE
        assert not fake.seen

    held(tmp_path, work, seconds=0.1)


def test_a_server_that_has_just_ended_is_waited_for(tmp_path: Path) -> None:
    """Where the proven server does not listen, the request waits on."""

    async def work(hold: Hold, fake: FakeServer) -> None:
        fake.answer.set()
        port, fake.port = fake.port, 1
        hold.release()
        asking = asyncio.create_task(ask(tmp_path))
        await asyncio.wait([asking], timeout=0.2)
        assert not asking.done()
        fake.port = port
        assert await asking == b"answer to request!"

    held(tmp_path, work)


def test_only_so_many_are_passed_on_at_a_time(tmp_path: Path) -> None:
    """A crowd that has waited does not fall upon the server."""

    async def work(hold: Hold, fake: FakeServer) -> None:
        asking = [asyncio.create_task(ask(tmp_path)) for _ in range(9)]
        hold.release()
        while fake.at_work < 2:
            await asyncio.sleep(0.01)
        fake.answer.set()
        assert await asyncio.gather(*asking) == [b"answer to request!"] * 9
        assert fake.most_at_work == 2

    held(tmp_path, work, at_once=2)
