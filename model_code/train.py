"""Train a network: on one process, on several with torchrun; the same call again resumes it or finds it done.

    python -m model_code.train --recipe resnet --data URI --runs URI
    torchrun --standalone --nproc-per-node 2 -m model_code.train --recipe bert --data URI --runs URI train.epochs=3
    torchrun --standalone --nproc-per-node 2 -m model_code.train --recipe my/recipe.py:mine --data URI --runs URI

prints one JSON object: the run's id, folder, metric and time. SIGTERM ends it after the step in hand with a checkpoint,
exit code 0 and `"stopped": true`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import torch

from model_code import store
from model_code.arguments import Arguments
from model_code.config import RunConfig
from model_code.data.index import DataIndex
from model_code.errors import RunFailedError, run_stage
from model_code.hang import HangWatch
from model_code.identity import run_id
from model_code.job import prepare, refuse_another
from model_code.lease import leased
from model_code.loop import Loop
from model_code.metrics import Metrics
from model_code.models import parameter_count
from model_code.parallel import (
    World,
    choose_device,
    end_with_launcher,
    from_leader,
    gather_bytes,
    process_group,
    read_environment,
)
from model_code.process import decoded, encoded, this_process
from model_code.progress import TrainProgress, say
from model_code.recipes import configure
from model_code.replay import Replay, end_corrupted_run
from model_code.replicas import ReplicasDifferError
from model_code.straggler import Stragglers
from model_code.trained import read_result, save_trained


def main(words: list[str]) -> None:
    """Train what the command line asks for, and print the result."""
    world = read_environment()
    if world.launched:
        end_with_launcher()
    with stop_on_sigterm() as stopping:
        asked, settings = _arguments(words)
        config, index = configure(asked.recipe, asked.data, settings)
        identity = asked.run_id or run_id(config, index)
        run = store.join(store.as_uri(asked.runs), identity)
        device = choose_device(world)
        make_repeatable()
        with process_group(world, device):
            result = finished(run, config, index)
            if result is None:
                with leased(run, world, say, asked.epoch) as lost:
                    # Another trainer may have finished it since, and then released it.
                    result = finished(run, config, index) or train(
                        run, identity, config, index, world, device, stopping, lost, asked.full_world
                    )
    if world.leads:
        sys.stdout.write(json.dumps(result) + "\n")


def train(
    run: str,
    identity: str,
    config: RunConfig,
    index: DataIndex,
    world: World,
    device: torch.device,
    stopping: Callable[[], bool],
    lost: Callable[[], str] = str,
    full_world: int = 0,
) -> dict[str, Any]:
    """Train to the end (or to a stop) and return the result; every rank must call it.

    Args:
        run: URI of the run's folder.
        identity: the run's id.
        config: what to train.
        index: the data set.
        world: this process among the others.
        device: where it computes.
        stopping: tells whether somebody asked this process to stop.
        lost: tells why rank 0 must write no more; empty while it holds the run.
        full_world: ranks that the config was made for; 0: these.
    """
    job = prepare(run, config, index)
    parameters = parameter_count(job.model)
    loop = Loop(job, world, device, full_world)
    with ExitStack() as stack:
        stack.callback(loop.close)
        bar = TrainProgress(steps=loop.steps, done=0, shown=world.leads)
        loop.resume(bar.say)
        stack.enter_context(HangWatch(run, world, loop.marks, config.train.hang_seconds))
        ranks = [decoded(one) for one in gather_bytes(encoded(this_process()))]
        resumed = loop.step
        metrics = stack.enter_context(Metrics(run, since=resumed)) if world.leads else None
        stack.enter_context(bar)
        stragglers = Stragglers(run, ranks, bar.say) if world.leads else None
        try:
            reached = loop.run(metrics, bar, stopping, lost, stragglers)
        except ReplicasDifferError as found:
            step = found.step
            end_corrupted_run(run, world, found, ranks, lambda: replayed(loop, config, index, step), bar.say)
        if not reached:
            return {"run_id": identity, "uri": run, "stopped": True, "step": loop.step, "steps": loop.steps}
        weights, metric = loop.finish()
        samples = loop.samples()
        if metrics:
            metrics.row(loop.step, "test", **{job.task.metric_name: metric})
    facts = {
        "run_id": identity,
        "uri": run,
        "recipe": config.recipe,
        "family": config.model.family,
        "kind": index.kind,
        "dataset": index.dataset,
        "data_version": index.version,
        "classes": len(index.classes),
        "parameters": parameters,
        "world_size": world.world_size,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "metric_name": job.task.metric_name,
        "metric": metric,
        "validation_metric": loop.best["metric"],
        "best_step": loop.best["step"],
        "steps": loop.steps,
        "epochs": round(loop.steps / loop.stream.steps_per_epoch, 3),
        "seconds": round(loop.seconds, 3),
        "samples_per_s": round(loop.steps * config.train.global_batch / loop.seconds, 1),
        "samples_digest": f"{samples:016x}",
        "resumed_from": resumed,
    }
    if world.leads and lost():
        raise RunFailedError(f"the run is not this trainer's any more: {lost()}; its result is not written")
    return save_trained(run, weights, facts) if world.leads else {}


def replayed(loop: Loop, config: RunConfig, index: DataIndex, step: int) -> Replay:
    """Make the steps of a loop again as the next start would: from the newest checkpoint to a step, saving nothing."""
    loop.close()
    again = Loop(prepare(loop.job.run, config, index), loop.world, loop.device, loop.full_world)
    again.marks = loop.marks  # watched all along
    again.resume(lambda _: None)
    again.replay(step)
    again.close()
    return Replay(signed=again.replicas.signed(), hashes=again.replicas.hashes())


def finished(run: str, config: RunConfig, index: DataIndex) -> dict[str, Any] | None:
    """Return the result of a run that is already trained, the same on every rank.

    Raises:
        InputError: the folder holds a run with another config.
    """

    def found() -> bytes:
        refuse_another(run, config, index)
        return json.dumps(read_result(run)).encode()

    result: dict[str, Any] | None = json.loads(from_leader(found))
    return result


@contextmanager
def stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether SIGTERM has come; who else has asked for the signal hears it too."""
    asked = threading.Event()
    before = signal.getsignal(signal.SIGTERM)

    def hear(number: int, frame: FrameType | None) -> None:
        asked.set()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, hear)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)


def make_repeatable() -> None:
    """Ask torch for kernels that give the same bits each time, where it has them."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # torchao registers types in an old way
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic: Any = torch.utils.deterministic  # its attribute is set up in a way that type checkers miss
    deterministic.fill_uninitialized_memory = False  # a debugging aid that costs a pass over memory
    torch.set_float32_matmul_precision("high")


def _arguments(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = Arguments(prog="python -m model_code.train", description="Train a network.")
    parser.add_argument("--recipe", required=True, help="resnet, bert, gpt or path/to/file.py:function")
    parser.add_argument("--data", required=True, help="URI of ready shards (the folder of index.json)")
    parser.add_argument("--runs", required=True, help="URI below which the run's folder is made")
    parser.add_argument(
        "--run-id", default="", help="name of that folder; default: from config, data and code"
    )
    parser.add_argument(
        "--epoch", type=int, default=0, help="which start of its group this is, from 1; default: no group"
    )
    parser.add_argument(
        "--full-world", type=int, default=0, help="processes that the batch was made for; default: these"
    )
    return parser.parse_known_args(words)


if __name__ == "__main__":
    run_stage(main)
