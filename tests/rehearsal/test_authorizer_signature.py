"""Signatures are verified, however odd the path: boto3's, obstore's, and curl's, which the boot script signs with."""

from __future__ import annotations

import hashlib
import io
import subprocess
from dataclasses import dataclass

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError
from obstore.store import S3Store

from infra.rehearsal.authorizer.signature import is_right
from tests.rehearsal.node_account import REGION, Account, Node, refusal

ODD = "books/a.txt/a b+c=d&e%20ä~(1)'*.txt"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request of AWS's own test suite for signatures, version 4."""

    method: str
    """Of HTTP."""
    path: str
    """With its query."""
    names: str
    """Headers that are signed."""
    signature: str
    """As AWS gives it."""


SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SUITE = (
    Sent(
        method="GET",
        path="/",
        names="host;x-amz-date",
        signature="5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    Sent(
        method="GET",
        path="/?Param2=value2&Param1=value1",
        names="host;x-amz-date",
        signature="b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    Sent(
        method="POST",
        path="/",
        names="host;x-amz-date",
        signature="5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
)
"""`get-vanilla`, `get-vanilla-query-order-key-case` and `post-vanilla`."""


@pytest.mark.parametrize("sent", SUITE, ids=lambda one: f"{one.method} {one.path}")
def test_aws_own_examples(sent: Sent) -> None:
    """They are right, with another letter in secret or signature they are not."""
    scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    path, _, query = sent.path.partition("?")

    def environ(signature: str, names: str = sent.names) -> dict[str, object]:
        return {
            "REQUEST_METHOD": sent.method,
            "PATH_INFO": path,
            "RAW_URI": sent.path,
            "QUERY_STRING": query,
            "HTTP_HOST": "example.amazonaws.com",
            "HTTP_X_AMZ_DATE": "20150830T123600Z",
            "HTTP_X_AMZ_CONTENT_SHA256": hashlib.sha256(b"").hexdigest(),
            "HTTP_AUTHORIZATION": (
                f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"
            ),
        }

    without_hash = environ(sent.signature)
    del without_hash["HTTP_X_AMZ_CONTENT_SHA256"]
    without_hash["wsgi.input"] = io.BytesIO(b"")
    assert is_right(without_hash, SECRET)
    assert not is_right(without_hash, SECRET.lower())
    assert not is_right(
        {**without_hash, "HTTP_AUTHORIZATION": environ("0" * 64)["HTTP_AUTHORIZATION"]}, SECRET
    )
    assert not is_right(environ(sent.signature), SECRET)  # a header of AWS's that nobody signed


def store(account: Account, node: Node, bucket: str) -> S3Store:
    """Return a bucket as nodes reach it."""
    return S3Store(
        bucket,
        endpoint=account.emulator.plain,  # obstore takes its authorities from the environment, once a process
        region=REGION,
        access_key_id=node.keys["AccessKeyId"],
        secret_access_key=node.keys["SecretAccessKey"],
        session_token=node.keys["SessionToken"],
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def test_obstore(account: Account) -> None:
    """Odd names pass, and a refusal is one of permission."""
    account.operator.s3.put_object(Bucket="theirs", Key=ODD, Body=b"odd")
    bucket = store(account, account.nodes["role-train-source"], "theirs")
    assert obstore.get(bucket, ODD).bytes() == b"odd"
    listed = [one["path"] for page in obstore.list(bucket, prefix="books/a.txt") for one in page]
    assert ODD in listed
    with pytest.raises(PermissionDeniedError, match="s3:GetObject on resource: arn:aws:s3:::theirs/letters"):
        obstore.get(bucket, "letters/a.txt")
    wrong = Node(account.emulator, {**account.nodes["role-train-source"].keys, "SecretAccessKey": "x"})
    with pytest.raises(PermissionDeniedError, match="SignatureDoesNotMatch"):
        obstore.get(store(account, wrong, "theirs"), ODD)


def test_boto3_with_odd_names(account: Account) -> None:
    """The SDK's form of the path is ours."""
    node = account.nodes["role-train"]
    for key in (ODD, "a//b", "a/../b", "ü/ ", "a;b,c:d@e!"):
        put = lambda key=key: node.s3.put_object(Bucket="data", Key=key, Body=b"x")  # noqa: E731
        assert refusal(put) == ""
        assert node.s3.get_object(Bucket="data", Key=key)["Body"].read() == b"x"


def test_curl(account: Account) -> None:
    """As in the boot script: the token, and the hash of an empty body, in headers of its own."""
    keys = account.nodes["role-train"].keys
    config = "\n".join(
        (
            f'user = "{keys["AccessKeyId"]}:{keys["SecretAccessKey"]}"',
            f'header = "x-amz-security-token: {keys["SessionToken"]}"',
        )
    )

    def fetch(key: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *("curl", "-sS", "--config", "-", "--aws-sigv4", f"aws:amz:{REGION}:s3"),
                *("-H", f"x-amz-content-sha256: {hashlib.sha256(b'').hexdigest()}"),
                *("--cacert", str(account.emulator.ca), f"{account.emulator.endpoint}/work/{key}"),
            ],
            input=config,
            capture_output=True,
            text=True,
            check=False,
        )

    assert fetch("code/a.zip").stdout == "x"
    assert "<Code>AccessDenied</Code>" in fetch("elsewhere/a").stdout
