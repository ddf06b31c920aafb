"""`skylift predict`: files or stdin to requests, requests to JSON lines."""

from __future__ import annotations

import json
import mimetypes
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from infra.cli.errors import InputError
from infra.cli.inference import Request, send_all


def predict_inputs(
    inputs: Sequence[str], url: str, ca: Path | None, concurrency: int, console: Console
) -> Iterator[dict[str, Any]]:
    """Send what the inputs hold and give, for each, `{"input", "status", "answer"}`.

    Raises:
        InputError: an input is missing, empty or of no known kind; nothing was sent.
    """
    named = [pair for text in inputs for pair in read_input(text)]
    if not named:
        raise InputError(f"input must hold at least one request, got none in {', '.join(inputs)}")
    with Progress(console=console) as progress:
        bar = progress.add_task("predict", total=len(named))
        answers = send_all(
            url,
            [request for _, request in named],
            ca=ca,
            concurrency=concurrency,
            answered=lambda: progress.advance(bar),
        )
    for (name, _), answer in zip(named, answers, strict=True):
        yield {"input": name, "status": answer.status, "answer": answer.body}


def read_input(text: str) -> list[tuple[str, Request]]:
    """Return the named requests of a file, or of stdin for `-`.

    Raises:
        InputError: no such file, or a kind of file that is not known.
    """
    if text == "-":
        content = _decoded(sys.stdin.buffer.read(), text)
        return [(f"-:{n}", line_request(line)) for n, line in numbered(content)]
    path = Path(text)
    try:
        found = path.is_file()
    except OSError:  # a name that no file can have
        found = False
    if not found:
        raise InputError(f"input must be a file, not found: `{text}`; give a path, or - for stdin")
    kind = mimetypes.guess_type(path.name)[0] or ""
    if kind.startswith("image/"):
        return [(text, Request(body=path.read_bytes(), content_type=kind))]
    if path.suffix.lower() in (".txt", ".jsonl"):
        content = _decoded(path.read_bytes(), text)
        return [(f"{text}:{n}", line_request(line)) for n, line in numbered(content)]
    raise InputError(f"input must be an image, .jsonl, .txt or -, got `{text}`; rename or convert it")


def _decoded(content: bytes, text: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"input must be UTF-8, `{text}` is not at byte {error.start}; convert it") from None


def numbered(content: str) -> list[tuple[int, str]]:
    """Return the lines that are not blank, with their numbers from 1. Only a line feed ends one: JSON says so."""
    lines = [line.removesuffix("\r") for line in content.split("\n")]
    return [(n, line) for n, line in enumerate(lines, 1) if line.strip()]


def line_request(line: str) -> Request:
    """Return the request of one line: a JSON object as it is, any other line as a text."""
    body = line if line.lstrip().startswith("{") else json.dumps({"text": line})
    return Request(body=body.encode(), content_type="application/json")
