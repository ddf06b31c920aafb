"""Whether policies allow an action: a Deny of any of them wins, then somebody must allow. Pure.

One account; session policies, permission boundaries and grants are not judged: the program has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from infra.rehearsal.authorizer.conditions import Context
from infra.rehearsal.authorizer.documents import Statement, parse


@dataclass(frozen=True, kw_only=True)
class Policies:
    """All documents that have a say in a request."""

    identity: Sequence[str] = field(default_factory=tuple)
    """Of the caller's role."""
    resource: str = ""
    """Of the bucket or the key; empty: it has none."""
    resource_must_allow: bool = False
    """Whether the caller's role alone is not enough, as with a key: its policy must let the caller, or the account
    whose roles then decide."""
    endpoint: str = ""
    """Of the VPC endpoint on the way; empty: there is none."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whom statements of resources may name."""

    names: frozenset[str]
    """ARNs of role and session, or a service's name."""
    account: str
    """The account, 12 digits."""


def refusal(action: str, resource: str, context: Context, caller: Caller, policies: Policies) -> str | None:
    """Return why a request is refused, in AWS's words; None where it is allowed.

    Args:
        action: as `s3:GetObject`.
        resource: ARN, or `*`.
        context: what conditions are compared with.
        caller: who asks.
        policies: those that have a say.

    Raises:
        UnjudgedError: one of them says what we cannot judge.
    """
    own = [one for text in policies.identity for one in parse(text) if one.applies(action, resource, context)]
    theirs = _speaking(policies.resource, action, resource, context)
    door = _speaking(policies.endpoint, action, resource, context)
    named, account = _naming(theirs, caller), [one for one in theirs if _names_account(one, caller)]
    passing = _naming(door, caller)
    for found, kind in (
        (own, "identity-based policy"),
        (named + account, "resource-based policy"),
        (passing, "VPC endpoint policy"),
    ):
        if any(not one.allows for one in found):
            return f"with an explicit deny in {'an' if kind[0] == 'i' else 'a'} {kind}"
    if policies.endpoint and not passing:
        return f"because no VPC endpoint policy allows the {action} action"
    if named:
        return None
    if policies.resource_must_allow and not account:
        return f"because no resource-based policy allows the {action} action"
    return None if own else f"because no identity-based policy allows the {action} action"


def _speaking(text: str, action: str, resource: str, context: Context) -> list[Statement]:
    return [one for one in parse(text) if one.applies(action, resource, context)] if text else []


def _naming(statements: Iterable[Statement], caller: Caller) -> list[Statement]:
    return [one for one in statements if one.principals and one.principals & (caller.names | {"*"})]


def _names_account(statement: Statement, caller: Caller) -> bool:
    """Return whether a statement leaves it to the account's own roles, or denies to the account as a whole."""
    return bool(
        statement.principals
        and statement.principals & {caller.account, f"arn:aws:iam::{caller.account}:root"}
    )
