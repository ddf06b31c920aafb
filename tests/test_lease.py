"""One trainer a run: the second is told, a dead one is replaced at once, a silent one after a period."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from model_code import store
from model_code.lease import FILE, PERIOD, Holder, Lease, acquire, decoded
from model_code.process import Process, this_process
from tests.faults.fault import Fault
from tests.faults.together_trainers import FAULTS

ELSEWHERE = Process(host="far", machine="another boot", pid=1, started="1")


@pytest.fixture(params=["file", "s3"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A run's folder, on disk and in a bucket."""
    if request.param == "file":
        return (tmp_path / "run").as_uri()
    return store.join(request.getfixturevalue("bucket"), "run")


def held(run: str, period: float = PERIOD) -> Lease:
    """Acquire a run that is free."""
    lease = acquire(run, lambda _: None, period=period)
    assert isinstance(lease, Lease), lease
    return lease


def written(run: str, holder: Holder) -> None:
    """Leave somebody else's lease."""
    store.write(store.join(run, FILE), holder.encoded())


def until(state: Callable[[], object]) -> None:
    """Wait for a state."""
    deadline = time.monotonic() + 60
    while not state():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_second_is_told_and_a_released_run_is_free(run: str) -> None:
    """While one holds it, the other hears who, since when and what to do; afterwards it may have it."""
    first = held(run)
    told = acquire(run, lambda _: None)
    me = this_process()
    assert isinstance(told, str)
    assert f"is being trained by host {me.host}, pid {me.pid} since 20" in told
    assert "wait for it, stop it, or choose another --run-id" in told
    first.release()
    held(run).release()


def test_of_many_at_once_exactly_one_gets_it(run: str) -> None:
    """Eight ask at the same instant, for a new run and for one that was released."""
    for _ in range(2):
        gate = threading.Barrier(8)

        def ask(gate: threading.Barrier = gate) -> Lease | str:
            gate.wait()
            return acquire(run, lambda _: None)

        with ThreadPoolExecutor(8) as pool:
            got = [one.result() for one in [pool.submit(ask) for _ in range(8)]]
        (winner,) = [one for one in got if isinstance(one, Lease)]
        winner.release()


def test_a_killed_holder_of_this_machine_is_replaced_at_once(run: str) -> None:
    """Its process is gone, or another one has its pid: nobody waits, and the file says who has it now."""
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = str(round(psutil.Process(other.pid).create_time()))
    for kill in (False, True):  # first it lives, but it is not the one that the lease names
        if kill:
            other.kill()
            other.wait()
        gone = dataclasses.replace(this_process(), pid=other.pid, started=started)
        written(run, Holder(process=gone, token="other", since="then"))
        said: list[str] = []
        lease = acquire(run, said.append)
        assert isinstance(lease, Lease)
        assert "which is gone" in said[0]
        assert decoded(store.read(store.join(run, FILE))).process == this_process()
        lease.release()


def test_a_silent_holder_elsewhere_is_waited_for(run: str) -> None:
    """From another machine one cannot see a process: the lease is taken when it has not changed for a period."""
    written(run, Holder(process=ELSEWHERE, token="other", since="then"))
    said: list[str] = []
    before = time.monotonic()
    lease = acquire(run, said.append, period=0.5)
    assert isinstance(lease, Lease)
    assert time.monotonic() - before > 0.5
    assert "is held by host far, pid 1; it is taken over if silent for" in said[0]
    assert "silent" in said[1]
    lease.release()


def test_a_holder_elsewhere_that_renews_keeps_its_run(run: str) -> None:
    """One renewal is enough to be told."""
    holder = Holder(process=ELSEWHERE, token="other", since="then")
    written(run, holder)
    told = acquire(
        run, lambda _: written(run, dataclasses.replace(holder, renewed=1)), period=30
    )  # it renews while we wait
    assert isinstance(told, str)
    assert "is being trained by host far, pid 1 since then" in told


def test_it_is_renewed_and_what_was_taken_over_is_left_alone(run: str) -> None:
    """The thread counts on; once another token is there the holder knows who, and does not write over it."""
    lease = held(run, period=2)  # a thread may be kept waiting for a while on busy cores
    until(lambda: decoded(store.read(store.join(run, FILE))).renewed >= 2)
    assert lease.lost() == ""
    written(run, Holder(process=ELSEWHERE, token="other", since="then"))
    until(lease.lost)
    assert lease.lost() == "it was taken over by host far, pid 1 at then"
    lease.release()
    assert decoded(store.read(store.join(run, FILE))).token == "other"


def test_one_that_cannot_be_renewed_is_lost_after_a_period(tmp_path: Path) -> None:
    """Whoever waits elsewhere may have taken the run by then."""
    lease = held(tmp_path.as_uri(), period=0.4)
    (tmp_path / FILE).unlink()
    until(lease.lost)
    assert "could not be renewed" in lease.lost()
    lease.release()
    assert not (tmp_path / FILE).exists()


def test_a_holder_of_an_earlier_epoch_of_the_group_is_replaced_at_once(run: str) -> None:
    """Its group has agreed to start again, elsewhere; one of the same or a later epoch is waited for."""
    written(run, Holder(process=ELSEWHERE, token="other", since="then", epoch=3))
    before = time.monotonic()
    said: list[str] = []
    lease = acquire(run, said.append, period=30, epoch=4)
    assert isinstance(lease, Lease)
    assert time.monotonic() - before < 10
    assert said == ["took the run over from host far, pid 1, of epoch 3"]
    assert decoded(store.read(store.join(run, FILE))).epoch == 4
    lease.release()
    for other in (4, 0):  # 0: a trainer without a group
        holder = Holder(process=ELSEWHERE, token="other", since="then", epoch=other)
        written(run, holder)
        renewed = dataclasses.replace(holder, renewed=1)

        def renew(_: str, renewed: Holder = renewed) -> None:
            written(run, renewed)

        told = acquire(run, renew, period=30, epoch=4)
        assert isinstance(told, str)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", [f for f in FAULTS if f.quick], ids=lambda f: f.name)
def test_two_trainers(fault: Fault, tmp_path: Path) -> None:
    """Started at the same instant, one trains."""
    assert fault.inject(tmp_path).what
