"""A rehearsal's folder: one at a time, and what a crashed one left goes with the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli.errors import InputError
from infra.rehearsal.folder import Folder, clear, folder_at, held, is_up, make_short, tidy


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty one."""
    return folder_at(str(tmp_path / "out"))


def test_one_rehearsal_at_a_time(folder: Folder) -> None:
    """The second is told how to end the first; when the first is gone, it may."""
    assert not is_up(folder)
    with held(folder):
        assert is_up(folder)
        with pytest.raises(InputError) as refused, held(folder):
            pass
        assert str(refused.value) == (
            f"--out must be a folder without a running rehearsal, one is up in {folder.path}; "
            f"end it: skylift rehearse down --out {folder.path}"
        )
    assert not is_up(folder)
    with held(folder):
        pass


def test_a_process_that_inherits_the_lock_holds_it_until_it_is_killed(folder: Folder) -> None:
    """Nobody has to clean up after a killed one: the kernel does."""
    sleeper = [sys.executable, "-c", "input()"]
    with held(folder) as handle:
        child = subprocess.Popen(sleeper, stdin=subprocess.PIPE, pass_fds=[handle])
    assert is_up(folder)
    child.kill()
    child.wait()
    assert not is_up(folder)


def test_what_a_crashed_one_left_is_removed_and_nothing_else(folder: Folder) -> None:
    """Overlays leave folders that nobody may list; a file of the user's stays."""
    with held(folder):
        folder.events.write_text("{}\n")
        (folder.nodes / "i-1" / "work").mkdir(parents=True)
        (folder.nodes / "i-1" / "work").chmod(0)
        (folder.inner / "state").mkdir(parents=True)
        (folder.path / "of-the-user").write_text("mine")
        short = make_short(folder)
        (short / "socket").write_text("")
    with held(folder):
        assert clear(folder)
        assert sorted(one.name for one in folder.path.iterdir()) == ["lock", "of-the-user"]
        assert not short.exists()


def test_the_short_folder_goes_when_nothing_is_up(folder: Folder) -> None:
    """What is there to be read stays, and so does the short folder of another that is up by now."""
    with held(folder):
        folder.events.write_text("{}\n")
        short = make_short(folder)
        (short / "socket").write_text("")
        tidy(folder)
        assert short.exists()
    tidy(folder)
    assert not short.exists()
    assert folder.events.exists()
    tidy(folder)  # a second time: `down` of one that is over


def test_a_folder_that_we_did_not_make_stays(folder: Folder, tmp_path: Path) -> None:
    """Whatever the file of facts says."""
    with held(folder):
        folder.write(short=tmp_path)
    tidy(folder)
    assert tmp_path.exists()


def test_a_rehearsal_that_came_to_its_end_did_not_crash(folder: Folder) -> None:
    """Facts are added one by one."""
    with held(folder):
        folder.write(short="/nowhere/skylift-x")
        folder.write(over=True)
        assert folder.written() == {"short": "/nowhere/skylift-x", "over": True}
        assert not clear(folder)
        assert folder.written() == {}


@pytest.mark.parametrize("content", [b"", b'{"short": "/tm', b"[]"])
def test_facts_that_a_crash_tore_are_none(folder: Folder, content: bytes) -> None:
    """The next rehearsal must not fail on them."""
    with held(folder):
        folder.facts.write_bytes(content)
        assert folder.written() == {}
        assert not clear(folder)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """Said before anything is made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out must be a folder, `.*/file` is a file; name another one"):
        folder_at(str(tmp_path / "file"))
