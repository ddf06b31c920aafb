"""Which wheels are chosen: the commands that ask uv, whole, and what is taken of its answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli.errors import InputError, RunFailedError
from infra.cli.wheel_list import HASH, Target, Wheel, chosen, export_command, find_command, identity, ran

A, B = "a" * 64, "b" * 64
LOCK = f"""
[[packages]]
name = "torch"
version = "2"
wheels = [
    {{ url = "https://i/torch-2%2Bcu-cp312-cp312-manylinux_2_28_x86_64.whl", size = 5, hashes = {{ sha256 = "{A}" }} }},
    {{ url = "https://index/x/torch-2-py3-none-any.whl", hashes = {{ sha256 = "{B}" }} }},
]
"""
NAME = "torch-2+cu-cp312-cp312-manylinux_2_28_x86_64.whl"


def test_uv_is_asked_for_one_room_and_one_node() -> None:
    target = Target(room="serve", platform="aarch64", python="3.12")
    assert " ".join(export_command("serve")) == (
        "uv export --quiet --frozen --no-default-groups --group serve --no-emit-project"
    )
    assert " ".join(find_command(target, Path("/w"))) == (
        "uv pip compile --quiet --no-deps --only-binary :all: --format pylock.toml "
        "--python-platform aarch64-manylinux_2_39 --python-version 3.12 /w"
    )


def test_only_files_with_a_locked_hash_are_taken() -> None:
    assert HASH.findall(f"torch==2 \\\n    --hash=sha256:{A} --hash=sha256:{B}") == [A, B]
    assert [(one.name, one.sha256, one.bytes) for one in chosen(LOCK, {A})] == [(NAME, A, 5)]
    assert [one.bytes for one in chosen(LOCK, {B})] == [0]  # an index need not say sizes
    with pytest.raises(RunFailedError) as error:
        chosen(LOCK, {"c" * 64})
    assert str(error.value) == (
        "torch 2 must be in the index with a hash that uv.lock names, it is not; see UV_DEFAULT_INDEX"
    )


def test_an_identity_follows_names_and_hashes_alone() -> None:
    first = Wheel(name="a", url="https://one", sha256=A, bytes=1)
    assert identity([first]) == identity([Wheel(name="a", url="https://two", sha256=A, bytes=0)])
    assert identity([first]) != identity([Wheel(name="a", url="https://one", sha256=B, bytes=1)])


def test_a_failing_uv_and_none_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\necho 'error: no\n  ╰─▶ such lock' >&2; exit 2\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunFailedError, match=r"^uv export --quiet failed: error: no : such lock$"):
        ran(export_command("serve"), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"uv must be on PATH to read uv.lock, not found"):
        ran(export_command("serve"), tmp_path)
