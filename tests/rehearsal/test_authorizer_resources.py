"""Policies of buckets, keys and endpoints stop an administrator too; what they leave to services is for services."""

from __future__ import annotations

from typing import Any

import botocore.exceptions
import pytest

from infra.policies import Document, text
from infra.rehearsal.authorizer.decide import Caller, Policies, refusal
from tests.policies import ACCOUNT, KEY, REGION, RESOURCES
from tests.rehearsal import node_account
from tests.rehearsal.node_account import Account
from tests.rehearsal.resource_rows import BUCKETS, ENDPOINTS, KEYS

SERVICE_ROLE = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
)
MINE, THEIRS = {"aws:sourceaccount": ACCOUNT}, {"aws:sourceaccount": "1"}
FOR_AWS = {"kms:grantisforawsresource": "true"}
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:a"
BUCKET_LOG, ALB_LOG = "arn:aws:s3:::logs/s3/data/1", f"arn:aws:s3:::logs/alb/AWSLogs/{ACCOUNT}/1"
DATA, ALB = "arn:aws:s3:::data", f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/a/1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
SERVICES: dict[tuple[str, str], tuple[str, str, str, dict[str, str], dict[str, str]]] = {
    ("bucket-logs", "BucketLogs"): (
        "logging.s3.amazonaws.com",
        "s3:PutObject",
        BUCKET_LOG,
        MINE | {"aws:sourcearn": DATA},
        MINE | {"aws:sourcearn": "arn:aws:s3:::strangers"},
    ),
    ("bucket-logs", "LoadBalancerLogs"): (
        "logdelivery.elasticloadbalancing.amazonaws.com",
        "s3:PutObject",
        ALB_LOG,
        MINE | {"aws:sourcearn": ALB},
        MINE | {"aws:sourcearn": ALB.replace(REGION, "us-east-1")},
    ),
    ("key-data", "AutoScaling"): (SERVICE_ROLE, "kms:Decrypt", KEY, {}, {}),
    ("key-data", "AutoScalingVolumes"): (SERVICE_ROLE, "kms:CreateGrant", KEY, FOR_AWS, {}),
    ("key-data", "GrantThroughIam"): (ROOT, "kms:CreateGrant", KEY, FOR_AWS, {}),
    ("key-data", "Logs"): (
        f"logs.{REGION}.amazonaws.com",
        "kms:Decrypt",
        KEY,
        {"kms:encryptioncontext:aws:logs:arn": GROUP},
        {"kms:encryptioncontext:aws:logs:arn": GROUP.replace(ACCOUNT, "1")},
    ),
    **{
        ("key-data", sid): (service, "kms:GenerateDataKey", KEY, MINE, THEIRS)
        for sid, service in (
            ("Alarms", "cloudwatch.amazonaws.com"),
            ("Anomalies", "costalerts.amazonaws.com"),
            ("Backups", "backup.amazonaws.com"),
            ("Budgets", "budgets.amazonaws.com"),
        )
    },
    ("trust-nodes", "Assume"): ("ec2.amazonaws.com", "sts:AssumeRole", "*", {}, {}),
    ("trust-flow-logs", "Assume"): (
        "vpc-flow-logs.amazonaws.com",
        "sts:AssumeRole",
        "*",
        MINE | {"aws:sourcearn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"},
        THEIRS | {"aws:sourcearn": f"arn:aws:ec2:{REGION}:1:vpc-flow-log/fl-1"},
    ),
    ("endpoint-s3-source", "Source"): ("*", "s3:GetObject", "arn:aws:s3:::theirs/books/a.txt", {}, {}),
    ("endpoint-s3-source", "AgentPackages"): (
        "*",
        "s3:GetObject",
        f"arn:aws:s3:::aws-ssm-{REGION}/a",
        {},
        {},
    ),
}
"""Policy and statement -> who, what, on which resource, in which context; and in which context not. Of those with two
empty contexts, somebody else is refused."""
UNHEARD = {("endpoint-ssmmessages", "OwnAccount")}
"""The emulator does not have that service; see the test of the document alone."""


def test_every_statement_has_a_row(account: Account) -> None:
    """Of all policies of resources: through HTTP, or for a service, which does not call us, by the document."""
    deployed = {
        (name, statement["Sid"])
        for name, document in {**RESOURCES, **account.documents}.items()
        if not name.startswith("role-")
        for statement in document["Statement"]
    }
    same = {("endpoint-s3", "Source"), ("endpoint-s3", "AgentPackages"), ("endpoint-s3-source", "OwnBuckets")}
    assert deployed - same == {*BUCKETS, *KEYS, *ENDPOINTS, *SERVICES, *UNHEARD}


@pytest.mark.parametrize(("name", "sid"), sorted(BUCKETS), ids=lambda word: str(word))
def test_a_denial_of_a_bucket(account: Account, name: str, sid: str) -> None:
    """It stops its case and no other, whatever the caller's role allows."""
    node, row = account.nodes["administrator"], BUCKETS[name, sid]
    for call in row.allowed:
        assert node_account.refusal(lambda call=call: call(node, account)) == ""
    for call in row.denied:
        said = node_account.refusal(lambda call=call: call(node, account))
        assert "with an explicit deny in a resource-based policy" in said


@pytest.mark.parametrize("name", ["bucket-data", "bucket-work", "bucket-models", "bucket-logs"])
def test_no_denial_is_idle(account: Account, name: str) -> None:
    """Without its statement, what it stops passes."""
    s3, whole, node = account.operator.s3, account.documents[name], account.nodes["administrator"]
    bucket = name.removeprefix("bucket-")
    try:
        for statement in whole["Statement"]:
            if (name, statement["Sid"]) not in BUCKETS:
                continue
            others = [one for one in whole["Statement"] if one is not statement]
            s3.put_bucket_policy(Bucket=bucket, Policy=text({**whole, "Statement": others}))
            call = BUCKETS[name, statement["Sid"]].denied[0]
            said = node_account.refusal(lambda call=call: call(node, account))
            # Of another algorithm or key, the key's own policy has its say where the bucket's is silent.
            assert "explicit deny" not in said, statement["Sid"]
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=text(whole))
        s3.put_object(Bucket="models", Key="digits/1/manifest.json", Body=b"x")


@pytest.mark.parametrize(("name", "sid"), sorted(KEYS), ids=lambda word: str(word))
def test_a_key_leaves_to_the_account_what_it_says(account: Account, name: str, sid: str) -> None:
    """A role that may do everything cannot do with a key what the key's policy does not name."""
    node, row = account.nodes["administrator"], KEYS[name, sid]
    for call in row.allowed:
        assert node_account.refusal(lambda call=call: call(node, account)) == ""
    for call in row.denied:
        said = node_account.refusal(lambda call=call: call(node, account))
        assert "because no resource-based policy allows the kms:" in said


@pytest.mark.parametrize(("name", "sid"), sorted(ENDPOINTS), ids=lambda word: str(word))
def test_an_endpoint(account: Account, name: str, sid: str) -> None:
    """Behind it a node makes the calls that nodes make, and no others; elsewhere it may."""
    behind, elsewhere, row = account.nodes["behind"], account.nodes["administrator"], ENDPOINTS[name, sid]
    for call in row.allowed:
        assert node_account.refusal(lambda call=call: call(behind, account)) == ""
    for call in row.denied:
        said = node_account.refusal(lambda call=call: call(behind, account))
        assert "because no VPC endpoint policy allows the" in said
    if name != "endpoint-autoscaling":  # whose call would delete the group
        for call in row.denied:
            assert node_account.refusal(lambda call=call: call(elsewhere, account)) == ""


def judged(document: Document, action: str, resource: str, context: dict[str, str], who: str) -> str | None:
    """Return why a document refuses somebody; None where it does not."""
    door = "s3" in action and "aws:sourcearn" not in context
    caller = Caller(names=frozenset({who} - {ROOT}), account=ACCOUNT if who == ROOT else "")
    if door:
        everything = text({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
        return refusal(
            action, resource, context, caller, Policies(identity=(everything,), endpoint=text(document))
        )
    return refusal(
        action, resource, context, caller, Policies(resource=text(document), resource_must_allow=True)
    )


@pytest.mark.parametrize(("name", "sid"), sorted(SERVICES), ids=lambda word: str(word))
def test_a_statement_for_a_service(name: str, sid: str) -> None:
    """It lets its service in, in its own context; not in another, and not somebody else."""
    (who, action, resource, context, other), document = SERVICES[name, sid], RESOURCES[name]
    context = {"aws:principalaccount": ACCOUNT, **context}
    assert judged(document, action, resource, context, who) in (
        (None,) if who != ROOT else (f"because no identity-based policy allows the {action} action",)
    )
    if other != SERVICES[name, sid][3]:
        assert judged(document, action, resource, other, who) is not None
    elif who == "*":
        assert (
            judged(document, action, f"{resource.replace('books', 'x').replace('aws-ssm', 'x')}", {}, who)
            is not None
        )
    else:
        assert judged(document, action, resource, context, "arn:aws:iam::1:role/somebody") is not None


def test_the_door_for_shells() -> None:
    """Session Manager's channels pass, for the account's own principals."""
    document, everything = (
        RESOURCES["endpoint-ssmmessages"],
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
    )
    policies = Policies(identity=(text({"Statement": everything}),), endpoint=text(document))
    caller = Caller(names=frozenset(), account=ACCOUNT)
    action, own = "ssmmessages:OpenDataChannel", {"aws:principalaccount": ACCOUNT}
    assert refusal(action, "*", own, caller, policies) is None
    assert refusal(action, "*", {"aws:principalaccount": "1"}, caller, policies) is not None
    assert refusal("ssmmessages:Other", "*", own, caller, policies) is not None


def test_only_ec2_takes_a_node_role(account: Account) -> None:
    """A role that trusts another service gives an instance no credentials."""
    sts: Any = account.operator.client("sts")
    taken = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/role-train", RoleSessionName="i-1")
    assert taken["AssumedRoleUser"]["Arn"].endswith("assumed-role/role-train/i-1")
    with pytest.raises(botocore.exceptions.ClientError, match="is not authorized to perform: sts:AssumeRole"):
        sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/role-flow-logs", RoleSessionName="i-1")
