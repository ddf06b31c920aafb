"""The Pulumi CLI, which is the engine: the one on PATH, else ours in the user's cache, which we fetch or build once.

It is fetched by the official installer, or, where that host cannot be reached, built from its Go module.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from rich.console import Console

from infra.cli.errors import InputError
from infra.rehearsal import engine_build, engine_install
from infra.rehearsal.engine_ways import NoEngineError

VERSION = "v3.230.0"
"""Fetched or built where there is none; an older one on PATH is not used."""
MANUAL = "https://www.pulumi.com/docs/install/"


def require_engine(
    console: Console, *, cache: Path | None = None, installer: str = engine_install.INSTALLER
) -> Path:
    """Return the path of a Pulumi CLI that runs; put its folder on PATH to use it.

    Args:
        console: where progress is told.
        cache: folder that keeps ours; None: `skylift/pulumi` in the user's cache folder.
        installer: URL of the official install script.

    Raises:
        InputError: there is none and none can be had from here.
    """
    found = _on_path(console)
    if found:
        return found
    folder = (cache or platformdirs.user_cache_path("skylift") / "pulumi") / VERSION
    program = folder / "pulumi"
    if version_of(program) == VERSION:
        return program
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_name(f"{VERSION}.lock"), console):
        if version_of(program) != VERSION:  # else another process was first, while we waited
            _get(folder, console, installer)
    return program


def version_of(program: Path | str) -> str:
    """Return what `pulumi version` says (`v3.230.0`); empty where it cannot be run."""
    try:
        done = subprocess.run([program, "version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _on_path(console: Console) -> Path | None:
    found = shutil.which("pulumi")
    if found is None:
        return None
    version = version_of(found)
    if _numbers(version) >= _numbers(VERSION):
        return Path(found)
    said = version or "nothing"
    console.print(f"pulumi on PATH must be {VERSION} or newer; {found} says {said}: using one of our own")
    return None


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)", version)
    return tuple(int(part) for part in found.groups()) if found else ()


def _get(folder: Path, console: Console, installer: str) -> None:
    ways: dict[str, Callable[[Path], None]] = {
        "its official installer": lambda place: engine_install.install(place, VERSION, installer),
        "a build from its Go module": lambda place: engine_build.build(place, VERSION, console),
    }
    reasons = []
    for way, make in ways.items():
        console.print(f"no Pulumi CLI {VERSION} here: trying {way}")
        # Made under another name beside its place, and renamed when it has shown that it runs: whoever looks at
        # the place sees a whole one or none.
        with tempfile.TemporaryDirectory(prefix=f".{VERSION}-", dir=folder.parent) as temporary:
            place = Path(temporary) / "bin"
            place.mkdir()
            try:
                make(place)
                version = version_of(place / "pulumi")
                if version != VERSION:
                    raise NoEngineError(f"it made one that says {version or 'nothing'} instead of {VERSION}")
            except NoEngineError as error:
                reasons.append(f"{way}: {error}")
                console.print(f"{way} does not work here: {error}")
                continue
            shutil.rmtree(folder, ignore_errors=True)
            place.rename(folder)
            console.print(f"Pulumi CLI {VERSION} is kept in {folder}")
            return
    raise InputError(f"pulumi must be on PATH, not found ({'; '.join(reasons)}); install it: {MANUAL}")


@contextmanager
def _lock(path: Path, console: Console) -> Iterator[None]:
    """Hold the kernel's lock on a file: a killed process does not keep it."""
    with path.open("wb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"another process is getting the Pulumi CLI {VERSION}: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
