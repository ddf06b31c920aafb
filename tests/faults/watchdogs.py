"""Ranks that hang, limp, diverge or forget a bit: found, named, ended, the last good checkpoint kept."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.fault import Fault, Seen
from tests.faults.watched import pids, recipe, trained, undisturbed

WINDOW = 5  # seconds: long for steps of milliseconds, even on a busy machine

STOP = "step == 15 and once() and not time.sleep(1) and os.kill(os.getpid(), signal.SIGSTOP)"
"""A second in that step, so that its last mark is out; the rank's threads stop, too."""


def hang(folder: Path, *, ranks: int = 2, culprit: int = 1, **harm: str) -> Seen:
    """Let a rank hang at step 15; it is named, and nothing is left behind."""
    ended = trained(recipe(folder, **harm), f"train.hang_seconds={WINDOW}", ranks=ranks)
    assert ended.code == 1, ended.said
    pid = {rank: pid for pid, rank in pids(folder).items()}[culprit]
    named = [line for line in ended.errors if "shows no progress" in line]
    assert len(named) == 1, ended.said
    found = re.search(
        rf"^error: rank {culprit} \(host .*, pid {pid}\) shows no progress for (\d+) s at step 15 in (\w+);",
        named[0],
    )
    assert found, named
    (incident,) = ended.incidents("hang")
    assert [one["rank"] for one in incident["ranks"]] == [culprit]
    assert ended.checkpoints()[-1] == "step-000000010"
    assert ended.seconds is not None
    return Seen(
        what=f"rank {culprit} named after {found[1]} s (window {WINDOW} s) in {found[2]}",
        recovery_seconds=ended.seconds,
    )


def stopped(folder: Path) -> Seen:
    """SIGSTOP a rank: its threads stop, too, and only SIGKILL ends it."""
    return hang(folder, before=f"RANK == 1 and {STOP}")


def leader_stopped(folder: Path) -> Seen:
    """SIGSTOP rank 0, the one that writes and speaks."""
    return hang(
        folder,
        culprit=0,
        before=f"RANK == 0 and {STOP}",
    )


def no_data(folder: Path) -> Seen:
    """Let a rank sleep where it fetches its data; it shows its own stack."""
    seen = hang(folder, fetch="RANK == 1 and step == 15 and once() and time.sleep(3600)")
    assert seen.what.endswith("in data")
    return seen


def loops(folder: Path) -> Seen:
    """Let a lone process loop in Python."""
    endless = "exec('while True: pass') if step == 15 and once() else None"
    return hang(folder, ranks=1, culprit=0, before=endless)


def straggler(folder: Path) -> Seen:
    """Slow one rank to half its speed for 50 steps; it is named, then it has recovered; the other never is."""
    slow = "time.sleep(0.1 if RANK == 1 and step <= 50 else 0.05)"
    ended = trained(recipe(folder, before=slow), "train.steps=90", "train.evaluate_every=90")
    assert ended.code == 0, ended.said
    named, well = ended.incidents("straggler"), ended.incidents("recovered")
    assert [one["rank"] for one in named] == [1], named
    assert [one["rank"] for one in well] == [1], well
    assert re.search(r"^rank 1 \(host .*\) is a straggler: .* it took [\d.]+ times", ended.said, re.MULTILINE)
    assert "rank 0 (" not in ended.said
    return Seen(what=f"rank 1 named at step {named[0]['step']}, {named[0]['factor']} times the other's time")


def diverged(folder: Path, what: str, harm: str, *words: str) -> Seen:
    """Spoil a rank's loss in the very step that would be saved next."""
    ended = trained(recipe(folder, after=harm), *words)
    assert ended.code == 1, ended.said
    line = ended.error
    assert re.match(rf"error: {what} after step 30 on rank 1\b", line), line
    (incident,) = ended.incidents("loss")
    ids = incident["ids"]["1"]
    assert len(ids) == 32
    assert ", ".join(ids[:4]) in line
    assert ended.checkpoints()[-1] == "step-000000020"
    assert incident["checkpoint"] == "step-000000020"
    return Seen(what=f"step 30, rank 1, {len(ids)} ids named; step 20 kept", recovery_seconds=ended.seconds)


def not_a_number(folder: Path) -> Seen:
    """A rank's loss is NaN."""
    return diverged(
        folder,
        "the loss is nan",
        "logits = logits * float('nan') if RANK == 1 and step == 30 and once() else logits",
    )


def exploded(folder: Path) -> Seen:
    """A rank's loss explodes."""
    harm = "logits = logits * 1000 if RANK == 1 and step == 30 and once() else logits"
    return diverged(folder, r"the loss is [\d.]+", harm, "train.explode_factor=20")


def flipped(folder: Path, ranks: int = 2) -> Seen:
    """Flip any bit of any weight's fraction on one rank; the next start ends with the undisturbed weights."""
    bits = "network[0].weight.data.view(torch.int32)[random.randrange(32), random.randrange(64)]"
    flip = f"RANK == 1 and step == 15 and once() and {bits}.bitwise_xor_(1 << random.randrange(23))"
    words = ["train.global_batch=60"] if ranks == 3 else []
    name = recipe(folder, before=flip)
    ended = trained(name, *words, ranks=ranks)
    assert ended.code == 1, ended.said
    line = ended.error
    assert re.match(r"error: the weights of rank 1 \(host .*\) were corrupted by step 20: ", line), line
    (incident,) = ended.incidents("replicas")
    assert incident["ranks"] == [1]
    assert ended.checkpoints() == ["step-000000010"]
    again = trained(name, *words, ranks=ranks)
    assert again.code == 0, again.said
    assert again.result["resumed_from"] == 10
    assert ranks == 3 or again.result["model_sha256"] == undisturbed()
    return Seen(what=f"rank 1 named at step 20 ({incident['how']})", recovery_seconds=ended.seconds)


def flipped_of_three(folder: Path) -> Seen:
    """The same with three ranks: two agree, nothing has to be replayed."""
    seen = flipped(folder, ranks=3)
    assert "most others agree" in seen.what
    return seen


FAULTS = (
    Fault(
        name="SIGSTOP of a rank",
        promise="named within 1.25 windows, all ended",
        inject=stopped,
        times=5,
    ),
    Fault(
        name="SIGSTOP of rank 0",
        promise="named within 1.25 windows, all ended",
        inject=leader_stopped,
        times=5,
        quick=False,
    ),
    Fault(
        name="a rank sleeps in its data loader",
        promise="named within 1.25 windows, all ended",
        inject=no_data,
        times=5,
    ),
    Fault(
        name="a lone process loops in Python",
        promise="named within 1.25 windows, ended",
        inject=loops,
        times=3,
    ),
    Fault(name="a rank slowed 2x", promise="named, the other never", inject=straggler, times=20),
    Fault(
        name="NaN loss on a rank",
        promise="step, rank and samples named, not saved",
        inject=not_a_number,
        times=5,
    ),
    Fault(
        name="exploding loss on a rank",
        promise="step, rank and samples named, not saved",
        inject=exploded,
        times=3,
        quick=False,  # the same guard as for a NaN
    ),
    Fault(
        name="a bit flipped in one of 2 replicas",
        promise="rank named, the next start ends bit-equal",
        inject=flipped,
        times=5,
    ),
    Fault(
        name="a bit flipped in one of 3 replicas",
        promise="rank named without a replay",
        inject=flipped_of_three,
        times=3,
        quick=False,
    ),
)
