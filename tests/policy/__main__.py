"""The policy pack: `pulumi preview --policy-pack tests/policy`. Registers the rows; what they ask stands in rows/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError
from rows import ROWS
from rows.resource import UNKNOWN, Resource, Stack, key_of
from rows.row import Row

LEVELS = {"mandatory": EnforcementLevel.MANDATORY, "advisory": EnforcementLevel.ADVISORY}


def plain(value: Any) -> Any:
    """Return a property without the SDK's wrapper, which raises where the preview has no value yet."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, number) for number in range(len(value))]
    return value


def _item(holder: Any, key: Any) -> Any:
    try:
        return plain(holder[key])
    except UnknownValueError:
        return UNKNOWN


def of_resource(row: Row) -> Policy:
    """Return a row that one resource answers: it is asked before that resource is made."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        one = Resource(
            type=args.resource_type, name=args.name, inputs=plain(args.props), protect=args.opts.protect
        )
        for violation in row.violations(one, Stack([one])):
            report(f"{args.name} {violation.message}", args.urn)

    return ResourceValidationPolicy(
        name=row.name, description=row.description, enforcement_level=LEVELS[row.level], validate=validate
    )


def of_stack(row: Row) -> Policy:
    """Return a row that only all resources answer: it is asked at the end."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        urns = {key_of(one.urn): one.urn for one in args.resources}
        for violation in row.judge(Stack(_resource(one) for one in args.resources)):
            report(f"{violation.key.split('::')[1]} {violation.message}", urns[violation.key])

    return StackValidationPolicy(
        name=row.name, description=row.description, enforcement_level=LEVELS[row.level], validate=validate
    )


def _resource(one: PolicyResource) -> Resource:
    references = {
        name: tuple(key_of(other.urn) for other in others)
        for name, others in one.property_dependencies.items()
    }
    return Resource(
        type=one.resource_type,
        name=one.name,
        inputs=plain(one.props),
        references=references,
        protect=one.opts.protect,
    )


PolicyPack("skylift", [of_resource(row) if row.alone else of_stack(row) for row in ROWS])
