"""Requests that no honest client sends, and some that one does: a seeded generator for the image model's API."""

from __future__ import annotations

import base64
import json
import random
import string
import zlib
from dataclasses import dataclass
from typing import Any

from tests.serving import NAME, picture

CRLF = b"\r\n"
FORMATS = (
    ("PNG", "L"),
    ("PNG", "RGB"),
    ("JPEG", "RGB"),
    ("WEBP", "RGB"),
    ("BMP", "RGB"),
    ("GIF", "L"),
    ("TIFF", "L"),
)
FILES = [picture(n, size=(8 + 9 * n, 30), mode=mode, kind=kind) for n, (kind, mode) in enumerate(FORMATS)]
PATHS = (f"/predictions/{NAME}", f"/v2/models/{NAME}/infer")
STRANGE_PATHS = (
    "/", "//", "/ready", f"/v2/models/{NAME}", f"/v2/models/{NAME}/ready", "/v2/health/live", "/predictions/",
    f"/predictions/{NAME}/", f"/predictions/{NAME}/1.0", f"/predictions/{NAME}?x=1&y=%00", f"/predictions//{NAME}",
    "/predictions/%74iny", "/predictions/../models", "/models?url=file:///etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
    "/predictions/" + "a" * 3000, f"/explanations/{NAME}", "/api-description", "/metrics", "/v2/models/%ff/infer", "*",
)  # fmt: skip
METHODS = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post")
TYPES = (
    "image/png", "image/jpeg", "application/json", "application/octet-stream", "text/plain", "IMAGE/PNG; q=1",
    "application/json; charset=utf-16", "multipart/form-data; boundary=x", "", "/", "image/*", "text/html", "a" * 500,
    "application/x-www-form-urlencoded", "application/json;;;", "image/svg+xml",
)  # fmt: skip
HEADERS = (
    "Content-Encoding: gzip", "Accept: */*;q=0", "X-Skylift-Body: drain", "X-Skylift-Body: collect", "Range: bytes=0-1",
    "Expect: 100-continue", "X-Request-Id: a\tb", "Cookie: " + "a=b; " * 900, "TE: trailers", "Upgrade: websocket",
    "Connection: upgrade", "Connection: close", "X-Forwarded-For: ::1", "Authorization: Bearer x",
    "X-Long: " + "x" * 12000, "Keep-Alive: timeout=0", "If-Match: *", "Max-Forwards: 0", "Content-Language: \u00ff",
)  # fmt: skip
MALFORMED = (
    "Host: b", "Content-Length: 7", "Content-Length: -1", "Content-Length: 1e3", "Content-Length : 3",
    "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, identity", "Transfer-Encoding : chunked",
    " folded: yes", "B\u00e9: 1", "No colon",
    ": no name", "X-Nul: a\0b", "X-Cr: a\rb", "X@Y: (1)", "X_Under: 1", "Content-Length: 99999999999999999999",
)  # fmt: skip
"""Header lines that make a request one that need not be answered in full, or at all."""

NUMBERS = (
    0,
    -1,
    255,
    256,
    1e308,
    -1e308,
    1e-320,
    2**31,
    2**63,
    2**64,
    10**400,
    0.5,
    float("nan"),
    float("inf"),
)
STRINGS = (
    "",
    "image",
    "text",
    "inputs",
    "\0",
    "\u202e\u0301",
    "\ud800",
    "x" * 5000,
    "null",
    "eA==",
    "💥",
    "-1",
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it goes over the wire."""

    method: str
    """Of HTTP, or nearly."""
    content: bytes
    """All of it."""
    malformed: bool
    """Whether the connection may be closed without a word."""


def request(rng: random.Random) -> Request:
    """Return the next one."""
    method = rng.choice(METHODS) if rng.random() < 0.08 else "POST"
    path = rng.choice(STRANGE_PATHS) if rng.random() < 0.1 else rng.choice(PATHS)
    kind, content = body(rng)
    lines = [f"{method} {path} HTTP/1.1", "Host: a"]
    if rng.random() < 0.97:
        lines.append(f"Content-Type: {rng.choice(TYPES) if rng.random() < 0.15 else kind}")
    lines += rng.sample(HEADERS, rng.choice((0, 0, 0, 1, 2, 5)))
    malformed = rng.random() < 0.04
    lines += [rng.choice(MALFORMED)] if malformed else []
    if rng.random() < 0.01:
        lines += [f"X-{n}: {n}" for n in range(rng.choice((60, 200, 3000)))]
        malformed = True  # more than the front takes
    if rng.random() < 0.15:
        lines.append("Transfer-Encoding: chunked")
        content = chunked(rng, content)
    else:
        lines.append(f"Content-Length: {len(content)}")
    if rng.random() < 0.03:
        content, malformed = content[: rng.randrange(len(content) + 1)], True
    head = "\r\n".join(lines).encode("latin-1", errors="replace")
    malformed = malformed or method in ("CONNECT", "post", "TRACE") or path == "*"
    return Request(method=method, content=head + CRLF + CRLF + content, malformed=malformed)


def body(rng: random.Random) -> tuple[str, bytes]:
    """Return a body with the content type that it claims to be of."""
    makers = (image, image, mutated, mutated, plain_json, open_inference, any_json, broken_json, noise)
    return rng.choice(makers)(rng)


def image(rng: random.Random) -> tuple[str, bytes]:
    """Return a picture, in some format, with the right type or another one."""
    return rng.choice(TYPES[:2]), rng.choice(FILES)


def mutated(rng: random.Random) -> tuple[str, bytes]:
    """Return a picture with flipped, missing, doubled or foreign bytes, or one that claims to be huge."""
    content = bytearray(rng.choice(FILES))
    for _ in range(rng.choice((1, 3, 20))):
        at, end = sorted(rng.randrange(len(content)) for _ in range(2))
        change = rng.randrange(5)
        if change == 0:
            content[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            content[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
        elif change == 2 and end - at < len(content) // 2:
            del content[at:end]
        elif change == 3:
            content[at:at] = content[at:end]
        else:
            content[at:at] = rng.choice(FILES)[at:end]
        content = content[:200_000] or bytearray(b"x")
    if rng.random() < 0.1:
        return "image/png", claimed(rng)
    return rng.choice(TYPES[:2]), bytes(content)


def claimed(rng: random.Random) -> bytes:
    """Return a small PNG file whose header claims any size, over data that expand a thousandfold."""
    width, height = (rng.choice((1, 7, 300, 2000, 60_000, 2**31 - 1)) for _ in range(2))
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, rng.choice((0, 2, 6)), 0, 0, 0))
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(2_000_000))), (b"IEND", b"")]
    chunks = [len(c).to_bytes(4, "big") + n + c + zlib.crc32(n + c).to_bytes(4, "big") for n, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def plain_json(rng: random.Random) -> tuple[str, bytes]:
    """Return the plain JSON request, whole or with something wrong."""
    found: dict[str, Any] = {"image": base64.b64encode(mutated(rng)[1]).decode()}
    if rng.random() < 0.5:
        found[rng.choice(("image", "image", "extra", "inputs", ""))] = value(rng, 2)
    return "application/json", dumped(found)


def open_inference(rng: random.Random) -> tuple[str, bytes]:
    """Return an Open Inference request, whole or with something wrong."""
    tensor: dict[str, Any] = {
        "name": "image",
        "shape": [1, 1, 8, 8],
        "datatype": "UINT8",
        "data": [rng.randrange(256)] * 64,
    }
    if rng.random() < 0.7:
        tensor[rng.choice(list(tensor))] = value(rng, 2)
    if rng.random() < 0.3 and isinstance(tensor["data"], list):
        tensor["data"][rng.randrange(64) :] = [value(rng, 1)]
    inputs: Any = [tensor] * rng.choice((1, 1, 1, 0, 2))
    return "application/json", dumped(
        {"id": value(rng, 1), "inputs": value(rng, 2) if rng.random() < 0.1 else inputs}
    )


def any_json(rng: random.Random) -> tuple[str, bytes]:
    """Return JSON of any shape."""
    return "application/json", dumped(value(rng, 4))


def broken_json(rng: random.Random) -> tuple[str, bytes]:
    """Return what is nearly JSON."""
    whole = plain_json(rng)[1]
    return "application/json", rng.choice(
        (
            whole[: rng.randrange(len(whole))],
            whole + whole,
            b"[" * rng.choice((10, 900, 200_000)),
            b'{"image":' * 3000,
            whole.decode("latin-1").encode("utf-16"),
            b"\xef\xbb\xbf" + whole,
            b'{"image": 1' + b"0" * rng.choice((10, 5000, 1_000_000)) + b"}",
            b'{"a":1,"a":2,"image":"eA==","image":3}',
            b"NaN",
            b"\xff\xfe",
        )
    )


def noise(rng: random.Random) -> tuple[str, bytes]:
    """Return random bytes, few or many, or none."""
    return rng.choice(TYPES[:5]), rng.randbytes(rng.choice((0, 1, 2, 100, 5000, 60_000, 300_000)))


def value(rng: random.Random, depth: int) -> Any:
    """Return a JSON value of any shape."""
    kind = rng.randrange(8 if depth else 5)
    if kind >= 5 and rng.random() < 0.5:
        return [value(rng, depth - 1) for _ in range(rng.choice((0, 1, 3, 64)))]
    if kind >= 5:
        return {
            "".join(rng.sample(string.printable, 5)): value(rng, depth - 1) for _ in range(rng.randrange(4))
        }
    return rng.choice((None, True, False, rng.choice(NUMBERS), rng.choice(STRINGS)))


def dumped(found: Any) -> bytes:
    """Return JSON text, NaN and lone surrogates included."""
    return json.dumps(found).encode()


def chunked(rng: random.Random, content: bytes) -> bytes:
    """Return a body in chunks of random size, some with extensions, at the end perhaps a trailer."""
    parts, at = [], 0
    while at < len(content):
        size = rng.choice((1, 10, 1000, 100_000)) if len(content) < 2000 else rng.choice((1000, 100_000))
        part = content[at : at + size]
        parts.append(f"{len(part):x}{rng.choice(('', ';a=b', ''))}\r\n".encode() + part + CRLF)
        at += size
    return b"".join(parts) + b"0\r\n" + rng.choice((b"", b"X-Trailer: 1\r\n")) + CRLF
