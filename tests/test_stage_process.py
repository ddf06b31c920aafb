"""Stages as processes: what they say, what they print, how they end."""

from __future__ import annotations

import sys
import threading
import time

import psutil
import pytest

from model_code.stage_process import StageProcess


def stage(code: str, woken: threading.Event | None = None) -> StageProcess:
    """Start a Python program as a stage."""
    return StageProcess([sys.executable, "-c", code], woken or threading.Event())


def ended(child: StageProcess) -> StageProcess:
    """Wait for its end."""
    deadline = time.monotonic() + 60
    while child.running:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return child


def test_the_last_line_is_the_result_and_its_end_wakes() -> None:
    """What a stage prints before is not."""
    woken = threading.Event()
    child = stage("print('noise'); print('{\"uri\": \"x\"}')", woken)
    assert woken.wait(60)
    assert not child.running
    assert (child.code, child.result) == (0, {"uri": "x"})
    assert child.printed == 'noise\n{"uri": "x"}\n'


@pytest.mark.parametrize("printed", ["", "no JSON", "[1]"])
def test_what_is_no_object_is_no_result(printed: str) -> None:
    """A stage of torchrun prints nothing on the nodes without rank 0."""
    assert ended(stage(f"print({printed!r})")).result == {}


def test_why_it_failed_is_its_own_last_word(capfd: pytest.CaptureFixture[str]) -> None:
    """And all that it said is passed on."""
    code = "import sys; sys.stderr.write('working\\nerror: no such recipe\\nbye\\n'); sys.exit(2)"
    child = ended(stage(code))
    assert (child.code, child.reason) == (2, "no such recipe")
    assert "working\nerror: no such recipe\nbye\n" in capfd.readouterr().err
    silent = ended(stage("import sys; sys.exit(1)"))
    assert silent.reason == "it ended with exit code 1 and said no reason"


def test_asked_it_may_end_well_and_killed_it_ends_with_its_group() -> None:
    """A child of the stage in its group goes too."""
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    killed = stage(code)
    while not killed.printed:
        time.sleep(0.01)
    child = psutil.Process(int(killed.printed))
    killed.kill()
    assert not killed.running
    assert killed.code == -9
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    asked = stage(code.replace("child = subprocess", "child = 0 and subprocess").replace("child.pid", "1"))
    while not asked.printed:
        time.sleep(0.01)
    asked.ask()
    assert ended(asked).code == 0
    asked.kill()  # nothing is left to kill
