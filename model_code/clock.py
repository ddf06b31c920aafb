"""A rank's own time a step: what it took to fetch and compute, without what it waited for others.

DDP: from the start of the step until the rank's last gradients are ready to be averaged. FSDP2 waits for others before
each block, forward and backward: there it is the time to fetch the batch, and each block's forward without its
gathering (with `train.compile` the fetching alone). On a GPU the events of its stream are timed, for the CPU runs
ahead, and a step's time is known some steps later. Without others to wait for, nothing is measured.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from model_code.parallel import blocks

Moment = Any
"""Seconds on the CPU, an event on a GPU."""


class StepClock:
    """Measures each step of one rank."""

    def __init__(self, device: torch.device) -> None:
        """Measure work on a device."""
        self._gpu = device.type == "cuda"
        self._begun: Moment = None
        self._open: Moment = None
        self._spans: list[tuple[Moment, Moment]] = []
        self._waiting: deque[list[tuple[Moment, Moment]]] = deque()
        self._seconds = 0.0
        self._of_blocks = False

    def follow(self, model: nn.Module, *, compiled: bool) -> None:
        """Measure a wrapped network."""
        if not isinstance(model, FSDPModule):
            return
        self._of_blocks = True
        if not compiled:
            for block in blocks(model):
                # FSDP's own hooks gather before the first and free after the last of these.
                block.register_forward_pre_hook(lambda *_: self._start())
                block.register_forward_hook(lambda *_: self._stop(), prepend=True)

    def begin(self) -> None:
        """A step begins: its batch is fetched."""
        self._begun = self._open = self._moment()
        self._spans = []

    def fetched(self) -> None:
        """The batch is there."""
        if self._of_blocks:
            self._stop()

    def see(self, _gradients: Tensor) -> None:
        """Some gradients are ready to be averaged (DDP); the last call of a step counts."""
        self._spans = [(self._begun, self._moment())]

    def seconds(self) -> float:
        """End the step; return the newest time that is known."""
        self._waiting.append(self._spans)
        while self._waiting and self._known(self._waiting[0]):
            spans = self._waiting.popleft()
            self._seconds = sum(_between(start, end) for start, end in spans)
        return self._seconds

    def _start(self) -> None:
        self._open = self._moment()

    def _stop(self) -> None:
        if self._open is not None and torch.is_grad_enabled():  # measuring quality is not a step
            self._spans.append((self._open, self._moment()))
        self._open = None

    def _moment(self) -> Moment:
        if not self._gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _known(self, spans: list[tuple[Moment, Moment]]) -> bool:
        return not self._gpu or all(end.query() for _, end in spans)


def _between(start: Moment, end: Moment) -> float:
    return float(end - start) if isinstance(start, float) else start.elapsed_time(end) / 1000.0
