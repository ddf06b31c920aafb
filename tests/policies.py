"""The policy documents of one example account, whole, and readers of documents for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from infra.bucket_policies import logs_bucket, models_bucket, private_bucket
from infra.endpoint_policies import CALLS, interface_endpoint, s3_endpoint
from infra.flow_logs import flow_log_policy, flow_log_trust
from infra.key_policies import auto_scaling_role, data_key_policy, signing_key_policy
from infra.policies import Document, Statement
from infra.role_policies import Places, node_trust, serve_policy, train_policy
from infra.source import source

EXPECTED = Path(__file__).parent / "expected" / "policies"
ACCOUNT, REGION = "123456789012", "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/data"
PLACES = Places(
    account_id=ACCOUNT,
    region=REGION,
    data="arn:aws:s3:::data",
    work="arn:aws:s3:::work",
    models="arn:aws:s3:::models",
    data_key=KEY,
    signing_key=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/signing",
    model_name="digits",
    train_group="skylift-dev-train-resnet-1a2b",
    serve_group="skylift-dev-serve",
    target_group=f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/serve/1a2b",
    train_log_group="/skylift/dev/train",
    serve_log_group="/skylift/dev/serve",
    metrics_namespace="Skylift/dev",
)
ELSEWHERE = "text:s3://theirs/books/a.txt"
"""Data of a training in another bucket."""

ROLES: dict[str, Document] = {
    "role-train": train_policy(PLACES),
    "role-train-source": train_policy(replace(PLACES, source=source(ELSEWHERE))),
    "role-serve": serve_policy(PLACES),
    "role-flow-logs": flow_log_policy(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:flow"),
}
"""What roles may do."""
RESOURCES: dict[str, Document] = {
    "bucket-data": private_bucket("arn:aws:s3:::data", KEY),
    "bucket-models": models_bucket("arn:aws:s3:::models", KEY),
    "bucket-logs": logs_bucket(
        "arn:aws:s3:::logs", ACCOUNT, REGION, ["arn:aws:s3:::data", "arn:aws:s3:::work"]
    ),
    "key-data": data_key_policy(ACCOUNT, REGION, auto_scaling_role(ACCOUNT)),
    "key-signing": signing_key_policy(ACCOUNT),
    "endpoint-s3": s3_endpoint(ACCOUNT, REGION),
    "endpoint-s3-source": s3_endpoint(ACCOUNT, REGION, source(ELSEWHERE)),
    "trust-nodes": node_trust(),
    "trust-flow-logs": flow_log_trust(ACCOUNT, REGION),
    **{f"endpoint-{service}": interface_endpoint(service, ACCOUNT) for service in CALLS},
}
"""What resources let in."""


def expected(name: str) -> Any:
    """Return a document as it is kept for comparison."""
    return json.loads((EXPECTED / f"{name}.json").read_text())


def statements(*documents: Document) -> Iterator[Statement]:
    """Return every statement of some documents."""
    for document in documents:
        yield from document["Statement"]


def allowed(
    role: Document, action: str, resource: str, context: dict[str, str], guard: Document | None = None
) -> bool:
    """Decide on a request as AWS does within one account: a Deny of either policy wins, then the role must allow.

    Args:
        role: what the caller may do.
        action: as `s3:GetObject`.
        resource: ARN.
        context: what conditions are compared with.
        guard: the resource's own policy.
    """
    role_says = {s["Effect"] for s in statements(role) if _applies(s, action, resource, context)}
    guard_says = {
        s["Effect"] for s in statements(guard or {"Statement": []}) if _applies(s, action, resource, context)
    }
    return "Allow" in role_says and "Deny" not in role_says | guard_says


def _applies(statement: Statement, action: str, resource: str, context: dict[str, str]) -> bool:
    return (
        any(fnmatchcase(action, pattern) for pattern in statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
        and all(
            _holds(operator, context.get(key), value)
            for operator, pairs in statement.get("Condition", {}).items()
            for key, value in pairs.items()
        )
    )


def _holds(operator: str, received: str | None, value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    if operator == "Null":
        return (received is None) is (value == "true")
    matches = {
        "StringEquals": received in values,
        "StringNotEquals": received not in values,  # holds for what is missing, too
        "Bool": received in values,
        "ArnLike": any(fnmatchcase(received or "", pattern) for pattern in values),
    }
    return matches[operator]
