"""Who a caller is, and how each service says no: as AWS does, so that SDKs and nodes react as they will."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import botocore.exceptions
import pytest

from infra.rehearsal.emulator import EmulatorError
from tests.rehearsal.node_account import Account, Node, refusal
from tests.rehearsal.role_rows import get, listing, measure, public_key, see


def code(call: Any) -> tuple[str, int]:
    """Return error code and HTTP status of a call that must fail."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    answer: Any = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def codes(node: Node, account: Account) -> dict[str, tuple[str, int]]:
    """Return how each protocol refuses a node everything."""
    calls = {
        "rest-xml": listing("models"),
        "query": see("autoscaling", "describe_auto_scaling_groups"),
        "ec2": see("ec2", "describe_instances"),
        "json": public_key,
    }
    return {protocol: code(lambda call=call: call(node, account)) for protocol, call in calls.items()}


def test_a_denial_in_each_protocol(account: Account) -> None:
    """Code and status are the service's own."""
    node = account.nodes["role-flow-logs"]
    assert codes(node, account) == {
        "rest-xml": ("AccessDenied", 403),
        "query": ("AccessDenied", 403),
        "ec2": ("UnauthorizedOperation", 403),
        "json": ("AccessDeniedException", 400),
    }


def test_an_unknown_key(account: Account) -> None:
    """Nobody's key is refused before any policy is asked."""
    node = Node(
        account.emulator, {"AccessKeyId": "AKIAOFNOBODY", "SecretAccessKey": "x", "SessionToken": None}
    )
    assert codes(node, account) == {
        "rest-xml": ("InvalidAccessKeyId", 403),
        "query": ("InvalidClientTokenId", 403),
        "ec2": ("AuthFailure", 401),
        "json": ("UnrecognizedClientException", 400),
    }


def test_a_key_without_its_token(account: Account) -> None:
    """A role's key alone is worth nothing."""
    node = account.nodes["role-serve"]
    robbed = Node(account.emulator, {**node.keys, "SessionToken": "another"})
    assert code(lambda: listing("models")(robbed, account)) == ("InvalidToken", 400)
    assert code(lambda: public_key(robbed, account)) == ("UnrecognizedClientException", 400)


def test_a_key_with_another_secret(account: Account) -> None:
    """Whoever knows key and token, but not the secret, cannot sign."""
    node = account.nodes["role-serve"]
    robbed = Node(account.emulator, {**node.keys, "SecretAccessKey": "guessed"})
    assert codes(robbed, account) == {
        "rest-xml": ("SignatureDoesNotMatch", 403),
        "query": ("SignatureDoesNotMatch", 403),
        "ec2": ("AuthFailure", 401),
        "json": ("InvalidSignatureException", 400),
    }


def test_credentials_that_are_over(account: Account) -> None:
    """Every service says so in its own words, which SDKs know; those given out afterwards are good."""
    node = account.node("role-serve", "i-over")
    assert refusal(lambda: listing("models")(node, account)) == ""
    assert account.emulator.ask("end-sessions", session="i-over") == 1
    assert codes(node, account) == {
        "rest-xml": ("ExpiredToken", 400),
        "query": ("ExpiredToken", 403),
        "ec2": ("RequestExpired", 400),
        "json": ("ExpiredTokenException", 400),
    }
    assert account.emulator.ask("end-sessions", session="i-over") == 0
    assert refusal(lambda: listing("models")(account.node("role-serve", "i-over"), account)) == ""


def test_words_of_a_denial(account: Account) -> None:
    """They name who, what, on which resource, and why; the list of denials names the statement that is missing."""
    node, account_id = account.nodes["role-serve"], account.places.account_id
    who = f"arn:aws:sts::{account_id}:assumed-role/role-serve/{account.machines['role-serve']}"
    why = "because no identity-based policy allows the s3:GetObject action"
    said = refusal(lambda: get("work", "runs/1/state.json")(node, account))
    assert said == (
        f"User: {who} is not authorized to perform: s3:GetObject on resource: "
        f"arn:aws:s3:::work/runs/1/state.json {why}"
    )
    newest = account.emulator.ask("denials")[-1]
    assert newest.pop("at") > 0
    assert newest == {
        "who": "role-serve",
        "session": account.machines["role-serve"],
        "operation": "GetObject",
        "action": "s3:GetObject",
        "resource": "arn:aws:s3:::work/runs/1/state.json",
        "why": why,
        "statement": {
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::work/runs/1/state.json"],
        },
    }
    said = refusal(lambda: see("ec2", "describe_instances")(node, account))
    assert said.startswith(f"You are not authorized to perform this operation. User: {who}")


def test_calls_are_counted(account: Account) -> None:
    """By who, what, and whether it went through."""

    def counted() -> dict[tuple[str, str], int]:
        found = account.emulator.ask("calls")
        return {
            (one["who"], one["outcome"]): one["number"]
            for one in found
            if one["operation"] == "PutMetricData"
        }

    before, node = counted(), account.nodes["role-serve"]
    refusal(lambda: measure("Skylift/dev")(node, account))
    refusal(lambda: measure("AWS/EC2")(node, account))
    measure("AWS/EC2")(account.operator, account)
    expected = {("role-serve", "allowed"): 1, ("role-serve", "denied"): 1, ("operator", "allowed"): 1}
    assert {
        key: number - before.get(key, 0) for key, number in counted().items() if key in expected
    } == expected


def test_missing_to_those_who_may_list(account: Account) -> None:
    """S3 says "not there" only to them; to others a missing file is a forbidden one."""
    train, serve = account.nodes["role-train"], account.nodes["role-serve"]
    assert code(lambda: get("work", "code/missing.zip")(train, account)) == ("NoSuchKey", 404)
    said = refusal(lambda: get("work", "code/missing.zip")(serve, account))
    assert "s3:ListBucket on resource: arn:aws:s3:::work because no identity-based policy allows" in said
    assert refusal(lambda: serve.s3.head_object(Bucket="work", Key="code/missing.zip")) == "Forbidden"
    assert code(lambda: get("nowhere", "a")(serve, account)) == ("NoSuchBucket", 404)


def test_a_deletion_in_bulk(account: Account) -> None:
    """Each key is judged by itself, as obstore's single deletions are too: they are sent in bulk."""
    node, s3 = account.nodes["role-train"], account.operator.s3
    s3.put_object(Bucket="work", Key="runs/1/gone & lost", Body=b"x")
    keys = [{"Key": "runs/1/gone & lost"}, {"Key": "code/a.zip"}]
    answer = node.s3.delete_objects(Bucket="work", Delete={"Objects": keys})
    assert [one["Key"] for one in answer["Deleted"]] == ["runs/1/gone & lost"]
    assert [(one["Key"], one["Code"]) for one in answer["Errors"]] == [("code/a.zip", "AccessDenied")]
    left = {one["Key"] for one in s3.list_objects_v2(Bucket="work")["Contents"]}
    assert "code/a.zip" in left
    assert "runs/1/gone & lost" not in left
    only = node.s3.delete_objects(Bucket="work", Delete={"Objects": keys[1:]})
    assert "Deleted" not in only


def test_nothing_goes_unsigned(account: Account) -> None:
    """Neither AWS's calls, nor moto's own, nor the rehearsal's questions."""
    trust = ssl.create_default_context(cafile=account.emulator.ca)
    for path in ("/work/code/a.zip", "/moto-api/data.json", "/?Action=DescribeInstances"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{account.emulator.endpoint}{path}", context=trust)
        assert caught.value.code in (400, 403)
        caught.value.close()
    with pytest.raises(EmulatorError):
        replace(account.emulator, token="").ask("calls")


def test_what_cannot_be_judged_is_refused(account: Account) -> None:
    """A condition that we do not know is said, and lets nothing through."""
    iam, name = account.operator.client("iam"), "role-flow-logs"
    statement = {"Effect": "Allow", "Action": "autoscaling:*", "Resource": "*"}
    odd = {**statement, "Condition": {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}}
    iam.put_role_policy(
        RoleName=name,
        PolicyName="odd",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": odd}),
    )
    try:
        said = refusal(
            lambda: see("autoscaling", "describe_auto_scaling_groups")(account.nodes[name], account)
        )
        assert "condition key `aws:currenttime` is not known" in said
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="odd")
