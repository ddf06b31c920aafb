"""One trainer a run: `<run>/lease.json` names it, and a second one is told so before it writes anything.

The holder renews the lease several times a period. A holder whose process is gone is replaced at once where that can be
seen (the same machine); from elsewhere, a lease is taken once it has stayed unchanged for a period on the clock of
the one who waits, so clocks need not agree. A holder that could not renew for a period counts as lost to itself too,
and stops before it writes more. Writes compare and swap: of two at once, one wins.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from obstore.exceptions import BaseError

from model_code import store
from model_code.parallel import World, fail_together, share_bytes
from model_code.process import Process, this_process

FILE = "lease.json"
PERIOD = 60.0  # seconds: what a trainer on another machine waits for after a lost one
RENEWALS = 4  # a period


@dataclass(frozen=True, kw_only=True)
class Holder:
    """What `lease.json` says."""

    process: Process
    """The trainer's rank 0."""
    token: str
    """This very holding: a new one each time."""
    since: str
    """When it began, UTC."""
    renewed: int = 0
    """Times it was renewed."""
    released: bool = False
    """True: it ended in order."""
    epoch: int = 0
    """Which start of its group it is; 0: it has no group."""

    def encoded(self) -> bytes:
        """Return it as JSON."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


def decoded(content: bytes) -> Holder:
    """Return the holder that a lease names."""
    facts = json.loads(content)
    return Holder(**{**facts, "process": Process(**facts["process"])})


class Lease:
    """A lease that this process holds, renewed by a thread until `release`."""

    def __init__(self, uri: str, holder: Holder, period: float) -> None:
        """Begin to renew what `acquire` wrote."""
        self._uri, self._holder, self._period = uri, holder, period
        self._renewed = time.monotonic()
        self._taken = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def lost(self) -> str:
        """Return why this process must write no more, empty while it holds the run."""
        if self._taken:
            return self._taken
        old = time.monotonic() - self._renewed
        return f"its lease could not be renewed for {old:.0f} s" if old > self._period else ""

    def release(self) -> None:
        """Let the next one in."""
        self._over.set()
        self._thread.join()
        if not self.lost():
            self._holder = replace(self._holder, released=True)
            with suppress(
                OSError, BaseError, store.ConflictError
            ):  # then it is found old, or its process gone
                self._write()

    def _renew(self) -> None:
        while not self._over.wait(self._period / RENEWALS):
            asked = time.monotonic()
            self._holder = replace(self._holder, renewed=self._holder.renewed + 1)
            try:
                if not self._write():
                    return
            except store.ConflictError:
                continue  # read again who it is
            except (OSError, BaseError):
                continue  # tried again; `lost` watches the clock
            self._renewed = asked

    def _write(self) -> bool:
        content, etag = store.read_with_etag(self._uri)
        other = decoded(content)
        if other.token != self._holder.token:
            self._taken = f"it was taken over by {other.process} at {other.since}"
            return False
        store.replace(self._uri, self._holder.encoded(), etag)
        return True


def acquire(run: str, say: Callable[[str], None], *, period: float = PERIOD, epoch: int = 0) -> Lease | str:
    """Return the lease of a run, or why it cannot be had.

    Args:
        run: the run's URI.
        say: prints a line: before waiting, or taking over.
        period: seconds after which an unchanged lease counts as old.
        epoch: which start of a group this is: the holder of an earlier one is replaced at once, its group has already
            agreed on that. 0: no group.
    """
    uri = store.join(run, FILE)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    mine = Holder(process=this_process(), token=uuid.uuid4().hex, since=now, epoch=epoch)
    seen, since = b"", 0.0
    while True:
        try:
            content, etag = store.read_with_etag(uri)
        except FileNotFoundError:
            with suppress(store.ConflictError):
                store.create(uri, mine.encoded())
                return Lease(uri, mine, period)
            continue
        other = decoded(content)
        gone = other.process.visible and not other.process.runs
        old = content == seen and time.monotonic() - since > period
        earlier = 0 < other.epoch < epoch
        if other.released or gone or old or earlier:
            why = "which is gone" if gone else "silent" if old else f"of epoch {other.epoch}"
            with suppress(store.ConflictError):
                store.replace(uri, mine.encoded(), etag)
                if not other.released:
                    say(f"took the run over from {other.process}, {why}")
                return Lease(uri, mine, period)
            continue
        if other.process.visible or (seen and content != seen):
            return (
                f"run `{run}` is being trained by {other.process} since {other.since}; "
                "wait for it, stop it, or choose another --run-id"
            )
        if not seen:
            say(f"run `{run}` is held by {other.process}; it is taken over if silent for {period:.0f} s")
            seen, since = content, time.monotonic()
        time.sleep(min(1.0, period / RENEWALS))


@contextmanager
def leased(run: str, world: World, say: Callable[[str], None], epoch: int = 0) -> Iterator[Callable[[], str]]:
    """Hold a run for all ranks; yield a function that tells why it is lost (rank 0's; empty while held).

    Args:
        run: the run's URI.
        world: this process among the others.
        say: prints a line.
        epoch: see `acquire`.

    Raises:
        RunFailedError: on rank 0, somebody else holds it.
        SystemExit: on the others.
    """
    lease = acquire(run, say, epoch=epoch) if world.leads else ""
    refused = share_bytes(lease.encode() if isinstance(lease, str) else b"").decode()
    if refused:
        fail_together(refused)
    if isinstance(lease, str):
        yield str
        return
    try:
        yield lease.lost
    finally:
        lease.release()
