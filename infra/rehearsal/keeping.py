"""A rehearsal that is left up: how it is called and how it ends, and the wait for that end."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.rehearsal import asking
from infra.rehearsal.world import World

TOKEN_SECONDS = 30 * 24 * 3600
"""As long as the certificates of a rehearsal."""


def keep(world: World) -> None:
    """Say how it is called, and return when it is asked to end."""
    token = world.folder / "token"
    token.touch(mode=0o600)
    token.write_text(world.issuer.token("operator", TOKEN_SECONDS))
    body, content_type = asking.example(world)
    call = curl(
        door=world.balancer.door,
        ca=asking.door_certificate(world),
        token=token,
        body=body,
        content_type=content_type,
        url=asking.predictions_url(world),
    )
    with _signals() as wait:
        try:
            world.files.write(kept=True, call=call)
            while True:
                wait()
        except KeyboardInterrupt:
            return


@contextmanager
def _signals() -> Iterator[Callable[[], object]]:
    """Yield what returns when a signal comes, or came in the moment before: `signal.pause` would wait for a second."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    before = signal.set_wakeup_fd(writes)
    try:
        yield lambda: os.read(reads, 1)
    finally:
        signal.set_wakeup_fd(before)
        os.close(reads)
        os.close(writes)


def curl(*, door: Path, ca: Path, token: Path, body: Path, content_type: str, url: str) -> str:
    """Return the line that sends one request through the load balancer, from outside of the world. Pure."""
    words = [
        *("curl", "--unix-socket", str(door), "--cacert", str(ca)),
        *("--header", f"Content-Type: {content_type}", "--data-binary", f"@{body}"),
    ]
    return f'{shlex.join(words)} --header "Authorization: Bearer $(cat {shlex.quote(str(token))})" {shlex.quote(url)}'
