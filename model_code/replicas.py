"""Replicas stay equal, bit by bit, or the run stops: no checkpoint is made of a silently corrupted one.

Every `train.verify_every` steps and before each checkpoint, the ranks compare a hash of their parameters and buffers.
DDP only: FSDP2 keeps each value once, there is nothing to compare it with. What a broken processor computes wrongly
before the gradients are averaged reaches all replicas alike, and is not seen here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model_code.told import Heard

ODD = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 over the golden ratio, odd, as int64


class ReplicasDifferError(Exception):
    """The replicas are not equal any more. Every rank finds it after the same step."""

    def __init__(self, step: int, hashes: list[int], heard: list[Heard]) -> None:
        """Take the step, each rank's hash, and what was heard of the steps since they were equal."""
        super().__init__(f"replicas differ after step {step}")
        self.step, self.hashes, self.heard = step, hashes, heard


class Replicas:
    """The comparison of one network's replicas."""

    def __init__(self, model: nn.Module, verify_every: int) -> None:
        """Compare a wrapped network's replicas; one that has none, or `verify_every` 0, is never different."""
        self._model, self._every = model, verify_every
        self._on = (
            isinstance(model, DistributedDataParallel) and verify_every > 0 and dist.get_world_size() > 1
        )
        self._heard: list[Heard] = []  # since the last comparison

    def due(self, step: int) -> bool:
        """Tell whether a comparison is due after a step."""
        return self._on and step % self._every == 0

    def note(self, heard: Heard) -> None:
        """Remember a step's losses: a rank's own are computed with its own weights."""
        if self._on and (not self._heard or heard.step > self._heard[-1].step):
            self._heard.append(heard)

    def check(self, step: int) -> None:
        """Compare now; every rank must call it.

        Raises:
            ReplicasDifferError: they are not equal.
        """
        if not self._on:
            return
        hashes = self.hashes()
        if len(set(hashes)) > 1:
            raise ReplicasDifferError(step, hashes, self._heard)
        self._heard = []

    def hashes(self) -> list[int]:
        """Return every rank's hash; every rank must call it."""
        mine = bits_hash([*self._model.parameters(), *self._model.buffers()])
        every = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(every, mine)
        return torch.cat(every).tolist()


def bits_hash(tensors: Iterable[Tensor]) -> Tensor:
    """Return a hash (1,) int64 of some tensors' bits, on their device; the order of additions does not count.

    Each tensor's 64-bit words are added modulo 2^64, then multiplied by an odd number of its own: one changed bit
    always changes the result, and so does any change within one word.
    """
    total: Tensor | None = None
    for number, tensor in enumerate(tensors, 1):
        content = tensor.detach().contiguous().view(-1).view(torch.uint8)
        if content.storage_offset() % 8:
            content = content.clone()
        words, rest = content[: content.numel() // 8 * 8], content[content.numel() // 8 * 8 :]
        one = words.view(torch.int64).sum() if words.numel() else content.new_zeros((), dtype=torch.int64)
        for byte in rest:
            one = one * 257 + byte
        one = one * _odd(number)
        total = one if total is None else total + one
    return torch.zeros(1, dtype=torch.int64) if total is None else total.view(1)


def _odd(number: int) -> int:
    """Return an odd int64 for each tensor, another one for another tensor."""
    value = (ODD * (2 * number + 1)) % (1 << 64)
    return value - (1 << 64) if value >> 63 else value


def outvoted(hashes: list[int]) -> list[int]:
    """Return the ranks whose hash is not the one of more than half of the ranks; none where there is no such hash."""
    common, votes = Counter(hashes).most_common(1)[0]
    return [rank for rank, one in enumerate(hashes) if one != common] if 2 * votes > len(hashes) else []


def first_to_differ(before: list[Heard], again: list[Heard]) -> list[int]:
    """Return the ranks whose loss is the first that a replay does not repeat; none where all are repeated.

    A rank's loss is computed with its own weights before anything is averaged: in the step in which corrupted weights
    first count, it alone is another number.
    """
    repeated = {one.step: one.losses for one in again}
    for one in before:
        pairs = zip(one.losses, repeated.get(one.step, one.losses), strict=True)
        differing = [rank for rank, (then, now) in enumerate(pairs) if then != now]
        if differing:
            return differing
    return []
