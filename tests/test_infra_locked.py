"""Which packages a group brings: walked over a small lock, and over this project's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.locked import locked

LOCK = """
[[package]]
name = "skylift"
version = "0.1.0"
source = { editable = "." }

[package.dev-dependencies]
train = [{ name = "torch" }, { name = "moto", extra = ["server"] }]
serve = [{ name = "torchserve" }]

[[package]]
name = "torch"
version = "2.11"
source = { registry = "https://index" }
dependencies = [{ name = "numpy", marker = "python_full_version < '3.12'" }, { name = "torch" }]

[[package]]
name = "numpy"
version = "1.26"
source = { registry = "https://index" }

[[package]]
name = "numpy"
version = "2.4"
source = { registry = "https://index" }

[[package]]
name = "moto"
version = "5.2"
source = { registry = "https://index" }

[package.optional-dependencies]
server = [{ name = "flask" }]
all = [{ name = "docker" }]

[[package]]
name = "flask"
version = "3.1"
source = { registry = "https://index" }

[[package]]
name = "docker"
version = "7.1"
source = { registry = "https://index" }

[[package]]
name = "torchserve"
version = "0.12.0"
source = { git = "https://repository?rev=1" }
"""


def test_a_group_brings_what_its_packages_need() -> None:
    """Every version of a name, extras that are asked for and no others, and no end without one."""
    assert locked(LOCK, "train") == [
        "flask 3.1 registry=https://index",
        "moto 5.2 registry=https://index",
        "numpy 1.26 registry=https://index",
        "numpy 2.4 registry=https://index",
        "torch 2.11 registry=https://index",
    ]


def test_another_group_brings_others() -> None:
    """With where it comes from."""
    assert locked(LOCK, "serve") == ["torchserve 0.12.0 git=https://repository?rev=1"]


def test_an_unknown_group_is_refused() -> None:
    """Field, rule, value, next step."""
    with pytest.raises(ValueError, match="group") as refused:
        locked(LOCK, "infra")
    assert str(refused.value) == "uv.lock must hold the group `infra`, it has ['serve', 'train']; run uv lock"


def test_this_projects_rooms_share_torch_and_differ() -> None:
    """Its own lock: training has no server, serving has no pruning, neither has Pulumi."""
    lock = (Path(__file__).parents[1] / "uv.lock").read_text()
    train, serve = ({one.split()[0] for one in locked(lock, room)} for room in ("train", "serve"))
    assert {"torch", "numpy", "boto3", "botocore"} <= train & serve
    assert {"torch-pruning", "torchserve", "pulumi", "moto"} & train == {"torch-pruning"}
    assert {"torch-pruning", "torchserve", "pulumi", "moto"} & serve == {"torchserve"}
