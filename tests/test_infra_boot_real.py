"""The boot script with the real bundle, the real uv and the real node: only the store and the metadata are made up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from infra.code_bundle import build
from tests.boot_machine import Machine, data

ROOT = Path(__file__).parents[1]
FIRST_WORDS = {
    "train": "SKYLIFT_NODES",
    "serve": "SKYLIFT_MODELS",
}
"""The first variable that each node misses here."""


@pytest.mark.parametrize("room", ["train", "serve"])
def test_a_node_comes_up_from_its_bundle_and_its_locked_packages(
    room: Literal["train", "serve"], tmp_path: Path
) -> None:
    uv = shutil.which("uv")
    if not uv:
        pytest.skip("uv is not on PATH: it installs the room's packages")
    bundle = build(room, ROOT)
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    machine = Machine(tmp_path / "machine", path=[str(Path(uv).parent), str(Path(sys.base_prefix) / "bin")])
    machine.without("uv", "python3")
    shutil.copy(bundle.path, machine.root / "store" / f"{bundle.sha256}.zip")
    machine.environment = {"UV_OFFLINE": "1", "UV_CACHE_DIR": cache, "HOME": os.environ["HOME"]}
    done = machine.boot(
        data(
            room=room,
            bundle_uri=f"s3://skylift-work/code/{bundle.sha256}.zip",
            bundle_sha256=bundle.sha256,
            environment={"AWS_REGION": "eu-central-1", "SKYLIFT_GROUP": "a group"},
        )
    )
    if "was disabled" in done.stderr:
        pytest.skip(f"uv's cache does not hold the packages of the room `{room}`: uv sync --group {room}")
    assert done.stderr.splitlines()[-1].startswith(f"error: {FIRST_WORDS[room]} "), done.stderr
    assert done.returncode == 2
    assert (machine.root / "opt/skylift" / bundle.sha256 / ".venv").is_dir()
