"""The boot script's own fetch against a real HTTP store that checks signatures, with the real curl."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra.user_data import render
from tests.boot_machine import data
from tests.metadata import MetadataServer, metadata_server

BUCKET = "skylift-work"
REGION = "eu-central-1"
MAY_READ_CODE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@dataclass(frozen=True)
class Cloud:
    """Where a node finds its metadata and the store."""

    endpoint: str
    """The store's URL."""
    metadata: MetadataServer
    """The metadata service of the node `i-1`."""

    def give(self, credentials: dict[str, str]) -> None:
        """Have the metadata service give these for the node's role."""
        role = "iam/security-credentials/"
        self.metadata.values["i-1"] = {role: "node", f"{role}node": json.dumps(credentials)}


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A store with one object, a role that may read it, and the metadata service of a node that has the role."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    tell(f"{endpoint}/moto-api/reset")
    root = {
        "endpoint_url": endpoint,
        "region_name": REGION,
        "aws_access_key_id": "root",
        "aws_secret_access_key": "root",
    }
    store = boto3.client("s3", **root)
    store.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    store.put_object(Bucket=BUCKET, Key="code/abc.zip", Body=b"the code")
    roles = boto3.client("iam", **root)
    role = roles.create_role(RoleName="node", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    roles.put_role_policy(RoleName="node", PolicyName="read", PolicyDocument=json.dumps(MAY_READ_CODE))
    given = boto3.client("sts", **root).assume_role(RoleArn=role, RoleSessionName="node")["Credentials"]
    credentials = {
        "AccessKeyId": given["AccessKeyId"],
        "SecretAccessKey": given["SecretAccessKey"],
        "Token": given["SessionToken"],
    }
    with metadata_server() as metadata:
        found = Cloud(endpoint, metadata)
        found.give(credentials)
        tell(f"{endpoint}/moto-api/reset-auth", "0")  # from here on every call is checked
        yield found
        tell(f"{endpoint}/moto-api/reset-auth", "inf")
    server.stop()


def tell(url: str, text: str = "") -> None:
    """Send the emulator a word."""
    request = urllib.request.Request(url, data=text.encode(), headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()


def fetch(cloud: Cloud, key: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Run the script up to its first step, without its patience, then its fetch."""
    script = render(data()).partition("mkdir -p /etc/skylift")[0].replace("--retry 8 --retry-all-errors", "")
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.metadata.endpoint("i-1"),
        "NO_PROXY": "127.0.0.1",
    }
    command = ["bash", "-c", f"{script}\nfetch s3://{BUCKET}/{key} {file}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_role_s_signature_is_taken(cloud: Cloud, tmp_path: Path) -> None:
    done = fetch(cloud, "code/abc.zip", tmp_path / "got")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "got").read_bytes() == b"the code"


@pytest.mark.parametrize(("spoilt", "status"), [("SecretAccessKey", 403), ("Token", 400)])
def test_wrong_credentials_are_refused(cloud: Cloud, tmp_path: Path, spoilt: str, status: int) -> None:
    given: dict[str, str] = json.loads(cloud.metadata.values["i-1"]["iam/security-credentials/node"])
    cloud.give({**given, spoilt: given[spoilt][::-1]})
    done = fetch(cloud, "code/abc.zip", tmp_path / "got")
    assert f"The requested URL returned error: {status}" in done.stderr
    assert (
        f"skylift: cannot boot: s3://{BUCKET}/code/abc.zip cannot be read; see the node's role" in done.stderr
    )
    assert done.returncode == 1


def test_a_missing_object_is_said(cloud: Cloud, tmp_path: Path) -> None:
    done = fetch(cloud, "code/none.zip", tmp_path / "got")
    assert done.returncode == 1
    assert f"s3://{BUCKET}/code/none.zip cannot be read" in done.stderr
