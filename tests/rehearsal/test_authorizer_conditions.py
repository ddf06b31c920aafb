"""The grammar of policies, without a server: operators, patterns, what is refused because nobody can judge it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.policies import UNRESTRICTABLE
from infra.rehearsal.authorizer import s3_requests
from infra.rehearsal.authorizer.conditions import KNOWN, UnjudgedError, holds
from infra.rehearsal.authorizer.decide import Caller, Policies, refusal
from infra.rehearsal.authorizer.documents import parse
from infra.rehearsal.authorizer.resources import ARNS
from tests.policies import RESOURCES, ROLES, statements

KEY, ARN = "aws:principalarn", "arn:aws:iam::1:role/a/b"
NOBODY = Caller(names=frozenset({"arn:aws:iam::1:role/a"}), account="1")


@pytest.mark.parametrize(
    ("operator", "values", "received", "expected"),
    [
        ("StringEquals", ("a", "b"), "b", True),
        ("StringEquals", ("a",), "A", False),
        ("StringEquals", ("a",), None, False),
        ("StringEqualsIfExists", ("a",), None, True),
        ("StringEqualsIgnoreCase", ("a",), "A", True),
        ("StringNotEquals", ("a", "b"), "c", True),
        ("StringNotEquals", ("a", "b"), "b", False),
        ("StringNotEquals", ("a",), None, True),
        ("StringNotEqualsIfExists", ("a",), None, True),
        ("StringLike", ("runs/*/?",), "runs/1/2/3", True),
        ("StringLike", ("runs/?",), "runs/12", False),
        ("StringNotLike", ("runs/*",), "code/1", True),
        ("ArnLike", ("arn:aws:iam::*:role/*",), ARN, True),
        ("ArnLike", ("arn:aws:*:role/*",), ARN, False),
        ("ArnNotLike", ("arn:aws:iam::2:*",), ARN, True),
        ("Bool", ("true",), "True", True),
        ("Bool", ("false",), None, False),
        ("Null", ("true",), None, True),
        ("Null", ("true",), "", False),
        ("Null", ("false",), "x", True),
        ("NumericLessThanEquals", ("100",), "100", True),
        ("NumericNotEquals", ("100",), "1e2", False),
    ],
)
def test_operators(operator: str, values: tuple[str, ...], received: str | None, expected: bool) -> None:
    """What is absent equals nothing, is unequal to everything, and exists not."""
    context = {} if received is None else {KEY: received}
    assert holds(operator, KEY, values, context) is expected


@pytest.mark.parametrize(
    ("operator", "key"),
    [
        ("DateLessThan", KEY),
        ("ForAllValues:StringEquals", KEY),
        ("StringEquals", "aws:sourceip"),
        ("StringEquals", "autoscaling:instancetypes"),  # it has many values
    ],
)
def test_what_cannot_be_judged(operator: str, key: str) -> None:
    """It is said, instead of taken for met or unmet."""
    with pytest.raises(UnjudgedError):
        holds(operator, key, ("x",), {})


def test_deployed_conditions_can_be_judged() -> None:
    """All keys and operators of the program's policies are known."""
    for statement in statements(*ROLES.values(), *RESOURCES.values()):
        for operator, pairs in statement.get("Condition", {}).items():
            for key, value in pairs.items():
                assert key.lower() in KNOWN
                holds(operator, key.lower(), (str(value),), {})


def test_deployed_actions_have_their_arns() -> None:
    """What a role's statement limits to an ARN is judged by one, not by `*`."""
    for statement in statements(*ROLES.values()):
        for action in statement["Action"]:
            limited = statement["Resource"] != ["*"]
            by_name = action.startswith(("s3:", "kms:")) or action == "logs:DescribeLogGroups"
            assert (
                (action in ARNS or by_name) if limited else (action in UNRESTRICTABLE and action not in ARNS)
            )


def one(**words: Any) -> str:
    """Return a document of one statement."""
    usual = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    kept = {name: value for name, value in usual.items() if f"Not{name}" not in words}
    return json.dumps({"Statement": {**kept, **words}})


@pytest.mark.parametrize(
    ("document", "allowed", "denied"),
    [
        (one(Action=["s3:get*"]), ("s3:GetObject", "x"), ("s3:PutObject", "x")),
        (one(NotAction="s3:Get*"), ("s3:PutObject", "x"), ("s3:GetObject", "x")),
        (one(Resource="arn:aws:s3:::b/a/*"), ("s3:GetObject", "arn:aws:s3:::b/a/1/2"), ("s3:GetObject", "x")),
        (one(NotResource="x"), ("s3:GetObject", "y"), ("s3:GetObject", "x")),
        (one(Resource="b/${*}${?}${$}"), ("s3:GetObject", "b/*?$"), ("s3:GetObject", "b/abc")),
        (one(Resource="b/a.c"), ("s3:GetObject", "b/a.c"), ("s3:GetObject", "b/abc")),
    ],
)
def test_patterns(document: str, allowed: tuple[str, str], denied: tuple[str, str]) -> None:
    """Actions know no case, resources do; stars that stand for themselves are written as AWS writes them."""
    policies = Policies(identity=(document,))
    assert refusal(*allowed, {}, NOBODY, policies) is None
    assert refusal(*denied, {}, NOBODY, policies) == (
        f"because no identity-based policy allows the {denied[0]} action"
    )


@pytest.mark.parametrize("words", [{"Resource": "${aws:username}"}, {"Wish": "x"}])
def test_unknown_words(words: dict[str, str]) -> None:
    """A variable or an element that we do not know lets nothing through."""
    with pytest.raises(UnjudgedError):
        parse(one(**words))


def test_a_denial_wins() -> None:
    """Over every other policy, wherever it stands; and an endpoint must let pass what a role allows."""
    deny = one(Effect="Deny", Principal="*")
    for policies, why in (
        (Policies(identity=(one(), one(Effect="Deny"))), "an identity-based policy"),
        (Policies(identity=(one(),), resource=deny), "a resource-based policy"),
        (Policies(identity=(one(),), endpoint=deny), "a VPC endpoint policy"),
    ):
        said = refusal("s3:GetObject", "x", {}, NOBODY, policies)
        assert said == f"with an explicit deny in {why}"


def test_who_is_named() -> None:
    """A resource's policy may let a role in by itself; naming the account leaves it to the role's own policies."""
    role, account = (
        one(Principal={"AWS": "arn:aws:iam::1:role/a"}),
        one(Principal={"AWS": "arn:aws:iam::1:root"}),
    )
    other = one(Principal={"AWS": "arn:aws:iam::1:role/b"})

    def said(document: str, *identity: str, must: bool = False) -> str | None:
        policies = Policies(identity=identity, resource=document, resource_must_allow=must)
        return refusal("s3:GetObject", "x", {}, NOBODY, policies)

    assert said(role) is None
    assert said(account) == "because no identity-based policy allows the s3:GetObject action"
    assert said(account, one(), must=True) is None
    assert said(other, one()) is None
    assert said(other, one(), must=True) == "because no resource-based policy allows the s3:GetObject action"


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "operation", "actions"),
    [
        ("GET", "/", "", {}, "ListBuckets", ["ListAllMyBuckets"]),
        ("HEAD", "/b", "", {}, "HeadBucket", ["ListBucket"]),
        ("GET", "/b", "prefix", {}, "ListObjects", ["ListBucket"]),
        ("GET", "/b", "list-type", {}, "ListObjectsV2", ["ListBucket"]),
        ("GET", "/b", "versions", {}, "ListObjectVersions", ["ListBucketVersions"]),
        ("PUT", "/b", "policy", {}, "PutBucketPolicy", ["PutBucketPolicy"]),
        ("POST", "/b", "delete", {}, "DeleteObjects", ["DeleteObject"]),
        ("GET", "/b/k/l", "", {}, "GetObject", ["GetObject"]),
        ("GET", "/b/k", "versionId", {}, "GetObject", ["GetObjectVersion"]),
        ("GET", "/b/k", "tagging", {}, "GetObjectTagging", ["GetObjectTagging"]),
        ("HEAD", "/b/k", "", {}, "HeadObject", ["GetObject"]),
        ("PUT", "/b/k", "", {}, "PutObject", ["PutObject"]),
        ("PUT", "/b/k", "", {"x-amz-copy-source": "/c/d"}, "CopyObject", ["PutObject"]),
        ("PUT", "/b/k", "partNumber", {}, "UploadPart", ["PutObject"]),
        ("POST", "/b/k", "uploads", {}, "CreateMultipartUpload", ["PutObject"]),
        ("POST", "/b/k", "uploadId", {}, "CompleteMultipartUpload", ["PutObject"]),
        ("DELETE", "/b/k", "uploadId", {}, "AbortMultipartUpload", ["AbortMultipartUpload"]),
        ("DELETE", "/b/k", "versionId", {}, "DeleteObject", ["DeleteObjectVersion"]),
    ],
)
def test_requests_to_s3(
    method: str, path: str, query: str, headers: dict[str, str], operation: str, actions: list[str]
) -> None:
    """Method, path, query and headers say which operation it is, and that which actions it takes."""
    found, asked = s3_requests.read(method, path, {query: ["1"]} if query else {}, headers)
    assert found == operation
    assert s3_requests.actions(found, version="VersionId" in asked) == tuple(f"s3:{name}" for name in actions)
