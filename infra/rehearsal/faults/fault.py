"""What a fault of the rehearsal is: harm that is done to a running world, a promise, a judgement of what was seen.

Doing and judging are apart: `inject` acts and only writes down, `verdict` is pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from infra.rehearsal.faults.scene import Scene

Stage = Literal["up", "training", "serving"]
"""When it is done: while the stack comes up, while the nodes train, while the release is served."""
Facts = TypeVar("Facts")


class NotRecoveredError(RuntimeError):
    """Something that was to come did not come in time."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What became of the promise."""

    kept: bool
    """Whether it held."""
    what: str
    """What was counted or compared, a few words."""
    recovery_seconds: float | None = None
    """From the harm until all worked as before; None where nothing had to recover."""


@dataclass(frozen=True, kw_only=True)
class Fault(Generic[Facts]):
    """One kind of harm."""

    name: str
    """As on the command line: `leader-killed`."""
    title: str
    """As in the table: `training leader killed`."""
    stage: Stage
    """When it is done."""
    promise: str
    """What must hold, a few words."""
    inject: Callable[[Scene], Facts]
    """Does the harm and returns what was measured, once all works again; NotRecoveredError where it never did."""
    verdict: Callable[[Facts], Seen]
    """Judges it. Pure."""
    quick: bool = False
    """Whether the test suite's one rehearsal does it, too."""
    steps: int = 0
    """Training steps that pass meanwhile, about, while none is lost; 0: not in training."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table."""

    name: str
    """The fault's."""
    title: str
    """The fault's."""
    promise: str
    """The fault's."""
    kept: bool
    """Whether it held."""
    what: str
    """What was seen."""
    recovery_seconds: float | None
    """As in `Seen`."""
