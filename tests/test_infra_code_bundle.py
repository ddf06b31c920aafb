"""Bundles: equal bytes from equal sources, an identity that only its own room moves, and one that installs."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pulumi
import pytest

from infra.code_bundle import Bundle, CodeBundle, CodeBundleArgs, Room, build
from tests.mocks import only, record

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what is packed, to be changed."""
    root = tmp_path / "project"
    for room in ("model_code", "serve_config"):
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, root / name)
    return root


def bundles(root: Path, cache: Path) -> dict[Room, Bundle]:
    """Pack both rooms."""
    return {"train": build("train", root, cache), "serve": build("serve", root, cache)}


def test_the_same_sources_are_the_same_bytes(project: Path, tmp_path: Path) -> None:
    """Twice, in two places, with other times and modes: one hash, and it is the file's."""
    first = build("train", project, tmp_path / "a")
    for path in project.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    second = build("train", project, tmp_path / "b")
    assert (first.sha256, first.identity) == (second.sha256, second.identity)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert hashlib.sha256(first.path.read_bytes()).hexdigest() == first.sha256
    assert first.path == tmp_path / "a" / f"{first.sha256}.zip"


@pytest.mark.parametrize(("room", "folder"), [("train", "model_code"), ("serve", "serve_config")])
def test_a_bundle_holds_its_room_and_the_lock(room: Room, folder: str, project: Path, tmp_path: Path) -> None:
    """No other room, no caches, no hidden files, no links; names sorted, one date, one mode."""
    (project / folder / "__pycache__").mkdir()
    (project / folder / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"x")
    (project / folder / ".secret").write_text("x")
    (project / folder / "link.py").symlink_to(project / folder / "__init__.py")
    expected = sorted(
        path.relative_to(ROOT).as_posix()
        for path in [ROOT / "pyproject.toml", ROOT / "uv.lock", *(ROOT / folder).rglob("*")]
        if path.is_file() and "__pycache__" not in path.parts
    )
    with zipfile.ZipFile(build(room, project, tmp_path).path) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == expected
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {stat.S_IFREG | 0o644}


def test_an_edit_of_serving_leaves_training_alone(project: Path, tmp_path: Path) -> None:
    """Neither the train bundle nor its identity moves: a running training is not replaced."""
    before = bundles(project, tmp_path)
    with (project / "serve_config" / "handler.py").open("a") as file:
        file.write("# edited\n")
    after = bundles(project, tmp_path)
    assert after["train"] == before["train"]
    assert after["serve"].sha256 != before["serve"].sha256
    assert after["serve"].identity != before["serve"].identity


def test_an_edit_of_training_is_another_run(project: Path, tmp_path: Path) -> None:
    """And leaves the serving nodes as they are."""
    before = bundles(project, tmp_path)
    with (project / "model_code" / "loop.py").open("a") as file:
        file.write("# edited\n")
    after = bundles(project, tmp_path)
    assert after["train"].identity != before["train"].identity
    assert after["serve"] == before["serve"]


def test_what_is_no_python_moves_the_bundle_and_not_the_run(project: Path, tmp_path: Path) -> None:
    """Another look of the report is no reason to train again."""
    before = build("train", project, tmp_path)
    with (project / "model_code" / "compress" / "report.html.j2").open("a") as file:
        file.write("<!-- edited -->")
    after = build("train", project, tmp_path)
    assert after.sha256 != before.sha256
    assert after.identity == before.identity


def test_data_among_the_code_is_refused(project: Path, tmp_path: Path) -> None:
    """It would be sent to every node at every boot."""
    with (project / "model_code" / "weights.pt").open("wb") as file:
        file.truncate(33 << 20)
    with pytest.raises(ValueError, match="at most") as refused:
        build("train", project, tmp_path)
    assert str(refused.value) == (
        "the code of `train` must have at most 32 MiB, got 34; move `model_code/weights.pt` out of model_code/"
    )


@pytest.mark.parametrize(
    ("package", "moved"),
    [
        ("torchserve", {"serve"}),
        ("torch-pruning", {"train"}),
        ("torch", {"train", "serve"}),
        ("pulumi", set()),
    ],
)
def test_only_a_rooms_own_packages_move_its_identity(
    package: str, moved: set[Room], project: Path, tmp_path: Path
) -> None:
    """The lock is one file for all rooms; a run must not end because another room's package rose."""
    before = bundles(project, tmp_path)
    lock = project / "uv.lock"
    text, begin = lock.read_text(), f'[[package]]\nname = "{package}"\nversion = "'
    assert text.count(begin) == 1
    lock.write_text(text.replace(begin, begin + "99."))
    after = bundles(project, tmp_path)
    assert {room for room in after if after[room].identity != before[room].identity} == moved
    assert {room for room in after if after[room].sha256 != before[room].sha256} == {"train", "serve"}


@pytest.mark.parametrize(("room", "package"), [("train", "torch-pruning"), ("serve", "torchserve")])
def test_a_node_can_install_from_its_bundle_alone(room: Room, package: str, tmp_path: Path) -> None:
    """`uv` resolves the room's group from the unpacked bundle, without the project and without a network."""
    node = tmp_path / "node"
    with zipfile.ZipFile(build(room, ROOT, tmp_path).path) as archive:
        archive.extractall(node)
    command = ["uv", "sync", "--frozen", "--no-default-groups", "--group", room]
    planned = subprocess.run(
        [*command, "--no-install-project", "--offline", "--dry-run"],
        cwd=node,
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )
    assert planned.returncode == 0, planned.stderr
    installed = {
        line.removeprefix(" + ").partition("==")[0]
        for line in planned.stderr.splitlines()
        if line[:3] == " + "
    }
    assert package in installed
    assert "pulumi" not in installed
    assert "skylift" not in installed


def test_the_bundle_lies_in_the_work_bucket_under_its_hash(project: Path, tmp_path: Path) -> None:
    """Encrypted by the stack's key, and kept when a newer one comes: older nodes may still boot."""
    bundle = build("serve", project, tmp_path)
    args = CodeBundleArgs(bundle=bundle, bucket="work", kms_key_arn="arn:key", tags={"Project": "skylift"})
    registered = record(lambda: CodeBundle("serve-code", args))
    stored = only(registered, "aws:s3/bucketObjectv2:BucketObjectv2")
    inputs = dict(stored.inputs)
    source = inputs.pop("source")
    assert isinstance(source, pulumi.FileAsset)
    assert source.path == str(bundle.path)
    assert inputs == {
        "bucket": "work",
        "key": f"code/{bundle.sha256}.zip",
        "contentType": "application/zip",
        "serverSideEncryption": "aws:kms",
        "kmsKeyId": "arn:key",
        "tags": {"Project": "skylift"},
    }
    assert stored.options["retainOnDelete"] is True
    assert only(registered, "skylift:index:CodeBundle").outputs == {
        "uri": f"s3://work/code/{bundle.sha256}.zip",
        "sha256": bundle.sha256,
    }
