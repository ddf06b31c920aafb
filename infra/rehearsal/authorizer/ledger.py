"""What was asked of the emulated AWS and by whom, and what was refused: the rehearsal shows both."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from infra.rehearsal.authorizer.principals import Principal, end_sessions
from infra.rehearsal.authorizer.requests import Call

KEPT = 1000
"""Refusals that are kept; a node that tries again and again must not fill the memory."""

_lock = threading.Lock()
_calls: Counter[tuple[str, str, str, str]] = Counter()
_denials: deque[dict[str, Any]] = deque(maxlen=KEPT)


def allowed(who: str, call: Call) -> None:
    """Count a call that went through."""
    with _lock:
        _calls[who, call.service, call.operation, "allowed"] += 1


def stranger(call: Call, why: str) -> None:
    """Keep a call whose credentials were not good."""
    _denied("stranger", call, session=call.key, action=call.action, resource="", why=why)


def denied(caller: Principal, call: Call, action: str, resource: str, why: str) -> None:
    """Keep a call that a policy refused."""
    _denied(caller.name, call, session=caller.session, action=action, resource=resource, why=why)


def _denied(who: str, call: Call, *, session: str, action: str, resource: str, why: str) -> None:
    with _lock:
        _calls[who, call.service, call.operation, "denied"] += 1
        _denials.append(
            {
                "at": time.time(),
                "who": who,
                "session": session,
                "operation": call.operation,
                "action": action,
                "resource": resource,
                "why": why,
                "statement": {"Effect": "Allow", "Action": [action], "Resource": [resource or "*"]},
            }
        )


def calls() -> list[dict[str, Any]]:
    """Return how often whom was allowed or denied what, in order of names."""
    with _lock:
        found = sorted(_calls.items())
    return [
        {"who": who, "service": service, "operation": operation, "outcome": outcome, "number": number}
        for (who, service, operation, outcome), number in found
    ]


def denials() -> list[dict[str, Any]]:
    """Return the newest refusals, oldest first: seconds since 1970, who, what, why, and what would have allowed it."""
    with _lock:
        return list(_denials)


CONTROLS: dict[str, Callable[..., Any]] = {
    "calls": calls,
    "denials": denials,
    "end-sessions": end_sessions,
}
"""Questions that the rehearsal may ask; see control."""
