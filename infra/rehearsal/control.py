"""What the rehearsal asks of its emulated AWS beside AWS's own API: JSON in and out, with a token that no node has."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable
from typing import Any

from infra.rehearsal import interference
from infra.rehearsal.authorizer import ledger
from infra.rehearsal.balancer import controls as balancer
from infra.rehearsal.emulator import HEADER, PATH

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CONTROLS: dict[str, Callable[..., Any]] = {
    **ledger.CONTROLS,
    **interference.CONTROLS,
    **balancer.CONTROLS,
}
"""Name of a question -> what answers it; its arguments are the facts, its result is sent as JSON."""


class Control:
    """Answers questions, and hands on all other requests."""

    def __init__(self, application: Application, token: str) -> None:
        """Stand before an application.

        Args:
            application: the emulated AWS.
            token: what a question must carry.
        """
        self._application = application
        self._token = token

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer 200 with the result, 400 to facts that do not fit, 403 without the token, 404 to an unknown name."""
        path: str = environ.get("PATH_INFO", "")
        if not path.startswith(PATH):
            return self._application(environ, start_response)
        facts = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))  # read even where refused
        status, said = self._answer(path.removeprefix(PATH), environ, facts)
        body = json.dumps(said).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, name: str, environ: dict[str, Any], facts: bytes) -> tuple[str, object]:
        shown = environ.get("HTTP_" + HEADER.upper().replace("-", "_"), "")
        if not hmac.compare_digest(shown.encode(), self._token.encode()):
            return "403 Forbidden", f"{HEADER} must be this emulator's token"
        if name not in CONTROLS:
            return "404 Not Found", f"name must be one of {', '.join(sorted(CONTROLS))}, got `{name}`"
        try:
            return "200 OK", CONTROLS[name](**json.loads(facts or b"{}"))
        except (TypeError, ValueError, LookupError) as error:
            return "400 Bad Request", f"{name}: {type(error).__name__}: {error}"
