"""Releases in the cloud, as an operator drives them: a bucket of (emulated) S3 and a key in (emulated) KMS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3

from tests.faults.together_publishers import place


def skylift(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("skylift")), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=120)


def test_a_release_goes_through_its_life_in_the_cloud(bucket: str, tmp_path: Path) -> None:
    """Published, given to a share, promoted, listed, rolled back, aborted: no key and no file is left here."""
    here = tmp_path / "here"
    here.mkdir()
    key = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    cloud = ("--models", f"{bucket}/", "--key", key["KeyMetadata"]["Arn"])
    first, second = place(tmp_path / "runs", bucket, runs=2).runs

    def told(*words: str) -> dict[str, Any]:
        done = skylift(*words, *cloud, cwd=here)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    old = told("release", "--run", str(first))
    new = told("release", "--run", str(second), "--percentage", "10")
    assert (old["counter"], new["counter"], new["percentage"]) == (1, 2, 10)
    named = ("--name", new["name"])
    assert told("promote", *named)["version"] == new["version"]
    listed = told("releases", *named, "--json")["releases"]
    assert [(one["version"], one["percentage"]) for one in listed] == [
        (new["version"], 100),
        (old["version"], 0),
    ]
    assert told("rollback", *named)["version"] == old["version"]
    told("release", "--run", str(second), "--percentage", "50")
    assert told("abort", *named)["version"] == old["version"]
    table = skylift("releases", *cloud, cwd=here).stdout.splitlines()
    assert [line.split()[2] for line in table if line.split()[:1] == ["*"]] == [old["version"]]
    assert list(here.iterdir()) == []
    pointer = boto3.client("s3").get_object(
        Bucket=bucket.removeprefix("s3://"), Key=f"{new['name']}/current.json"
    )
    assert json.loads(pointer["Body"].read())["algorithm"] == "ECDSA_SHA_256"


def test_a_key_that_is_not_there_is_one_line(bucket: str, tmp_path: Path) -> None:
    """What KMS said, whole, from the stage that asked."""
    arn = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    done = skylift("releases", "--models", bucket, "--key", arn, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: signing key `{arn}` cannot be used: ")
    assert len(done.stderr.splitlines()) == 1
