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


Signature = tuple[float, int]
"""A rank's own loss of a step, and the hash of its own gradients before they are averaged."""


class ReplicasDifferError(Exception):
    """The replicas are not equal any more. Every rank finds it after the same step."""

    def __init__(self, step: int, hashes: list[int], signed: dict[int, list[Signature]]) -> None:
        """Take the step, each rank's hash, and each rank's signatures of the steps since they were equal."""
        super().__init__(f"replicas differ after step {step}")
        self.step, self.hashes, self.signed = step, hashes, signed


class Replicas:
    """The comparison of one network's replicas."""

    def __init__(self, model: nn.Module, verify_every: int) -> None:
        """Compare a wrapped network's replicas; one that has none, or `verify_every` 0, is never different."""
        self._model, self._every = model, verify_every
        self.on = (
            isinstance(model, DistributedDataParallel) and verify_every > 0 and dist.get_world_size() > 1
        )
        self._gradients: Tensor | None = None  # hash of the step in hand
        self._signed: dict[
            int, Tensor
        ] = {}  # of the steps since the last comparison: gradients, on their device
        self._losses: dict[int, tuple[float, ...]] = {}

    def see(self, gradients: Tensor) -> None:
        """Take some gradients of the step in hand, before they are averaged."""
        if self.on:
            one = bits_hash([gradients])
            self._gradients = one if self._gradients is None else self._gradients * _odd(1) + one

    def keep(self, step: int) -> None:
        """The step is made."""
        if self.on and self._gradients is not None:
            self._signed[step], self._gradients = self._gradients, None

    def hear(self, heard: Heard) -> None:
        """Take every rank's loss of a step."""
        if self.on and heard.step in self._signed:
            self._losses[heard.step] = heard.losses

    def due(self, step: int) -> bool:
        """Tell whether a comparison is due after a step."""
        return self.on and step % self._every == 0

    def check(self, step: int) -> None:
        """Compare now, after the step was heard; every rank must call it.

        Raises:
            ReplicasDifferError: they are not equal.
        """
        if not self.on:
            return
        hashes = self.hashes()
        if len(set(hashes)) > 1:
            raise ReplicasDifferError(step, hashes, self.signed())
        self._signed, self._losses = {}, {}

    def hashes(self) -> list[int]:
        """Return the hash of every rank's replica; every rank must call it."""
        return [one for (one,) in _gathered(bits_hash([*self._model.parameters(), *self._model.buffers()]))]

    def signed(self) -> dict[int, list[Signature]]:
        """Return every rank's signatures by step; every rank must call it."""
        if not self._signed:
            return {}
        ranks = _gathered(torch.cat(list(self._signed.values())))
        return {
            step: list(zip(self._losses[step], gradients, strict=True))
            for step, gradients in zip(self._signed, zip(*ranks, strict=True), strict=True)
        }


def _gathered(mine: Tensor) -> list[list[int]]:
    every = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(every, mine)
    return [one.tolist() for one in every]


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


def first_to_differ(before: dict[int, list[Signature]], again: dict[int, list[Signature]]) -> list[int]:
    """Return the ranks whose signature is the first that a replay does not repeat; none where all are repeated.

    Loss and gradients are computed with the rank's own weights before anything is averaged: in the step in which
    corrupted weights first count, that rank alone has others. From the next step on, all have.
    """
    for step in sorted(before):
        pairs = zip(before[step], again[step], strict=True)
        differing = [rank for rank, (then, now) in enumerate(pairs) if then != now]
        if differing:
            return differing
    return []
