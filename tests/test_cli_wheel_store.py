"""A tar in a bucket: reproducible, known by what is in it, and never half there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import boto3
import pytest

from infra.cli.errors import RunFailedError
from infra.cli.wheel_files import here
from infra.cli.wheel_list import Wheel, identity
from infra.cli.wheel_store import MARK, is_there, pack, upload

KEY = "wheels/abc/serve.tar"


def cached(cache: Path, *names: str) -> list[Wheel]:
    """Put files into the cache and list them."""
    found = []
    for name in names:
        digest = hashlib.sha256(name.encode()).hexdigest()
        wheel = Wheel(name=name, url=f"https://index/{name}", sha256=digest, bytes=len(name))
        here(wheel, cache).parent.mkdir(parents=True)
        here(wheel, cache).write_bytes(name.encode())
        found.append(wheel)
    return found


def test_the_same_wheels_are_the_same_bytes(tmp_path: Path) -> None:
    """Wherever the cache lies and whenever it was filled."""
    made = []
    for place in ("one", "two"):
        wheels = cached(tmp_path / place, "a-1-py3-none-any.whl", "b-1-py3-none-any.whl")
        pack(wheels, tmp_path / place, tmp_path / f"{place}.tar")
        made.append((tmp_path / f"{place}.tar").read_bytes())
    assert made[0] == made[1]


def test_a_tar_is_known_by_its_wheels(bucket: str, tmp_path: Path) -> None:
    client, name = boto3.client("s3"), bucket.removeprefix("s3://")
    wheels = cached(tmp_path / "cache", "a-1-py3-none-any.whl", "b-1-py3-none-any.whl")
    told: list[int] = []
    assert not is_there(client, name, KEY, wheels)
    pack(wheels, tmp_path / "cache", tmp_path / "serve.tar")
    upload(client, tmp_path / "serve.tar", (name, KEY), wheels, told.append)
    assert is_there(client, name, KEY, wheels)
    assert not is_there(client, name, KEY, wheels[:1])
    head = client.head_object(Bucket=name, Key=KEY, ChecksumMode="ENABLED")
    assert head["Metadata"] == {MARK: identity(wheels)}
    assert "ChecksumSHA256" in head
    assert sum(told) == (tmp_path / "serve.tar").stat().st_size == head["ContentLength"]


def test_a_torn_upload_leaves_nothing(bucket: str, tmp_path: Path) -> None:
    """The connection is lost after some parts: no object, and no parts that are paid for."""
    client, name = boto3.client("s3"), bucket.removeprefix("s3://")
    tar = tmp_path / "serve.tar"
    tar.write_bytes(bytes(20 << 20))

    def lose(**_: object) -> None:
        raise ConnectionResetError("lost")

    client.meta.events.register("before-call.s3.CompleteMultipartUpload", lose)
    with pytest.raises(ConnectionResetError):
        upload(client, tar, (name, KEY), [], lambda _: None)
    plain = boto3.client("s3")
    assert "Contents" not in plain.list_objects_v2(Bucket=name)
    assert "Uploads" not in plain.list_multipart_uploads(Bucket=name)


def test_a_bucket_that_refuses_is_one_line(bucket: str, tmp_path: Path) -> None:
    assert bucket
    (tmp_path / "serve.tar").write_bytes(b"x")
    with pytest.raises(
        RunFailedError, match=r"s3://skylift-none/wheels/abc/serve.tar cannot be written: .*NoSuchBucket"
    ):
        upload(boto3.client("s3"), tmp_path / "serve.tar", ("skylift-none", KEY), [], lambda _: None)
