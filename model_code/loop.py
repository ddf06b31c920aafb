"""The training loop: one optimizer step after the other, measured and saved on the way, stoppable after any step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_code.accumulate import accumulate_gradients, fitted
from model_code.augment import augment
from model_code.checkpoint import state
from model_code.checkpoint.keeper import Checkpoints
from model_code.clock import StepClock
from model_code.data.read import TrainStream
from model_code.divergence import LossGuard
from model_code.errors import InputError
from model_code.hang import Marks
from model_code.job import Job
from model_code.metrics import Metrics
from model_code.optim import build_optimizer, gradient_norm, learning_rate, set_learning_rate
from model_code.parallel import (
    World,
    autocast,
    batch_norm_statistics,
    blocks,
    fail_together,
    unwrapped,
    watch_gradients,
    wrap,
)
from model_code.progress import TrainProgress
from model_code.replicas import Replicas
from model_code.straggler import Stragglers
from model_code.tasks import Batch
from model_code.told import Heard, Told, tell

EVALUATION_BATCH = 64
LOG_EVERY = 10  # steps between the rows of the training loss


class Loop:
    """One run on one rank. What it computes depends on config, data and world size, never on where it was resumed.

    Dropout draws from a generator seeded by (seed, step, rank), augmentation from (seed, step, sample), the stream from
    (seed, epoch): there is no random state to save.
    """

    def __init__(self, job: Job, world: World, device: torch.device, full_world: int = 0) -> None:
        """Build stream, wrapped network and optimizer.

        Args:
            job: what is trained.
            world: this process among the others.
            device: where it computes.
            full_world: ranks that the config was made for; 0: these.

        Raises:
            InputError: the global batch cannot be shared by the ranks and micro-batches.
        """
        train = fitted(job.config.train, world.world_size, full_world)
        shares = world.world_size * train.accumulate
        if train.global_batch % shares:
            raise InputError(
                f"train.global_batch must be a multiple of {world.world_size} processes x {train.accumulate} "
                f"micro-batches, got {train.global_batch}; "
                f"set train.global_batch={-(-train.global_batch // shares) * shares}"
            )
        self.job, self.world, self.device, self.train = job, world, device, train
        self.full_world = full_world
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
        self.marks, self.clock = Marks(), StepClock(device)
        self.clock.follow(self.model, compiled=train.compile)
        self.guard = LossGuard(job.run, train, world)
        self.replicas = Replicas(self.model, train.verify_every)
        watch_gradients(self.model, self.clock.see, self.replicas.see)
        self.step = 0
        self.heard = 0  # the last step that was heard of
        self.seconds = 0.0  # trained so far, over all resumes
        self.best: dict[str, Any] = {}  # metric and step
        self.best_weights: dict[str, Tensor] = {}  # this rank's part, on the CPU
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
        state.refuse_another_schedule(self.optimizer, progress)
        self.stream.load_state_dict(progress["stream"])
        self.stream.digest = progress["samples"] if self.world.leads else 0  # the ranks' sums are added up
        self.best_weights = best
        say(f"resumed after step {self.step} of {self.steps}")

    def run(
        self,
        metrics: Metrics | None,
        bar: TrainProgress,
        stopping: Callable[[], bool],
        lost: Callable[[], str],
        stragglers: Stragglers | None,
    ) -> bool:
        """Train to the last step, or until any rank is asked to stop; return whether the last step was reached.

        What the ranks told each other after a step is read during the next one, so that no rank (and no GPU) waits
        for it: a stop takes effect one step later, on the same step everywhere. Only what is to be measured, compared
        or saved is read at once: nothing is kept of a step that went wrong.

        Args:
            metrics: where rank 0 writes its measurements.
            bar: shows them.
            stopping: tells whether somebody asked this process to stop.
            lost: tells why rank 0 must write no more; empty while it holds the run.
            stragglers: rank 0's, names slow ranks.

        Raises:
            RunFailedError: the loss went wrong, the run was lost, or the last checkpoint could not be saved (rank 0;
                SystemExit on the others).
            ReplicasDifferError: the replicas are not equal any more.
        """
        self.model.train()
        begun, before, first = time.monotonic(), self.seconds, self.step
        told: Told | None = None
        while self.step < self.steps:
            loss, norm = self._update(self._next())
            self.step += 1
            previous, told = told, self._tell(loss, norm, stopping(), bool(lost()))
            self.seconds = before + time.monotonic() - begun
            speed = (self.step - first) * self.train.global_batch / (time.monotonic() - begun)
            heard = previous.heard if previous else None
            last, stopped = self.step == self.steps, heard is not None and heard.stop
            measuring = last or self.step % self.evaluate_every == 0
            saving = last or stopped or self.step % self.train.checkpoint_every == 0
            comparing = saving or self.replicas.due(self.step)
            for one in (heard, told.heard if measuring or comparing else None):
                if one and one.step > self.heard:
                    self._hear(one, lost, metrics, stragglers, speed)
            bar.step(self.step, heard.loss if heard else 0.0, speed)
            if comparing:
                self.replicas.check(self.step)
            if measuring:
                value = self._evaluate()
                bar.say(f"step {self.step}/{self.steps}: validation {self.job.task.metric_name} {value:.4f}")
                if metrics:
                    metrics.row(self.step, "validation", **{self.job.task.metric_name: value})
            if saving:
                self.marks.at(self.step, "save")
                if metrics:
                    metrics.flush()  # before: a checkpoint must not know more steps than the curve shows
                self._save()
            if stopped and not last:
                break
        self.marks.at(self.step, "save")
        self.checkpoints.settle()
        return self.step == self.steps

    def replay(self, step: int) -> None:
        """Train to a step, measuring and saving nothing."""
        self.model.train()
        while self.step < step:
            loss, norm = self._update(self._next())
            self.step += 1
            self.replicas.hear(self._tell(loss, norm, stop=False, lost=False).heard)

    def finish(self) -> tuple[dict[str, Tensor], float]:
        """Load the best weights everywhere; return them (rank 0) and their metric on the test split."""
        state.set_weights(self.model, self.best_weights)
        return state.whole_weights(self.model), self._measure("test")

    def samples(self) -> int:
        """Return the stream's digest over all ranks: which samples came, and when, since step 0."""
        return self.checkpoints.sum_over_ranks(self.stream.digest)

    def close(self) -> None:
        """Stop reading ahead, and let a save that is under way end."""
        self.stream.close()
        self.checkpoints.close()

    def _next(self) -> Batch:
        """Return this rank's part of the next batch."""
        self.marks.at(self.step + 1, "data")
        self.clock.begin()
        batch = next(self.stream)
        self.guard.keep(self.step + 1, batch["id"])
        return batch

    def _update(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Make one optimizer step; return this rank's mean loss and the gradient norm."""
        train, task = self.train, self.job.task
        set_learning_rate(self.optimizer, learning_rate(train, self.step, self.steps))
        torch.manual_seed((train.seed << 40) + (self.step << 16) + self.world.rank)
        if train.augment and self.job.index.kind == "images":
            batch = {
                **batch,
                "image": augment(torch.as_tensor(batch["image"]), batch["id"], train.seed, self.step),
            }
        self.clock.fetched()
        total = accumulate_gradients(
            self.model, task, batch, train, self.device, lambda phase: self.marks.at(self.step + 1, phase)
        )
        norm = gradient_norm(self.model, train.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total, norm

    def _tell(self, loss: Tensor, norm: Tensor, stop: bool, lost: bool) -> Told:
        """Tell the others of the step; batch-norm statistics travel with it."""
        self.marks.at(self.step, "reduce")
        self.replicas.keep(self.step)
        return tell(
            self.world,
            self.step,
            loss=loss,
            norm=norm,
            seconds=self.clock.seconds(),
            stop=stop,
            lost=lost,
            statistics=self.statistics,
        )

    def _hear(
        self,
        heard: Heard,
        lost: Callable[[], str],
        metrics: Metrics | None,
        stragglers: Stragglers | None,
        speed: float,
    ) -> None:
        """End the run where a step went wrong, or another trainer has the run; else write down what was heard."""
        self.heard = heard.step
        if heard.lost:
            fail_together(f"the run is not this trainer's any more: {lost()}; nothing more is written")
        self.guard.check(heard)
        self.replicas.hear(heard)
        if stragglers:
            stragglers.note(heard.step, heard.seconds)
        if metrics and heard.step % LOG_EVERY == 0:
            rate = learning_rate(self.train, heard.step - 1, self.steps)
            metrics.row(heard.step, "train", loss=heard.loss, learning_rate=rate, samples_per_s=speed)

    def _measure(self, split: str) -> float:
        self.marks.at(self.step, "measure")
        with autocast(self.train.precision, self.device):
            return self.job.task.evaluate(
                unwrapped(self.model),
                self.job.readers[split],
                EVALUATION_BATCH,
                self.device,
                rank=self.world.rank,
                world_size=self.world.world_size,
                moved=self.marks.again,
            )

    def _evaluate(self) -> float:
        """Measure the validation split and keep the weights if none were better."""
        value = self._measure("validation")
        if not self.best or self.job.task.better(value, self.best["metric"]):
            self.best = {"metric": value, "step": self.step}
            self.best_weights = state.copy_of(state.weights_of(self.model))
        return value

    def _save(self) -> None:
        """Begin to write a checkpoint."""
        progress = {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "schedule": state.schedule_of(self.optimizer),
            "stream": self.stream.state_dict(),
            "samples": self.samples(),
        }
        self.checkpoints.save(self.model, self.optimizer, progress=progress, best=self.best_weights)
