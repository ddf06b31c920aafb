"""HAProxy comes from PATH, else from apt when we are root, else one line says what to install."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from infra.cli import haproxy
from infra.cli.errors import InputError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


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
    haproxy.require_haproxy(console)
    assert (path / "apt-get.log").read_text().splitlines() == [
        "noninteractive update -q",
        "noninteractive install -q -y --no-install-recommends haproxy",
    ]
    assert "installing" in told(console)


def test_a_failed_installation_gives_apts_reason(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of apt-get's stderr is in the message."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    program(path, "apt-get", "echo 'E: no network' >&2; exit 100")
    with pytest.raises(
        InputError, match="could not be installed \\(E: no network\\); run: apt-get install haproxy"
    ):
        haproxy.require_haproxy(Console(file=io.StringIO()))


@pytest.mark.parametrize(("user", "apt"), [(1000, True), (0, False)])
def test_others_are_told_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch, user: int, apt: bool
) -> None:
    """Without root, or without apt-get, one line names the command."""
    monkeypatch.setattr("os.geteuid", lambda: user)
    if apt:
        program(path, "apt-get", "exit 0")
    with pytest.raises(InputError, match="sudo apt-get install haproxy"):
        haproxy.require_haproxy(Console(file=io.StringIO()))
