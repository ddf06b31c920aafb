"""The release's golden requests and answers: what proves that a worker is this model, and works."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import Any

TOLERANCE = 1e-3
"""Largest difference of a number in a golden answer: processors and batches round differently."""


@dataclass(frozen=True, kw_only=True)
class Golden:
    """One request with its known answer."""

    content_type: str
    """MIME type of the body."""
    body: bytes
    """As it is sent."""
    answer: dict[str, Any]
    """What the gate got from the packaged artifact."""


def golden_requests(model: dict[str, Any]) -> tuple[Golden, ...]:
    """Return the golden requests in the content of a model.json."""
    return tuple(
        Golden(content_type=one["content_type"], body=base64.b64decode(one["body"]), answer=one["answer"])
        for one in model["golden"]
    )


def difference(expected: Golden, status: int, content: bytes) -> str | None:
    """Return how an answer differs from the golden one, None where it does not."""
    if status != 200:
        return f"status {status}: {content[:200].decode(errors='replace')}"
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return f"answer is not JSON: {content[:60]!r}"
    return _differs(expected.answer, found, "answer")


def _differs(expected: object, found: object, where: str) -> str | None:
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        return next(
            (d for key in expected if (d := _differs(expected[key], found[key], f"{where}.{key}"))), None
        )
    if _is_number(expected) and _is_number(found):
        same = math.isclose(_number(expected), _number(found), rel_tol=0, abs_tol=TOLERANCE)
        return None if same else f"{where} is {str(found)[:60]}, golden is {str(expected)[:60]}"
    return None if expected == found else f"{where} is {str(found)[:60]}, golden is {str(expected)[:60]}"


def _number(value: Any) -> float:  # noqa: ANN401 - an int or a float, as `_is_number` says
    try:
        return float(value)
    except OverflowError:  # an integer beyond every float
        return math.inf if value > 0 else -math.inf


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
