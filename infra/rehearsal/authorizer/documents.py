"""Policy documents, read once and then asked many times whether a statement speaks of a request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from infra.rehearsal.authorizer.conditions import Context, UnjudgedError, holds, wildcard

Matcher = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a policy."""

    allows: bool
    """Whether its effect is Allow."""
    actions: Matcher
    """Whether it speaks of an action."""
    resources: Matcher
    """Whether it speaks of a resource's ARN."""
    principals: frozenset[str] | None
    """Whom it speaks of, where it is a resource's: ARNs, accounts, services, or `*`; None: a role's own policy."""
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Operator -> key in lower case -> values; all must hold."""

    def applies(self, action: str, resource: str, context: Context) -> bool:
        """Return whether it speaks of a request, whoever makes it.

        Raises:
            UnjudgedError: it has a condition that we cannot judge.
        """
        return (
            self.actions(action.lower())
            and self.resources(resource)
            and all(
                holds(operator, key, values, context)
                for operator, pairs in self.conditions.items()
                for key, values in pairs.items()
            )
        )


@lru_cache(maxsize=512)
def parse(text: str) -> tuple[Statement, ...]:
    """Return the statements of a document; the same text is read once.

    Raises:
        UnjudgedError: it says something that we do not know.
    """
    return tuple(_statement(one) for one in _listed(json.loads(text)["Statement"]))


def _statement(words: Mapping[str, Any]) -> Statement:
    known = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
    if unknown := set(words) - known:
        raise UnjudgedError(f"statements must have no {', '.join(sorted(unknown))}; add it to {__name__}")
    actions = [one.lower() for one in _listed(words.get("Action", words.get("NotAction", [])))]
    resources = _listed(words.get("Resource", words.get("NotResource", "*")))  # a trust policy has none
    return Statement(
        allows=words["Effect"] == "Allow",
        actions=_matcher(actions, inverted="NotAction" in words),
        resources=_matcher(resources, inverted="NotResource" in words),
        principals=_principals(words["Principal"]) if "Principal" in words else None,
        conditions={
            operator: {
                key.lower(): tuple(str(one) for one in _listed(values)) for key, values in pairs.items()
            }
            for operator, pairs in words.get("Condition", {}).items()
        },
    )


def _principals(words: str | Mapping[str, Any]) -> frozenset[str]:
    if isinstance(words, str):
        return frozenset({words})
    return frozenset(one for named in words.values() for one in _listed(named))


def _matcher(patterns: list[str], *, inverted: bool) -> Matcher:
    if "*" in patterns:
        return lambda _: not inverted
    compiled = re.compile("|".join(wildcard(pattern) for pattern in patterns), re.DOTALL)
    return lambda value: (compiled.fullmatch(value) is not None) is not inverted


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, list) else [value]
