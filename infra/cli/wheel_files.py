"""Wheels brought to this machine's cache: a file has its name only when its hash is right; a torn one goes on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp

from infra.cli.errors import RunFailedError
from infra.cli.wheel_list import Wheel

AT_ONCE = 4
"""Downloads at a time: more of them share the same line."""
BLOCK = 1 << 20
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
"""A large file may take hours, but never a minute without a byte."""
TRIES = 4
"""Of a file whose connection breaks; each goes on where the last one ended."""


def here(wheel: Wheel, cache: Path) -> Path:
    """Return where a wheel lies once it is here. Its hash is part of the path: a name alone may be another build's."""
    return cache / wheel.sha256[:16] / wheel.name


def missing(wheels: Sequence[Wheel], cache: Path) -> list[Wheel]:
    """Return the wheels that are not here, or not as they should be: a disk may fail, too."""
    return [one for one in wheels if not _whole(here(one, cache), one.sha256)]


def bring(wheels: Sequence[Wheel], cache: Path, advance: Callable[[int], object]) -> None:
    """Download wheels into the cache.

    Args:
        wheels: which ones.
        cache: the folder.
        advance: told of every piece, in bytes.

    Raises:
        RunFailedError: one cannot be had, or is not what was promised.
    """
    asyncio.run(_bring(wheels, cache, advance))


async def _bring(wheels: Sequence[Wheel], cache: Path, advance: Callable[[int], object]) -> None:
    turn = asyncio.Semaphore(AT_ONCE)
    # Bytes as they lie there: an index that compresses on the way would spoil offsets.
    headers = {"Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(timeout=TIMEOUT, trust_env=True, headers=headers) as session:

        async def one(wheel: Wheel) -> None:
            async with turn:
                await _one(session, wheel, here(wheel, cache), advance)

        try:
            async with asyncio.TaskGroup() as group:
                for wheel in wheels:
                    group.create_task(one(wheel))
        except* RunFailedError as errors:
            raise RunFailedError(str(errors.exceptions[0])) from None


async def _one(
    session: aiohttp.ClientSession, wheel: Wheel, path: Path, advance: Callable[[int], object]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    for attempt in range(1, TRIES + 1):
        try:
            await _rest(session, wheel, part, advance)
            break
        except (aiohttp.ClientError, TimeoutError) as error:
            refused = isinstance(error, aiohttp.ClientResponseError) and error.status < 500
            if refused or attempt == TRIES:
                raise RunFailedError(
                    f"{wheel.url} cannot be downloaded ({error or type(error).__name__}); run the same command again: "
                    "it goes on from here"
                ) from None
    if not _whole(part, wheel.sha256):
        part.unlink()
        raise RunFailedError(
            f"{wheel.url} does not hash to {wheel.sha256}, which uv.lock names; it was thrown away"
        )
    part.replace(path)


async def _rest(
    session: aiohttp.ClientSession, wheel: Wheel, part: Path, advance: Callable[[int], object]
) -> None:
    """Write what a file still misses; all of it where the server does not go on in the middle."""
    begun = part.stat().st_size if part.exists() else 0
    if begun and begun == wheel.bytes:
        return
    ranged = {"Range": f"bytes={begun}-"} if begun else {}
    async with session.get(wheel.url, headers=ranged) as answer:
        if answer.status == 416:  # nothing is left: the hash decides
            return
        answer.raise_for_status()
        with part.open("ab" if answer.status == 206 else "wb") as file:
            async for block in answer.content.iter_chunked(BLOCK):
                file.write(block)
                advance(len(block))


def _whole(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
