"""How a rehearsal ends: by Ctrl-C, kept until it is asked to end, or by itself; what is up until then, and after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from infra.cli import rehearse_command
from infra.cli.errors import RunFailedError
from infra.cli.output import progress
from infra.rehearsal import asking, detached, engine, keeping, world_main
from infra.rehearsal.folder import Folder, folder_at, held, is_up, make_short, tidy
from infra.rehearsal.machines import namespaces
from infra.rehearsal.plan import Plan
from infra.rehearsal.story import read
from tests.rehearsal.a_result import a_result

SKYLIFT = str(Path(sys.executable).with_name("skylift"))
LOOK_SECONDS = 0.01


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty one."""
    return folder_at(str(tmp_path / "out"))


def processes_of(folder: Folder) -> list[list[str]]:
    """Return the command lines that name a folder."""
    found = (one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"]))
    return [words for words in found if str(folder.path) in words]


@pytest.mark.timeout(180)
def test_ctrl_c_ends_it_with_130_and_leaves_nothing_up(folder: Folder) -> None:
    """While the emulated account starts: no process, no lock, no short folder; the story says why."""
    if reason := namespaces.hindrance():
        pytest.skip(reason)
    command = [SKYLIFT, "rehearse", "--out", str(folder.path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr)
        assert any(line.endswith("▸ account\n") for line in lines)
        assert is_up(folder)
        assert len(processes_of(folder)) > 1
        process.send_signal(signal.SIGINT)
        said = [*lines]
        assert process.wait() == 130
    assert said[0] == "interrupted: what is there is destroyed (Ctrl-C again: at once)\n"
    assert said[-1] == "error: interrupted; everything that was started is stopped\n"
    assert read(folder.events)[0][-1].facts == {"failed": "it was interrupted"}
    assert folder.log.read_text() == ""
    assert not is_up(folder)
    assert processes_of(folder) == []
    assert not Path(folder.written().get("short", "/nowhere")).exists()


@contextmanager
def steps(
    monkeypatch: pytest.MonkeyPatch, folder: Folder, *, keep: bool, outcome: str = ""
) -> Iterator[list[str]]:
    """Yield the names of what the world's first process does, none of which does anything here."""
    folder.path.mkdir()
    Plan(engine="", keep=keep).write(folder.plan)
    done: list[str] = []

    @contextmanager
    def world(*_: object) -> Iterator[SimpleNamespace]:
        done.append("build")
        yield SimpleNamespace()
        done.append("end")

    def rehearse(*_: object) -> None:
        done.append("rehearse")
        if outcome:
            raise RunFailedError(outcome)

    for name in ("prepare", "_end_with_the_starter", "require_success"):
        monkeypatch.setattr(world_main, name, lambda *_: None)
    monkeypatch.setattr(world_main, "ranks", lambda _: 2)
    monkeypatch.setattr(world_main, "build_world", world)
    monkeypatch.setattr(world_main, "rehearse", rehearse)
    monkeypatch.setattr(world_main, "conclude", lambda *words: done.append(f"conclude {words[2]}".strip()))
    monkeypatch.setattr(world_main, "take_down", lambda *_: done.append("destroy"))
    monkeypatch.setattr(keeping, "keep", lambda _: done.append("keep"))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield done
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_kept_one_is_up_after_its_result_and_destroyed_when_it_is_asked_to_end(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its result is written twice: what `destroy` left is known in the end alone."""
    with steps(monkeypatch, folder, keep=True) as done:
        assert world_main.main(str(folder.path)) == 0
    assert done == ["build", "rehearse", "conclude", "keep", "destroy", "conclude", "end"]
    assert folder.written() == {"over": True}


def test_another_one_is_destroyed_at_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not kept by itself."""
    with steps(monkeypatch, folder, keep=False) as done:
        assert world_main.main(str(folder.path)) == 0
    assert done == ["build", "rehearse", "destroy", "conclude", "end"]


def test_one_that_failed_is_not_kept(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to call; its result says why."""
    with steps(monkeypatch, folder, keep=True, outcome="no node came") as done:
        assert world_main.main(str(folder.path)) == 1
    assert done == ["build", "rehearse", "destroy", "conclude no node came", "end"]


def test_an_engine_at_work_is_not_waited_for(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in the middle of an `up`, nothing is destroyed: the account ends with the world."""
    monkeypatch.setattr(world_main, "_engine_at_work", lambda: True)
    with steps(monkeypatch, folder, keep=True) as done:
        monkeypatch.setattr(world_main, "rehearse", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert world_main.main(str(folder.path)) == 1
    assert done == ["build", "conclude it was interrupted", "end"]


def kept_world(folder: Folder) -> Any:
    """Return what `keep` needs of a world."""
    folder.path.mkdir()
    balancer = SimpleNamespace(door=Path("/short/door.sock"))
    issuer = SimpleNamespace(token=lambda name, seconds: f"{name} for {seconds} s")
    return SimpleNamespace(folder=folder.path, files=folder, balancer=balancer, issuer=issuer)


def test_keeping_says_how_it_is_called_and_waits(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is the operator's alone to read; the wait ends with a signal, however soon that comes."""
    monkeypatch.setattr(asking, "example", lambda _: (folder.path / "example-request", "image/png"))
    monkeypatch.setattr(asking, "door_certificate", lambda _: Path("/out/lb.pem"))
    monkeypatch.setattr(asking, "predictions_url", lambda _: "https://lb.example/predictions/model")

    def end_it() -> None:
        while not folder.written().get("kept"):
            told.wait(LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGINT)

    told, ender = threading.Event(), threading.Thread(target=end_it)
    ender.start()
    keeping.keep(kept_world(folder))
    ender.join()
    token = folder.path / "token"
    assert token.read_text() == f"operator for {keeping.TOKEN_SECONDS} s"
    assert token.stat().st_mode & 0o777 == 0o600
    call = str(folder.written()["call"])
    assert call.startswith("curl --unix-socket /short/door.sock --cacert /out/lb.pem ")
    assert str(token) in call


@pytest.fixture
def command(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """`skylift rehearse` without what it needs of the machine; what it starts wrote a good result."""

    def start(plan: Plan, where: Folder, _: object) -> None:
        assert where == folder
        folder.path.mkdir(exist_ok=True)
        folder.write(kept=plan.keep, call="curl it" if plan.keep else "", over=not plan.keep)
        folder.result.write_bytes(a_result().to_json())

    monkeypatch.setattr(namespaces, "require_namespaces", lambda: None)
    monkeypatch.setattr(rehearse_command, "require_haproxy", lambda _: None)
    monkeypatch.setattr(engine, "require_engine", lambda _: Path("/engine"))
    monkeypatch.setattr(rehearse_command, "plan", lambda *_, keep: Plan(engine="", keep=keep))
    monkeypatch.setattr(detached, "start", start)
    return monkeypatch


def test_a_kept_one_is_said_to_be_up(folder: Folder, command: pytest.MonkeyPatch) -> None:
    """With its result, how to call it and how to end it; nobody else is told to."""
    command.setattr(detached, "watch", lambda *_: True)
    runner, words = CliRunner(), ["--out", str(folder.path)]
    said = runner.invoke(rehearse_command.app, [*words, "--keep"])
    assert said.exit_code == 0
    end = [f"end it: skylift rehearse down --out {folder.path}"]
    assert said.stderr.splitlines()[-2:] == ["still up; call it: curl it", *end]
    assert "end it" not in runner.invoke(rehearse_command.app, words).stderr


@pytest.mark.parametrize("has_result", [True, False])
def test_what_is_known_of_an_interrupted_one_is_shown(
    folder: Folder, command: pytest.MonkeyPatch, has_result: bool
) -> None:
    """Where there is anything; then it ends as whatever Ctrl-C ends: its shell's 130."""

    def watch(*_: object) -> bool:
        if not has_result:
            folder.result.unlink()
        return False

    command.setattr(detached, "watch", watch)
    said = CliRunner().invoke(rehearse_command.app, ["--out", str(folder.path)])
    assert said.exit_code == 130
    assert ("report: " in said.stderr) == has_result
    assert ("on AWS" in said.stdout) == has_result


def test_nothing_is_left_of_a_world_that_was_watched(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its short folder goes with it, but for one that is kept."""
    monkeypatch.setattr(detached, "follow", lambda *_: None)
    for kept in (True, False):
        with held(folder), subprocess.Popen(["true"]) as world:
            short = make_short(folder)
        folder.write(kept=kept)
        assert detached.watch(world, folder, progress)
        assert short.exists() == kept
        tidy(folder)
