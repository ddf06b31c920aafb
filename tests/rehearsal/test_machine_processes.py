"""A process stands when all its threads do, and is told from those of other namespaces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from infra.rehearsal.machines.processes import processes_beside, stands

THREADS = (
    "import threading\n"
    "for _ in range(3): threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    "print('up', flush=True); threading.Event().wait()"
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process of four threads that wait."""
    with subprocess.Popen([sys.executable, "-c", THREADS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


def test_a_process_stands_once_it_is_stopped(child: subprocess.Popen[bytes]) -> None:
    assert not stands(child.pid)
    child.send_signal(signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)  # tells when it has stopped as a whole
    assert stands(child.pid)
    child.send_signal(signal.SIGCONT)
    os.waitpid(child.pid, os.WCONTINUED)
    assert not stands(child.pid)


def test_who_is_gone_stands_and_has_nobody_beside(child: subprocess.Popen[bytes]) -> None:
    assert {os.getpid(), child.pid} <= {one.pid for one in processes_beside(child.pid)}
    child.kill()
    child.wait()
    assert stands(child.pid)
    assert processes_beside(child.pid) == []
