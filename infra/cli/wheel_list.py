"""Which wheels a room's node needs: what uv.lock holds, read by uv for the node's platform and Python.

uv finds them in the operator's own package index. Only a file whose hash uv.lock (or a pin) names is taken from it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infra.cli.errors import InputError, RunFailedError

GLIBC = "manylinux_2_39"
"""That of Ubuntu 24.04. A wheel for an older one is taken too."""
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """One file."""

    name: str
    """Its file name, which pip and uv find it by."""
    url: str
    """Where the index has it."""
    sha256: str
    """Its hash, 64 hexadecimal digits."""
    bytes: int
    """Its size; 0 where the index does not say it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which node the wheels are for."""

    room: str
    """`train` or `serve`: a dependency group."""
    platform: str
    """`x86_64` or `aarch64`."""
    python: str
    """Python of the node's image, as 3.12."""


def find_wheels(root: Path, target: Target, pins: Sequence[str]) -> list[Wheel]:
    """Return the wheels of a room, by name.

    Args:
        root: the project's folder, with pyproject.toml and uv.lock.
        target: for which node.
        pins: further requirements, each with its hashes.

    Raises:
        InputError: no uv.
        RunFailedError: uv.lock or the index does not have them all.
    """
    locked = ran(export_command(target.room), root)
    with tempfile.TemporaryDirectory(prefix="skylift-wheels-") as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text("\n".join([locked, *pins, ""]))
        found = ran(find_command(target, wanted), root)
    return chosen(found, set(HASH.findall("\n".join([locked, *pins]))))


def export_command(room: str) -> list[str]:
    """Write down what uv.lock holds for a room, with hashes."""
    words = ["--quiet", "--frozen", "--no-default-groups", "--group", room, "--no-emit-project"]
    return ["uv", "export", *words]


def find_command(target: Target, wanted: Path) -> list[str]:
    """Look for those files in the index that fit the node. Nothing is resolved: every version is given."""
    fits = ["--python-platform", f"{target.platform}-{GLIBC}", "--python-version", target.python]
    words = ["--quiet", "--no-deps", "--only-binary", ":all:", "--format", "pylock.toml"]
    return ["uv", "pip", "compile", *words, *fits, str(wanted)]


def chosen(pylock: str, hashes: set[str]) -> list[Wheel]:
    """Return the wheels of a pylock.toml that have one of these hashes, by name.

    Raises:
        RunFailedError: a package has none.
    """
    wheels = []
    for package in tomllib.loads(pylock).get("packages", []):
        wheels_of = [one for one in package.get("wheels", []) if one.get("url", "").startswith("http")]
        mine = [one for one in wheels_of if one["hashes"].get("sha256") in hashes]
        if not mine:
            raise RunFailedError(
                f"{package['name']} {package.get('version', '')} must be in the index with a hash that uv.lock names, "
                "it is not; see UV_DEFAULT_INDEX"
            )
        wheels += [
            Wheel(
                name=one.get("name") or unquote(urlsplit(one["url"]).path.rpartition("/")[2]),
                url=one["url"],
                sha256=one["hashes"]["sha256"],
                bytes=one.get("size", 0),
            )
            for one in mine
        ]
    return sorted(wheels, key=lambda one: one.name)


def identity(wheels: Sequence[Wheel]) -> str:
    """Return what a set of wheels is known by: a hash over names and hashes."""
    return hashlib.sha256(json.dumps([[one.name, one.sha256] for one in wheels]).encode()).hexdigest()


def ran(command: list[str], folder: Path) -> str:
    """Run uv and return what it says.

    Raises:
        InputError: there is no uv.
        RunFailedError: it failed.
    """
    if not shutil.which(command[0]):
        raise InputError("uv must be on PATH to read uv.lock, not found; start this as uv run skylift wheels")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = " ".join(done.stderr.replace("╰─▶", ":").split())
        raise RunFailedError(f"{' '.join(command[:3])} failed: {said or 'no reason given'}")
    return done.stdout
