"""The training loop: one optimizer step after the other, measured and saved on the way, stoppable after any step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_code.augment import augment
from model_code.checkpoint.keeper import Checkpoints
from model_code.checkpoint.state import copy_of, schedule_of, set_weights, weights_of, whole_weights
from model_code.data.read import TrainStream
from model_code.errors import InputError, RunFailedError
from model_code.job import Job
from model_code.metrics import Metrics
from model_code.optim import build_optimizer, learning_rate, set_learning_rate
from model_code.parallel import (
    World,
    autocast,
    average,
    batch_norm_statistics,
    blocks,
    sync_gradients,
    unwrapped,
    wrap,
)
from model_code.progress import TrainProgress
from model_code.tasks import Batch

EVALUATION_BATCH = 64
LOG_EVERY = 10  # steps between the rows of the training loss


class Loop:
    """One run on one rank. What it computes depends on config, data and world size, never on where it was resumed.

    Dropout draws from a generator seeded by (seed, step, rank), augmentation from (seed, step, sample), the stream from
    (seed, epoch), whatever the number of ranks. The generators are saved all the same, for networks that use others.
    """

    def __init__(self, job: Job, world: World, device: torch.device) -> None:
        """Build stream, wrapped network and optimizer.

        Raises:
            InputError: the global batch cannot be shared by the ranks and micro-batches.
        """
        train = job.config.train
        shares = world.world_size * train.accumulate
        if train.global_batch % shares:
            raise InputError(
                f"train.global_batch must be a multiple of {world.world_size} processes x {train.accumulate} "
                f"micro-batches, got {train.global_batch}; "
                f"set train.global_batch={-(-train.global_batch // shares) * shares}"
            )
        self.job, self.world, self.device, self.train = job, world, device, train
        self.stream = TrainStream(
            job.readers["train"],
            global_batch=train.global_batch,
            rank=world.rank,
            world_size=world.world_size,
            seed=train.seed,
        )
        self.steps = train.steps or train.epochs * self.stream.steps_per_epoch
        self.evaluate_every = train.evaluate_every or self.stream.steps_per_epoch
        if train.compile:
            for part in blocks(job.model) if train.strategy == "fsdp" else [job.model]:
                part.compile()
        self.model = wrap(job.model, train.strategy, device)
        self.optimizer = build_optimizer(self.model, train)
        self.statistics = batch_norm_statistics(self.model)
        self.step = 0
        self.seconds = 0.0  # trained so far, over all resumes
        self.best: dict[str, Any] = {}  # metric and step
        self.best_weights: dict[str, Tensor] = {}  # this rank's part, on the CPU
        self.told: Tensor | None = None  # what the ranks told each other after the last step, not yet heard
        self.checkpoints = Checkpoints(job.run, world, keep=train.keep_checkpoints)

    def resume(self, say: Callable[[str], None]) -> None:
        """Go on after the newest intact checkpoint, if there is one; say which were passed over.

        Raises:
            InputError: it was trained by another schedule, or on other data.
        """
        progress, best, skipped = self.checkpoints.restore(self.model, self.optimizer)
        for reason in skipped:
            say(f"checkpoint passed over: {reason}")
        if not progress:
            return
        self.step, self.seconds, self.best = progress["step"], progress["seconds"], progress["best"]
        set_learning_rate(self.optimizer, learning_rate(self.train, self.step - 1, self.steps))
        if schedule_of(self.optimizer) != progress["schedule"]:
            raise InputError(
                f"schedule of step {self.step} must be {schedule_of(self.optimizer)} to resume, the checkpoint has "
                f"{progress['schedule']}; choose another --run-id or leave it out"
            )
        self.stream.load_state_dict(progress["stream"])
        self.stream.digest = progress["samples"] if self.world.leads else 0  # the ranks' sums are added up
        self.best_weights, self.told = best, torch.tensor(progress["told"], device=self.device)
        say(f"resumed after step {self.step} of {self.steps}")

    def run(self, metrics: Metrics | None, bar: TrainProgress, stopping: Callable[[], bool]) -> bool:
        """Train to the last step, or until any rank is asked to stop; return whether the last step was reached.

        What the ranks told each other after a step is read during the next one, so that no rank (and no GPU) waits
        for it: a stop takes effect one step later, on the same step everywhere.

        Raises:
            RunFailedError: the loss is not a finite number any more, or the last checkpoint could not be saved.
        """
        self.model.train()
        begun, before, first = time.monotonic(), self.seconds, self.step
        while self.step < self.steps:
            loss = self._update(next(self.stream))
            self.step += 1
            previous, self.told = self.told, self._tell(loss, stopping())
            self.seconds = before + time.monotonic() - begun
            speed = (self.step - first) * self.train.global_batch / (time.monotonic() - begun)
            heard = previous.tolist() if previous is not None else [0.0, 0.0]
            if not math.isfinite(heard[0]):
                raise RunFailedError(
                    f"the loss is {heard[0]} after step {self.step - 1}; lower train.learning_rate "
                    f"(now {self.train.learning_rate:g}) or set train.clip_norm=1"
                )
            bar.step(self.step, heard[0], speed)
            if metrics and previous is not None and (self.step - 1) % LOG_EVERY == 0:
                rate = learning_rate(self.train, self.step - 2, self.steps)
                metrics.row(self.step - 1, "train", loss=heard[0], learning_rate=rate, samples_per_s=speed)
            last, stopped = self.step == self.steps, heard[1] > 0
            if last or self.step % self.evaluate_every == 0:
                value = self._evaluate()
                bar.say(f"step {self.step}/{self.steps}: validation {self.job.task.metric_name} {value:.4f}")
                if metrics:
                    metrics.row(self.step, "validation", **{self.job.task.metric_name: value})
            if last or stopped or self.step % self.train.checkpoint_every == 0:
                if metrics:
                    metrics.flush()  # before: a checkpoint must not know more steps than the curve shows
                self._save(self.told)
            if stopped and not last:
                break
        self.checkpoints.settle()
        return self.step == self.steps

    def finish(self) -> tuple[dict[str, Tensor], float]:
        """Load the best weights everywhere; return them (rank 0) and their metric on the test split."""
        set_weights(self.model, self.best_weights)
        return whole_weights(self.model), self._measure("test")

    def samples(self) -> int:
        """Return the stream's digest over all ranks: which samples came, and when, since step 0."""
        return self.checkpoints.sum_over_ranks(self.stream.digest)

    def close(self) -> None:
        """Stop reading ahead, and let a save that is under way end."""
        self.stream.close()
        self.checkpoints.close()

    def _update(self, batch: Batch) -> Tensor:
        """Make one optimizer step; return this rank's mean loss."""
        train, task = self.train, self.job.task
        set_learning_rate(self.optimizer, learning_rate(train, self.step, self.steps))
        torch.manual_seed((train.seed << 40) + (self.step << 16) + self.world.rank)
        if train.augment and self.job.index.kind == "images":
            batch = {
                **batch,
                "image": augment(torch.as_tensor(batch["image"]), batch["id"], train.seed, self.step),
            }
        size = len(batch["id"]) // train.accumulate
        total = torch.zeros(1, device=self.device)
        for number in range(train.accumulate):
            part = {name: column[number * size : (number + 1) * size] for name, column in batch.items()}
            with sync_gradients(self.model, last=number == train.accumulate - 1):
                inputs = {name: one.to(self.device) for name, one in task.inputs(part).items()}
                with autocast(train.precision, self.device):
                    logits = self.model(**inputs)
                targets = task.targets(part).to(self.device)
                loss = task.loss(logits, targets, train.label_smoothing) / train.accumulate
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        if train.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), train.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total

    def _tell(self, loss: Tensor, stop: bool) -> Tensor:
        """Return mean loss and stop flag over all ranks; batch-norm statistics travel with them."""
        return average(torch.cat([loss, loss.new_tensor([float(stop)])]), self.statistics)

    def _measure(self, split: str) -> float:
        with autocast(self.train.precision, self.device):
            return self.job.task.evaluate(
                unwrapped(self.model),
                self.job.readers[split],
                EVALUATION_BATCH,
                self.device,
                rank=self.world.rank,
                world_size=self.world.world_size,
            )

    def _evaluate(self) -> float:
        """Measure the validation split and keep the weights if none were better."""
        value = self._measure("validation")
        if not self.best or self.job.task.better(value, self.best["metric"]):
            self.best = {"metric": value, "step": self.step}
            self.best_weights = copy_of(weights_of(self.model))
        return value

    def _save(self, told: Tensor) -> None:
        """Begin to write a checkpoint, unless the loss is not a finite number: the run ends with the next step."""
        loss, *_ = heard = told.tolist()
        if not math.isfinite(loss):
            return
        progress = {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "schedule": schedule_of(self.optimizer),
            "stream": self.stream.state_dict(),
            "samples": self.samples(),
            "told": [
                loss,
                *(0.0 for _ in heard[1:]),
            ],  # a stop was asked of these processes, not of the next ones
        }
        self.checkpoints.save(self.model, self.optimizer, progress=progress, best=self.best_weights)
