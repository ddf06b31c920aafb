"""Both example stacks under AWS's own schemas: no violation, and what no schema judges is written down."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.rehearsal.schemas import unmapped, violations
from tests.mocks import Registered
from tests.stacks import STACKS, recorded

UNJUDGED = Path(__file__).parent / "expected" / "schema_unjudged.yaml"
"""By type, the properties that its schema has no name for: read it before you believe that inputs were judged."""


def resources(stack: str) -> list[Registered]:
    """Return what goes to AWS."""
    return [one for one in recorded(stack).resources if one.type.startswith("aws:")]


def inputs_of(resource: Registered) -> dict[str, Any]:
    """Return inputs, with keys' ARNs as AWS makes them: the mocks make every ARN of the logical name alone."""
    text = json.dumps(dict(resource.inputs), default=lambda _: None)
    inputs: dict[str, Any] = json.loads(re.sub(r"(arn:aws:kms:[a-z0-9-]+:\d{12}:)", r"\1key/", text))
    return inputs


@pytest.mark.parametrize("stack", STACKS)
def test_no_violation(stack: str) -> None:
    """Every enum, name, range and required property of more than a hundred resources is as AWS wants it."""
    judged = resources(stack)
    assert len(judged) > 100
    assert [line for one in judged for line in violations(one.type, inputs_of(one))] == []


def test_what_is_not_judged() -> None:
    """A property that nobody has looked for in the schema is found here."""
    found: dict[str, set[str]] = {}
    for stack in STACKS:
        for one in resources(stack):
            names = [re.sub(r"\[\d+\]", "[]", name) for name in unmapped(one.type, inputs_of(one))]
            if names:
                found.setdefault(one.type, set()).update(names)
    expected: dict[str, list[str]] = yaml.safe_load(UNJUDGED.read_text())
    assert {token: sorted(names) for token, names in found.items()} == expected
