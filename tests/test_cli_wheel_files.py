"""Wheels come whole, or go on where they were torn; what has another hash never gets its name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from infra.cli.errors import RunFailedError
from infra.cli.wheel_files import bring, here, missing
from infra.cli.wheel_list import Wheel
from tests.wheel_index import Index, served

NAME = "big-1-py3-none-any.whl"
CONTENT = bytes(range(256)) * 4000


def listed(index: Index, content: bytes = CONTENT) -> Wheel:
    url = index.url.replace("/simple", f"/files/{NAME}")
    return Wheel(name=NAME, url=url, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def test_a_torn_download_goes_on(tmp_path: Path) -> None:
    """The server breaks off in the middle; the rest is asked for, and all pieces are told."""
    told: list[int] = []
    with served({NAME: CONTENT}) as index:
        index.torn.add(NAME)
        wheel = listed(index)
        assert missing([wheel], tmp_path) == [wheel]
        bring([wheel], tmp_path, told.append)
    half = len(CONTENT) // 2
    assert index.asked == [(NAME, ""), (NAME, f"bytes={half}-")]
    assert (here(wheel, tmp_path).read_bytes(), sum(told)) == (CONTENT, len(CONTENT))
    assert missing([wheel], tmp_path) == []
    assert [path.name for path in here(wheel, tmp_path).parent.iterdir()] == [NAME]


def test_a_killed_command_s_part_is_gone_on_with(tmp_path: Path) -> None:
    with served({NAME: CONTENT}) as index:
        wheel = listed(index)
        part = here(wheel, tmp_path).with_name(f"{NAME}.part")
        part.parent.mkdir()
        part.write_bytes(CONTENT[:1000])
        bring([wheel], tmp_path, lambda _: None)
    assert index.asked == [(NAME, "bytes=1000-")]
    assert here(wheel, tmp_path).read_bytes() == CONTENT


def test_another_hash_is_thrown_away(tmp_path: Path) -> None:
    with served({NAME: CONTENT}) as index:
        wheel = listed(index, b"what was locked")
        with pytest.raises(RunFailedError, match=f"does not hash to {wheel.sha256}, which uv.lock names"):
            bring([wheel], tmp_path, lambda _: None)
    assert list(here(wheel, tmp_path).parent.iterdir()) == []


def test_a_file_that_rotted_is_missing(tmp_path: Path) -> None:
    with served({NAME: CONTENT}) as index:
        wheel = listed(index)
        bring([wheel], tmp_path, lambda _: None)
        here(wheel, tmp_path).write_bytes(CONTENT[:-1])
        assert missing([wheel], tmp_path) == [wheel]


def test_a_refusal_is_said_at_once(tmp_path: Path) -> None:
    with served({NAME: CONTENT}) as index:
        wheel = listed(index)
        index.files.clear()
        with pytest.raises(RunFailedError, match=r"cannot be downloaded \(404.*run the same command again"):
            bring([wheel], tmp_path, lambda _: None)
    assert index.asked == []
