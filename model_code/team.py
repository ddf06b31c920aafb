"""The ranks that share a job without collectives: what the leader says, and counters that all of them move.

Under torchrun both live in the launcher's own key-value store, so that no rank waits in a collective for one that died.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from model_code.errors import RunFailedError

POLL_SECONDS = 0.05
"""Between two looks at what the others have done; a signal is handled within one."""


class KeyValues(Protocol):
    """What is used of torchrun's store."""

    def set(self, key: str, value: str) -> None:
        """Write a value."""

    def get(self, key: str) -> bytes:
        """Return a value, once there is one."""

    def add(self, key: str, amount: int) -> int:
        """Raise a counter and return its new value."""


class Team:
    """One rank's view of the ranks of a job; a lone process is a team of one and does not need torch."""

    def __init__(self, device: str) -> None:
        """Meet the other ranks that the environment names.

        Args:
            device: `cpu`, `cuda`, or `auto` for this rank's GPU where there are GPUs.

        Raises:
            InputError: more ranks on this machine than GPUs.
        """
        self.rank, self.size = 0, 1
        self.device = "cpu"
        """Where this rank computes: `cpu` or `cuda:N`."""
        self._store: KeyValues | None = None
        self._alone: Counter[str] = Counter()
        if "RANK" not in os.environ and device == "cpu":
            return
        from model_code.parallel import choose_device, read_environment  # seconds, for torch

        world = read_environment()
        self.rank, self.size = world.rank, world.world_size
        if device != "cpu":
            self.device = str(choose_device(world))
        if world.launched:
            from torch.distributed.rendezvous import rendezvous

            self._store, _, _ = next(rendezvous("env://"))

    @property
    def leads(self) -> bool:
        """True on rank 0, which gathers and speaks."""
        return self.rank == 0

    def from_leader(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return on every rank what rank 0 computes. Where it fails, the launcher ends those that wait."""
        if self._store is None:
            return work()
        with _launcher_lives():
            if self.leads:
                self._store.set(name, json.dumps(work()))
            shared: dict[str, Any] = json.loads(self._store.get(name))
            return shared

    def add(self, name: str, amount: int = 1) -> int:
        """Raise a counter that all ranks share, which starts at 0, and return its new value."""
        if self._store is None:
            self._alone[name] += amount
            return self._alone[name]
        with _launcher_lives():
            return self._store.add(name, amount)

    def first_to(self, name: str) -> bool:
        """Tell whether this rank is the first that asks."""
        try:
            return self.add(name) == 1
        except RunFailedError:  # nobody to ask
            return True

    def wait_for(self, name: str, value: int, seen: Callable[[int], None]) -> None:
        """Return once a counter has reached a value; `seen` is called with each look's."""
        while (now := self.add(name, 0)) < value:
            seen(now)
            time.sleep(POLL_SECONDS)
        seen(now)


@contextmanager
def _launcher_lives() -> Iterator[None]:
    from torch.distributed import DistNetworkError

    try:
        yield
    except DistNetworkError:
        raise RunFailedError(
            "the launcher (torchrun) is gone; start the same command again: what is complete is kept"
        ) from None
