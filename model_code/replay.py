"""Which replica was corrupted: asked of the majority, or of a replay of the steps since the last good checkpoint.

Two ranks have no majority. They start anew from the checkpoint, as the next start would, and make the same steps once
more without saving: a sound rank repeats its numbers (Gemini finds its broken chips so, arXiv 2312.11805).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from model_code import incidents
from model_code.parallel import World, fail_together
from model_code.process import Process
from model_code.replicas import ReplicasDifferError, Signature, first_to_differ, outvoted


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The same steps, made once more."""

    signed: dict[int, list[Signature]]
    """Each rank's signature of each."""
    hashes: list[int]
    """Each rank's hash after the last one."""


def judged(found: ReplicasDifferError, again: Replay) -> tuple[list[int], str]:
    """Return the ranks that are corrupted, and how it is known; none: it cannot be told, and why.

    The first step that counts tells it: from the next one on, the averaged gradients carry the fault to all.
    """
    every = len(found.hashes)
    by_step = first_to_differ(found.signed, again.signed)
    by_hash = [rank for rank in range(every) if found.hashes[rank] != again.hashes[rank]]
    culprits = by_step or by_hash
    if not culprits:
        return [], "a replay gave each rank the same bits again"
    if len(culprits) == every:
        return [], "a replay gave every rank other bits"
    return culprits, "a replay gave it other bits, and the others the same"


def end_corrupted_run(
    run: str,
    world: World,
    found: ReplicasDifferError,
    ranks: list[Process],
    replay: Callable[[], Replay],
    say: Callable[[str], None],
) -> NoReturn:
    """Name the corrupted replica and end the run; every rank must call it.

    Args:
        run: the run's URI.
        world: this process among the others.
        found: the difference.
        ranks: the processes by rank.
        replay: makes the steps to that one again; called where there is no majority.
        say: prints a line.

    Raises:
        RunFailedError: on rank 0.
        SystemExit: on the others.
    """
    say(f"replicas differ after step {found.step}")
    culprits, how = outvoted(found.hashes), "most others agree"
    if not culprits:
        say("the steps since the last good checkpoint are made again, to see which rank repeats them")
        culprits, how = judged(found, replay())
    named = ", ".join(f"rank {rank} ({ranks[rank]})" for rank in culprits)
    if world.leads:
        hashes = [f"{one % (1 << 64):016x}" for one in found.hashes]
        incidents.record(run, "replicas", step=found.step, ranks=culprits, how=how, hashes=hashes)
    if not culprits:
        fail_together(
            f"the replicas differ after step {found.step}, and {how}: the rank cannot be named; "
            "start again: it resumes from the last good checkpoint; where the network holds state of each rank's own, "
            "set train.verify_every=0"
        )
    fail_together(
        f"the weights of {named} were corrupted by step {found.step}: {how}; "
        f"last good checkpoint: {incidents.last_checkpoint(run)}; check that machine's memory, "
        "then start again: it resumes"
    )
