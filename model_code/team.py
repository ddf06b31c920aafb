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

from model_code.errors import InputError, RunFailedError

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
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = _device(device)
        """Where this rank computes: `cpu` or `cuda:N`."""
        self._alone: Counter[str] = Counter()
        self._store: KeyValues | None = None
        if "RANK" in os.environ:
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


def _device(wanted: str) -> str:
    """Return a rank's device. Imports cost: torch seconds, FSDP (in `parallel`) seconds more."""
    if wanted == "cpu":
        return "cpu"
    import torch

    if wanted == "auto" and not torch.cuda.is_available():
        return "cpu"
    from model_code.parallel import choose_device, read_environment

    device = str(choose_device(read_environment()))
    if device == "cpu":
        raise InputError("--device must be one that is here, got `cuda`: torch sees no GPU; leave it out")
    return device


@contextmanager
def _launcher_lives() -> Iterator[None]:
    from torch.distributed import DistNetworkError

    try:
        yield
    except DistNetworkError:
        raise RunFailedError(
            "the launcher (torchrun) is gone; start the same command again: what is complete is kept"
        ) from None
