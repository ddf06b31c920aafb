"""Places in the cloud on the command line: either a folder or a bucket, and what a stage is told to reach it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from infra.cli.cloud import aws_environment, bucket_of, reach
from infra.cli.errors import InputError
from model_code.data.index import load_index

ARN = "arn:aws:kms:us-east-1:123456789012:key/1"


def skylift(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("skylift")), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=120)


REFUSED = {
    "data digits --out a --to s3://bucket": "--out must not be given with --to, got `a`; leave it out",
    "data digits --to ftp://x": (
        "--to must be s3://BUCKET/PREFIX or file:///FOLDER, got `ftp://x`; see pulumi stack output dataUri"
    ),
    "releases --models s3://bucket": (
        "--key must be given with --models, it is missing; add --key $(pulumi stack output signingKeyArn)"
    ),
    f"promote --name m --key {ARN}": (
        "--models must be given with --key, it is missing; add --models $(pulumi stack output modelsUri)"
    ),
    "abort --name m --models s3://bucket --key keys": (
        "--key must be a KMS key's ARN, got `keys`; see pulumi stack output signingKeyArn"
    ),
    f"rollback --name m --models models --key {ARN}": (
        "--models must be s3://BUCKET, got `models`; see pulumi stack output modelsUri"
    ),
    f"release --run r --out o --models s3://bucket --key {ARN}": (
        "--out must not be given with --models and --key, got `o`; leave it out"
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_half_a_place_and_two_places_are_one_line(words: str, tmp_path: Path) -> None:
    done = skylift(*words.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {REFUSED[words]}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_is_written_to_a_bucket_and_named(bucket: str, tmp_path: Path) -> None:
    """What is printed is what `skylift:data` takes: shards that the training room reads. Nothing is left here."""
    done = skylift("data", "digits", "--to", f"{bucket}/sets", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    uri = json.loads(done.stdout)["uri"]
    assert uri.startswith(f"{bucket}/sets/digits/")
    assert done.stderr.splitlines()[-1] == f"pulumi config set data {uri}"
    assert load_index(uri).splits["train"].samples > 1000
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_is_written_to_a_folder(tmp_path: Path) -> None:
    done = skylift("data", "digits", "--to", f"file://{tmp_path}/sets", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    uri = json.loads(done.stdout)["uri"]
    assert uri.startswith(f"file://{tmp_path}/sets/digits/")
    assert "pulumi config" not in done.stderr  # no node reads a folder of this machine
    assert [path.name for path in tmp_path.iterdir()] == ["sets"]


def test_a_stage_gets_the_credentials_of_a_profile_and_the_region_of_the_bucket(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages read the environment alone; a profile is read for them. The bucket's region wins over the profile's."""
    assert bucket
    far = "skylift-far-away"
    boto3.client("s3").create_bucket(
        Bucket=far, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    credentials = tmp_path / "credentials"
    credentials.write_text(
        "[work]\naws_access_key_id = A\naws_secret_access_key = B\naws_session_token = C\nregion = us-west-2\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert aws_environment(f"s3://{far}/prefix") == {
        "AWS_ACCESS_KEY_ID": "A",
        "AWS_SECRET_ACCESS_KEY": "B",
        "AWS_SESSION_TOKEN": "C",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(
        InputError, match=r"s3://skylift-none must be a bucket that these credentials reach: .*404"
    ):
        reach("s3://skylift-none/models")
    assert bucket_of(f"{bucket}/a/b") == bucket.removeprefix("s3://")


def test_no_credentials_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(InputError) as error:
        reach("s3://bucket/x")
    assert str(error.value) == (
        "AWS credentials must be set to reach s3://bucket/x, found none; run aws configure sso"
    )
