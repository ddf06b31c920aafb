"""The public keys of a token's issuer: its JSON Web Key Set, fetched by HTTPS, as the PEM files that HAProxy reads."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

FETCH_SECONDS = 5.0
"""How long an issuer may take."""
MOST_BYTES = 150_000
"""Of a key set; a few keys take a few thousand."""


class KeysError(RuntimeError):
    """An issuer's keys cannot be had."""


def fetch(url: str, ca: Path | None) -> dict[str, str]:
    """Return an issuer's RS256 keys: key id -> PEM. Those of other kinds, and those without an id, are left out.

    Args:
        url: of its key set, HTTPS.
        ca: certificate (PEM) of the only authority that is trusted; None: the system's.

    Raises:
        KeysError: it does not answer, is somebody else, or says something else.
    """
    if not url.startswith("https://"):
        raise KeysError(f"JWKS endpoint must be an https:// URL, got `{url}`")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),  # it is on this machine
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)),
    )
    try:
        with opener.open(url, timeout=FETCH_SECONDS) as answer:
            said = answer.read(MOST_BYTES + 1)
        if len(said) > MOST_BYTES:
            raise KeysError(f"JWKS at {url} must have at most {MOST_BYTES} bytes, it has more")
        return pems(json.loads(said))
    except (OSError, ValueError, JoseError) as error:
        raise KeysError(f"JWKS at {url} cannot be had: {error}") from error


def pems(key_set: Mapping[str, object]) -> dict[str, str]:
    """Return the RS256 keys of a key set: key id -> PEM."""
    keys = KeySet.import_key_set(key_set).keys  # type: ignore[arg-type]
    return {
        str(key.kid): key.as_pem(private=False).decode()
        for key in keys
        if isinstance(key, RSAKey)
        and key.kid
        and key.get("use", "sig") == "sig"
        and key.get("alg", "RS256") == "RS256"
    }
