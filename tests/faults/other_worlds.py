"""A run begun by two ranks, by DDP and by FSDP2, is finished by one and by four, by either."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file

from model_code.data.read import ShardReader, TrainStream
from tests import small_data
from tests.faults.fault import Seen
from tests.runs import torchrun

STEPS, STOP, BATCH = 12, 5, 16
TOLERANCE = 2e-4  # of a weight; a step less moves them by more (test_train_parallel)
SETTINGS = (
    *("model.layers=2", "model.width=32", "train.learning_rate=0.001"),
    *(f"train.steps={STEPS}", f"train.evaluate_every={STEPS}", f"train.global_batch={BATCH}"),
)
STRATEGIES = ("ddp", "fsdp")


def another_number_of_ranks(folder: Path) -> Seen:
    """Stop inside an epoch, go on in another world over the end of the epoch; compare samples and weights."""
    data = small_data.tokens(folder / "data", lines=300)
    trained(folder, data, 2, [*(plan(f"{one}@{STOP}", one) for one in STRATEGIES), plan("whole", "ddp")])
    whole = json.loads((folder / "whole" / "trained.json").read_text())
    assert whole["samples_digest"] == expected_digest(data)
    weights = load_file(folder / "whole" / "model.safetensors")
    compared = 0
    for processes in (1, 4):
        plans = []
        for saved in STRATEGIES:
            for resumed in STRATEGIES:
                name = f"{saved}-{resumed}-{processes}"
                shutil.copytree(folder / saved, folder / name)
                plans.append(plan(name, resumed))
        trained(folder, data, processes, plans)
        for name in (one.partition(":")[0] for one in plans):
            result = json.loads((folder / name / "trained.json").read_text())
            assert result["resumed_from"] == STOP, (name, result)
            assert result["samples_digest"] == whole["samples_digest"], name
            own = load_file(folder / name / "model.safetensors")
            assert own.keys() == weights.keys(), name
            furthest = max(float((own[key] - weights[key]).abs().max()) for key in weights)
            assert furthest < TOLERANCE, (name, furthest)
            compared += 1
    return Seen(what=f"2 ranks to 1 and 4, DDP and FSDP2: {compared} of 8 with the samples of the whole run")


def plan(name: str, strategy: str) -> str:
    """Return a plan of `tests.train_matrix`."""
    return f"{name}:{';'.join([*SETTINGS, f'train.strategy={strategy}'])}"


def trained(out: Path, data: str, processes: int, plans: list[str]) -> None:
    """Train, each plan in turn, in one start of so many processes."""
    process = torchrun("gpt", data, str(out), *plans, module="tests.train_matrix", processes=processes)
    _, err = process.communicate(timeout=280)
    assert process.returncode == 0, err


def expected_digest(data: str) -> str:
    """Return the digest of the samples that one process reads, after checking that an epoch has each once."""
    reader = ShardReader(data, "train")
    stream = TrainStream(reader, global_batch=BATCH)
    ids = [int(one) for _ in range(STEPS) for one in next(stream)["id"]]
    stream.close()
    assert STOP * BATCH < len(reader) < STEPS * BATCH, f"{len(reader)} samples: no epoch ends after the stop"
    assert sorted(ids[: len(reader)]) == sorted(set(ids))
    return f"{stream.digest:016x}"
