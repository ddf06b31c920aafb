"""The held-out set as requests: what is sent, and what the release itself answers to it without a server."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from infra.cli.errors import RunFailedError
from infra.cli.inference import Request
from infra.cli.summary import Expected


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The whole set."""

    requests: list[Request]
    """What is sent."""
    expected: list[Expected]
    """What should be answered, in the same order."""


def read_held_out(offline: Path) -> HeldOut:
    """Return what the stage that predicts without a server wrote.

    Args:
        offline: its file of JSON lines.

    Raises:
        RunFailedError: the set is empty.
    """
    lines = [json.loads(line) for line in offline.read_text().splitlines()]
    if not lines:
        raise RunFailedError("the held-out set is empty: nothing was served")
    return HeldOut(
        requests=[Request(body=base64.b64decode(x["body"]), content_type=x["content_type"]) for x in lines],
        expected=[Expected(answer=x["answer"], truth=x["truth"]) for x in lines],
    )
