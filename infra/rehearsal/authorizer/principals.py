"""Who calls: a node under its role, or the operator, who may do everything.

The operator's key is that of `up` and `destroy`, and of whatever does here what AWS does by itself.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from moto.core.utils import utcnow
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from infra.rehearsal.emulator import ACCOUNT, KEY


class StrangerError(PermissionError):
    """A request whose credentials are not good; the reason is what AWS calls it."""

    def __init__(self, reason: str) -> None:
        """Say why: `missing`, `unknown`, `token`, `expired` or `signature`."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Somebody who calls."""

    name: str
    """`operator`, or the name of a role."""
    arn: str
    """Of the session: what AWS names in a refusal."""
    role: str
    """ARN of the role; the operator's is empty."""
    session: str
    """Name of the session: of a node, its instance id."""
    secret: str
    """The key's other half, which it signs with."""
    account: str = ACCOUNT
    """The account that it is of."""

    @property
    def is_operator(self) -> bool:
        """Whether it may do everything."""
        return not self.role


OPERATOR = Principal(name="operator", arn=f"arn:aws:iam::{ACCOUNT}:root", role="", session="", secret=KEY)


def principal(key: str, token: str) -> Principal:
    """Return who an access key is of.

    Args:
        key: access key id.
        token: session token that came with it.

    Raises:
        StrangerError: nobody's, or of a session that is over.
    """
    if key == KEY:
        return OPERATOR
    if not key:
        raise StrangerError("missing")
    session = _session(key)
    if session is None:
        raise StrangerError("unknown")
    if session.session_token != token:
        raise StrangerError("token")
    if session.expiration <= utcnow():
        raise StrangerError("expired")
    return Principal(
        name=session.role_arn.rpartition("/")[2],
        arn=session.arn,
        role=session.role_arn,
        session=session.session_name,
        secret=session.secret_access_key,
        account=session.account_id,
    )


def policies(one: Principal) -> list[tuple[str, str]]:
    """Return name and text of each policy of a principal's role, its own and those attached; none: it has no role."""
    role = role_of(one.role)
    if role is None:
        return []
    attached = [
        (policy.name, next(v.document for v in policy.versions if v.version_id == policy.default_version_id))
        for policy in list(role.managed_policies.values())
    ]
    return [*list(role.policies.items()), *attached]


def role_of(arn: str) -> Any:  # noqa: ANN401 - moto's
    """Return a role as moto keeps it; None where there is none of that ARN."""
    return next((one for one in list(iam_backends[ACCOUNT]["aws"].roles.values()) if one.arn == arn), None)


def end_sessions(*, session: str = "") -> int:
    """Let credentials that were given out expire now; return how many that were.

    Args:
        session: name of those sessions: an instance's id; empty: all.
    """
    now = utcnow() - datetime.timedelta(seconds=1)
    over = [
        one
        for one in list(sts_backends[ACCOUNT]["aws"].assumed_roles)
        if session in ("", one.session_name) and one.expiration > now
    ]
    for one in over:
        one.expiration = now
    return len(over)


_seen: dict[str, Any] = {}


def _session(key: str) -> Any:  # noqa: ANN401 - moto's
    """Return the session of an access key; moto's list only grows, and is read on from where it ended."""
    if key not in _seen:
        for one in sts_backends[ACCOUNT]["aws"].assumed_roles[len(_seen) :]:
            _seen[one.access_key_id] = one
    return _seen.get(key)
