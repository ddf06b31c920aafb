"""The boot script's own fetch against a real HTTP store that checks signatures, with the real curl."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra.user_data import render
from tests.boot_machine import data

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
    metadata: str
    """The metadata service's URL."""
    credentials: dict[str, str]
    """What the metadata service gives, which a test may spoil."""


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
    imds = HTTPServer(("127.0.0.1", 0), metadata_handler(credentials))
    threading.Thread(target=imds.serve_forever, daemon=True).start()
    tell(f"{endpoint}/moto-api/reset-auth", "0")  # from here on every call is checked
    yield Cloud(endpoint, f"http://127.0.0.1:{imds.server_port}", credentials)
    tell(f"{endpoint}/moto-api/reset-auth", "inf")
    imds.shutdown()
    imds.server_close()
    server.stop()


def tell(url: str, text: str = "") -> None:
    """Send the emulator a word."""
    request = urllib.request.Request(url, data=text.encode(), headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()


def metadata_handler(credentials: dict[str, str]) -> type[BaseHTTPRequestHandler]:
    """Return a metadata service that answers none without a token."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._answer("t0ken" if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else "", 200)

        def do_GET(self) -> None:
            known = {
                "/latest/meta-data/iam/security-credentials/": "node",
                "/latest/meta-data/iam/security-credentials/node": json.dumps(credentials),
            }
            allowed = self.headers["X-aws-ec2-metadata-token"] == "t0ken"
            self._answer(known.get(self.path, ""), 200 if allowed else 401)

        def _answer(self, text: str, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    return Handler


def fetch(cloud: Cloud, key: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Run the script up to its first step, without its patience, then its fetch."""
    script = render(data()).partition("mkdir -p /etc/skylift")[0].replace("--retry 8 --retry-all-errors", "")
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.metadata,
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
    cloud.credentials[spoilt] = cloud.credentials[spoilt][::-1]
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
