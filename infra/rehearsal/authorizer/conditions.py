"""Conditions of policy statements: the operators, and which keys we can tell the value of. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

Context = Mapping[str, str]
"""Condition key in lower case -> its value; a key that a request does not have is absent."""
WORDS = re.compile(r"\$\{[^}]*\}|[*?]|[^*?$]+|\$")
"""What a pattern is made of."""
KNOWN = frozenset(
    name.lower()
    for name in (
        "autoscaling:CapacityReservationIds",
        "autoscaling:CapacityReservationResourceGroupArns",
        "autoscaling:InstanceTypes",
        "autoscaling:LaunchConfigurationName",
        "autoscaling:LaunchTemplateVersionSpecified",
        "autoscaling:MaxSize",
        "autoscaling:MinSize",
        "autoscaling:VPCZoneIdentifiers",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalIsAWSService",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:SecureTransport",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceVpc",
        "aws:SourceVpce",
        "aws:userid",
        "cloudwatch:namespace",
        "kms:CallerAccount",
        "kms:EncryptionContext:aws:logs:arn",
        "kms:EncryptionContext:aws:s3:arn",
        "kms:GrantIsForAWSResource",
        "kms:ViaService",
        "s3:delimiter",
        "s3:if-match",
        "s3:if-none-match",
        "s3:max-keys",
        "s3:prefix",
        "s3:x-amz-acl",
        "s3:x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:x-amz-server-side-encryption-customer-algorithm",
    )
)
"""Keys that a request's context has wherever AWS's would: only of these does absence mean anything."""

LISTS = frozenset(
    name.lower()
    for name in (
        "autoscaling:CapacityReservationIds",
        "autoscaling:CapacityReservationResourceGroupArns",
        "autoscaling:InstanceTypes",
        "autoscaling:VPCZoneIdentifiers",
    )
)
"""Keys with many values: of these we tell whether they are there, and nothing else."""


class UnjudgedError(LookupError):
    """A policy says what the rehearsal cannot judge; to guess would prove nothing."""


def holds(operator: str, key: str, values: tuple[str, ...], context: Context) -> bool:
    """Return whether one condition holds.

    Args:
        operator: as `StringEquals`, `IfExists` behind it or not.
        key: in lower case.
        values: any of these; with a negated operator, none of them.
        context: the request's.

    Raises:
        UnjudgedError: operator or key is not known.
    """
    if key not in KNOWN:
        raise UnjudgedError(f"condition key `{key}` is not known; say where its value comes from, in context")
    received = context.get(key)
    if operator == "Null":
        return (received is None) is (values[0].lower() == "true")
    plain = operator.removesuffix("IfExists")
    negated = plain.replace("Not", "", 1) if "Not" in plain else ""
    test = TESTS.get(negated or plain)
    if test is None or key in LISTS:
        raise UnjudgedError(
            f"condition operator `{operator}` cannot be judged for `{key}`; see TESTS and LISTS"
        )
    if received is None:
        return bool(negated) or plain != operator
    return any(test(received, value) for value in values) is not bool(negated)


def wildcard(pattern: str) -> str:
    """Return a regular expression for `*` (any characters, `/` and `:` too), `?` (one), and `${*}` (that letter).

    Raises:
        UnjudgedError: it has a policy variable, which none of ours has.
    """
    made = []
    for part in WORDS.findall(pattern):
        if part.startswith("${") and part[2:-1] not in ("*", "?", "$"):
            raise UnjudgedError(f"policy variable `{part}` is not known; say where its value comes from")
        made.append({"*": ".*", "?": "."}.get(part) or re.escape(part[2:-1] if part[:2] == "${" else part))
    return "".join(made)


@lru_cache(maxsize=1024)
def _like(pattern: str) -> re.Pattern[str]:
    return re.compile(wildcard(pattern), re.DOTALL)


def _string_like(received: str, value: str) -> bool:
    return _like(value).fullmatch(received) is not None


def _arn_like(received: str, value: str) -> bool:
    """Compare part by part: a `*` does not reach over a colon, but for those in the resource's own name."""
    parts = list(zip(received.split(":", 5), value.split(":", 5), strict=False))
    return len(parts) == 6 and all(_string_like(one, pattern) for one, pattern in parts)


TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "ArnEquals": _arn_like,  # AWS: the two are the same
    "ArnLike": _arn_like,
    "Bool": lambda received, value: received.lower() == value.lower(),
    "NumericEquals": lambda received, value: float(received) == float(value),
    "NumericGreaterThan": lambda received, value: float(received) > float(value),
    "NumericGreaterThanEquals": lambda received, value: float(received) >= float(value),
    "NumericLessThan": lambda received, value: float(received) < float(value),
    "NumericLessThanEquals": lambda received, value: float(received) <= float(value),
    "StringEquals": lambda received, value: received == value,
    "StringEqualsIgnoreCase": lambda received, value: received.lower() == value.lower(),
    "StringLike": _string_like,
}
"""Operators that compare one received value with one of the statement's."""
