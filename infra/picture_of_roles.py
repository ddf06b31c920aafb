"""Who may do what: a picture of the buckets in Mermaid and a table a role, drawn from the program's policies. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.picture import Drawn, of

KINDS = ("list", "see settings", "change settings", "read", "write", "delete")
"""What a picture calls the actions of S3, in its order."""
WIDE = '%%{init: {"flowchart": {"wrappingWidth": 420, "nodeSpacing": 18, "rankSpacing": 90}}}%%'
"""Room for a line of what may be done, and little between the boxes."""


def bucket_picture(resources: Sequence[Drawn]) -> str:
    """Return who may do what on which bucket: by a role's own policy, or let in by the bucket's."""
    names = _names(resources)
    found: dict[str, dict[str, dict[str, set[str]]]] = {}
    for who, statement in [*_of_roles(resources), *_of_buckets(resources)]:
        for arn in _many(statement["Resource"]):
            bucket, slash, path = _target(arn, names).partition("/")
            kinds = {
                _kind(action, slash) for action in _many(statement["Action"]) if action.startswith("s3:")
            }
            if kinds and arn != "*":
                paths = found.setdefault(bucket, {}).setdefault(who, {})
                paths.setdefault(path, set()).update(kinds)
    doors: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for bucket, people in found.items():
        doors.setdefault(tuple((who, _label(paths)) for who, paths in people.items()), []).append(bucket)
    # What may be done stands in the box of who may: labels on arrows would lie on each other. A role has a box for
    # each bucket, so that no two arrows cross.
    lines = [WIDE, "flowchart LR"]
    for number, (way, buckets) in enumerate(doors.items()):
        lines.append(f'  bucket{number}[("{"<br/>".join(buckets)}")]')
        lines += [
            f'  may{number}_{at}["<b>{who}</b><br/>{label}"] --> bucket{number}'
            for at, (who, label) in enumerate(way)
        ]
    return "\n".join(lines)


def role_tables(resources: Sequence[Drawn]) -> dict[str, str]:
    """Return for each role, by its name, what its own policy allows, on what and when, as a table in Markdown."""
    names = _names(resources)
    tables = {}
    for role in of(resources, "aws:iam/role:Role"):
        (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        lines = [f"`{role.name}`, for {trust['Principal']['Service']}:", ""]
        lines += ["| may | on | when |", "|---|---|---|"]
        for statement in _statements(role, resources):
            targets = [_target(one, names) for one in _many(statement["Resource"])]
            cells = (_actions(statement), _lines(map(_code, targets)), _lines(_conditions(statement)))
            lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
        tables[role.name] = "\n".join(lines)
    return dict(sorted(tables.items()))


def _names(resources: Sequence[Drawn]) -> dict[str, str]:
    return {one.arn: one.name for one in resources if one.arn}


def _of_roles(resources: Sequence[Drawn]) -> Iterator[tuple[str, dict[str, Any]]]:
    for role in of(resources, "aws:iam/role:Role"):
        for statement in _statements(role, resources):
            yield role.name, statement


def _of_buckets(resources: Sequence[Drawn]) -> Iterator[tuple[str, dict[str, Any]]]:
    for policy in of(resources, "aws:s3/bucketPolicy:BucketPolicy"):
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            if statement["Effect"] == "Allow":
                for who in _many(statement["Principal"]["Service"]):
                    yield who, statement


def _statements(role: Drawn, resources: Sequence[Drawn]) -> Iterator[dict[str, Any]]:
    for policy in of(resources, "aws:iam/rolePolicy:RolePolicy"):
        if policy.inputs["role"] in (role.id, role.name):
            yield from json.loads(policy.inputs["policy"])["Statement"]


def _kind(action: str, slash: str) -> str:
    """Return what an action of S3 does, in a word; `slash` tells objects from their bucket."""
    verb = action.removeprefix("s3:")
    if not slash:
        known = {"List": "list", "Get": "see settings"}
        return next((kind for start, kind in known.items() if verb.startswith(start)), "change settings")
    known = {"Get": "read", "List": "read", "Delete": "delete"}
    return next((kind for start, kind in known.items() if verb.startswith(start)), "write")


def _label(paths: Mapping[str, set[str]]) -> str:
    """Return what may be done, in one line for all paths that it may be done to."""
    alike: dict[str, list[str]] = {}
    for path, kinds in paths.items():
        alike.setdefault(", ".join(kind for kind in KINDS if kind in kinds), []).append(path)
    return "<br/>".join(
        kinds if not any(found) else f"{kinds}: {', '.join('all' if one == '*' else one for one in found)}"
        for kinds, found in alike.items()
    )


def _actions(statement: Mapping[str, Any]) -> str:
    """Return what is allowed, a line a service."""
    services: dict[str, list[str]] = {}
    for action in _many(statement["Action"]):
        service, _, verb = action.partition(":")
        services.setdefault(service, []).append(verb)
    return _lines(f"{service}: {', '.join(verbs)}" for service, verbs in services.items())


def _conditions(statement: Mapping[str, Any]) -> Iterator[str]:
    """Yield what must hold, a line a condition."""
    for test, keys in statement.get("Condition", {}).items():
        if test == "Null":
            yield f"the request names none of {', '.join(key.partition(':')[2] for key in sorted(keys))}"
        else:
            yield from (f"{key} is {' or '.join(_many(value))}" for key, value in sorted(keys.items()))


def _target(arn: str, names: Mapping[str, str]) -> str:
    """Return a resource as the program calls it; of a foreign one, the end of its ARN."""
    known = max(
        (one for one in names if arn == one or arn.startswith((f"{one}/", f"{one}:"))), key=len, default=""
    )
    return names[known] + arn.removeprefix(known) if known else ":".join(arn.split(":")[5:]) or arn


def _code(target: str) -> str:
    # The type stands twice in a group's ARN; the name alone is what a reader looks for.
    return f"`{target.removeprefix('autoScalingGroup:*:autoScalingGroupName/')}`"


def _lines(found: Iterator[str] | map[str]) -> str:
    return "<br/>".join(found)


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
