"""Whether a request is signed with its key's secret: AWS's Signature Version 4, in the header.

What boot scripts sign by hand is thereby tried as AWS will. A URL that was signed beforehand is not verified.
"""

from __future__ import annotations

import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from infra.rehearsal.authorizer.requests import body_of

ALGORITHM = "AWS4-HMAC-SHA256"
SAFE = "-_.~"
"""Characters that the canonical form never escapes, beside letters and digits."""


def is_right(environ: dict[str, Any], secret: str) -> bool:
    """Return whether a request's signature is the one that the secret gives, over all headers that must be signed.

    Args:
        environ: as WSGI has it.
        secret: of the access key that it names.
    """
    words = _words(environ.get("HTTP_AUTHORIZATION", ""))
    if not words:
        return True  # signed in the URL
    names = words["SignedHeaders"].split(";")
    wanted = {name[5:].lower().replace("_", "-") for name in environ if name.startswith("HTTP_X_AMZ_")} - {
        "x-amz-user-agent"
    }
    if not {"host", *wanted} <= set(names):
        return False
    _, date, region, service, _ = words["Credential"].split("/")
    request = "\n".join(
        (
            environ["REQUEST_METHOD"],
            _path(environ, service),
            _query(environ.get("QUERY_STRING", "")),
            *(f"{name}:{_header(environ, name)}" for name in names),
            "",
            words["SignedHeaders"],
            environ.get("HTTP_X_AMZ_CONTENT_SHA256") or hashlib.sha256(body_of(environ)).hexdigest(),
        )
    )
    scope = f"{date}/{region}/{service}/aws4_request"
    stamp = environ.get("HTTP_X_AMZ_DATE", "")
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    made = hmac.new(_key(secret, date, region, service), text.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(made, words["Signature"])


@lru_cache(maxsize=256)
def _key(secret: str, date: str, region: str, service: str) -> bytes:
    """Return the key of one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _words(authorization: str) -> Mapping[str, str]:
    if not authorization.startswith(ALGORITHM):
        return {}
    parts = authorization.removeprefix(ALGORITHM).split(",")
    return {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in parts)}


def _path(environ: Mapping[str, Any], service: str) -> str:
    """Return the path as it was sent; services other than S3 escape it once more."""
    sent: str = environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0] or "/"
    plain = urllib.parse.unquote(sent)
    once = urllib.parse.quote(plain, safe=f"/{SAFE}")
    return once if service == "s3" else urllib.parse.quote(once, safe=f"/{SAFE}")


def _query(sent: str) -> str:
    pairs = urllib.parse.parse_qsl(sent, keep_blank_values=True)
    escaped = sorted(
        (urllib.parse.quote(name, safe=SAFE), urllib.parse.quote(value, safe=SAFE)) for name, value in pairs
    )
    return "&".join(f"{name}={value}" for name, value in escaped)


def _header(environ: Mapping[str, Any], name: str) -> str:
    key = name.upper().replace("-", "_")
    value = str(environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", ""))
    return " ".join(value.split())
